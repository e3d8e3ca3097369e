//! Holes, late starts, garbage.

use weir_common::{
    flow::protocol,
    framing::mysql::{command, command_op},
};

use crate::{
    logged,
    packets::{
        Bytes, Ends, command as send, definition, eof, execute, ok, packet, packets, query, row,
    },
    preparing, sql,
    talk::{Client, Server, Side, Talk},
};

const SELECT: &str = "SELECT name FROM orders WHERE id = 7";

#[test]
fn what_is_missing_inside_packets_does_not_matter() {
    let mut talk = logged();
    talk.say(Client, &query(SELECT));
    talk.say(Server, &result()[..20]);
    talk.miss(Server, 30);
    talk.say(Server, &result()[50..]);
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (2, 0), "{:?}", talk.out);
}

fn result() -> Bytes {
    packets(1, &Ends::Eof.result(1, &[row(&["a"]), row(&["b"])], 0))
}

#[test]
fn a_missed_segment_is_a_loss_and_the_next_command_is_found() {
    for side in [Client, Server] {
        let mut talk = logged();
        talk.say(Client, &query(SELECT));
        if side == Client {
            talk.say(Server, &result());
            talk.miss(Client, 20);
        } else {
            // What is missing holds the first definition's length.
            talk.say(Server, &result()[..3]);
            talk.miss(Server, 7);
            talk.say(Server, &result()[10..]);
        }
        for _ in 0..3 {
            talk.say(Client, &query(SELECT));
            talk.say(Server, &result());
        }
        let talk = talk.end();
        assert_eq!(talk.lost, 1, "{:?}", talk.out);
        assert!(talk.finished.len() >= 4, "{side:?}: {:?}", talk.out);
        assert!(talk.finished.iter().all(|f| f.status == 1));
    }
}

#[test]
fn garbage_on_a_known_connection_is_a_loss_and_is_left_again() {
    for garbage in [
        &b"\x05\0\0\x07abcde"[..],
        b"\0\0\0\0",
        b"\x05\0\0\0\x77abcd",
        b"\x05\0\0\0\0abcd",
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
        packet(1, &[0]),
        packet(1, &[0xfd, 1, 2, 3]),
        packet(1, &[0xfc, 0xff, 0xff]),
        packet(1, &[9, 9]),
        packet(1, b""),
        packet(0, &ok(0)),
        packets(1, &[vec![2], definition("a"), eof(0)]),
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
fn lengths_that_lie_move_nothing_backwards() {
    // OK with a number that is longer than its packet.
    let mut talk = logged();
    talk.say(Client, &query(SELECT));
    talk.say(Server, &packet(1, &[0, 0xfe, 8, 8, 8, 8, 8]));
    talk.say(Client, &query(SELECT));
    talk.say(Server, &packet(1, &[0, 0xfc, 8, 8, 8, 8, 8]));
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (3, 0));
}

#[test]
fn a_file_may_come_in_any_order() {
    let mut talk = logged();
    talk.say(Client, &query("LOAD DATA LOCAL INFILE 'f' INTO TABLE t"));
    talk.say(Server, &packet(1, b"\xfb/f"));
    talk.miss(Client, 100_000);
    talk.say_unseen(Client, 50_000);
    talk.say(Server, &packet(9, b"\xff\xff\xff\x01\x01\x01\0\0\0\0"));
    talk.say_unseen(Client, 50_000);
    talk.say(Server, &packet(9, &ok(0)));
    talk.say(Client, &query(SELECT));
    talk.say(Server, &result());
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (3, 0), "{:?}", talk.out);
}

#[test]
fn a_pipeline_is_found_behind_a_hole() {
    let mut talk = logged();
    talk.miss(Client, 20);
    talk.say(
        Client,
        &[query(SELECT), query(SELECT), send(0x0e, b"")].concat(),
    );
    talk.say(Server, &[result(), result(), packet(1, &ok(0))].concat());
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (4, 1), "{:?}", talk.out);
}

#[test]
fn an_execution_whose_preparation_was_missed_has_no_statement() {
    const OTHER: &str = "DELETE FROM orders WHERE id = ?";
    let mut talk = logged();
    talk.say(Client, &send(command::PREPARE, SELECT.as_bytes()));
    talk.say(Server, &packets(1, &Ends::Eof.prepared(7, 0, 0)));
    let missed = send(command::PREPARE, OTHER.as_bytes());
    talk.miss(Client, missed.len() as u64);
    // The latest statement is the one that was missed; 23 has the slot of 7.
    for statement in [u32::MAX, 23, 7] {
        talk.say(Client, &execute(statement));
        talk.say(Server, &packet(1, &ok(0)));
    }
    let talk = talk.end();
    assert_eq!(talk.lost, 1, "{:?}", talk.out);
    let found: Vec<_> = talk.finished[2..].iter().map(|f| f.op).collect();
    let nameless = command_op(command::EXECUTE);
    assert_eq!(found, [nameless, nameless, sql(SELECT)], "{:?}", talk.out);
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
    let talk = older(&[
        (Server, row(&["the rest of a result"])),
        (Client, b"the rest of an INSERT".to_vec()),
        (Client, send(0x0e, b"")),
        (Server, packet(1, &ok(0))),
        (Client, query(SELECT)),
        (Server, result()),
        (Client, send(0x0e, b"")),
        (Server, packet(1, &ok(0))),
    ]);
    assert_eq!(talk.conversation.protocol, protocol::MYSQL);
    let found: Vec<_> = talk.finished.iter().map(|f| (f.op, f.status)).collect();
    assert_eq!(found, [(sql(SELECT), 1), (command_op(0x0e), 1)]);
    assert_eq!(talk.lost, 0);
}

#[test]
fn an_execution_tells_it_too_and_long_texts() {
    let talk = older(&[(Client, execute(5)), (Server, packet(1, &ok(0)))]);
    assert_eq!(talk.finished.len(), 1);
    assert_eq!(talk.finished[0].op, command_op(command::EXECUTE));
    let long = format!("INSERT INTO t VALUES ('{}')", "x".repeat(9_000));
    let bytes = query(&long);
    let (first, second) = bytes.split_at(4_000);
    let talk = older(&[
        (Client, first.to_vec()),
        (Client, second.to_vec()),
        (Server, packet(1, &ok(0))),
    ]);
    assert_eq!(talk.finished.len(), 1, "{:?}", talk.out);
    assert_eq!(talk.finished[0].request_bytes, bytes.len() as u64);
}

#[test]
fn whether_definitions_end_with_eof_is_learned() {
    // Nothing said yet how they end; behind the first answer it is known.
    for ends in [Ends::Eof, Ends::Ok] {
        for (columns, parameters) in [(0, 2), (2, 0), (2, 2)] {
            let prepare = send(command::PREPARE, SELECT.as_bytes());
            let prepared = packets(1, &ends.prepared(1, columns, parameters));
            let talk = older(&[
                (Client, prepare.clone()),
                (Server, prepared.clone()),
                (Client, prepare.clone()),
                (Server, prepared.clone()),
                (Client, execute(1)),
                (Server, packet(1, &ok(0))),
            ]);
            let found: Vec<_> = talk.finished.iter().map(|f| f.op).collect();
            let twice = preparing(SELECT);
            assert_eq!(found, [twice, twice, sql(SELECT)], "{ends:?}");
            assert_eq!(talk.finished[1].response_bytes, prepared.len() as u64);
            assert_eq!(talk.lost, 0);
        }
    }
}

#[test]
fn other_protocols_with_lengths_are_not_taken_for_it() {
    for bytes in [
        &b"\x01\0\0\0\x0e"[..],
        b"\x10\0\0\0\x01\0\0\0\0\0\0\0\xd4\x07\0\0\0\0\0\0",
        b"\x09\0\0\0\x03hello wo",
        b"\x09\0\0\0\x03SELECT 1 and more",
        b"\x09\0\0\x01\x03SELECT 1",
    ] {
        let talk = older(&[(Client, bytes.to_vec()), (Server, bytes.to_vec())]);
        assert_ne!(talk.conversation.protocol, protocol::MYSQL, "{bytes:?}");
        assert_eq!((talk.finished.len(), talk.lost), (0, 0));
    }
}

#[test]
fn more_commands_in_flight_than_are_remembered() {
    let mut talk = logged();
    talk.say(Client, &execute(1).repeat(100));
    talk.say(Server, &packet(1, &ok(0)).repeat(100));
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (101, 0));
    let timed = talk.finished.iter().filter(|f| f.started_ns != 0);
    assert_eq!(timed.count(), 17);
}
