//! The graph: snapshots of the kernel's edges → edges between named services.
//!
//! Several kernel edges can be one edge (a process before and after it got its name, two
//! addresses of one service). What each of them adds is taken once per snapshot and given to
//! the edge that it belongs to at that time, so counters only grow and nothing counts twice.

mod edge;
mod forget;
mod kernel_edge;
mod previous;
#[cfg(test)]
mod tests;
mod window;

use std::collections::{BTreeMap, HashMap};

use weir_common::{
    counter::{EdgeStats, Loss, OpKey, OpValue},
    flow::{EDGE_OTHER, EdgeKey, EdgeValue},
};

use self::{
    edge::{GraphEdge, GraphKey},
    kernel_edge::KernelEdge,
    window::Window,
};
use super::{
    clock::Clock,
    edges::add_losses,
    model::{EdgeState, Histogram, OperationId},
    operations::{OTHER, OperationKey, OperationNames, method_name},
    parties::{Ends, Names},
    snapshot::KernelSnapshot,
};

/// How much the graph may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphLimits {
    /// Edges; the one that was idle longest is folded into `_OTHER` beyond that.
    pub edges: usize,
    /// Operations with outcomes per edge; further ones become `_OTHER`.
    pub operations_per_edge: usize,
    /// Operations with outcomes over all edges; further ones become `_OTHER`.
    pub operations: usize,
}

impl Default for GraphLimits {
    fn default() -> Self {
        Self {
            edges: 16_384,
            operations_per_edge: 200,
            operations: 50_000,
        }
    }
}

/// What had to be folded into `_OTHER` to stay within [`GraphLimits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Edges evicted.
    pub edges: u64,
    /// Calls whose operation was not told apart.
    pub calls: u64,
}

/// The graph's state.
#[derive(Debug)]
pub struct Graph {
    limits: GraphLimits,
    kernel_edges: HashMap<u32, KernelEdge>,
    edges: HashMap<GraphKey, GraphEdge>,
    operations: usize,
    folded: Folded,
    calls: u64,
    window: Window,
    latest_durations: Histogram,
    unbound_lost: [u64; Loss::COUNT],
    unbound_lost_before: [u64; Loss::COUNT],
    /// Monotonic time of the latest snapshot, ns; 0 before the first.
    applied_ns: u64,
}

impl Graph {
    /// An empty graph.
    pub fn new(limits: GraphLimits) -> Self {
        Self {
            limits,
            kernel_edges: HashMap::new(),
            edges: HashMap::new(),
            operations: 0,
            folded: Folded::default(),
            calls: 0,
            window: Window::default(),
            latest_durations: Histogram::default(),
            unbound_lost: [0; Loss::COUNT],
            unbound_lost_before: [0; Loss::COUNT],
            applied_ns: 0,
        }
    }

    /// Takes a snapshot: what was added since the last one goes to the edges.
    pub fn apply(
        &mut self,
        snapshot: &KernelSnapshot,
        names: &dyn Names,
        ops: &mut OperationNames,
    ) {
        let now_ns = snapshot.monotonic_ns;
        let clock = Clock::new(snapshot.unix_ns, now_ns);
        self.latest_durations = Histogram::default();
        self.take_edges(snapshot, names, now_ns);
        self.take_activity(snapshot);
        self.place_edges(&clock, now_ns);
        for (id, stats) in &snapshot.stats {
            self.take_stats(*id, stats, &clock, now_ns);
        }
        self.learn_paths(snapshot, ops);
        for (key, value) in &snapshot.operations {
            self.take_operation(key, value, ops, &clock, now_ns);
        }
        self.take_unbound_losses(&snapshot.lost);
        for edge in self.edges.values_mut() {
            edge.window.push(now_ns, edge.calls);
            edge.state.rate = edge.window.rate();
            edge.settle_protocol();
        }
        self.window.push(now_ns, self.calls);
        self.evict();
        self.drop_vanished(now_ns);
        self.applied_ns = now_ns;
    }

    fn take_edges(&mut self, snapshot: &KernelSnapshot, names: &dyn Names, now_ns: u64) {
        for (key, value) in &snapshot.edges {
            self.take_edge(*key, *value, names, now_ns);
        }
        let folds = snapshot.stats.iter().any(|(id, _)| *id == EDGE_OTHER)
            || snapshot
                .operations
                .iter()
                .any(|(key, _)| key.edge_id == EDGE_OTHER);
        if folds {
            self.kernel_edges
                .entry(EDGE_OTHER)
                .or_insert_with(|| KernelEdge::other(now_ns))
                .present_ns = now_ns;
        }
    }

    fn take_edge(&mut self, key: EdgeKey, value: EdgeValue, names: &dyn Names, now_ns: u64) {
        match self.kernel_edges.get_mut(&value.id) {
            Some(known) if known.is(&key, &value) => known.refresh(value, names, now_ns),
            _ => {
                let edge = KernelEdge::new(key, value, names, now_ns);
                self.kernel_edges.insert(value.id, edge);
            }
        }
    }

    /// Learns which kernel edges had traffic since their counts were last taken.
    fn take_activity(&mut self, snapshot: &KernelSnapshot) {
        let stats = snapshot
            .stats
            .iter()
            .map(|(id, stats)| (*id, stats.last_seen_ns));
        let operations = snapshot
            .operations
            .iter()
            .map(|(key, value)| (key.edge_id, value.last_seen_ns));
        for (id, seen_ns) in stats.chain(operations) {
            if let Some(kernel) = self.kernel_edges.get_mut(&id) {
                kernel.active_ns = kernel.active_ns.max(seen_ns);
            }
        }
    }

    /// Makes the graph edges that the kernel edges of this snapshot belong to, and learns from
    /// which end each of them is counted, before any count is taken.
    fn place_edges(&mut self, clock: &Clock, now_ns: u64) {
        for edge in self.edges.values_mut() {
            edge.state.tcp.open = 0;
        }
        let began = self.applied_ns;
        for kernel in self.kernel_edges.values_mut() {
            let is_here = kernel.present_ns == now_ns && kernel.is_ready(now_ns);
            if !is_here || kernel.is_folded() {
                continue;
            }
            kernel.folded_ns = 0;
            let edge = self
                .edges
                .entry(kernel.graph_key)
                .or_insert_with(|| new_edge(kernel, clock, began));
            if kernel.is_server_side() && !edge.server_side {
                edge.server_side = true;
                edge.state.server = kernel.ends.server.endpoint.clone();
            }
            edge.state.local_pair |= kernel.is_local_pair();
            edge.state.counted_at_server = edge.server_side || edge.state.local_pair;
        }
        for kernel in self.kernel_edges.values() {
            if kernel.present_ns != now_ns {
                continue;
            }
            if let Some(edge) = self.edges.get_mut(&kernel.graph_key)
                && edge.is_counted_by(kernel)
            {
                edge.state.tcp.open += kernel.open();
            }
        }
    }

    fn take_stats(&mut self, id: u32, stats: &EdgeStats, clock: &Clock, now_ns: u64) {
        let Some(kernel) = self.kernel_edges.get_mut(&id) else {
            return;
        };
        if !kernel.is_ready(now_ns) || kernel.present_ns != now_ns {
            return;
        }
        let delta = kernel.stats.step(&kernel.value, stats);
        let edge = home(&mut self.edges, kernel);
        if edge.is_counted_by(kernel) {
            delta.add_to(edge);
        } else {
            delta.add_client_facts(edge);
        }
        let seen_ns = clock.unix_ns(stats.last_seen_ns);
        edge.state.last_seen_ns = edge.state.last_seen_ns.max(seen_ns);
    }

    /// Lets all new paths be known before any is counted under its name, which may be one of many
    /// that have become one.
    fn learn_paths(&self, snapshot: &KernelSnapshot, ops: &mut OperationNames) {
        for (key, _) in &snapshot.operations {
            let kernel = self.kernel_edges.get(&key.edge_id);
            let Some(kernel) = kernel.filter(|kernel| kernel.is_ready(snapshot.monotonic_ns))
            else {
                continue;
            };
            let memory = kernel.operations.get(key);
            if memory.is_none_or(|memory| !memory.is_named()) {
                ops.observe(&OperationKey::from(key), kernel.service());
            }
        }
    }

    fn take_operation(
        &mut self,
        key: &OpKey,
        value: &OpValue,
        ops: &mut OperationNames,
        clock: &Clock,
        now_ns: u64,
    ) {
        // An operation whose edge is not listed yet is taken whole by the next snapshot.
        let Some(kernel) = self.kernel_edges.get_mut(&key.edge_id) else {
            return;
        };
        if !kernel.is_ready(now_ns) || kernel.present_ns != now_ns {
            return;
        }
        let memory = kernel.operations.entry(*key).or_default();
        // Most operations rest most of the time.
        if memory.before.is_up_to(value) {
            return;
        }
        let service = &kernel.ends.server.endpoint.service;
        let Some(operation) = memory.operation(key, service, ops, now_ns) else {
            return;
        };
        let delta = memory.before.step(value);
        let edge = home(&mut self.edges, kernel);
        if !edge.is_counted_by(kernel) {
            return;
        }
        let mut id = OperationId {
            operation: operation.name.as_ref().into(),
            method: method_name(key.protocol, key.method).map(Into::into),
            status: key.status,
            route_source: operation.route_source,
        };
        let is_full = edge.state.operations.len() >= self.limits.operations_per_edge
            || self.operations >= self.limits.operations;
        let is_other = is_full && !edge.state.operations.contains_key(&id);
        if is_other {
            id.operation = OTHER.into();
            id.method = None;
            id.route_source = None;
        }
        if is_other || operation.is_folded {
            self.folded.calls += delta.calls;
        }
        self.operations += usize::from(edge.add_operation(id, key.protocol, &delta));
        self.calls += delta.calls;
        delta.add_durations(&mut self.latest_durations);
        let seen_ns = clock.unix_ns(value.last_seen_ns);
        edge.state.last_seen_ns = edge.state.last_seen_ns.max(seen_ns);
    }

    fn take_unbound_losses(&mut self, now: &[u64; Loss::COUNT]) {
        for (index, count) in now.iter().enumerate() {
            self.unbound_lost[index] += previous::since(*count, self.unbound_lost_before[index]);
        }
        self.unbound_lost_before = *now;
    }

    /// Every edge, in no order.
    pub fn edges(&self) -> impl Iterator<Item = &EdgeState> {
        self.edges.values().map(|edge| &edge.state)
    }

    /// Number of edges.
    pub fn len(&self) -> usize {
        self.edges.len()
    }

    /// True if there is no edge.
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    /// Kernel edge ids with the best names that their ends have so far.
    pub fn ends(&self) -> impl Iterator<Item = (u32, &Ends)> {
        self.kernel_edges
            .iter()
            .map(|(id, kernel)| (*id, &kernel.ends))
    }

    /// Kernel edges that wait for the names of their parties.
    pub fn unsettled(&self) -> impl Iterator<Item = (&EdgeKey, &EdgeValue)> {
        self.kernel_edges
            .values()
            .filter(|kernel| !kernel.ends.settled())
            .map(|kernel| (&kernel.key, &kernel.value))
    }

    /// Number of kernel edges remembered.
    pub fn kernel_edges(&self) -> usize {
        self.kernel_edges.len()
    }

    /// Connections open now.
    pub fn open(&self) -> u64 {
        self.edges.values().map(|edge| edge.state.tcp.open).sum()
    }

    /// Exchanges counted on all edges.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Exchanges per second over the latest window.
    pub fn rate(&self) -> f64 {
        self.window.rate()
    }

    /// Durations of the exchanges that the latest snapshot added.
    pub fn latest_durations(&self) -> &Histogram {
        &self.latest_durations
    }

    /// Losses by reason: of all edges, and those that belong to no edge.
    pub fn lost(&self) -> BTreeMap<String, u64> {
        let mut lost = self.unbound_losses();
        for edge in self.edges.values() {
            add_losses(&mut lost, &edge.state.lost);
        }
        lost
    }

    /// Losses that belong to no edge, by reason.
    pub fn unbound_losses(&self) -> BTreeMap<String, u64> {
        Loss::ALL
            .iter()
            .zip(self.unbound_lost)
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| (reason.name().into(), count))
            .collect()
    }

    /// What was folded into `_OTHER`.
    pub fn folded(&self) -> Folded {
        self.folded
    }

    /// Limits in force.
    pub fn limits(&self) -> GraphLimits {
        self.limits
    }
}

/// The edge that a kernel edge's counts belong to; `_OTHER` for one that was folded.
fn home<'a>(edges: &'a mut HashMap<GraphKey, GraphEdge>, kernel: &KernelEdge) -> &'a mut GraphEdge {
    if edges.contains_key(&kernel.graph_key) {
        return edges.get_mut(&kernel.graph_key).expect("looked up above");
    }
    edges
        .entry(GraphKey::other())
        .or_insert_with(|| GraphEdge::new(&edge::other_ends(), 0, 0))
}

fn new_edge(kernel: &KernelEdge, clock: &Clock, previous_snapshot_ns: u64) -> GraphEdge {
    let first_ns = kernel.value.first_seen_ns;
    let mut edge = GraphEdge::new(&kernel.ends, kernel.key.port, clock.unix_ns(first_ns));
    if previous_snapshot_ns != 0 && first_ns >= previous_snapshot_ns {
        // It had no calls at the last snapshot, so the first rate is known at once. An edge that
        // is older than this agent would show its whole past as the rate of a second.
        edge.window = Window::starting(previous_snapshot_ns, 0);
    }
    edge
}
