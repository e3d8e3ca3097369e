//! `cargo xtask run`: weir on this host, with its live edges on the screen.

use std::{
    env,
    io::{IsTerminal as _, Write as _},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::{paths, release, sh};

/// Time between two pictures of the edges.
const REFRESH: Duration = Duration::from_secs(1);
/// The daemon loads and verifies its programs first.
const READY: Duration = Duration::from_secs(30);

/// Options of `run`.
#[derive(clap::Args)]
pub struct Arguments {
    /// End after so many seconds instead of at Ctrl-C
    #[arg(long)]
    seconds: Option<u64>,
    /// Further arguments of `weir run`
    #[arg(last = true)]
    daemon: Vec<String>,
}

/// Builds weir, starts the daemon, shows its edges until Ctrl-C, then takes everything away.
pub fn run(arguments: &Arguments) -> Result<()> {
    if !sh::is_root() {
        let path = env::var("PATH").unwrap_or_default();
        bail!(
            "weir loads programs into the kernel, which needs root; run\n    \
             sudo env PATH='{path}' cargo xtask run"
        );
    }
    release::build(release::Purpose::Use)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).context("watch for Ctrl-C")?;
    }
    let mut daemon = Daemon::start(&arguments.daemon)?;
    let shown = daemon.show_edges(&stop, arguments.seconds.map(Duration::from_secs));
    let ended = daemon.end();
    shown.and(ended)
}

fn weir() -> PathBuf {
    paths::target().join("release/weir")
}

struct Daemon(Child);

impl Daemon {
    /// Starts `weir run` and waits until it answers.
    fn start(arguments: &[String]) -> Result<Self> {
        eprintln!("run: starting `weir run`");
        let child = Command::new(weir())
            .arg("run")
            .args(arguments)
            .stdin(Stdio::null())
            // In a group of its own: Ctrl-C reaches this program, which then ends it in order.
            .process_group(0)
            .spawn()
            .context("start target/release/weir")?;
        let mut daemon = Self(child);
        let start = Instant::now();
        while sh::quiet(Command::new(weir()).arg("status")).is_err() {
            if let Some(status) = daemon.0.try_wait()? {
                bail!("`weir run`: {status}");
            }
            if start.elapsed() > READY {
                daemon.end()?;
                bail!("`weir run` does not answer after {READY:?}");
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(daemon)
    }

    fn show_edges(&mut self, stop: &AtomicBool, limit: Option<Duration>) -> Result<()> {
        let (start, screen) = (Instant::now(), std::io::stdout().is_terminal());
        while !stop.load(Ordering::Relaxed) && limit.is_none_or(|limit| start.elapsed() < limit) {
            if let Some(status) = self.0.try_wait()? {
                bail!("`weir run` ended by itself: {status}");
            }
            let edges = sh::capture(Command::new(weir()).arg("edges"))?;
            picture(screen, &edges)?;
            let next = Instant::now() + REFRESH;
            while Instant::now() < next && !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    /// Ends the daemon and removes its programs.
    fn end(&mut self) -> Result<()> {
        eprintln!("\nrun: ending the daemon, `weir off`");
        if self.0.try_wait()?.is_none() {
            let pid = self.0.id().to_string();
            sh::quiet(&mut sh::command(["kill", "-TERM", &pid]))?;
            self.0.wait()?;
        }
        sh::run(Command::new(weir()).arg("off"))
    }
}

fn picture(screen: bool, edges: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if screen {
        // Home, then clear what is below: steadier than clearing first.
        write!(out, "\x1b[H\x1b[J")?;
    }
    writeln!(
        out,
        "weir edges · Ctrl-C ends weir and removes its programs\n"
    )?;
    if edges.lines().count() <= 1 {
        writeln!(
            out,
            "no traffic between services yet; try `curl` on any local server"
        )?;
    }
    writeln!(out, "{edges}")?;
    out.flush()?;
    Ok(())
}
