//! The smoke suite inside a virtual machine, started by the init script of `cargo xtask vm`.
//!
//! Prints one line per check and closes with `guest: N passed, M failed`, which the host reads
//! from the serial console. Bounds are wide: the guest's CPU is emulated.
#![forbid(unsafe_code)]

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    panic,
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

use weir_tests::{
    agent::{Agent, Options},
    answer::Edge,
    bulk::Bulk,
    client::Client,
    kernel, metrics,
    process::output,
    server::{Place, h2load, nghttpd::Nghttpd},
    wait_for,
};

const METRICS: ([u8; 4], u16) = ([127, 0, 0, 1], 9464);
const HTTP: u16 = 8080;
const HTTP2: ([u8; 4], u16) = ([127, 0, 0, 1], 8100);
const DENIED: u16 = 8081;
const PACED: u16 = 8082;
const LIMITED: u16 = 8083;
/// Errors that a refused caller may see: before 6.1 a program cannot choose, it is EPERM.
const REFUSED: [ErrorKind; 2] = [ErrorKind::ConnectionRefused, ErrorKind::PermissionDenied];

/// A check with its name; later ones build on the state that earlier ones left.
type Check = (&'static str, fn(&mut Agent));

const CHECKS: [Check; 9] = [
    ("every hook is in force or named as missing", hooks),
    ("an exchange on lo is counted", |agent| {
        exchange(agent, Ipv4Addr::LOCALHOST.into(), HTTP)
    }),
    ("an exchange over IPv6 is counted", |agent| {
        exchange(agent, Ipv6Addr::LOCALHOST.into(), HTTP + 10);
    }),
    ("streams of HTTP/2 on one connection are counted", http2),
    ("a deny refuses", deny),
    ("a limit of connections holds", connections),
    ("a bandwidth limit holds roughly", bandwidth),
    ("kill -9 leaves the rules in force", kill),
    ("off leaves nothing", off),
];

fn main() -> ExitCode {
    let options = || Options {
        config: format!("metrics = \"{}\"\n", SocketAddr::from(METRICS)),
        ..Options::default()
    };
    let mut agent = match panic::catch_unwind(|| Agent::with(options())) {
        Ok(agent) => agent,
        Err(_) => {
            println!("guest: FAILED weir run answers");
            println!("guest: 0 passed, 1 failed");
            return ExitCode::FAILURE;
        }
    };
    let mut failed = 0;
    for (name, check) in CHECKS {
        let result = panic::catch_unwind(panic::AssertUnwindSafe(|| check(&mut agent)));
        let word = if result.is_ok() { "ok" } else { "FAILED" };
        println!("guest: {word} {name}");
        failed += usize::from(result.is_err());
    }
    if failed > 0 {
        println!("guest: log of the daemon:\n{}", agent.log());
    }
    println!("guest: {} passed, {failed} failed", CHECKS.len() - failed);
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn hooks(agent: &mut Agent) {
    let status = agent.status();
    println!("guest: hooks {}", status.hooks.join(", "));
    for missing in &status.missing {
        println!("guest: missing {missing}");
        // The only hook that not every supported kernel has.
        assert!(missing.starts_with("recv: ") && !has_queue_times());
    }
    assert!(!status.hooks.is_empty());
    let doctor = agent.weir(["doctor"]);
    let words = String::from_utf8_lossy(&doctor.stdout);
    for line in words.lines() {
        println!("guest: doctor {line}");
    }
    assert!(
        !words.is_empty(),
        "{}",
        String::from_utf8_lossy(&doctor.stderr)
    );
}

/// Answers every request on every connection with `200 ok` until the guest ends.
fn serve(address: SocketAddr) {
    let listener = TcpListener::bind(address).expect("listen");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
}

fn answer(mut stream: TcpStream) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while stream.read_exact(&mut byte).is_ok() {
        head.push(byte[0]);
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            if stream.write_all(answer).is_err() {
                return;
            }
        }
    }
}

fn exchange(agent: &mut Agent, ip: IpAddr, port: u16) {
    let address = SocketAddr::new(ip, port);
    serve(address);
    let mut client = Client::connect(address);
    for _ in 0..10 {
        client.send("GET /smoke HTTP/1.1\r\nHost: guest\r\n\r\n");
        assert_eq!(client.response(false).status, 200);
    }
    let edges = agent.expect_calls(&[port], 10);
    assert_eq!(edges.len(), 1, "{edges:#?}");
    assert_eq!(edges[0].protocol, "http");
    check_queue_times(&edges[0]);
}

/// True where the kernel tells when an application reads.
fn has_queue_times() -> bool {
    kernel::is_at_least(6, 3)
}

fn check_queue_times(edge: &Edge) {
    assert_eq!(edge.queue_mean_ns.is_some(), has_queue_times(), "{edge:#?}");
}

/// Its storage is the largest: here it shows whether all of a socket's fit into what the kernel
/// grants one.
fn http2(agent: &mut Agent) {
    let limit = std::fs::read_to_string("/proc/sys/net/core/optmem_max").expect("read the limit");
    println!("guest: a socket may hold {} bytes of storage", limit.trim());
    let server = Nghttpd::start(Place::Host, HTTP2.into(), None);
    let paths = ["/index.html", "/orders/7/items", "/gone"];
    let answered = h2load::http2_one(Place::Host, server.address, &paths, 60);
    assert_eq!(answered, (40, 20));
    let edges = agent.expect_calls(&[HTTP2.1], 60);
    let arrows: Vec<_> = edges.iter().map(Edge::arrow).collect();
    assert_eq!(arrows, ["load → files:8100 http2"]);
    edges[0].check_whole();
    check_queue_times(&edges[0]);
    let served = metrics::settled(METRICS.into(), Nghttpd::SERVICE, 60);
    let calls: Vec<_> = served
        .iter()
        .map(|((operation, status), served)| (operation.as_str(), *status, served.calls))
        .collect();
    let expected = [
        ("GET /gone", 404, 20),
        ("GET /index.html", 200, 20),
        ("GET /orders/*/items", 200, 20),
    ];
    assert_eq!(calls, expected);
    let lost = agent.status().lost;
    assert_eq!(lost.get("storage_failed").unwrap_or(&0), &0, "{lost:?}");
}

fn policy(name: &str, port: u16, rest: &str) -> String {
    format!(
        "apiVersion: weir.dev/v1\nkind: TrafficPolicy\nmetadata: {{ name: {name} }}\nspec:\n  \
         from: {{ any: true }}\n  to: {{ any: true, port: {port} }}\n  {rest}\n"
    )
}

fn connect(ip: IpAddr) -> Result<TcpStream, ErrorKind> {
    let address = SocketAddr::new(ip, DENIED);
    TcpStream::connect_timeout(&address, Duration::from_secs(5)).map_err(|error| error.kind())
}

fn expect_refused() {
    for ip in [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        Ipv6Addr::LOCALHOST.into(),
    ] {
        let result = connect(ip);
        assert!(
            result.as_ref().is_err_and(|kind| REFUSED.contains(kind)),
            "{ip}: {result:?}"
        );
    }
}

fn deny(agent: &mut Agent) {
    serve(SocketAddr::from((Ipv6Addr::UNSPECIFIED, DENIED)));
    connect(Ipv4Addr::LOCALHOST.into()).expect("before the policy");
    agent.apply("deny", &policy("deny", DENIED, "action: deny"));
    expect_refused();
}

fn connections(agent: &mut Agent) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, LIMITED));
    serve(address);
    let rest = "limits: { connections: { perSecond: 1, burst: 3 } }";
    agent.apply("few", &policy("few", LIMITED, rest));
    let start = Instant::now();
    let admitted = (0..30)
        .filter(|_| TcpStream::connect(address).is_ok())
        .count() as u64;
    let most = 3 + start.elapsed().as_secs() + 1;
    println!("guest: {admitted} of 30 connections, {most} at most");
    assert!((3..=most).contains(&admitted), "{admitted}, {most} at most");
    wait_for("each to be counted", Duration::from_secs(20), || {
        let counted = agent.policy("few");
        (counted.allowed + counted.denied == 30).then_some(())
    });
}

fn bandwidth(agent: &mut Agent) {
    let rest = "action: allow\n  limits: { bandwidth: 8Mbit/s }";
    agent.apply("pace", &policy("pace", PACED, rest));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PACED));
    let bulk = Bulk::start(Place::Host, Place::Host, address, 2);
    thread::sleep(Duration::from_secs(1));
    let rate = bulk.measure(Duration::from_secs(4));
    println!("guest: 8 Mbit/s limit, {:.2} received", rate / 1e6);
    assert!((7.2e6..=8.8e6).contains(&rate), "{rate}");
}

fn kill(agent: &mut Agent) {
    agent.kill();
    expect_refused();
    agent.restart();
    expect_refused();
    assert_eq!(agent.status().policies, 3, "the policies are known again");
}

fn off(agent: &mut Agent) {
    agent.stop();
    agent.off();
    connect(Ipv4Addr::LOCALHOST.into()).expect("off removes the rules");
    assert_eq!(kernel::pins(), Vec::<String>::new());
    // Kernels free programs some time after the last use.
    wait_for("programs to be gone", Duration::from_secs(20), || {
        let programs = output(Command::new("bpftool").args(["prog", "show"]));
        assert!(programs.status.success(), "{programs:?}");
        let programs = String::from_utf8_lossy(&programs.stdout).into_owned();
        (!programs.contains("weir")).then_some(())
    });
}
