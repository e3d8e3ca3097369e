//! Errors in answers.

use weir_common::framing::http1::graphql::outcome;

use super::post;
use crate::talk::{Client, Server, Talk};

/// Status of the answer to a query, and how many bytes it had.
fn answer(response: &str, pieces: &[&[u8]]) -> (u16, u64, u64) {
    let mut talk = Talk::new();
    talk.say(Client, post("/graphql", r#"{"query":"{a}"}"#).as_bytes());
    for piece in pieces {
        talk.say(Server, piece);
    }
    let talk = talk.end();
    assert_eq!(talk.finished.len(), 1, "{response:?}");
    let finished = &talk.finished[0];
    (finished.status, finished.response_bytes, talk.lost)
}

fn check_answer(body: &str, errors: bool) {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let whole = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let until_close = format!("{head}\r\n{body}");
    let chunk = format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let status = outcome::OK + if errors { outcome::ERRORS } else { 0 };
    for response in [whole, until_close, chunk] {
        let all = response.as_bytes();
        let expected = (status, all.len() as u64, 0);
        assert_eq!(answer(&response, &[all]), expected, "{response:?}");
        for at in 1..all.len() {
            let pieces = [&all[..at], &all[at..]];
            assert_eq!(answer(&response, &pieces), expected, "{response:?} at {at}");
        }
        for size in [1, 2, 5, 64] {
            let pieces: Vec<_> = all.chunks(size).collect();
            assert_eq!(
                answer(&response, &pieces),
                expected,
                "{response:?} by {size}"
            );
        }
    }
}

#[test]
fn errors_in_answers() {
    check_answer(r#"{"errors":[{"message":"no"}]}"#, true);
    check_answer(r#"{"data":null,"errors": [ {"message":"no"}]}"#, true);
    check_answer("{\"data\":{\"a\":1},\n \"errors\" :\t[\n{}]}", true);
    check_answer(r#"[{"data":{}},{"errors":[{"message":"no"}]}]"#, true);
    check_answer(r#"{"errors":["no"]}"#, true);
    check_answer(r#"{"data":{"a":1}}"#, false);
    check_answer(r#"{"data":{"a":1},"errors":[]}"#, false);
    check_answer(r#"{"data":{"a":1},"errors":null}"#, false);
    // What a mutation tells of its own accord is data.
    check_answer(r#"{"data":{"add":{"errors":[{"message":"no"}]}}}"#, false);
    check_answer(r#"{"data":"\"errors\":[1]"}"#, false);
    check_answer(
        &format!(r#"{{"data":"{}","errors":[1]}}"#, "x".repeat(400)),
        false,
    );
    check_answer("no json, \"errors\":[1]", false);
}

#[test]
fn only_answers_with_200_are_looked_at() {
    let body = r#"{"errors":[1]}"#;
    for (status, fields) in [
        (400, ""),
        (500, ""),
        (201, ""),
        (200, "Content-Encoding: gzip\r\n"),
    ] {
        let response = format!(
            "HTTP/1.1 {status} X\r\n{fields}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let found = answer(&response, &[response.as_bytes()]);
        assert_eq!(found, (status, response.len() as u64, 0));
    }
}
