//! Values that the tests of this room share.

use std::{collections::BTreeMap, sync::Arc};

use weir_common::counter::bucket_of;

use super::metrics::resource::tests::unit;
use crate::observe::model::{
    EdgeState, Endpoint, Exchange, Histogram, OperationCounts, OperationId, QueueTimes,
    RouteSource, TcpCounts, Workload, WorkloadKind,
};

/// `count` values of `ns`.
pub fn histogram(count: u64, ns: u64) -> Histogram {
    let mut histogram = Histogram::default();
    histogram.buckets[bucket_of(ns)] = count;
    histogram.sum_ns = count * ns;
    histogram
}

fn end(service: &str, here: bool, addr: &str) -> Endpoint {
    let kind = if here {
        WorkloadKind::Unit
    } else {
        WorkloadKind::Remote
    };
    Endpoint {
        service: service.into(),
        namespace: None,
        kind,
        instance: None,
        addr: addr.into(),
    }
}

fn workload(service: &str, here: bool) -> Option<Arc<Workload>> {
    here.then(|| unit(service))
}

/// An HTTP edge without operations; `true` says that the end is on this host.
pub fn edge(client: (&str, bool), server: (&str, bool)) -> EdgeState {
    EdgeState {
        client: end(client.0, client.1, "10.0.0.1"),
        server: end(server.0, server.1, "10.0.0.2:8080"),
        client_workload: workload(client.0, client.1),
        server_workload: workload(server.0, server.1),
        protocol: "http".into(),
        port: 8080,
        counted_at_server: server.1,
        local_pair: client.1 && server.1,
        operations: BTreeMap::new(),
        tcp: TcpCounts::default(),
        bytes_out: 0,
        bytes_in: 0,
        tls: false,
        lost: BTreeMap::new(),
        first_seen_ns: 1_000,
        last_seen_ns: 2_000,
        rate: 0.0,
    }
}

/// Adds `calls` of `GET operation` with `status` that took 3 ms each.
pub fn with_calls(mut edge: EdgeState, operation: &str, status: u16, calls: u64) -> EdgeState {
    let id = OperationId {
        operation: operation.into(),
        method: Some("GET".into()),
        status,
        route_source: Some(RouteSource::Heuristic),
    };
    let counts = OperationCounts {
        calls,
        request_bytes: 100 * calls,
        response_bytes: 1_000 * calls,
        duration: histogram(calls, 3_000_000),
        queue: QueueTimes {
            count: calls,
            sum_ns: 500_000 * calls,
        },
    };
    edge.operations.insert(id, counts);
    edge
}

/// An exchange of a local pair.
pub fn exchange(status: Option<u16>) -> Exchange {
    let edge = edge(("web", true), ("api", true));
    Exchange {
        ts: 1.5,
        duration_ns: 2_000_000,
        client: edge.client,
        server: edge.server,
        protocol: edge.protocol,
        operation: "GET /users/*".into(),
        route_source: Some(RouteSource::Heuristic),
        method: Some("GET".into()),
        path: Some("/users/7".into()),
        status,
        error: None,
        request_bytes: 120,
        response_bytes: 4_096,
        request_messages: None,
        response_messages: None,
        destination: None,
        trace_id: Some("0af7651916cd43dd8448eb211c80319c".into()),
        span_id: Some("b7ad6b7169203331".into()),
        parent_span_id: Some("00f067aa0ba902b7".into()),
        client_parent_span_id: None,
        confidence: None,
        tls: false,
        tls_handshake: None,
        verdict: "allow".into(),
        started_unix_ns: 1_500_000_000,
        time_to_first_byte_ns: Some(1_000_000),
        queue_ns: Some(400_000),
        client_workload: edge.client_workload,
        server_workload: edge.server_workload,
        server_port: 8080,
        client_here: true,
        server_here: true,
        sample_probability: 0.25,
    }
}
