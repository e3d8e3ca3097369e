//! Redis and its clients: every command is counted once, under its name, with its error, whatever
//! shares its connection.

use std::net::SocketAddr;

use weir_tests::{
    agent::Agent,
    answer::errors,
    deeds::{self, all_details, check_durations, check_slow, expect, tally, tally_of},
    gate::live,
    netns::Namespace,
    process::must,
    server::{Place, redis::Redis},
};

const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 6379);
const SHOWN: &str = " → redis-server:6379 redis";

#[test]
fn commands_errors_pipelines_and_pushes_of_both_versions() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = Redis::start(Place::In(&host), SocketAddr::from(SERVER));
    let tap = agent.tap();
    let done = deeds::read(&must(&mut server.client(Place::In(&host), "all")));
    assert!(done.len() > 500, "{}", done.len());
    let exchanges = tap.take(server.address.port(), done.len());
    // Of a pipeline deeper than what is remembered the rest is counted, and only that.
    let deep = exchanges.iter().filter(|e| e.operation == "_OTHER").count();
    assert!((300..=2 * (200 - 16)).contains(&deep), "{deep}");
    let mut seen = tally_of(&exchanges);
    seen.remove(&("_OTHER".into(), "-".into()));
    *seen.entry(("GET".into(), "-".into())).or_default() += deep as u64;
    assert_eq!(seen, tally(&done));
    let edges = agent.expect_calls(&[server.address.port()], done.len() as u64);
    assert!(edges.iter().all(|edge| edge.arrow().ends_with(SHOWN)));
    let failed = done.iter().filter(|deed| deed.error != "-").count() as u64;
    assert_eq!(errors(&edges), failed);
    check_durations(&exchanges, &done, &["SET", "PUBLISH"]);
    check_slow(&exchanges, &done, "BLPOP");
}

#[test]
fn a_saturated_server_and_weir_count_alike() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let place = Place::In(&host);
    let agent = Agent::start();
    let server = Redis::start(place, SocketAddr::from(SERVER));
    for pipeline in [1, 16] {
        server.benchmark(place, 100_000, pipeline);
    }
    let executed = server.executed(place);
    assert!(executed >= 400_000, "{executed}");
    // With the question itself.
    let edges = agent.expect_calls(&[server.address.port()], executed + 1);
    let seen: u64 = edges.iter().map(|edge| edge.calls).sum();
    assert_eq!(seen, executed + 1);
    assert_eq!(errors(&edges), 0);
}

#[test]
fn connections_older_than_weir_are_taken_up() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let mut agent = Agent::prepare(all_details());
    let server = Redis::start(Place::In(&host), SocketAddr::from(SERVER));
    let mut client = server.client(Place::In(&host), "late");
    let (tap, done) = deeds::late(&mut agent, &mut client);
    let exchanges = tap.take(server.address.port(), done.len());
    assert_eq!(tally_of(&exchanges), tally(&done));
    expect(&agent, server.address.port(), SHOWN, &done);
}
