//! How long exchanges took by what weir tells, against how long their clients waited.
//!
//! A client's time lies around the server's: it begins before the request is sent and ends after the
//! answer was read, so no exchange can take longer, however busy the machine is. How much shorter
//! one is also depends on when its client was run again: of a slow one that is little, and each of
//! them must agree within 5 %. Quick ones are only held against what their clients waited.

use std::{process::Command, thread, time::Duration};

use crate::{answer::Exchange, process::Process};

/// Clocks of clients may count whole microseconds, cut off at both ends.
const CLOCK_NS: u64 = 1_000;

/// What takes at least so long is slow, ns: more than any client of an idle server waits.
const SLOW_NS: u64 = 200_000_000;

/// How long a server stands still, and how often.
const STOP: Duration = Duration::from_millis(400);
const STOPS: usize = 3;

/// Durations of those exchanges, ns, in the order in which they began.
pub fn durations(exchanges: &[Exchange], is_it: impl Fn(&Exchange) -> bool) -> Vec<u64> {
    let mut found: Vec<&Exchange> = exchanges.iter().filter(|e| is_it(e)).collect();
    found.sort_by(|a, b| a.ts.total_cmp(&b.ts));
    found.iter().map(|exchange| exchange.duration_ns).collect()
}

/// Fails unless each exchange took some time, and no longer than its client waited, ns.
pub fn check_within(what: &str, seen: &[u64], waited: &[u64]) {
    assert_eq!(seen.len(), waited.len(), "{what}: {seen:?} of {waited:?}");
    assert!(!seen.is_empty(), "{what}: none");
    for (seen, waited) in seen.iter().zip(waited) {
        assert!(*waited != 0, "{what}: the client did not measure");
        assert!(
            *seen > 1_000 && *seen <= waited + CLOCK_NS,
            "{what}: {seen} ns of {waited} ns"
        );
    }
}

/// Fails unless these are slow, and each took as long as its client says, within 5 %.
pub fn check_near(what: &str, seen: &[u64], waited: &[u64]) {
    let told = format!("{what}: {seen:?} of {waited:?} ns");
    assert_eq!(seen.len(), waited.len(), "{told}");
    assert!(waited.iter().all(|waited| *waited > SLOW_NS), "{told}");
    assert!(!seen.is_empty(), "{told}");
    let mut pairs = seen.iter().zip(waited);
    let is_near = |(seen, waited): (&u64, &u64)| seen.abs_diff(*waited) * 20 < *waited;
    assert!(pairs.all(is_near), "{told}");
}

/// Both: each took no longer than its client waited, and as long within 5 %.
pub fn check_slow(what: &str, seen: &[u64], waited: &[u64]) {
    check_within(what, seen, waited);
    check_near(what, seen, waited);
}

/// Both of requests to a server that stood still [`STOPS`] times: of those that had to wait the one,
/// of all the other.
pub fn check_stopped(what: &str, seen: &[u64], waited: &[u64]) {
    check_within(what, seen, waited);
    let pairs = seen.iter().zip(waited);
    let (seen, waited): (Vec<u64>, Vec<u64>) = pairs.filter(|(_, w)| **w > SLOW_NS).unzip();
    assert!(waited.len() >= STOPS, "{what}: {waited:?}");
    check_near(what, &seen, &waited);
}

/// Runs a client that asks all the time, lets its server stand still meanwhile, and answers what the
/// client says.
///
/// # Panics
/// If the client says nothing, or fails.
pub fn run_with_stops(server: &Process, client: &mut Command) -> String {
    let mut client = Process::start(client);
    crate::wait_for("the client's first words", Duration::from_secs(20), || {
        (!client.log().is_empty()).then_some(())
    });
    for _ in 0..STOPS {
        server.while_stopped(STOP, || ());
        thread::sleep(STOP / 2);
    }
    let status = client.wait(Duration::from_secs(60));
    assert!(status.success(), "{}", client.log());
    client.log()
}

/// Asks [`STOPS`] times while a server stands still; answers how long each took by what `ask` says,
/// ns.
pub fn ask_with_stops(server: &Process, mut ask: impl FnMut() -> u64) -> Vec<u64> {
    (0..STOPS)
        .map(|_| server.while_stopped(STOP, &mut ask))
        .collect()
}
