//! What is counted as a message, and how connections end.

use weir_common::framing::websocket::outcome::{CLOSED, FAILED};

use super::{
    BINARY, CLOSE, GET, PING, PONG, SWITCH, TEXT, check, close, frame, run,
    talk::{Client, Server, Side, Talk},
};

const NORMAL: u16 = CLOSED + 1000;

fn parts(parts: &[(Side, u8, usize)]) -> Vec<(Side, Vec<u8>)> {
    let part =
        |(side, first, len): &(Side, u8, usize)| (*side, frame(*side, *first, &vec![b'\n'; *len]));
    parts.iter().map(part).collect()
}

fn closed(mut parts: Vec<(Side, Vec<u8>)>, first: Side, code: u16) -> Vec<(Side, Vec<u8>)> {
    let second = if first == Client { Server } else { Client };
    parts.push((first, close(first, code)));
    parts.push((second, close(second, code)));
    parts
}

#[test]
fn messages_of_every_length() {
    for len in [0, 1, 10, 125, 126, 127, 400, 65_535, 65_536, 70_000] {
        let talk = parts(&[
            (Client, TEXT, len),
            (Server, BINARY, len),
            (Server, TEXT, 3),
        ]);
        check(&closed(talk, Client, 1000), NORMAL, (1, 2));
    }
}

#[test]
fn the_server_may_speak_first_or_alone() {
    check(
        &closed(
            parts(&[(Server, TEXT, 5), (Server, TEXT, 300)]),
            Server,
            1001,
        ),
        CLOSED + 1001,
        (0, 2),
    );
    check(&closed(Vec::new(), Client, 1000), NORMAL, (0, 0));
    check(&closed(Vec::new(), Server, 1011), FAILED + 1011, (0, 0));
}

#[test]
fn fragments_are_one_message_and_control_frames_none() {
    let talk = parts(&[
        (Client, 0x01, 20),
        (Client, PING, 4),
        (Server, PONG, 4),
        (Client, 0x00, 0),
        (Client, 0x80, 20),
        (Client, 0xc1, 9),
        (Server, 0x42, 500),
        (Server, PING, 125),
        (Client, PONG, 125),
        (Server, 0x80, 500),
    ]);
    check(&closed(talk, Server, 1000), NORMAL, (2, 1));
}

#[test]
fn a_close_without_a_code_has_none() {
    let talk = vec![
        (Client, frame(Client, TEXT, b"bye")),
        (Client, frame(Client, CLOSE, b"")),
        (Server, frame(Server, CLOSE, b"")),
    ];
    check(&talk, CLOSED + 1005, (1, 0));
    let words = vec![
        (
            Server,
            frame(Server, CLOSE, b"\x03\xf3something went wrong"),
        ),
        (Client, close(Client, 1000)),
    ];
    check(&words, FAILED + 1011, (0, 0));
}

#[test]
fn a_connection_that_ends_by_itself() {
    let hello = (Client, frame(Client, TEXT, b"hello"));
    check(std::slice::from_ref(&hello), FAILED + 1006, (1, 0));
    // One Close frame tells why, though the other never came.
    check(
        &[hello, (Server, close(Server, 4001))],
        CLOSED + 4001,
        (1, 0),
    );
}

#[test]
fn many_small_frames_of_one_segment() {
    let mut bytes = Vec::new();
    for i in 0..3_000_usize {
        bytes.extend(frame(Server, TEXT, &vec![b'x'; i % 40]));
    }
    check(
        &closed(vec![(Server, bytes)], Client, 1000),
        NORMAL,
        (0, 3_000),
    );
}

#[test]
fn payload_is_passed_over_unseen_and_counts_only_when_it_is_all_there() {
    let mut head = frame(Client, BINARY, &[0; 70_000]);
    head.truncate(14);
    for (unseen, messages) in [(70_000, 1), (69_999, 0)] {
        let mut talk = super::upgraded();
        talk.say(Client, &head);
        talk.say_unseen(Client, unseen);
        let talk = talk.end();
        let finished = &talk.finished[1];
        assert_eq!(finished.request_messages, messages);
        assert_eq!(finished.request_bytes, 14 + u64::from(unseen));
        assert_eq!(finished.status, FAILED + 1006);
    }
}

#[test]
fn frames_in_the_segment_of_the_answer_that_upgraded() {
    let mut talk = super::Talk::new();
    talk.say(Client, super::GET);
    let both = [super::SWITCH, &frame(Server, TEXT, b"welcome")].concat();
    talk.say(Server, &both);
    talk.say(Client, &close(Client, 1000));
    talk.say(Server, &close(Server, 1000));
    let talk = talk.end();
    let told = super::Told::from(&talk.finished[1]);
    assert_eq!((told.status, told.messages), (NORMAL, (0, 1)));
    assert_eq!(told.bytes, (8, 13));
    assert_eq!(talk.finished.len(), 2);
}

#[test]
fn what_comes_behind_the_end_is_not_read() {
    let mut talk = closed(Vec::new(), Client, 1000);
    talk.push((Client, b"GET / HTTP/1.1\r\n\r\n".to_vec()));
    let talk = run(&talk, 4096);
    assert_eq!((talk.finished.len(), talk.lost), (2, 0));
    assert_eq!(talk.conversation.opaque, 1);
}

#[test]
fn only_the_upgrade_waits_to_be_read() {
    let mut talk = Talk::new();
    let (asked, message) = (GET.len() as u64, frame(Client, TEXT, b"hello"));
    talk.say(Client, GET);
    talk.read(0, asked);
    talk.say(Server, SWITCH);
    talk.say(Client, &message);
    talk.read(asked, asked + message.len() as u64);
    talk.say(Client, &close(Client, 1000));
    talk.say(Server, &close(Server, 1000));
    let times: Vec<u64> = talk.end().finished.iter().map(|f| f.queue_ns).collect();
    assert_eq!(times, [10, 0]);
}
