//! Simple queries, what is said unasked, data in both directions.

use weir_common::framing::postgres::{TEXT_END, named, text};

use crate::{
    FAILED, OK, check, logged, op, outcome, sql,
    talk::{Client, Server},
    wire::{
        complete, copy_data, copy_done, copy_in, copy_out, description, error, message, notice,
        notification, parameter, query, ready, row, rows,
    },
};

#[test]
fn each_query_ends_with_readiness() {
    let empty = [message(b'I', b""), ready()].concat();
    check(
        &[
            (Client, query("SELECT 1")),
            (Server, [rows(1), ready()].concat()),
            (Client, query("SELECT a FROM t")),
            (Server, [rows(200), ready()].concat()),
            (Client, query("")),
            (Server, empty),
            (Client, query("BEGIN; SELECT 1; COMMIT")),
            (
                Server,
                [complete("BEGIN"), rows(1), complete("COMMIT"), ready()].concat(),
            ),
        ],
        &[
            (sql("SELECT 1"), OK),
            (sql("SELECT a FROM t"), OK),
            (sql(""), OK),
            (sql("BEGIN; SELECT 1; COMMIT"), OK),
        ],
    );
}

#[test]
fn errors_are_failures() {
    check(
        &[
            (Client, query("SELECT 1/0")),
            (Server, [error("22012"), ready()].concat()),
            (Client, query("SELECT 1; SELECT 1/0")),
            (
                Server,
                [rows(1), description(), row("1"), error("22012"), ready()].concat(),
            ),
            (Client, query("SELECT 1")),
            (Server, [rows(1), ready()].concat()),
        ],
        &[
            (sql("SELECT 1/0"), FAILED),
            (sql("SELECT 1; SELECT 1/0"), FAILED),
            (sql("SELECT 1"), OK),
        ],
    );
}

#[test]
fn an_error_is_kept_with_its_code() {
    let mut talk = logged();
    talk.say(Client, &query("SELECT a FROM t"));
    talk.say(
        Server,
        &[description(), row("1"), error("40001"), ready()].concat(),
    );
    let conversation = &talk.conversation;
    let bytes: &[u8] = bytemuck::cast_slice(&conversation.answer);
    let from = conversation.answer_skip as usize;
    let kept = &bytes[from..from + usize::from(conversation.answer_len)];
    assert!(error("40001").starts_with(&kept[..30]), "{kept:?}");
}

#[test]
fn what_is_said_unasked_is_passed_over() {
    let unasked = [notification(), notice(), parameter(), notification()].concat();
    let mixed = [
        notification(),
        notice(),
        rows(1),
        notice(),
        parameter(),
        ready(),
    ];
    check(
        &[
            (Server, unasked.clone()),
            (Client, query("SELECT 1")),
            (Server, mixed.concat()),
            (Server, unasked),
            (Client, query("SELECT 1")),
            (Server, [rows(1), ready()].concat()),
            (Server, error("57P01")),
        ],
        &[(sql("SELECT 1"), OK), (sql("SELECT 1"), OK)],
    );
}

#[test]
fn pipelined_queries_are_answered_in_order() {
    check(
        &[
            (
                Client,
                [query("SELECT 1"), query("SELECT a"), query("SELECT 1, b")].concat(),
            ),
            (
                Server,
                [rows(1), ready(), error("42703"), ready(), rows(3), ready()].concat(),
            ),
        ],
        &[
            (sql("SELECT 1"), OK),
            (sql("SELECT a"), FAILED),
            (sql("SELECT 1, b"), OK),
        ],
    );
}

#[test]
fn a_function_call() {
    check(
        &[
            (Client, message(b'F', &[0; 16])),
            (Server, [message(b'V', &[0; 8]), ready()].concat()),
            (Client, message(b'F', &[0; 16])),
            (Server, [error("42883"), ready()].concat()),
        ],
        &[(op(named::FUNCTION), OK), (op(named::FUNCTION), FAILED)],
    );
}

#[test]
fn copies_in_both_directions() {
    let copy = "COPY t FROM STDIN";
    let data = [copy_data(20).repeat(50), copy_done()].concat();
    check(
        &[
            (Client, query(copy)),
            (Server, copy_in()),
            (Client, data.clone()),
            (Server, [complete("COPY 50"), ready()].concat()),
            (Client, query("COPY t TO STDOUT")),
            (
                Server,
                [copy_out(), data.clone(), complete("COPY 50"), ready()].concat(),
            ),
            // The server does not like the data, and the client goes on until it knows.
            (Client, query(copy)),
            (Server, copy_in()),
            (Client, copy_data(20)),
            (Server, [error("22P02"), ready()].concat()),
            (Client, data),
            // The client changes its mind.
            (Client, query(copy)),
            (Server, copy_in()),
            (Client, message(b'f', b"no\0")),
            (Server, [error("57014"), ready()].concat()),
        ],
        &[
            (sql(copy), OK),
            (sql("COPY t TO STDOUT"), OK),
            (sql(copy), FAILED),
            (sql(copy), FAILED),
        ],
    );
}

#[test]
fn data_of_megabytes_is_passed_over_unseen() {
    let mut talk = logged();
    let copy = query("COPY t FROM STDIN");
    talk.say(Client, &copy);
    talk.say(Server, &copy_in());
    talk.say(Client, &[b'd', 0, 0x4c, 0x4b, 0x44]);
    talk.say_unseen(Client, 3_000_000);
    talk.say_unseen(Client, 2_000_000);
    talk.say(Client, &copy_done());
    talk.say(Server, &[complete("COPY 1"), ready()].concat());
    talk.say(Client, &query("SELECT a FROM t"));
    talk.say(Server, &[&description()[..], b"D\x01\x31\x2d\x04"].concat());
    talk.say_unseen(Server, 20_000_000);
    talk.say(Server, &[complete("SELECT 1"), ready()].concat());
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (3, 0), "{:?}", talk.out);
    let asked = copy.len() as u64 + 5 + 5_000_000 + 5;
    assert_eq!(talk.finished[1].request_bytes, asked);
    assert!(talk.finished[2].response_bytes > 20_000_000);
}

#[test]
fn a_text_counts_as_far_as_it_is_read() {
    let long = |tail: &str| format!("SELECT {} FROM {tail}", "column_, ".repeat(24));
    let (a, b) = (long("t1"), long("t2"));
    let longer = |tail: &str| format!("SELECT {} FROM {tail}", "column_, ".repeat(30));
    let (c, d) = (longer("t1"), longer("t2"));
    for texts in [[&a, &b], [&c, &d]] {
        let mut talk = logged();
        for text in texts {
            talk.say(Client, &query(text));
            talk.say(Server, &[rows(1), ready()].concat());
        }
        let found: Vec<_> = talk.finished[1..].iter().map(|f| outcome(f).0).collect();
        let expected = texts.map(|sql| {
            let is_cut = sql.len() > TEXT_END - 5;
            let read = &sql.as_bytes()[..sql.len().min(TEXT_END - 5)];
            text::op_hash_of(read, is_cut)
        });
        assert_eq!(found, expected);
    }
    assert_ne!(sql(&a), sql(&b));
}

#[test]
fn replication_turns_opaque_behind_its_request() {
    for piece in [1, 3, 6, 7, 100] {
        let mut talk = logged();
        talk.say(Client, &query("START_REPLICATION 0/1"));
        // Changes come at once, in the segment of the answer or behind it.
        let answer = [message(b'W', b"\0\0\0"), copy_data(30), vec![0; 30]].concat();
        for piece in answer.chunks(piece) {
            talk.say(Server, piece);
        }
        talk.say(Client, &copy_data(30));
        let talk = talk.end();
        let found = (talk.finished.len(), talk.lost, talk.conversation.opaque);
        assert_eq!(found, (2, 0, 1), "by {piece}: {:?}", talk.out);
    }
}
