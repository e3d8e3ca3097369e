//! Streams and frames, whole and cut anywhere.

use super::*;

#[test]
fn a_request_and_its_answer() {
    let answer = [headers(END_HEADERS, 1, OK), data(END_STREAM, 1, b"hello")].concat();
    check(
        &after_opening(&[(Client, get(1)), (Server, answer)]),
        &[("/", 200, 12, 10 + 14)],
    );
}

#[test]
fn an_answer_without_a_body_ends_with_its_head() {
    check(
        &after_opening(&[
            (Client, get(1)),
            (Server, headers(END_HEADERS | END_STREAM, 1, &[0x89])),
        ]),
        &[("/", 204, 12, 10)],
    );
}

#[test]
fn a_streaming_call_ends_at_its_trailers() {
    let parts = after_opening(&[
        (Client, headers(END_HEADERS, 1, &[0x83, 0x86])),
        (Client, data(0, 1, b"one")),
        (Server, headers(END_HEADERS, 1, OK)),
        (Client, data(0, 1, b"two")),
        (Server, data(0, 1, b"echo")),
        (Client, data(END_STREAM, 1, b"")),
        (Server, data(0, 1, b"echo")),
        (
            Server,
            headers(END_HEADERS | END_STREAM, 1, &[0x40, 1, b'a', 1, b'0']),
        ),
    ]);
    check(&parts, &[("", 200, 11 + 12 + 12 + 9, 10 + 13 + 13 + 14)]);
}

#[test]
fn hundreds_of_streams_end_in_any_order() {
    // More than have a slot of their own.
    let ids: Vec<u32> = (0..300).map(|i| 2 * i + 1).collect();
    let asked = ids.iter().flat_map(|id| get(*id)).collect();
    let answer = |id: &u32| [headers(END_HEADERS, *id, OK), data(END_STREAM, *id, b"x")].concat();
    let answered = ids.iter().rev().flat_map(answer).collect();
    let told = vec![("/", 200, 12, 20); ids.len()];
    check(
        &after_opening(&[(Client, asked), (Server, answered)]),
        &told,
    );
}

#[test]
fn a_long_stream_keeps_its_slot_while_others_come_and_go() {
    let mut parts = after_opening(&[(Client, headers(END_HEADERS, 1, &[0x83, 0x85]))]);
    let mut told = Vec::new();
    for id in (3..1500).step_by(2) {
        parts.push((Client, get(id)));
        parts.push((Server, headers(END_HEADERS | END_STREAM, id, OK)));
        told.push(("/", 200, 12, 10));
    }
    parts.push((Server, headers(END_HEADERS | END_STREAM, 1, OK)));
    told.push(("/index.html", 200, 11, 10));
    check(&parts, &told);
}

#[test]
fn padding_priority_and_continuation() {
    let filler = |n: u8| [&[0x00, 1, n, 100][..], &[n; 100]].concat();
    let block = [
        vec![0x83],
        filler(b'a'),
        vec![0x84],
        filler(b'b'),
        filler(b'c'),
    ]
    .concat();
    let mut padded = vec![4];
    padded.extend([0, 0, 0, 0, 16]);
    padded.extend(&block[..106]);
    padded.extend([0; 4]);
    let asked = [
        frame(1, PADDED | PRIORITY | END_STREAM, 1, &padded),
        // In mid-value: what is passed over goes on in the next frame.
        frame(9, 0, 1, &block[106..150]),
        frame(9, 0, 1, &[]),
        frame(9, END_HEADERS, 1, &block[150..]),
    ]
    .concat();
    let bytes = asked.len() as u64;
    let answer = [
        headers(END_HEADERS, 1, OK),
        data(PADDED | END_STREAM, 1, &[2, b'a', b'b', 0, 0]),
    ]
    .concat();
    check(
        &after_opening(&[(Client, asked), (Server, answer)]),
        &[("/", 200, bytes, 10 + 14)],
    );
}

#[test]
fn resets_of_either_side_end_a_call() {
    let parts = after_opening(&[
        (Client, [get(1), get(3), get(5)].concat()),
        (Client, reset(1, 8)),
        (Server, reset(3, 7)),
        // What the server sends before it knows, and a reset after the end, are nothing.
        (Server, headers(END_HEADERS | END_STREAM, 1, OK)),
        (Server, headers(END_HEADERS | END_STREAM, 5, OK)),
        (Client, reset(5, 0)),
    ]);
    check(
        &parts,
        &[("/", 2008, 12, 0), ("/", 2007, 12, 0), ("/", 200, 12, 10)],
    );
}

#[test]
fn informational_answers_come_before_the_real_one() {
    let early = headers(END_HEADERS, 1, &[0x08, 3, b'1', b'0', b'3']);
    let parts = after_opening(&[
        (Client, get(1)),
        (Server, early.clone()),
        (Server, early),
        (Server, headers(END_HEADERS | END_STREAM, 1, &[0x8e])),
    ]);
    check(&parts, &[("/", 500, 12, 14 + 14 + 10)]);
}

#[test]
fn pushes_are_no_calls() {
    let mut promise = 2_u32.to_be_bytes().to_vec();
    promise.extend(GET);
    let parts = after_opening(&[
        (Client, get(1)),
        (Server, frame(5, END_HEADERS, 1, &promise)),
        (Server, headers(END_HEADERS, 2, OK)),
        (Server, data(END_STREAM, 2, b"pushed")),
        (Server, headers(END_HEADERS | END_STREAM, 1, OK)),
    ]);
    check(&parts, &[("/", 200, 12, 10)]);
}

#[test]
fn a_server_that_speaks_first() {
    let parts = [
        // More than one frame, and no line feed, after which HTTP/1 looks.
        (
            Server,
            [settings(), frame(8, 0, 0, &[0, 63, 0, 1])].concat(),
        ),
        (Client, [PREFACE, &settings(), &get(1)].concat()),
        (Server, frame(4, 1, 0, &[])),
        (Server, headers(END_HEADERS | END_STREAM, 1, OK)),
    ];
    for piece in [100_000, 13, 9] {
        let outcome = run(&parts, piece);
        assert_eq!(
            outcome.told,
            [(op_of("/"), 200, 12, 10)],
            "pieces of {piece}"
        );
        assert_eq!(outcome.lost, 0);
    }
}

#[test]
fn a_large_body_is_passed_over_unseen() {
    let mut talk = Talk::new();
    talk.say(
        Client,
        &[PREFACE, &settings(), &headers(END_HEADERS, 1, &[0x83])].concat(),
    );
    for last in [false, true] {
        let mut head = data(u8::from(last), 1, b"");
        head[..3].copy_from_slice(&[0xff, 0xff, 0xff]);
        talk.say(Client, &head);
        talk.say_unseen(Client, 0xff_ffff);
    }
    talk.say(Server, &headers(END_HEADERS, 1, OK));
    let mut head = data(END_STREAM, 1, b"");
    head[..3].copy_from_slice(&[0xff, 0xff, 0xff]);
    talk.say(Server, &head);
    talk.say_unseen(Server, 0xff_fffe);
    assert_eq!(talk.finished.len(), 0, "its last byte is missing");
    talk.say_unseen(Server, 1);
    assert_eq!(talk.finished.len(), 1);
    assert_eq!(talk.finished[0].request_bytes, 10 + 2 * (9 + 0xff_ffff));
    assert_eq!(talk.lost, 0);
}

#[test]
fn a_connection_older_than_its_observer_is_known_by_its_next_request() {
    let mut talk = Talk::midstream();
    talk.say(
        Server,
        &data(END_STREAM, 7, b"an answer whose request was not seen"),
    );
    talk.say(Client, &frame(8, 0, 0, &[0, 0, 0, 9]));
    talk.say(Client, &get(9));
    talk.say(Server, &headers(END_HEADERS | END_STREAM, 9, OK));
    let outcome = outcome(talk.end());
    assert_eq!(outcome.told, [(op_of("/"), 200, 12, 10)]);
    assert_eq!(outcome.lost, 0);
}

#[test]
fn stream_numbers_tell_how_many_requests_a_hole_has_swallowed() {
    for (next, lost) in [(3, 0), (5, 1), (7, 2), (21, 9)] {
        let mut talk = Talk::new();
        talk.say(Client, &[PREFACE, &settings(), &get(1)].concat());
        talk.say(Server, &headers(END_HEADERS | END_STREAM, 1, OK));
        talk.miss(Client, 12);
        talk.say(Client, &get(next));
        talk.say(Server, &headers(END_HEADERS | END_STREAM, next, OK));
        let outcome = outcome(talk.end());
        assert_eq!((outcome.told.len(), outcome.lost), (2, lost), "{next}");
    }
}

#[test]
fn what_only_looks_like_http2_turns_opaque() {
    let mut talk = Talk::new();
    talk.say(Client, PREFACE);
    talk.say(Client, b"and then something else");
    assert_eq!(talk.conversation.opaque, 1);
    assert_eq!(talk.lost, 0);
}

#[test]
fn garbage_on_a_known_connection_is_a_loss_and_is_left_again() {
    for garbage in [
        &headers(END_HEADERS, 0, GET)[..],
        &frame(9, END_HEADERS, 3, GET),
        &frame(1, PADDED | END_HEADERS, 3, &[200, 0x82]),
        &frame(3, 0, 3, &[1, 2]),
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut talk = Talk::new();
        talk.say(Client, &[PREFACE, &settings(), &get(1)].concat());
        talk.say(Server, &headers(END_HEADERS | END_STREAM, 1, OK));
        talk.say(Client, garbage);
        assert_eq!(talk.lost, 1, "{garbage:?}");
        talk.say(Client, &get(3));
        talk.say(Server, &headers(END_HEADERS | END_STREAM, 3, OK));
        assert_eq!((talk.finished.len(), talk.lost), (2, 1), "{garbage:?}");
    }
}

#[test]
fn older_connections_are_known_by_frames_that_follow_one_another() {
    let ping = frame(6, 0, 0, &[7; 8]);
    let window = frame(8, 0, 3, &[0, 0, 9, 9]);
    // What refers to fields that were not seen begins with any index.
    let call = headers(END_HEADERS, 9, &[0xc4, 0x83, 0xc3]);
    let message = data(END_STREAM, 9, &[0, 0, 0, 0, 1, b'x']);
    for opening in [
        ping.clone(),
        [window.clone(), ping.clone()].concat(),
        [call.clone(), message.clone()].concat(),
        [call.clone(), data(0, 9, &[b'y'; 2000])].concat(),
    ] {
        let mut talk = Talk::midstream();
        talk.say(Client, &opening);
        assert_eq!(talk.conversation.protocol, protocol::HTTP2, "{opening:?}");
        talk.say(Client, &headers(END_HEADERS | END_STREAM, 11, GET));
        talk.say(Server, &headers(END_HEADERS | END_STREAM, 11, OK));
        let statuses: Vec<u16> = talk.finished.iter().map(|f| f.status).collect();
        assert_eq!(statuses, [200], "{opening:?}");
    }
    for other in [
        &b"\0\0\0\x0c\0\0\0\x01\0\0\0\x0b\0\0\0\0"[..],
        b"\0\0\x10\0\0\0\0\0\x01ABCDEFGHIJKLMNO",
        b"\x03\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0",
        &ping[..16],
        b"some text that is nothing",
    ] {
        let mut talk = Talk::midstream();
        talk.say(Client, other);
        assert_ne!(talk.conversation.protocol, protocol::HTTP2, "{other:?}");
    }
}

#[test]
fn an_upgrade_of_http1_goes_on_as_http2() {
    let ask = b"GET /first HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n\
        Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let first = [headers(END_HEADERS, 1, OK), data(END_STREAM, 1, b"hello")].concat();
    for together in [true, false] {
        let mut talk = Talk::new();
        talk.say(Client, ask);
        if together {
            talk.say(Server, &[&switch[..], &settings(), &first].concat());
        } else {
            talk.say(Server, switch);
            talk.say(Server, &settings());
            talk.say(Server, &first);
        }
        talk.say(Client, &[PREFACE, &settings(), &get(3)].concat());
        talk.say(Server, &headers(END_HEADERS | END_STREAM, 3, OK));
        let statuses: Vec<u16> = talk.finished.iter().map(|f| f.status).collect();
        // The request that asked for the upgrade is counted once.
        assert_eq!((statuses, talk.lost), (vec![101, 200], 0), "{together}");
        assert_eq!(talk.conversation.protocol, protocol::HTTP2);
    }
}

#[test]
fn a_hole_before_the_first_request_is_counted_but_not_one_of_an_older_connection() {
    let mut talk = Talk::new();
    talk.say(Client, &[PREFACE, &settings()].concat());
    talk.miss(Client, 24);
    talk.say(Client, &get(5));
    assert_eq!(talk.lost, 2);
    let mut talk = Talk::midstream();
    talk.say(Client, &frame(6, 0, 0, &[0; 8]));
    talk.miss(Client, 12);
    talk.say(Client, &get(1001));
    assert_eq!(talk.lost, 0);
}

#[test]
fn a_block_is_complete_with_its_last_byte_however_long_its_last_field_is() {
    // 300 bytes of a value that is passed over unread.
    let block = [
        &[0x82, 0x84, 0x00, 1, b'x', 0x7f, 0xad, 0x01][..],
        &[b'v'; 300],
    ]
    .concat();
    let asked = headers(END_HEADERS | END_STREAM, 1, &block);
    for cut in [1, 50, 299] {
        let mut talk = Talk::new();
        talk.say(Client, &[PREFACE, &settings()].concat());
        talk.say(Client, &asked[..asked.len() - cut]);
        assert_eq!(talk.conversation.asked, 0, "{cut} bytes are missing");
        talk.say(Client, &asked[asked.len() - cut..]);
        assert_eq!(talk.conversation.asked, 1, "cut {cut} bytes before its end");
        talk.say(Client, &get(3));
        assert_eq!((talk.conversation.asked, talk.lost), (2, 0));
    }
}
