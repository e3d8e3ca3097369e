//! History: what is written each minute, and what a start takes up again.

use std::{collections::HashMap, path::Path, sync::Arc};

use super::{Daemon, lane::Lane, locked, time};
use crate::{
    identity::registry::Registry,
    observe::{
        edges::EdgeName,
        model::{EdgeState, Filter, Workload},
    },
    store::{Batch, History, Limits},
};

/// Exchanges that go to history at each write, the newest.
const EXCHANGES_PER_WRITE: usize = 500;

/// How long after its start a daemon that finds older counters waits before it takes them for
/// known, ns: as long as counts may wait for names, and a bit.
const SETTLE_NS: u64 = 5_000_000_000;

/// Edges that are older than the daemon by more than it takes to load the programs were counted
/// by an earlier run.
const LOADING_NS: u64 = 5_000_000_000;

/// Keeps the history.
pub(super) struct Keeper {
    history: Option<History>,
    /// Edges as last written: what history already has.
    written: HashMap<EdgeName, EdgeState>,
    /// Whether it is known what an earlier run has written.
    is_settled: bool,
    workloads: Vec<Workload>,
    /// Unix time of the newest exchange written, s.
    newest: f64,
}

impl Keeper {
    pub(super) fn open(path: Option<&Path>, limits: Limits) -> Self {
        let now_seconds = time::unix_ns() / 1_000_000_000;
        Self {
            history: path.map(|path| History::open(path, limits, now_seconds)),
            written: HashMap::new(),
            is_settled: false,
            workloads: Vec::new(),
            newest: 0.0,
        }
    }

    /// Takes up what an earlier run has left.
    pub(super) fn restore(&self, lane: &mut Lane, registry: &Registry) {
        let Some(history) = &self.history else {
            return;
        };
        let remembered = history.remembered();
        for (key, name) in remembered.operations {
            lane.operations.restore(key, &name);
        }
        for workload in remembered.workloads {
            registry.restore(workload);
        }
        for exchange in remembered.exchanges {
            lane.exchanges.push(Arc::new(exchange));
        }
    }

    pub(super) fn add_workloads(&mut self, workloads: &[Arc<Workload>]) {
        if self.history.is_some() {
            let owned = workloads.iter().map(|workload| Workload::clone(workload));
            self.workloads.extend(owned);
        }
    }

    /// Failures to write so far, and why it is not written now.
    pub(super) fn trouble(&self) -> (u64, Option<&str>) {
        let history = self.history.as_ref();
        (
            history.map_or(0, History::failures),
            history.and_then(History::trouble),
        )
    }
}

impl Daemon {
    /// Takes the counters that are there now for written, if an earlier run of the daemon counted
    /// them. Does nothing on a host where the programs began with this daemon, and the second
    /// time.
    pub(super) fn inherit_history(&self) {
        let mut keeper = locked(&self.keeper);
        if keeper.is_settled {
            return;
        }
        keeper.is_settled = true;
        let clock = locked(&self.lane).clock;
        let older = clock.unix_ns(self.started_ns.saturating_sub(LOADING_NS));
        let graph = self.graph();
        if graph.edges().any(|edge| edge.first_seen_ns < older) {
            keeper.written = graph
                .edges()
                .map(|edge| (edge.same_edge(), edge.clone()))
                .collect();
        }
    }

    /// True while counters of an earlier run may still be on their way into the graph.
    pub(super) fn is_settling(&self) -> bool {
        time::monotonic_ns().saturating_sub(self.started_ns) < SETTLE_NS
    }

    /// Writes what was added since the last call. Call it about once a minute, and at the end.
    pub fn tick_history(&self) {
        let now_seconds = time::unix_ns() / 1_000_000_000;
        let mut keeper = locked(&self.keeper);
        if keeper.history.is_none() {
            return;
        }
        let mut batch = Batch {
            workloads: std::mem::take(&mut keeper.workloads),
            ..Batch::default()
        };
        {
            let mut lane = locked(&self.lane);
            let fresh = lane.operations.take_fresh();
            batch.operations = fresh
                .into_iter()
                .map(|(key, name)| (key, name.to_string()))
                .collect();
            let newest = keeper.newest;
            let exchanges = lane.exchanges.iter().rev();
            batch.exchanges = exchanges
                .take(EXCHANGES_PER_WRITE)
                .take_while(|exchange| exchange.ts > newest)
                .map(|exchange| exchange.as_ref().clone())
                .collect();
        }
        batch.exchanges.reverse();
        let mut changed = HashMap::new();
        for edge in self.graph().edges() {
            let name = edge.same_edge();
            if let Some(delta) = edge.delta(keeper.written.get(&name)) {
                batch.edges.push(delta);
                changed.insert(name, edge.clone());
            }
        }
        let written = keeper
            .history
            .as_mut()
            .is_some_and(|history| history.append(now_seconds, &batch));
        if written {
            keeper.written.extend(changed);
            let names: std::collections::HashSet<EdgeName> =
                self.graph().edges().map(EdgeState::same_edge).collect();
            keeper.written.retain(|name, _| names.contains(name));
            keeper.newest = batch
                .exchanges
                .last()
                .map_or(keeper.newest, |exchange| exchange.ts);
        } else {
            // Names come only once, so they wait for the next try; counts are still in the graph.
            keeper.workloads = batch.workloads;
            let mut lane = locked(&self.lane);
            lane.operations.put_back(batch.operations);
        }
    }

    /// Edges with what was counted in the last `filter.since_seconds`, to the whole minute; all
    /// that was counted if the filter does not ask for less, or there is no history.
    pub(super) fn edges_for(&self, filter: &Filter) -> Vec<EdgeState> {
        let Some(since) = filter.since_seconds else {
            return self.graph().edges().cloned().collect();
        };
        let keeper = locked(&self.keeper);
        let Some(history) = &keeper.history else {
            return self.graph().edges().cloned().collect();
        };
        let from = (time::unix_seconds() - since).max(0.0) as u64;
        let mut edges: HashMap<EdgeName, EdgeState> = history
            .edges_since(from)
            .into_iter()
            .map(|edge| (edge.same_edge(), edge))
            .collect();
        for edge in self.graph().edges() {
            let name = edge.same_edge();
            match edge.delta(keeper.written.get(&name)) {
                Some(delta) => match edges.get_mut(&name) {
                    Some(known) => known.add(&delta),
                    None => {
                        edges.insert(name, delta);
                    }
                },
                // Nothing new, but it is open now.
                None => {
                    if let Some(known) = edges.get_mut(&name) {
                        known.tcp.open = edge.tcp.open;
                        known.rate = edge.rate;
                    }
                }
            }
        }
        edges.into_values().collect()
    }
}
