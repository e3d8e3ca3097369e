//! Queue times: how long requests wait in the socket until the server's application reads them, as
//! client and server measured it themselves.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use weir_tests::{
    agent::{Agent, Options},
    answer::{Edge, Exchange},
    client::Client,
    gate::{live, skip},
    kernel,
    metrics::queued,
    netns::Namespace,
    server::{Place, free_port, late::LateServer, nginx::Nginx, wrk},
    wait_for,
};

const ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 1], 8090);
const GET: &str = "GET /late HTTP/1.1\r\nHost: test\r\n\r\n";
const NO_TIME: Duration = Duration::ZERO;
const LATE: Duration = Duration::from_millis(300);

/// How long a server may need for a request that it reads at once, ns.
const AT_ONCE_NS: u64 = 10_000_000;

fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.expect("a time after 1970").as_nanos()).expect("a time before 2554")
}

/// Sends `count` requests in one segment, waits for their answers, and tells when it sent them.
fn ask(client: &mut Client, count: usize) -> Vec<u64> {
    let sent = now_ns();
    client.send(GET.repeat(count));
    for _ in 0..count {
        assert_eq!(client.response(false).status, 200);
    }
    vec![sent; count]
}

/// A host with its daemon and the server under test.
struct Scene {
    host: Namespace,
    agent: Agent,
    server: LateServer,
}

impl Scene {
    fn new(how: &str, before: Duration, after: Duration) -> Self {
        let host = Namespace::new();
        let agent = Agent::start();
        let address = SocketAddr::from(ADDRESS);
        let server = LateServer::start(Place::In(&host), address, how, before, after);
        Self {
            host,
            agent,
            server,
        }
    }

    /// Plays a client, and gives its exchanges in the order in which they were answered, with how
    /// long each request lay in the socket by what client and server say, ns.
    fn play(&self, client: impl FnOnce(SocketAddr) -> Vec<u64> + Send) -> Vec<(Exchange, u64)> {
        let tap = self.agent.tap();
        let sent = self.host.run(|| client(self.server.address));
        let read = self.server.read_at(sent.len());
        let told = tap.take(ADDRESS.1, sent.len());
        assert_eq!(told.len(), sent.len(), "{told:#?}");
        let lay = read.iter().zip(&sent).map(|(read, sent)| read - sent);
        told.into_iter().zip(lay).collect()
    }

    /// False where the kernel has no such hook: then no queue time may be told, and weir must say
    /// what is missing.
    fn knows(&self, told: &[(Exchange, u64)]) -> bool {
        let status = self.agent.status();
        if status.hooks.iter().any(|hook| hook == "recv") {
            return true;
        }
        assert!(!kernel::is_at_least(6, 3), "{:?}", status.missing);
        assert!(told.iter().all(|(exchange, _)| exchange.queue_ns.is_none()));
        let missing = |line: &String| line.starts_with("recv: queue times");
        assert!(status.missing.iter().any(missing), "{:?}", status.missing);
        false
    }

    /// Makes sure that the edge's mean is that of its exchanges.
    fn check_mean(&self, told: &[(Exchange, u64)]) {
        let times: Vec<u64> = told.iter().filter_map(|(e, _)| e.queue_ns).collect();
        let edges: Vec<Edge> = self.agent.expect_calls(&[ADDRESS.1], told.len() as u64);
        let mean = times.iter().sum::<u64>().checked_div(times.len() as u64);
        assert_eq!(edges[0].queue_mean_ns, mean, "{edges:#?}");
    }
}

/// Fails unless each is known within 5 % of what client and server measured.
fn check_late(told: &[(Exchange, u64)]) {
    for (exchange, lay) in told {
        let queue = exchange.queue_ns.unwrap_or_default();
        let off = queue.abs_diff(*lay);
        assert!(off * 20 < *lay, "{queue} ns of {lay} ns: {exchange:#?}");
        assert!(u128::from(queue) >= LATE.as_nanos(), "{queue} ns");
        assert!(queue < exchange.duration_ns, "{exchange:#?}");
    }
}

/// Fails unless each was read at once.
fn check_prompt(told: &[(Exchange, u64)]) {
    for (exchange, _) in told {
        let queue = exchange.queue_ns.expect("a queue time");
        assert!((1..AT_ONCE_NS).contains(&queue), "{queue} ns");
    }
}

#[test]
fn a_late_server_whatever_call_it_reads_with() {
    if !live() {
        return;
    }
    for how in ["recv,read", "readv,recvmsg", "recvfrom,peek"] {
        let scene = Scene::new(how, LATE, NO_TIME);
        let told = scene.play(|address| {
            let mut client = Client::connect(address);
            (0..4).flat_map(|_| ask(&mut client, 1)).collect()
        });
        if scene.knows(&told) {
            check_late(&told);
        }
        scene.check_mean(&told);
    }
}

#[test]
fn a_prompt_server() {
    if !live() {
        return;
    }
    // However long it works, and in however many pieces it reads.
    let scene = Scene::new("recv,short", NO_TIME, LATE);
    let told = scene.play(|address| {
        let mut client = Client::connect(address);
        (0..4).flat_map(|_| ask(&mut client, 1)).collect()
    });
    if scene.knows(&told) {
        check_prompt(&told);
    }
    scene.check_mean(&told);
}

#[test]
fn pipelined_requests() {
    if !live() {
        return;
    }
    let scene = Scene::new("recv", LATE, NO_TIME);
    let told = scene.play(|address| ask(&mut Client::connect(address), 4));
    if scene.knows(&told) {
        check_late(&told);
    }
    scene.check_mean(&told);
}

/// A frame of HTTP/2 with one byte of flags.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).expect("a short payload");
    let mut bytes = vec![0, 0, len, kind, flags, 0, 0, 0, stream];
    bytes.extend(payload);
    bytes
}

#[test]
fn streams_of_http2() {
    const HEADERS: u8 = 1;
    const END_STREAM_AND_HEADERS: u8 = 5;
    // `GET http /` out of the static table.
    const GET: [u8; 3] = [0x82, 0x86, 0x84];
    if !live() {
        return;
    }
    let scene = Scene::new("recv,recvmsg", LATE, NO_TIME);
    let told = scene.play(|address| {
        let mut client = Client::connect(address);
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        client.send(frame(4, 0, 0, &[]));
        client.exactly(9);
        let mut times = Vec::new();
        for streams in [[1, 3, 5], [7, 9, 11]] {
            times.extend([now_ns(); 3]);
            let ask = |stream| frame(HEADERS, END_STREAM_AND_HEADERS, stream, &GET);
            client.send(streams.map(ask).concat());
            client.exactly(3 * 10);
        }
        times
    });
    assert!(told.iter().all(|(e, _)| e.protocol == "http2"), "{told:#?}");
    if scene.knows(&told) {
        check_late(&told);
    }
    scene.check_mean(&told);
}

#[test]
fn one_thread_with_two_connections() {
    if !live() {
        return;
    }
    let scene = Scene::new("recv", NO_TIME, LATE);
    let told = scene.play(|address| {
        let mut first = Client::connect(address);
        let mut second = Client::connect(address);
        first.send(GET);
        let mut sent = vec![now_ns()];
        // The server is at work on the first one.
        thread::sleep(LATE / 6);
        sent.extend(ask(&mut second, 1));
        assert_eq!(first.response(false).status, 200);
        sent
    });
    if scene.knows(&told) {
        check_prompt(&told[..1]);
        let (exchange, lay) = &told[1];
        let queue = exchange.queue_ns.unwrap_or_default();
        assert!(queue.abs_diff(*lay) * 20 < *lay, "{queue} ns of {lay} ns");
        assert!(u128::from(queue) > LATE.as_nanos() / 2, "{queue} ns");
    }
    scene.check_mean(&told);
}

#[test]
fn a_head_in_two_parts_is_read_from_its_first_one() {
    if !live() {
        return;
    }
    let scene = Scene::new("recv", NO_TIME, NO_TIME);
    let told = scene.play(|address| {
        let mut client = Client::connect(address);
        let sent = now_ns();
        let (left, right) = GET.split_at(20);
        client.send(left);
        thread::sleep(LATE);
        client.send(right);
        assert_eq!(client.response(false).status, 200);
        vec![sent]
    });
    if scene.knows(&told) {
        check_prompt(&told);
        assert!(u128::from(told[0].0.duration_ns) > LATE.as_nanos());
    }
}

#[test]
fn what_is_spliced_is_not_known_and_spoils_nothing() {
    if !live() {
        return;
    }
    let scene = Scene::new("splice,recv", LATE, NO_TIME);
    let told = scene.play(|address| {
        let mut client = Client::connect(address);
        (0..4).flat_map(|_| ask(&mut client, 1)).collect()
    });
    let spliced = told.iter().step_by(2);
    assert!(spliced.into_iter().all(|(e, _)| e.queue_ns.is_none()));
    if scene.knows(&told) {
        let rest: Vec<_> = told.iter().skip(1).step_by(2).cloned().collect();
        check_late(&rest);
    }
    scene.check_mean(&told);
}

#[test]
fn connections_older_than_weir_have_none() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let address = SocketAddr::from(ADDRESS);
    let server = LateServer::start(Place::In(&host), address, "recv", NO_TIME, NO_TIME);
    let mut old = host.run(|| Client::connect(address));
    ask(&mut old, 1);
    let agent = Agent::start();
    let tap = agent.tap();
    ask(&mut old, 2);
    host.run(|| ask(&mut Client::connect(address), 1));
    server.read_at(4);
    let told = tap.take(ADDRESS.1, 3);
    let times: Vec<bool> = told.iter().map(|e| e.queue_ns.is_some()).collect();
    assert_eq!(
        times,
        [false, false, kernel::is_at_least(6, 3)],
        "{told:#?}"
    );
}

#[test]
fn of_very_many_requests_some_have_a_queue_time_and_of_few_all() {
    let is_known = || kernel::is_at_least(6, 3) || skip("queue times need Linux 6.3");
    if !live() || !is_known() {
        return;
    }
    let host = Namespace::new();
    let metrics = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let agent = Agent::with(Options {
        config: format!("metrics = \"{metrics}\"\n"),
        ..Options::default()
    });
    let place = Place::In(&host);
    let nginx = Nginx::start(place, ADDRESS.into(), "location / { return 200 ok; }");
    wrk::load(place, nginx.address, "/", wrk::Load::saturating(3));
    let many = nginx.served();
    agent.expect_served(&[ADDRESS.1], many);
    wait_for("queue times", Duration::from_secs(15), || {
        let some = queued(metrics, "nginx");
        (many / 12..many / 2).contains(&some).then_some(())
    });
    // Few again once two of the epochs are over in which many were read.
    thread::sleep(Duration::from_secs(2));
    let before = queued(metrics, "nginx");
    let few = 40;
    let mut client = host.run(|| Client::connect(nginx.address));
    (0..few).for_each(|_| drop(ask(&mut client, 1)));
    wait_for("a queue time of each", Duration::from_secs(15), || {
        (queued(metrics, "nginx") == before + few).then_some(())
    });
}
