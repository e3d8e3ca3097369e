//! The first bytes of a request stay at hand until its response, whatever its connection carries.

use crate::talk::{Client, Server, Talk};

const OK: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

fn heads_of(requests: &[&[u8]]) -> Vec<(u64, String)> {
    let mut talk = Talk::new();
    for request in requests {
        talk.say(Client, request);
    }
    talk.say(Server, OK);
    talk.end().heads
}

#[test]
fn a_head_in_one_segment() {
    let head = "GET /a HTTP/1.1\r\nhost: x\r\n\r\n";
    assert_eq!(heads_of(&[head.as_bytes()]), [(1, head.to_owned())]);
}

#[test]
fn a_body_in_chunks_does_not_overwrite_it() {
    let head = "POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunks: [&[u8]; 3] = [b"5\r\nhello\r\n", b"3\r\nyou\r\n", b"0\r\n\r\n"];
    let mut requests = vec![head.as_bytes()];
    requests.extend(chunks);
    assert_eq!(heads_of(&requests), [(1, head.to_owned())]);
}

#[test]
fn split_in_its_first_line_it_is_whole_up_to_the_end_of_that_segment() {
    let head = "GET /a/long/path HTTP/1.1\r\nhost: x\r\n\r\n";
    for cut in 1..25 {
        let (first, second) = head.as_bytes().split_at(cut);
        assert_eq!(heads_of(&[first, second]), [(1, head.to_owned())], "{cut}");
    }
}

#[test]
fn split_in_its_fields_it_keeps_what_came_first() {
    let head = "GET /a HTTP/1.1\r\nhost: example\r\n\r\n";
    for cut in 17..head.len() {
        let (first, second) = head.as_bytes().split_at(cut);
        let kept = heads_of(&[first, second]);
        assert_eq!(kept, [(1, head[..cut].to_owned())], "{cut}");
    }
}

#[test]
fn of_pipelined_requests_the_first_keeps_its_head() {
    let mut talk = Talk::new();
    talk.say(Client, b"GET /a HTTP/1.1\r\n\r\n");
    talk.say(Client, b"GET /b HTTP/1.1\r\n\r\n");
    talk.say(Server, OK);
    talk.say(Server, OK);
    talk.say(Client, b"GET /c HTTP/1.1\r\n\r\n");
    talk.say(Server, OK);
    let expected = [
        (1, "GET /a HTTP/1.1\r\n\r\n"),
        (3, "GET /c HTTP/1.1\r\n\r\n"),
    ];
    assert_eq!(
        talk.end().heads,
        expected.map(|(n, text)| (n, text.to_owned()))
    );
}

#[test]
fn pipelined_in_one_segment_the_first_ends_where_the_window_does() {
    let both = "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n";
    let mut talk = Talk::new();
    talk.say(Client, both.as_bytes());
    talk.say(Server, OK);
    talk.say(Server, OK);
    assert_eq!(talk.end().heads, [(1, both.to_owned())]);
}
