//! What is no MongoDB, or only looks like something else; garbage, holes, late observers.

use weir_common::flow::protocol;

use crate::{
    PIECES, check, find, found,
    messages::{Binary, Int, document, msg},
    run,
    talk::{Client, Server, Talk},
};

#[test]
fn lengths_that_look_like_text_are_known() {
    // The lowest byte of a length may be a line feed, `*`, the first byte of TLS, or a capital.
    for len in [
        0x10a_usize,
        0x12a,
        0x116,
        0x316,
        0x147,
        0x150,
        0xa0d,
        0x180,
        0x20a,
        0xa0a,
    ] {
        let empty = msg(1, 0, 0, &document(&[("hello", Int(1)), ("x", Binary(0))]));
        let filled = document(&[("hello", Int(1)), ("x", Binary(len - empty.len()))]);
        let hello = msg(1, 0, 0, &filled);
        assert_eq!(hello.len(), len);
        let parts = [
            (Client, hello),
            (Server, msg(9, 1, 0, &document(&[("ok", Int(1))]))),
        ];
        for piece in PIECES {
            // A line feed is taken for an empty line if the fourth byte is not there yet.
            if matches!(len & 0xff, 0x0a | 0x0d) && piece < 4 {
                continue;
            }
            assert_eq!(run(&parts, piece).len(), 1, "{len:#x}, {piece} at a time");
        }
    }
}

#[test]
fn what_is_no_mongodb_turns_opaque() {
    let mut wrong_kind = find(1);
    wrong_kind[20] = 2;
    let mut flags = find(1);
    flags[16] = 4;
    let mut length = find(1);
    length[21] = 255;
    let mut huge = find(1);
    huge[3] = 3;
    let answer = found(1, 3);
    for bytes in [wrong_kind, flags, length, huge, answer, vec![0; 40]] {
        let mut talk = Talk::new();
        talk.say(Client, &bytes);
        talk.say(Client, b"more and more");
        assert_eq!(talk.conversation.opaque, 1, "{}", bytes.escape_ascii());
        assert_eq!(talk.lost, 0);
    }
}

#[test]
fn garbage_on_a_known_connection_is_a_loss_and_is_left_again() {
    for side in [Client, Server] {
        let mut talk = Talk::new();
        talk.say(Client, &find(1));
        talk.say(Server, &found(1, 3));
        if side == Server {
            talk.say(Client, &find(2));
        }
        talk.say(side, &[b'?'; 60]);
        assert_eq!(talk.lost, 1);
        talk.say(Client, &find(3));
        talk.say(Server, &found(3, 3));
        let talk = talk.end();
        assert_eq!((talk.finished.len(), talk.lost), (2, 1));
    }
}

#[test]
fn hostile_documents_end_with_their_message() {
    let endless = document(&[("a", Binary(0))]);
    let mut lies = endless.clone();
    lies[7..11].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut unnamed = vec![b'n'; 300];
    unnamed[0] = 16;
    let short = vec![0x7f; 3];
    let unknown = document(&[("a", Int(3))])
        .into_iter()
        .map(|byte| if byte == 16 { 0x55 } else { byte });
    for bytes in [lies, unnamed, short, unknown.collect(), vec![16; 5], vec![]] {
        check(
            &[
                (Client, find(1)),
                (Server, msg(9, 1, 0, &bytes)),
                (Client, find(2)),
                (Server, found(2, 3)),
            ],
            &[("find orders", 1, b""), ("find orders", 1, b"")],
        );
    }
}

#[test]
fn a_missed_segment_is_a_loss_and_the_next_request_is_found() {
    let mut talk = Talk::new();
    talk.say(Client, &find(1));
    talk.say(Server, &found(1, 3));
    talk.miss(Client, find(2).len() as u64);
    talk.say(Server, &found(2, 3));
    for id in 3..6 {
        talk.say(Client, &find(id));
        talk.say(Server, &found(id, 3));
    }
    let talk = talk.end();
    // The answer to what was missed, and the hole.
    assert_eq!(talk.lost, 2, "{:?}", talk.out);
    assert_eq!(talk.finished.len(), 4, "{:?}", talk.out);
}

#[test]
fn a_connection_older_than_its_observer_is_known_by_its_next_command() {
    let mut talk = Talk::midstream();
    talk.say(Server, &found(1, 2000)[1000..]);
    talk.say(Client, b"the rest of a document");
    talk.say(Client, &find(2));
    talk.say(Server, &found(2, 3));
    talk.say(Client, &find(3));
    talk.say(Server, &msg(9, 3, 0, &document(&[("ok", Int(0))])));
    let talk = talk.end();
    assert_eq!(talk.conversation.protocol, protocol::MONGODB);
    let statuses: Vec<_> = talk.finished.iter().map(|f| f.status).collect();
    assert_eq!((statuses, talk.lost), (vec![1, 1000], 0));
}
