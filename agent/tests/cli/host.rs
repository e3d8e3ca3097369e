//! A host for the binary: a folder of its own, a daemon of fixed answers, and how commands end.

use std::{
    collections::BTreeMap,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{broadcast, oneshot};
use weir::{
    control::{
        api::{Answers, ExplainQuery, Explanation, PolicyFile, PolicyItem, Refusal, Status},
        bind, server,
    },
    observe::model::{
        Answer, EdgeItem, EdgeState, Endpoint, Exchange, Filter, FlowItem, ServiceItem, TcpItem,
        VerdictItem, WorkloadKind,
    },
};

/// A daemon with `edges` edges that taps whatever the test sends.
pub struct Fixed {
    edges: usize,
    pub exchanges: broadcast::Sender<Arc<Exchange>>,
    pub lost: AtomicU64,
}

fn endpoint(service: &str) -> Endpoint {
    Endpoint {
        service: service.into(),
        namespace: None,
        kind: WorkloadKind::Unit,
        instance: None,
        addr: "10.0.0.1:80".into(),
    }
}

fn edge(number: usize) -> EdgeItem {
    EdgeItem {
        client: endpoint("web"),
        server: endpoint(&format!("api-{number}")),
        protocol: "http".into(),
        port: 80,
        destination: None,
        calls: 10,
        errors: 1,
        rate: 2.5,
        p50_ns: Some(1_000_000),
        p95_ns: None,
        p99_ns: None,
        queue_mean_ns: None,
        bytes_out: 1,
        bytes_in: 2,
        connections: 1,
        tls: false,
        completeness: 1.0,
        last_seen: 1_700_000_000.0,
    }
}

fn exchange(number: u32) -> Exchange {
    let json = serde_json::json!({
        "ts": 1_700_000_000.0 + f64::from(number), "duration_ns": 5, "client": endpoint("web"),
        "server": endpoint("api"), "protocol": "http", "operation": "GET /",
        "request_bytes": 1, "response_bytes": 2, "tls": false, "verdict": "allow",
    });
    serde_json::from_value(json).unwrap()
}

fn answer<T>(items: Vec<T>) -> Answer<T> {
    Answer {
        v: 1,
        completeness: 0.992,
        lost: BTreeMap::from([("ring_full".into(), 10), ("segment_gap".into(), 2)]),
        items,
    }
}

impl Answers for Fixed {
    fn status(&self) -> Status {
        let lost = self.lost.load(Ordering::Relaxed);
        Status {
            version: "0.1.0".into(),
            completeness: 1.0,
            lost: BTreeMap::from([("ring_full".into(), lost)]),
            ..Status::default()
        }
    }
    fn edges(&self, _: &Filter) -> Answer<EdgeItem> {
        answer((0..self.edges).map(edge).collect())
    }
    fn edge_states(&self) -> Vec<EdgeState> {
        Vec::new()
    }
    fn services(&self, _: &Filter) -> Answer<ServiceItem> {
        answer(Vec::new())
    }
    fn tcp(&self, _: &Filter) -> Answer<TcpItem> {
        answer(Vec::new())
    }
    fn flows(&self, _: &Filter) -> Answer<FlowItem> {
        answer(Vec::new())
    }
    fn exchanges(&self, _: &Filter) -> Answer<Exchange> {
        answer((0..3).map(exchange).collect())
    }
    fn verdicts(&self, _: &Filter) -> Answer<VerdictItem> {
        answer(Vec::new())
    }
    fn tap(&self) -> broadcast::Receiver<Arc<Exchange>> {
        self.exchanges.subscribe()
    }
    fn tap_ended(&self) {}
    fn follow_details(&self) -> broadcast::Receiver<Arc<Exchange>> {
        self.exchanges.subscribe()
    }
    fn follow_flows(&self) -> broadcast::Receiver<Arc<FlowItem>> {
        broadcast::channel(1).1
    }
    fn follow_verdicts(&self) -> broadcast::Receiver<Arc<VerdictItem>> {
        broadcast::channel(1).1
    }
    fn policies(&self) -> Vec<PolicyItem> {
        let policy = PolicyItem {
            name: "no-egress".into(),
            action: "deny".into(),
            ..PolicyItem::default()
        };
        vec![policy]
    }
    fn policies_yaml(&self) -> String {
        "kind: TrafficPolicy\n".into()
    }
    fn policy_apply(&self, files: &[PolicyFile]) -> Result<Vec<String>, Vec<Refusal>> {
        match files.iter().find(|file| file.text.contains("nonsense")) {
            None => Ok(files.iter().map(|file| file.name.clone()).collect()),
            Some(file) => Err(vec![Refusal {
                file: file.name.clone(),
                line: 3,
                reason: "unknown action `nonsense`".into(),
                remedy: "use allow or deny".into(),
            }]),
        }
    }
    fn policy_check(&self, files: &[PolicyFile]) -> Result<Vec<String>, Vec<Refusal>> {
        self.policy_apply(files)
    }
    fn policy_delete(&self, _: &str) -> anyhow::Result<bool> {
        Ok(false)
    }
    fn policy_explain(&self, _: &ExplainQuery) -> anyhow::Result<Explanation> {
        Ok(Explanation {
            verdict: "deny".into(),
            policy: "no-egress".into(),
            ..Explanation::default()
        })
    }
}

/// A folder of its own with a daemon that answers; both go with the value.
pub struct Host {
    pub folder: PathBuf,
    pub answers: Arc<Fixed>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Host {
    /// Without a daemon.
    pub fn empty(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("weir-cli-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let answers = Fixed {
            edges: 2,
            exchanges: broadcast::channel(1024).0,
            lost: AtomicU64::new(0),
        };
        Self {
            folder,
            answers: Arc::new(answers),
            stop: None,
            thread: None,
        }
    }

    /// With a daemon that knows so many edges.
    pub fn serving(name: &str, edges: usize) -> Self {
        let mut host = Self::empty(name);
        Arc::get_mut(&mut host.answers).unwrap().edges = edges;
        let socket = bind::bind(&host.socket()).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let answers = host.answers.clone();
        host.stop = Some(stop);
        host.thread = Some(std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let shutdown = async { drop(stopped.await) };
            let served = server::serve(socket, answers, shutdown);
            runtime.unwrap().block_on(served).unwrap();
        }));
        host
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join("weir.sock")
    }

    pub fn weir(&self, args: &[&str]) -> Command {
        self.program(env!("CARGO_BIN_EXE_weir").into(), args)
    }

    /// The same as a user without any right.
    pub fn weir_as_nobody(&self, args: &[&str]) -> Command {
        // The build folder may be closed to others.
        let copy = self.folder.join("weir");
        std::fs::copy(env!("CARGO_BIN_EXE_weir"), &copy).unwrap();
        let mut command = self.program(copy, args);
        if is_root() {
            command.uid(65_534).gid(65_534);
        }
        command
    }

    fn program(&self, program: PathBuf, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.env("WEIR_SOCKET", self.socket()).args(args);
        command.stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        Ended::of(args, self.weir(args).output().unwrap())
    }

    /// Starts a stream and waits until the daemon has its subscriber.
    pub fn stream(&self, args: &[&str]) -> Child {
        let mut command = self.weir(args);
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_until(|| self.answers.exchanges.receiver_count() > 0);
        child
    }

    pub fn send(&self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            let _ = self.answers.exchanges.send(Arc::new(exchange(number)));
        }
    }

    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub fn wait_until(ready: impl Fn() -> bool) {
    let began = Instant::now();
    while !ready() {
        assert!(began.elapsed() < Duration::from_secs(20), "waited too long");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How a command ended.
pub struct Ended {
    pub what: String,
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    pub fn of(args: &[&str], output: Output) -> Self {
        Self {
            what: args.join(" "),
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Checks the exit code and that stderr holds `words`.
    #[track_caller]
    pub fn check(&self, code: i32, words: &str) -> &Self {
        let Self { what, out, err, .. } = self;
        assert_eq!(self.code, Some(code), "{what}\n{out}\n{err}");
        assert!(err.contains(words), "{what}: {words}\n{err}");
        assert!(
            !err.contains("panicked") && !err.contains('\u{1b}'),
            "{what}\n{err}"
        );
        self
    }
}
