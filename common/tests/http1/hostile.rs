//! What no honest peer sends.

use crate::talk::{Client, Random, Server, Side, Talk, parts, run};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const FIRST: &str = "GET 200 27+40";

/// Checks what comes out of a row that follows one good exchange.
fn check(row: &[(char, &str)], expected: &[&str]) {
    let mut whole = parts(&[('>', GET), ('<', OK)]);
    whole.extend(parts(row));
    let expected: Vec<&str> = [FIRST].iter().chain(expected).copied().collect();
    assert_eq!(run(&whole), expected, "{row:?}");
}

#[test]
fn lengths_that_are_none() {
    for length in [
        "-1",
        "+2",
        "0x2",
        "2 2",
        "2,2",
        "2;2",
        "two",
        "",
        " ",
        "1e3",
        "1000000000000000000",
        "99999999999999999999",
        "18446744073709551615",
        "18446744073709551618",
        "9223372036854775807",
        "000000000000000000000000000000000000000000000002",
    ] {
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nok");
        check(&[('>', GET), ('<', &response)], &["lost malformed 1"]);
        let request = format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\nok");
        check(&[('>', &request)], &["lost malformed 1"]);
    }
}

#[test]
fn the_first_message_with_a_bad_length_is_a_loss_too() {
    let row = [('>', "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n")];
    assert_eq!(run(&parts(&row)), ["lost malformed 1"]);
}

#[test]
fn the_longest_lengths_that_are_believed() {
    // 18 digits, of chunks 15: nobody will send so much, and nothing overflows.
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 999999999999999999\r\n\r\n";
    check(
        &[('>', GET), ('<', response), ('<', OK), ('>', GET)],
        &["GET unanswered 27", "GET unanswered 27"],
    );
    let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n";
    check(
        &[('>', GET), ('<', chunk), ('<', OK)],
        &["GET unanswered 27"],
    );
}

#[test]
fn chunk_sizes_that_are_none() {
    for size in [
        "-1",
        "+1",
        "0x1",
        "g",
        "",
        ";x",
        "1000000000000000",
        "ffffffffffffffff",
        "fffffffffffffffff",
        "10000000000000000",
        "8000000000000000",
        "\u{7f}",
        "1_0",
    ] {
        let response = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\na\r\n0\r\n\r\n"
        );
        check(&[('>', GET), ('<', &response)], &["lost malformed 1"]);
    }
}

#[test]
fn smuggling_shapes() {
    // Both lengths: chunked wins (RFC 9112, section 6.3).
    let both =
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    check(
        &[('>', both), ('<', OK), ('>', GET), ('<', OK)],
        &["POST 200 71+40", FIRST],
    );
    let both =
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n";
    check(
        &[('>', both), ('<', OK), ('>', GET), ('<', OK)],
        &["POST 200 71+40", FIRST],
    );
    // Two lengths that differ.
    let twice = "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd";
    check(&[('>', twice)], &["lost malformed 1"]);
    // An encoding whose end cannot be known.
    let unknown = "POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n";
    check(&[('>', unknown)], &["lost malformed 1"]);
    let not_last = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n";
    check(&[('>', not_last)], &["lost malformed 1"]);
    // A space before the colon is no Content-Length.
    let space = "POST / HTTP/1.1\r\nContent-Length : 3\r\n\r\n";
    check(&[('>', space), ('<', OK)], &["POST 200 39+40"]);
}

#[test]
fn two_equal_lengths_are_one_answer_however_they_are_split() {
    let twice = "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc";
    let whole = run(&parts(&[('>', GET), ('<', OK), ('>', twice), ('<', OK)]));
    for cut in 1..twice.len() {
        let row = [
            ('>', GET),
            ('<', OK),
            ('>', &twice[..cut]),
            ('>', &twice[cut..]),
            ('<', OK),
        ];
        assert_eq!(run(&parts(&row)), whole, "cut at {cut}");
    }
}

#[test]
fn responses_that_nobody_asked_for() {
    assert_eq!(
        run(&parts(&[('<', OK), ('>', GET), ('<', OK)])),
        ["lost orphan_response 1", FIRST]
    );
    let timeout = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
    check(&[('<', timeout)], &["lost orphan_response 1"]);
}

#[test]
fn broken_start_lines() {
    for line in [
        "GET /\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "get / HTTP/1.1\r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\n",
        "GET / HTTP/1.\r\n\r\n\r\n\r\n",
    ] {
        check(&[('>', line)], &["lost malformed 1"]);
    }
    for line in [
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1200 OK\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
    ] {
        check(&[('>', GET), ('<', line)], &["lost malformed 1"]);
    }
}

#[test]
fn carriage_returns_alone_end_nothing() {
    let row = [('>', "GET / HTTP/1.1\rHost: a\r\r"), ('<', OK)];
    let out = run(&parts(&row));
    assert!(
        !out.iter().any(|line| line.starts_with("GET 200")),
        "{out:?}"
    );
}

#[test]
fn other_protocols_turn_opaque() {
    for (first, protocol) in [
        ("\x00\x01hello\r\n", "opaque 1"),
        ("\0\0\0\x08\x04\u{d2}\x16\x2f", "opaque 1"),
        ("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "opaque 1"),
        ("AMQP\0\0\x09\x01", "opaque 1"),
    ] {
        assert_eq!(run(&parts(&[('>', first), ('>', GET)])), [protocol]);
        let bytes: Vec<(Side, &[u8])> = first.as_bytes().chunks(1).map(|b| (Client, b)).collect();
        assert_eq!(run(&bytes), [protocol], "byte by byte {first:?}");
    }
    // The server speaks first.
    assert_eq!(
        run(&parts(&[
            ('<', "220 mail.test ESMTP\r\n"),
            ('>', "EHLO a\r\n")
        ])),
        ["opaque 1"]
    );
}

#[test]
fn heads_without_end_stay_bounded() {
    let mut talk = Talk::new();
    talk.say(Client, b"GET / HTTP/1.1\r\n");
    for _ in 0..1_000 {
        talk.say(Client, &[b'a'; 5_000]);
    }
    for _ in 0..100_000 {
        talk.say(Client, b"a: b\r\n");
    }
    assert!(talk.end().out.is_empty());
}

#[test]
fn random_bytes_invent_nothing() {
    let mut random = Random(3);
    for round in 0..3_000 {
        let mut talk = if round % 2 == 0 {
            Talk::new()
        } else {
            Talk::midstream()
        };
        for _ in 0..random.below(30) {
            let len = random.below(900);
            let bytes: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
            let side = if random.one_in(2) { Client } else { Server };
            talk.say(side, &bytes);
        }
        let talk = talk.end();
        assert!(talk.finished.is_empty(), "{:?}", talk.out);
    }
}

#[test]
fn fragments_of_http_in_any_order_end() {
    const PIECES: [&str; 22] = [
        "GET / HTTP/1.1\r\n",
        "HEAD /x HTTP/1.0\r\n",
        "CONNECT a:1 HTTP/1.1\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 100 \r\n",
        "HTTP/1.1 304 x\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 99999999999\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: x\r\n",
        "\r\n",
        "\n",
        "\r",
        "0\r\n\r\n",
        "5\r\nhello\r\n",
        "ffffffffffff\r\n",
        "hello",
        ":",
        " ",
        "HTTP/1.",
        "GE",
        "Content-Le",
    ];
    let mut random = Random(5);
    for _ in 0..30_000 {
        let mut talk = Talk::new();
        for _ in 0..random.below(40) {
            let side = if random.one_in(2) { Client } else { Server };
            let mut bytes = Vec::new();
            for _ in 0..=random.below(6) {
                bytes.extend_from_slice(PIECES[random.below(PIECES.len())].as_bytes());
            }
            if random.one_in(10) {
                talk.miss(side, random.below(50) as u64);
            }
            talk.say(side, &bytes);
        }
        let asked = talk.conversation.asked;
        let talk = talk.end();
        assert!(talk.finished.len() as u64 <= asked, "{:?}", talk.out);
    }
}
