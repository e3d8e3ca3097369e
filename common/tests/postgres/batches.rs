//! The extended protocol: each Execute by itself, what is prepared, pipelines, errors in them.

use weir_common::framing::postgres::named;

use crate::{
    FAILED, OK, check, logged, op, preparing, sql,
    talk::{Client, Server},
    wire::{
        Bytes, bind, bound, close, complete, copy_data, copy_done, copy_in, describe, description,
        error, execute, flush, message, notice, notification, parameter, parse, parsed, ready,
        rows, run, sync,
    },
};

const SELECT: &str = "SELECT a FROM t WHERE id = $1";
const UPDATE: &str = "UPDATE t SET a = $1";

fn join(parts: &[Bytes]) -> Bytes {
    parts.concat()
}

/// The answers to [`run`].
fn ran() -> Bytes {
    join(&[bound(), rows(1)])
}

#[test]
fn a_statement_with_parameters_is_one_exchange() {
    check(
        &[
            (Client, join(&[parse("", SELECT), run(""), sync()])),
            (Server, join(&[parsed(), ran(), ready()])),
            (Client, join(&[parse("", UPDATE), run(""), sync()])),
            (
                Server,
                join(&[parsed(), bound(), complete("UPDATE 1"), ready()]),
            ),
            (Client, join(&[parse("", SELECT), run(""), sync()])),
            (Server, join(&[parsed(), error("22P02"), ready()])),
        ],
        &[(sql(SELECT), OK), (sql(UPDATE), OK), (sql(SELECT), FAILED)],
    );
}

#[test]
fn prepared_statements_are_known_by_their_names() {
    let prepare = |name: &str, text: &str| join(&[parse(name, text), describe(name), sync()]);
    let prepared = join(&[parsed(), message(b't', &[0, 0]), description(), ready()]);
    check(
        &[
            (Client, prepare("s1", SELECT)),
            (Server, prepared.clone()),
            (Client, prepare("s2", UPDATE)),
            (Server, prepared.clone()),
            (Client, join(&[run("s1"), sync()])),
            (Server, join(&[ran(), ready()])),
            (Client, join(&[run("s2"), sync()])),
            (Server, join(&[error("23505"), ready()])),
            (Client, join(&[run("unknown"), sync()])),
            (Server, join(&[ran(), ready()])),
            // The same name for another text.
            (Client, prepare("s1", UPDATE)),
            (Server, prepared),
            (Client, join(&[run("s1"), sync()])),
            (Server, join(&[ran(), ready()])),
            (Client, prepare("s3", "SELEKT")),
            (Server, join(&[error("42601"), ready()])),
        ],
        &[
            (preparing(SELECT), OK),
            (preparing(UPDATE), OK),
            (sql(SELECT), OK),
            (sql(UPDATE), FAILED),
            (op(named::PREPARED), OK),
            (preparing(UPDATE), OK),
            (sql(UPDATE), OK),
            (preparing("SELEKT"), FAILED),
        ],
    );
}

#[test]
fn batches_that_execute_nothing() {
    let closed = message(b'3', b"");
    check(
        &[
            (Client, sync()),
            (Server, ready()),
            (Client, join(&[describe("s1"), sync()])),
            (Server, join(&[error("26000"), ready()])),
            (Client, join(&[close("s1"), sync()])),
            (Server, join(&[closed, ready()])),
        ],
        &[
            (op(named::SYNC), OK),
            (op(named::DESCRIBE), FAILED),
            (op(named::CLOSE), OK),
        ],
    );
}

#[test]
fn each_execute_of_a_pipeline_is_an_exchange() {
    let one = join(&[parse("", SELECT), run("")]);
    let two = join(&[parse("", UPDATE), run("")]);
    let updated = join(&[parsed(), bound(), complete("UPDATE 1")]);
    let selected = join(&[parsed(), ran()]);
    check(
        &[
            (
                Client,
                join(&[one.clone(), two.clone(), one.clone(), sync()]),
            ),
            (
                Server,
                join(&[selected.clone(), updated.clone(), selected.clone(), ready()]),
            ),
            // Several Syncs wait for their answers, and the server says this and that.
            (
                Client,
                join(&[
                    one.clone(),
                    sync(),
                    two.clone(),
                    sync(),
                    one.clone(),
                    sync(),
                ]),
            ),
            (
                Server,
                join(&[
                    selected.clone(),
                    parameter(),
                    notice(),
                    ready(),
                    notification(),
                    updated.clone(),
                    ready(),
                    selected.clone(),
                    ready(),
                ]),
            ),
            // One statement, executed many times.
            (
                Client,
                join(&[
                    parse("", UPDATE),
                    bind("", ""),
                    execute(""),
                    run(""),
                    run(""),
                    sync(),
                ]),
            ),
            (
                Server,
                join(&[
                    parsed(),
                    join(&[bound(), complete("UPDATE 1")]).repeat(3),
                    ready(),
                ]),
            ),
        ],
        &[
            (sql(SELECT), OK),
            (sql(UPDATE), OK),
            (sql(SELECT), OK),
            (sql(SELECT), OK),
            (sql(UPDATE), OK),
            (sql(SELECT), OK),
            (sql(UPDATE), OK),
            (sql(UPDATE), OK),
            (sql(UPDATE), OK),
        ],
    );
}

#[test]
fn what_is_skipped_behind_an_error_fails_too() {
    let one = join(&[parse("", SELECT), run("")]);
    let two = join(&[parse("", UPDATE), run("")]);
    let selected = join(&[parsed(), ran()]);
    check(
        &[
            (
                Client,
                join(&[one.clone(), two.clone(), one.clone(), one.clone(), sync()]),
            ),
            (Client, join(&[one.clone(), sync()])),
            (
                Server,
                join(&[selected.clone(), parsed(), error("22012"), ready()]),
            ),
            (Server, join(&[selected.clone(), ready()])),
            // A statement that would have been prepared.
            (Client, join(&[two.clone(), parse("s", SELECT), sync()])),
            (Server, join(&[error("42P01"), ready()])),
            (Client, join(&[one, sync()])),
            (Server, join(&[selected, ready()])),
        ],
        &[
            (sql(SELECT), OK),
            (sql(UPDATE), FAILED),
            (sql(SELECT), FAILED),
            (sql(SELECT), FAILED),
            (sql(SELECT), OK),
            (sql(UPDATE), FAILED),
            (preparing(SELECT), FAILED),
            (sql(SELECT), OK),
        ],
    );
}

#[test]
fn a_skipped_execute_tells_no_error_of_its_own() {
    let mut talk = logged();
    talk.say(
        Client,
        &join(&[parse("", SELECT), run(""), run(""), sync()]),
    );
    talk.say(Server, &join(&[error("22012"), ready()]));
    let bytes: &[u8] = bytemuck::cast_slice(&talk.conversation.answer);
    assert_eq!(bytes[talk.conversation.answer_skip as usize], b'Z');
    assert_eq!(talk.finished[2].response_bytes, 0);
}

#[test]
fn flushes_are_answered_before_the_batch_ends() {
    check(
        &[
            (Client, join(&[parse("s", SELECT), describe("s"), flush()])),
            (
                Server,
                join(&[parsed(), message(b't', &[0, 0]), description()]),
            ),
            (Client, join(&[bind("", "s"), execute(""), flush()])),
            (Server, ran()),
            (Client, sync()),
            (Server, ready()),
            // An error that comes before anything is executed.
            (Client, join(&[parse("s", "SELEKT"), flush()])),
            (Server, error("42601")),
            (Client, sync()),
            (Server, ready()),
            (Client, join(&[run("s"), sync()])),
            (Server, join(&[error("26000"), ready()])),
        ],
        &[
            (sql(SELECT), OK),
            (preparing("SELEKT"), FAILED),
            (sql("SELEKT"), FAILED),
        ],
    );
}

#[test]
fn portals_have_names_too() {
    let begin = join(&[
        parse("", "BEGIN"),
        run(""),
        parse("", SELECT),
        bind("C_1", ""),
        execute("C_1"),
        sync(),
    ]);
    let suspended = message(b's', b"");
    check(
        &[
            (Client, begin),
            (
                Server,
                join(&[
                    parsed(),
                    bound(),
                    complete("BEGIN"),
                    parsed(),
                    bound(),
                    suspended.clone(),
                    ready(),
                ]),
            ),
            (
                Client,
                join(&[parse("", UPDATE), run(""), execute("C_1"), sync()]),
            ),
            (
                Server,
                join(&[parsed(), bound(), complete("UPDATE 1"), suspended, ready()]),
            ),
            (Client, join(&[execute("C_2"), sync()])),
            (Server, join(&[error("34000"), ready()])),
        ],
        &[
            (sql("BEGIN"), OK),
            (sql(SELECT), OK),
            (sql(UPDATE), OK),
            (sql(SELECT), OK),
            (op(named::PREPARED), FAILED),
        ],
    );
}

#[test]
fn a_copy_ignores_the_sync_before_its_data() {
    let copy = "COPY t FROM STDIN";
    let data = join(&[copy_data(20), copy_done(), sync()]);
    check(
        &[
            (Client, join(&[parse("", copy), run(""), sync()])),
            (Server, join(&[parsed(), bound(), copy_in()])),
            (Client, data),
            (Server, join(&[complete("COPY 1"), ready()])),
            (Client, join(&[parse("", SELECT), run(""), run(""), sync()])),
            (Server, join(&[parsed(), ran(), error("22012"), ready()])),
        ],
        &[(sql(copy), OK), (sql(SELECT), OK), (sql(SELECT), FAILED)],
    );
}

#[test]
fn more_statements_than_are_remembered() {
    let mut talk = logged();
    for i in 0..40 {
        let text = format!("SELECT a FROM t{i}");
        talk.say(Client, &join(&[parse(&format!("s{i}"), &text), sync()]));
        talk.say(Server, &join(&[parsed(), ready()]));
    }
    for i in [0, 7, 8, 39] {
        talk.say(Client, &join(&[run(&format!("s{i}")), sync()]));
        talk.say(Server, &join(&[ran(), ready()]));
    }
    let found: Vec<_> = talk.finished[41..].iter().map(|f| f.op).collect();
    let unknown = op(named::PREPARED);
    let known = [8, 39].map(|i| sql(&format!("SELECT a FROM t{i}")));
    assert_eq!(found, [unknown, unknown, known[0], known[1]]);
}

#[test]
fn more_requests_in_flight_than_are_remembered() {
    // Each with a Sync of its own, and all with one.
    for (asked, answered) in [
        (
            join(&[run(""), sync()]).repeat(100),
            join(&[ran(), ready()]).repeat(100),
        ),
        (
            join(&[run("").repeat(100), sync()]),
            join(&[ran().repeat(100), ready()]),
        ),
    ] {
        let mut talk = logged();
        talk.say(Client, &asked);
        talk.say(Server, &answered);
        talk.say(Client, &join(&[parse("", SELECT), run(""), sync()]));
        talk.say(Server, &join(&[parsed(), ran(), ready()]));
        let talk = talk.end();
        assert_eq!((talk.finished.len(), talk.lost), (102, 0));
        assert_eq!(talk.finished[101].op, sql(SELECT));
        let timed = talk.finished.iter().filter(|f| f.started_ns != 0);
        assert_eq!(timed.count(), 18);
    }
}

#[test]
fn names_that_nobody_has() {
    let long = "n".repeat(300);
    let longest = "n".repeat(63);
    check(
        &[
            (
                Client,
                join(&[parse(&longest, SELECT), run(&longest), sync()]),
            ),
            (Server, join(&[parsed(), ran(), ready()])),
            (Client, join(&[parse(&long, SELECT), sync()])),
            (Server, join(&[parsed(), ready()])),
            (Client, join(&[run(&long), sync()])),
            (Server, join(&[ran(), ready()])),
        ],
        &[
            (sql(SELECT), OK),
            (
                weir_common::framing::postgres::prepare_op(op(named::PREPARED)),
                OK,
            ),
            (op(named::PREPARED), OK),
        ],
    );
}

#[test]
fn a_name_ends_within_its_message() {
    // A Bind and an Execute whose names would end only in the message behind them.
    for broken in [message(b'B', b"\xff\xff\xff"), message(b'E', b"")] {
        let [whole, cut] = [4096, 1].map(|piece| {
            let mut talk = logged();
            let batch = [parse("", SELECT), broken.clone(), run(""), sync()];
            for piece in join(&batch).chunks(piece) {
                talk.say(Client, piece);
            }
            let talk = talk.end();
            (talk.finished.len(), talk.lost)
        });
        assert_eq!(whole, cut, "{broken:?}");
        assert_eq!(whole.1, 1, "{broken:?}");
    }
}
