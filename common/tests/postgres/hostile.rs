//! Holes, late starts, garbage.

use weir_common::{flow::protocol, framing::postgres::named};

use crate::{
    logged, op, sql,
    talk::{Client, Server, Side, Talk},
    wire::{
        Bytes, bind, bound, complete, copy_data, description, error, execute, message, parse,
        parsed, query, ready, row, rows, run, sync,
    },
};

const SELECT: &str = "SELECT a FROM t WHERE id = 7";

fn result() -> Bytes {
    [rows(1), ready()].concat()
}

#[test]
fn what_is_missing_inside_messages_does_not_matter() {
    let mut talk = logged();
    talk.say(Client, &query(SELECT));
    let long = [
        description(),
        row(&"x".repeat(500)),
        complete("SELECT 1"),
        ready(),
    ]
    .concat();
    let at = description().len() + 40;
    talk.say(Server, &long[..at]);
    talk.miss(Server, 300);
    talk.say(Server, &long[at + 300..]);
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (2, 0), "{:?}", talk.out);
}

#[test]
fn a_missed_segment_is_a_loss_and_the_next_request_is_found() {
    for side in [Client, Server] {
        let mut talk = logged();
        talk.say(Client, &query(SELECT));
        if side == Client {
            talk.say(Server, &result());
            talk.miss(Client, 20);
        } else {
            talk.say(Server, &result()[..3]);
            talk.miss(Server, 7);
            talk.say(Server, &result()[10..]);
        }
        for _ in 0..3 {
            talk.say(Client, &query(SELECT));
            talk.say(Server, &result());
            talk.say(Client, &[parse("", SELECT), run(""), sync()].concat());
            talk.say(Server, &[parsed(), bound(), rows(1), ready()].concat());
        }
        let talk = talk.end();
        assert_eq!(talk.lost, 1, "{:?}", talk.out);
        assert!(talk.finished.len() >= 7, "{side:?}: {:?}", talk.out);
        assert!(talk.finished.iter().all(|f| f.status == 1));
    }
}

#[test]
fn statements_prepared_before_a_hole_are_known_by_name_alone() {
    let mut talk = logged();
    for name in ["", "s"] {
        talk.say(Client, &[parse(name, SELECT), sync()].concat());
        talk.say(Server, &[parsed(), ready()].concat());
    }
    talk.miss(Client, 50);
    for name in ["", "s"] {
        talk.say(Client, &[run(name), sync()].concat());
        talk.say(Server, &[bound(), rows(1), ready()].concat());
    }
    let found: Vec<_> = talk.finished[3..].iter().map(|f| f.op).collect();
    assert_eq!(found, [op(named::PREPARED), sql(SELECT)]);
}

#[test]
fn garbage_on_a_known_connection_is_a_loss_and_is_left_again() {
    for garbage in [
        &b"q\0\0\0\x05a"[..],
        b"Q\0\0\0\x03ab",
        b"Q\xff\0\0\x08abcd",
        b"\0\0\0\x08\0\x03\0\0",
        b"S\0\0\0\x05a",
        b"P\0\0\0\x06ab",
        b"B\0\0\0\x06\0a",
    ] {
        let mut talk = logged();
        talk.say(Client, garbage);
        assert_eq!(talk.lost, 1, "{garbage:?}");
        talk.say(Client, &query(SELECT));
        talk.say(Server, &result());
        let talk = talk.end();
        assert_eq!((talk.finished.len(), talk.lost), (2, 1), "{garbage:?}");
    }
}

#[test]
fn answers_that_cannot_be_are_a_loss() {
    for answer in [
        b"q\0\0\0\x05a".to_vec(),
        b"D\0\0\0\x03".to_vec(),
        message(b'Z', b"II"),
        [rows(1), b"hello".to_vec()].concat(),
    ] {
        let mut talk = logged();
        talk.say(Client, &query(SELECT));
        talk.say(Server, &answer);
        assert_eq!(talk.lost, 1, "{answer:?}: {:?}", talk.out);
        talk.say(Client, &query(SELECT));
        talk.say(Server, &result());
        let talk = talk.end();
        assert_eq!((talk.finished.len(), talk.lost), (2, 1), "{answer:?}");
    }
}

#[test]
fn readiness_in_place_of_a_result_is_a_loss() {
    let mut talk = logged();
    talk.say(Client, &[run(""), sync()].concat());
    talk.say(Server, &[bound(), ready()].concat());
    assert_eq!(talk.lost, 1, "{:?}", talk.out);
}

/// A connection that is older than its observer.
fn older(says: &[(Side, Bytes)]) -> Talk {
    let mut talk = Talk::midstream();
    for (side, bytes) in says {
        talk.say(*side, bytes);
    }
    talk.end()
}

#[test]
fn a_connection_older_than_its_observer_is_known_by_its_next_text() {
    let batch = [parse("", SELECT), run(""), sync()].concat();
    let unknown = [run("s"), sync()].concat();
    let answer = [bound(), rows(1), ready()].concat();
    let says = [
        (Server, [row("the rest of a result"), ready()].concat()),
        (Client, b"the rest of an INSERT".to_vec()),
        (Client, query(SELECT)),
        (Server, result()),
        (Client, unknown.clone()),
        (Server, answer.clone()),
        (Client, query("SELECT 1/0")),
        (Server, [error("22012"), ready()].concat()),
    ];
    let talk = older(&says);
    assert_eq!(talk.conversation.protocol, protocol::POSTGRES);
    let found: Vec<_> = talk.finished.iter().map(|f| (f.op, f.status)).collect();
    let expected = [
        (sql(SELECT), 1),
        (op(named::PREPARED), 1),
        (sql("SELECT 1/0"), 1000),
    ];
    assert_eq!((found, talk.lost), (expected.to_vec(), 0));
    let talk = older(&[
        (Client, batch),
        (Server, [parsed(), answer.clone()].concat()),
        (Client, unknown.clone()),
        (Server, answer.clone()),
    ]);
    let found: Vec<_> = talk.finished.iter().map(|f| f.op).collect();
    assert_eq!(found, [sql(SELECT), op(named::PREPARED)]);
    let talk = older(&[(Client, unknown), (Server, answer)]);
    assert_eq!(talk.finished[0].op, op(named::PREPARED));
}

#[test]
fn long_texts_tell_it_too() {
    let long = format!("INSERT INTO t VALUES ('{}')", "x".repeat(9_000));
    let bytes = query(&long);
    let (first, second) = bytes.split_at(4_000);
    let talk = older(&[
        (Client, first.to_vec()),
        (Client, second.to_vec()),
        (Server, [complete("INSERT 0 1"), ready()].concat()),
    ]);
    assert_eq!(talk.finished.len(), 1, "{:?}", talk.out);
    assert_eq!(talk.finished[0].request_bytes, bytes.len() as u64);
}

#[test]
fn other_protocols_with_lengths_are_not_taken_for_it() {
    for bytes in [
        &b"\0\0\0\x10\0\0\0\x01\0\0\0\0\0\0\0\0"[..],
        b"Q\0\0\0\x0cSELECT 1 and more",
        b"Q\0\0\0\x0c\0\0\0\0\0\0\0\0",
        b"P\0\0\0\x0cabcdefgh",
        b"QUIT and other words",
    ] {
        let talk = older(&[(Client, bytes.to_vec()), (Server, bytes.to_vec())]);
        assert_ne!(talk.conversation.protocol, protocol::POSTGRES, "{bytes:?}");
        assert_eq!((talk.finished.len(), talk.lost), (0, 0));
    }
}

#[test]
fn a_copy_under_way_when_it_is_first_seen() {
    let talk = older(&[
        (Client, copy_data(3_000)),
        (Client, copy_data(3_000)),
        (Server, [complete("COPY 9"), ready()].concat()),
        (Client, query(SELECT)),
        (Server, result()),
    ]);
    assert_eq!((talk.finished.len(), talk.lost), (1, 0));
}

#[test]
fn an_execute_is_not_seen_twice() {
    let mut talk = logged();
    let batch = [bind("", ""), execute(""), sync()].concat();
    talk.say(Client, &batch);
    talk.say_at(Client, 33, &batch);
    talk.say(Server, &[bound(), rows(1), ready()].concat());
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (2, 0), "{:?}", talk.out);
}
