//! The HTTP/2 framing in tables: streams, header blocks, bodies, resets, splits, garbage.

#[path = "../http1/talk.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod talk;

mod beginnings;
mod blocks;
mod frames;
mod goaway;
mod messages;
mod reads;
mod repeats;
mod traces;

use talk::{Client, Server, Side, Talk};
use weir_common::{
    flow::protocol,
    framing::{
        http1::{Finished, op_hash},
        http2::UNSEEN_OP,
    },
    stable_hash,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn data(flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    frame(0, flags, stream, payload)
}

fn headers(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    frame(1, flags, stream, block)
}

fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(3, 0, stream, &code.to_be_bytes())
}

fn settings() -> Vec<u8> {
    frame(4, 0, 0, &[0, 3, 0, 0, 0, 100])
}

/// A request without a body: `:method GET` and more from the static table.
const GET: &[u8] = &[0x82, 0x86, 0x84];
const OK: &[u8] = &[0x88];

fn get(stream: u32) -> Vec<u8> {
    headers(END_STREAM | END_HEADERS, stream, GET)
}

/// Path, status, bytes asked and answered.
type Told = (&'static str, u16, u64, u64);

struct Outcome {
    told: Vec<(u64, u16, u64, u64)>,
    lost: u64,
    open: u64,
    paths: Vec<String>,
}

fn run(parts: &[(Side, Vec<u8>)], piece: usize) -> Outcome {
    let mut talk = Talk::new();
    for (side, bytes) in parts {
        for piece in bytes.chunks(piece) {
            talk.say(*side, piece);
        }
    }
    outcome(talk.end())
}

fn outcome(talk: Talk) -> Outcome {
    assert_eq!(talk.conversation.protocol, protocol::HTTP2);
    let told = |f: &Finished| (f.op, f.status, f.request_bytes, f.response_bytes);
    let path = |(op, bytes): &(u64, Vec<u8>)| {
        let path = String::from_utf8(bytes.clone()).unwrap();
        assert!(*op == op_hash(path.as_bytes()) || *op == stable_hash(path.as_bytes()));
        path
    };
    Outcome {
        told: talk.finished.iter().map(told).collect(),
        lost: talk.lost,
        open: talk.conversation.outstanding(),
        paths: talk.paths.iter().map(path).collect(),
    }
}

/// The same whole, by every small piece, and by ones that cut at odd places.
fn check(parts: &[(Side, Vec<u8>)], told: &[Told]) {
    let told: Vec<_> = told
        .iter()
        .map(|told| (op_of(told.0), told.1, told.2, told.3))
        .collect();
    for piece in [100_000, 1, 2, 3, 5, 7, 11, 13, 50, 97] {
        let outcome = run(parts, piece);
        assert_eq!(outcome.told, told, "pieces of {piece}");
        assert_eq!((outcome.lost, outcome.open), (0, 0), "pieces of {piece}");
    }
}

/// Operation key of a path; of one in brackets as gRPC has it; of none if it is empty.
fn op_of(path: &str) -> u64 {
    match path.strip_prefix('[') {
        Some(method) => stable_hash(method.as_bytes()),
        None if path.is_empty() => UNSEEN_OP,
        None => op_hash(path.as_bytes()),
    }
}

fn opening() -> Vec<(Side, Vec<u8>)> {
    vec![
        (Client, [PREFACE, &settings()].concat()),
        (Server, [settings(), frame(4, 1, 0, &[])].concat()),
        (Client, frame(4, 1, 0, &[])),
    ]
}

fn after_opening(parts: &[(Side, Vec<u8>)]) -> Vec<(Side, Vec<u8>)> {
    let mut all = opening();
    all.extend_from_slice(parts);
    all
}
