//! Which answer belongs to which request: pipelines, exhaust cursors, watchers, compression, losses.

use weir_common::{flow::protocol, framing::mongodb::opcode};

use crate::{
    check, find, found,
    messages::{Int, Long, Text, compressed, document, message, msg},
    talk::{Client, Server, Talk},
};

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
            // The same, beside a request that is asked meanwhile.
            (Client, msg(3, 0, 1 << 16, &more)),
            (Server, msg(70, 3, 2, &state)),
            (Client, find(8)),
            (Server, msg(71, 70, 0, &state)),
            (Server, found(8, 50)),
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
            ("getMore orders", 1, b""),
            ("find orders", 1, b""),
            ("find orders", 1, b""),
        ],
    );
}

#[test]
fn a_connection_of_a_driver_that_watches_has_no_exchange() {
    let hello = document(&[("hello", Int(1)), ("maxAwaitTimeMS", Int(10_000))]);
    let state = document(&[("ok", Int(1))]);
    let parts = [
        (Client, msg(4, 0, 1 << 16, &hello)),
        (Server, msg(73, 4, 2, &state)),
        (Server, msg(74, 73, 2, &state)),
        (Server, msg(75, 74, 0, &state)),
    ];
    check(&parts, &[]);
}

#[test]
fn an_answer_that_nobody_asked_for_is_counted_as_lost() {
    let state = document(&[("ok", Int(1))]);
    let mut talk = Talk::new();
    talk.say(Client, &find(1));
    talk.say(Server, &found(1, 3));
    // The answer is seen before its request, and the request is then one without an answer.
    talk.say(Server, &found(2, 3));
    talk.say(Client, &find(2));
    talk.say(Client, &find(3));
    talk.say(Server, &msg(9, 3, 0, &state));
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (2, 1), "{:?}", talk.out);
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
fn an_answer_to_a_request_that_was_not_seen_is_counted_as_lost() {
    let mut talk = Talk::new();
    talk.say(Client, &find(1));
    talk.say(Server, &found(8, 3));
    talk.say(Server, &found(1, 3));
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (1, 1), "{:?}", talk.out);
}

#[test]
fn an_answer_whose_connection_never_asked_is_counted_as_lost() {
    for piece in [4096, 17, 16, 1] {
        let mut talk = Talk::new();
        for bytes in found(1, 3).chunks(piece) {
            talk.say(Server, bytes);
        }
        talk.miss(Client, find(1).len() as u64);
        talk.say(Client, &find(2));
        talk.say(Server, &found(2, 3));
        let talk = talk.end();
        assert_eq!(talk.conversation.protocol, protocol::MONGODB);
        assert_eq!(talk.finished.len(), 1, "{piece}: {:?}", talk.out);
        assert!(talk.lost != 0, "{piece}");
    }
}
