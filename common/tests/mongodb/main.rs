//! The MongoDB framing in tables: commands, failures wherever an answer tells them, exhaust
//! cursors, compression, old messages, splits, garbage.

mod messages;
#[path = "../http1/talk.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod talk;

use messages::{
    Array, Binary, Bool, Document, Double, Id, Int, Long, Null, Text, Timestamp, Value, compressed,
    document, message, msg, query, reply, times,
};
use talk::{Client, Server, Side, Talk};
use weir_common::{
    flow::protocol,
    framing::mongodb::{op_of, opcode},
    stable_hash,
};

const PIECES: [usize; 10] = [4096, 1, 2, 3, 5, 7, 11, 13, 50, 97];

/// Operation, status, bytes asked and answered, and the first bytes of a failing answer.
type Row = (u64, u16, u64, u64, Vec<u8>);

/// Runs messages, whole or cut into pieces of so many bytes, and tells commands and outcomes.
fn run(parts: &[(Side, Vec<u8>)], piece: usize) -> Vec<Row> {
    let mut talk = Talk::new();
    let mut answers = Vec::new();
    for (side, bytes) in parts {
        for piece in bytes.chunks(piece) {
            talk.say(*side, piece);
            if talk.finished.len() > answers.len() {
                answers.resize(talk.finished.len(), Vec::new());
                let conversation = &talk.conversation;
                let kept: &[u8] = bytemuck::cast_slice(&conversation.answer);
                let from = conversation.answer_skip as usize;
                let len = usize::from(conversation.answer_len);
                *answers.last_mut().unwrap() = kept[from..from + len].to_vec();
            }
        }
    }
    let talk = talk.end();
    assert_eq!(
        (talk.lost, talk.conversation.opaque),
        (0, 0),
        "{piece} at a time: {:?}",
        talk.out
    );
    assert_eq!(talk.conversation.protocol, protocol::MONGODB);
    answers.resize(talk.finished.len(), Vec::new());
    let rows = talk.finished.iter().zip(answers);
    rows.map(|(f, answer)| {
        let answer = if f.status < 1000 { Vec::new() } else { answer };
        (f.op, f.status, f.request_bytes, f.response_bytes, answer)
    })
    .collect()
}

/// The same whole, by every small piece, and by one that cuts at odd places. Expected: operation,
/// whether it succeeded (1) or failed (1000), how the bytes begin that tell the failure.
fn check(parts: &[(Side, Vec<u8>)], expected: &[(&str, u16, &[u8])]) {
    for piece in PIECES {
        let rows = run(parts, piece);
        let found: Vec<_> = rows.iter().map(|row| (row.0, row.1)).collect();
        let wanted: Vec<_> = expected
            .iter()
            .map(|(name, status, _)| (stable_hash(name.as_bytes()), *status))
            .collect();
        assert_eq!(found, wanted, "{piece} at a time: {expected:?}");
        for (row, (name, _, begins)) in rows.iter().zip(expected) {
            let told = row.4.escape_ascii();
            assert!(
                row.4.starts_with(begins),
                "{piece} at a time: {name}: {told}"
            );
        }
    }
}

fn find(id: u32) -> Vec<u8> {
    let command = document(&[
        ("find", Text("orders")),
        ("filter", Document(document(&[("_id", Int(7))]))),
        ("lsid", Document(document(&[("id", Binary(16))]))),
        ("$db", Text("shop")),
    ]);
    msg(id, 0, 0, &command)
}

/// The answer to a read that finds so many bytes.
fn found(id: u32, bytes: usize) -> Vec<u8> {
    let batch = document(&[("0", Document(document(&[("a", Binary(bytes))])))]);
    let cursor = document(&[
        ("firstBatch", Array(batch)),
        ("id", Long(0)),
        ("ns", Text("shop.orders")),
    ]);
    let mut elements = vec![("cursor", Document(cursor)), ("ok", Double(1.0))];
    elements.extend(times());
    msg(id + 100, id, 0, &document(&elements))
}

#[test]
fn commands_are_named_by_their_first_element() {
    let long = "a_collection_with_a_name_that_goes_on_and_on_and_on_and_on_and_on";
    // A name counts as far as byte 95 of the message.
    let cut = format!("find {}", &long[..60]);
    for (elements, expected) in [
        (vec![("find", Text("orders"))], "find orders"),
        (vec![("hello", Int(1)), ("$db", Text("admin"))], "hello"),
        (vec![("ping", Double(1.0))], "ping"),
        (vec![("aggregate", Int(1))], "aggregate"),
        (vec![("aggregate", Text("orders"))], "aggregate orders"),
        (
            vec![("getMore", Long(99)), ("collection", Text("orders"))],
            "getMore orders",
        ),
        (
            vec![("getMore", Long(99)), ("batchSize", Int(5))],
            "getMore",
        ),
        (vec![("endSessions", Array(document(&[])))], "endSessions"),
        (vec![("find", Text(""))], "find"),
        (vec![("find", Text(long))], &cut),
        (vec![], ""),
    ] {
        let request = msg(1, 0, 0, &document(&elements));
        check(
            &[(Client, request.clone()), (Server, found(1, 3))],
            &[(expected, 1, b"")],
        );
        let head = &request[..request.len().min(256)];
        assert_eq!(op_of(head), stable_hash(expected.as_bytes()), "{expected}");
    }
}

#[test]
fn answers_tell_failure_at_any_place() {
    let code: &[u8] = b"\x10code\0\x1a\0\0\0\x02codeName\0\x12\0\0\0NamespaceNotFound\0";
    let long_text = "x".repeat(900);
    let error = |message| {
        vec![
            ("ok", Double(0.0)),
            ("errmsg", Text(message)),
            ("code", Int(26)),
            ("codeName", Text("NamespaceNotFound")),
        ]
    };
    let late = || {
        vec![
            (
                "topologyVersion",
                Document(document(&[("processId", Id), ("counter", Long(1))])),
            ),
            ("operationTime", Timestamp(9)),
            ("payload", Binary(3000)),
            ("none", Null),
        ]
    };
    let writes = |code: i32| {
        let first = document(&[
            ("index", Int(0)),
            ("code", Int(code)),
            ("errmsg", Text("E11000")),
        ]);
        Array(document(&[("0", Document(first))]))
    };
    let concern = document(&[("code", Int(64)), ("codeName", Text("WriteConcernFailed"))]);
    let write_errors: &[u8] = b"\x04writeErrors\0";
    let join = |parts: Vec<Vec<(&'static str, Value<'static>)>>| -> Vec<_> {
        parts.into_iter().flatten().collect()
    };
    for (elements, status, begins) in [
        (join(vec![error("no"), times()]), 1000, code),
        (join(vec![late(), error("no")]), 1000, code),
        (vec![("ok", Double(0.0))], 1000, b"".as_slice()),
        (vec![("ok", Int(0)), ("errmsg", Text("old"))], 1000, b""),
        (vec![("ok", Bool(false))], 1000, b""),
        (
            vec![("ok", Long(0)), ("code", Int(1))],
            1000,
            b"\x10code\0\x01\0\0\0\0",
        ),
        (vec![("ok", Double(-0.0))], 1000, b""),
        (vec![("ok", Double(1.0)), ("code", Int(1))], 1, b""),
        (vec![("ok", Int(1))], 1, b""),
        (vec![("okay", Int(0)), ("ok", Int(1))], 1, b""),
        (
            vec![
                ("n", Int(0)),
                ("writeErrors", writes(11000)),
                ("ok", Int(1)),
            ],
            1000,
            write_errors,
        ),
        (
            vec![
                ("n", Int(0)),
                ("ok", Int(1)),
                ("writeErrors", writes(11000)),
            ],
            1000,
            write_errors,
        ),
        (
            vec![
                ("n", Int(1)),
                ("writeConcernError", Document(concern)),
                ("ok", Int(1)),
            ],
            1000,
            b"\x03writeConcernError\0",
        ),
        (join(vec![late(), vec![("ok", Int(1))], times()]), 1, b""),
    ] {
        let document = document(&elements);
        check(
            &[
                (Client, find(1)),
                (Server, msg(9, 1, 0, &document)),
                (Client, find(2)),
                (Server, found(2, 3)),
            ],
            &[("find orders", status, begins), ("find orders", 1, b"")],
        );
        // The same in an answer to an old command.
        let hello = query(
            1,
            "admin.$cmd",
            &messages::document(&[("isMaster", Int(1))]),
        );
        check(
            &[
                (Client, hello),
                (Server, reply(9, 1, 8, Some(&document))),
                (Client, find(2)),
                (Server, found(2, 3)),
            ],
            &[("isMaster", status, begins), ("find orders", 1, b"")],
        );
    }
    let many = vec!["x"; 60].into_iter().map(|name| (name, Int(0)));
    let mut elements: Vec<_> = many.collect();
    elements.push(("errmsg", Text(&long_text)));
    elements.extend(error("no"));
    check(
        &[
            (Client, find(1)),
            (Server, msg(9, 1, 0, &document(&elements))),
        ],
        &[("find orders", 1000, code)],
    );
}

#[test]
fn requests_without_an_answer_and_answers_without_a_request() {
    let insert = document(&[("insert", Text("orders")), ("$db", Text("shop"))]);
    let more = document(&[("getMore", Long(5)), ("collection", Text("orders"))]);
    let hello = document(&[("hello", Int(1)), ("maxAwaitTimeMS", Int(10_000))]);
    let state = document(&[("ok", Int(1))]);
    check(
        &[
            // An unacknowledged write.
            (Client, msg(1, 0, 2, &insert)),
            (Client, find(2)),
            (Server, found(2, 50)),
            // An exhaust cursor: one request, three answers.
            (Client, msg(3, 0, 1 << 16, &more)),
            (Server, msg(70, 3, 2, &state)),
            (Server, msg(71, 70, 2, &state)),
            (Server, msg(72, 71, 0, &state)),
            // A driver that watches the server.
            (Client, msg(4, 0, 1 << 16, &hello)),
            (Server, msg(73, 4, 2, &state)),
            (Server, msg(74, 73, 2, &state)),
            (Client, message(5, 0, opcode::KILL_CURSORS, &[0; 20])),
            (Client, message(6, 0, opcode::INSERT, &[0; 20])),
            (Client, find(7)),
            (Server, found(7, 50)),
        ],
        &[
            ("find orders", 1, b""),
            ("getMore orders", 1, b""),
            ("find orders", 1, b""),
        ],
    );
}

#[test]
fn documents_before_the_command() {
    // Servers among themselves send the sequence of documents (kind 1) first.
    let sequence = [&30u32.to_le_bytes()[..], b"documents\0", &[0; 16]].concat();
    let command = document(&[("insert", Text("orders"))]);
    let body = [&[0; 4][..], &[1], &sequence, &[0], &command].concat();
    check(
        &[
            (Client, message(1, 0, opcode::MSG, &body)),
            (Server, msg(9, 1, 0, &document(&[("ok", Int(1))]))),
        ],
        &[("documents", 1, b"")],
    );
}

#[test]
fn old_messages() {
    let command = document(&[("ping", Int(1))]);
    let ok = document(&[("ok", Double(1.0))]);
    check(
        &[
            (Client, query(1, "shop.$cmd", &command)),
            (Server, reply(9, 1, 8, Some(&ok))),
            (
                Client,
                query(2, "shop.orders", &document(&[("_id", Int(1))])),
            ),
            (Server, reply(9, 2, 8, None)),
            (
                Client,
                query(3, "shop.orders", &document(&[("$bad", Int(1))])),
            ),
            (
                Server,
                reply(9, 3, 2, Some(&document(&[("$err", Text("bad"))]))),
            ),
            (Client, message(4, 0, opcode::GET_MORE, &[0; 40])),
            (Server, reply(9, 4, 1, None)),
        ],
        &[
            ("ping", 1, b""),
            ("query", 1, b""),
            ("query", 1000, b""),
            ("getMore", 1000, b""),
        ],
    );
}

#[test]
fn compressed_messages_are_paired() {
    check(
        &[
            (Client, find(1)),
            (Server, found(1, 5)),
            (Client, compressed(2, 0, 100)),
            (Server, compressed(9, 2, 5000)),
            // Nobody answers the first of these: it was compressed and unacknowledged.
            (Client, compressed(3, 0, 10)),
            (Client, compressed(4, 0, 700)),
            (Server, compressed(9, 4, 20)),
            (Client, compressed(5, 0, 700)),
            (Server, found(5, 7)),
        ],
        &[
            ("find orders", 1, b""),
            ("compressed", 1, b""),
            ("compressed", 1, b""),
            ("compressed", 1, b""),
        ],
    );
}

#[test]
fn pipelines_are_answered_in_order() {
    let requests = [find(1), find(2), find(3)].concat();
    let fails = document(&[("ok", Int(0))]);
    let answers = [found(1, 10), msg(9, 2, 0, &fails), found(3, 2000)].concat();
    check(
        &[(Client, requests), (Server, answers)],
        &[
            ("find orders", 1, b""),
            ("find orders", 1000, b""),
            ("find orders", 1, b""),
        ],
    );
}

#[test]
fn large_documents_are_passed_over_unseen() {
    let mut talk = Talk::new();
    let insert = msg(
        1,
        0,
        0,
        &document(&[("insert", Text("orders")), ("x", Binary(60))]),
    );
    let mut head = insert.clone();
    head[..4].copy_from_slice(&(insert.len() as u32 + 5_000_000).to_le_bytes());
    talk.say(Client, &head);
    talk.say_unseen(Client, 3_000_000);
    talk.say_unseen(Client, 2_000_000);
    talk.say(
        Server,
        &msg(9, 1, 0, &document(&[("n", Int(1)), ("ok", Int(1))])),
    );
    // `cursor` has 4,000,000 bytes more than are shown, and `ok: 0` stands behind it.
    let mut answer = msg(
        9,
        2,
        0,
        &document(&[("cursor", Binary(10)), ("ok", Int(0))]),
    );
    let len = answer.len() as u32 + 4_000_000;
    answer[..4].copy_from_slice(&len.to_le_bytes());
    answer[33..37].copy_from_slice(&4_000_010u32.to_le_bytes());
    let (start, end) = answer.split_at(48);
    talk.say(Client, &find(2));
    talk.say(Server, start);
    talk.say_unseen(Server, 4_000_000);
    talk.say(Server, end);
    let talk = talk.end();
    assert_eq!(talk.lost, 0);
    let facts: Vec<_> = talk
        .finished
        .iter()
        .map(|f| (f.status, f.request_bytes, f.response_bytes))
        .collect();
    let asked = insert.len() as u64 + 5_000_000;
    assert_eq!(facts[0], (1, asked, 41));
    assert_eq!((facts[1].0, facts[1].2), (1000, u64::from(len)));
}

#[test]
fn lengths_that_look_like_text_are_known() {
    // The lowest byte of a length may be a line feed, `*`, the first byte of TLS, or a capital.
    for len in [
        0x10a_usize,
        0x12a,
        0x116,
        0x316,
        0x147,
        0x150,
        0xa0d,
        0x180,
        0x20a,
        0xa0a,
    ] {
        let empty = msg(1, 0, 0, &document(&[("hello", Int(1)), ("x", Binary(0))]));
        let filled = document(&[("hello", Int(1)), ("x", Binary(len - empty.len()))]);
        let hello = msg(1, 0, 0, &filled);
        assert_eq!(hello.len(), len);
        let parts = [
            (Client, hello),
            (Server, msg(9, 1, 0, &document(&[("ok", Int(1))]))),
        ];
        for piece in PIECES {
            // A record of TLS is taken for one if its fifth byte is not there yet.
            if len == 0x316 && piece < 16 {
                continue;
            }
            assert_eq!(run(&parts, piece).len(), 1, "{len:#x}, {piece} at a time");
        }
    }
}

#[test]
fn what_is_no_mongodb_turns_opaque() {
    let mut wrong_kind = find(1);
    wrong_kind[20] = 2;
    let mut flags = find(1);
    flags[16] = 4;
    let mut length = find(1);
    length[21] = 255;
    let mut huge = find(1);
    huge[3] = 3;
    let answer = found(1, 3);
    for bytes in [wrong_kind, flags, length, huge, answer, vec![0; 40]] {
        let mut talk = Talk::new();
        talk.say(Client, &bytes);
        talk.say(Client, b"more and more");
        assert_eq!(talk.conversation.opaque, 1, "{}", bytes.escape_ascii());
        assert_eq!(talk.lost, 0);
    }
}

#[test]
fn garbage_on_a_known_connection_is_a_loss_and_is_left_again() {
    for side in [Client, Server] {
        let mut talk = Talk::new();
        talk.say(Client, &find(1));
        talk.say(Server, &found(1, 3));
        if side == Server {
            talk.say(Client, &find(2));
        }
        talk.say(side, &[b'?'; 60]);
        assert_eq!(talk.lost, 1);
        talk.say(Client, &find(3));
        talk.say(Server, &found(3, 3));
        let talk = talk.end();
        assert_eq!((talk.finished.len(), talk.lost), (2, 1));
    }
}

#[test]
fn hostile_documents_end_with_their_message() {
    let endless = document(&[("a", Binary(0))]);
    let mut lies = endless.clone();
    lies[7..11].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut unnamed = vec![b'n'; 300];
    unnamed[0] = 16;
    let short = vec![0x7f; 3];
    let unknown = document(&[("a", Int(3))])
        .into_iter()
        .map(|byte| if byte == 16 { 0x55 } else { byte });
    for bytes in [lies, unnamed, short, unknown.collect(), vec![16; 5], vec![]] {
        check(
            &[
                (Client, find(1)),
                (Server, msg(9, 1, 0, &bytes)),
                (Client, find(2)),
                (Server, found(2, 3)),
            ],
            &[("find orders", 1, b""), ("find orders", 1, b"")],
        );
    }
}

#[test]
fn a_missed_segment_is_a_loss_and_the_next_request_is_found() {
    let mut talk = Talk::new();
    talk.say(Client, &find(1));
    talk.say(Server, &found(1, 3));
    talk.miss(Client, find(2).len() as u64);
    talk.say(Server, &found(2, 3));
    for id in 3..6 {
        talk.say(Client, &find(id));
        talk.say(Server, &found(id, 3));
    }
    let talk = talk.end();
    assert_eq!(talk.lost, 1, "{:?}", talk.out);
    assert_eq!(talk.finished.len(), 4, "{:?}", talk.out);
}

#[test]
fn an_answer_to_a_request_that_was_not_seen_is_counted_as_lost() {
    let mut talk = Talk::new();
    talk.say(Client, &find(1));
    talk.say(Server, &found(8, 3));
    talk.say(Server, &found(1, 3));
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (1, 1), "{:?}", talk.out);
}

#[test]
fn a_connection_older_than_its_observer_is_known_by_its_next_command() {
    let mut talk = Talk::midstream();
    talk.say(Server, &found(1, 2000)[1000..]);
    talk.say(Client, b"the rest of a document");
    talk.say(Client, &find(2));
    talk.say(Server, &found(2, 3));
    talk.say(Client, &find(3));
    talk.say(Server, &msg(9, 3, 0, &document(&[("ok", Int(0))])));
    let talk = talk.end();
    assert_eq!(talk.conversation.protocol, protocol::MONGODB);
    let statuses: Vec<_> = talk.finished.iter().map(|f| f.status).collect();
    assert_eq!((statuses, talk.lost), (vec![1, 1000], 0));
}
