//! One boot: QEMU with an emulated CPU, its serial console in a file, and what the guest said.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::kernel::Kernel;

/// A boot takes seconds, verifying the programs and the suite minutes of emulated time on a busy
/// host.
const LIMIT: Duration = Duration::from_secs(900);
/// What the guest puts before its words.
const MARK: &str = "guest: ";

/// How a guest did.
pub struct Report {
    /// What the guest said.
    pub lines: Vec<String>,
    /// What all programs of the guest said, without the kernel's own messages.
    pub words: Vec<String>,
    /// Checks that passed.
    pub passed: u32,
    /// Checks that failed.
    pub failed: u32,
    /// The whole console.
    pub console: PathBuf,
}

/// Boots the kernel and waits until it powers off.
pub fn run(kernel: &Kernel, initramfs: &Path) -> Result<Report> {
    let console = kernel.folder.join("console.log");
    let file = File::create(&console).with_context(|| format!("create {}", console.display()))?;
    let mut guest = qemu(kernel, initramfs)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .context("start qemu-system-x86_64; `cargo xtask setup` installs it")?;
    let start = Instant::now();
    while guest.try_wait()?.is_none() {
        if start.elapsed() > LIMIT {
            guest.kill()?;
            guest.wait()?;
            bail!("no end after {LIMIT:?}; console: {}", console.display());
        }
        thread::sleep(Duration::from_millis(100));
    }
    read(console)
}

fn qemu(kernel: &Kernel, initramfs: &Path) -> Command {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-accel", "tcg,thread=single", "-cpu", "max", "-m", "1024"])
        .args([
            "-nographic",
            "-nodefaults",
            "-no-reboot",
            "-serial",
            "stdio",
        ])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-append", "console=ttyS0 quiet panic=-1"]);
    qemu
}

fn read(console: PathBuf) -> Result<Report> {
    let bytes = fs::read(&console).with_context(|| format!("read {}", console.display()))?;
    let text = String::from_utf8_lossy(&bytes).replace('\r', "");
    let lines: Vec<String> = text
        .lines()
        .filter_map(|line| Some(line.split_once(MARK)?.1.to_owned()))
        .collect();
    let closing = lines.iter().rev().find_map(|line| closing(line));
    let Some((passed, failed)) = closing else {
        let tail: Vec<_> = text.lines().rev().take(12).collect();
        let tail: Vec<_> = tail.into_iter().rev().collect();
        bail!(
            "the guest did not finish; its last words:\n{}",
            tail.join("\n")
        );
    };
    let words = text.lines().filter(|line| !line.starts_with('['));
    Ok(Report {
        lines,
        words: words.map(str::to_owned).collect(),
        passed,
        failed,
        console,
    })
}

/// `N passed, M failed`.
fn closing(line: &str) -> Option<(u32, u32)> {
    let (passed, failed) = line.split_once(" passed, ")?;
    let failed = failed.strip_suffix(" failed")?;
    Some((passed.parse().ok()?, failed.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::closing;

    #[test]
    fn closing_lines() {
        for (line, expected) in [
            ("7 passed, 0 failed", Some((7, 0))),
            ("7 passed", None),
            ("ok a deny refuses", None),
        ] {
            assert_eq!(closing(line), expected, "{line}");
        }
    }
}
