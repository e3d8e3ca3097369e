//! History: what is written each minute, and what a start takes up again.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Daemon, lane::Lane, locked, time};
use crate::{
    identity::registry::Registry,
    observe::{
        edges::EdgeName,
        model::{EdgeState, Filter, Workload},
    },
    store::{Batch, History},
};

/// Exchanges that go to history at each write, the newest.
const EXCHANGES_PER_WRITE: usize = 500;

/// How long after its start a daemon that finds older counters waits before it takes them for
/// known, ns: as long as counts may wait for names, and a bit.
const SETTLE_NS: u64 = 5_000_000_000;

/// Edges that are older than the daemon by more than it takes to load the programs were counted
/// by an earlier run.
const LOADING_NS: u64 = 5_000_000_000;

/// What is kept beside the history itself.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    /// Edges as last written: what history already has.
    written: HashMap<EdgeName, EdgeState>,
    /// Whether it is known what an earlier run has written.
    is_settled: bool,
    /// Workloads that are to be written.
    workloads: Vec<Workload>,
    /// Unix time of the newest exchange written, s.
    newest: f64,
    /// Failures to write so far.
    pub(super) failures: u64,
    /// Why history is not written now.
    pub(super) trouble: Option<String>,
}

/// Most workloads that wait for a history that cannot be written.
const MAX_WAITING: usize = 16_384;

impl Keeper {
    /// Takes up what an earlier run has left.
    pub(super) fn restore(history: &History, lane: &mut Lane, registry: &Registry) -> Self {
        let remembered = history.remembered();
        for (key, name) in remembered.operations {
            lane.operations.restore(key, &name);
        }
        for workload in remembered.workloads {
            registry.restore(workload);
        }
        let newest = remembered.exchanges.last().map_or(0.0, |last| last.ts);
        for exchange in remembered.exchanges {
            lane.exchanges.push(Arc::new(exchange));
        }
        let mut keeper = Self {
            newest,
            ..Self::default()
        };
        keeper.note_trouble(history);
        keeper
    }

    pub(super) fn add_workloads(&mut self, workloads: &[Arc<Workload>]) {
        let room = MAX_WAITING.saturating_sub(self.workloads.len());
        let owned = workloads.iter().map(|workload| Workload::clone(workload));
        self.workloads.extend(owned.take(room));
    }

    fn note_trouble(&mut self, history: &History) {
        self.failures = history.failures();
        self.trouble = history.trouble().map(str::to_owned);
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
    /// Waits for the disk.
    pub fn tick_history(&self) {
        // Held throughout, so that nobody sums up what is half written.
        let mut history = locked(&self.history);
        let Some(history) = history.as_mut() else {
            return;
        };
        let (batch, changed) = self.batch();
        let written = history.append(time::unix_ns() / 1_000_000_000, &batch);
        let mut keeper = locked(&self.keeper);
        keeper.note_trouble(history);
        if !written {
            // Names come only once, so they wait for the next try; counts are still in the graph.
            keeper.workloads.extend(batch.workloads);
            locked(&self.lane).operations.put_back(batch.operations);
            return;
        }
        keeper.newest = batch
            .exchanges
            .last()
            .map_or(keeper.newest, |exchange| exchange.ts);
        keeper.written.extend(changed);
        let there: HashSet<EdgeName> = self.graph().edges().map(EdgeState::same_edge).collect();
        keeper.written.retain(|name, _| there.contains(name));
    }

    /// What is to be written, and the edges as they are with it.
    fn batch(&self) -> (Batch, HashMap<EdgeName, EdgeState>) {
        let mut keeper = locked(&self.keeper);
        let mut batch = Batch {
            workloads: std::mem::take(&mut keeper.workloads),
            ..Batch::default()
        };
        let mut lane = locked(&self.lane);
        let fresh = lane.operations.take_fresh().into_iter();
        batch.operations = fresh.map(|(key, name)| (key, name.to_string())).collect();
        batch.exchanges = lane
            .exchanges
            .iter()
            .rev()
            .take(EXCHANGES_PER_WRITE)
            .take_while(|exchange| exchange.ts > keeper.newest)
            .map(|exchange| exchange.as_ref().clone())
            .collect();
        batch.exchanges.reverse();
        drop(lane);
        let mut changed = HashMap::new();
        for edge in self.graph().edges() {
            let name = edge.same_edge();
            if let Some(delta) = edge.delta(keeper.written.get(&name)) {
                batch.edges.push(delta);
                changed.insert(name, edge.clone());
            }
        }
        (batch, changed)
    }

    /// Answers over the edges with what was counted in the last `filter.since_seconds`, to the whole minute; all
    /// that was counted if the filter does not ask for less, or there is no history.
    pub(super) fn with_edges<T>(
        &self,
        filter: &Filter,
        answer: impl FnOnce(&mut dyn Iterator<Item = &EdgeState>) -> T,
    ) -> T {
        match filter
            .since_seconds
            .and_then(|since| self.edges_within(since))
        {
            Some(edges) => answer(&mut edges.iter()),
            None => answer(&mut self.graph().edges()),
        }
    }

    /// Edges with what was counted in the last so many seconds; `None` without a history.
    fn edges_within(&self, since: f64) -> Option<Vec<EdgeState>> {
        let history = locked(&self.history);
        let history = history.as_ref()?;
        let from = (time::unix_seconds() - since).max(0.0) as u64;
        let mut edges: HashMap<EdgeName, EdgeState> = history
            .edges_since(from)
            .into_iter()
            .map(|edge| (edge.same_edge(), edge))
            .collect();
        let keeper = locked(&self.keeper);
        for edge in self.graph().edges() {
            let name = edge.same_edge();
            let delta = edge.delta(keeper.written.get(&name));
            match (edges.get_mut(&name), delta) {
                (Some(known), Some(delta)) => known.add(&delta),
                (None, Some(delta)) => {
                    edges.insert(name, delta);
                }
                // Nothing new, but it is open now.
                (Some(known), None) => {
                    known.tcp.open = edge.tcp.open;
                    known.rate = edge.rate;
                }
                (None, None) => {}
            }
        }
        Some(edges.into_values().collect())
    }
}
