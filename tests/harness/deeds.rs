//! What a client says that it did, against what weir tells of it.
//!
//! Clients under `tests/servers` print a line for each exchange: operation, kind of the error it met
//! or `-`, and how long they waited, ns (0 = not measured).

use std::{collections::BTreeMap, process::Command, time::Duration};

use crate::{
    agent::{Agent, Options, Tap},
    answer::{Edge, Exchange},
    process::Process,
    scratch::Scratch,
    times, wait_for,
};

/// An exchange as its client saw it.
#[derive(Clone, Debug)]
pub struct Deed {
    /// Operation.
    pub operation: String,
    /// Kind of failure, or `-`.
    pub error: String,
    /// How long the client waited, ns; 0 = not measured.
    pub waited_ns: u64,
}

/// Options of a daemon that tells every exchange.
pub fn all_details() -> Options {
    Options {
        config: "detail_per_second = 1000000\n".into(),
        ..Options::default()
    }
}

/// Reads what a client printed.
///
/// # Panics
/// If a line is something else.
pub fn read(text: &str) -> Vec<Deed> {
    let deed = |line: &str| {
        let mut words = line.rsplitn(3, [' ', '\t']);
        let waited_ns = words.next()?.parse().ok()?;
        let error = words.next()?.to_owned();
        let operation = words.next()?.to_owned();
        Some(Deed {
            operation,
            error,
            waited_ns,
        })
    };
    let lines = text.lines();
    lines
        .map(|line| deed(line).unwrap_or_else(|| panic!("the client said:\n{text}")))
        .collect()
}

/// Runs a client's scenario `late` (its command lacks the file that it waits for): its connections
/// stand before weir starts, and are used when a tap listens. Answers the tap and what the client
/// did.
///
/// # Panics
/// If the client does not come so far, or fails.
pub fn late(agent: &mut Agent, client: &mut Command) -> (Tap, Vec<Deed>) {
    let folder = Scratch::new();
    let go = folder.path().join("go");
    let mut client = Process::start(client.arg(&go));
    wait_for("the client's connections", Duration::from_secs(20), || {
        go.with_extension("ready").exists().then_some(())
    });
    agent.restart();
    let tap = agent.tap();
    folder.write("go", "");
    let status = client.wait(Duration::from_secs(20));
    assert!(status.success(), "{}", client.log());
    (tap, read(&client.log()))
}

/// How often each operation met each error.
pub type Tally = BTreeMap<(String, String), u64>;

/// Counts what a client did.
pub fn tally(deeds: &[Deed]) -> Tally {
    let mut tally = Tally::new();
    for deed in deeds {
        let key = (deed.operation.clone(), deed.error.clone());
        *tally.entry(key).or_default() += 1;
    }
    tally
}

/// Counts what weir told.
pub fn tally_of(exchanges: &[Exchange]) -> Tally {
    let mut tally = Tally::new();
    for exchange in exchanges {
        let error = exchange.error.clone().unwrap_or("-".into());
        let key = (exchange.operation.clone(), error);
        *tally.entry(key).or_default() += 1;
    }
    tally
}

/// Fails unless the edges on `port` count what was done, every failure among it, lost nothing, and
/// show this server and protocol.
pub fn expect(agent: &Agent, port: u16, server: &str, deeds: &[Deed]) -> Vec<Edge> {
    let edges = agent.expect_calls(&[port], deeds.len() as u64);
    let failed = deeds.iter().filter(|deed| deed.error != "-").count() as u64;
    assert_eq!(edges.iter().map(|edge| edge.errors).sum::<u64>(), failed);
    for edge in &edges {
        // Clients that live for a moment may be known by what started them.
        let arrow = edge.arrow();
        assert!(arrow.ends_with(server), "{arrow}");
        assert!((edge.completeness - 1.0).abs() < 1e-9, "{edge:?}");
    }
    edges
}

/// Fails unless each exchange of these operations took no longer than its client waited.
pub fn check_durations(exchanges: &[Exchange], deeds: &[Deed], operations: &[&str]) {
    for operation in operations {
        let (seen, waited) = of(exchanges, deeds, operation);
        times::check_within(operation, &seen, &waited);
    }
}

/// The same of slow ones, which also took as long as their clients waited within 5 %.
pub fn check_slow(exchanges: &[Exchange], deeds: &[Deed], operation: &str) {
    let (seen, waited) = of(exchanges, deeds, operation);
    times::check_slow(operation, &seen, &waited);
}

/// Times of an operation as weir and as its client tell them, ns, in the same order.
pub fn of(exchanges: &[Exchange], deeds: &[Deed], operation: &str) -> (Vec<u64>, Vec<u64>) {
    let deeds = deeds.iter().filter(|deed| deed.operation == operation);
    (
        times::durations(exchanges, |exchange| exchange.operation == operation),
        deeds.map(|deed| deed.waited_ns).collect(),
    )
}
