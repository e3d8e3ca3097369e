//! PostgreSQL and its clients: every statement is counted once, under its name, with its error.

use std::net::SocketAddr;

use weir_tests::{
    agent::Agent,
    answer::{Exchange, errors},
    deeds::{self, Deed, all_details, check_durations, check_slow, tally, tally_of},
    gate::live,
    netns::Namespace,
    process::{must, output},
    server::{Place, postgres::Postgres},
};

const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 5432);

/// Fails unless the edges of the server count what the clients did, and lost nothing.
fn expect(agent: &Agent, server: &Postgres, calls: u64, failed: u64) {
    let edges = agent.expect_calls(&[server.address.port()], calls);
    assert_eq!(errors(&edges), failed);
    for edge in edges.iter().filter(|edge| edge.calls != 0) {
        // Clients that live for a moment may be known by what started them.
        let arrow = edge.arrow();
        assert!(arrow.ends_with(" → postgres:5432 postgresql"), "{arrow}");
        let is_whole = (edge.completeness - 1.0).abs() < 1e-9;
        assert!(is_whole, "{edge:?}, {:#?}", agent.status());
    }
}

fn failures(deeds: &[Deed]) -> u64 {
    deeds.iter().filter(|deed| deed.error != "-").count() as u64
}

#[test]
fn every_statement_is_counted_once() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = Postgres::start(Place::In(&host), SocketAddr::from(SERVER));
    let tap = agent.tap();
    let mut done = Vec::new();
    for scenario in [
        "commands", "errors", "copies", "prepared", "pipeline", "cancel",
    ] {
        let text = must(&mut server.client(Place::In(&host), scenario));
        done.extend(deeds::read(&text));
    }
    done.extend(psql(&server, &host));
    let exchanges = tap.take(server.address.port(), done.len());
    assert_eq!(tally_of(&exchanges), tally(&done));
    expect(&agent, &server, done.len() as u64, failures(&done));
    check_sizes(&exchanges);
    check_durations(&exchanges, &done, &["INSERT orders", "SELECT missing"]);
    check_slow(&exchanges, &done, "SELECT pg_sleep");
}

/// Statements by psql, which goes on behind an error.
fn psql(server: &Postgres, host: &Namespace) -> Vec<Deed> {
    let statements = [
        "-c",
        "SELECT 1 AS one",
        "-c",
        "TABLE orders",
        "-c",
        "SELECT nope",
    ];
    let said = output(&mut server.tool(Place::In(host), "psql", &statements));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("column \"nope\" does not exist"), "{said}");
    [
        ("CONNECT", "-"),
        ("SELECT", "-"),
        ("TABLE orders", "-"),
        ("SELECT", "42703"),
    ]
    .map(|(operation, error)| Deed {
        operation: operation.into(),
        error: error.into(),
        waited_ns: 0,
    })
    .into()
}

/// What was sent and asked for is in the bytes of its exchanges.
fn check_sizes(exchanges: &[Exchange]) {
    let of = |operation: &'static str| {
        let of = move |e: &&Exchange| e.operation == operation;
        exchanges.iter().filter(of)
    };
    let update = of("UPDATE orders").next().expect("the update");
    assert!(
        (100_000..100_300).contains(&update.request_bytes),
        "{update:?}"
    );
    let series = of("SELECT generate_series").next().expect("100,000 rows");
    // A row has a header of 5 bytes, a number of columns, a length and a digit at least.
    assert!(series.response_bytes > 1_200_000, "{series:?}");
    let copied: u64 = of("COPY orders").map(|e| e.request_bytes).sum();
    assert!(copied > 5000 * 12, "{copied} bytes were copied in");
}

#[test]
fn pgbench_is_counted_as_the_server_logs_it() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::start();
    let server = Postgres::start(Place::In(&host), SocketAddr::from(SERVER));
    let pgbench = |arguments: &[&str]| {
        must(&mut server.tool(Place::In(&host), "pgbench", arguments));
    };
    pgbench(&["-i", "-q", "-s", "1"]);
    for mode in ["simple", "extended", "prepared"] {
        pgbench(&["-n", "-c", "8", "-j", "2", "-t", "300", "-M", mode]);
        pgbench(&["-n", "-c", "8", "-j", "2", "-t", "1000", "-S", "-M", mode]);
    }
    // What prepares a statement is no line of the log: each client does it once for each.
    const STATEMENTS: u64 = 7 + 1;
    let expected = server.logged() + 8 * STATEMENTS;
    assert!(expected > 3 * 8 * (300 * 7 + 1000), "{expected}");
    expect(&agent, &server, expected, 0);
}

#[test]
fn connections_older_than_weir_are_taken_up() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let mut agent = Agent::prepare(all_details());
    let server = Postgres::start(Place::In(&host), SocketAddr::from(SERVER));
    must(&mut server.client(Place::In(&host), "few"));
    let mut client = server.client(Place::In(&host), "late");
    let (tap, done) = deeds::late(&mut agent, &mut client);
    assert_eq!(done.len(), 31);
    let exchanges = tap.take(server.address.port(), done.len());
    assert_eq!(tally_of(&exchanges), tally(&done));
    expect(&agent, &server, done.len() as u64, failures(&done));
    check_durations(&exchanges, &done, &["_PREPARED", "UPDATE orders"]);
}
