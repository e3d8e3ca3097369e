//! Routes of HTTP from the configuration, and those that are learned.

use std::net::SocketAddr;

use weir_tests::{
    agent::{Agent, Options},
    client::Client,
    gate::live,
    metrics::{Operations, Served, settled},
    netns::Namespace,
    process::must,
    server::{Place, free_port, nginx::Nginx},
};

const ROUTES: &str = r#"
[[routes]]
service = "nginx"
templates = ["/users/{id}", "/users/{id}/orders", "/files/{path...}"]
[[routes]]
service = "another"
templates = ["/{any...}"]
"#;

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn with_routes() -> (SocketAddr, Agent) {
    let metrics = at(free_port());
    let agent = Agent::with(Options {
        config: format!("metrics = \"{metrics}\"\n{ROUTES}"),
        ..Options::default()
    });
    (metrics, agent)
}

fn ask(client: &mut Client, path: &str) {
    client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_eq!(client.response(false).status, 200, "{path}");
}

/// `operation source route calls`
fn lines(operations: &Operations) -> Vec<String> {
    let line = |((operation, _), served): (&(String, u16), &Served)| {
        let source = served.source.as_deref().unwrap_or("-");
        let route = served.route.as_deref().unwrap_or("-");
        format!("{operation} {source} {route} {}", served.calls)
    };
    operations.iter().map(line).collect()
}

#[test]
fn requests_are_counted_under_the_routes_of_the_configuration() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let (metrics, agent) = with_routes();
    let nginx = Nginx::start(Place::In(&host), at(7101), "location / { return 200 ok; }");
    let mut client = host.run(|| Client::connect(nginx.address));
    for round in 0..5 {
        for path in [
            format!("/users/{round}"),
            "/users/me?full=1".into(),
            format!("/users/u{round}/orders"),
            format!("/files/a/b{round}/c"),
            "/files/readme".into(),
            format!("/carts/{round}"),
        ] {
            ask(&mut client, &path);
        }
    }
    let expected = [
        "GET /carts/* heuristic - 5",
        "GET /files/{path...} config /files/{path...} 10",
        "GET /users/{id} config /users/{id} 10",
        "GET /users/{id}/orders config /users/{id}/orders 5",
    ];
    assert_eq!(lines(&settled(metrics, "nginx", 30)), expected);
    agent.expect_calls(&[7101], 30);
    assert_eq!(nginx.served(), 30);
}

#[test]
fn requests_of_http2_have_the_same_routes() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let (metrics, agent) = with_routes();
    let nginx = Nginx::http2(Place::In(&host), at(7102), "location / { return 200 ok; }");
    let url = |path: &str| format!("http://{}{path}", nginx.address);
    let urls = ["/users/7", "/users/me", "/files/x/y", "/v1/kv/a/b", "/none"].map(url);
    must(
        Place::In(&host)
            .command("nghttp", "shop")
            .arg("--null-out")
            .args(urls),
    );
    let expected = [
        "GET /files/{path...} config /files/{path...} 1",
        "GET /none heuristic - 1",
        "GET /users/{id} config /users/{id} 2",
        "GET /v1/kv/{key...} known-api /v1/kv/{key...} 1",
    ];
    assert_eq!(lines(&settled(metrics, "nginx", 5)), expected);
    agent.expect_calls(&[7102], 5);
}

/// A word without digits, another for each number.
fn word(number: usize) -> String {
    let digits = format!("{number:03}");
    digits
        .bytes()
        .map(|digit| char::from(digit - b'0' + b'a'))
        .collect()
}

#[test]
fn names_of_things_become_one_operation_and_no_call_is_lost() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let (metrics, agent) = with_routes();
    let nginx = Nginx::start(Place::In(&host), at(7103), "location / { return 200 ok; }");
    let mut client = host.run(|| Client::connect(nginx.address));
    let sent = 600;
    for number in 0..sent {
        ask(&mut client, &format!("/articles/{}/text", word(number)));
        ask(&mut client, "/articles");
    }
    let sent = sent as u64;
    let operations = settled(metrics, "nginx", 2 * sent);
    let of = |wanted: &dyn Fn(&str) -> bool| -> (usize, u64) {
        let found = operations
            .iter()
            .filter(|((operation, _), _)| wanted(operation));
        let calls: Vec<u64> = found.map(|(_, served)| served.calls).collect();
        (calls.len(), calls.iter().sum())
    };
    assert_eq!(of(&|name| name == "GET /articles"), (1, sent));
    let (series, calls) = of(&|name| name.ends_with("/text"));
    let edges = agent.edges_of(&[7103]);
    let lost = agent.status().lost;
    assert_eq!(calls, sent, "{operations:?} {edges:?} {lost:?}");
    // What was counted before there were too many keeps its name.
    assert!((1..=51).contains(&series), "{operations:?}");
    let (_, folded) = of(&|name| name == "GET /articles/{…}/text");
    assert!(folded >= sent - 50, "{operations:?}");
    agent.expect_calls(&[7103], 2 * sent);
}
