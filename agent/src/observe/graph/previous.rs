//! Kernel counters of two snapshots → what was added between them.
//!
//! Every value is taken exactly once: what was read before is remembered per kernel edge and
//! operation. Where a value fell, the kernel's map began anew and the whole value is new.

use weir_common::{
    counter::{BUCKETS, EdgeStats, Loss, OpValue, bucket_floor_ns},
    flow::EdgeValue,
    flow::protocol,
};

use crate::observe::model::{Histogram, OperationCounts, QueueTimes};

/// What was added to a counter.
pub(super) fn since(now: u64, before: u64) -> u64 {
    if now >= before { now - before } else { now }
}

/// Bucket counts, without the empty ones: most operations fill a few of the many buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sparse(Vec<(u8, u32)>);

impl Sparse {
    fn of(buckets: &[u32; BUCKETS]) -> Self {
        Self(
            buckets
                .iter()
                .enumerate()
                .filter(|(_, count)| **count != 0)
                .map(|(bucket, count)| (bucket as u8, *count))
                .collect(),
        )
    }

    /// Counts added since `before`; bucket counts are 32 bits wide and may wrap.
    fn since(&self, before: &Self) -> Self {
        let mut old = before.0.iter().copied().peekable();
        let mut added = Vec::new();
        for (bucket, now) in &self.0 {
            while old.next_if(|(at, _)| at < bucket).is_some() {}
            let before = old.next_if(|(at, _)| at == bucket).map_or(0, |(_, n)| n);
            let count = now.wrapping_sub(before);
            if count != 0 {
                added.push((*bucket, count));
            }
        }
        Self(added)
    }

    fn add_to(&self, histogram: &mut Histogram) {
        for (bucket, count) in &self.0 {
            histogram.buckets[usize::from(*bucket)] += u64::from(*count);
        }
    }

    /// Sum of the durations, taking each at the middle of its bucket, ns.
    fn estimated_sum_ns(&self) -> u64 {
        self.0
            .iter()
            .map(|(bucket, count)| {
                let bucket = usize::from(*bucket);
                let floor = bucket_floor_ns(bucket);
                let ceiling = bucket_floor_ns((bucket + 1).min(BUCKETS - 1)).max(floor);
                u64::from(*count).saturating_mul(floor + (ceiling - floor) / 2)
            })
            .fold(0, u64::saturating_add)
    }
}

/// An operation's counters as last taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OpBefore {
    calls: u64,
    request_bytes: u64,
    response_bytes: u64,
    duration_sum_ns: u64,
    queue: QueueTimes,
    buckets: Sparse,
}

/// What was added to an operation's counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OpDelta {
    pub(super) calls: u64,
    request_bytes: u64,
    response_bytes: u64,
    duration_sum_ns: u64,
    queue: QueueTimes,
    buckets: Sparse,
}

impl OpBefore {
    /// True if nothing was added since the last step.
    pub(super) fn is_up_to(&self, now: &OpValue) -> bool {
        now.calls() == self.calls
    }

    /// Takes what was added since the last step.
    pub(super) fn step(&mut self, now: &OpValue) -> OpDelta {
        let calls = now.calls();
        if calls < self.calls {
            *self = Self::default();
        }
        let buckets = Sparse::of(&now.buckets);
        let delta = OpDelta {
            calls: calls - self.calls,
            request_bytes: since(now.request_bytes, self.request_bytes),
            response_bytes: since(now.response_bytes, self.response_bytes),
            duration_sum_ns: since(now.duration_sum_ns, self.duration_sum_ns),
            queue: QueueTimes {
                count: since(now.queued, self.queue.count),
                sum_ns: since(now.queue_sum_ns, self.queue.sum_ns),
            },
            buckets: buckets.since(&self.buckets),
        };
        *self = Self {
            calls,
            request_bytes: now.request_bytes,
            response_bytes: now.response_bytes,
            duration_sum_ns: now.duration_sum_ns,
            queue: QueueTimes {
                count: now.queued,
                sum_ns: now.queue_sum_ns,
            },
            buckets,
        };
        delta
    }
}

impl OpDelta {
    /// Adds it to an operation's counts.
    pub(super) fn add_to(&self, counts: &mut OperationCounts) {
        counts.calls += self.calls;
        counts.request_bytes += self.request_bytes;
        counts.response_bytes += self.response_bytes;
        self.add_durations(&mut counts.duration);
        counts.queue.add(&self.queue);
    }

    /// Adds its durations to a histogram.
    pub(super) fn add_durations(&self, histogram: &mut Histogram) {
        self.buckets.add_to(histogram);
        histogram.sum_ns = histogram.sum_ns.saturating_add(self.duration_sum_ns);
    }
}

/// An edge's TCP facts as last taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StatsBefore {
    /// Connections and attempts, as the kernel counts them together.
    attempts: u64,
    /// Connections.
    opened: u64,
    bytes_to_server: u64,
    bytes_to_client: u64,
    segments: u64,
    retransmits: u64,
    timeouts: u64,
    resets: u64,
    connect_failures: u64,
    tls_connections: u64,
    lost: [u64; Loss::COUNT],
    protocols: [u32; protocol::SLOTS],
    rtt: Sparse,
    connect: Sparse,
}

/// What was added to an edge's TCP facts.
pub(super) type StatsDelta = StatsBefore;

impl StatsBefore {
    fn read(value: &EdgeValue, stats: &EdgeStats) -> Self {
        Self {
            attempts: value.opened,
            opened: value.opened.saturating_sub(stats.connect_failures),
            bytes_to_server: stats.bytes_to_server,
            bytes_to_client: stats.bytes_to_client,
            segments: stats.segments,
            retransmits: stats.retransmits,
            timeouts: stats.timeouts,
            resets: stats.resets,
            connect_failures: stats.connect_failures,
            tls_connections: stats.tls_connections,
            lost: stats.lost,
            protocols: stats.protocols,
            rtt: Sparse::of(&stats.rtt),
            connect: Sparse::of(&stats.connect),
        }
    }

    /// Takes what was added since the last step.
    pub(super) fn step(&mut self, value: &EdgeValue, stats: &EdgeStats) -> StatsDelta {
        let mut now = Self::read(value, stats);
        // Each of these only grows while the map's entry lives.
        let began_anew = now.attempts < self.attempts
            || now.segments < self.segments
            || now.bytes_to_server < self.bytes_to_server;
        let before = if began_anew {
            Self::default()
        } else {
            std::mem::take(self)
        };
        // Edges are read before their totals: a failure in between is no connection less.
        now.opened = now.opened.max(before.opened);
        let delta = now.minus(&before);
        *self = now;
        delta
    }

    fn minus(&self, before: &Self) -> StatsDelta {
        Self {
            attempts: since(self.attempts, before.attempts),
            opened: since(self.opened, before.opened),
            bytes_to_server: since(self.bytes_to_server, before.bytes_to_server),
            bytes_to_client: since(self.bytes_to_client, before.bytes_to_client),
            segments: since(self.segments, before.segments),
            retransmits: since(self.retransmits, before.retransmits),
            timeouts: since(self.timeouts, before.timeouts),
            resets: since(self.resets, before.resets),
            connect_failures: since(self.connect_failures, before.connect_failures),
            tls_connections: since(self.tls_connections, before.tls_connections),
            lost: std::array::from_fn(|i| since(self.lost[i], before.lost[i])),
            protocols: std::array::from_fn(|i| self.protocols[i].wrapping_sub(before.protocols[i])),
            rtt: self.rtt.since(&before.rtt),
            connect: self.connect.since(&before.connect),
        }
    }

    /// Adds everything to a graph edge.
    pub(super) fn add_to(&self, edge: &mut super::edge::GraphEdge) {
        let state = &mut edge.state;
        state.bytes_out += self.bytes_to_server;
        state.bytes_in += self.bytes_to_client;
        state.tcp.opened += self.opened;
        state.tcp.segments += self.segments;
        state.tcp.retransmits += self.retransmits;
        state.tcp.timeouts += self.timeouts;
        state.tcp.resets += self.resets;
        state.tls |= self.tls_connections > 0;
        self.rtt.add_to(&mut state.tcp.rtt);
        state.tcp.rtt.sum_ns += self.rtt.estimated_sum_ns();
        for (total, added) in edge.protocols.iter_mut().zip(self.protocols) {
            *total += u64::from(added);
        }
        self.add_losses(edge);
        self.add_client_facts(edge);
    }

    /// Adds what only the calling end can know: failed attempts and connect times.
    pub(super) fn add_client_facts(&self, edge: &mut super::edge::GraphEdge) {
        let tcp = &mut edge.state.tcp;
        tcp.connect_failures += self.connect_failures;
        self.connect.add_to(&mut tcp.connect);
        tcp.connect.sum_ns += self.connect.estimated_sum_ns();
    }

    fn add_losses(&self, edge: &mut super::edge::GraphEdge) {
        for (reason, added) in Loss::ALL.iter().zip(self.lost) {
            if added > 0 {
                *edge.state.lost.entry(reason.name().into()).or_default() += added;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(calls: u64, bucket_counts: &[(usize, u32)]) -> OpValue {
        let mut value = OpValue {
            unqueued: calls,
            request_bytes: calls * 10,
            response_bytes: calls * 100,
            duration_sum_ns: calls * 5_000,
            ..OpValue::default()
        };
        for (bucket, count) in bucket_counts {
            value.buckets[*bucket] = *count;
        }
        value
    }

    #[test]
    fn what_was_taken_is_not_taken_again() {
        let mut before = OpBefore::default();
        let mut counts = OperationCounts::default();
        for (calls, buckets) in [
            (3, vec![(5, 3)]),
            (3, vec![(5, 3)]),
            (7, vec![(4, 1), (5, 5), (9, 1)]),
        ] {
            before.step(&value(calls, &buckets)).add_to(&mut counts);
        }
        assert_eq!(counts.calls, 7);
        assert_eq!(counts.request_bytes, 70);
        assert_eq!(counts.duration.count(), 7);
        assert_eq!(counts.duration.buckets[5], 5);
        assert_eq!(counts.duration.sum_ns, 35_000);
    }

    #[test]
    fn a_map_that_began_anew_is_added_whole() {
        let mut before = OpBefore::default();
        let mut counts = OperationCounts::default();
        for calls in [10, 4, 6] {
            before
                .step(&value(calls, &[(5, calls as u32)]))
                .add_to(&mut counts);
        }
        assert_eq!(counts.calls, 16);
        assert_eq!(counts.duration.count(), 16);
    }

    #[test]
    fn bucket_counts_may_wrap() {
        let mut before = OpBefore::default();
        before.step(&value(u64::from(u32::MAX), &[(5, u32::MAX)]));
        let mut counts = OperationCounts::default();
        before
            .step(&value(u64::from(u32::MAX) + 3, &[(5, 2)]))
            .add_to(&mut counts);
        assert_eq!((counts.calls, counts.duration.count()), (3, 3));
    }
}
