//! The MongoDB framing in tables: commands, failures wherever an answer tells them, exhaust
//! cursors, compression, old messages, splits, garbage.

mod hostile;
mod messages;
mod pairs;
#[path = "../http1/talk.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod talk;

use messages::{
    Array, Binary, Bool, Document, Double, Id, Int, Long, Null, Text, Timestamp, Value, document,
    message, msg, query, reply, times,
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
