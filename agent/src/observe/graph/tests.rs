//! The graph over sequences of snapshots.

mod routes;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use weir_common::{
    flow::{Party, protocol, role, v4_mapped},
    framing::http1::op_hash,
    stable_hash,
};

use super::*;
use crate::observe::{
    model::{Workload, WorkloadKind},
    operations::OperationKey,
    parties::{Named, PartyFacts, endpoint_of, remote_endpoint},
};

const SECOND: u64 = 1_000_000_000;

/// Names by workload id and by process.
#[derive(Default)]
struct Table {
    by_tgid: Mutex<HashMap<u32, &'static str>>,
}

fn workload(service: &str) -> Arc<Workload> {
    Arc::new(Workload {
        id: stable_hash(service.as_bytes()),
        service: service.into(),
        namespace: None,
        kind: WorkloadKind::Process,
        unit: None,
        container: None,
        pod: None,
        process: None,
        attributes: BTreeMap::new(),
    })
}

impl Names for Table {
    fn party(&self, facts: &PartyFacts) -> Named {
        let by_tgid = self.by_tgid.lock().unwrap();
        let service = ["web", "db", "curl"]
            .into_iter()
            .find(|name| stable_hash(name.as_bytes()) == facts.workload)
            .or_else(|| by_tgid.get(&facts.tgid).copied());
        match service {
            Some(service) => Named {
                endpoint: endpoint_of(&workload(service), &facts.addr, facts.port),
                workload: Some(workload(service)),
                settled: true,
            },
            None => Named {
                endpoint: remote_endpoint(&facts.addr, facts.port),
                workload: None,
                settled: !facts.local,
            },
        }
    }

    fn generation(&self) -> u64 {
        1
    }
}

fn named(service: &str) -> Party {
    Party {
        workload: stable_hash(service.as_bytes()),
        ..Party::default()
    }
}

fn process(tgid: u32) -> Party {
    Party {
        tgid,
        ..Party::default()
    }
}

fn remote(last: u8) -> Party {
    Party {
        addr: v4_mapped([10, 0, 0, last]),
        ..Party::default()
    }
}

fn key(client: Party, server: Party, role: u8) -> EdgeKey {
    EdgeKey {
        client,
        server,
        port: 80,
        role,
        ..EdgeKey::default()
    }
}

fn value(id: u32, opened: u64) -> EdgeValue {
    EdgeValue {
        id,
        opened,
        first_seen_ns: 1 + u64::from(id),
        ..EdgeValue::default()
    }
}

fn stats(opened: u64, last_seen_ns: u64) -> EdgeStats {
    EdgeStats {
        segments: opened * 10,
        bytes_to_server: opened * 100,
        bytes_to_client: opened * 1_000,
        last_seen_ns,
        ..EdgeStats::default()
    }
}

fn operation(edge_id: u32, target: &str, status: u16, calls: u64) -> (OpKey, OpValue) {
    let mut value = OpValue {
        unqueued: calls,
        duration_sum_ns: calls * 5_000,
        last_seen_ns: SECOND,
        ..OpValue::default()
    };
    value.buckets[10] = calls as u32;
    let key = OpKey {
        op: op_hash(target.as_bytes()),
        edge_id,
        status,
        protocol: protocol::HTTP1,
        method: 1,
    };
    (key, value)
}

fn at(second: u64, edges: &[(EdgeKey, EdgeValue)], ops: &[(OpKey, OpValue)]) -> KernelSnapshot {
    KernelSnapshot {
        monotonic_ns: second * SECOND,
        unix_ns: (1_000 + second) * SECOND,
        edges: edges.to_vec(),
        stats: edges
            .iter()
            .map(|(_, value)| (value.id, stats(value.opened, second * SECOND)))
            .collect(),
        operations: ops.to_vec(),
        ..KernelSnapshot::default()
    }
}

fn ops() -> OperationNames {
    let mut names = OperationNames::new(1_000);
    for target in ["/", "/a", "/b", "/c"] {
        let key = OperationKey {
            protocol: protocol::HTTP1,
            method: 1,
            op: op_hash(target.as_bytes()),
        };
        names.learn(key, target.as_bytes());
    }
    names
}

fn find<'a>(graph: &'a Graph, client: &str, server: &str) -> &'a EdgeState {
    graph
        .edges()
        .find(|edge| edge.client.service == client && edge.server.service == server)
        .unwrap_or_else(|| panic!("no edge {client} → {server}"))
}

#[test]
fn counts_are_added_once_and_carry_names() {
    let mut graph = Graph::new(GraphLimits::default());
    let edge = key(remote(1), named("web"), role::SERVER);
    for (second, calls) in [(1, 10), (2, 10), (3, 25)] {
        let snapshot = at(
            second,
            &[(edge, value(1, calls))],
            &[operation(1, "/a", 200, calls), operation(1, "/", 500, 2)],
        );
        graph.apply(&snapshot, &Table::default(), &mut ops());
    }
    let edge = find(&graph, "10.0.0.1", "web");
    assert_eq!((edge.calls(), edge.errors()), (27, 2));
    assert_eq!(edge.durations().count(), 27);
    assert_eq!(edge.protocol, "http");
    assert_eq!((edge.bytes_out, edge.bytes_in), (2_500, 25_000));
    assert_eq!((edge.tcp.opened, edge.tcp.open), (25, 25));
    assert!(edge.counted_at_server && !edge.local_pair);
    assert_eq!(edge.last_seen_ns, 1_003 * SECOND);
    let names: Vec<&str> = edge
        .operations
        .keys()
        .map(|id| id.operation.as_str())
        .collect();
    assert_eq!(names, ["GET /", "GET /a"]);
    assert_eq!(graph.calls(), 27);
}

#[test]
fn a_map_that_began_anew_keeps_what_was_counted() {
    let mut graph = Graph::new(GraphLimits::default());
    let edge = key(remote(1), named("web"), role::SERVER);
    for (second, calls) in [(1, 10), (2, 3), (3, 5)] {
        let mut snapshot = at(
            second,
            &[(edge, value(1, calls))],
            &[operation(1, "/a", 200, calls)],
        );
        // The second run of the maps gives the edge a first sight of its own.
        snapshot.edges[0].1.first_seen_ns = if second == 1 { 1 } else { 2 };
        graph.apply(&snapshot, &Table::default(), &mut ops());
    }
    let edge = find(&graph, "10.0.0.1", "web");
    assert_eq!(edge.calls(), 15);
    assert_eq!(edge.tcp.opened, 15);
}

#[test]
fn a_process_that_gets_its_name_stays_one_edge() {
    let names = Table::default();
    let mut graph = Graph::new(GraphLimits::default());
    let early = (key(process(7), named("web"), role::SERVER), value(1, 4));
    let late = (key(named("curl"), named("web"), role::SERVER), value(2, 6));
    graph.apply(
        &at(1, &[early], &[operation(1, "/a", 200, 4)]),
        &names,
        &mut ops(),
    );
    assert!(graph.is_empty(), "waits for the name");
    assert_eq!(graph.unsettled().count(), 1);
    names.by_tgid.lock().unwrap().insert(7, "curl");
    graph.apply(
        &at(
            2,
            &[early, late],
            &[operation(1, "/a", 200, 5), operation(2, "/a", 200, 6)],
        ),
        &names,
        &mut ops(),
    );
    assert_eq!(graph.len(), 1);
    let edge = find(&graph, "curl", "web");
    assert_eq!(edge.calls(), 11);
    assert_eq!(edge.tcp.opened, 10);
    assert!(edge.local_pair);
}

#[test]
fn a_name_that_never_comes_delays_but_does_not_lose() {
    let names = Table::default();
    let mut graph = Graph::new(GraphLimits::default());
    let edge = (key(process(7), named("web"), role::SERVER), value(1, 4));
    for second in 1..=5 {
        graph.apply(
            &at(second, &[edge], &[operation(1, "/a", 200, second)]),
            &names,
            &mut ops(),
        );
        names.by_tgid.lock().unwrap().remove(&7);
    }
    assert_eq!(graph.edges().map(EdgeState::calls).sum::<u64>(), 5);
    // Found after all: what comes from now on belongs to the named edge, nothing counts twice.
    names.by_tgid.lock().unwrap().insert(7, "curl");
    graph.apply(
        &at(6, &[edge], &[operation(1, "/a", 200, 9)]),
        &names,
        &mut ops(),
    );
    assert_eq!(find(&graph, "curl", "web").calls(), 4);
    assert_eq!(graph.calls(), 9);
}

#[test]
fn an_operation_waits_for_its_name() {
    let mut graph = Graph::new(GraphLimits::default());
    let edge = (key(remote(1), named("web"), role::SERVER), value(1, 1));
    let mut names = OperationNames::new(10);
    let tick = |graph: &mut Graph, second, calls, names: &mut OperationNames| {
        graph.apply(
            &at(second, &[edge], &[operation(1, "/a", 200, calls)]),
            &Table::default(),
            names,
        );
    };
    tick(&mut graph, 1, 5, &mut names);
    assert_eq!(graph.calls(), 0);
    let key = OperationKey::from(&operation(1, "/a", 200, 0).0);
    names.learn(key, b"/a");
    tick(&mut graph, 2, 6, &mut names);
    let edge_state = find(&graph, "10.0.0.1", "web");
    assert_eq!(edge_state.operations.len(), 1);
    assert_eq!(edge_state.calls(), 6);
    // Without a name it is counted as unnamed after a while, exactly once.
    let mut graph = Graph::new(GraphLimits::default());
    for second in 1..=6 {
        tick(&mut graph, second, second, &mut OperationNames::new(1));
    }
    let edge_state = find(&graph, "10.0.0.1", "web");
    let id = edge_state.operations.keys().next().unwrap();
    assert_eq!(id.operation, "GET _UNNAMED");
    assert_eq!(edge_state.calls(), 6);
}

#[test]
fn the_server_end_owns_the_counts() {
    let names = Table::default();
    let mut graph = Graph::new(GraphLimits::default());
    let client = (key(named("curl"), named("web"), role::CLIENT), value(1, 10));
    let server = (key(named("curl"), named("web"), role::SERVER), value(2, 10));
    let mut snapshot = at(
        1,
        &[client, server],
        &[operation(1, "/a", 200, 10), operation(2, "/a", 200, 10)],
    );
    snapshot.stats[0].1.connect[3] = 10;
    snapshot.stats[0].1.connect_failures = 2;
    graph.apply(&snapshot, &names, &mut ops());
    let edge = find(&graph, "curl", "web");
    assert_eq!(edge.calls(), 10);
    assert_eq!((edge.tcp.opened, edge.tcp.open), (10, 10));
    assert_eq!(edge.tcp.connect.count(), 10, "only the client knows these");
    assert_eq!(edge.tcp.connect_failures, 2);
    assert!(edge.counted_at_server);
}

#[test]
fn a_server_end_that_appears_later_takes_over_without_a_step_back() {
    let names = Table::default();
    let mut graph = Graph::new(GraphLimits::default());
    let client = (key(named("curl"), named("web"), role::CLIENT), value(1, 10));
    let server = (key(named("curl"), named("web"), role::SERVER), value(2, 1));
    graph.apply(
        &at(1, &[client], &[operation(1, "/a", 200, 10)]),
        &names,
        &mut ops(),
    );
    graph.apply(
        &at(
            2,
            &[client, server],
            &[operation(1, "/a", 200, 13), operation(2, "/a", 200, 3)],
        ),
        &names,
        &mut ops(),
    );
    assert_eq!(find(&graph, "curl", "web").calls(), 13);
}

#[test]
fn protocols_are_named_by_what_was_seen() {
    for (seen, expected) in [
        (vec![], "tcp"),
        (vec![(protocol::UNKNOWN, 3)], "tcp"),
        (vec![(protocol::TLS, 3), (protocol::TCP, 1)], "tls"),
        (vec![(protocol::HTTP2, 3)], "http2"),
        (vec![(protocol::HTTP1, 1), (protocol::UPGRADED, 4)], "http"),
    ] {
        let mut graph = Graph::new(GraphLimits::default());
        let edge = (key(remote(1), named("db"), role::SERVER), value(1, 1));
        let mut snapshot = at(1, &[edge], &[]);
        for (code, count) in seen {
            snapshot.stats[0].1.protocols[usize::from(code)] = count;
        }
        graph.apply(&snapshot, &Table::default(), &mut ops());
        assert_eq!(find(&graph, "10.0.0.1", "db").protocol, expected);
    }
}

#[test]
fn attempts_that_failed_are_no_connections() {
    let names = Table::default();
    let mut graph = Graph::new(GraphLimits::default());
    let edge = key(named("curl"), remote(9), role::CLIENT);
    // The edge's value is read before its totals, so a failure may show in the totals first.
    for (second, opened, failures) in [(1, 4, 2), (2, 4, 3), (3, 7, 3)] {
        let mut snapshot = at(second, &[(edge, value(1, opened))], &[]);
        snapshot.stats[0].1.connect_failures = failures;
        graph.apply(&snapshot, &names, &mut ops());
    }
    let tcp = &find(&graph, "curl", "10.0.0.9").tcp;
    assert_eq!((tcp.opened, tcp.connect_failures), (4, 3));
}

#[test]
fn rates_follow_the_window_and_do_not_show_the_past() {
    let mut graph = Graph::new(GraphLimits::default());
    let old = (key(remote(1), named("web"), role::SERVER), value(1, 1));
    let mut rates = Vec::new();
    for (second, calls) in [(10, 1_000_000), (11, 1_000_100), (12, 1_000_200)] {
        graph.apply(
            &at(second, &[old], &[operation(1, "/a", 200, calls)]),
            &Table::default(),
            &mut ops(),
        );
        rates.push(find(&graph, "10.0.0.1", "web").rate);
    }
    assert_eq!(rates, [0.0, 100.0, 100.0]);
    let mut new = (key(remote(2), named("web"), role::SERVER), value(2, 1));
    new.1.first_seen_ns = 12 * SECOND + 1;
    graph.apply(
        &at(13, &[old, new], &[operation(2, "/a", 200, 50)]),
        &Table::default(),
        &mut ops(),
    );
    assert!((find(&graph, "10.0.0.2", "web").rate - 50.0).abs() < 1e-9);
}

#[test]
fn a_full_graph_folds_the_idlest_edges_and_loses_no_call() {
    let mut graph = Graph::new(GraphLimits {
        edges: 16,
        ..GraphLimits::default()
    });
    let mut edges = Vec::new();
    let mut operations = Vec::new();
    for id in 1..=40_u32 {
        let mut value = value(id, 1);
        value.closed = 1;
        value.first_seen_ns = u64::from(id) * SECOND;
        edges.push((key(remote(id as u8), named("web"), role::SERVER), value));
        operations.push(operation(id, "/a", 200, 2));
        let mut snapshot = at(u64::from(id), &edges, &operations);
        for (id, stats) in &mut snapshot.stats {
            stats.last_seen_ns = u64::from(*id) * SECOND;
        }
        graph.apply(&snapshot, &Table::default(), &mut ops());
        assert!(graph.len() <= 17);
        let calls: u64 = graph.edges().map(EdgeState::calls).sum();
        assert_eq!(calls, u64::from(id) * 2);
    }
    assert!(graph.folded().edges >= 24);
    let other = find(&graph, OTHER, OTHER);
    assert_eq!(other.calls(), graph.folded().edges * 2);
    assert!(graph.edges().any(|edge| edge.client.service == "10.0.0.40"));
}

#[test]
fn operations_beyond_the_limit_are_folded() {
    let mut graph = Graph::new(GraphLimits {
        operations_per_edge: 2,
        ..GraphLimits::default()
    });
    let edge = (key(remote(1), named("web"), role::SERVER), value(1, 1));
    let operations = ["/a", "/b", "/c", "/"].map(|target| operation(1, target, 200, 1));
    graph.apply(&at(1, &[edge], &operations), &Table::default(), &mut ops());
    let edge = find(&graph, "10.0.0.1", "web");
    assert_eq!(edge.calls(), 4);
    assert_eq!(graph.folded().calls, 2);
    assert!(edge.operations.keys().any(|id| id.operation == OTHER));
}

#[test]
fn what_the_kernel_folded_is_shown_as_other() {
    let mut graph = Graph::new(GraphLimits::default());
    let mut snapshot = at(1, &[], &[operation(EDGE_OTHER, "/a", 200, 5)]);
    snapshot.lost[Loss::EdgeTableFull as usize] = 3;
    graph.apply(&snapshot, &Table::default(), &mut ops());
    assert_eq!(find(&graph, OTHER, OTHER).calls(), 5);
    assert_eq!(graph.lost().get("edge_table_full"), Some(&3));
}

#[test]
fn only_what_is_idle_and_of_no_more_use_is_forgotten() {
    let mut graph = Graph::new(GraphLimits::default());
    let closed = |id, party| {
        let mut value = value(id, 1);
        value.closed = 1;
        (key(party, named("web"), role::SERVER), value)
    };
    let edges = [
        closed(1, process(7)),
        (key(process(8), named("web"), role::SERVER), value(2, 1)),
        closed(3, named("curl")),
    ];
    graph.apply(&at(1, &edges, &[]), &Table::default(), &mut ops());
    assert!(graph.forgettable(2 * SECOND).is_empty(), "not idle yet");
    assert_eq!(graph.forgettable(100 * SECOND), [edges[0].0]);
}
