//! Logins, requests for encryption, cancel requests.

use weir_common::{flow::protocol, framing::postgres::named};

use crate::{
    FAILED, OK, check, op, run, sql,
    talk::{Client, Server, Talk},
    wire::{
        cancel, error, gssenc_request, message, query, ready, rows, ssl_request, startup, welcome,
    },
};

#[test]
fn a_login_is_one_exchange_with_all_its_steps() {
    let password = message(b'p', b"SCRAM-SHA-256\0\0\0\0\x20n,,n=,r=secret");
    let steps = [
        (Client, startup()),
        (Server, message(b'R', &[0, 0, 0, 10, b'S', 0, 0])),
        (Client, password.clone()),
        (Server, message(b'R', &[0, 0, 0, 11, b'r', b'='])),
        (Client, password.clone()),
        (Server, message(b'R', &[0, 0, 0, 12, b'v', b'='])),
        (Server, welcome()),
    ];
    let asked = (startup().len() + 2 * password.len()) as u64;
    let answered = steps.iter().filter(|say| say.0 == Server);
    let answered = answered.map(|say| say.1.len() as u64).sum();
    for piece in [4096, 1, 2, 3, 5, 7, 11, 13, 50, 97] {
        assert_eq!(
            run(&steps, piece),
            [(op(named::CONNECT), OK, asked, answered)],
            "pieces of {piece}"
        );
    }
}

#[test]
fn a_refused_login_fails() {
    let says = [(Client, startup()), (Server, error("28P01"))];
    for piece in [4096, 1, 3, 8] {
        let found = run(&says, piece);
        assert_eq!((found[0].0, found[0].1), (op(named::CONNECT), FAILED));
        assert_eq!(found.len(), 1);
    }
}

#[test]
fn what_stands_behind_the_first_message_is_no_loss() {
    let bytes = [&startup()[..], b"ST / HTTP/1.1\r\n\r\n"].concat();
    for piece in [4096, 8, 14, startup().len()] {
        let mut talk = Talk::new();
        for piece in bytes.chunks(piece) {
            talk.say(Client, piece);
        }
        let talk = talk.end();
        let found = (talk.conversation.protocol, talk.conversation.opaque);
        assert_eq!(found, (protocol::TCP, 1), "by {piece}");
        assert_eq!((talk.finished.len(), talk.lost), (0, 0), "by {piece}");
    }
}

#[test]
fn encryption_that_is_refused_goes_on_in_the_open() {
    let says = [
        (Client, gssenc_request()),
        (Server, b"N".to_vec()),
        (Client, ssl_request()),
        (Server, b"N".to_vec()),
        (Client, startup()),
        (Server, welcome()),
        (Client, query("SELECT 1")),
        (Server, [rows(1), ready()].concat()),
    ];
    for piece in [4096, 1, 2, 3, 5, 7] {
        let found = run(&says, piece);
        let ops: Vec<_> = found.iter().map(|found| found.0).collect();
        assert_eq!(ops, [op(named::CONNECT), sql("SELECT 1")], "by {piece}");
    }
}

#[test]
fn what_follows_granted_encryption_is_none_of_its_messages() {
    for (request, answer, code) in [
        // Nor is it TLS.
        (ssl_request(), b"S", protocol::TCP),
        (gssenc_request(), b"G", protocol::POSTGRES),
    ] {
        for piece in [8, 1, 3] {
            let mut talk = Talk::new();
            for piece in request.chunks(piece) {
                talk.say(Client, piece);
            }
            talk.say(Server, answer);
            talk.say(Client, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03");
            talk.say(Server, b"Z\0\0\0\x05I");
            let talk = talk.end();
            assert_eq!(
                (talk.conversation.protocol, talk.conversation.opaque),
                (code, 1)
            );
            assert_eq!((talk.finished.len(), talk.lost), (0, 0));
        }
    }
}

#[test]
fn an_old_server_refuses_encryption_with_an_error() {
    let mut talk = Talk::new();
    talk.say(Client, &ssl_request());
    talk.say(Server, &error("08P01"));
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (0, 0));
}

#[test]
fn a_cancel_request_is_no_exchange_and_no_error() {
    for piece in [16, 1, 5, 8] {
        assert_eq!(run(&[(Client, cancel())], piece), []);
    }
}

#[test]
fn what_ends_without_an_answer() {
    check(&[(Client, message(b'X', b""))], &[]);
}

#[test]
fn what_only_looks_like_a_login_turns_opaque() {
    for bytes in [
        &b"\0\0\0\x08\x04\xd2\x16\x30 and more"[..],
        b"\0\0\0\x08\0\x03\0\0",
        b"\0\0\0\x2c\0\x03\0\0\0\0\0\0",
        b"\0\0\0\x09\0\x03\0\0a and more",
        b"\0\0\x30\0\0\x03\0\0user",
        b"\0\0\0\x2d\0\0\0\0\0\0\0\0",
    ] {
        let mut talk = Talk::new();
        talk.say(Client, bytes);
        talk.say(Client, b"more and more");
        let talk = talk.end();
        assert_eq!(talk.finished.len(), 0);
        assert_ne!(talk.conversation.protocol, protocol::POSTGRES, "{bytes:?}");
    }
}
