//! MariaDB and its clients: every command is counted once, under its name, with its error.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

use weir_tests::{
    agent::{Agent, Options},
    answer::{Edge, Exchange},
    gate::live,
    netns::Namespace,
    process::{Process, must, output},
    scratch::Scratch,
    server::{Place, mysql::MariaDb},
    wait_for,
};

const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 3306);

/// What a client did: operation and number of the error (0 = none), and how long it waited, ns.
type Deed = (String, u64, u64);

/// Reads what `mysql_client.py` tells.
fn deeds(text: &str) -> Vec<Deed> {
    let deed = |line: &str| {
        let mut words = line.rsplitn(3, ' ');
        let took = words.next().and_then(|word| word.parse().ok());
        let error = words.next().and_then(|word| word.parse().ok());
        let operation = words.next().map(str::to_owned);
        operation.zip(error).zip(took).map(|((a, b), c)| (a, b, c))
    };
    let lines = text.lines();
    lines
        .map(|line| deed(line).unwrap_or_else(|| panic!("the client said: {line}")))
        .collect()
}

/// How often each operation met each error.
fn tally(deeds: impl Iterator<Item = (String, u64)>) -> BTreeMap<(String, u64), u64> {
    let mut tally = BTreeMap::new();
    for deed in deeds {
        *tally.entry(deed).or_default() += 1;
    }
    tally
}

fn tally_of(exchanges: &[Exchange]) -> BTreeMap<(String, u64), u64> {
    tally(exchanges.iter().map(|exchange| {
        let error = exchange.error.as_deref().unwrap_or("0");
        let error = error.parse().unwrap_or_else(|_| panic!("{exchange:?}"));
        (exchange.operation.clone(), error)
    }))
}

fn all_details() -> Options {
    Options {
        config: "detail_per_second = 1000000\n".into(),
        ..Options::default()
    }
}

/// Fails unless the edges of the server count what the clients did, and lost nothing.
fn expect(agent: &Agent, server: &MariaDb, deeds: &[Deed]) -> Vec<Edge> {
    let edges = agent.expect_calls(&[server.address.port()], deeds.len() as u64);
    let failed = deeds.iter().filter(|deed| deed.1 != 0).count() as u64;
    assert_eq!(edges.iter().map(|edge| edge.errors).sum::<u64>(), failed);
    for edge in &edges {
        // Clients that live for a moment may be known by what started them.
        let arrow = edge.arrow();
        assert!(arrow.ends_with(" → mariadb:3306 mysql"), "{arrow}");
        assert!((edge.completeness - 1.0).abs() < 1e-9, "{edge:?}");
    }
    edges
}

#[test]
fn every_command_is_counted_once() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = MariaDb::start(Place::In(&host), SocketAddr::from(SERVER));
    let tap = agent.tap();
    let mut deeds = Vec::new();
    for scenario in ["commands", "refused", "results", "prepared"] {
        let text = must(&mut server.client(Place::In(&host), scenario));
        deeds.extend(self::deeds(&text));
    }
    deeds.extend(command_line(&server, &host));
    let exchanges = tap.take(server.address.port(), deeds.len());
    let expected = tally(deeds.iter().map(|deed| (deed.0.clone(), deed.1)));
    assert_eq!(tally_of(&exchanges), expected);
    expect(&agent, &server, &deeds);
    check_sizes(&exchanges);
    check_durations(&exchanges, &deeds);
}

/// Some statements by MariaDB's own client, which ends with the first error.
fn command_line(server: &MariaDb, host: &Namespace) -> Vec<Deed> {
    let statements = "SELECT 1 FROM dual; DO 1; PREPARE p FROM 'SELECT 1'; SELECT nope FROM dual";
    let said = output(&mut server.command_line(Place::In(host), statements));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("ERROR 1054 (42S22)"), "{said}");
    [
        ("CONNECT", 0),
        ("SELECT dual", 0),
        ("DO", 0),
        ("PREPARE", 0),
        ("SELECT dual", 1054),
    ]
    .map(|(operation, error)| (operation.to_owned(), error, 0))
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

/// What the server took can only be less than what the client waited.
fn check_durations(exchanges: &[Exchange], deeds: &[Deed]) {
    for operation in ["UPDATE orders", "SELECT missing", "SELEKT"] {
        let seen = exchanges.iter().filter(|e| e.operation == operation);
        let seen = seen.map(|e| e.duration_ns).collect();
        let waited = deeds.iter().filter(|deed| deed.0 == operation);
        let waited = waited.map(|deed| deed.2).collect();
        let (seen, waited) = (median(seen), median(waited));
        assert!(
            seen > 1_000 && seen < waited && waited < seen * 50,
            "{operation}: seen {seen} ns, waited {waited} ns"
        );
    }
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

#[test]
fn connections_older_than_weir_are_taken_up() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let mut agent = Agent::prepare(all_details());
    let server = MariaDb::start(Place::In(&host), SocketAddr::from(SERVER));
    let folder = Scratch::new();
    let go = folder.path().join("go");
    let mut command: Command = server.client(Place::In(&host), "late");
    let mut client = Process::start(command.arg(&go));
    wait_for("the client's connection", Duration::from_secs(20), || {
        go.with_extension("ready").exists().then_some(())
    });
    agent.restart();
    let tap = agent.tap();
    let start = Instant::now();
    folder.write("go", "");
    assert!(
        client.wait(Duration::from_secs(20)).success(),
        "{}",
        client.log()
    );
    let taken = start.elapsed();
    // What came before the file was there is not seen.
    let all = deeds(&client.log());
    let after = all.iter().skip_while(|deed| deed.0 != "SELECT shop.orders");
    let deeds: Vec<Deed> = after.cloned().collect();
    assert_eq!(deeds.len(), 51);
    let exchanges = tap.take(server.address.port(), deeds.len());
    let expected = tally(deeds.iter().map(|deed| (deed.0.clone(), deed.1)));
    assert_eq!(tally_of(&exchanges), expected);
    let edges = expect(&agent, &server, &deeds);
    assert!(
        edges[0]
            .p50_ns
            .is_some_and(|p50| u128::from(p50) < taken.as_nanos())
    );
}
