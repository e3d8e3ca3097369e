//! GraphQL: the operation in bodies and targets, and errors in answers, however they are cut.

use weir_common::{
    framing::http1::{
        graphql::{combine, kind, nameless, outcome},
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

fn chunked(path: &str, body: &str, size: usize) -> String {
    let chunk = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).expect("ASCII");
        format!("{:x}\r\n{text}\r\n", bytes.len())
    };
    let chunks: String = body.as_bytes().chunks(size).map(chunk).collect();
    format!("POST {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
}

fn check(body: &str, expected: &str) {
    check_request(&post("/graphql", body), "/graphql", expected, false);
}

#[test]
fn the_first_operation_of_the_text() {
    check(
        r#"{"query":"query GetUser { user { name } }"}"#,
        "query GetUser",
    );
    check(
        r#"{"query":"query GetUser($id: ID!) { user(id: $id) { id } }","variables":{"id":"7"}}"#,
        "query GetUser",
    );
    check(
        r#"{ "query" : "\n  mutation AddUser($in: UserInput = {name: \"x\"}) {\n add(in: $in) { id } }" }"#,
        "mutation AddUser",
    );
    check(
        r#"{"query":"subscription OnUser{user{id}}"}"#,
        "subscription OnUser",
    );
    check(
        r#"{"query":"query GetUser@live{user{id}}"}"#,
        "query GetUser",
    );
    check(
        r##"{"query":"# query No {\n\nquery Yes { a }"}"##,
        "query Yes",
    );
    check(
        r#"{"query":"fragment F on User { query { id } } query WithF { user { ...F } }"}"#,
        "query WithF",
    );
    check(r#"{"query":"query A { a } mutation B { b }"}"#, "query A");
    check(r#"{"query":"{ user { id } }"}"#, "query");
    check(r#"{"query":"query { user { id } }"}"#, "query");
    check(
        r#"{"query":"mutation($id: ID!) { del(id: $id) }"}"#,
        "mutation",
    );
    check(r#"{"query":"mutation{del}"}"#, "mutation");
    check(r#"{"query":"subscription @live { a }"}"#, "subscription");
}

#[test]
fn the_operation_that_is_asked_for() {
    check(
        r#"{"operationName":"GetUser","variables":{},"query":"query GetUser { user { id } }"}"#,
        "query GetUser",
    );
    check(
        r#"{"query":"query GetUser { user { id } }","operationName":"GetUser"}"#,
        "query GetUser",
    );
    check(
        r#"{"operationName":"B","query":"query A { a } mutation B { b }"}"#,
        "mutation B",
    );
    check(
        r#"{"operationName":null,"query":"query A { a }"}"#,
        "query A",
    );
    check(r#"{"operationName":"","query":"query A { a }"}"#, "query A");
    // The text has several, and what follows its first one was not kept.
    check(
        r#"{"query":"query A { a } mutation B { b }","operationName":"B"}"#,
        "operation B",
    );
    check(
        r#"{"operationName":"Missing","query":"query A { a }"}"#,
        "operation Missing",
    );
}

#[test]
fn keys_elsewhere_do_not_count() {
    check(
        r#"{"variables":{"query":"mutation Not { a }","operationName":"Not"},"query":"query Yes { a }"}"#,
        "query Yes",
    );
    check(
        r#"{"variables":{"text":"\"operationName\":\"Not\" \\"},"query":"query Yes { a }"}"#,
        "query Yes",
    );
    check(
        r#"{"query":"query Yes { a(text: \"mutation Not { } # \\\" \") }"}"#,
        "query Yes",
    );
    check(
        r#"{"variables":["query",{"query":"mutation Not"}],"query":"query Yes{a}"}"#,
        "query Yes",
    );
}

#[test]
fn batches_and_persisted_ones() {
    check(
        r#"[{"query":"query A { a }"},{"query":"query B { b }"}]"#,
        "batch",
    );
    check(r#" [ ]"#, "batch");
    let hash = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38";
    let extensions =
        format!(r#""extensions":{{"persistedQuery":{{"version":1,"sha256Hash":"{hash}"}}}}"#);
    check(&format!("{{{extensions}}}"), "persisted");
    check(
        &format!(r#"{{"operationName":"GetUser","variables":{{}},{extensions}}}"#),
        "persisted GetUser",
    );
    check(
        &format!(r#"{{{extensions},"query":"query GetUser {{ a }}"}}"#),
        "query GetUser",
    );
}

#[test]
fn what_is_not_found_is_other() {
    let long = "x".repeat(500);
    check(
        &format!(r#"{{"variables":{{"a":"{long}"}},"query":"query Far {{ a }}"}}"#),
        "_OTHER",
    );
    check(
        &format!(
            r#"{{"operationName":"Near","variables":{{"a":"{long}"}},"query":"query Near {{ a }}"}}"#
        ),
        "operation Near",
    );
    check(
        &format!(r#"{{"query":"query Name{} {{ a }}"}}"#, "x".repeat(60)),
        &format!("query Name{}", "x".repeat(60)),
    );
    check(
        &format!(r#"{{"query":"query Name{} {{ a }}"}}"#, "x".repeat(61)),
        "_OTHER",
    );
    check(
        r#"{"operationName":"no name","query":"query A { a }"}"#,
        "_OTHER",
    );
    for body in [
        "null",
        "7",
        "\"query\"",
        "query A { a }",
        "{",
        "{}",
        "}",
        "\u{1f}\u{1}\u{2}zip",
        r#"{"query":7}"#,
        r#"{"query":"shoes"}"#,
        "--b\r\n\r\n{}",
    ] {
        check(body, "_OTHER");
    }
    // A name that the window cuts is none, nor is the text's that it would take the place of.
    for len in 340..370 {
        let start = r#"{"query":"query Text { a }","x":""#;
        let filler = "x".repeat(len - start.len());
        let body = format!(r#"{start}{filler}","operationName":"Asked"}}"#);
        let request = post("/graphql", &body);
        let found = run(&request, "/graphql", &[request.as_bytes()]);
        let end = body.find("Asked").unwrap() + "Asked".len();
        let fits = match end {
            ..400 => "operation Asked",
            400..=405 => "_OTHER",
            _ => "query Text",
        };
        assert_eq!(found, fits, "{len}");
    }
    let start = r#"{"query":"query "#;
    for len in 380..400 {
        let filler = "#".repeat(len - start.len() - 2);
        let body = format!(r#"{{"query":"{filler}\nquery GetUser {{ a }}"}}"#);
        let found = run(
            &post("/graphql", &body),
            "/graphql",
            &[post("/graphql", &body).as_bytes()],
        );
        let fits = body.find("GetUser").unwrap() + "GetUser".len() < 400;
        assert_eq!(
            found,
            if fits { "query GetUser" } else { "_OTHER" },
            "{len}"
        );
    }
}

#[test]
fn only_paths_and_methods_of_graphql() {
    let body = r#"{"query":"query A { a }"}"#;
    for (path, expected) in [
        ("/graphql", "query A"),
        ("/graphql/", "query A"),
        ("/api/v1/graphql", "query A"),
        ("/graphql?x=1", "query A"),
        ("/graphqls", ""),
        ("/xgraphql", ""),
        ("/graphql/x", ""),
        ("/graphql//", ""),
        ("/a", ""),
    ] {
        let request = post(path, body);
        assert_eq!(
            run(&request, path, &[request.as_bytes()]),
            expected,
            "{path}"
        );
    }
    let put = post("/graphql", body).replacen("POST", "PUT", 1);
    assert_eq!(run(&put, "/graphql", &[put.as_bytes()]), "");
    let empty = post("/graphql", "");
    assert_eq!(run(&empty, "/graphql", &[empty.as_bytes()]), "");
}

#[test]
fn bodies_in_chunks() {
    let body = r#"{"operationName":"GetUser","query":"query GetUser { user { id } }"}"#;
    for size in [1_000, 64, 30, 10] {
        check_request(
            &chunked("/graphql", body, size),
            "/graphql",
            "query GetUser",
            false,
        );
    }
    // Of many small ones only the first are read.
    check_request(
        &chunked("/graphql", body, 5),
        "/graphql",
        "operation GetUser",
        false,
    );
    check_request(&chunked("/graphql", body, 1), "/graphql", "_OTHER", false);
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nReferer: /?query=mutation+No\r\n\r\n")
}

#[test]
fn operations_in_targets() {
    for (parameters, expected) in [
        ("?query=query%20GetUser%20%7B%20a%20%7D", "query GetUser"),
        (
            "?query=query+GetUser+%7Ba%7D&variables=%7B%7D",
            "query GetUser",
        ),
        ("?query={a}", "query"),
        ("?query=%7Ba%7D", "query"),
        ("?operationName=B&query=query+A{a}%0Aquery+B{b}", "query B"),
        (
            "?variables=%7B%22query%22%3A1%7D&query=query+A{a}&operationName=A",
            "query A",
        ),
        ("?query=%23comment%0Aquery+A{a}", "query A"),
        (
            "?extensions=%7B%22persistedQuery%22%3A%7B%22version%22%3A1%7D%7D",
            "persisted",
        ),
        (
            "?operationName=A&extensions={\"persistedQuery\":{\"version\":1}}",
            "persisted A",
        ),
        ("?operationName=A", "operation A"),
        ("?query=", "_OTHER"),
        ("?query=%", "_OTHER"),
        ("?x=query+A{a}", ""),
        ("?", ""),
        ("", ""),
    ] {
        let request = get(&format!("/graphql{parameters}"));
        check_request(&request, "/graphql", expected, true);
    }
}

#[test]
fn a_name_cut_off_with_its_target_is_none() {
    for len in 200..260 {
        let request = get(&format!(
            "/graphql?x={}&query=query+GetUser{{a}}",
            "y".repeat(len)
        ));
        let found = run(&request, "/graphql", &[request.as_bytes()]);
        assert!(
            ["query GetUser", "_OTHER", ""].contains(&found.as_str()),
            "{found}"
        );
    }
}

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

#[test]
fn holes_in_bodies_cost_the_name_only() {
    let request = post("/graphql", r#"{"query":"query GetUser { user { name } }"}"#);
    let mut talk = Talk::new();
    let at = request.len() - 30;
    talk.say(Client, &request.as_bytes()[..at]);
    talk.miss(Client, 10);
    talk.say(Client, &request.as_bytes()[at + 10..]);
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"errors\":[1]}";
    talk.say(Server, &response.as_bytes()[..response.len() - 10]);
    talk.miss(Server, 5);
    talk.say(Server, &response.as_bytes()[response.len() - 5..]);
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (1, 0), "{:?}", talk.out);
    assert_eq!(operation(&talk, talk.finished[0].op, "/graphql"), "_OTHER");
    assert_eq!(talk.finished[0].status, 200);
}

#[test]
fn pipelined_ones_and_early_answers() {
    let mut talk = Talk::new();
    let names = ["A", "B", "C"];
    let all: String = names
        .iter()
        .map(|name| {
            post(
                "/graphql",
                &format!(r#"{{"query":"query {name} {{ a }}"}}"#),
            )
        })
        .collect();
    talk.say(Client, all.as_bytes());
    for _ in names {
        talk.say(Server, OK.as_bytes());
    }
    // Answered before its body came.
    let late = post("/graphql", r#"{"query":"query Late { a }"}"#);
    let (head, body) = late.split_at(late.len() - 28);
    talk.say(Client, head.as_bytes());
    talk.say(Server, b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n");
    talk.say(Client, body.as_bytes());
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (4, 0));
    let found = talk
        .finished
        .iter()
        .map(|f| operation(&talk, f.op, "/graphql"));
    assert_eq!(
        found.collect::<Vec<_>>(),
        ["query A", "query B", "query C", "_OTHER"]
    );
}
