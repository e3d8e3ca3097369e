//! What a connection keeps of operations: over holes, in pipelines, behind early answers.

use super::{OK, operation, post};
use crate::talk::{Client, Server, Talk};

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

#[test]
fn an_answer_that_holds_a_request_does_not_write_the_name_of_its_own() {
    let mut talk = Talk::new();
    let request = post("/graphql", r#"{"query":"query GetUser { user { name } }"}"#);
    // Cut behind the name, before its key is told.
    let (first, rest) = request.split_at(request.len() - 12);
    talk.say(Client, first.as_bytes());
    let body = r#"{"query":"mutation Overwritten { a }","data":{}}"#;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let answer = format!("{head}{body}");
    let (begun, left) = answer.as_bytes().split_at(answer.len() - 2);
    talk.say(Server, begun);
    talk.say(Client, rest.as_bytes());
    talk.say(Server, left);
    let talk = talk.end();
    let op = talk.finished[0].op;
    assert_eq!(operation(&talk, op, "/graphql"), "query GetUser");
}
