//! Limits of connections per second: exact from two CPUs at once, refused at once, held without the
//! daemon.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use weir_tests::{
    agent::{Agent, SETTLED},
    gate::{live, workspace},
    netns::{Link, Namespace},
    process::must,
    wait_for,
};

const WINDOW: Duration = Duration::from_secs(10);
const AT_ONCE: Duration = Duration::from_millis(50);

fn limit(name: &str, from: &str, port: u16, connections: &str) -> String {
    format!(
        "apiVersion: weir.dev/v1\nkind: TrafficPolicy\nmetadata: {{ name: {name} }}\nspec:\n  \
         from: {{ {from} }}\n  to: {{ any: true, port: {port} }}\n  \
         limits: {{ connections: {{ {connections} }} }}\n"
    )
}

/// Accepts and hangs up until it is dropped.
struct Server {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    fn start(host: &Namespace, address: SocketAddr) -> Self {
        let listener = host.run(|| TcpListener::bind(address).expect("listen"));
        let ended = Arc::new(AtomicBool::new(false));
        let seen = ended.clone();
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if seen.load(Ordering::Relaxed) {
                    return;
                }
                drop(stream);
            }
        });
        Self {
            address,
            ended,
            thread: Some(thread),
        }
    }

    fn stop(mut self, host: &Namespace) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = host.run(|| TcpStream::connect(self.address));
        self.thread.take().map(thread::JoinHandle::join);
    }
}

/// What came of connecting without a pause.
#[derive(Default)]
struct Tried {
    /// When those that were let through were.
    admitted: Vec<Instant>,
    refused: u64,
    slowest: Duration,
}

/// Connects as fast as it goes until `until`, from a thread of its own on each CPU.
fn storm(host: &Namespace, address: SocketAddr, until: Instant) -> Tried {
    let one = || {
        let mut tried = Tried::default();
        while Instant::now() < until {
            let start = Instant::now();
            match TcpStream::connect(address) {
                Ok(_) => tried.admitted.push(start),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    tried.refused += 1;
                    tried.slowest = tried.slowest.max(start.elapsed());
                }
                Err(error) => panic!("connect: {error}"),
            }
        }
        tried
    };
    let (first, second) = thread::scope(|scope| {
        let threads = [0, 1].map(|_| scope.spawn(|| host.run(one)));
        let [first, second] = threads.map(|thread| thread.join().expect("a client"));
        (first, second)
    });
    let mut admitted = first.admitted;
    admitted.extend(second.admitted);
    admitted.sort();
    Tried {
        admitted,
        refused: first.refused + second.refused,
        slowest: first.slowest.max(second.slowest),
    }
}

/// Fails unless the rate was held within a hundredth over the whole time, and never by more than
/// the burst in any second.
fn check(admitted: &[Instant], per_second: u64, burst: u64) {
    let seen = admitted.len() as f64;
    let expected = per_second as f64 * WINDOW.as_secs_f64();
    eprintln!("{per_second}/s: {seen} of {expected} and a burst of {burst}");
    assert!(seen >= expected * 0.99, "{seen} of {expected}");
    assert!(
        seen <= expected * 1.01 + burst as f64,
        "{seen} of {expected}"
    );
    // What a thread noted before a pause of its own may seem a little early.
    let most = (per_second + burst) as f64 * 1.02 + 2.0;
    let mut first = 0;
    for (last, at) in admitted.iter().enumerate() {
        while at.duration_since(admitted[first]) > Duration::from_secs(1) {
            first += 1;
        }
        let within = (last - first) as f64;
        assert!(within <= most, "{within} in a second, {most} at most");
    }
}

#[test]
fn connections_per_second_are_exact_from_two_cpus_at_once() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::start();
    for (port, per_second, burst, words) in [
        (9301, 10, 1, "perSecond: 10"),
        (9302, 200, 5, "perSecond: 200, burst: 5"),
        (9303, 1_000, 100, "perSecond: 1000"),
    ] {
        let name = format!("at-most-{per_second}");
        agent.apply(&name, &limit(&name, "any: true", port, words));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let server = Server::start(&host, address);
        let tried = storm(&host, address, Instant::now() + WINDOW);
        check(&tried.admitted, per_second, burst);
        assert!(
            tried.refused > 0 && tried.slowest < AT_ONCE,
            "{:?}",
            tried.slowest
        );
        let policy = wait_for("counters of the policy", SETTLED, || {
            let policy = agent.policy(&name);
            (policy.denied >= tried.refused).then_some(policy)
        });
        assert_eq!(policy.denied, tried.refused);
        assert_eq!(policy.allowed, tried.admitted.len() as u64);
        let verdict = agent.verdicts(port).pop().expect("a verdict");
        let told = (verdict.verdict.as_str(), verdict.reason.as_str());
        assert_eq!(told, ("deny", "limit"), "{verdict:?}");
        agent.weir(["policy", "delete", &name]);
        server.stop(&host);
    }
}

#[test]
fn a_limit_outlives_the_daemon_and_ends_with_its_policy() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let mut agent = Agent::start();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9304));
    let server = Server::start(&host, address);
    agent.apply(
        "few",
        &limit("few", "any: true", 9304, "perSecond: 1, burst: 3"),
    );
    let at_once = || {
        let connect = |_: &i32| host.run(|| TcpStream::connect(address)).is_ok();
        (0..20).filter(connect).count()
    };
    let few = 3..=4;
    assert!(few.contains(&at_once()));
    agent.kill();
    thread::sleep(Duration::from_secs(4));
    assert!(few.contains(&at_once()), "without the daemon");
    agent.restart();
    // What was taken before counts on: nothing is left for now.
    assert!(at_once() <= 3, "behind a restart");
    thread::sleep(Duration::from_secs(4));
    assert!(
        few.contains(&at_once()),
        "the restarted daemon has the policy"
    );
    agent.weir(["policy", "delete", "few"]);
    assert_eq!(at_once(), 20);
    server.stop(&host);
}

/// What a handmade SYN from another host is met with.
fn knock(far: &Namespace, link: &Link, port: u16) -> String {
    let mut command = far.command("/usr/bin/python3");
    command.arg(workspace().join("tests/servers/syn.py"));
    let addresses = [link.first, link.second].map(|address| address.to_string());
    must(command.args(addresses).arg(port.to_string()))
        .trim()
        .to_owned()
}

#[test]
fn callers_of_other_hosts_have_to_try_again() {
    if !live() {
        return;
    }
    const PORT: u16 = 9305;
    let (far, here) = (Namespace::new(), Namespace::new());
    let link = Link::between(&far, &here, 14);
    let server = Server::start(&here, SocketAddr::new(link.second, PORT));
    let agent = Agent::start();
    let from = format!("cidr: {}/32", link.first);
    agent.apply("slow", &limit("slow", &from, PORT, "perSecond: 1"));
    assert_eq!(knock(&far, &link, PORT), "synack");
    assert_ne!(knock(&far, &link, PORT), "synack", "within the same second");
    let verdict = wait_for("a verdict", SETTLED, || agent.verdicts(PORT).pop());
    let told = (verdict.hook.as_str(), verdict.reason.as_str());
    assert_eq!(told, ("ingress", "limit"), "{verdict:?}");
    thread::sleep(Duration::from_millis(1_500));
    assert_eq!(knock(&far, &link, PORT), "synack", "a second later");
    server.stop(&here);
}
