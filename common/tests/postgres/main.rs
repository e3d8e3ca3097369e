//! The PostgreSQL framing in tables: logins, queries, batches, data, splits, garbage.

mod batches;
mod hostile;
mod login;
mod queries;
#[path = "../http1/talk.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod talk;
mod wire;

use talk::{Client, Server, Side, Talk};
use weir_common::{
    flow::protocol,
    framing::{
        http1::Finished,
        postgres::{named, prepare_op, text},
    },
};
use wire::Bytes;

/// What is said: by whom.
type Say = (Side, Bytes);

/// An exchange: operation key, outcome, bytes asked and answered.
type Outcome = (u64, u16, u64, u64);

const OK: u16 = 1;
const FAILED: u16 = 1000;

fn outcome(f: &Finished) -> Outcome {
    (f.op, f.status, f.request_bytes, f.response_bytes)
}

/// Runs what is said, whole or cut into pieces of so many bytes.
fn run(says: &[Say], piece: usize) -> Vec<Outcome> {
    let mut talk = Talk::new();
    for (side, bytes) in says {
        for piece in bytes.chunks(piece) {
            talk.say(*side, piece);
        }
    }
    let talk = talk.end();
    let end = (talk.lost, talk.conversation.opaque);
    assert_eq!(end, (0, 0), "by {piece}: {:?}", talk.out);
    assert_eq!(talk.conversation.protocol, protocol::POSTGRES);
    talk.finished.iter().map(outcome).collect()
}

/// A login; then what is said, whole, by every small piece, and by one that cuts at odd places.
/// Exchanges are told by key and outcome.
fn check(says: &[Say], expected: &[(u64, u16)]) {
    let says = logged_in(says);
    let expected: Vec<_> = [(op(named::CONNECT), OK)]
        .iter()
        .chain(expected)
        .copied()
        .collect();
    let whole = run(&says, 4096);
    let found: Vec<_> = whole.iter().map(|found| (found.0, found.1)).collect();
    assert_eq!(found, expected);
    for piece in [1, 2, 3, 5, 7, 11, 13, 50, 97] {
        assert_eq!(run(&says, piece), whole, "pieces of {piece}");
    }
}

/// A login before what is said.
fn logged_in(says: &[Say]) -> Vec<Say> {
    let login = [(Client, wire::startup()), (Server, wire::welcome())];
    login.iter().chain(says).cloned().collect()
}

fn op(name: &str) -> u64 {
    named::op(name)
}

/// Key of the exchange with this SQL text.
fn sql(text: &str) -> u64 {
    text::op_hash_of(text.as_bytes(), false)
}

fn preparing(text: &str) -> u64 {
    prepare_op(sql(text))
}

/// A connection behind its login.
fn logged() -> Talk {
    let mut talk = Talk::new();
    for (side, bytes) in logged_in(&[]) {
        talk.say(side, &bytes);
    }
    talk
}
