//! Service discovery over HTTP: Consul's and Eureka's operations have their names, and every one is
//! counted under its own.

use std::{collections::BTreeMap, net::SocketAddr};

use weir_tests::{
    agent::{Agent, Options},
    answer::Exchange,
    gate::live,
    metrics::{Operations, settled},
    netns::Namespace,
    process::must,
    server::{Place, consul::Consul, eureka::Eureka, free_port},
    times::check_slow,
};

type Tally = BTreeMap<(String, u16), u64>;

fn with_metrics() -> (SocketAddr, Agent) {
    let metrics = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let agent = Agent::with(Options {
        config: format!("metrics = \"{metrics}\"\ndetail_per_second = 1000000\n"),
        ..Options::default()
    });
    (metrics, agent)
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn calls_of(operations: &Operations) -> Tally {
    let calls = operations.iter();
    calls
        .map(|(operation, served)| (operation.clone(), served.calls))
        .collect()
}

fn tapped(exchanges: &[Exchange]) -> Tally {
    let mut tally = Tally::new();
    for exchange in exchanges {
        let status = exchange.status.unwrap_or(0);
        *tally
            .entry((exchange.operation.clone(), status))
            .or_default() += 1;
    }
    tally
}

fn expected<const N: usize>(rows: [(&str, u16, u64); N]) -> Tally {
    rows.map(|(operation, status, calls)| ((operation.to_owned(), status), calls))
        .into()
}

#[test]
fn operations_of_consul_are_counted_by_name() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let (metrics, agent) = with_metrics();
    let consul = Consul::start(Place::In(&host), at(8500));
    let tap = agent.tap();
    must(&mut consul.client(Place::In(&host), "few"));
    let expected = expected([
        ("PUT /v1/agent/service/register", 200, 1),
        ("GET /v1/health/service/{service}", 200, 1),
        ("GET /v1/catalog/services", 200, 1),
        ("PUT /v1/session/create", 200, 1),
        ("PUT /v1/kv/{key...}", 200, 5),
        ("GET /v1/kv/{key...}", 200, 4),
        ("GET /v1/kv/{key...}", 404, 1),
        ("PUT /v1/session/renew/{session}", 200, 1),
        ("PUT /v1/session/destroy/{session}", 200, 1),
        ("DELETE /v1/kv/{key...}", 200, 1),
        ("PUT /v1/agent/service/deregister/{id}", 200, 1),
    ]);
    let all = expected.values().sum();
    assert_eq!(tapped(&tap.take(8500, all as usize)), expected);
    let operations = settled(metrics, Consul::SERVICE, all);
    assert_eq!(calls_of(&operations), expected);
    for ((operation, _), served) in &operations {
        let route = operation.split(' ').nth(1).map(str::to_owned);
        assert_eq!(served.route, route);
        assert_eq!(served.source.as_deref(), Some("known-api"), "{operation}");
    }
    agent.expect_calls(&[8500], all);
}

#[test]
fn a_blocking_query_lasts_as_long_as_its_client_waits() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let (metrics, agent) = with_metrics();
    let consul = Consul::start(Place::In(&host), at(8510));
    let tap = agent.tap();
    let waited: u64 = must(&mut consul.client(Place::In(&host), "watch"))
        .trim()
        .parse()
        .expect("how long the client waited");
    let exchanges = tap.take(8510, 4);
    let tally = tapped(&exchanges);
    assert_eq!(
        tally,
        expected([
            ("PUT /v1/kv/{key...}", 200, 2),
            ("GET /v1/kv/{key...}", 200, 1),
            ("GET /v1/kv/{key...} (watch)", 200, 1),
        ])
    );
    let is_watch = |exchange: &&Exchange| exchange.operation.ends_with("(watch)");
    let watch = exchanges.iter().find(is_watch).expect("the blocking query");
    check_slow("watch", &[watch.duration_ns], &[waited]);
    assert!(watch.duration_ns > 1_000_000_000, "{watch:?}");
    // What is counted is not told apart by queries.
    let operations = settled(metrics, Consul::SERVICE, 4);
    assert_eq!(
        calls_of(&operations),
        expected([
            ("PUT /v1/kv/{key...}", 200, 2),
            ("GET /v1/kv/{key...}", 200, 2)
        ])
    );
    agent.expect_calls(&[8510], 4);
}

/// The name of a path that the stand-in answered.
fn eureka_route(path: &str) -> String {
    let words: Vec<&str> = path.trim_matches('/').split('/').collect();
    match words[2..] {
        [] => "/eureka/apps".into(),
        ["delta"] => "/eureka/apps/delta".into(),
        [_] => "/eureka/apps/{app}".into(),
        [_, _] => "/eureka/apps/{app}/{instance}".into(),
        [_, _, last] => format!("/eureka/apps/{{app}}/{{instance}}/{last}"),
        _ => path.into(),
    }
}

#[test]
fn operations_of_eureka_are_counted_by_name() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let (metrics, agent) = with_metrics();
    let eureka = Eureka::start(Place::In(&host), at(8761));
    let tap = agent.tap();
    must(&mut eureka.client(Place::In(&host)));
    let answered = eureka.answered();
    let mut expected = Tally::new();
    for (method, path, status) in &answered {
        let operation = format!("{method} {}", eureka_route(path));
        *expected.entry((operation, *status)).or_default() += 1;
    }
    for part in [
        "POST /eureka/apps/{app}",
        "PUT /eureka/apps/{app}/{instance}",
        "GET /eureka/apps",
        "GET /eureka/apps/delta",
        "DELETE /eureka/apps/{app}/{instance}",
    ] {
        let found = expected.keys().any(|(operation, _)| operation == part);
        assert!(
            found,
            "the client did all there is to it: {part}, {expected:?}"
        );
    }
    let all = answered.len() as u64;
    assert_eq!(tapped(&tap.take(8761, answered.len())), expected);
    let operations = settled(metrics, Eureka::SERVICE, all);
    assert_eq!(calls_of(&operations), expected);
    agent.expect_calls(&[8761], all);
}
