//! The HTTP/2 framing in tables: streams, header blocks in pieces, bodies, resets, splits, garbage.

#[path = "../http1/talk.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod talk;

use talk::{Client, Server, Side, Talk};
use weir_common::flow::protocol;

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
    frame(3, 1, stream, &code.to_be_bytes())
}

fn settings() -> Vec<u8> {
    frame(4, 1, 0, &[0, 3, 0, 0, 0, 100])
}

/// A request without a body: `:method GET` and more from the static table.
const GET: &[u8] = &[0x82, 0x86, 0x84];
const OK: &[u8] = &[0x88];

fn get(stream: u32) -> Vec<u8> {
    headers(END_STREAM | END_HEADERS, stream, GET)
}

/// Stream, status, bytes asked and answered.
type Told = (u64, u16, u64, u64);

struct Outcome {
    told: Vec<Told>,
    blocks: Vec<(Side, u32, Vec<u8>)>,
    lost: u64,
    open: u64,
}

fn run(parts: &[(Side, Vec<u8>)], piece: usize) -> Outcome {
    let mut talk = Talk::new();
    for (side, bytes) in parts {
        for piece in bytes.chunks(piece) {
            talk.say(*side, piece);
        }
    }
    let talk = talk.end();
    assert_eq!(talk.conversation.protocol, protocol::HTTP2);
    let told = |f: &weir_common::framing::http1::Finished| {
        (f.op, f.status, f.request_bytes, f.response_bytes)
    };
    let mut blocks: Vec<(Side, u32, Vec<u8>)> = Vec::new();
    for (side, stream, bytes, [begins, _]) in &talk.pieces {
        match blocks.iter_mut().rev().find(|block| block.0 == *side) {
            Some(block) if !begins => block.2.extend(bytes),
            _ => blocks.push((*side, *stream, bytes.clone())),
        }
    }
    Outcome {
        told: talk.finished.iter().map(told).collect(),
        blocks,
        lost: talk.lost,
        open: talk.conversation.outstanding(),
    }
}

/// The same whole, by every small piece, and by one that cuts at odd places.
fn check(parts: &[(Side, Vec<u8>)], told: &[Told], blocks: &[(Side, u32, &[u8])]) {
    for piece in [100_000, 1, 2, 3, 5, 7, 11, 13, 50, 97] {
        let outcome = run(parts, piece);
        assert_eq!(outcome.told, told, "pieces of {piece}");
        assert_eq!((outcome.lost, outcome.open), (0, 0), "pieces of {piece}");
        let found: Vec<_> = outcome
            .blocks
            .iter()
            .map(|(side, stream, bytes)| (*side, *stream, bytes.as_slice()))
            .collect();
        // Blocks of one side stay in order; how the sides interleave depends on the cuts.
        for side in [Client, Server] {
            let of = |all: &[(Side, u32, &[u8])]| {
                let of_side = all.iter().filter(|block| block.0 == side);
                of_side.map(|b| (b.1, b.2.to_vec())).collect::<Vec<_>>()
            };
            assert_eq!(of(&found), of(blocks), "pieces of {piece}");
        }
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

#[test]
fn a_request_and_its_answer() {
    let answer = [headers(END_HEADERS, 1, OK), data(END_STREAM, 1, b"hello")].concat();
    check(
        &after_opening(&[(Client, get(1)), (Server, answer)]),
        &[(1, 1, 12, 10 + 14)],
        &[(Client, 1, GET), (Server, 1, OK)],
    );
}

#[test]
fn an_answer_without_a_body_ends_with_its_head() {
    check(
        &after_opening(&[
            (Client, get(1)),
            (Server, headers(END_HEADERS | END_STREAM, 1, &[0x89])),
        ]),
        &[(1, 1, 12, 10)],
        &[(Client, 1, GET), (Server, 1, &[0x89])],
    );
}

#[test]
fn a_streaming_call_ends_at_its_trailers() {
    let parts = after_opening(&[
        (Client, headers(END_HEADERS, 1, &[0x83, 0x86])),
        (Client, data(0, 1, b"one")),
        (Server, headers(END_HEADERS, 1, OK)),
        (Client, data(0, 1, b"two")),
        (Server, data(0, 1, b"echo")),
        (Client, data(END_STREAM, 1, b"")),
        (Server, data(0, 1, b"echo")),
        (
            Server,
            headers(END_HEADERS | END_STREAM, 1, &[0x40, 1, b'a', 1, b'0']),
        ),
    ]);
    check(
        &parts,
        &[(1, 1, 11 + 12 + 12 + 9, 10 + 13 + 13 + 14)],
        &[
            (Client, 1, &[0x83, 0x86]),
            (Server, 1, OK),
            (Server, 1, &[0x40, 1, b'a', 1, b'0']),
        ],
    );
}

#[test]
fn a_hundred_streams_end_in_any_order() {
    let ids: Vec<u32> = (0..100).map(|i| 2 * i + 1).collect();
    let asked = ids.iter().flat_map(|id| get(*id)).collect();
    let answer = |id: &u32| [headers(END_HEADERS, *id, OK), data(END_STREAM, *id, b"x")].concat();
    let answered = ids.iter().rev().flat_map(answer).collect();
    let told: Vec<Told> = ids
        .iter()
        .rev()
        .map(|id| (u64::from(*id), 1, 12, 20))
        .collect();
    let mut blocks: Vec<(Side, u32, &[u8])> = ids.iter().map(|id| (Client, *id, GET)).collect();
    blocks.extend(ids.iter().rev().map(|id| (Server, *id, OK)));
    check(
        &after_opening(&[(Client, asked), (Server, answered)]),
        &told,
        &blocks,
    );
}

#[test]
fn padding_priority_continuation_and_long_blocks() {
    let long: Vec<u8> = [0x83]
        .into_iter()
        .chain((0..1500).map(|i| (i % 251) as u8))
        .collect();
    let mut padded = vec![4];
    padded.extend([0, 0, 0, 0, 16]);
    padded.extend(&long[..700]);
    padded.extend([0; 4]);
    let asked = [
        frame(1, PADDED | PRIORITY | END_STREAM, 1, &padded),
        frame(9, 1, 1, &long[700..1000]),
        frame(9, 1, 1, &[]),
        frame(9, END_HEADERS, 1, &long[1000..]),
    ]
    .concat();
    // Only the first frame of a block is counted as the request's bytes.
    let answer = [
        headers(END_HEADERS, 1, OK),
        data(PADDED | END_STREAM, 1, &[2, b'a', b'b', 0, 0]),
    ]
    .concat();
    check(
        &after_opening(&[(Client, asked), (Server, answer)]),
        &[(1, 1, 9 + 710, 10 + 14)],
        &[(Client, 1, &long), (Server, 1, OK)],
    );
}

#[test]
fn resets_of_either_side_end_a_call() {
    let parts = after_opening(&[
        (Client, [get(1), get(3), get(5)].concat()),
        (Client, reset(1, 8)),
        (Server, reset(3, 7)),
        // What the server sends before it knows, and a reset after the end, are nothing.
        (Server, headers(END_HEADERS | END_STREAM, 1, OK)),
        (Server, headers(END_HEADERS | END_STREAM, 5, OK)),
        (Client, reset(5, 0)),
    ]);
    check(
        &parts,
        &[(1, 2008, 12, 0), (3, 2007, 12, 0), (5, 1, 12, 10)],
        &[
            (Client, 1, GET),
            (Client, 3, GET),
            (Client, 5, GET),
            (Server, 1, OK),
            (Server, 5, OK),
        ],
    );
}

#[test]
fn pushed_blocks_are_handed_on_and_are_no_calls() {
    let mut promise = 2_u32.to_be_bytes().to_vec();
    promise.extend(GET);
    let parts = after_opening(&[
        (Client, get(1)),
        (Server, frame(5, END_HEADERS, 1, &promise)),
        (Server, headers(END_HEADERS, 2, OK)),
        (Server, data(END_STREAM, 2, b"pushed")),
        (Server, headers(END_HEADERS | END_STREAM, 1, OK)),
    ]);
    check(
        &parts,
        &[(1, 1, 12, 10)],
        &[
            (Client, 1, GET),
            (Server, 1, GET),
            (Server, 2, OK),
            (Server, 1, OK),
        ],
    );
}

#[test]
fn a_server_that_speaks_first() {
    let parts = [
        (Server, settings()),
        (Client, [PREFACE, &settings(), &get(1)].concat()),
        (Server, headers(END_HEADERS | END_STREAM, 1, OK)),
    ];
    let outcome = run(&parts, 100_000);
    assert_eq!(outcome.told, [(1, 1, 12, 10)]);
    assert_eq!(outcome.lost, 0);
}

#[test]
fn a_large_body_is_passed_over_unseen() {
    let mut talk = Talk::new();
    talk.say(
        Client,
        &[PREFACE, &settings(), &headers(END_HEADERS, 1, &[0x83])].concat(),
    );
    for last in [false, true] {
        let mut head = data(u8::from(last), 1, b"");
        head[..3].copy_from_slice(&[0xff, 0xff, 0xff]);
        talk.say(Client, &head);
        talk.say_unseen(Client, 0xff_ffff);
    }
    talk.say(Server, &headers(END_HEADERS, 1, OK));
    let mut head = data(END_STREAM, 1, b"");
    head[..3].copy_from_slice(&[0xff, 0xff, 0xff]);
    talk.say(Server, &head);
    talk.say_unseen(Server, 0xff_fffe);
    assert_eq!(talk.finished.len(), 0, "its last byte is missing");
    talk.say_unseen(Server, 1);
    assert_eq!(talk.finished.len(), 1);
    assert_eq!(talk.finished[0].request_bytes, 10 + 2 * (9 + 0xff_ffff));
    assert_eq!(talk.lost, 0);
}

#[test]
fn a_connection_older_than_its_observer_is_known_by_its_next_request() {
    let mut talk = Talk::midstream();
    talk.say(
        Server,
        &data(END_STREAM, 7, b"an answer whose request was not seen"),
    );
    talk.say(Client, &frame(8, 1, 0, &[0, 0, 0, 9]));
    talk.say(Client, &get(9));
    talk.say(Server, &headers(END_HEADERS | END_STREAM, 9, OK));
    let talk = talk.end();
    assert_eq!(talk.conversation.protocol, protocol::HTTP2);
    assert_eq!(talk.finished.len(), 1);
    assert_eq!(talk.finished[0].op, 9);
}

#[test]
fn a_missed_segment_is_a_loss_and_the_next_request_is_found() {
    let mut talk = Talk::new();
    talk.say(Client, &[PREFACE, &settings(), &get(1)].concat());
    talk.say(Server, &headers(END_HEADERS | END_STREAM, 1, OK));
    talk.miss(Client, 12);
    talk.say(Client, &get(5));
    talk.say(Server, &headers(END_HEADERS | END_STREAM, 5, OK));
    let talk = talk.end();
    let told: Vec<u64> = talk.finished.iter().map(|f| f.op).collect();
    assert_eq!((told, talk.lost), (vec![1, 5], 1));
}

#[test]
fn what_only_looks_like_http2_turns_opaque() {
    let mut talk = Talk::new();
    talk.say(Client, PREFACE);
    talk.say(Client, b"and then something else");
    assert_eq!(talk.conversation.opaque, 1);
    assert_eq!(talk.lost, 0);
}

#[test]
fn garbage_on_a_known_connection_is_a_loss_and_is_left_again() {
    for garbage in [
        &headers(END_HEADERS, 0, GET)[..],
        &frame(9, END_HEADERS, 3, GET),
        &frame(1, PADDED | END_HEADERS, 3, &[200, 0x82]),
        &frame(3, 1, 3, &[1, 2]),
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut talk = Talk::new();
        talk.say(Client, &[PREFACE, &settings(), &get(1)].concat());
        talk.say(Server, &headers(END_HEADERS | END_STREAM, 1, OK));
        talk.say(Client, garbage);
        assert_eq!(talk.lost, 1, "{garbage:?}");
        talk.say(Client, &get(5));
        talk.say(Server, &headers(END_HEADERS | END_STREAM, 5, OK));
        let told: Vec<u64> = talk.finished.iter().map(|f| f.op).collect();
        assert_eq!((told, talk.lost), (vec![1, 5], 1), "{garbage:?}");
    }
}
