//! What the programs counted on edges, what they lost, and how full their maps are.

use weir_common::{
    counter::{EdgeStats, Loss, MAX_OPERATIONS, MAX_SPARE},
    datagram::{ANSWER_WITHIN_NS, MAX_QUERIES, QueryKey},
    flow::{EdgeKey, EdgeValue, MAX_EDGES},
};

use super::Maps;
use crate::kernel::wire::Wire;

impl Maps {
    /// Edges with what was first seen of them.
    pub fn edges(&self) -> Vec<(EdgeKey, EdgeValue)> {
        self.edges
            .iter()
            .filter_map(Result::ok)
            .map(|(key, value)| (key.0, value.0))
            .collect()
    }

    /// Totals by edge id.
    pub fn stats(&self) -> Vec<(u32, EdgeStats)> {
        self.stats
            .iter()
            .filter_map(Result::ok)
            .map(|(id, value)| (id, value.0))
            .collect()
    }

    /// Queries in datagrams whose answer is overdue.
    pub fn overdue_queries(&self, now_ns: u64) -> Vec<QueryKey> {
        self.queries
            .iter()
            .filter_map(Result::ok)
            .filter(|(_, state)| {
                now_ns.saturating_sub(state.0.finished.started_ns) > ANSWER_WITHIN_NS
            })
            .map(|(key, _)| key.0)
            .collect()
    }

    /// Losses that belong to no edge.
    pub fn lost(&self) -> [u64; Loss::COUNT] {
        std::array::from_fn(|reason| {
            self.lost
                .get(&(reason as u32), 0)
                .map_or(0, |values| values.iter().sum())
        })
    }

    /// Removes an edge without live connections, and all that was counted for it.
    pub fn forget_edge(&mut self, key: &EdgeKey) {
        let Ok(value) = self.edges.get(&Wire(*key), 0) else {
            return;
        };
        let id = value.0.id;
        let _ = self.edges.remove(&Wire(*key));
        let _ = self.stats.remove(&id);
        self.forget_operations(id);
    }

    /// Fill of the maps that can run full: name, entries, capacity.
    pub fn fill(&self, edges: u64, operations: u64) -> Vec<(String, u64, u64)> {
        let count = |entries: usize| entries as u64;
        vec![
            ("EDGES".into(), edges, u64::from(MAX_EDGES)),
            ("OPS".into(), operations, u64::from(MAX_OPERATIONS)),
            (
                "OPS_SPARE".into(),
                count(self.spare_operations.keys().count()),
                u64::from(MAX_SPARE),
            ),
            (
                "ADDRESSES".into(),
                count(self.addresses.keys().count()),
                65_536,
            ),
            ("CGROUPS".into(), count(self.cgroups.keys().count()), 16_384),
            (
                "QUERIES".into(),
                count(self.queries.keys().count()),
                u64::from(MAX_QUERIES),
            ),
        ]
    }
}
