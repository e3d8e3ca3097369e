//! Messages of gRPC within streams, cut in whatever way.

use super::*;
use weir_common::framing::conversation::MESSAGES_UNKNOWN;

/// Messages of the client and of the server; `None` = unknown.
type Counted = (Option<u32>, Option<u32>);

/// `:method POST`, `content-type: application/grpc`.
fn call(stream: u32) -> Vec<u8> {
    let kind = b"application/grpc";
    let block = [&[0x83, 0x0f, 0x10, kind.len() as u8][..], kind].concat();
    headers(END_HEADERS, stream, &block)
}

/// `:status 200` with the same.
fn answer(stream: u32) -> Vec<u8> {
    let kind = b"application/grpc+proto";
    let block = [&[0x88, 0x0f, 0x10, kind.len() as u8][..], kind].concat();
    headers(END_HEADERS, stream, &block)
}

/// `grpc-status: 0`.
fn trailers(stream: u32) -> Vec<u8> {
    let block = [&[0x00, 11][..], b"grpc-status", &[1, b'0']].concat();
    headers(END_HEADERS | END_STREAM, stream, &block)
}

/// A message of so many bytes.
fn message(len: u32) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(len.to_be_bytes());
    bytes.extend(std::iter::repeat_n(0xff, len as usize));
    bytes
}

fn counted(talk: &Talk) -> Vec<Counted> {
    let known = |count: u32| (count != MESSAGES_UNKNOWN).then_some(count);
    let both = |f: &Finished| (known(f.request_messages), known(f.response_messages));
    talk.finished.iter().map(both).collect()
}

fn talk_of(parts: &[(Side, Vec<u8>)], piece: usize) -> Talk {
    let mut talk = Talk::new();
    for (side, bytes) in parts {
        for piece in bytes.chunks(piece) {
            talk.say(*side, piece);
        }
    }
    talk
}

fn check_counts(parts: &[(Side, Vec<u8>)], expected: &[Counted]) {
    let parts = after_opening(parts);
    for piece in (1..40).chain([97, 400, 1000, 100_000]) {
        let talk = talk_of(&parts, piece).end();
        assert_eq!(counted(&talk), expected, "pieces of {piece}");
        let (lost, open) = (talk.lost, talk.conversation.outstanding());
        assert_eq!((lost, open), (0, 0), "pieces of {piece}");
    }
}

/// A call whose messages come in frames of so many bytes.
fn streaming(client: &[u8], server: &[u8], frame: usize, padding: u8) -> Vec<(Side, Vec<u8>)> {
    let frames = |bytes: &[u8]| -> Vec<u8> {
        let one = |bytes: &[u8]| match padding {
            0 => data(0, 1, bytes),
            n => data(PADDED, 1, &[&[n][..], bytes, &vec![0; n as usize]].concat()),
        };
        bytes.chunks(frame).flat_map(one).collect()
    };
    vec![
        (Client, [call(1), frames(client)].concat()),
        (Client, data(END_STREAM, 1, b"")),
        (Server, [answer(1), frames(server)].concat()),
        (Server, trailers(1)),
    ]
}

#[test]
fn one_message_each_way() {
    for len in [0, 1, 7, 300, 5000] {
        let parts = streaming(&message(len), &message(len + 1), 1 << 20, 0);
        check_counts(&parts, &[(Some(1), Some(1))]);
    }
}

#[test]
fn frames_cut_messages_and_their_prefixes_at_every_byte() {
    let client = [message(3), message(0), message(20), message(0), message(1)].concat();
    let server = [message(0), message(0), message(6)].concat();
    for frame in 1..60 {
        for padding in [0, 1, 9] {
            let parts = streaming(&client, &server, frame, padding);
            check_counts(&parts, &[(Some(5), Some(3))]);
        }
    }
}

#[test]
fn frames_full_of_small_messages() {
    // More than a step reads, and than a window holds.
    for (len, count) in [(0, 3000), (1, 2000), (2, 2000), (60, 500)] {
        let many = message(len).repeat(count as usize);
        let parts = streaming(&many, &many, 16_384, 0);
        check_counts(&parts, &[(Some(count), Some(count))]);
    }
}

#[test]
fn streams_that_interleave() {
    let half = |stream, part: &[u8]| data(0, stream, part);
    let (a, b) = (message(9), message(0));
    let parts = [
        (Client, [call(1), call(3), call(5)].concat()),
        (
            Client,
            [half(1, &a[..2]), half(3, &b[..4]), half(1, &a[2..7])].concat(),
        ),
        (
            Client,
            [half(5, &a), half(3, &b[4..]), half(1, &a[7..])].concat(),
        ),
        (
            Client,
            [half(3, &[a.clone(), b.clone()].concat()), half(5, &b)].concat(),
        ),
        (
            Server,
            [answer(3), half(3, &a[..1]), answer(5), half(3, &a[1..])].concat(),
        ),
        (
            Server,
            [trailers(1), trailers(3), half(5, &b), trailers(5)].concat(),
        ),
    ];
    check_counts(
        &parts,
        &[(Some(1), Some(0)), (Some(3), Some(1)), (Some(2), Some(1))],
    );
}

#[test]
fn more_streams_than_have_a_slot() {
    let ids: Vec<u32> = (0..300).map(|i| 2 * i + 1).collect();
    let asked = ids
        .iter()
        .flat_map(|id| [call(*id), data(0, *id, &message(4))].concat());
    let answered = ids.iter().rev().flat_map(|id| {
        let two = [message(0), message(8)].concat();
        [answer(*id), data(0, *id, &two), trailers(*id)].concat()
    });
    let parts = [(Client, asked.collect()), (Server, answered.collect())];
    check_counts(&parts, &vec![(Some(1), Some(2)); 300]);
}

#[test]
fn a_giant_message_is_passed_over_unseen() {
    let mut talk = talk_of(&opening(), 100);
    let mut begin = [call(1), data(0, 1, &[])].concat();
    let at = begin.len() - 9;
    begin[at..at + 3].copy_from_slice(&[0xff, 0xff, 0xff]);
    // 4 GiB less one byte, in 257 frames.
    begin.extend([1, 0xff, 0xff, 0xff, 0xff]);
    talk.say(Client, &begin);
    talk.say_unseen(Client, 0xff_ffff - 5);
    let mut left = u64::from(u32::MAX) - (0xff_ffff - 5);
    while left != 0 {
        let len = left.min(0xff_ffff) as u32;
        let mut head = data(0, 1, b"");
        head[..3].copy_from_slice(&len.to_be_bytes()[1..]);
        talk.say(Client, &head);
        talk.say_unseen(Client, len);
        left -= u64::from(len);
    }
    talk.say(Client, &data(0, 1, &message(2)));
    talk.say(Server, &[answer(1), trailers(1)].concat());
    assert_eq!(counted(&talk), [(Some(2), Some(0))]);
    assert_eq!(talk.lost, 0);
    assert_eq!(talk.finished[0].request_bytes >> 32, 1);
}

#[test]
fn only_whole_messages_count() {
    let part = &message(100)[..50];
    let parts = [
        (
            Client,
            [call(1), data(0, 1, &message(1)), data(0, 1, part)].concat(),
        ),
        (Server, [answer(1), data(0, 1, &[0, 0, 0])].concat()),
        (Client, reset(1, 8)),
    ];
    check_counts(&parts, &[(Some(1), Some(0))]);
}

#[test]
fn an_exchange_ends_with_the_last_byte_of_its_last_frame() {
    let ends = data(
        END_STREAM | PADDED,
        1,
        &[&[3][..], &message(2), &message(0), &[0; 3]].concat(),
    );
    let mut talk = talk_of(&opening(), 100);
    talk.say(
        Client,
        &[call(1), data(END_STREAM, 1, &message(1))].concat(),
    );
    talk.say(Server, &answer(1));
    for byte in &ends[..ends.len() - 1] {
        talk.say(Server, &[*byte]);
        assert_eq!(talk.finished.len(), 0);
    }
    talk.say(Server, &ends[ends.len() - 1..]);
    assert_eq!(counted(&talk), [(Some(1), Some(2))]);
}

#[test]
fn what_is_no_grpc_has_no_count() {
    let parts = [
        (Client, headers(END_HEADERS, 1, &[0x83, 0x84])),
        (Client, data(END_STREAM, 1, &message(3))),
        (Server, headers(END_HEADERS, 1, OK)),
        (Server, data(END_STREAM, 1, &message(3))),
    ];
    check_counts(&parts, &[(None, None)]);
}

#[test]
fn a_type_that_only_the_answer_tells_says_nothing_of_the_request() {
    let parts = [
        (Client, headers(END_HEADERS, 1, &[0x83, 0x84])),
        (Client, data(END_STREAM, 1, &message(3))),
        (
            Server,
            [answer(1), data(0, 1, &message(3).repeat(2)), trailers(1)].concat(),
        ),
    ];
    check_counts(&parts, &[(None, Some(2))]);
}

#[test]
fn an_answer_of_another_type_has_no_messages() {
    let html = [&[0x8e, 0x0f, 0x10, 9][..], b"text/html"].concat();
    let parts = [
        (Client, [call(1), data(END_STREAM, 1, &message(3))].concat()),
        (Server, headers(END_HEADERS, 1, &html)),
        (Server, data(END_STREAM, 1, &message(3))),
    ];
    check_counts(&parts, &[(Some(1), None)]);
}

#[test]
fn bytes_that_are_no_messages_make_the_count_unknown() {
    let parts = streaming(
        &[message(1), b"text".to_vec()].concat(),
        &message(1),
        100,
        0,
    );
    check_counts(&parts, &[(None, Some(1))]);
}

#[test]
fn a_hole_between_messages_costs_the_count_of_its_stream_and_nothing_else() {
    for whole_frame in [true, false] {
        let mut talk = talk_of(&opening(), 100);
        let body = message(10).repeat(4);
        let frame = data(0, 1, &body);
        talk.say(
            Client,
            &[call(1), call(3), data(0, 3, &message(1))].concat(),
        );
        talk.say(Client, &frame[..9 + 20]);
        // The third message's prefix is missed.
        talk.miss(Client, 20);
        let rest = &frame[9 + 40..];
        if whole_frame {
            talk.say(Client, &[rest, &data(0, 3, &message(1))].concat());
        } else {
            talk.say(Client, rest);
            talk.say(Client, &data(0, 3, &message(1)));
        }
        // Within the frame, so the next one is found, and what it refers to is known.
        talk.say(Client, &call(5));
        for stream in [1, 3, 5] {
            talk.say(Server, &[answer(stream), trailers(stream)].concat());
        }
        let expected = [(None, Some(0)), (Some(2), Some(0)), (Some(0), Some(0))];
        assert_eq!(counted(&talk), expected, "{whole_frame}");
        assert_eq!(talk.lost, 0);
    }
}

#[test]
fn a_hole_within_a_message_leaves_the_count_known() {
    let mut talk = talk_of(&opening(), 100);
    let frame = data(0, 1, &[message(100), message(1)].concat());
    talk.say(Client, &[call(1), frame[..9 + 20].to_vec()].concat());
    talk.miss(Client, 30);
    talk.say(Client, &frame[9 + 50..]);
    talk.say(Server, &[answer(1), trailers(1)].concat());
    assert_eq!((counted(&talk), talk.lost), (vec![(Some(2), Some(0))], 0));
}

#[test]
fn a_hole_in_frames_makes_the_open_streams_unknown_in_its_direction() {
    let mut talk = talk_of(&opening(), 100);
    talk.say(Client, &[call(1), data(0, 1, &message(1))].concat());
    talk.say(Server, &[answer(1), data(0, 1, &message(1))].concat());
    talk.miss(Server, 50);
    talk.say(Server, &data(0, 1, &message(1)));
    talk.say(Client, &[call(3), data(0, 3, &message(1))].concat());
    for stream in [1, 3] {
        talk.say(
            Server,
            &[
                answer(stream),
                data(0, stream, &message(1)),
                trailers(stream),
            ]
            .concat(),
        );
    }
    assert_eq!(counted(&talk), [(Some(1), None), (Some(1), Some(1))]);
}

#[test]
fn while_a_direction_is_not_found_again_its_counts_are_unknown() {
    let mut talk = talk_of(&opening(), 100);
    talk.say(Client, &[call(1), data(0, 1, &message(1))].concat());
    talk.say(Server, &[answer(1), data(0, 1, &message(1))].concat());
    talk.miss(Server, 50);
    talk.say(Server, &[0xff; 30]);
    talk.say(Client, &[call(3), reset(1, 8), reset(3, 8)].concat());
    assert_eq!(counted(&talk), [(Some(1), None), (Some(0), None)]);
}

#[test]
fn on_an_older_connection_calls_that_tell_their_type_are_counted() {
    let mut talk = Talk::midstream();
    talk.say(Client, &frame(6, 0, 0, &[0; 8]));
    talk.say(Server, &frame(6, 1, 0, &[0; 8]));
    talk.say(
        Client,
        &[call(9), data(END_STREAM, 9, &message(1))].concat(),
    );
    talk.say(
        Server,
        &[answer(9), data(0, 9, &message(1).repeat(3)), trailers(9)].concat(),
    );
    assert_eq!(counted(&talk), [(Some(1), Some(3))]);
}
