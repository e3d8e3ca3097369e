//! The MySQL framing in tables: logins, commands, results of every form, splits, garbage.

mod exchanges;
mod hostile;
mod login;
mod packets;
#[path = "../http1/talk.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod talk;

use packets::{Bytes, Ends, greeting, handshake, ok, packet};
use talk::{Client, Server, Side, Talk};
use weir_common::{
    flow::protocol,
    framing::{
        http1::Finished,
        mysql::{command_op, prepare_op},
        sql,
    },
};

/// What is said: by whom.
type Say = (Side, Bytes);

/// An exchange: operation key, outcome, bytes asked and answered.
type Outcome = (u64, u16, u64, u64);

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
    assert_eq!(talk.conversation.protocol, protocol::MYSQL);
    talk.finished.iter().map(outcome).collect()
}

/// A greeting and a login; then what is said, whole, by every small piece, and by one that cuts
/// at odd places.
fn check(ends: Ends, says: &[Say], expected: &[Outcome]) {
    let (says, connect) = logged_in(ends.capabilities(), says);
    let expected: Vec<_> = [connect].iter().chain(expected).copied().collect();
    for piece in [4096, 1, 2, 3, 5, 7, 11, 13, 50, 97] {
        assert_eq!(run(&says, piece), expected, "{ends:?}, pieces of {piece}");
    }
}

/// A greeting and a login before what is said, and the exchange that the login is.
fn logged_in(capabilities: u32, says: &[Say]) -> (Vec<Say>, Outcome) {
    let shake = handshake(capabilities);
    let fine = packet(2, &ok(0));
    let connect = (
        command_op(weir_common::framing::mysql::command::CONNECT),
        1,
        shake.len() as u64,
        fine.len() as u64,
    );
    let login = [(Server, greeting()), (Client, shake), (Server, fine)];
    (login.iter().chain(says).cloned().collect(), connect)
}

/// Key of the exchange with this SQL text.
fn sql(text: &str) -> u64 {
    sql::op_hash_of(&text.as_bytes()[..text.len().min(91)])
}

fn preparing(text: &str) -> u64 {
    prepare_op(sql(text))
}

/// A connection behind its login.
fn logged() -> Talk {
    let mut talk = Talk::new();
    for (side, bytes) in logged_in(0, &[]).0 {
        talk.say(side, &bytes);
    }
    talk
}
