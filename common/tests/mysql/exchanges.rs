//! Commands and their answers.

use weir_common::framing::{
    advance,
    http1::step,
    mysql::{command, command_op},
};

use crate::{
    check, logged, logged_in,
    packets::{
        Bytes, CURSOR, Ends, MORE_RESULTS, command as send, definition, eof, err, execute, ok,
        ok_eof, packet, packets, query, row,
    },
    preparing, sql,
    talk::{Client, SERVER_ISN, Server, Talk},
};

const BOTH: [Ends; 2] = [Ends::Eof, Ends::Ok];
const SELECT: &str = "SELECT id, name FROM orders WHERE id < 10";

/// A query with this answer, and a ping behind it.
fn answer(ends: Ends, answer: Bytes, status: u16) {
    let len = answer.len() as u64;
    let ping = packet(1, &ok(0));
    check(
        ends,
        &[
            (Client, query(SELECT)),
            (Server, answer),
            (Client, send(0x0e, b"")),
            (Server, ping.clone()),
        ],
        &[
            (sql(SELECT), status, 5 + SELECT.len() as u64, len),
            (command_op(0x0e), 1, 5, ping.len() as u64),
        ],
    );
}

#[test]
fn every_form_of_answer_to_a_query() {
    let rows: Vec<_> = (0..40)
        .map(|i| row(&[&i.to_string(), "a name that is not short"]))
        .collect();
    for ends in BOTH {
        let results = [
            ends.result(2, &rows, 0),
            ends.result(2, &[], 0),
            ends.result(1, &[vec![0xfb], row(&[""]), vec![0xfc, 1, 0, b'x']], 0),
            ends.result(70, &[vec![0xfb; 70]], 0),
            vec![ok(0)],
            [ends.result(1, &rows, MORE_RESULTS), vec![ok(0)]].concat(),
            [vec![ok(MORE_RESULTS)], ends.result(3, &rows, 0)].concat(),
            [
                ends.result(1, &rows, MORE_RESULTS),
                ends.result(2, &rows, MORE_RESULTS),
                vec![ok(MORE_RESULTS), ok(0)],
            ]
            .concat(),
        ];
        for payloads in results {
            answer(ends, packets(1, &payloads), 1);
        }
    }
}

#[test]
fn errors_in_every_place() {
    for ends in BOTH {
        let wrong = err(1064, "42000");
        answer(ends, packet(1, &wrong), 1000);
        // Servers leave the state out where the client's version is not known yet.
        answer(ends, packets(1, &[b"\xff\x15\x04no".to_vec()]), 1000);
        let mut cut_off = ends.result(2, &[row(&["1", "a"])], 0);
        *cut_off.last_mut().unwrap() = wrong.clone();
        answer(ends, packets(1, &cut_off), 1000);
        let second = [ends.result(1, &[], MORE_RESULTS), vec![wrong]].concat();
        answer(ends, packets(1, &second), 1000);
    }
}

#[test]
fn reports_of_progress_are_no_errors() {
    let report = b"\xff\xff\xff\x01\x02\x04\0\0\0\x0bcopy to tmp".to_vec();
    let says = [report.clone(), report, ok(0)];
    let len = packet(1, &says[2]).len() as u64;
    check(
        Ends::Eof,
        &[
            (Client, query("ALTER TABLE t")),
            (Server, packets(1, &says)),
        ],
        &[(sql("ALTER TABLE t"), 1, 18, len)],
    );
}

#[test]
fn definitions_that_are_left_out() {
    // MariaDB says so behind the number of columns, MySQL before it.
    for (count, definitions) in [
        (&[2, 0][..], 0),
        (&[2, 1], 2),
        (&[1, 0], 0),
        (&[1, 1], 1),
        (&[0, 1], 0),
        (&[0, 7], 0),
        (&[1, 7], 7),
        (&[0xfc, 44, 1], 300),
        (&[0xfc, 44, 1, 0], 0),
        (&[0xfc, 44, 1, 1], 300),
        (&[0, 0xfc, 44, 1], 0),
        (&[1, 0xfc, 44, 1], 300),
    ] {
        let mut payloads = vec![count.to_vec()];
        payloads.extend((0..definitions).map(|_| definition("c")));
        payloads.extend([row(&["1"]), ok_eof(0)]);
        answer(Ends::Ok, packets(1, &payloads), 1);
    }
}

#[test]
fn every_command_with_a_short_answer() {
    for kind in [
        0x02, 0x05, 0x06, 0x07, 0x08, 0x0c, 0x0d, 0x0e, 0x15, 0x1a, 0x1b, 0x1f,
    ] {
        for (payload, status) in [(ok(0), 1), (eof(0), 1), (err(1047, "08S01"), 1000)] {
            let answer = packet(1, &payload);
            let len = answer.len() as u64;
            check(
                Ends::Eof,
                &[(Client, send(kind, b"test")), (Server, answer)],
                &[(command_op(kind), status, 9, len)],
            );
        }
    }
    let line = packet(1, b"Uptime: 12  Threads: 7");
    let len = line.len() as u64;
    check(
        Ends::Eof,
        &[(Client, send(command::STATISTICS, b"")), (Server, line)],
        &[(command_op(command::STATISTICS), 1, 5, len)],
    );
}

#[test]
fn rows_without_definitions() {
    for ends in BOTH {
        for kind in [command::FETCH, command::FIELD_LIST] {
            for rows in 0..3 {
                let mut payloads = vec![definition("c"); rows];
                payloads.push(ends.rows(0));
                let answer = packets(1, &payloads);
                let len = answer.len() as u64;
                check(
                    ends,
                    &[
                        (Client, send(kind, b"\x01\0\0\0\x05\0\0\0")),
                        (Server, answer),
                    ],
                    &[(command_op(kind), 1, 13, len)],
                );
            }
        }
    }
}

#[test]
fn commands_without_an_answer() {
    let (close, long) = (
        send(command::CLOSE, b"\x01\0\0\0"),
        send(command::SEND_LONG_DATA, b"\x01\0\0\0\0\0data"),
    );
    let both = [close, long, send(0x0e, b"")].concat();
    check(
        Ends::Ok,
        &[
            (Client, both),
            (Server, packet(1, &ok(0))),
            (Client, send(command::QUIT, b"")),
        ],
        &[(command_op(0x0e), 1, 5, 11)],
    );
}

#[test]
fn prepared_statements_go_by_their_text() {
    const INSERT: &str = "INSERT INTO orders VALUES (?, ?)";
    for ends in BOTH {
        for (columns, parameters) in [(0, 0), (0, 2), (3, 0), (3, 2)] {
            let prepared = packets(1, &ends.prepared(7, columns, parameters));
            let binary = vec![b"\0\0\x01\0\0\0\x01a".to_vec(); 3];
            let result = packets(1, &ends.result(2, &binary, 0));
            let (asked, answered) = (5 + INSERT.len() as u64, prepared.len() as u64);
            let len = result.len() as u64;
            check(
                ends,
                &[
                    (Client, send(command::PREPARE, INSERT.as_bytes())),
                    (Server, prepared),
                    (Client, execute(7)),
                    (Server, packet(1, &ok(0))),
                    (Client, execute(7)),
                    (Server, result),
                    (Client, execute(23)),
                    (Server, packet(1, &err(1243, "HY000"))),
                    (Client, send(command::CLOSE, b"\x07\0\0\0")),
                ],
                &[
                    (preparing(INSERT), 1, asked, answered),
                    (sql(INSERT), 1, 14, 11),
                    (sql(INSERT), 1, 14, len),
                    (command_op(command::EXECUTE), 1000, 14, 49),
                ],
            );
        }
    }
}

#[test]
fn a_cursor_ends_behind_its_definitions() {
    let mut payloads = vec![vec![1], definition("c"), eof(CURSOR)];
    let mut says = vec![(Client, execute(1)), (Server, packets(1, &payloads))];
    let fetch = send(command::FETCH, b"\x01\0\0\0\x05\0\0\0");
    says.push((Client, fetch));
    payloads = vec![b"\0\0a".to_vec(), eof(128)];
    says.push((Server, packets(1, &payloads)));
    let lens = [says[1].1.len() as u64, says[3].1.len() as u64];
    check(
        Ends::Eof,
        &says,
        &[
            (command_op(command::EXECUTE), 1, 14, lens[0]),
            (command_op(command::FETCH), 1, 13, lens[1]),
        ],
    );
}

#[test]
fn pipelined_commands_are_answered_in_order() {
    // MariaDB's connectors execute what was prepared last before they know its number.
    for ends in BOTH {
        let asked = [
            send(command::PREPARE, SELECT.as_bytes()),
            execute(u32::MAX),
            query("SELECT 1"),
            query("nonsense"),
        ]
        .concat();
        let answers = [
            packets(1, &ends.prepared(3, 2, 1)),
            packets(1, &ends.result(2, &[b"\0\0\x01a\x01b".to_vec()], 0)),
            packets(1, &ends.result(1, &[row(&["1"])], 0)),
            packet(1, &err(1064, "42000")),
        ];
        let lens: Vec<_> = answers.iter().map(|a| a.len() as u64).collect();
        check(
            ends,
            &[(Client, asked), (Server, answers.concat())],
            &[
                (preparing(SELECT), 1, 5 + SELECT.len() as u64, lens[0]),
                (sql(SELECT), 1, 14, lens[1]),
                (sql("SELECT 1"), 1, 13, lens[2]),
                (sql("nonsense"), 1000, 13, lens[3]),
            ],
        );
    }
}

#[test]
fn attributes_stand_before_the_text() {
    let plain = [&b"\0\x01"[..], SELECT.as_bytes()].concat();
    let named = b"\x01\x01\0\x01\xfe\0\x01k\x01vSELECT 1";
    check(
        Ends::Ok,
        &[
            (Client, send(command::QUERY, &plain)),
            (Server, packet(1, &ok(0))),
            (Client, send(command::QUERY, named)),
            (Server, packet(1, &ok(0))),
        ],
        &[
            (sql(SELECT), 1, 7 + SELECT.len() as u64, 11),
            (command_op(command::QUERY), 1, 5 + named.len() as u64, 11),
        ],
    );
}

#[test]
fn a_file_is_no_request() {
    const LOAD: &str = "LOAD DATA LOCAL INFILE 'f' INTO TABLE t";
    // More than 256 packets: their numbers begin again at 0.
    let parts: Vec<Bytes> = (0..300).map(|i| vec![i as u8; 40]).collect();
    let mut file = packets(2, &parts);
    file.extend(packet(46, b""));
    let asked = b"\xfb/tmp/f".to_vec();
    for (payload, status) in [(ok(0), 1), (err(1366, "22007"), 1000)] {
        let answers = [packet(1, &asked), packet(47, &payload)];
        let len = answers.iter().map(|a| a.len() as u64).sum();
        check(
            Ends::Eof,
            &[
                (Client, query(LOAD)),
                (Server, answers[0].clone()),
                (Client, file.clone()),
                (Server, answers[1].clone()),
                (Client, query("SELECT 1")),
                (Server, packet(1, &ok(0))),
            ],
            &[
                (sql(LOAD), status, 5 + LOAD.len() as u64, len),
                (sql("SELECT 1"), 1, 13, 11),
            ],
        );
    }
}

#[test]
fn texts_that_differ_in_what_is_not_read_are_one_operation() {
    let text = format!("SELECT {} FROM t", "column, ".repeat(30));
    let other = format!("SELECT {} FROM u", "column, ".repeat(30));
    assert_eq!(sql(&text), sql(&other));
    for text in [text, other] {
        check(
            Ends::Ok,
            &[(Client, query(&text)), (Server, packet(1, &ok(0)))],
            &[(sql(&text), 1, 5 + text.len() as u64, 11)],
        );
    }
}

/// Header of a packet whose payload comes later.
fn header(len: u32, sequence: u8) -> Bytes {
    let mut header = len.to_le_bytes().to_vec();
    header[3] = sequence;
    header
}

#[test]
fn packets_that_go_on_are_passed_over_unseen() {
    for tail in [0, 1, 3_500_000] {
        let mut talk = logged();
        let insert = [&header(0xff_ffff, 0)[..], b"\x03INSERT INTO t VALUES ('"].concat();
        let beginning = [&insert[..], &[b'x'; 200]].concat();
        talk.say(Client, &beginning);
        talk.say_unseen(Client, 0xff_ffff + 4 - beginning.len() as u32);
        talk.say(Client, &header(tail, 1));
        if tail != 0 {
            talk.say_unseen(Client, tail);
        }
        talk.say(Server, &packet(2, &ok(0)));
        let talk = talk_on(talk, tail);
        let asked: Vec<_> = talk.finished[1..].iter().map(|f| f.request_bytes).collect();
        assert_eq!(
            asked,
            [0xff_ffff + 8 + u64::from(tail), 13],
            "{:?}",
            talk.out
        );
    }
}

/// A result with a row of 16 MiB − 1 and a tail, as bytes and as lengths.
fn talk_on(mut talk: Talk, tail: u32) -> Talk {
    talk.say(Client, &query("SELECT 1"));
    talk.say(Server, &packets(1, &[vec![1], definition("c"), eof(0)]));
    talk.say(
        Server,
        &[&header(0xff_ffff, 4)[..], b"\xfe\0\0\0\x01\0\0\0\0"].concat(),
    );
    talk.say_unseen(Server, 0xff_ffff - 9);
    talk.say(Server, &header(tail, 5));
    if tail != 0 {
        talk.say_unseen(Server, tail);
    }
    talk.say(Server, &packets(6, &[row(&["small"]), eof(0)]));
    let talk = talk.end();
    let outcomes: Vec<_> = talk.finished.iter().map(|f| f.status).collect();
    assert_eq!((outcomes, talk.lost), (vec![1; 3], 0), "{:?}", talk.out);
    talk
}

#[test]
fn a_hundred_thousand_rows() {
    for ends in BOTH {
        let rows: Vec<_> = (0..100_000).map(|i| row(&[&i.to_string()])).collect();
        let answer = packets(1, &ends.result(1, &rows, 0));
        let (says, _) = logged_in(ends.capabilities(), &[(Client, query(SELECT))]);
        let mut talk = Talk::new();
        for (side, bytes) in says {
            talk.say(side, &bytes);
        }
        for segment in answer.chunks(65_483) {
            talk.say(Server, segment);
        }
        let talk = talk.end();
        assert_eq!((talk.finished.len(), talk.lost), (2, 0));
        assert_eq!(talk.finished[1].response_bytes, answer.len() as u64);
    }
}

/// Steps that a run of the kernel's program takes over one segment, see `ebpf/src/hook/readers.rs`.
const STEPS_OF_A_RUN: u32 = 512;

/// The largest segment that loopback makes.
const LARGEST_SEGMENT: usize = 131_018;

#[test]
fn the_largest_segment_of_the_smallest_rows_fits_into_a_run() {
    let mut talk = logged();
    talk.say(Client, &query("SELECT NULL FROM numbers"));
    let definitions = packets(1, &[vec![1], definition("c"), eof(0)]);
    talk.say(Server, &definitions);
    let rows = packet(4, &[0xfb]).repeat(LARGEST_SEGMENT / 5);
    let conversation = &mut talk.conversation;
    let seq = SERVER_ISN.wrapping_add(1 + conversation.response.next as u32);
    assert!(conversation.locate(false, seq, rows.len() as u32, 1));
    let mut steps = 0;
    while advance(conversation, false, &mut &rows[..]) == step::MORE {
        steps += 1;
    }
    assert_eq!(
        conversation.response.next,
        conversation.response.segment.end
    );
    assert!(steps < STEPS_OF_A_RUN, "{steps} steps");
}
