//! A daemon that answers with fixed values.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tokio::sync::broadcast;
use weir::{
    control::api::{Answers, ExplainQuery, Explanation, PolicyFile, PolicyItem, Refusal, Status},
    observe::model::{
        Answer, EdgeItem, EdgeState, Endpoint, Exchange, Filter, FlowItem, Histogram,
        OperationCounts, OperationId, QueueTimes, RouteSource, ServiceItem, TcpCounts, TcpItem,
        VerdictItem, Workload, WorkloadKind,
    },
};
use weir_common::counter::bucket_of;

/// Fixed answers; edges can be changed and exchanges published.
pub struct Fixed {
    pub edges: Mutex<Vec<EdgeState>>,
    pub details: broadcast::Sender<Arc<Exchange>>,
    flows: broadcast::Sender<Arc<FlowItem>>,
    verdicts: broadcast::Sender<Arc<VerdictItem>>,
}

impl Fixed {
    pub fn new(edges: Vec<EdgeState>) -> Arc<Self> {
        Arc::new(Self {
            edges: Mutex::new(edges),
            details: broadcast::channel(65_536).0,
            flows: broadcast::channel(1).0,
            verdicts: broadcast::channel(1).0,
        })
    }

    /// Publishes exchanges number `from..to`; span ids tell the number.
    pub fn publish(&self, numbers: std::ops::Range<u64>) {
        for number in numbers {
            // Without an exporter nobody listens, which is no error.
            let _ = self.details.send(Arc::new(exchange(number)));
        }
    }
}

fn end(service: &str, kind: WorkloadKind, addr: &str) -> Endpoint {
    Endpoint {
        service: service.into(),
        namespace: None,
        kind,
        instance: None,
        addr: addr.into(),
    }
}

fn workload(service: &str) -> Option<Arc<Workload>> {
    Some(Arc::new(Workload {
        id: weir_common::stable_hash(service.as_bytes()),
        service: service.into(),
        namespace: Some("shop".into()),
        kind: WorkloadKind::Unit,
        unit: Some(format!("{service}.service")),
        container: None,
        pod: None,
        process: Some(service.into()),
        attributes: BTreeMap::new(),
    }))
}

fn durations(count: u64, ns: u64) -> Histogram {
    let mut histogram = Histogram::default();
    histogram.buckets[bucket_of(ns)] = count;
    histogram.sum_ns = count * ns;
    histogram
}

/// An edge with `ok` calls of 200 and `failed` calls of 500. A client that is an address is a
/// stranger; a server with a dot in its name is elsewhere.
pub fn edge(client: &str, server: &str, port: u16, ok: u64, failed: u64) -> EdgeState {
    let stranger = client.parse::<std::net::IpAddr>().is_ok();
    let elsewhere = server.contains('.');
    let kind = |remote: bool| [WorkloadKind::Unit, WorkloadKind::Remote][usize::from(remote)];
    let mut operations = BTreeMap::new();
    for (status, calls, ns) in [(200, ok, 3_000_000), (500, failed, 40_000_000)] {
        let id = OperationId {
            operation: "GET /items/*".into(),
            method: Some("GET".into()),
            status,
            route_source: Some(RouteSource::Heuristic),
        };
        let counts = OperationCounts {
            calls,
            request_bytes: calls * 100,
            response_bytes: calls * 1_000,
            duration: durations(calls, ns),
            queue: QueueTimes {
                count: calls,
                sum_ns: calls * ns / 10,
            },
        };
        if calls > 0 {
            operations.insert(id, counts);
        }
    }
    EdgeState {
        client: end(client, kind(stranger), "10.0.0.1"),
        server: end(server, kind(elsewhere), &format!("10.0.0.2:{port}")),
        client_workload: if stranger { None } else { workload(client) },
        server_workload: if elsewhere { None } else { workload(server) },
        protocol: "http".into(),
        port,
        counted_at_server: !elsewhere,
        local_pair: !stranger && !elsewhere,
        operations,
        tcp: TcpCounts {
            opened: 12,
            open: 3,
            connect_failures: 1,
            resets: 2,
            segments: 5_000,
            retransmits: 25,
            timeouts: 1,
            rtt: durations(40, 80_000),
            connect: durations(12, 200_000),
        },
        bytes_out: ok * 100,
        bytes_in: ok * 1_000,
        tls: false,
        lost: [("segment_gap".to_owned(), 2)].into(),
        first_seen_ns: now_ns() - 60_000_000_000,
        last_seen_ns: now_ns(),
        rate: 1.0,
    }
}

fn now_ns() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("after 1970").as_nanos() as u64
}

/// Exchange `number` between two local services; its server span id is the number.
pub fn exchange(number: u64) -> Exchange {
    let edge = edge("web", "api", 8080, 1, 0);
    Exchange {
        ts: 0.0,
        duration_ns: 2_000_000,
        client: edge.client,
        server: edge.server,
        protocol: "http".into(),
        operation: "GET /items/*".into(),
        route_source: Some(RouteSource::Heuristic),
        method: Some("GET".into()),
        path: Some(format!("/items/{number}")),
        status: Some(200),
        error: None,
        request_bytes: 100,
        response_bytes: 1_000,
        request_messages: None,
        response_messages: None,
        destination: None,
        trace_id: Some(format!("{:032x}", u128::from(number) + 1)),
        span_id: Some(format!("{:016x}", number + 1)),
        parent_span_id: Some(format!("{:016x}", (1 << 63) | (number + 1))),
        client_parent_span_id: None,
        confidence: None,
        tls: false,
        tls_handshake: None,
        verdict: "allow".into(),
        started_unix_ns: now_ns(),
        time_to_first_byte_ns: None,
        queue_ns: None,
        client_workload: edge.client_workload,
        server_workload: edge.server_workload,
        server_port: 8080,
        client_here: true,
        server_here: true,
        sample_probability: 1.0,
    }
}

fn none<T>() -> Answer<T> {
    Answer {
        v: 1,
        completeness: 1.0,
        lost: BTreeMap::new(),
        items: Vec::new(),
    }
}

impl Answers for Fixed {
    fn status(&self) -> Status {
        Status {
            version: "0.1.0".into(),
            kernel: "6.18.0".into(),
            uptime_seconds: 60.0,
            exchanges: 1_234,
            edges: 3,
            connections: 9,
            policies: 1,
            completeness: 0.998,
            lost: [("ring_full".to_owned(), 4), ("segment_gap".to_owned(), 6)].into(),
            map_fill: [("EDGES".to_owned(), (3, 16_384))].into(),
            ..Status::default()
        }
    }
    fn edges(&self, _: &Filter) -> Answer<EdgeItem> {
        none()
    }
    fn edge_states(&self) -> Vec<EdgeState> {
        self.edges.lock().expect("not poisoned").clone()
    }
    fn services(&self, _: &Filter) -> Answer<ServiceItem> {
        none()
    }
    fn tcp(&self, _: &Filter) -> Answer<TcpItem> {
        none()
    }
    fn flows(&self, _: &Filter) -> Answer<FlowItem> {
        none()
    }
    fn exchanges(&self, _: &Filter) -> Answer<Exchange> {
        none()
    }
    fn verdicts(&self, _: &Filter) -> Answer<VerdictItem> {
        none()
    }
    fn tap(&self) -> broadcast::Receiver<Arc<Exchange>> {
        panic!("exporters must not raise the rate of the detail lane");
    }
    fn tap_ended(&self) {}
    fn follow_details(&self) -> broadcast::Receiver<Arc<Exchange>> {
        self.details.subscribe()
    }
    fn follow_flows(&self) -> broadcast::Receiver<Arc<FlowItem>> {
        self.flows.subscribe()
    }
    fn follow_verdicts(&self) -> broadcast::Receiver<Arc<VerdictItem>> {
        self.verdicts.subscribe()
    }
    fn policies_yaml(&self) -> String {
        String::new()
    }
    fn policies(&self) -> Vec<PolicyItem> {
        vec![PolicyItem {
            name: "web-to-api".into(),
            kind: "TrafficPolicy".into(),
            action: "deny".into(),
            mode: "enforce".into(),
            allowed: 0,
            denied: 17,
            audited: 5,
            ..PolicyItem::default()
        }]
    }
    fn policy_apply(&self, _: &[PolicyFile]) -> Result<Vec<String>, Vec<Refusal>> {
        Ok(Vec::new())
    }
    fn policy_check(&self, _: &[PolicyFile]) -> Result<Vec<String>, Vec<Refusal>> {
        Ok(Vec::new())
    }
    fn policy_delete(&self, _: &str) -> anyhow::Result<bool> {
        Ok(false)
    }
    fn policy_explain(&self, _: &ExplainQuery) -> anyhow::Result<Explanation> {
        Ok(Explanation::default())
    }
}
