//! ZooKeeper called through kazoo: every request is counted by operation and outcome.

use std::{net::SocketAddr, thread, time::Duration};

use weir_tests::{
    agent::Agent,
    answer::{Edge, Exchange},
    deeds::counts,
    gate::live,
    netns::Namespace,
    server::{
        Place,
        zookeeper::{CLIENT, Called, Waiting, ZooKeeper, call},
    },
    times::{check_within, durations},
};

const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 2181);

/// Fails unless the edge and its details agree with what kazoo says it did.
fn check(edge: &Edge, told: &[Exchange], called: &Called) {
    let arrow = format!("{CLIENT} → {}:{} zookeeper", ZooKeeper::SERVICE, SERVER.1);
    assert_eq!(edge.arrow(), arrow);
    assert_eq!(
        counts(told.iter().map(|e| e.operation.clone())),
        called.sent
    );
    let errors = told.iter().filter_map(|e| e.error.clone());
    assert_eq!(counts(errors), called.failed);
    assert_eq!(edge.errors, called.failed.values().sum::<u64>(), "{edge:?}");
    edge.check_whole();
}

/// No read took longer than kazoo waited for it; its plain reads are its first ones.
fn check_times(told: &[Exchange], called: &Called) {
    let is_read = |e: &Exchange| e.operation == "getData" && e.error.is_none();
    let mut served = durations(told, is_read);
    served.truncate(called.reads_ns.len());
    check_within("getData", &served, &called.reads_ns);
}

#[test]
fn every_request_is_counted_by_operation_and_outcome() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::start();
    let server = ZooKeeper::start(Place::In(&host), SocketAddr::from(SERVER));
    let tap = agent.tap();
    let called = call(Place::In(&host), server.address);
    let calls = called.sent.values().sum::<u64>();
    assert!(called.sent["ping"] > 0 && calls > 70, "{called:?}");

    let edges = agent.expect_calls(&[SERVER.1], calls);
    let told = tap.take(SERVER.1, calls as usize);
    assert_eq!(edges.len(), 1, "{edges:#?}");
    check(&edges[0], &told, &called);
    check_times(&told, &called);
    let answer = agent.ask::<Edge>(&["edges"]);
    assert_eq!(
        answer.lost.get("orphan_response"),
        None,
        "{:?}",
        answer.lost
    );
}

#[test]
fn a_session_older_than_weir_is_taken_up() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let mut agent = Agent::prepare(Default::default());
    let server = ZooKeeper::start(Place::In(&host), SocketAddr::from(SERVER));
    let client = Waiting::connect(Place::In(&host), server.address);
    agent.restart();
    let tap = agent.tap();
    let mut called = client.go();
    // Pings before the first call are counted by weir only; the word has its own connection.
    called.sent.remove("ping");
    // The last records and counts are on their way when the client has ended.
    thread::sleep(Duration::from_secs(3));
    let mut told = tap.finish().exchanges;
    told.retain(|e| e.server.addr.ends_with(&format!(":{}", SERVER.1)));
    told.retain(|e| e.operation != "ping" && e.operation != "ruok");

    let edges = agent.edges_of(&[SERVER.1]);
    assert_eq!(edges.len(), 1, "{edges:#?}");
    check(&edges[0], &told, &called);
    assert!(edges[0].calls > told.len() as u64, "{:?}", edges[0]);
}
