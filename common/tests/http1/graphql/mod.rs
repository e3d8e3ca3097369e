//! GraphQL: the operation in bodies and targets, and errors in answers, however they are cut.
//!
//! # Layout
//! - this file: requests in words
//! - `bodies`, `window`: the operation of a body, and what of it is read
//! - `targets`: the operation of a GET
//! - `answers`: errors
//! - `connections`: holes and pipelines

mod answers;
mod bodies;
mod connections;
mod targets;
mod window;

use weir_common::{
    framing::http1::{
        graphql::{combine, kind, nameless},
        op_hash,
    },
    stable_hash,
};

use crate::talk::{Client, Server, Talk};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"data\":{}}";

/// Words of a kind, as people read them.
fn word(code: u8) -> &'static str {
    match code {
        kind::QUERY => "query",
        kind::MUTATION => "mutation",
        kind::SUBSCRIPTION => "subscription",
        kind::OPERATION => "operation",
        kind::PERSISTED => "persisted",
        kind::BATCH => "batch",
        kind::OTHER => "_OTHER",
        _ => panic!("kind {code}"),
    }
}

/// What the operation of a request to `path` is, by its key and what was told.
fn operation(talk: &Talk, op: u64, path: &str) -> String {
    let key = combine(op, op_hash(path.as_bytes()));
    if key == 0 {
        return String::new();
    }
    if let Some(code) = (1..=kind::OTHER).find(|code| nameless(*code) == key) {
        return word(code).into();
    }
    let named = talk.paths.iter().find(|(told, _)| *told == key);
    let (_, name) = named.unwrap_or_else(|| panic!("{key:x} was not told: {:?}", talk.paths));
    assert_eq!(stable_hash(name), key);
    let (code, name) = name.split_last().expect("a kind");
    format!("{} {}", word(*code), std::str::from_utf8(name).unwrap())
}

/// Replays a request in pieces of a size and with a cut; tells its operation.
fn run(request: &str, path: &str, pieces: &[&[u8]]) -> String {
    let mut talk = Talk::new();
    for piece in pieces {
        talk.say(Client, piece);
    }
    talk.say(Server, OK.as_bytes());
    // The connection goes on.
    talk.say(Client, b"GET /next HTTP/1.1\r\n\r\n");
    talk.say(Server, OK.as_bytes());
    let talk = talk.end();
    assert_eq!(
        (talk.finished.len(), talk.lost),
        (2, 0),
        "{request:?} {pieces:?}"
    );
    let finished = &talk.finished[0];
    assert_eq!(finished.request_bytes, request.len() as u64, "{request:?}");
    assert_eq!((finished.status, talk.finished[1].status), (200, 200));
    assert_eq!(talk.finished[1].op, op_hash(b"/next"));
    let head = talk.heads.iter().find(|(ordinal, _)| *ordinal == 1);
    let (_, head) = head.expect("the head is kept");
    assert!(request.starts_with(head), "{request:?}: {head:?}");
    operation(&talk, finished.op, path)
}

/// Checks the operation of a request, cut at every place and in pieces of many sizes.
fn check_request(request: &str, path: &str, expected: &str, may_be_other: bool) {
    assert_eq!(
        run(request, path, &[request.as_bytes()]),
        expected,
        "{request:?}"
    );
    let fits = |found: &str| found == expected || may_be_other && ["", "_OTHER"].contains(&found);
    for at in 1..request.len() {
        let (first, second) = request.as_bytes().split_at(at);
        let found = run(request, path, &[first, second]);
        assert!(fits(&found), "{request:?} cut at {at}: {found}");
    }
    for size in [1, 2, 3, 7, 16, 63, 64, 65] {
        let pieces: Vec<&[u8]> = request.as_bytes().chunks(size).collect();
        let found = run(request, path, &pieces);
        assert!(fits(&found), "{request:?} by {size}: {found}");
    }
}

fn post(path: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len}\r\n\r\n{body}"
    )
}

/// Checks the operation of a body, cut at every place and in pieces of many sizes.
fn check(body: &str, expected: &str) {
    check_request(&post("/graphql", body), "/graphql", expected, false);
}
