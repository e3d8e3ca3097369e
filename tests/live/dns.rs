//! DNS asked by `dig` over UDP and TCP: every query is counted once, by type and outcome.

use std::{collections::BTreeMap, net::SocketAddr, thread, time::Duration};

use weir_tests::{
    agent::Agent,
    answer::{Edge, Exchange, errors},
    client::Client,
    deeds::counts,
    gate::{live, workspace},
    netns::{Link, Namespace},
    process::must,
    server::{
        Place,
        dnsmasq::{Dnsmasq, dig, dig_at_once, dig_in_vain},
    },
};

const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 5399);
const DEAD: ([u8; 4], u16) = ([127, 0, 0, 1], 5398);

/// What dig asks, and the code of each answer.
const QUESTIONS: [([&str; 2], &str); 8] = [
    (["shop.test", "A"], "NOERROR"),
    (["shop.test", "AAAA"], "NOERROR"),
    (["six.test", "AAAA"], "NOERROR"),
    (["_db._tcp.test", "SRV"], "NOERROR"),
    (["test", "MX"], "NOERROR"),
    (["text.test", "TXT"], "NOERROR"),
    (["none.test", "A"], "NXDOMAIN"),
    (["nobody.else", "A"], "REFUSED"),
];

fn questions() -> Vec<[&'static str; 2]> {
    QUESTIONS.iter().map(|(question, _)| *question).collect()
}

/// `TYPE name CODE` of what was asked so many times.
fn expected(times: u64) -> BTreeMap<String, u64> {
    let line = |([name, kind], code): &([&str; 2], &str)| (format!("{kind} {name} {code}"), times);
    QUESTIONS.iter().map(line).collect()
}

fn count(told: &[Exchange]) -> BTreeMap<String, u64> {
    counts(told.iter().map(|exchange| {
        let name = exchange.path.as_deref().unwrap_or("-");
        let code = exchange.error.as_deref().unwrap_or("NOERROR");
        format!("{} {name} {code}", exchange.operation)
    }))
}

/// Fails unless these are edges to the server that failed so often, with nothing missing. A `dig`
/// ends so soon that it may be called by what started it, so there may be several clients.
fn check(edges: &[Edge], failed: u64) {
    assert_eq!(errors(edges), failed, "{edges:#?}");
    for edge in edges {
        let server = (edge.server.service.as_str(), edge.protocol.as_str());
        assert_eq!(server, (Dnsmasq::SERVICE, "dns"), "{edge:?}");
        assert_eq!(edge.client.kind, "process", "{edge:?}");
        edge.check_whole();
    }
}

#[test]
fn queries_are_counted_once_by_type_and_code() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::start();
    let at = SocketAddr::from(SERVER);
    let server = Dnsmasq::start(Place::In(&host), at, &[("shop", "10.9.9.9")]);
    let tap = agent.tap();
    for options in [&[][..], &["+noedns"], &["+tcp"], &["+tcp", "+keepopen"]] {
        let said = dig(Place::In(&host), server.address, options, &questions());
        for (code, times) in [("NOERROR", 6), ("NXDOMAIN", 1), ("REFUSED", 1)] {
            let status = format!("status: {code}");
            assert_eq!(said.matches(&status).count(), times, "{options:?}: {said}");
        }
    }
    let calls = 4 * QUESTIONS.len() as u64;
    let edges = agent.expect_calls(&[at.port()], calls);
    check(&edges, 8);
    for edge in &edges {
        assert!(edge.bytes_out > 0 && edge.bytes_in > 0, "{edge:?}");
    }
    let told = tap.take(at.port(), calls as usize);
    assert_eq!(count(&told), expected(4));
    let plausible = 1_000..1_000_000_000;
    assert!(told.iter().all(|e| plausible.contains(&e.duration_ns)));
}

#[test]
fn many_queries_at_once_are_counted() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::start();
    let at = SocketAddr::from(SERVER);
    let server = Dnsmasq::start(Place::In(&host), at, &[("shop", "10.9.9.9")]);
    dig_at_once(Place::In(&host), server.address, ["shop.test", "A"], 200);
    check(&agent.expect_calls(&[at.port()], 200), 0);

    let load = |transport: &str, count: u64| {
        let mut command = Place::In(&host).command("/usr/bin/python3", "load");
        command.arg(workspace().join("tests/servers/dns_load.py"));
        command.args([transport, &at.ip().to_string(), &at.port().to_string()]);
        let said = must(command.arg(count.to_string()));
        assert_eq!(said.trim(), format!("0:{0} 3:{0}", count / 2));
    };
    load("udp", 500);
    load("tcp", 12);
    load("tcp", 100);
    check(&agent.expect_calls(&[at.port()], 812), 306);
}

#[test]
fn what_nobody_answers_is_counted_at_the_client() {
    if !live() {
        return;
    }
    let [near, far] = [(); 2].map(|()| Namespace::new());
    let link = Link::between(&near, &far, 1);
    let agent = Agent::start();
    let at = SocketAddr::new(link.second, SERVER.1);
    let server = Dnsmasq::start(Place::In(&far), at, &[("away", "10.77.1.99")]);
    let tap = agent.tap();
    // Nobody serves the port, and nobody has the address, which has a name by then.
    let near = Place::In(&near);
    dig_in_vain(near, SocketAddr::from(DEAD), ["shop.test", "A"]);
    dig(near, server.address, &[], &[["away.test", "A"]]);
    let away = SocketAddr::from(([10, 77, 1, 99], 5397));
    for kind in ["A", "SRV"] {
        dig_in_vain(near, away, ["shop.test", kind]);
    }
    let dead = agent.expect_calls(&[DEAD.1], 1);
    assert_eq!(errors(&dead), 1, "{dead:#?}");
    let edges = agent.expect_calls(&[away.port()], 2);
    let told = tap.take(away.port(), 2);

    assert_eq!(errors(&edges), 2, "{edges:#?}");
    for edge in &edges {
        let server = (edge.server.service.as_str(), edge.server.kind.as_str());
        assert_eq!(server, ("away.test", "remote"), "{edge:?}");
        assert_eq!(edge.server.addr, away.to_string());
        edge.check_whole();
    }
    let lines: Vec<String> = count(&told).into_keys().collect();
    assert_eq!(
        lines,
        ["A shop.test unanswered", "SRV shop.test unanswered"]
    );
    assert!(
        told.iter().all(|e| e.duration_ns == 5_000_000_000),
        "{told:?}"
    );
    check(&agent.expect_calls(&[at.port()], 1), 0);
}

/// A client, a router and a server, each in a namespace; the client asks a virtual address.
struct Translated {
    near: Namespace,
    router: Namespace,
    _far: Namespace,
    _server: Dnsmasq,
    asked: SocketAddr,
}

impl Translated {
    fn start() -> Self {
        let [near, router, far] = [(); 3].map(|()| Namespace::new());
        let inner = Link::between(&near, &router, 1);
        let outer = Link::between(&router, &far, 2);
        router.run(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("forward"));
        near.ip(&["route", "add", "default", "via", &inner.second.to_string()]);
        far.ip(&["route", "add", "default", "via", &outer.first.to_string()]);
        let at = SocketAddr::new(outer.second, SERVER.1);
        let server = Dnsmasq::start(Place::In(&far), at, &[("shop", "10.9.9.9")]);
        let asked = SocketAddr::from(([10, 99, 0, 53], SERVER.1));
        // What leaves shows the real address, what comes back the virtual one.
        let rule = format!("ip daddr {} dnat to {}", asked.ip(), at.ip());
        translate(&near, "output priority -100", &rule);
        Self {
            near,
            router,
            _far: far,
            _server: server,
            asked,
        }
    }

    fn ask(&self) {
        let questions = [["shop.test", "A"], ["none.test", "A"]].repeat(5);
        dig(Place::In(&self.near), self.asked, &[], &questions);
    }
}

fn translate(place: &Namespace, hook: &str, rule: &str) {
    let rules = format!(
        "add table ip t; add chain ip t c {{ type nat hook {hook}; }}; add rule ip t c {rule}"
    );
    must(place.command("nft").arg(rules));
}

#[test]
fn translated_addresses_are_followed() {
    if !live() {
        return;
    }
    let agent = Agent::start();
    let hosts = Translated::start();
    hosts.ask();
    check(&agent.expect_calls(&[SERVER.1], 10), 5);
}

#[test]
fn with_other_ports_in_between_each_end_counts_what_it_sees() {
    if !live() {
        return;
    }
    let agent = Agent::start();
    let hosts = Translated::start();
    let rule = "oifname v2a meta l4proto udp masquerade to :20000-29999";
    translate(&hosts.router, "postrouting priority 100", rule);
    hosts.ask();
    let edges = agent.expect_calls(&[SERVER.1], 20);
    let (remote, here): (Vec<Edge>, Vec<Edge>) = edges
        .into_iter()
        .partition(|edge| edge.client.kind == "remote");
    for edges in [remote, here] {
        let calls = edges.iter().map(|edge| edge.calls).sum::<u64>();
        assert_eq!((calls, errors(&edges)), (10, 5), "{edges:#?}");
    }
}

#[test]
fn a_server_and_a_connection_older_than_weir_are_taken_up() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let mut agent = Agent::prepare(Default::default());
    let at = SocketAddr::from(SERVER);
    let server = Dnsmasq::start(Place::In(&host), at, &[("shop", "10.9.9.9")]);
    let query = |id: u8| {
        let mut bytes = vec![0, 27, 0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend_from_slice(b"\x04shop\x04test\x00\x00\x01\x00\x01");
        bytes
    };
    let mut connection = host.run(|| Client::connect(server.address));
    let mut ask = |id: u8| {
        connection.send(query(id));
        thread::sleep(Duration::from_millis(50));
    };
    (1..=3).for_each(&mut ask);
    agent.restart();
    (4..=10).for_each(&mut ask);
    // dnsmasq serves nobody else meanwhile if it is not a daemon.
    drop(connection);
    dig(Place::In(&host), server.address, &[], &questions());
    let edges = agent.expect_calls(&[at.port()], 7 + QUESTIONS.len() as u64);
    check(&edges, 2);
}
