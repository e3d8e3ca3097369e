//! MariaDB and its clients: every command is counted once, under its name, with its error.

use std::net::SocketAddr;

use weir_tests::{
    agent::Agent,
    answer::Exchange,
    deeds::{self, Deed, all_details, check_durations, check_slow, expect, tally, tally_of},
    gate::live,
    netns::Namespace,
    process::{must, output},
    server::{Place, mysql::MariaDb},
};

const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 3306);

const SHOWN: &str = " → mariadb:3306 mysql";

#[test]
fn every_command_is_counted_once() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = MariaDb::start(Place::In(&host), SocketAddr::from(SERVER));
    let tap = agent.tap();
    let mut done = Vec::new();
    for scenario in ["commands", "refused", "results", "prepared"] {
        let text = must(&mut server.client(Place::In(&host), scenario));
        done.extend(deeds::read(&text));
    }
    done.extend(command_line(&server, &host));
    let exchanges = tap.take(server.address.port(), done.len());
    assert_eq!(tally_of(&exchanges), tally(&done));
    expect(&agent, server.address.port(), SHOWN, &done);
    check_sizes(&exchanges);
    let quick = ["UPDATE orders", "SELECT missing", "SELEKT"];
    check_durations(&exchanges, &done, &quick);
    check_slow(&exchanges, &done, "SELECT seq_1_to_1");
}

/// Some statements by MariaDB's own client, which ends with the first error.
fn command_line(server: &MariaDb, host: &Namespace) -> Vec<Deed> {
    let statements = "SELECT 1 FROM dual; DO 1; PREPARE p FROM 'SELECT 1'; SELECT nope FROM dual";
    let said = output(&mut server.command_line(Place::In(host), statements));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("ERROR 1054 (42S22)"), "{said}");
    [
        ("CONNECT", "-"),
        ("SELECT dual", "-"),
        ("DO", "-"),
        ("PREPARE", "-"),
        ("SELECT dual", "1054"),
    ]
    .map(|(operation, error)| Deed {
        operation: operation.into(),
        error: error.into(),
        waited_ns: 0,
    })
    .into()
}

/// The 20 MiB that were sent and asked for are in the bytes of their exchanges.
fn check_sizes(exchanges: &[Exchange]) {
    const BIG: u64 = 20 << 20;
    let is_big = |bytes: u64| (BIG..BIG + 1000).contains(&bytes);
    let sent = exchanges.iter().filter(|e| is_big(e.request_bytes));
    assert_eq!(sent.count(), 1);
    let received = exchanges.iter().filter(|e| is_big(e.response_bytes));
    assert_eq!(received.count(), 1);
    let many = exchanges
        .iter()
        .find(|e| e.operation == "SELECT seq_1_to_100000");
    // A row has a header of 4 bytes, two lengths, a digit and a letter at least.
    let many = many.expect("100,000 rows");
    assert!(many.response_bytes > 800_000, "{many:?}");
}

#[test]
fn connections_older_than_weir_are_taken_up() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let mut agent = Agent::prepare(all_details());
    let server = MariaDb::start(Place::In(&host), SocketAddr::from(SERVER));
    let mut client = server.client(Place::In(&host), "late");
    let (tap, all) = deeds::late(&mut agent, &mut client);
    // What came before the file was there is not seen.
    let after = all
        .iter()
        .skip_while(|deed| deed.operation != "SELECT shop.orders");
    let done: Vec<_> = after.cloned().collect();
    assert_eq!(done.len(), 51);
    let exchanges = tap.take(server.address.port(), done.len());
    assert_eq!(tally_of(&exchanges), tally(&done));
    expect(&agent, server.address.port(), SHOWN, &done);
    check_durations(&exchanges, &done, &["SELECT shop.orders", "PING"]);
}
