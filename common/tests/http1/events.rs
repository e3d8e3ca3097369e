//! Bodies of server-sent events: how many they hold, however they are framed and cut.

use crate::talk::{Client, Server, Talk};

const GET: &str = "GET /news HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD: &str = "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n";
const TYPE: &str = "Content-Type: text/event-stream\r\n";

/// How a body is framed.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Length,
    /// Chunks of so many bytes.
    Chunks(usize),
    UntilClose,
}

fn response(fields: &str, body: &str, framing: Framing) -> String {
    let head = format!("{HEAD}{fields}");
    match framing {
        Framing::Length => format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()),
        Framing::UntilClose => format!("{head}\r\n{body}"),
        Framing::Chunks(size) => {
            let chunk = |bytes: &[u8]| {
                let text = std::str::from_utf8(bytes).expect("ASCII");
                format!("{:x}\r\n{text}\r\n", bytes.len())
            };
            let chunks: String = body.as_bytes().chunks(size).map(chunk).collect();
            format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
        }
    }
}

/// Replays a response in pieces of a size, and tells events, bytes and losses.
fn run(response: &str, piece: usize) -> (u8, u32, u64, u64) {
    let mut talk = Talk::new();
    talk.say(Client, GET.as_bytes());
    for piece in response.as_bytes().chunks(piece) {
        talk.say(Server, piece);
    }
    let talk = talk.end();
    assert_eq!(talk.finished.len(), 1, "{response:?} by {piece}");
    let finished = &talk.finished[0];
    assert_eq!(finished.status, 200);
    (
        finished.events,
        finished.response_messages,
        finished.response_bytes,
        talk.lost,
    )
}

fn check_fields(fields: &str, body: &str, events: (u8, u32)) {
    use Framing::{Chunks, Length, UntilClose};
    for framing in [
        Length,
        UntilClose,
        Chunks(4_000),
        Chunks(1),
        Chunks(7),
        Chunks(64),
    ] {
        let response = response(fields, body, framing);
        for piece in [1 << 20, 1, 2, 3, 5, 7, 50, 97, 401] {
            assert_eq!(
                run(&response, piece),
                (events.0, events.1, response.len() as u64, 0),
                "{fields:?} {framing:?} by {piece}"
            );
        }
    }
}

fn check(body: &str, events: u32) {
    check_fields(TYPE, body, (1, events));
}

#[test]
fn events_are_counted_and_comments_are_not() {
    check("data: one\n\n", 1);
    check("data: one\r\n\r\ndata: two\r\n\r\n", 2);
    check(
        "event: add\ndata: 1\nid: 7\n\n: ping\n\nretry: 10\n\ndata\n\n",
        2,
    );
    check(": only comments\n\n: and more\n\n", 0);
    check("\n\n\ndata:x\n\n\n\n", 1);
    // Several lines of data are one event; one without its empty line is none.
    check("data: a\ndata: b\ndata: c\n\ndata: cut", 1);
    check("database: x\n\nid: 1\n\nda\n\ndat\n\n", 0);
    check(&format!("data: {}\n\ndata: y\n\n", "x".repeat(3_000)), 2);
    check(&"data: 1\n\n".repeat(300), 300);
    check(&"\n".repeat(900), 0);
}

#[test]
fn the_type_is_known_in_every_usual_form() {
    let body = "data: one\n\n";
    for fields in [
        "content-type: text/event-stream\r\n",
        "Content-Type: text/event-stream; charset=utf-8\r\n",
        "CONTENT-TYPE: TEXT/EVENT-STREAM\r\n",
        "Content-Type: text/event-stream\r\nContent-Language: en\r\nContent-Security-Policy: x\r\n",
    ] {
        check_fields(fields, body, (1, 1));
    }
    for fields in [
        "Content-Type: text/plain\r\n",
        "Content-Type: text/event-strea\r\n",
        "X-Content-Type: text/event-stream\r\n",
        "Content-Types: text/event-stream\r\n",
    ] {
        check_fields(fields, body, (0, 0));
    }
}

#[test]
fn what_is_compressed_is_not_counted() {
    for fields in [
        "Content-Encoding: gzip\r\nContent-Type: text/event-stream\r\n",
        "Content-Type: text/event-stream\r\ncontent-encoding: br\r\n",
    ] {
        check_fields(fields, "data: one\n\n", (0, 0));
    }
}

#[test]
fn other_exchanges_of_the_connection_have_no_events() {
    let mut talk = Talk::new();
    for events in [1, 0, 1] {
        let fields = if events == 1 {
            TYPE
        } else {
            "Content-Type: text/html\r\n"
        };
        talk.say(Client, GET.as_bytes());
        let response = response(fields, "data: x\n\ndata: y\n\n", Framing::Chunks(5));
        talk.say(Server, response.as_bytes());
    }
    let told: Vec<_> = talk
        .finished
        .iter()
        .map(|f| (f.events, f.response_messages))
        .collect();
    assert_eq!((told, talk.lost), (vec![(1, 2), (0, 0), (1, 2)], 0));
}

#[test]
fn a_request_of_that_type_is_an_ordinary_one() {
    let mut talk = Talk::new();
    talk.say(
        Client,
        b"POST /in HTTP/1.1\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
          9\r\ndata: 1\n\n\r\n0\r\n\r\n",
    );
    talk.say(Server, b"HTTP/1.1 204 No Content\r\n\r\n");
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (1, 0));
    assert_eq!(talk.finished[0].events, 0);
}

#[test]
fn a_client_that_leaves_ends_the_stream_without_an_error() {
    let mut talk = Talk::new();
    talk.say(Client, GET.as_bytes());
    let whole = response(TYPE, "data: 1\n\ndata: 2\n\n", Framing::Chunks(9));
    talk.say(Server, &whole.as_bytes()[..whole.len() - 5]);
    let talk = talk.end();
    let finished = &talk.finished[0];
    assert_eq!((finished.status, finished.until_close), (200, 1));
    assert_eq!((finished.response_messages, talk.lost), (2, 0));
}

#[test]
fn holes_and_what_cannot_be_read_cost_events_within_a_chunk_only() {
    let open = format!("{HEAD}{TYPE}\r\ndata: 1\n\n");
    let mut talk = Talk::new();
    talk.say(Client, GET.as_bytes());
    talk.say(Server, open.as_bytes());
    talk.miss(Server, 9);
    talk.say(Server, b"the rest\ndata: 3\n\n");
    talk.say_unseen(Server, 500);
    talk.say(Server, b"\ndata: 5\n\n");
    let talk = talk.end();
    assert_eq!(talk.finished[0].response_messages, 3);
    assert_eq!((talk.finished.len(), talk.lost), (1, 2));
    let lost = talk.out.iter().filter(|line| line.starts_with("lost"));
    assert!(
        lost.clone().all(|line| line == "lost uncounted_messages 1"),
        "{:?}",
        talk.out
    );
    // Between chunks the framing is lost with them.
    let mut talk = Talk::new();
    talk.say(Client, GET.as_bytes());
    let whole = response(TYPE, &"data: 1\n\n".repeat(4), Framing::Chunks(9));
    talk.say(Server, &whole.as_bytes()[..whole.len() - 30]);
    talk.miss(Server, 20);
    talk.say(Server, &whole.as_bytes()[whole.len() - 10..]);
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (0, 1));
}
