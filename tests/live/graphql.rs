//! GraphQL over HTTP/1: every request is counted under its operation, errors inside a 200 are errors.

use std::{collections::BTreeMap, net::SocketAddr};

use weir_tests::{
    agent::Agent,
    answer::{Exchange, errors},
    deeds::{all_details, counts, lines},
    gate::live,
    netns::Namespace,
    process::must,
    server::{Place, peer::Peer},
    times::{check_slow, durations},
};

const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 8767);

/// A request as its client saw it.
struct Deed {
    operation: String,
    status: u16,
    error: Option<String>,
    waited_ns: u64,
}

fn deeds(text: &str) -> Vec<Deed> {
    let deed = |line: &str| {
        let words: Vec<&str> = line.split('\t').collect();
        let [operation, status, errors, took] = words[..] else {
            return None;
        };
        Some(Deed {
            operation: operation.to_owned(),
            status: status.parse().ok()?,
            error: (errors == "errors").then(|| "graphql_errors".to_owned()),
            waited_ns: took.parse().ok()?,
        })
    };
    lines(text, deed)
}

/// How often each operation had each status and error.
type Tally = BTreeMap<(String, Option<u16>, Option<String>), u64>;

fn tally(deeds: &[Deed]) -> Tally {
    let one = |deed: &Deed| {
        (
            deed.operation.clone(),
            Some(deed.status),
            deed.error.clone(),
        )
    };
    counts(deeds.iter().map(one))
}

fn tally_of(exchanges: &[Exchange]) -> Tally {
    let one = |exchange: &Exchange| {
        assert_eq!(exchange.protocol, "http", "{exchange:?}");
        (
            exchange.operation.clone(),
            exchange.status,
            exchange.error.clone(),
        )
    };
    counts(exchanges.iter().map(one))
}

#[test]
fn every_operation_is_told_apart() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = Peer::start(
        Place::In(&host),
        "graphql_peer.py",
        "shopfront",
        SocketAddr::from(SERVER),
    );
    let port = server.address.port();
    let tap = agent.tap();
    let mut deeds = Vec::new();
    for client in ["requests", "gql", "aiohttp", "requests"] {
        let text = must(&mut server.client(Place::In(&host), client, "calls"));
        deeds.extend(self::deeds(&text));
    }
    let exchanges = tap.take(port, deeds.len());
    assert_eq!(tally_of(&exchanges), tally(&deeds));
    let failed = deeds.iter().filter(|deed| deed.error.is_some()).count() as u64;
    assert!(failed > 4, "{failed}");
    let edges = agent.expect_calls(&[port], deeds.len() as u64);
    assert_eq!(errors(&edges), failed);
    for edge in &edges {
        edge.check_whole();
    }
    let slow = "POST /graphql query Slow";
    let seen = durations(&exchanges, |e| e.operation == slow);
    let waited = deeds.iter().filter(|deed| deed.operation == slow);
    let waited: Vec<u64> = waited.map(|deed| deed.waited_ns).collect();
    check_slow(slow, &seen, &waited);
}
