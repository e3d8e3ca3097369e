//! gRPC: every call appears once, with its method and status.

use std::{collections::BTreeMap, net::SocketAddr};

use weir_tests::{
    agent::Agent,
    answer::{Edge, Exchange, errors},
    deeds::{all_details, counts, lines, run_late},
    gate::live,
    netns::Namespace,
    process::must,
    server::{
        Place,
        grpc::{Etcd, GrpcPeer},
    },
    times::{check_slow, durations},
};

const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 5005);

/// Codes that are errors of the server: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL,
/// UNAVAILABLE, DATA_LOSS.
const SERVER_ERRORS: [u16; 6] = [2, 4, 12, 13, 14, 15];

/// What a client did: method, status code, how long it waited, ns, messages of both sides.
type Deed = (String, u16, u64, Messages);

/// Messages of the client and of the server; `None` = unknown.
type Messages = (Option<u32>, Option<u32>);

/// Calls by method, status and messages.
type Tally = BTreeMap<(String, Option<u16>, Messages), u64>;

fn deeds(text: &str) -> Vec<Deed> {
    let deed = |line: &str| {
        let mut words = line.split(' ');
        let method = words.next()?.to_owned();
        let code = words.next()?.parse().ok()?;
        let took = words.next()?.parse().ok()?;
        let [asked, answered] = [words.next()?, words.next()?].map(|word| word.parse().ok());
        Some((method, code, took, (asked, answered)))
    };
    lines(text, deed)
}

fn messages(exchange: &Exchange) -> Messages {
    (exchange.request_messages, exchange.response_messages)
}

fn seen(exchanges: &[Exchange]) -> Tally {
    let one = |e: &Exchange| (e.operation.clone(), e.status, messages(e));
    counts(exchanges.iter().map(one))
}

fn said(deeds: &[Deed]) -> Tally {
    counts(
        deeds
            .iter()
            .map(|deed| (deed.0.clone(), Some(deed.1), deed.3)),
    )
}

/// Fails unless the edges of the server count what the clients did, and lost nothing.
fn expect(agent: &Agent, port: u16, deeds: &[Deed]) -> Vec<Edge> {
    let edges = agent.expect_calls(&[port], deeds.len() as u64);
    let failed = deeds.iter().filter(|deed| SERVER_ERRORS.contains(&deed.1));
    assert_eq!(errors(&edges), failed.count() as u64);
    for edge in &edges {
        assert_eq!(edge.arrow(), format!("shop → orders:{port} grpc"));
        edge.check_whole();
    }
    edges
}

#[test]
fn every_kind_of_call_has_its_method_and_status() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = GrpcPeer::start(Place::In(&host), SocketAddr::from(SERVER));
    let tap = agent.tap();
    let deeds = deeds(&must(&mut server.client(Place::In(&host), "calls")));
    let exchanges = tap.take(server.address.port(), deeds.len());
    assert_eq!(seen(&exchanges), said(&deeds));
    expect(&agent, server.address.port(), &deeds);
    let big = exchanges.iter().filter(|e| e.request_bytes > 1_000_000);
    assert_eq!(big.count(), 1);
    // Others were cancelled, or their time was over.
    let is_slow = |method: &str, code| method.ends_with("/Sleep") && code == Some(0);
    let seen = durations(&exchanges, |e| is_slow(&e.operation, e.status));
    let slow = deeds.iter().filter(|deed| is_slow(&deed.0, Some(deed.1)));
    let waited: Vec<u64> = slow.map(|deed| deed.2).collect();
    check_slow("Sleep", &seen, &waited);
}

#[test]
fn calls_belong_to_the_trace_that_their_client_names() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = GrpcPeer::start(Place::In(&host), SocketAddr::from(SERVER));
    let tap = agent.tap();
    must(&mut server.client(Place::In(&host), "traced"));
    let exchanges = tap.take(server.address.port(), 6);
    let number = |e: &Exchange| {
        let id = e.trace_id.as_deref().expect("a trace id");
        u128::from_str_radix(id, 16).expect("hexadecimal digits")
    };
    let numbers: Vec<u128> = exchanges.iter().map(number).collect();
    assert_eq!(numbers[..4], [1, 1, 2, 3]);
    assert!(numbers[4] > 1 << 64, "one of its own: {}", numbers[4]);
    assert_eq!(numbers[5], 4);
}

#[test]
fn a_hundred_streams_at_a_time_on_one_connection() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = GrpcPeer::start(Place::In(&host), SocketAddr::from(SERVER));
    let tap = agent.tap();
    let deeds = deeds(&must(&mut server.client(Place::In(&host), "crowd")));
    assert_eq!(deeds.len(), 2000);
    let exchanges = tap.take(server.address.port(), deeds.len());
    assert_eq!(seen(&exchanges), said(&deeds));
    expect(&agent, server.address.port(), &deeds);
}

#[test]
fn on_connections_older_than_weir_what_was_not_seen_is_unknown() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let mut agent = Agent::prepare(all_details());
    let server = GrpcPeer::start(Place::In(&host), SocketAddr::from(SERVER));
    let mut client = server.client(Place::In(&host), "resumed");
    let (tap, told) = run_late(&mut agent, &mut client);
    let deeds = deeds(&told);
    assert_eq!(deeds.len(), 32);
    let exchanges = tap.take(server.address.port(), deeds.len());
    // Method and type of most calls were said before weir came, and are only referred to by
    // numbers since: what is not known is not invented.
    let names = counts(exchanges.iter().map(|e| (e.operation.clone(), messages(e))));
    let unknown = (None, None);
    let expected = [("POST /*/Sleep", 1), ("POST _UNNAMED", 31)];
    let expected = expected.map(|(name, count)| ((name.to_owned(), unknown), count));
    assert_eq!(names, BTreeMap::from(expected));
    assert!(exchanges.iter().all(|e| e.status == Some(200)));
    agent.expect_calls(&[server.address.port()], 32);
}

#[test]
fn operations_of_etcd_have_names() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = Etcd::start(Place::In(&host), SocketAddr::from(SERVER));
    let tap = agent.tap();
    for arguments in [
        &["put", "colour", "red"][..],
        &["get", "colour"],
        &["get", "--prefix", "col"],
        &["del", "colour"],
        &["lease", "grant", "60"],
        &["member", "list"],
    ] {
        must(&mut server.client(Place::In(&host), arguments));
    }
    let exchanges = tap.take(server.address.port(), 6);
    let expected = [
        ("etcdserverpb.Cluster/MemberList", 1),
        ("etcdserverpb.KV/DeleteRange", 1),
        ("etcdserverpb.KV/Put", 1),
        ("etcdserverpb.KV/Range", 2),
        ("etcdserverpb.Lease/LeaseGrant", 1),
    ];
    let one = (Some(1), Some(1));
    let expected = expected.map(|(name, count)| ((name.to_owned(), Some(0), one), count));
    assert_eq!(seen(&exchanges), BTreeMap::from(expected));
    let edges = agent.expect_calls(&[server.address.port()], 6);
    for edge in edges.iter().filter(|edge| edge.calls != 0) {
        // Clients that live for a moment may be known by what started them.
        assert!(edge.arrow().ends_with(" → etcd:5005 grpc"), "{edge:?}");
    }
}
