//! Segments late, twice, overlapping or never: counted, and never invented.

use crate::talk::{Client, Random, Server, Side, Talk};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const DONE: &str = "GET 200 27+40";

/// A response with a body of a thousand bytes.
fn long_response() -> Vec<u8> {
    let mut response = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".to_vec();
    response.resize(response.len() + 1000, b'x');
    response
}

#[test]
fn repeated_segments_change_nothing() {
    let mut talk = Talk::new();
    for turn in 0..5u64 {
        let (asked, answered) = (turn * 27, turn * 40);
        for _ in 0..3 {
            talk.say_at(Client, asked, GET);
        }
        for _ in 0..3 {
            talk.say_at(Server, answered, OK);
        }
        // The whole stream again, and a stale request.
        talk.say_at(Client, 0, GET);
    }
    assert_eq!(talk.end().out, [DONE; 5]);
}

#[test]
fn retransmits_that_overlap_in_any_way() {
    let requests = GET.repeat(3);
    let responses = OK.repeat(3);
    for back in 0..=27u64 {
        for size in [5usize, 13, 27, 40] {
            let mut talk = Talk::new();
            overlapping(&mut talk, Client, &requests, size, back);
            overlapping(&mut talk, Server, &responses, size, back);
            assert_eq!(
                talk.end().out,
                [DONE; 3],
                "{back} bytes back, {size} forward"
            );
        }
    }
}

/// Says `bytes` in pieces that each begin up to `back` bytes before what was said already.
fn overlapping(talk: &mut Talk, side: Side, bytes: &[u8], size: usize, back: u64) {
    let mut at = 0;
    while at < bytes.len() {
        let from = at.saturating_sub(back as usize);
        let to = (at + size).min(bytes.len());
        talk.say_at(side, from as u64, &bytes[from..to]);
        at = to;
    }
}

#[test]
fn swapped_segments_within_a_body_do_not_matter() {
    let response = long_response();
    let (head, body) = response.split_at(200);
    let (middle, tail) = body.split_at(400);
    for order in [[0, 1], [1, 0]] {
        let mut talk = Talk::new();
        talk.say(Client, GET);
        talk.say_at(Server, 0, head);
        for which in order {
            let (at, bytes) = [(200, middle), (600, tail)][which];
            talk.say_at(Server, at, bytes);
        }
        talk.say_at(Server, response.len() as u64, b"");
        talk.say(Client, GET);
        talk.say_at(Server, response.len() as u64, OK);
        let expected = format!("GET 200 27+{}", response.len());
        assert_eq!(talk.end().out, [expected.as_str(), DONE]);
    }
}

#[test]
fn missing_body_segments_do_not_matter() {
    let response = long_response();
    let mut talk = Talk::new();
    talk.say(Client, GET);
    talk.say(Server, &response[..100]);
    talk.miss(Server, 500);
    talk.say(Server, &response[600..]);
    let expected = format!("GET 200 27+{}", response.len());
    assert_eq!(talk.end().out, [expected]);
}

#[test]
fn a_missing_head_is_counted_and_the_next_exchange_is_found() {
    // Missing request.
    let mut talk = Talk::new();
    talk.miss(Client, 27);
    talk.say(Server, OK);
    talk.say(Client, GET);
    talk.say(Server, OK);
    assert_eq!(
        talk.end().out,
        ["lost orphan_response 1", "lost segment_gap 1", DONE]
    );
    // Missing response.
    let mut talk = Talk::new();
    talk.say(Client, GET);
    talk.miss(Server, 40);
    talk.say(Client, GET);
    talk.say(Server, OK);
    talk.say(Client, GET);
    talk.say(Server, OK);
    assert_eq!(
        talk.end().out,
        ["lost segment_gap 2", "lost orphan_response 1", DONE]
    );
    // The response ends in what was missed.
    let response = long_response();
    let mut talk = Talk::new();
    talk.say(Client, GET);
    talk.say(Server, &response[..800]);
    talk.miss(Server, 241);
    talk.say(Client, GET);
    talk.say(Server, OK);
    let expected = format!("GET 200 27+{}", response.len());
    assert_eq!(talk.end().out, [expected.as_str(), DONE]);
}

#[test]
fn swapped_heads_are_a_counted_loss() {
    let mut talk = Talk::new();
    talk.say_at(Client, 10, &GET[10..]);
    talk.say_at(Client, 0, &GET[..10]);
    talk.say(Server, OK);
    talk.say_at(Client, 27, GET);
    talk.say(Server, OK);
    let talk = talk.end();
    assert_eq!(
        talk.out,
        ["lost segment_gap 1", "lost orphan_response 1", DONE]
    );
}

#[test]
fn attached_in_mid_connection() {
    // Between exchanges.
    let mut talk = Talk::midstream();
    talk.say(Client, GET);
    talk.say(Server, OK);
    assert_eq!(talk.end().out, [DONE]);
    // Within a response.
    let mut talk = Talk::midstream();
    talk.say(Server, b"the rest of a body");
    talk.say(Client, GET);
    talk.say(Server, OK);
    assert_eq!(talk.end().out, [DONE]);
    // Between a request and its response.
    let mut talk = Talk::midstream();
    talk.say(Server, OK);
    talk.say(Client, GET);
    talk.say(Server, OK);
    assert_eq!(talk.end().out, ["lost orphan_response 1", DONE]);
    // Within a head.
    let mut talk = Talk::midstream();
    talk.say(Client, &GET[9..]);
    talk.say(Server, OK);
    talk.say(Client, GET);
    talk.say(Server, OK);
    assert_eq!(talk.end().out, ["lost orphan_response 1", DONE]);
}

#[test]
fn long_transfers_seen_from_their_middle_do_not_hide_what_follows() {
    let mut talk = Talk::midstream();
    for _ in 0..1_000 {
        talk.say(Server, b"a part of a long download");
    }
    talk.say(Client, GET);
    talk.say(Server, OK);
    assert_eq!(talk.end().out, [DONE]);
    // The response told that this is HTTP; that its request was not seen is counted once.
    let mut talk = Talk::midstream();
    talk.say(Server, OK);
    for _ in 0..1_000 {
        talk.say(Client, b"a part of a long upload");
    }
    talk.say(Client, GET);
    talk.say(Server, OK);
    assert_eq!(
        talk.end().out,
        ["lost orphan_response 1", "lost malformed 1", DONE]
    );
    // After a hole, on a connection that is known to speak HTTP, in either direction.
    for side in [Client, Server] {
        let mut talk = Talk::new();
        talk.say(Client, GET);
        talk.say(Server, OK);
        talk.miss(side, 1_000);
        for _ in 0..1_000 {
            talk.say(side, b"a part of a long message");
        }
        talk.say(Client, GET);
        talk.say(Server, OK);
        let expected = [DONE, "lost segment_gap 1", DONE];
        assert_eq!(talk.end().out, expected, "{side:?}");
    }
}

#[test]
fn connections_that_never_speak_http_are_given_up() {
    let mut talk = Talk::midstream();
    for _ in 0..63 {
        talk.say(Client, b"a query of some other protocol");
        talk.say(Server, b"its answer");
    }
    assert_eq!(talk.conversation.opaque, 0);
    talk.say(Client, b"a query of some other protocol");
    assert_eq!(talk.end().out, ["opaque 1"]);
}

#[test]
fn forged_segments_far_away_move_nothing() {
    let mut talk = Talk::new();
    for at in [1u64 << 31, (1 << 31) - 1, (1 << 30) + 100, 3 << 30] {
        talk.say_at(Client, at, GET);
        talk.say_at(Server, at, OK);
    }
    talk.say(Client, GET);
    talk.say(Server, OK);
    assert_eq!(talk.end().out, [DONE]);
}

#[test]
fn sequence_numbers_wrap_around_many_times() {
    let mut talk = Talk::new();
    let mut expected = Vec::new();
    for _ in 0..20 {
        talk.say(Client, GET);
        talk.say(
            Server,
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n",
        );
        for _ in 0..100 {
            talk.say_unseen(Server, 10_000_000);
        }
        expected.push("GET 200 27+1000000047");
    }
    assert_eq!(talk.end().out, expected);
}

#[test]
fn bodies_beyond_32_bits_are_never_looked_at() {
    let mut talk = Talk::new();
    for _ in 0..2 {
        talk.say(
            Client,
            b"PUT /big HTTP/1.1\r\nContent-Length: 6000000000\r\n\r\n",
        );
        for _ in 0..6_000 {
            talk.say_unseen(Client, 1_000_000);
        }
        talk.say(
            Server,
            b"HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n",
        );
        for _ in 0..5_000 {
            talk.say_unseen(Server, 1_000_000);
        }
    }
    assert_eq!(talk.end().out, ["PUT 200 6000000049+5000000047"; 2]);
}

#[test]
fn chunks_beyond_32_bits_are_never_looked_at() {
    let mut talk = Talk::new();
    talk.say(Client, GET);
    talk.say(
        Server,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n12a05f200\r\n",
    );
    for _ in 0..5_000 {
        talk.say_unseen(Server, 1_000_000);
    }
    talk.say(Server, b"\r\n0\r\n\r\n");
    talk.say(Client, GET);
    talk.say(Server, OK);
    assert_eq!(talk.end().out, ["GET 200 27+5000000065", DONE]);
}

#[test]
fn any_loss_and_order_invents_nothing() {
    let mut random = Random(7);
    for _ in 0..20_000 {
        let turns = 1 + random.below(6);
        let mut segments = Vec::new();
        for turn in 0..turns as u64 {
            let cut = random.below(GET.len());
            segments.push((Client, turn * 27, &GET[..cut]));
            segments.push((Client, turn * 27 + cut as u64, &GET[cut..]));
            let cut = random.below(OK.len());
            segments.push((Server, turn * 40, &OK[..cut]));
            segments.push((Server, turn * 40 + cut as u64, &OK[cut..]));
        }
        for _ in 0..random.below(4) {
            let at = random.below(segments.len());
            match random.below(3) {
                0 => drop(segments.remove(at)),
                1 => segments.insert(random.below(segments.len()), segments[at]),
                _ => {
                    let other = random.below(segments.len());
                    segments.swap(at, other);
                }
            }
            if segments.is_empty() {
                break;
            }
        }
        let mut talk = Talk::new();
        for (side, at, bytes) in &segments {
            talk.say_at(*side, *at, bytes);
        }
        let talk = talk.end();
        assert!(talk.finished.len() <= turns, "{segments:?}: {:?}", talk.out);
        for finished in &talk.finished {
            assert!(finished.status == 200 || finished.status == 0);
        }
        let answered = talk.finished.iter().filter(|f| f.status == 200).count();
        if answered < turns {
            assert!(
                talk.lost != 0 || talk.finished.len() > answered || segments.len() < turns * 4,
                "missing without a word: {segments:?}: {:?}",
                talk.out
            );
        }
    }
}
