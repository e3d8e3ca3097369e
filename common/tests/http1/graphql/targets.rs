//! Operations in the target of a GET.

use super::{check_request, run};

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
