//! Bytes that are no WebSocket, holes, and frames that nobody should send.

use weir_common::{flow::protocol, framing::websocket::outcome::CLOSED};

use super::{
    BINARY, GET, TEXT, Told, close, frame,
    talk::{Client, Random, Server, Side, Talk},
    upgraded,
};

/// Says bytes behind an upgrade and expects no exchange of them.
fn refuse(side: Side, bytes: &[u8]) {
    for piece in [bytes.len(), 1, 2, 3] {
        let mut talk = upgraded();
        for piece in bytes.chunks(piece) {
            talk.say(side, piece);
        }
        let talk = talk.end();
        assert_eq!(
            (talk.finished.len(), talk.lost),
            (1, 0),
            "{bytes:?} by {piece}"
        );
        assert_eq!(
            talk.conversation.protocol,
            protocol::UPGRADED,
            "{bytes:?} by {piece}"
        );
        assert_eq!(talk.conversation.opaque, 1, "{bytes:?} by {piece}");
    }
}

#[test]
fn what_is_no_frame_stays_unknown() {
    let unmasked = frame(Server, TEXT, b"hello");
    let masked = frame(Client, TEXT, b"hello");
    refuse(Client, &unmasked);
    refuse(Server, &masked);
    for first in [
        0x00, 0x80, 0x83, 0x87, 0x8b, 0x8f, 0x91, 0xa1, 0xb1, 0x08, 0x09, 0xc8, 0xc9,
    ] {
        let mut bytes = masked.clone();
        bytes[0] = first;
        refuse(Client, &bytes);
        let mut bytes = unmasked.clone();
        bytes[0] = first;
        refuse(Server, &bytes);
    }
    // Lengths in more bytes than they need, or with the highest bit, or of a control frame.
    for bytes in [
        &b"\x81\xfe\x00\x05maskhello"[..],
        b"\x81\xff\0\0\0\0\0\0\0\x05maskhello",
        b"\x82\xff\x80\0\0\0\0\0\0\x05maskhello",
        b"\x89\xfe\x00\x80maskhello",
    ] {
        refuse(Client, bytes);
    }
    // A container's output as Docker sends it behind an upgrade.
    refuse(Server, b"\x01\0\0\0\0\0\0\x06hello\n");
    refuse(Server, b"SSH-2.0-OpenSSH\r\n");
}

#[test]
fn another_protocol_of_the_client_is_no_websocket_though_the_server_seemed_so() {
    let mut talk = upgraded();
    talk.say(Server, &frame(Server, TEXT, b"hello"));
    assert_eq!(talk.conversation.protocol, protocol::WEBSOCKET);
    talk.say(Client, b"EHLO there\r\n");
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (1, 0));
    assert_eq!(talk.conversation.protocol, protocol::UPGRADED);
}

#[test]
fn frames_without_an_upgrade_are_no_websocket() {
    let mut talk = Talk::new();
    talk.say(Client, &frame(Client, TEXT, b"hello"));
    assert_eq!(talk.conversation.protocol, protocol::TCP);
    let mut talk = Talk::new();
    talk.say(Client, GET);
    talk.say(Server, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    talk.say(Client, &frame(Client, TEXT, &[b'x'; 120]));
    assert_eq!((talk.finished.len(), talk.lost), (1, 1));
}

#[test]
fn a_hole_costs_messages_and_not_the_exchange() {
    for side in [Client, Server] {
        let mut talk = upgraded();
        talk.say(Client, &frame(Client, TEXT, b"one"));
        talk.say(Server, &frame(Server, TEXT, b"one"));
        talk.miss(side, 30);
        talk.say(side, b"the rest of a message that began in the hole");
        assert_eq!(talk.lost, 1);
        assert_eq!(talk.out.last().unwrap(), "lost uncounted_messages 1");
        for _ in 0..3 {
            talk.say(Client, &frame(Client, TEXT, b"two"));
            talk.say(Server, &frame(Server, BINARY, &[7; 600]));
        }
        talk.say(Server, &close(Server, 1000));
        talk.say(Client, &close(Client, 1000));
        let talk = talk.end();
        assert_eq!((talk.finished.len(), talk.lost), (2, 1));
        let told = Told::from(&talk.finished[1]);
        assert_eq!((told.status, told.messages), (CLOSED + 1000, (4, 4)));
    }
}

#[test]
fn a_message_cut_over_a_hole_is_passed_over_by_its_length() {
    let mut talk = upgraded();
    let message = frame(Client, BINARY, &[1; 5_000]);
    talk.say(Client, &message[..1_000]);
    talk.miss(Client, 2_000);
    talk.say(Client, &message[3_000..]);
    talk.say(Client, &frame(Client, TEXT, b"next"));
    let talk = talk.end();
    assert_eq!((talk.finished[1].request_messages, talk.lost), (2, 0));
}

#[test]
fn what_cannot_be_read_costs_messages() {
    let mut talk = upgraded();
    talk.say(Client, &frame(Client, TEXT, b"one"));
    talk.say_unseen(Client, 900);
    talk.say(Client, &frame(Client, TEXT, b"two"));
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (2, 1));
    assert_eq!(talk.finished[1].request_messages, 2);
}

#[test]
fn garbage_within_is_a_loss_and_is_left_again() {
    let mut talk = upgraded();
    talk.say(Client, &frame(Client, TEXT, b"one"));
    talk.say(Client, b"\x00\x01garbage");
    talk.say(Client, b"and more of it");
    talk.say(Client, &frame(Client, TEXT, b"two"));
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (2, 1));
    assert_eq!(talk.finished[1].request_messages, 2);
}

#[test]
fn any_bytes_are_survived() {
    let mut random = Random(3);
    for _ in 0..2_000 {
        let mut talk = upgraded();
        for _ in 0..random.below(12) {
            let side = if random.one_in(2) { Client } else { Server };
            let payload: Vec<u8> = (0..random.below(300))
                .map(|_| random.next() as u8)
                .collect();
            let mut bytes = frame(side, random.next() as u8, &payload);
            if random.one_in(3) {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
            talk.say(side, &bytes);
        }
        let talk = talk.end();
        assert!(talk.finished.len() <= 2);
    }
}
