//! What of a body is read: its beginning, of its first chunks.

use super::{check, check_request, post, run};

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
}

// Nor is the text's that it would take the place of.
#[test]
fn a_name_asked_for_that_the_window_cuts_is_none() {
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
}

#[test]
fn a_name_in_a_text_that_the_window_cuts_is_none() {
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

fn chunked(path: &str, body: &str, size: usize) -> String {
    let chunk = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).expect("ASCII");
        format!("{:x}\r\n{text}\r\n", bytes.len())
    };
    let chunks: String = body.as_bytes().chunks(size).map(chunk).collect();
    format!("POST {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
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
