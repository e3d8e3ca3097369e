//! Asks the daemon and makes measures of the answers: for OTLP and for Prometheus alike.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use super::{
    metrics::{
        Host, Ledger, Measures, Resource, Resources, agent::add_agent, edge::add_edge,
        policy::add_policy,
    },
    stats::Exporters,
};
use crate::control::api::Answers;

/// A collection is used again for this long, so that many scrapers cost as much as one.
const FRESH: Duration = Duration::from_millis(500);

/// Makes measures; shared by all who export them, so that they see the same counters.
pub struct Collector {
    answers: Arc<dyn Answers>,
    exporters: Exporters,
    host: Host,
    agent: Resource,
    max_series: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ledger: Ledger,
    latest: Option<(Instant, Arc<Measures>)>,
}

impl Collector {
    /// Collects from `answers`, at most `max_series` points per metric.
    pub fn new(
        answers: Arc<dyn Answers>,
        exporters: Exporters,
        host: Host,
        max_series: usize,
    ) -> Self {
        Self {
            agent: host.agent(),
            answers,
            exporters,
            host,
            max_series,
            state: Mutex::default(),
        }
    }

    /// This host as resources name it.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Everything now, or as of half a second ago at most. Takes milliseconds per thousand
    /// edges: call it where blocking is allowed.
    pub fn collect(&self) -> Arc<Measures> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, measures)) = &state.latest
            && at.elapsed() < FRESH
        {
            return Arc::clone(measures);
        }
        let mut measures = self.measure();
        state.ledger.settle(&mut measures);
        let measures = Arc::new(measures);
        state.latest = Some((Instant::now(), Arc::clone(&measures)));
        measures
    }

    fn measure(&self) -> Measures {
        let status = self.answers.status();
        let mut measures = Measures::new(unix_ns(), self.max_series);
        // All edges live until the end, because their workloads' addresses are keys.
        let edges = self.answers.edge_states();
        let mut resources = Resources::new(&self.host);
        for edge in &edges {
            add_edge(&mut measures, edge, &mut resources, &self.agent);
        }
        let uptime_ns = (status.uptime_seconds.max(0.0) * 1e9) as u64;
        let started_ns = measures.unix_ns.saturating_sub(uptime_ns);
        for policy in self.answers.policies() {
            add_policy(&mut measures, &policy, &self.agent, started_ns);
        }
        let exporters = self.exporters.counts();
        add_agent(&mut measures, &status, &exporters, &self.agent);
        measures
    }
}

fn unix_ns() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |since| since.as_nanos() as u64)
}
