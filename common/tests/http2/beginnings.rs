//! What begins a connection of HTTP/2, and what only looks like it, however it is cut.

use weir_common::flow::protocol;

use super::{Client, PREFACE, Server, Side, Talk, frame, settings};

/// Protocol and whether nothing is framed any more, with nothing told and nothing lost.
fn found(side: Side, bytes: &[u8], piece: usize) -> (u8, u8) {
    let mut talk = Talk::new();
    for piece in bytes.chunks(piece) {
        talk.say(side, piece);
    }
    let told = format!("{}, pieces of {piece}", bytes.escape_ascii());
    assert_eq!((talk.finished.len(), talk.lost), (0, 0), "{told}");
    (talk.conversation.protocol, talk.conversation.opaque)
}

fn check(side: Side, bytes: &[u8], expected: (u8, u8)) {
    for piece in [4096, 1, 2, 3, 5, 8, 9, 16, 23] {
        let told = format!("{}, pieces of {piece}", bytes.escape_ascii());
        assert_eq!(found(side, bytes, piece), expected, "{told}");
    }
}

#[test]
fn only_the_whole_preface_is_one() {
    check(
        Client,
        &[PREFACE, &settings()].concat(),
        (protocol::HTTP2, 0),
    );
    for differs in 9..PREFACE.len() {
        // With the end of a line, behind which it cannot become HTTP/1 either.
        let mut bytes = [PREFACE, &settings(), b"\n"].concat();
        bytes[differs] ^= 0x20;
        check(Client, &bytes, (protocol::TCP, 1));
    }
    // So far it may become one.
    for known in 1..PREFACE.len() {
        check(Client, &PREFACE[..known], (protocol::UNKNOWN, 0));
    }
}

#[test]
fn a_server_may_begin_with_its_settings_alone() {
    for bytes in [settings(), frame(4, 0, 0, &[])] {
        check(Server, &bytes, (protocol::HTTP2, 0));
        for known in 1..9 {
            check(Server, &bytes[..known], (protocol::UNKNOWN, 0));
        }
    }
    for no_settings in [
        frame(4, 1, 0, &[]),
        frame(4, 0, 1, &[]),
        frame(4, 0, 0, &[0; 7]),
        frame(4, 0, 0, &[0; 126]),
        frame(3, 0, 0, &[0; 4]),
    ] {
        check(Server, &no_settings, (protocol::TCP, 1));
    }
}
