//! Server-sent events: every stream appears once, with the number of its events.

use std::net::SocketAddr;

use weir_tests::{
    agent::Agent,
    answer::{Exchange, errors},
    deeds::{all_details, lines},
    gate::live,
    netns::Namespace,
    process::must,
    server::{Place, peer::Peer},
    times::{check_slow, check_within, durations},
};

const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 8766);

/// What a client got: path, events (`-` = it was no stream of them), and how long it took, ns.
type Deed = (String, Option<u32>, u64);

fn deeds(text: &str) -> Vec<Deed> {
    let deed = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [path, events, took] = words[..] else {
            return None;
        };
        Some((path.to_owned(), events.parse().ok(), took.parse().ok()?))
    };
    lines(text, deed)
}

fn facts(exchanges: &[Exchange]) -> Vec<(String, Option<u32>)> {
    let mut facts: Vec<_> = exchanges
        .iter()
        .map(|e| {
            assert_eq!(
                (e.protocol.as_str(), e.status),
                ("http", Some(200)),
                "{e:?}"
            );
            assert_eq!(
                (e.request_messages, e.error.as_deref()),
                (None, None),
                "{e:?}"
            );
            (e.operation.replacen("GET ", "", 1), e.response_messages)
        })
        .collect();
    facts.sort();
    facts
}

#[test]
fn every_stream_has_its_events() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = Peer::start(
        Place::In(&host),
        "sse_peer.py",
        "news",
        SocketAddr::from(SERVER),
    );
    let port = server.address.port();
    let tap = agent.tap();
    let mut deeds = Vec::new();
    for client in ["httpx", "aiohttp", "curl"] {
        let text = must(&mut server.client(Place::In(&host), client, "calls"));
        deeds.extend(self::deeds(&text));
    }
    let exchanges = tap.take(port, deeds.len());
    let mut said: Vec<_> = deeds.iter().map(|deed| (deed.0.clone(), deed.1)).collect();
    said.sort();
    assert_eq!(facts(&exchanges), said);
    for edge in agent.expect_calls(&[port], deeds.len() as u64) {
        assert_eq!(edge.errors, 0, "{edge:?}");
        edge.check_whole();
    }
    assert!(
        agent
            .status()
            .lost
            .get("uncounted_messages")
            .is_none_or(|lost| *lost == 0)
    );
    check_durations(&exchanges, &deeds);
}

/// No stream took longer than its client waited, and the slow ones as long within 5 %.
fn check_durations(exchanges: &[Exchange], deeds: &[Deed]) {
    for path in ["/slow", "/burst", "/odd", "/whole", "/plain"] {
        let operation = format!("GET {path}");
        let seen = durations(exchanges, |e| e.operation == operation);
        let waited = deeds.iter().filter(|deed| deed.0 == path);
        let waited: Vec<u64> = waited.map(|deed| deed.2).collect();
        assert_eq!(waited.len(), 3, "{path}");
        if path == "/slow" {
            check_slow(path, &seen, &waited);
        } else {
            check_within(path, &seen, &waited);
        }
    }
}

#[test]
fn a_client_that_leaves_is_no_error() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = Peer::start(
        Place::In(&host),
        "sse_peer.py",
        "news",
        SocketAddr::from(SERVER),
    );
    let port = server.address.port();
    let tap = agent.tap();
    let mut deeds = Vec::new();
    for client in ["httpx", "curl"] {
        let text = must(&mut server.client(Place::In(&host), client, "endless"));
        deeds.extend(self::deeds(&text));
    }
    let exchanges = tap.take(port, deeds.len());
    for (exchange, (path, events, _)) in exchanges.iter().zip(&deeds) {
        assert_eq!(exchange.operation, format!("GET {path}"));
        assert_eq!(
            (exchange.status, exchange.error.as_deref()),
            (Some(200), None)
        );
        let (seen, got) = (exchange.response_messages.unwrap(), events.unwrap());
        // The server may have sent a few more before it noticed.
        assert!((got..got + 5).contains(&seen), "{seen} of {got}");
    }
    assert_eq!(errors(&agent.expect_calls(&[port], 2)), 0);
}
