//! Keeping the graph, and the kernel's table behind it, within bounds.

use weir_common::flow::{EDGE_OTHER, EdgeKey, MAX_EDGES};

use super::{
    Graph,
    edge::{GraphEdge, GraphKey, other_ends},
    kernel_edge::KernelEdge,
};

/// A kernel edge without connections and traffic for so long can be forgotten, ns. Long enough
/// that no late count is on its way between two reads of the maps.
const IDLE_NS: u64 = 60_000_000_000;

/// What a snapshot no longer has is remembered for so long, ns, so that an entry that a read
/// of a changing map missed once does not count twice.
const VANISHED_NS: u64 = 60_000_000_000;

impl KernelEdge {
    /// True if its graph edge was folded into `_OTHER` and nothing came since, so that it does
    /// not bring the edge back.
    pub(super) fn is_folded(&self) -> bool {
        self.folded_ns != 0 && self.active_ns <= self.folded_ns
    }

    fn is_idle(&self, now_ns: u64) -> bool {
        self.open() == 0 && now_ns.saturating_sub(self.active_ns) >= IDLE_NS
    }

    fn is_disposable(&self) -> bool {
        self.is_makeshift() || self.folded_ns != 0
    }
}

impl Graph {
    /// Folds the edges that were idle longest into `_OTHER` until the limit holds, with some
    /// room so that a full table is not sorted at every snapshot.
    pub(super) fn evict(&mut self) {
        if self.edges.len() <= self.limits.edges {
            return;
        }
        let target = self.limits.edges - self.limits.edges / 16;
        let other = GraphKey::other();
        let mut candidates: Vec<(bool, u64, GraphKey)> = self
            .edges
            .iter()
            .filter(|(key, _)| **key != other)
            .map(|(key, edge)| {
                let open = edge.state.tcp.open > 0;
                (open, edge.state.last_seen_ns, *key)
            })
            .collect();
        candidates.sort_by_key(|(open, seen, _)| (*open, *seen));
        let surplus = self.edges.len().saturating_sub(target);
        for (_, _, key) in candidates.into_iter().take(surplus) {
            self.fold_edge(&key);
        }
    }

    fn fold_edge(&mut self, key: &GraphKey) {
        let Some(evicted) = self.edges.remove(key) else {
            return;
        };
        let other = self
            .edges
            .entry(GraphKey::other())
            .or_insert_with(|| GraphEdge::new(&other_ends(), 0, evicted.state.first_seen_ns));
        let before = other.state.operations.len();
        other.fold(&evicted);
        let gained = other.state.operations.len() - before;
        self.operations = (self.operations + gained).saturating_sub(evicted.state.operations.len());
        self.folded.edges += 1;
        for kernel in self.kernel_edges.values_mut() {
            if kernel.graph_key == *key {
                kernel.folded_ns = kernel.active_ns.max(1);
            }
        }
    }

    /// Forgets kernel edges that the snapshots no longer have.
    pub(super) fn drop_vanished(&mut self, now_ns: u64) {
        self.kernel_edges
            .retain(|_, kernel| now_ns.saturating_sub(kernel.present_ns) < VANISHED_NS);
    }

    /// Edges that the kernel's table need not keep: idle, and known only by a process that has
    /// another name by now, or folded here. While the table is more than half full also other
    /// idle ones, oldest first. Their counts stay in the graph.
    pub fn forgettable(&self, now_ns: u64) -> Vec<EdgeKey> {
        let mut idle: Vec<&KernelEdge> = self
            .kernel_edges
            .iter()
            .filter(|(id, kernel)| **id != EDGE_OTHER && kernel.is_idle(now_ns))
            .map(|(_, kernel)| kernel)
            .collect();
        idle.sort_by_key(|kernel| (!kernel.is_disposable(), kernel.active_ns));
        let half = MAX_EDGES as usize / 2;
        let disposable = idle.iter().filter(|kernel| kernel.is_disposable()).count();
        let surplus = self.kernel_edges.len().saturating_sub(half);
        idle.into_iter()
            .take(disposable.max(surplus))
            .map(|kernel| kernel.key)
            .collect()
    }
}
