//! When requests were read by the application: each by the call that took its first byte. A call
//! comes ten units of time after what was before it, a segment one.

use crate::talk::{Client, Server, Talk};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const LEN: u64 = GET.len() as u64;
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What happens on a connection.
#[derive(Clone, Copy)]
enum Event {
    /// The client asks, in one segment, so many times.
    Ask(usize),
    /// The client says so many bytes of a request, from one place in it to another.
    Part(usize, usize),
    /// The server answers, so many times.
    Answer(usize),
    /// The application reads so many bytes, from the first place to the second.
    Read(u64, u64),
}

use Event::{Answer, Ask, Part, Read};

fn queue_times(mut talk: Talk, events: &[Event]) -> Vec<u64> {
    for event in events {
        match *event {
            Ask(count) => talk.say(Client, &GET.repeat(count)),
            Part(from, to) => talk.say(Client, &GET[from..to]),
            Answer(count) => (0..count).for_each(|_| talk.say(Server, OK)),
            Read(from, to) => talk.read(from, to),
        }
    }
    let talk = talk.end();
    talk.finished.iter().map(|f| f.queue_ns).collect()
}

#[test]
fn a_request_waits_until_its_first_byte_is_read() {
    for (what, events, expected) in [
        (
            "one",
            [Ask(1), Read(0, LEN), Answer(1)].as_slice(),
            vec![10],
        ),
        ("never read", &[Ask(1), Answer(1)], vec![0]),
        ("read too late", &[Ask(1), Answer(1), Read(0, LEN)], vec![0]),
        (
            "byte by byte",
            &[Ask(1), Read(0, 1), Read(1, 2), Read(2, LEN), Answer(1)],
            vec![10],
        ),
        (
            "kept connection",
            &[
                Ask(1),
                Read(0, LEN),
                Answer(1),
                Ask(1),
                Read(LEN, 2 * LEN),
                Answer(1),
            ],
            vec![10, 10],
        ),
        (
            "the second is taken in another way, the third again by a call",
            &[
                Ask(1),
                Read(0, LEN),
                Answer(1),
                Ask(1),
                Answer(1),
                Ask(1),
                Read(2 * LEN, 3 * LEN),
                Answer(1),
            ],
            vec![10, 0, 10],
        ),
        ("unanswered", &[Ask(1), Read(0, LEN)], vec![10]),
        (
            "a FIN counts as a byte behind all others",
            &[Ask(1), Read(1, LEN + 1), Answer(1)],
            vec![10],
        ),
        (
            "more than was ever said",
            &[Ask(1), Read(1 << 31, (1 << 31) + LEN), Answer(1)],
            vec![0],
        ),
    ] {
        assert_eq!(queue_times(Talk::new(), events), expected, "{what}");
    }
}

#[test]
fn a_head_in_parts_waits_from_its_first_one() {
    for (what, events, expected) in [
        (
            "read before it is complete",
            [Part(0, 9), Read(0, 9), Part(9, 27), Read(9, LEN), Answer(1)].as_slice(),
            vec![10],
        ),
        (
            "read when it is complete",
            &[Part(0, 9), Part(9, 27), Read(0, LEN), Answer(1)],
            vec![11],
        ),
        (
            "the next one begins in the same call",
            &[
                Ask(1),
                Part(0, 9),
                Read(0, LEN + 9),
                Answer(1),
                Part(9, 27),
                Read(LEN + 9, 2 * LEN),
                Answer(1),
            ],
            vec![11, 10],
        ),
        (
            "the next one is not read",
            &[Part(0, 9), Read(0, 9), Part(9, 27), Ask(1), Answer(2)],
            vec![10, 0],
        ),
    ] {
        assert_eq!(queue_times(Talk::new(), events), expected, "{what}");
    }
}

#[test]
fn pipelined_requests_are_read_one_by_one_or_together() {
    let all = 4 * LEN;
    for (what, events, expected) in [
        (
            "together",
            [Ask(4), Read(0, all), Answer(4)].as_slice(),
            vec![10; 4],
        ),
        (
            "one by one",
            &[
                Ask(4),
                Read(0, LEN),
                Read(LEN, 2 * LEN),
                Answer(2),
                Read(2 * LEN, 3 * LEN),
                Read(3 * LEN, all),
                Answer(2),
            ],
            vec![10, 20, 32, 42],
        ),
        (
            "cut within requests",
            &[Ask(4), Read(0, LEN + 1), Read(LEN + 1, all), Answer(4)],
            vec![10, 10, 20, 20],
        ),
        (
            "some in another way",
            &[Ask(4), Read(0, LEN), Read(3 * LEN, all), Answer(4)],
            vec![10, 0, 0, 20],
        ),
        (
            "more than are remembered",
            &[Ask(18), Read(0, 18 * LEN), Answer(18)],
            [vec![10; 16], vec![0; 2]].concat(),
        ),
    ] {
        assert_eq!(queue_times(Talk::new(), events), expected, "{what}");
    }
}

#[test]
fn reads_before_anything_was_seen_and_after_framing_has_ended() {
    // No sequence number is known yet.
    let mut talk = Talk::midstream();
    talk.read(0, LEN);
    talk.say(Client, GET);
    talk.say(Server, OK);
    let times: Vec<u64> = talk.end().finished.iter().map(|f| f.queue_ns).collect();
    assert_eq!(times, [0]);

    let mut talk = Talk::new();
    talk.say(Client, b"no protocol that is known\r\n\r\n");
    talk.conversation.opaque = 1;
    let before = *talk.conversation;
    talk.read(0, 10);
    assert!(before == *talk.conversation);
}
