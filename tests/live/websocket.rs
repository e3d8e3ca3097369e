//! WebSocket: every connection appears once, with its path, close code and messages.

use std::{net::SocketAddr, process::Command};

use weir_tests::{
    agent::Agent,
    answer::{Exchange, errors},
    deeds::{all_details, counts, lines, run_late},
    gate::{live, workspace},
    netns::Namespace,
    process::must,
    server::{Place, peer::Peer},
    times::{check_near, check_within, durations},
};

const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 8765);
const PROGRAM: &str = "websocket_peer.py";

/// What a client did: path, close code, messages sent and received, and how long it took from the
/// answered upgrade on, and in whole, ns.
#[derive(Debug)]
struct Deed {
    path: String,
    code: Option<u16>,
    messages: (u32, u32),
    took: u64,
    whole: u64,
}

fn deeds(text: &str) -> Vec<Deed> {
    let deed = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [path, code, sent, received, took, whole] = words[..] else {
            return None;
        };
        Some(Deed {
            path: path.to_owned(),
            code: code.parse().ok(),
            messages: (sent.parse().ok()?, received.parse().ok()?),
            took: took.parse().ok()?,
            whole: whole.parse().ok()?,
        })
    };
    lines(text, deed)
}

/// Operation, close code, error, messages of the client and of the server.
type Fact = (String, Option<u16>, Option<String>, u32, u32);

/// The name of a path, and of what went wrong.
fn fact(deed: &Deed) -> Fact {
    let operation = if deed.path.starts_with("/rooms/") {
        "/rooms/*"
    } else {
        &deed.path
    };
    let error = match deed.code {
        Some(1011) => Some("1011".to_owned()),
        None => Some("abnormal_closure".to_owned()),
        _ => None,
    };
    let (sent, received) = deed.messages;
    (operation.to_owned(), deed.code, error, sent, received)
}

fn fact_of(exchange: &Exchange) -> Fact {
    (
        exchange.operation.clone(),
        exchange.status,
        exchange.error.clone(),
        exchange.request_messages.expect("messages of the client"),
        exchange.response_messages.expect("messages of the server"),
    )
}

/// Splits what a tap saw into upgrades and the connections behind them.
fn split(exchanges: Vec<Exchange>) -> (Vec<Exchange>, Vec<Exchange>) {
    exchanges.into_iter().partition(|e| e.protocol == "http")
}

fn every_connection(client: &str) {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = Peer::start(Place::In(&host), PROGRAM, "chats", SocketAddr::from(SERVER));
    let port = server.address.port();
    let tap = agent.tap();
    let deeds = deeds(&must(&mut server.client(Place::In(&host), client, "calls")));
    must(&mut server.client(Place::In(&host), client, "forbidden"));
    let calls = 2 * deeds.len() + 1;
    let (upgrades, connections) = split(tap.take(port, calls));
    assert_eq!(
        counts(connections.iter().map(fact_of)),
        counts(deeds.iter().map(fact))
    );
    let statuses: Vec<_> = upgrades.iter().filter_map(|e| e.status).collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 101).count(),
        deeds.len()
    );
    assert_eq!(statuses.iter().filter(|status| **status == 403).count(), 1);
    let edges = agent.expect_calls(&[port], calls as u64);
    let failed = deeds.iter().filter(|deed| fact(deed).2.is_some()).count() as u64;
    assert_eq!(errors(&edges), failed);
    for edge in &edges {
        assert_eq!(edge.arrow(), format!("shop → chats:{port} http"));
        edge.check_whole();
    }
    check_sizes_and_durations(&connections, &deeds);
}

fn check_sizes_and_durations(connections: &[Exchange], deeds: &[Deed]) {
    let big = connections.iter().find(|e| e.status == Some(4000));
    let big = big.expect("the connection with a big message");
    let bytes = (big.request_bytes, big.response_bytes);
    assert!(bytes.0 > 200_000 && bytes.1 > 200_000, "{big:?}");
    assert_eq!(big.path.as_deref(), Some("/chat"));
    // The client begins to count when it knows of the upgrade, a little after the server.
    let seen = durations(connections, |e| e.path.as_deref() == Some("/rooms/7"));
    let slow = deeds.iter().filter(|deed| deed.path == "/rooms/7");
    let took: Vec<u64> = slow.map(|deed| deed.took).collect();
    check_near("/rooms/7", &seen, &took);
    check_whole(connections, deeds);
}

/// Fails if a connection lasted longer than from before its client asked for it until after it was
/// closed. One that breaks off ends at its client first.
fn check_whole(connections: &[Exchange], deeds: &[Deed]) {
    let seen = durations(connections, |e| e.status.is_some());
    let closed = deeds.iter().filter(|deed| deed.code.is_some());
    let whole: Vec<u64> = closed.map(|deed| deed.whole).collect();
    check_within("connections", &seen, &whole);
}

#[test]
fn every_connection_of_websockets() {
    every_connection("websockets");
}

#[test]
fn every_connection_of_aiohttp() {
    every_connection("aiohttp");
}

/// The client of Node.js, where there is one.
#[test]
fn every_connection_of_node() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let script = workspace().join("tests/servers/websocket_client.js");
    let mut node = Place::In(&host).command("node", "shop");
    node.args(["--no-warnings", "--experimental-websocket"]);
    node.arg(script).arg(SERVER.1.to_string());
    if Command::new("node").arg("--version").output().is_err() {
        println!("skipped: needs node");
        return;
    }
    let agent = Agent::with(all_details());
    let server = Peer::start(Place::In(&host), PROGRAM, "chats", SocketAddr::from(SERVER));
    let tap = agent.tap();
    let deeds = deeds(&must(&mut node));
    let (_, connections) = split(tap.take(server.address.port(), 2 * deeds.len()));
    assert_eq!(
        counts(connections.iter().map(fact_of)),
        counts(deeds.iter().map(fact))
    );
    check_whole(&connections, &deeds);
    agent.expect_calls(&[server.address.port()], 2 * deeds.len() as u64);
}

#[test]
fn a_connection_older_than_weir_says_nothing_and_the_next_one_all() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let mut agent = Agent::prepare(all_details());
    let server = Peer::start(Place::In(&host), PROGRAM, "chats", SocketAddr::from(SERVER));
    let mut client = server.client(Place::In(&host), "websockets", "late");
    let (tap, _) = run_late(&mut agent, &mut client);
    let (upgrades, connections) = split(tap.take(server.address.port(), 2));
    assert_eq!((upgrades.len(), connections.len()), (1, 1));
    let seen = fact_of(&connections[0]);
    assert_eq!(seen, ("/chat".into(), Some(1000), None, 20, 20));
    agent.expect_calls(&[server.address.port()], 2);
}
