//! What is no Memcached, garbage, holes, answers to nobody, late observers.

use weir_common::flow::protocol;

use crate::{
    GET, MISS,
    binary::{answered, asked},
    talk::{Client, Server, Talk},
};

#[test]
fn answers_to_nobody_are_lost_unless_they_may_come_unasked() {
    for (request, lost) in [
        ("set k 0 0 5 noreply\r\nhello\r\n", 0),
        ("ms k 2 q\r\nhi\r\n", 0),
        (GET, 1),
    ] {
        let mut talk = Talk::new();
        talk.say(Client, GET.as_bytes());
        talk.say(Server, MISS.as_bytes());
        talk.say(Client, request.as_bytes());
        if lost != 0 {
            talk.say(Server, MISS.as_bytes());
        }
        talk.say(Server, b"SERVER_ERROR out of memory storing object\r\n");
        talk.say(Client, GET.as_bytes());
        talk.say(Server, MISS.as_bytes());
        let talk = talk.end();
        assert_eq!(talk.lost, lost, "{request}: {:?}", talk.out);
        assert_eq!(talk.finished.len() as u64, 2 + lost, "{request}");
    }
}

#[test]
fn large_values_are_passed_over_unseen() {
    for (head, tail) in [
        ("set k 0 0 5000000\r\n", "STORED\r\n"),
        ("ms k 5000000 T0\r\n", "HD\r\n"),
    ] {
        let mut talk = Talk::new();
        talk.say(Client, head.as_bytes());
        talk.say_unseen(Client, 3_000_000);
        talk.say_unseen(Client, 2_000_002);
        talk.say(Server, tail.as_bytes());
        talk.say(Client, GET.as_bytes());
        talk.say(Server, b"VALUE k 0 5000000\r\n");
        talk.say_unseen(Server, 5_000_002);
        talk.say(Server, b"END\r\n");
        let talk = talk.end();
        assert_eq!((talk.finished.len(), talk.lost), (2, 0));
        let asked = head.len() as u64 + 5_000_002;
        assert_eq!(talk.finished[0].request_bytes, asked);
        assert_eq!(talk.finished[1].response_bytes, 5_000_002 + 19 + 5);
    }
    let mut request = asked(1, 8, "k", "");
    request[8..12].copy_from_slice(&5_000_009u32.to_be_bytes());
    let mut talk = Talk::new();
    talk.say(Client, &request);
    talk.say_unseen(Client, 5_000_000);
    talk.say(Server, &answered(1, 0, 0, "", ""));
    let talk = talk.end();
    assert_eq!(talk.finished[0].request_bytes, 24 + 5_000_009);
}

#[test]
fn what_is_no_memcached_turns_opaque() {
    for bytes in [
        &b"hello world\r\n"[..],
        b"get  \r\n",
        b"get k\n",
        b"set k 0 0 many\r\n",
        b"put 0 0 60 5\r\n",
        b"delete 17\r\n",
        b"quit\r\n",
        b"\x80\x00\x00\xff\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    ] {
        let mut talk = Talk::new();
        talk.say(Client, bytes);
        talk.say(Client, b"more and more");
        assert_eq!(talk.conversation.opaque, 1, "{bytes:?}");
        assert_eq!(talk.lost, 0);
    }
    // beanstalkd and Redis have commands of these names: their answers undo the guess.
    for (request, answer) in [("stats\r\n", "OK 923\r\n---\n"), (GET, "$-1\r\n")] {
        let mut talk = Talk::new();
        talk.say(Client, request.as_bytes());
        talk.say(Server, answer.as_bytes());
        assert_eq!(talk.conversation.opaque, 1, "{answer:?}");
        assert_eq!((talk.lost, talk.finished.len()), (0, 0));
    }
}

/// While MongoDB could still begin like this, more than the command was carried.
#[test]
fn a_command_that_is_known_late_keeps_what_stands_behind_it() {
    for behind in ["\0\0\0\r\n\0\0\0C\0\0\0\0m", "mg k v\r\n"] {
        let bytes = ["ms\r\x01\x05END\r\n", behind].concat();
        let told = |piece: usize| {
            let mut talk = Talk::new();
            for piece in bytes.as_bytes().chunks(piece) {
                talk.say(Client, piece);
            }
            talk.say(Server, b"HD\r\nEN\r\n");
            let conversation = &talk.conversation;
            let state = (conversation.protocol, conversation.opaque, talk.lost);
            (state, conversation.asked)
        };
        let whole = told(4096);
        assert_eq!(whole.0.2, 0);
        for piece in [1, 2, 3, 5, 7, 11, 13] {
            assert_eq!(told(piece), whole, "{bytes:?} by {piece}");
        }
    }
}

#[test]
fn garbage_on_a_known_connection_is_a_loss_and_is_left_again() {
    for (side, bytes) in [
        (Client, &b"\x00\x01garbage\r\n"[..]),
        (Server, b"VALUE k 0 much\r\n"),
        (
            Server,
            b"\x81\x00\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00................",
        ),
    ] {
        let mut talk = Talk::new();
        talk.say(Client, GET.as_bytes());
        talk.say(Server, MISS.as_bytes());
        if side == Server {
            talk.say(Client, GET.as_bytes());
        }
        talk.say(side, bytes);
        assert_eq!(talk.lost, 1, "{bytes:?}");
        talk.say(Client, GET.as_bytes());
        talk.say(Server, MISS.as_bytes());
        let talk = talk.end();
        assert_eq!((talk.finished.len(), talk.lost), (2, 1), "{bytes:?}");
    }
}

#[test]
fn a_missed_segment_is_a_loss_and_the_next_request_is_found() {
    let mut talk = Talk::new();
    talk.say(Client, b"set k 0 0 2000\r\n");
    talk.miss(Client, 1000);
    talk.say(Client, &[b'x'; 1002]);
    talk.say(Server, b"STORED\r\n");
    talk.miss(Client, 7);
    talk.say(Server, MISS.as_bytes());
    for _ in 0..2 {
        talk.say(Client, GET.as_bytes());
        talk.say(Server, MISS.as_bytes());
    }
    let talk = talk.end();
    // The answer to what was missed, and the hole.
    assert_eq!(talk.lost, 2, "{:?}", talk.out);
    assert!(talk.finished.len() >= 2, "{:?}", talk.out);
}

#[test]
fn an_answer_whose_connection_never_asked_is_counted_as_lost() {
    let hit = answered(0, 0, 4, "", "v");
    let value = b"VALUE k 0 1\r\nv\r\nEND\r\n";
    for answer in [&hit[..], value, b"STORED\r\n"] {
        let mut talk = Talk::new();
        talk.say(Server, answer);
        assert_eq!(talk.conversation.protocol, protocol::MEMCACHED);
        talk.miss(Client, 7);
        talk.say(Client, GET.as_bytes());
        talk.say(Server, MISS.as_bytes());
        let talk = talk.end();
        // The answer, and the hole.
        assert_eq!((talk.finished.len(), talk.lost), (1, 2), "{:?}", talk.out);
    }
}

#[test]
fn a_connection_older_than_its_observer_is_known_by_its_next_command() {
    let get = asked(0, 0, "k", "");
    let (hit, miss) = (
        answered(0, 0, 4, "", "v"),
        answered(0, 0x82, 0, "", "memory"),
    );
    for (request, good, bad) in [
        (
            GET.as_bytes(),
            MISS.as_bytes(),
            &b"SERVER_ERROR out of memory\r\n"[..],
        ),
        (&get, &hit, &miss),
    ] {
        let mut talk = Talk::midstream();
        talk.say(Server, b"VALUE k 0 5\r\nhello\r\nEND\r\n");
        talk.say(Client, b"the rest of a value\r\n");
        talk.say(Client, request);
        talk.say(Server, good);
        talk.say(Client, request);
        talk.say(Server, bad);
        let talk = talk.end();
        assert_eq!(talk.conversation.protocol, protocol::MEMCACHED);
        let statuses: Vec<_> = talk.finished.iter().map(|f| f.status).collect();
        assert_eq!((statuses, talk.lost), (vec![1, 1000], 0));
    }
}
