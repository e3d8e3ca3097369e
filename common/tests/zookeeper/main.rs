//! The ZooKeeper framing in tables: every kind of message, pipelines, events, splits, garbage.

#[path = "../http1/talk.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod talk;
mod wire;

use talk::{Client, Server, Talk};
use weir_common::{
    flow::protocol,
    framing::zookeeper::{OP_CONNECT, op_of, op_of_word},
};
use wire::{Part, answer, connect, connected, event, multi_header, on_path, request};

const CREATE: i32 = 1;
const DELETE: i32 = 2;
const EXISTS: i32 = 3;
const GET_DATA: i32 = 4;
const SET_DATA: i32 = 5;
const PING: i32 = 11;
const GET_CHILDREN_2: i32 = 12;
const MULTI: i32 = 14;
const CLOSE: i32 = -11;

/// Operation, status, bytes of request and answer.
type Outcome = (u64, u16, u64, u64);

/// What comes out of messages, whole or cut into pieces of so many bytes.
fn run(parts: &[Part], piece: usize) -> Vec<Outcome> {
    let mut talk = Talk::new();
    for (side, bytes) in parts {
        for piece in bytes.chunks(piece) {
            talk.say(*side, piece);
        }
    }
    let talk = talk.end();
    assert_eq!(
        (talk.lost, talk.conversation.opaque),
        (0, 0),
        "{parts:?} by {piece}: {:?}",
        talk.out
    );
    assert_eq!(talk.conversation.protocol, protocol::ZOOKEEPER);
    let outcome = |f: &weir_common::framing::http1::Finished| {
        (f.op, f.status, f.request_bytes, f.response_bytes)
    };
    talk.finished.iter().map(outcome).collect()
}

/// The same whole, by every small piece, and by some that cut at odd places.
fn check(parts: &[Part], expected: &[Outcome]) {
    for piece in [4096, 1, 2, 3, 5, 7, 11, 13, 50, 97] {
        assert_eq!(run(parts, piece), expected, "pieces of {piece}");
    }
}

/// A session that has begun.
fn session() -> Vec<Part> {
    vec![(Client, connect(true)), (Server, connected(10_000))]
}

const BEGUN: Outcome = (OP_CONNECT, 1, 49, 41);

/// A connection on which a session has begun.
fn talking() -> Talk {
    let mut talk = Talk::new();
    for (side, bytes) in session() {
        talk.say(side, &bytes);
    }
    talk
}

#[test]
fn sessions_begin_and_are_refused() {
    check(&session(), &[BEGUN]);
    check(
        &[(Client, connect(false)), (Server, connected(0))],
        &[(OP_CONNECT, 1000, 48, 41)],
    );
    // A client that saw a transaction of a high epoch.
    let mut again = connect(true);
    again[8] = 3;
    check(&[(Client, again), (Server, connected(10_000))], &[BEGUN]);
}

#[test]
fn every_operation_by_its_code() {
    for code in [
        1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 17, 18, 19, 20, 21, 103, 104, 106,
    ] {
        let ask = on_path(1, code, "/a/b");
        let len = ask.len() as u64;
        let mut parts = session();
        parts.extend([(Client, ask), (Server, answer(1, 0, b"body"))]);
        check(&parts, &[BEGUN, (op_of(code), 1, len, 24)]);
    }
    // What comes after weir's time is counted as well.
    let mut parts = session();
    parts.extend([
        (Client, request(9, 111, b"")),
        (Server, answer(9, 0, b"")),
        (Client, request(10, CLOSE, b"")),
        (Server, answer(10, 0, b"")),
    ]);
    check(
        &parts,
        &[BEGUN, (op_of(111), 1, 12, 20), (op_of(CLOSE), 1, 12, 20)],
    );
}

#[test]
fn errors_fail_but_what_exists_was_asked_about_does_not() {
    for (code, error, status) in [
        (GET_DATA, 0, 1),
        (GET_DATA, -101, 1000),
        (EXISTS, -101, 1),
        (EXISTS, -102, 1000),
        (CREATE, -110, 1000),
        (SET_DATA, -103, 1000),
        (DELETE, -111, 1000),
    ] {
        let mut parts = session();
        parts.extend([
            (Client, on_path(5, code, "/a")),
            (Server, answer(5, error, b"")),
        ]);
        check(&parts, &[BEGUN, (op_of(code), status, 19, 20)]);
    }
}

#[test]
fn transactions_fail_as_a_whole() {
    let done = [multi_header(CREATE, -1), multi_header(-1, -1)].concat();
    let failed = [
        multi_header(-1, 0),
        vec![0; 4],
        multi_header(-1, -110),
        (-110i32).to_be_bytes().to_vec(),
        multi_header(-1, -1),
    ]
    .concat();
    for (result, status) in [(done, 1), (failed, 1000), (Vec::new(), 1)] {
        let len = 20 + result.len() as u64;
        let mut parts = session();
        parts.extend([
            (Client, request(3, MULTI, &multi_header(CREATE, -1))),
            (Server, answer(3, 0, &result)),
        ]);
        check(&parts, &[BEGUN, (op_of(MULTI), status, 21, len)]);
    }
}

#[test]
fn pipelines_pings_and_events() {
    let mut parts = session();
    let asked = [
        on_path(1, GET_DATA, "/a"),
        request(-2, PING, b""),
        on_path(2, EXISTS, "/b"),
        request(-2, PING, b""),
    ];
    let answered = [
        answer(1, 0, b"data"),
        event("/a"),
        answer(-2, 0, b""),
        answer(2, -101, b""),
        answer(-2, 0, b""),
    ];
    parts.extend([
        (Server, event("/early")),
        (Client, asked.concat()),
        (Server, answered.concat()),
    ]);
    check(
        &parts,
        &[
            BEGUN,
            (op_of(GET_DATA), 1, 19, 24),
            (op_of(PING), 1, 12, 20),
            (op_of(EXISTS), 1, 19, 20),
            (op_of(PING), 1, 12, 20),
        ],
    );
}

#[test]
fn an_answer_that_overtakes_finds_its_request() {
    // The server answers auth as soon as it reads it.
    let mut parts = session();
    let asked = [
        on_path(1, SET_DATA, "/a"),
        on_path(2, GET_DATA, "/a"),
        request(-4, 100, b"\0\0\0\0\0\0\0\x06digest\0\0\0\x01x"),
    ];
    let answered = [
        answer(-4, 0, b""),
        answer(1, -103, b""),
        answer(2, 0, b"data"),
    ];
    parts.extend([(Client, asked.concat()), (Server, answered.concat())]);
    check(
        &parts,
        &[
            BEGUN,
            (op_of(100), 1, 31, 20),
            (op_of(SET_DATA), 1000, 19, 20),
            (op_of(GET_DATA), 1, 19, 24),
        ],
    );
}

#[test]
fn more_requests_than_are_remembered_are_counted() {
    let mut talk = talking();
    for xid in 1..=40 {
        talk.say(Client, &on_path(xid, GET_DATA, "/a"));
    }
    // The last one first: it is none of those that are remembered.
    talk.say(Server, &answer(40, 0, b""));
    for xid in 1..40 {
        talk.say(Server, &answer(xid, 0, b""));
    }
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (41, 0));
    let named = talk.finished[1..]
        .iter()
        .filter(|f| f.op == op_of(GET_DATA));
    assert_eq!(named.count(), 16);
    let untimed = talk.finished[1..].iter().filter(|f| f.started_ns == 0);
    assert_eq!(untimed.count(), 24);
}

#[test]
fn large_nodes_are_passed_over_unseen() {
    let mut talk = talking();
    let mut ask = on_path(1, SET_DATA, "/big");
    let len = ask.len() as u32 - 4 + 3_000_000;
    ask[..4].copy_from_slice(&len.to_be_bytes());
    talk.say(Client, &ask);
    talk.say_unseen(Client, 1_000_000);
    talk.say_unseen(Client, 2_000_000);
    let mut told = answer(1, 0, b"");
    told[..4].copy_from_slice(&(16u32 + 5_000_000).to_be_bytes());
    talk.say(Server, &told);
    talk.say_unseen(Server, 5_000_000);
    talk.say(Client, &on_path(2, DELETE, "/big"));
    talk.say(Server, &answer(2, 0, b""));
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (3, 0), "{:?}", talk.out);
    let big = &talk.finished[1];
    assert_eq!(
        (big.request_bytes, big.response_bytes),
        (3_000_021, 5_000_020)
    );
}

#[test]
fn four_letter_words_end_with_their_connection() {
    let told = b"Zookeeper version: 3.8.0\nLatency min/avg/max: 0/0.0/0\n";
    for word in ["ruok", "stat", "mntr", "wchc", "conf\n", "srvr\r\n"] {
        let mut talk = Talk::new();
        talk.say(Client, word.as_bytes());
        talk.say(Server, told);
        talk.say(Server, &told[..20]);
        let talk = talk.end();
        assert_eq!((talk.lost, talk.conversation.opaque), (0, 0), "{word:?}");
        let bytes = word.as_bytes();
        let op = op_of_word([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let f = &talk.finished[0];
        assert_eq!((f.op, f.status, f.until_close), (op, 1, 1), "{word:?}");
        assert_eq!((f.request_bytes, f.response_bytes), (4, 74), "{word:?}");
        assert_eq!(talk.finished.len(), 1);
    }
    // A word that nobody answers.
    let mut talk = Talk::new();
    talk.say(Client, b"ruok");
    assert_eq!(talk.end().finished[0].status, 0);
    // Words that only begin like them, or come in pieces, are not ZooKeeper's.
    for pieces in [
        &["stats\r\n"][..],
        &["st", "at"],
        &["stat", "s\r\n"][..1],
        &["rook"],
    ] {
        let mut talk = Talk::new();
        for piece in pieces {
            talk.say(Client, piece.as_bytes());
        }
        let is_word = pieces == ["stat"];
        assert_eq!(
            talk.conversation.protocol == protocol::ZOOKEEPER,
            is_word,
            "{pieces:?}"
        );
    }
}

#[test]
fn words_in_mid_stream_mean_nothing() {
    let mut talk = Talk::midstream();
    talk.say(Client, b"stat\n");
    assert_eq!(talk.conversation.protocol, protocol::UNKNOWN);
    let mut talk = Talk::new();
    talk.say(Client, b"\r\n");
    talk.say(Client, b"stat");
    assert_ne!(talk.conversation.protocol, protocol::ZOOKEEPER);
}

#[test]
fn what_is_no_zookeeper_turns_opaque() {
    let mut postgres = vec![0, 0, 0, 41, 0, 3, 0, 0];
    postgres.extend_from_slice(b"user\0postgres\0database\0postgres\0\0");
    let mut no_password = connect(true);
    no_password[31] = 99;
    let mut no_time = connect(true);
    no_time[16..20].fill(0);
    for bytes in [
        postgres,
        no_password,
        no_time,
        vec![0; 64],
        request(1, 999, b"/ab"),
        request(-3, PING, b""),
        // A transaction's first part behind the end of its request.
        [
            &request(7, MULTI, b"ab")[..],
            &[0, 0, 0, 255, 255, 255, 255, 0],
        ]
        .concat(),
        wire::frame(&[0xff; 40]),
    ] {
        for piece in [4096, 4] {
            let mut talk = Talk::new();
            for piece in bytes.chunks(piece) {
                talk.say(Client, piece);
            }
            talk.say(Client, b"more and more");
            assert_eq!(talk.conversation.opaque, 1, "{bytes:?}");
            assert_eq!((talk.finished.len(), talk.lost), (0, 0), "{bytes:?}");
        }
    }
}

#[test]
fn hostile_lengths_are_no_frames() {
    for len in [0u32, 7, 1 << 28, u32::MAX] {
        let mut talk = talking();
        let mut ask = on_path(1, GET_DATA, "/a");
        ask[..4].copy_from_slice(&len.to_be_bytes());
        talk.say(Client, &ask);
        assert_eq!(talk.lost, 1, "request of {len}");
        talk.say(Client, &on_path(2, GET_DATA, "/a"));
        talk.say(Server, &answer(2, 0, b""));
        assert_eq!((talk.finished.len(), talk.lost), (2, 1), "request of {len}");
        let mut talk = talking();
        talk.say(Client, &on_path(1, GET_DATA, "/a"));
        let mut told = answer(1, 0, b"");
        told[..4].copy_from_slice(&len.to_be_bytes());
        talk.say(Server, &told);
        assert_eq!((talk.finished.len(), talk.lost), (1, 1), "answer of {len}");
    }
}

#[test]
fn garbage_and_answers_to_nothing_are_losses() {
    let mut talk = talking();
    talk.say(Client, b"\x00\x00\x00\x10garbage behind a length");
    assert_eq!(talk.lost, 1);
    talk.say(Client, &on_path(4, GET_DATA, "/a"));
    // An answer to what was not seen is skipped while looking for the stream again.
    talk.say(Server, &answer(3, 0, b""));
    talk.say(Server, &answer(4, 0, b""));
    talk.say(Client, &on_path(5, GET_DATA, "/a"));
    talk.say(Server, &answer(5, 0, b""));
    assert_eq!((talk.finished.len(), talk.lost), (3, 1), "{:?}", talk.out);
    talk.say(Server, &answer(6, 0, b"who asked?"));
    assert_eq!(talk.out.last().unwrap(), "lost orphan_response 1");
}

#[test]
fn a_missed_segment_is_a_loss_and_the_next_request_is_found() {
    let mut talk = talking();
    talk.miss(Client, 19);
    talk.say(Server, &answer(1, 0, b""));
    assert_eq!(talk.out.last().unwrap(), "lost orphan_response 1");
    let lost = talk.lost;
    talk.say(Client, &on_path(2, GET_CHILDREN_2, "/a"));
    talk.say(Server, &answer(2, 0, b""));
    talk.say(Client, &on_path(3, GET_DATA, "/a"));
    talk.say(Server, &answer(3, 0, b""));
    let talk = talk.end();
    assert_eq!(talk.lost, lost + 1, "{:?}", talk.out);
    let ops: Vec<_> = talk.finished[1..].iter().map(|f| f.op).collect();
    assert!(ops.ends_with(&[op_of(GET_DATA)]), "{:?}", talk.out);
}

#[test]
fn a_connection_older_than_its_observer_is_known_by_its_next_request() {
    for first in [
        on_path(41, GET_DATA, "/a"),
        request(-2, PING, b""),
        request(41, MULTI, &multi_header(CREATE, -1)),
        request(-8, 101, b"\0\0\0\0\0\0\0\x07"),
        on_path(i32::MAX, CREATE, "/"),
    ] {
        let mut talk = Talk::midstream();
        talk.say(Server, &answer(7, 0, b"old"));
        talk.say(Server, b"\x00\x00\x00the rest of a node");
        talk.say(Client, b"\x00\x00\x00the rest of another one");
        let xid = i32::from_be_bytes([first[4], first[5], first[6], first[7]]);
        talk.say(Client, &first);
        // Answers to what was asked before stand in the way.
        talk.say(Server, &answer(39, 0, b""));
        talk.say(Server, &answer(xid, 0, b""));
        talk.say(Client, &on_path(42, GET_DATA, "/a"));
        talk.say(Server, &answer(42, -101, b""));
        let talk = talk.end();
        assert_eq!(talk.conversation.protocol, protocol::ZOOKEEPER);
        let statuses: Vec<_> = talk.finished.iter().map(|f| f.status).collect();
        assert_eq!((statuses, talk.lost), (vec![1, 1000], 0), "{first:?}");
    }
}

#[test]
fn requests_without_an_answer_are_told_at_the_end() {
    let mut talk = talking();
    talk.say(Client, &on_path(1, GET_DATA, "/a"));
    talk.say(Client, &on_path(2, EXISTS, "/a"));
    talk.say(Server, &answer(2, 0, b""));
    let talk = talk.end();
    let outcomes: Vec<_> = talk.finished[1..]
        .iter()
        .map(|f| (f.op, f.status))
        .collect();
    assert_eq!(outcomes, [(op_of(EXISTS), 1), (op_of(GET_DATA), 0)]);
}
