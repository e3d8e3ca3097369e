//! PyMongo and a server of MongoDB's wire protocol: every command is counted once, under its name
//! and collection, with its error.

use std::{net::SocketAddr, time::Duration};

use weir_tests::{
    agent::Agent,
    answer::Exchange,
    deeds::{self, Tally, all_details, check_durations, expect, tally, tally_of},
    gate::live,
    netns::Namespace,
    process::must,
    server::{Place, mongodb::MongoDb},
};

const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 27017);
const SHOWN: &str = " → mongodb:27017 mongodb";

/// Counts what weir told. Drivers ask for the server's state as `ismaster` until they know that
/// it understands `hello`.
fn told(exchanges: &[Exchange]) -> Tally {
    let mut exchanges = exchanges.to_vec();
    for exchange in &mut exchanges {
        if exchange.operation == "ismaster" {
            exchange.operation = "hello".into();
        }
    }
    tally_of(&exchanges)
}

#[test]
fn every_command_is_counted_once() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = MongoDb::start(Place::In(&host), SocketAddr::from(SERVER));
    let tap = agent.tap();
    let mut done = Vec::new();
    for scenario in ["commands", "raw"] {
        let text = must(&mut server.client(Place::In(&host), scenario));
        done.extend(deeds::read(&text));
    }
    assert!(done.len() > 140, "{}", done.len());
    let exchanges = tap.take(server.address.port(), done.len());
    assert_eq!(told(&exchanges), tally(&done));
    expect(&agent, server.address.port(), SHOWN, &done);
    let big = 5_000_000..5_001_000;
    let sent = exchanges.iter().filter(|e| big.contains(&e.request_bytes));
    let received = exchanges.iter().filter(|e| big.contains(&e.response_bytes));
    assert_eq!((sent.count(), received.count()), (1, 1));
    check_durations(
        &exchanges,
        &done,
        &["find orders", "insert orders", "nosuchcommand"],
    );
}

#[test]
fn what_the_server_sends_unasked_is_no_exchange() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = MongoDb::start(Place::In(&host), SocketAddr::from(SERVER));
    let tap = agent.tap();
    let mut done = Vec::new();
    for scenario in ["exhaust", "watching"] {
        let text = must(&mut server.client(Place::In(&host), scenario));
        done.extend(deeds::read(&text));
    }
    // How often a driver asks for the server's state is its own affair.
    std::thread::sleep(Duration::from_secs(2));
    let mut exchanges = tap.finish().exchanges;
    exchanges.retain(|exchange| exchange.server.addr.ends_with(":27017"));
    let all = exchanges.len() as u64;
    let mut seen = told(&exchanges);
    let hello = seen.remove(&("hello".into(), "-".into()));
    assert!(hello.is_some_and(|asked| asked >= 2), "{hello:?}");
    assert_eq!(seen.remove(&("endSessions".into(), "-".into())), Some(2));
    let mut expected = tally(&done);
    expected.remove(&("endSessions".into(), "-".into()));
    assert_eq!(seen, expected);
    for edge in agent.expect_calls(&[server.address.port()], all) {
        assert!(edge.arrow().ends_with(SHOWN), "{}", edge.arrow());
        assert_eq!(edge.errors, 0, "{edge:?}");
        edge.check_whole();
    }
}

#[test]
fn connections_older_than_weir_are_taken_up() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let mut agent = Agent::prepare(all_details());
    let server = MongoDb::start(Place::In(&host), SocketAddr::from(SERVER));
    let mut client = server.client(Place::In(&host), "late");
    let (tap, all) = deeds::late(&mut agent, &mut client);
    // What came before the file was there is not seen.
    let after = all.iter().skip_while(|deed| deed.operation != "begin");
    let done: Vec<_> = after.skip(1).cloned().collect();
    assert_eq!(done.len(), 43);
    let exchanges = tap.take(server.address.port(), done.len());
    assert_eq!(told(&exchanges), tally(&done));
    expect(&agent, server.address.port(), SHOWN, &done);
    check_durations(&exchanges, &done, &["find late", "insert late"]);
}
