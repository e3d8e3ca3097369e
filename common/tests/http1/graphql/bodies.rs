//! The operation that a body asks for.

use super::{check, post, run};

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
