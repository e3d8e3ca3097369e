//! PostgreSQL and its clients: every statement is counted once, under its name, with its error.

use std::{collections::BTreeMap, net::SocketAddr, process::Command, time::Duration};

use weir_tests::{
    agent::{Agent, Options},
    answer::Exchange,
    gate::live,
    netns::Namespace,
    process::{Process, must, output},
    scratch::Scratch,
    server::{Place, postgres::Postgres},
    wait_for,
};

const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 5432);

/// What a client did: operation and SQLSTATE of the error (0 = none), and how long it waited, ns.
type Deed = (String, String, u64);

/// Reads what `postgres_client.py` tells.
fn deeds(text: &str) -> Vec<Deed> {
    let deed = |line: &str| {
        let mut words = line.rsplitn(3, ' ');
        let took = words.next()?.parse().ok()?;
        let error = words.next()?.to_owned();
        Some((words.next()?.to_owned(), error, took))
    };
    let lines = text.lines();
    lines
        .map(|line| deed(line).unwrap_or_else(|| panic!("the client said: {line}")))
        .collect()
}

type Tally = BTreeMap<(String, String), u64>;

fn tally(deeds: impl Iterator<Item = (String, String)>) -> Tally {
    let mut tally = BTreeMap::new();
    for deed in deeds {
        *tally.entry(deed).or_default() += 1;
    }
    tally
}

fn said(deeds: &[Deed]) -> Tally {
    tally(deeds.iter().map(|deed| (deed.0.clone(), deed.1.clone())))
}

fn seen(exchanges: &[Exchange]) -> Tally {
    tally(exchanges.iter().map(|exchange| {
        let error = exchange.error.as_deref().unwrap_or("0");
        (exchange.operation.clone(), error.to_owned())
    }))
}

fn all_details() -> Options {
    Options {
        config: "detail_per_second = 1000000\n".into(),
        ..Options::default()
    }
}

/// Fails unless the edges of the server count what the clients did, and lost nothing.
fn expect(agent: &Agent, server: &Postgres, calls: u64, failed: u64) {
    let edges = agent.expect_calls(&[server.address.port()], calls);
    assert_eq!(edges.iter().map(|edge| edge.errors).sum::<u64>(), failed);
    for edge in edges.iter().filter(|edge| edge.calls != 0) {
        // Clients that live for a moment may be known by what started them.
        let arrow = edge.arrow();
        assert!(arrow.ends_with(" → postgres:5432 postgresql"), "{arrow}");
        let is_whole = (edge.completeness - 1.0).abs() < 1e-9;
        assert!(is_whole, "{edge:?}, {:#?}", agent.status());
    }
}

fn failures(deeds: &[Deed]) -> u64 {
    deeds.iter().filter(|deed| deed.1 != "0").count() as u64
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
    let mut deeds = Vec::new();
    for scenario in [
        "commands", "errors", "copies", "prepared", "pipeline", "cancel",
    ] {
        let text = must(&mut server.client(Place::In(&host), scenario));
        deeds.extend(self::deeds(&text));
    }
    deeds.extend(psql(&server, &host));
    let exchanges = tap.take(server.address.port(), deeds.len());
    assert_eq!(seen(&exchanges), said(&deeds));
    expect(&agent, &server, deeds.len() as u64, failures(&deeds));
    check_sizes(&exchanges);
    check_duration(&exchanges, &deeds);
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
        ("CONNECT", "0"),
        ("SELECT", "0"),
        ("TABLE orders", "0"),
        ("SELECT", "42703"),
    ]
    .map(|(operation, error)| (operation.to_owned(), error.to_owned(), 0))
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

/// The slowest statement, one of 300 ms, took as long as its client waited, within 5 %.
fn check_duration(exchanges: &[Exchange], deeds: &[Deed]) {
    let seen = exchanges
        .iter()
        .filter(|e| e.operation == "SELECT" && e.error.is_none())
        .map(|e| e.duration_ns);
    let waited = deeds
        .iter()
        .filter(|deed| deed.0 == "SELECT" && deed.1 == "0")
        .map(|deed| deed.2);
    let seen = seen.max().expect("the slow statement") as f64;
    let waited = waited.max().expect("the slow statement") as f64;
    assert!(seen > 3e8, "{seen} ns");
    assert!(
        (0.95..1.0).contains(&(seen / waited)),
        "{seen} of {waited} ns"
    );
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
    let folder = Scratch::new();
    let go = folder.path().join("go");
    let mut command: Command = server.client(Place::In(&host), "late");
    let mut client = Process::start(command.arg(&go));
    wait_for("the client's connection", Duration::from_secs(20), || {
        go.with_extension("ready").exists().then_some(())
    });
    agent.restart();
    let tap = agent.tap();
    folder.write("go", "");
    assert!(
        client.wait(Duration::from_secs(20)).success(),
        "{}",
        client.log()
    );
    let deeds = deeds(&client.log());
    assert_eq!(deeds.len(), 31);
    let exchanges = tap.take(server.address.port(), deeds.len());
    assert_eq!(seen(&exchanges), said(&deeds));
    expect(&agent, &server, deeds.len() as u64, failures(&deeds));
}
