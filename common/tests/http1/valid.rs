//! Conversations that are good HTTP, whole and cut in two at every byte.

use crate::talk::{Client, Random, Server, Side, Talk, parts, run};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Checks a conversation, then the same with every part cut at every place, then byte by byte.
fn check(row: &[(char, &str)], expected: &[&str]) {
    let whole = parts(row);
    assert_eq!(run(&whole), expected, "{row:?}");
    for (which, (side, bytes)) in whole.iter().enumerate() {
        for cut in 1..bytes.len() {
            let mut split = whole.clone();
            split[which] = (*side, &bytes[..cut]);
            split.insert(which + 1, (*side, &bytes[cut..]));
            assert_eq!(run(&split), expected, "part {which} cut at {cut}: {row:?}");
        }
    }
    for size in 1..8 {
        let split: Vec<(Side, &[u8])> = whole
            .iter()
            .flat_map(|(side, bytes)| bytes.chunks(size).map(|part| (*side, part)))
            .collect();
        assert_eq!(run(&split), expected, "in pieces of {size}: {row:?}");
    }
}

#[test]
fn one_exchange() {
    check(&[('>', GET), ('<', OK)], &["GET 200 27+40"]);
    check(
        &[('>', "GET / HTTP/1.0\r\n\r\n"), ('<', OK)],
        &["GET 200 18+40"],
    );
    check(
        &[
            ('>', "OPTIONS * HTTP/1.1\r\n\r\n"),
            ('<', "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"),
        ],
        &["OPTIONS 200 22+36"],
    );
    check(
        &[
            ('>', "PATCH /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"),
            ('<', "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n"),
        ],
        &["PATCH 404 45+35"],
    );
    check(
        &[('>', "PROPFIND /dav HTTP/1.1\r\n\r\n"), ('<', OK)],
        &["_OTHER 200 26+40"],
    );
}

#[test]
fn header_names_in_any_case_and_white_space() {
    for length in [
        "Content-Length: 2",
        "content-length:2",
        "CONTENT-LENGTH:  2",
        "cOnTeNt-LeNgTh:\t2 ",
        "Content-Length: 0000000000000002",
    ] {
        let response = format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\nok");
        let expected = format!("GET 200 27+{}", response.len());
        check(
            &[('>', GET), ('<', &response), ('>', GET), ('<', OK)],
            &[&expected, "GET 200 27+40"],
        );
    }
    for coding in [
        "Transfer-Encoding: chunked",
        "TRANSFER-ENCODING:chunked",
        "transfer-encoding: gzip, Chunked",
        "Transfer-Encoding:\tCHUNKED",
        "Transfer-Encoding: chunked ",
        "Transfer-Encoding: gzip,chunked \t \t",
    ] {
        let response = format!("HTTP/1.1 200 OK\r\n{coding}\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        let expected = format!("GET 200 27+{}", response.len());
        check(
            &[('>', GET), ('<', &response), ('>', GET), ('<', OK)],
            &[&expected, "GET 200 27+40"],
        );
    }
}

#[test]
fn look_alike_headers_do_not_frame() {
    let response = "HTTP/1.1 200 OK\r\nX-Content-Length: 900\r\nContent-Lengthy: 800\r\nContent-Length: 2\r\n\r\nok";
    let expected = format!("GET 200 27+{}", response.len());
    check(&[('>', GET), ('<', response)], &[&expected]);
    let request = "GET /?Content-Length:%2050 HTTP/1.1\r\nReferer: Content-Length: 50\r\n\r\n";
    let expected = format!("GET 200 {}+40", request.len());
    check(&[('>', request), ('<', OK)], &[&expected]);
}

#[test]
fn line_feeds_alone_end_lines() {
    // RFC 9112, section 2.2: a recipient may take a single LF as a line terminator.
    check(
        &[
            ('>', "GET / HTTP/1.1\nHost: a\n\n"),
            ('<', "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
        ],
        &["GET 200 24+37"],
    );
    check(
        &[
            ('>', GET),
            (
                '<',
                "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\r\nok\r\n0\n\n",
            ),
        ],
        &["GET 200 27+54"],
    );
}

#[test]
fn empty_lines_before_a_request_are_skipped() {
    check(
        &[
            ('>', GET),
            ('<', OK),
            ('>', "\r\n\r\n"),
            ('>', GET),
            ('<', OK),
        ],
        &["GET 200 27+40", "GET 200 27+40"],
    );
}

#[test]
fn responses_without_a_body() {
    let head = "HEAD / HTTP/1.1\r\n\r\n";
    let long = "HTTP/1.1 200 OK\r\nContent-Length: 123456\r\n\r\n";
    check(
        &[('>', head), ('<', long), ('>', GET), ('<', OK)],
        &["HEAD 200 19+43", "GET 200 27+40"],
    );
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(
        &[('>', head), ('<', chunked), ('>', GET), ('<', OK)],
        &["HEAD 200 19+47", "GET 200 27+40"],
    );
    for status in ["204 No Content", "304 Not Modified"] {
        let response = format!("HTTP/1.1 {status}\r\nContent-Length: 77\r\n\r\n");
        let expected = format!("GET {} 27+{}", &status[..3], response.len());
        check(
            &[('>', GET), ('<', &response), ('>', GET), ('<', OK)],
            &[&expected, "GET 200 27+40"],
        );
    }
}

#[test]
fn interim_responses() {
    let post = "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    check(
        &[
            ('>', post),
            ('<', "HTTP/1.1 100 Continue\r\n\r\n"),
            ('>', "abc"),
            (
                '<',
                "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
            ),
            ('<', OK),
        ],
        &["POST 200 63+40"],
    );
}

#[test]
fn chunked_bodies() {
    let response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\nab\n\nc\r\n1;name=\"value\"\r\nz\r\n00A\r\n0123456789\r\n000\r\nTrailer: 1\r\nOther: 2\r\n\r\n";
    let expected = format!("GET 200 27+{}", response.len());
    check(
        &[('>', GET), ('<', response), ('>', GET), ('<', OK)],
        &[&expected, "GET 200 27+40"],
    );
    // Trailers do not frame, whatever they are called.
    let odd = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        0\r\nContent-Length: 7\r\nContent-Length: x\r\nTransfer-Encoding: x\r\n\r\n";
    let expected = format!("GET 200 27+{}", odd.len());
    check(
        &[('>', GET), ('<', odd), ('>', GET), ('<', OK)],
        &[&expected, "GET 200 27+40"],
    );
    let upload = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let expected = format!("POST 200 {}+40", upload.len());
    check(
        &[('>', upload), ('<', OK), ('>', GET), ('<', OK)],
        &[&expected, "GET 200 27+40"],
    );
    let extension = "x".repeat(300);
    let long = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;{extension}\r\nab\r\n0;{extension}\r\n\r\n"
    );
    let expected = format!("GET 200 27+{}", long.len());
    check(&[('>', GET), ('<', &long)], &[&expected]);
}

#[test]
fn bodies_that_look_like_heads_are_not_read() {
    let inner = "GET /inner HTTP/1.1\r\n\r\nHTTP/1.1 500 no\r\n\r\n";
    let request = format!(
        "POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{inner}",
        inner.len()
    );
    let response = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{inner}",
        inner.len()
    );
    let expected = format!("POST 200 {}+{}", request.len(), response.len());
    check(&[('>', &request), ('<', &response)], &[&expected]);
}

#[test]
fn switched_protocols_turn_opaque() {
    check(
        &[
            ('>', "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
            (
                '<',
                "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            ),
            ('>', GET),
        ],
        &["GET 101 40+46", "opaque 5"],
    );
    check(
        &[
            ('>', "CONNECT a:1 HTTP/1.1\r\n\r\n"),
            ('<', "HTTP/1.1 200 OK\r\n\r\n"),
            ('>', GET),
            ('<', OK),
        ],
        &["CONNECT 200 24+19", "opaque 5"],
    );
    check(
        &[
            ('>', "CONNECT a:1 HTTP/1.1\r\n\r\n"),
            ('<', "HTTP/1.1 407 no\r\nContent-Length: 0\r\n\r\n"),
            ('>', GET),
            ('<', OK),
        ],
        &["CONNECT 407 24+38", "GET 200 27+40"],
    );
}

#[test]
fn bodies_that_last_until_the_end() {
    let response = "HTTP/1.0 200 OK\r\n\r\nHTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n";
    let expected = format!("GET 200 27+{} until close", response.len());
    check(&[('>', GET), ('<', response)], &[&expected]);
    check(&[('>', GET)], &["GET unanswered 27"]);
    check(
        &[
            ('>', GET),
            ('<', "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"),
        ],
        &["GET unanswered 27"],
    );
}

#[test]
fn pipelines_up_to_what_is_remembered() {
    for depth in 1..=16 {
        let requests = GET.repeat(depth);
        let responses = OK.repeat(depth);
        let parts: [(Side, &[u8]); 2] = [
            (Client, requests.as_bytes()),
            (Server, responses.as_bytes()),
        ];
        assert_eq!(run(&parts), vec!["GET 200 27+40"; depth], "{depth}");
    }
}

#[test]
fn deeper_pipelines_are_counted_though_not_timed() {
    for depth in 17..=40 {
        let mut talk = Talk::new();
        talk.say(Client, GET.repeat(depth).as_bytes());
        talk.say(Server, OK.repeat(depth).as_bytes());
        talk.say(Client, GET.as_bytes());
        talk.say(Server, OK.as_bytes());
        let talk = talk.end();
        assert_eq!(talk.finished.len(), depth + 1, "{depth}");
        let untimed = talk.finished.iter().filter(|f| f.started_ns == 0).count();
        assert_eq!(untimed, depth - 16, "{depth}");
        assert_eq!(talk.out.last().unwrap(), "GET 200 27+40", "{depth}");
    }
}

#[test]
fn heads_of_16_kilobytes() {
    let mut random = Random(1);
    let mut head = String::from("GET /a HTTP/1.1\r\n");
    while head.len() < 16 << 10 {
        let value = "v".repeat(random.below(700));
        head += &format!("X-{}: {value}\r\n", head.len());
    }
    let request = head + "Content-Length: 4\r\n\r\nbody";
    let expected = [format!("GET 200 {}+40", request.len())];
    let bytes = request.as_bytes();
    for size in [1, 7, 95, 96, 97, 399, 400, 401, 1448, bytes.len()] {
        let mut parts: Vec<(Side, &[u8])> = bytes.chunks(size).map(|part| (Client, part)).collect();
        parts.push((Server, OK.as_bytes()));
        assert_eq!(run(&parts), expected, "in pieces of {size}");
    }
}

#[test]
fn long_request_lines() {
    for len in [60, 90, 96, 100, 300, 400, 500, 4000] {
        let path = format!("/{}", "p".repeat(len));
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let expected = format!("GET 200 {}+40", request.len());
        check(&[('>', &request), ('<', OK)], &[&expected]);
    }
}
