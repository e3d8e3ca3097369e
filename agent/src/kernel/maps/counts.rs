//! What the programs counted: edges, the exact lane, losses, and how full these maps are.

use weir_common::{
    counter::{EdgeStats, Loss, OpKey, OpValue},
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

    /// The exact lane, all CPUs added up.
    pub fn operations(&self) -> Vec<(OpKey, OpValue)> {
        self.operations
            .iter()
            .filter_map(Result::ok)
            .map(|(key, values)| (key.0, sum(values.iter().map(|value| &value.0))))
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
        let operations: Vec<_> = self
            .operations
            .keys()
            .filter_map(Result::ok)
            .filter(|key| key.0.edge_id == id)
            .collect();
        for key in operations {
            let _ = self.operations.remove(&key);
        }
    }

    /// Fill of the maps that can run full: name, entries, capacity.
    pub fn fill(&self, edges: u64, operations: u64) -> Vec<(String, u64, u64)> {
        let count = |entries: usize| entries as u64;
        vec![
            ("EDGES".into(), edges, u64::from(MAX_EDGES)),
            ("OPS".into(), operations, 65_536),
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

fn sum<'a>(values: impl Iterator<Item = &'a OpValue>) -> OpValue {
    values.fold(OpValue::default(), |mut total, value| {
        total.calls += value.calls;
        total.untimed += value.untimed;
        total.request_bytes += value.request_bytes;
        total.response_bytes += value.response_bytes;
        total.duration_sum_ns += value.duration_sum_ns;
        total.unqueued += value.unqueued;
        total.queue_sum_ns += value.queue_sum_ns;
        total.last_seen_ns = total.last_seen_ns.max(value.last_seen_ns);
        total.named |= value.named;
        for (bucket, count) in total.buckets.iter_mut().zip(value.buckets) {
            *bucket = bucket.wrapping_add(count);
        }
        total
    })
}
