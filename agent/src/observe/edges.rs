//! Arithmetic of [`EdgeState`] values: adding, subtracting, totals.

use std::collections::BTreeMap;

use weir_common::counter::Loss;

use super::{
    exchange::is_error,
    model::{EdgeState, Histogram, OperationCounts, OperationId, QueueTimes, TcpCounts},
};

impl QueueTimes {
    /// Adds other times.
    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }

    /// What was added since `earlier`.
    pub fn delta(&self, earlier: &Self) -> Self {
        Self {
            count: self.count.saturating_sub(earlier.count),
            sum_ns: self.sum_ns.saturating_sub(earlier.sum_ns),
        }
    }

    /// Their mean, ns; `None` if there are none.
    pub fn mean_ns(&self) -> Option<u64> {
        self.sum_ns.checked_div(self.count)
    }
}

impl OperationCounts {
    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.request_bytes += other.request_bytes;
        self.response_bytes += other.response_bytes;
        self.duration.merge(&other.duration);
        self.queue.add(&other.queue);
    }

    /// What was added since `earlier`; everything if the counts fell.
    pub fn delta(&self, earlier: &Self) -> Self {
        if self.calls < earlier.calls {
            return self.clone();
        }
        Self {
            calls: self.calls - earlier.calls,
            request_bytes: self.request_bytes.saturating_sub(earlier.request_bytes),
            response_bytes: self.response_bytes.saturating_sub(earlier.response_bytes),
            duration: self.duration.delta(&earlier.duration),
            queue: self.queue.delta(&earlier.queue),
        }
    }
}

impl EdgeState {
    /// What makes two values the same edge: both services with kind and namespace, the port.
    pub fn same_edge(&self) -> EdgeName {
        let party =
            |end: &super::model::Endpoint| (end.kind, end.namespace.clone(), end.service.clone());
        (party(&self.client), party(&self.server), self.port)
    }

    /// Calls over all operations.
    pub fn calls(&self) -> u64 {
        self.operations.values().map(|counts| counts.calls).sum()
    }

    /// Calls that failed (5xx or unanswered).
    pub fn errors(&self) -> u64 {
        self.operations
            .iter()
            .filter(|(id, _)| is_error(id.status))
            .map(|(_, counts)| counts.calls)
            .sum()
    }

    /// Durations over all operations.
    pub fn durations(&self) -> Histogram {
        let mut all = Histogram::default();
        for counts in self.operations.values() {
            all.merge(&counts.duration);
        }
        all
    }

    /// Adds the counts of the same edge over another stretch of time.
    pub fn add(&mut self, other: &Self) {
        for (id, counts) in &other.operations {
            self.operations.entry(id.clone()).or_default().add(counts);
        }
        self.add_connection_facts(other);
        if other.last_seen_ns >= self.last_seen_ns {
            self.protocol.clone_from(&other.protocol);
            self.tcp.open = other.tcp.open;
            self.rate = other.rate;
        }
    }

    /// Adds everything but the operations.
    pub(super) fn add_connection_facts(&mut self, other: &Self) {
        self.tcp.add(&other.tcp);
        self.bytes_out += other.bytes_out;
        self.bytes_in += other.bytes_in;
        self.tls |= other.tls;
        for (reason, count) in &other.lost {
            *self.lost.entry(reason.clone()).or_default() += count;
        }
        self.first_seen_ns = self.first_seen_ns.min(other.first_seen_ns);
        self.last_seen_ns = self.last_seen_ns.max(other.last_seen_ns);
    }

    /// What was counted since `earlier`, a former value of the same edge; `None` if nothing.
    pub fn delta(&self, earlier: Option<&Self>) -> Option<Self> {
        let Some(earlier) = earlier else {
            return Some(self.clone());
        };
        if self.last_seen_ns == earlier.last_seen_ns && self.calls() == earlier.calls() {
            return None;
        }
        let none = OperationCounts::default();
        let operations: BTreeMap<OperationId, OperationCounts> = self
            .operations
            .iter()
            .map(|(id, now)| {
                let before = earlier.operations.get(id).unwrap_or(&none);
                (id.clone(), now.delta(before))
            })
            .filter(|(_, counts)| counts.calls > 0)
            .collect();
        Some(Self {
            operations,
            tcp: self.tcp.delta(&earlier.tcp),
            bytes_out: self.bytes_out.saturating_sub(earlier.bytes_out),
            bytes_in: self.bytes_in.saturating_sub(earlier.bytes_in),
            lost: self
                .lost
                .iter()
                .map(|(reason, now)| {
                    let before = earlier.lost.get(reason).copied().unwrap_or(0);
                    (reason.clone(), now.saturating_sub(before))
                })
                .filter(|(_, count)| *count > 0)
                .collect(),
            ..self.clone()
        })
    }
}

/// Identity of an edge over time: client, server (kind, namespace, service), port.
pub type EdgeName = (PartyName, PartyName, u16);

/// Identity of a party over time: kind, namespace, service.
pub type PartyName = (super::model::WorkloadKind, Option<String>, String);

impl TcpCounts {
    fn add(&mut self, other: &Self) {
        self.opened += other.opened;
        self.connect_failures += other.connect_failures;
        self.resets += other.resets;
        self.segments += other.segments;
        self.retransmits += other.retransmits;
        self.timeouts += other.timeouts;
        self.rtt.merge(&other.rtt);
        self.connect.merge(&other.connect);
    }

    /// `open` is how many are open now, so it has no delta and is kept.
    fn delta(&self, earlier: &Self) -> Self {
        Self {
            opened: self.opened.saturating_sub(earlier.opened),
            open: self.open,
            connect_failures: self
                .connect_failures
                .saturating_sub(earlier.connect_failures),
            resets: self.resets.saturating_sub(earlier.resets),
            segments: self.segments.saturating_sub(earlier.segments),
            retransmits: self.retransmits.saturating_sub(earlier.retransmits),
            timeouts: self.timeouts.saturating_sub(earlier.timeouts),
            rtt: self.rtt.delta(&earlier.rtt),
            connect: self.connect.delta(&earlier.connect),
        }
    }
}

/// seen / (seen + lost), where lost counts only what hides exchanges; 1 when nothing was seen
/// and nothing lost.
pub fn completeness(seen: u64, lost: &BTreeMap<String, u64>) -> f64 {
    let hidden: u64 = Loss::ALL
        .iter()
        .filter(|reason| reason.hides_exchanges())
        .filter_map(|reason| lost.get(reason.name()))
        .sum();
    if hidden == 0 {
        return 1.0;
    }
    seen as f64 / (seen + hidden) as f64
}

/// Adds losses by reason.
pub fn add_losses(into: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>) {
    for (reason, count) in from {
        *into.entry(reason.clone()).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_hides_exchanges_lowers_completeness() {
        for (seen, lost, expected) in [
            (0, vec![], 1.0),
            (10, vec![("ring_full", 90)], 1.0),
            (90, vec![("segment_gap", 10)], 0.9),
            (50, vec![("segment_gap", 25), ("malformed", 25)], 0.5),
            (0, vec![("segment_gap", 1)], 0.0),
        ] {
            let lost = lost
                .into_iter()
                .map(|(reason, count)| (reason.to_owned(), count))
                .collect();
            assert!((completeness(seen, &lost) - expected).abs() < 1e-9);
        }
    }
}
