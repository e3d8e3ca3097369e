//! When the requests of streams were read by the application. A call comes ten units of time after
//! what was before it, a segment one; times of streams come in units of 256.

use super::{Client, END_HEADERS, END_STREAM, OK, PREFACE, Server, Talk, get, headers, settings};

const UNIT: u64 = 256;

/// What happens on a connection after its opening.
#[derive(Clone, Copy)]
enum Event<'a> {
    /// The client begins these streams in one segment.
    Ask(&'a [u32]),
    /// The application reads so many bytes.
    Read(u64),
    /// The application takes so many bytes in another way.
    Take(u64),
    /// The server answers these streams.
    Answer(&'a [u32]),
}

use Event::{Answer, Ask, Read, Take};

/// Times in units, in the order of the answers.
fn queue_units(events: &[Event<'_>]) -> Vec<u64> {
    let mut talk = Talk::new();
    let opening = [PREFACE, &settings()].concat();
    talk.say(Client, &opening);
    talk.say(Server, &settings());
    let mut at = opening.len() as u64;
    talk.read(0, at);
    for event in events {
        match *event {
            Ask(streams) => {
                let frames: Vec<_> = streams.iter().map(|stream| get(*stream)).collect();
                talk.say(Client, &frames.concat());
            }
            Read(len) => {
                talk.read(at, at + len);
                at += len;
            }
            Take(len) => at += len,
            Answer(streams) => {
                for stream in streams {
                    let flags = END_STREAM | END_HEADERS;
                    talk.say(Server, &headers(flags, *stream, OK));
                }
            }
        }
    }
    let talk = talk.end();
    talk.finished.iter().map(|f| f.queue_ns / UNIT).collect()
}

#[test]
fn streams_wait_until_their_first_frame_is_read() {
    let len = get(1).len() as u64;
    let many: Vec<u32> = (0..100).map(|i| 2 * i + 1).collect();
    for (what, events, expected) in [
        (
            "one",
            [Ask(&[1]), Read(len), Answer(&[1])].as_slice(),
            vec![1],
        ),
        ("never read", &[Ask(&[1]), Answer(&[1])], vec![0]),
        (
            "read too late",
            &[Ask(&[1]), Answer(&[1]), Read(len)],
            vec![0],
        ),
        (
            "byte by byte, answered in another order",
            &[
                Ask(&[1, 3]),
                Read(1),
                Read(len),
                Read(len - 1),
                Answer(&[3, 1]),
            ],
            vec![1, 1],
        ),
        (
            "one is not read",
            &[Ask(&[1, 3]), Read(len), Answer(&[1, 3]), Ask(&[5])],
            vec![1, 0],
        ),
        (
            "the middle one is taken in another way",
            &[
                Ask(&[1, 3, 5]),
                Read(len),
                Take(len),
                Read(len),
                Answer(&[1, 3, 5]),
            ],
            vec![1, 0, 1],
        ),
        (
            "numbers that are left out",
            &[
                Ask(&[1, 9, 2001]),
                Read(3 * len),
                Ask(&[2003]),
                Read(len),
                Answer(&[2001, 2003]),
            ],
            vec![1, 1],
        ),
        (
            "more than one call may read",
            &[Ask(&many), Read(100 * len), Answer(&many)],
            [vec![0; 36], vec![1; 64]].concat(),
        ),
    ] {
        assert_eq!(queue_units(events), expected, "{what}");
    }
}

#[test]
fn long_times_are_exact_to_the_unit() {
    let len = get(1).len() as u64;
    let mut events = vec![Ask(&[1, 3]), Read(len)];
    // Looks at nothing, but takes its time: a thousand calls of ten units each.
    events.extend([Read(0)].repeat(1000));
    events.extend([Read(len), Answer(&[1, 3])]);
    assert_eq!(queue_units(&events), [1, (10 + 10 * 1000 + 10) / UNIT + 1]);
}
