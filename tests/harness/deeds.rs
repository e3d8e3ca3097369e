//! What a client says that it did, against what weir tells of it.
//!
//! Clients under `tests/servers` print a line for each exchange: operation, kind of the error it met
//! or `-`, and how long they waited, ns (0 = not measured).

use std::{collections::BTreeMap, process::Command, time::Duration};

use crate::{
    agent::{Agent, Options, Tap},
    answer::{Edge, Exchange, errors},
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
    lines(text, deed)
}

/// Reads what a client printed, a deed a line.
///
/// # Panics
/// If a line is something else.
pub fn lines<'a, T>(text: &'a str, deed: impl Fn(&'a str) -> Option<T>) -> Vec<T> {
    let read = |line| deed(line).unwrap_or_else(|| panic!("the client said `{line}` in:\n{text}"));
    text.lines().map(read).collect()
}

/// [`run_late`], and reads what the client did.
pub fn late(agent: &mut Agent, client: &mut Command) -> (Tap, Vec<Deed>) {
    let (tap, text) = run_late(agent, client);
    (tap, read(&text))
}

/// Runs a client's scenario `late` (its command lacks the file that it waits for): its connections
/// stand before weir starts, and are used when a tap listens. Answers the tap and what the client
/// printed.
///
/// # Panics
/// If the client does not come so far, or fails.
pub fn run_late(agent: &mut Agent, client: &mut Command) -> (Tap, String) {
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
    (tap, client.log())
}

/// How often each operation met each error.
pub type Tally = BTreeMap<(String, String), u64>;

/// Counts what a client did.
pub fn tally(deeds: &[Deed]) -> Tally {
    let one = |deed: &Deed| (deed.operation.clone(), deed.error.clone());
    counts(deeds.iter().map(one))
}

/// Counts what weir told.
pub fn tally_of(exchanges: &[Exchange]) -> Tally {
    let one = |exchange: &Exchange| {
        let error = exchange.error.clone().unwrap_or("-".into());
        (exchange.operation.clone(), error)
    };
    counts(exchanges.iter().map(one))
}

/// How often there is each of these.
pub fn counts<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}

/// Fails unless the edges on `port` count what was done, every failure among it, lost nothing, and
/// show this server and protocol.
pub fn expect(agent: &Agent, port: u16, server: &str, deeds: &[Deed]) -> Vec<Edge> {
    let edges = agent.expect_calls(&[port], deeds.len() as u64);
    let failed = deeds.iter().filter(|deed| deed.error != "-").count() as u64;
    assert_eq!(errors(&edges), failed);
    for edge in &edges {
        // Clients that live for a moment may be known by what started them.
        let arrow = edge.arrow();
        assert!(arrow.ends_with(server), "{arrow}");
        edge.check_whole();
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
