//! A daemon of fixed values for tests.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::broadcast;

use super::api::{Answers, ExplainQuery, Explanation, PolicyFile, PolicyItem, Refusal, Status};
use crate::observe::model::{
    Answer, EdgeItem, EdgeState, Endpoint, Exchange, Filter, FlowItem, RouteSource, ServiceItem,
    TcpItem, VerdictItem, WorkloadKind,
};

/// Answers with fixed values; exchanges are whatever the test sends.
pub struct Fixture {
    /// What `tap` gives.
    pub exchanges: broadcast::Sender<Arc<Exchange>>,
    /// Exchanges of the past.
    pub past: Vec<Exchange>,
    /// Losses so far.
    pub ring_full: AtomicU64,
    /// Subscribers of `tap` that were left when the latest one ended, and how many ended.
    pub taps_left: Mutex<(usize, u32)>,
}

impl Fixture {
    /// With a ring of `capacity` live exchanges.
    pub fn new(capacity: usize) -> Self {
        Self {
            exchanges: broadcast::channel(capacity).0,
            past: (0..3).map(exchange).collect(),
            ring_full: AtomicU64::new(0),
            taps_left: Mutex::default(),
        }
    }

    fn lost(&self) -> BTreeMap<String, u64> {
        let count = self.ring_full.load(Ordering::Relaxed);
        BTreeMap::from([("ring_full".into(), count)])
    }
}

/// A unit of that name.
pub fn endpoint(service: &str, addr: &str) -> Endpoint {
    Endpoint {
        service: service.into(),
        namespace: (service == "api").then(|| "shop".into()),
        kind: WorkloadKind::Unit,
        instance: None,
        addr: addr.into(),
    }
}

/// An exchange of `web` with `api`, told apart by its time.
pub fn exchange(number: u32) -> Exchange {
    Exchange {
        ts: 1_700_000_000.0 + f64::from(number),
        duration_ns: 1_200_000,
        client: endpoint("web", "10.0.0.1"),
        server: endpoint("api", "10.0.0.2:8080"),
        protocol: "http".into(),
        operation: "GET /users/*".into(),
        route_source: Some(RouteSource::Heuristic),
        method: Some("GET".into()),
        path: Some(format!("/users/{number}")),
        status: Some(200),
        error: None,
        request_bytes: 120,
        response_bytes: 3400,
        request_messages: None,
        response_messages: None,
        destination: None,
        trace_id: None,
        span_id: None,
        parent_span_id: None,
        client_parent_span_id: None,
        confidence: None,
        tls: false,
        tls_handshake: None,
        verdict: "allow".into(),
        started_unix_ns: 0,
        time_to_first_byte_ns: None,
        queue_ns: Some(250_000),
        client_workload: None,
        server_workload: None,
        server_port: 0,
        client_here: false,
        server_here: false,
        sample_probability: 1.0,
    }
}

fn answer<T>(items: Vec<T>) -> Answer<T> {
    Answer {
        v: 1,
        completeness: 0.5,
        lost: BTreeMap::from([("segment_gap".into(), 2)]),
        items,
    }
}

impl Answers for Fixture {
    fn status(&self) -> Status {
        Status {
            version: "0.1.0".into(),
            completeness: 1.0,
            lost: self.lost(),
            ..Status::default()
        }
    }
    fn edges(&self, _: &Filter) -> Answer<EdgeItem> {
        answer(Vec::new())
    }
    fn edge_states(&self) -> Vec<EdgeState> {
        Vec::new()
    }
    fn services(&self, _: &Filter) -> Answer<ServiceItem> {
        answer(Vec::new())
    }
    fn tcp(&self, _: &Filter) -> Answer<TcpItem> {
        answer(Vec::new())
    }
    fn flows(&self, _: &Filter) -> Answer<FlowItem> {
        answer(Vec::new())
    }
    fn exchanges(&self, _: &Filter) -> Answer<Exchange> {
        answer(self.past.clone())
    }
    fn verdicts(&self, _: &Filter) -> Answer<VerdictItem> {
        answer(Vec::new())
    }
    fn tap(&self) -> broadcast::Receiver<Arc<Exchange>> {
        self.exchanges.subscribe()
    }
    fn tap_ended(&self) {
        let mut left = self.taps_left.lock().unwrap();
        *left = (self.exchanges.receiver_count(), left.1 + 1);
    }
    fn follow_details(&self) -> broadcast::Receiver<Arc<Exchange>> {
        self.exchanges.subscribe()
    }
    fn follow_flows(&self) -> broadcast::Receiver<Arc<FlowItem>> {
        broadcast::channel(1).1
    }
    fn follow_verdicts(&self) -> broadcast::Receiver<Arc<VerdictItem>> {
        broadcast::channel(1).1
    }
    fn policies(&self) -> Vec<PolicyItem> {
        Vec::new()
    }
    fn policies_yaml(&self) -> String {
        String::new()
    }
    fn policy_apply(&self, files: &[PolicyFile]) -> Result<Vec<String>, Vec<Refusal>> {
        self.policy_check(files)
    }
    fn policy_check(&self, files: &[PolicyFile]) -> Result<Vec<String>, Vec<Refusal>> {
        let refused = files.iter().filter(|file| file.text.contains("nonsense"));
        let refusals: Vec<Refusal> = refused
            .map(|file| Refusal {
                file: file.name.clone(),
                line: 3,
                reason: "unknown action `nonsense`".into(),
                remedy: "use allow or deny".into(),
            })
            .collect();
        if refusals.is_empty() {
            return Ok(files.iter().map(|file| file.name.clone()).collect());
        }
        Err(refusals)
    }
    fn policy_delete(&self, name: &str) -> anyhow::Result<bool> {
        Ok(name == "known")
    }
    fn policy_explain(&self, query: &ExplainQuery) -> anyhow::Result<Explanation> {
        anyhow::ensure!(!query.from.is_empty(), "no caller is named");
        Ok(Explanation {
            verdict: "allow".into(),
            policy: "default".into(),
            ..Explanation::default()
        })
    }
}
