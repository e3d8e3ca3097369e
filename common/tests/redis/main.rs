//! The Redis framing in tables: values of every type, pipelines, pushes, splits, garbage.

#[path = "../http1/talk.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod talk;

use talk::{Client, Server, Side, Talk};
use weir_common::{flow::protocol, framing::redis::op_hash};

/// Runs messages, whole or cut into pieces of so many bytes, and tells commands and outcomes.
fn run(parts: &[(Side, &str)], piece: usize) -> Vec<(u64, u16, u64, u64)> {
    let mut talk = Talk::new();
    for (side, text) in parts {
        for piece in text.as_bytes().chunks(piece) {
            talk.say(*side, piece);
        }
    }
    let talk = talk.end();
    assert_eq!(
        (talk.lost, talk.conversation.opaque),
        (0, 0),
        "{parts:?} by {piece}"
    );
    assert_eq!(talk.conversation.protocol, protocol::REDIS);
    let outcome = |f: &weir_common::framing::http1::Finished| {
        (f.op, f.status, f.request_bytes, f.response_bytes)
    };
    talk.finished.iter().map(outcome).collect()
}

/// The same whole, by every small piece, and by one that cuts at odd places.
fn check(parts: &[(Side, &str)], expected: &[(&str, u16, u64, u64)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, status, asked, answered)| {
            (op_hash(name.as_bytes()), *status, *asked, *answered)
        })
        .collect();
    for piece in [4096, 1, 2, 3, 5, 7, 11, 13, 50, 97] {
        assert_eq!(run(parts, piece), expected, "pieces of {piece}");
    }
}

const GET: &str = "*2\r\n$3\r\nget\r\n$1\r\nk\r\n";

#[test]
fn every_type_of_answer() {
    let long = format!("$300\r\n{}\r\n", "x".repeat(300));
    let many = format!("*40\r\n{}", ":1\r\n".repeat(40));
    for (answer, status) in [
        ("+OK\r\n", 1),
        ("-ERR no\r\n", 1000),
        ("!9\r\nERR wrong\r\n", 1000),
        (":-12\r\n", 1),
        ("$-1\r\n", 1),
        ("$0\r\n\r\n", 1),
        ("$5\r\n\r\n*1\r\r\n", 1),
        (&long, 1),
        ("*0\r\n", 1),
        ("*-1\r\n", 1),
        (&many, 1),
        ("*3\r\n*2\r\n:1\r\n:2\r\n$1\r\na\r\n*1\r\n*1\r\n+x\r\n", 1),
        ("_\r\n", 1),
        ("#t\r\n", 1),
        (",1.5\r\n", 1),
        ("(349\r\n", 1),
        ("=7\r\ntxt:abc\r\n", 1),
        ("%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n", 1),
        ("~2\r\n:1\r\n:2\r\n", 1),
        ("|1\r\n+ttl\r\n:3\r\n:7\r\n", 1),
    ] {
        let len = answer.len() as u64;
        check(
            &[
                (Client, GET),
                (Server, answer),
                (Client, GET),
                (Server, "+OK\r\n"),
            ],
            &[("GET", status, 20, len), ("GET", 1, 20, 5)],
        );
    }
}

#[test]
fn pipelines_are_answered_in_order() {
    let set = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\n";
    let both = [set, GET, "*1\r\n$4\r\nPING\r\n"].concat();
    check(
        &[(Client, &both), (Server, "+OK\r\n$5\r\nhello\r\n+PONG\r\n")],
        &[("SET", 1, 31, 5), ("GET", 1, 20, 11), ("PING", 1, 14, 7)],
    );
}

#[test]
fn pushes_and_messages_to_subscribers_are_no_answers() {
    let message = "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n";
    let push = ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n";
    let subscribed = "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
    check(
        &[
            (Client, "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n"),
            (Server, subscribed),
            (Server, message),
            (Server, push),
            (Client, GET),
            (Server, push),
            (Server, "$1\r\nv\r\n"),
        ],
        &[("SUBSCRIBE", 1, 26, 30), ("GET", 1, 20, 7)],
    );
}

#[test]
fn answers_to_nobody_are_losses_but_monitored_commands_are_not() {
    let line = "+1339518083.107412 [0 127.0.0.1:60866] \"keys\" \"*\"\r\n";
    check(
        &[
            (Client, "*1\r\n$7\r\nmonitor\r\n"),
            (Server, "+OK\r\n"),
            (Server, line),
            (Server, line),
        ],
        &[("MONITOR", 1, 17, 5)],
    );
    let map = "%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n";
    for answer in [
        "+OK\r\n",
        "-ERR x\r\n",
        ":1\r\n",
        "$1\r\nv\r\n",
        "_\r\n",
        map,
    ] {
        for piece in [4096, 1, 3] {
            let mut talk = Talk::new();
            talk.say(Client, GET.as_bytes());
            for piece in answer.repeat(2).as_bytes().chunks(piece) {
                talk.say(Server, piece);
            }
            talk.say(Client, GET.as_bytes());
            talk.say(Server, b"$1\r\nv\r\n");
            let talk = talk.end();
            assert_eq!((talk.finished.len(), talk.lost), (2, 1), "{answer:?}");
        }
    }
}

#[test]
fn subscriptions_of_resp3_are_confirmed_by_pushes() {
    let message = ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n";
    let subscribed = ">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
    let again = ">3\r\n$9\r\nsubscribe\r\n$1\r\nd\r\n:2\r\n";
    let other = ">2\r\n:7\r\n$9\r\nsubscribe\r\n";
    let unsubscribed = ">3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n";
    check(
        &[
            (Client, "*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n$1\r\nd\r\n"),
            (Server, message),
            (Server, other),
            (Server, subscribed),
            (Server, again),
            (Client, GET),
            (Server, again),
            (Server, "$1\r\nv\r\n"),
            (Client, "*1\r\n$11\r\nunsubscribe\r\n"),
            (Server, message),
            (Server, unsubscribed),
        ],
        &[
            ("SUBSCRIBE", 1, 33, 30),
            ("GET", 1, 20, 7),
            ("UNSUBSCRIBE", 1, 22, 33),
        ],
    );
}

#[test]
fn inline_commands_on_a_known_connection() {
    check(
        &[
            (Client, GET),
            (Server, "+v\r\n"),
            (Client, "ping now\r\n"),
            (Server, "+PONG\r\n"),
        ],
        &[("GET", 1, 20, 4), ("PING", 1, 10, 7)],
    );
}

#[test]
fn a_large_value_is_passed_over_unseen() {
    let mut talk = Talk::new();
    talk.say(Client, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5000000\r\n");
    talk.say_unseen(Client, 3_000_000);
    talk.say_unseen(Client, 2_000_002);
    talk.say(Server, b"+OK\r\n");
    let talk = talk.end();
    assert_eq!(talk.finished.len(), 1);
    assert_eq!(talk.finished[0].request_bytes, 5_000_000 + 2 + 30);
}

#[test]
fn what_is_no_redis_turns_opaque() {
    for bytes in [
        "*a\r\n",
        "*0\r\nfoo",
        "*2\r\nfoo\r\n",
        "*99999999999\r\n$1\r\n",
    ] {
        let mut talk = Talk::new();
        talk.say(Client, bytes.as_bytes());
        talk.say(Client, b"more and more");
        assert_eq!(talk.conversation.opaque, 1, "{bytes:?}");
        assert_eq!(talk.lost, 0);
    }
}

#[test]
fn garbage_on_a_known_connection_is_a_loss_and_is_left_again() {
    let mut talk = Talk::new();
    talk.say(Client, GET.as_bytes());
    talk.say(Server, b"+v\r\n");
    talk.say(Client, b"\x00\x01garbage");
    assert_eq!(talk.lost, 1);
    talk.say(Client, GET.as_bytes());
    talk.say(Server, b"+w\r\n");
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (2, 1));
}

#[test]
fn a_missed_segment_is_a_loss_and_the_next_request_is_found() {
    let mut talk = Talk::new();
    talk.say(Client, GET.as_bytes());
    talk.say(Server, b"+v\r\n");
    talk.miss(Client, 20);
    talk.say(Client, GET.as_bytes());
    talk.say(Server, b"+x\r\n");
    talk.say(Client, GET.as_bytes());
    talk.say(Server, b"+y\r\n");
    let talk = talk.end();
    assert_eq!(talk.lost, 1);
    assert!(talk.finished.len() >= 2, "{:?}", talk.out);
}

#[test]
fn a_connection_older_than_its_observer_is_known_by_its_next_command() {
    let mut talk = Talk::midstream();
    talk.say(Server, b"$5\r\nhello\r\n");
    talk.say(Client, b"the rest of a value\r\n");
    talk.say(Client, GET.as_bytes());
    talk.say(Server, b"+v\r\n");
    talk.say(Client, GET.as_bytes());
    talk.say(Server, b"-ERR no\r\n");
    let talk = talk.end();
    assert_eq!(talk.conversation.protocol, protocol::REDIS);
    let statuses: Vec<_> = talk.finished.iter().map(|f| f.status).collect();
    assert_eq!((statuses, talk.lost), (vec![1, 1000], 0));
}

#[test]
fn a_segment_that_cannot_be_read_is_lost_once_and_the_next_request_is_found() {
    let mut talk = Talk::new();
    talk.say(Client, GET.as_bytes());
    talk.say(Server, b"+v\r\n");
    talk.say_unseen(Client, 5_000);
    assert_eq!(talk.lost, 1);
    talk.say(Client, GET.as_bytes());
    talk.say(Server, b"+w\r\n");
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (2, 1));
}

#[test]
fn words_that_a_person_types_are_commands_where_the_protocol_is_given() {
    for (given, exchanges, opaque) in [(None, 0, 1), (Some(protocol::REDIS), 2, 0)] {
        let mut talk = Talk::new();
        if let Some(code) = given {
            talk.conversation.assume(code);
        }
        for (side, text) in [
            (Client, "PING\r\n"),
            (Server, "+PONG\r\n"),
            (Client, "GET k\r\n"),
            (Server, "$-1\r\n"),
        ] {
            talk.say(side, text.as_bytes());
        }
        let talk = talk.end();
        assert_eq!(
            (talk.finished.len(), talk.conversation.opaque),
            (exchanges, opaque),
            "{given:?}"
        );
    }
}

#[test]
fn what_has_no_reader_is_left_unread() {
    let mut talk = Talk::new();
    talk.conversation.assume(protocol::TCP);
    talk.say(Client, GET.as_bytes());
    talk.say(Server, b"+OK\r\n");
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (0, 0));
    assert_eq!(talk.conversation.protocol, protocol::TCP);
}
