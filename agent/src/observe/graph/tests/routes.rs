//! Operations of HTTP under their routes.

use super::*;
use crate::observe::{model::RouteSource, routes::Routes};

/// Names of every operation of an edge with its calls.
fn operations_of(edge: &EdgeState) -> Vec<(&str, u64)> {
    let operations = edge.operations.iter();
    operations
        .map(|(id, counts)| (id.operation.as_str(), counts.calls))
        .collect()
}

fn named_ops(targets: &[String], routes: Routes) -> OperationNames {
    let mut names = OperationNames::with_routes(1_000, routes);
    for target in targets {
        let key = OperationKey::from(&operation(1, target, 200, 0).0);
        names.learn(key, target.as_bytes());
    }
    names
}

#[test]
fn counters_of_one_route_are_one_series() {
    let mut graph = Graph::new(GraphLimits::default());
    let edge = (key(remote(1), named("web"), role::SERVER), value(1, 1));
    let targets = ["/v1/kv/a", "/v1/kv/b/c", "/v1/kv/7", "/other"].map(str::to_owned);
    let mut names = named_ops(&targets, Routes::default());
    for calls in [1, 3] {
        let operations: Vec<_> = (0..)
            .zip(&targets)
            .map(|(n, target)| operation(1, target, 200, calls + n))
            .collect();
        let snapshot = at(calls, &[edge], &operations);
        graph.apply(&snapshot, &Table::default(), &mut names);
    }
    let edge = find(&graph, "10.0.0.1", "web");
    assert_eq!(
        operations_of(edge),
        [("GET /other", 6), ("GET /v1/kv/{key...}", 3 + 4 + 5)]
    );
    assert_eq!(edge.durations().count(), 18);
    let sources: Vec<_> = edge.operations.keys().map(|id| id.route_source).collect();
    assert_eq!(
        sources,
        [Some(RouteSource::Heuristic), Some(RouteSource::KnownApi)]
    );
}

#[test]
fn many_names_of_things_are_one_operation_from_the_first_snapshot_on() {
    let mut graph = Graph::new(GraphLimits::default());
    let edge = (key(remote(1), named("web"), role::SERVER), value(1, 1));
    let letter = |n: u8| char::from(b'a' + n % 26);
    let targets: Vec<String> = (0..80)
        .map(|n| format!("/users/{}{}/orders", letter(n / 26), letter(n)))
        .collect();
    let mut names = named_ops(&targets, Routes::default());
    let operations: Vec<_> = targets
        .iter()
        .map(|target| operation(1, target, 200, 2))
        .collect();
    graph.apply(&at(1, &[edge], &operations), &Table::default(), &mut names);
    let edge = find(&graph, "10.0.0.1", "web");
    assert_eq!(operations_of(edge), [("GET /users/{…}/orders", 160)]);
    assert_eq!(graph.folded().calls, 0);
}

#[test]
fn what_was_counted_under_its_own_name_stays_and_nothing_counts_twice() {
    let mut graph = Graph::new(GraphLimits::default());
    let edge = (key(remote(1), named("web"), role::SERVER), value(1, 1));
    let letter = |n: u8| char::from(b'a' + n % 26);
    let targets: Vec<String> = (0..60)
        .map(|n| format!("/users/{}{}", letter(n / 26), letter(n)))
        .collect();
    let mut names = named_ops(&targets, Routes::default());
    for (second, upto, calls) in [(1, 1, 5), (2, 60, 6)] {
        let operations: Vec<_> = targets[..upto]
            .iter()
            .map(|target| operation(1, target, 200, calls))
            .collect();
        let snapshot = at(second, &[edge], &operations);
        graph.apply(&snapshot, &Table::default(), &mut names);
    }
    let edge = find(&graph, "10.0.0.1", "web");
    assert_eq!(
        operations_of(edge),
        [("GET /users/aa", 5), ("GET /users/{…}", 1 + 59 * 6)]
    );
    assert_eq!(edge.calls(), graph.calls());
}

#[test]
fn a_service_with_too_many_operations_shows_others_and_counts_them() {
    let mut graph = Graph::new(GraphLimits::default());
    let edge = (key(remote(1), named("web"), role::SERVER), value(1, 1));
    let targets = ["/a", "/b", "/c"].map(str::to_owned);
    let mut names = named_ops(&targets, Routes::default().with_max_operations(1));
    let operations = ["/a", "/b", "/c"].map(|target| operation(1, target, 200, 3));
    graph.apply(&at(1, &[edge], &operations), &Table::default(), &mut names);
    let edge = find(&graph, "10.0.0.1", "web");
    assert_eq!(operations_of(edge), [("GET /a", 3), ("GET _OTHER", 6)]);
    assert_eq!(graph.folded().calls, 6);
}
