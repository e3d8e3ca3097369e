//! Bandwidth limits by pacing: exact over ten seconds, without retransmits, changed while live.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    thread,
    time::Duration,
};

use weir_tests::{
    agent::Agent,
    bulk::Bulk,
    gate::live,
    netns::{Link, Namespace},
    server::Place,
};

const BASE_PORT: u16 = 9200;
/// The first second fills the buffers; then ten seconds count.
const WARM_UP: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_secs(10);

fn limit(port: u16, megabits: u32) -> String {
    format!(
        "apiVersion: weir.dev/v1\nkind: TrafficPolicy\nmetadata: {{ name: limit-{port} }}\nspec:\n  \
         from: {{ any: true }}\n  to: {{ any: true, port: {port} }}\n  action: allow\n  \
         limits: {{ bandwidth: {megabits}Mbit/s }}\n"
    )
}

/// A client and a server with the server's address: one namespace's loopback, or a veth pair.
struct Path {
    name: &'static str,
    client: Namespace,
    server: Option<Namespace>,
    address: IpAddr,
}

impl Path {
    fn loopback() -> Self {
        Self {
            name: "lo",
            client: Namespace::new(),
            server: None,
            address: Ipv4Addr::LOCALHOST.into(),
        }
    }

    fn veth() -> Self {
        let (client, server) = (Namespace::new(), Namespace::new());
        let address = Link::between(&client, &server, 3).second;
        Self {
            name: "veth",
            client,
            server: Some(server),
            address,
        }
    }

    fn bulk(&self, port: u16, flows: usize) -> Bulk {
        let server = self.server.as_ref().unwrap_or(&self.client);
        Bulk::start(
            Place::In(&self.client),
            Place::In(server),
            SocketAddr::new(self.address, port),
            flows,
        )
    }
}

fn assert_rate(what: &str, bits: f64, megabits: u32, tolerance: f64) {
    let share = bits / (f64::from(megabits) * 1e6);
    eprintln!("{what}: {:.2} % of {megabits} Mbit/s", share * 100.0);
    assert!(
        (share - 1.0).abs() <= tolerance,
        "{what}: {:.2} %",
        share * 100.0
    );
}

/// Runs all `cases` (megabits, flows) at once, each on a port of its own.
fn check(path: &Path, cases: &[(u32, usize)]) {
    let agent = Agent::start();
    let ports = BASE_PORT..;
    for (port, (megabits, _)) in ports.clone().zip(cases) {
        agent.apply(&format!("limit-{port}"), &limit(port, *megabits));
    }
    let before = path.client.retransmitted_segments();
    let running: Vec<_> = ports
        .zip(cases)
        .map(|(port, (_, flows))| path.bulk(port, *flows))
        .collect();
    thread::sleep(WARM_UP);
    let rates: Vec<f64> = thread::scope(|scope| {
        let measures: Vec<_> = running
            .iter()
            .map(|bulk| scope.spawn(|| bulk.measure(WINDOW)))
            .collect();
        measures
            .into_iter()
            .map(|measure| measure.join().expect("a measure"))
            .collect()
    });
    let retransmitted = path.client.retransmitted_segments() - before;
    for (rate, (megabits, flows)) in rates.into_iter().zip(cases) {
        assert_rate(&format!("{} × {flows}", path.name), rate, *megabits, 0.01);
    }
    assert_eq!(retransmitted, 0, "segments sent again on {}", path.name);
}

#[test]
fn limits_up_to_100_megabits_are_exact() {
    if !live() {
        return;
    }
    // Few enough bytes to run side by side on two cores.
    let cases = [(1, 1), (1, 8), (10, 1), (10, 8), (100, 1), (100, 8)];
    check(&Path::loopback(), &cases);
    check(&Path::veth(), &cases);
}

#[test]
fn a_gigabit_by_one_flow_is_exact() {
    if !live() {
        return;
    }
    check(&Path::loopback(), &[(1000, 1)]);
    check(&Path::veth(), &[(1000, 1)]);
}

#[test]
fn a_gigabit_by_eight_flows_is_exact() {
    if !live() {
        return;
    }
    check(&Path::loopback(), &[(1000, 8)]);
    check(&Path::veth(), &[(1000, 8)]);
}

#[test]
fn a_changed_limit_holds_within_a_second() {
    if !live() {
        return;
    }
    let path = Path::veth();
    let agent = Agent::start();
    agent.apply("limit", &limit(BASE_PORT, 20));
    let bulk = path.bulk(BASE_PORT, 8);
    thread::sleep(Duration::from_secs(2));
    for megabits in [50, 10, 100, 1, 200] {
        agent.apply("limit", &limit(BASE_PORT, megabits));
        thread::sleep(Duration::from_secs(1));
        let rate = bulk.measure(Duration::from_secs(3));
        assert_rate("a second after the change", rate, megabits, 0.03);
    }
}

#[test]
fn without_a_limit_flows_run_free() {
    if !live() {
        return;
    }
    let path = Path::loopback();
    let mut agent = Agent::start();
    agent.apply("limit", &limit(BASE_PORT, 10));
    let bulk = path.bulk(BASE_PORT, 2);
    thread::sleep(WARM_UP);
    assert_rate("limited", bulk.measure(Duration::from_secs(3)), 10, 0.03);
    agent.stop();
    agent.off();
    let fresh = path.bulk(BASE_PORT + 100, 2);
    thread::sleep(Duration::from_secs(1));
    for (what, flows) in [("limited before", &bulk), ("new", &fresh)] {
        let free = flows.measure(Duration::from_secs(2));
        assert!(free > 100e6, "{what}, after off: {:.0} Mbit/s", free / 1e6);
    }
}
