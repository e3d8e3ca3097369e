//! The `weir` under test: daemon, command line, policies, `kill -9` and `off`.

use std::{
    ffi::OsStr,
    fs,
    path::PathBuf,
    process::{Command, Output},
    time::Duration,
};

use rustix::process::Signal;
use serde::de::DeserializeOwned;

use crate::{
    answer::{Answer, Edge, Exchange, Policy, Status, Verdict, errors},
    gate::{HostLock, weir_binary},
    memory::MemoryGroup,
    process::{Process, must, output},
    scratch::Scratch,
    wait_for,
};

/// The daemon reads the exact lane about once a second; this is ample.
pub const SETTLED: Duration = Duration::from_secs(15);

/// What a test wants of its daemon besides the defaults.
#[derive(Default)]
pub struct Options {
    /// Lines of weir.toml.
    pub config: String,
    /// Further arguments of `weir run`.
    pub arguments: Vec<String>,
    /// Environment of the daemon.
    pub environment: Vec<(String, String)>,
    /// Policy files present at start: name and text.
    pub policies: Vec<(String, String)>,
}

/// A daemon on this host, with socket, state and policies in a folder of its own.
pub struct Agent {
    folder: Scratch,
    options: Options,
    daemon: Option<Process>,
    _host: HostLock,
}

impl Agent {
    /// Starts a daemon with the defaults and waits until it answers.
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    /// Starts a daemon and waits until it answers.
    pub fn with(options: Options) -> Self {
        let mut agent = Self::prepare(options);
        agent.restart();
        agent
    }

    /// Starts a daemon in a memory cgroup; later starts are outside it.
    pub fn within(group: &MemoryGroup, options: Options) -> Self {
        let mut agent = Self::prepare(options);
        agent.start_as(&mut group.command(&agent.command()));
        agent
    }

    /// All but starting it: for tests of the start itself.
    pub fn prepare(options: Options) -> Self {
        let host = HostLock::take();
        let folder = Scratch::new();
        for name in ["state", "policies"] {
            fs::create_dir(folder.path().join(name)).expect("make the daemon's folders");
        }
        for (name, text) in &options.policies {
            folder.write(&format!("policies/{name}"), text);
        }
        // Port 9464 may be another daemon's; tests that scrape choose their own.
        let metrics = if options.config.contains("metrics") {
            ""
        } else {
            "metrics = \"off\"\n"
        };
        folder.write("weir.toml", &format!("{metrics}{}", options.config));
        let agent = Self {
            folder,
            options,
            daemon: None,
            _host: host,
        };
        // A test that was killed may have left pinned programs; they would count twice.
        let _ = agent.weir(["off"]);
        agent
    }

    /// The command line of the daemon.
    pub fn command(&self) -> Command {
        let folder = self.folder.path();
        let mut command = Command::new(weir_binary());
        command.arg("run");
        command.arg("--config").arg(folder.join("weir.toml"));
        command.arg("--socket").arg(self.socket());
        command.arg("--state").arg(folder.join("state"));
        command.arg("--policies").arg(folder.join("policies"));
        command.args(&self.options.arguments);
        command.envs(self.options.environment.clone());
        command
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("weir.sock")
    }

    /// The folder with `state/`, `policies/`, `weir.toml` and the daemon's log.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Starts the daemon (again) and waits until it answers.
    ///
    /// # Panics
    /// If it ends or does not answer within five minutes, which an emulated CPU may need to verify
    /// the programs; shows its log.
    pub fn restart(&mut self) {
        self.start_as(&mut self.command());
    }

    fn start_as(&mut self, command: &mut Command) {
        let log = self.folder.path().join("weir.log");
        self.daemon = Some(Process::start_logging(command, log));
        wait_for("weir status", Duration::from_secs(300), || {
            let daemon = self.daemon.as_mut().expect("it was just started");
            if let Some(status) = daemon.ended() {
                panic!("weir run: {status}; its log:\n{}", daemon.log());
            }
            self.weir(["status"]).status.success().then_some(())
        });
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.daemon.take().expect("the daemon runs").kill();
    }

    /// Ends the daemon as systemd would.
    pub fn stop(&mut self) {
        let mut daemon = self.daemon.take().expect("the daemon runs");
        daemon.signal(Signal::TERM);
        let status = daemon.wait(Duration::from_secs(10));
        assert!(status.success(), "weir run: {status}\n{}", daemon.log());
    }

    /// Process id of the daemon.
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("the daemon runs").pid()
    }

    /// What the daemon said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("weir.log")).unwrap_or_default()
    }

    /// A `weir` command that speaks to this daemon.
    pub fn cli<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(weir_binary());
        command.args(arguments).arg("--socket").arg(self.socket());
        command
    }

    /// Runs a `weir` command to its end.
    pub fn weir<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        output(&mut self.cli(arguments))
    }

    /// The parsed answer of `weir ARGUMENTS -o json`.
    ///
    /// # Panics
    /// If the command fails or its answer has another shape.
    pub fn ask<T: DeserializeOwned>(&self, arguments: &[&str]) -> Answer<T> {
        let text = must(&mut self.cli(arguments.iter().chain(&["-o", "json"])));
        let answer: Answer<T> = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("weir {arguments:?}: {error} in\n{text}"));
        assert_eq!(answer.v, 1, "version of the JSON shape");
        answer
    }

    /// `weir status`.
    pub fn status(&self) -> Status {
        let mut items = self.ask::<Status>(&["status"]).items;
        items.pop().expect("status has one item")
    }

    /// `weir edges`.
    pub fn edges(&self) -> Vec<Edge> {
        self.ask(&["edges"]).items
    }

    /// The edges whose server listens on one of `ports`.
    pub fn edges_of(&self, ports: &[u16]) -> Vec<Edge> {
        let mut edges = self.edges();
        edges.retain(|edge| ports.contains(&edge.port));
        edges
    }

    /// Waits until the edges of `ports` hold every request that the server served: calls are those
    /// and the ones whose client hung up before an answer, which count as errors (the server may
    /// have served them or not; it has answered all others without error).
    ///
    /// # Panics
    /// If a served request is not counted, or one is counted that was neither.
    pub fn expect_served(&self, ports: &[u16], served: u64) -> Vec<Edge> {
        let mut edges = Vec::new();
        let (mut calls, mut unanswered) = (0, 0);
        let start = std::time::Instant::now();
        while start.elapsed() < SETTLED {
            edges = self.edges_of(ports);
            calls = edges.iter().map(|edge| edge.calls).sum::<u64>();
            unanswered = errors(&edges);
            if calls >= served {
                break;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let exact = calls - unanswered <= served && served <= calls;
        let told = format!("{served} served, {calls} counted, {unanswered} unanswered");
        assert!(exact, "{told}; status: {:#?}", self.status());
        edges
    }

    /// Waits until the edges on `ports` count `calls` exchanges together, then makes sure that
    /// the count stays so, and returns the edges.
    ///
    /// # Panics
    /// If the count is another.
    pub fn expect_calls(&self, ports: &[u16], calls: u64) -> Vec<Edge> {
        let sum = |edges: &[Edge]| edges.iter().map(|edge| edge.calls).sum::<u64>();
        let mut last = 0;
        let what = format!("{calls} calls on {ports:?}");
        let start = std::time::Instant::now();
        while start.elapsed() < SETTLED {
            last = sum(&self.edges_of(ports));
            if last >= calls {
                break;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(last, calls, "{what}; status: {:#?}", self.status());
        // One more reading of the maps: a late count would show here.
        std::thread::sleep(Duration::from_millis(1500));
        let edges = self.edges_of(ports);
        assert_eq!(sum(&edges), calls, "{what}, two readings later");
        edges
    }

    /// Applies a policy text.
    ///
    /// # Panics
    /// If it is refused.
    pub fn apply(&self, name: &str, policy: &str) {
        let file = self.folder.write(&format!("{name}.yaml"), policy);
        let file = file.to_string_lossy().into_owned();
        must(&mut self.cli(["policy", "apply", &file]));
    }

    /// The loaded policy of that name.
    pub fn policy(&self, name: &str) -> Policy {
        self.ask::<Policy>(&["policy", "list"])
            .items
            .into_iter()
            .find(|policy| policy.name == name)
            .unwrap_or_else(|| panic!("policy {name} is not loaded"))
    }

    /// Recent verdicts on a destination port.
    pub fn verdicts(&self, port: u16) -> Vec<Verdict> {
        let mut verdicts = self.ask::<Verdict>(&["verdicts"]).items;
        verdicts.retain(|verdict| verdict.port == port);
        verdicts
    }

    /// Starts `weir tap`.
    pub fn tap(&self) -> Tap {
        Tap::start(self)
    }

    /// `weir off`.
    ///
    /// # Panics
    /// If it fails.
    pub fn off(&mut self) {
        must(&mut self.cli(["off"]));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the daemon ---\n{}", self.log());
        }
        self.daemon.take();
        let _ = self.weir(["off"]);
    }
}

/// A running `weir tap -o jsonl`.
pub struct Tap {
    process: Process,
    folder: Scratch,
}

/// What a tap saw in its whole life.
pub struct Tapped {
    /// Exchanges, in the order told.
    pub exchanges: Vec<Exchange>,
    /// What it wrote to stderr, losses among it.
    pub notices: String,
}

impl Tapped {
    /// Sum of the losses that take a detail but not its count, from the last notice:
    /// `… 12 lost in the kernel (ring_full 10, …), 3 left out because …`.
    pub fn lost_details(&self) -> u64 {
        let last = self.notices.lines().last().unwrap_or_default();
        let words: Vec<&str> = last
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty())
            .collect();
        let number = |word: &str| word.parse::<u64>().ok();
        let ring_full = words.windows(2).find(|pair| pair[0] == "ring_full");
        let left_out = words.windows(3).find(|words| words[1..] == ["left", "out"]);
        ring_full.and_then(|pair| number(pair[1])).unwrap_or(0)
            + left_out.and_then(|words| number(words[0])).unwrap_or(0)
    }
}

impl Tap {
    fn start(agent: &Agent) -> Self {
        let folder = Scratch::new();
        // `exec` keeps the shell from standing between the tap and its signal.
        let script = format!(
            "exec {} tap -o jsonl --socket {} >{out}/items 2>{out}/notices",
            weir_binary().display(),
            agent.socket().display(),
            out = folder.path().display()
        );
        let process = Process::start(Command::new("sh").args(["-c", &script]));
        let tap = Self { process, folder };
        // Exchanges before the subscription stands would be missing without being lost.
        std::thread::sleep(Duration::from_millis(700));
        tap
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.process.kill();
    }

    /// Ends it with Ctrl-C and reads what it wrote.
    pub fn finish(mut self) -> Tapped {
        self.process.signal(Signal::INT);
        self.process.wait(Duration::from_secs(30));
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        let exchanges = read("items")
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect();
        Tapped {
            exchanges,
            notices: read("notices"),
        }
    }

    /// Waits until it wrote `count` exchanges whose server is on `port`, then ends it and returns
    /// those.
    pub fn take(self, port: u16, count: usize) -> Vec<Exchange> {
        let items = self.folder.path().join("items");
        let mark = format!(":{port}\"");
        let start = std::time::Instant::now();
        while start.elapsed() < SETTLED {
            let text = fs::read_to_string(&items).unwrap_or_default();
            if text.lines().filter(|line| line.contains(&mark)).count() >= count {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let mut exchanges = self.finish().exchanges;
        exchanges.retain(|item| item.server.addr.ends_with(&format!(":{port}")));
        exchanges
    }
}
