//! Keeps exported counters from falling when edges are evicted or counted anew.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use super::{
    Durations, Measures, Sample,
    measures::{Point, SeriesKey},
};

/// A series that has been absent for this many collections is forgotten.
const FORGET_AFTER: u64 = 120;

/// What was last exported of each series.
///
/// Several edges can add up to one series. When one of them is evicted the sum falls, which a
/// receiver would take for a restart and count everything twice. So what a series has lost is
/// carried on top of it, and its start time stays.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: HashMap<u64, Entry>,
    hasher: RandomState,
    round: u64,
}

#[derive(Debug)]
struct Entry {
    start_unix_ns: u64,
    raw: Total,
    carried: Total,
    seen_in_round: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum Total {
    Count(u64),
    Seconds(Durations),
}

impl Ledger {
    /// Makes every counter and histogram of `measures` at least what it was before.
    pub fn settle(&mut self, measures: &mut Measures) {
        self.round += 1;
        for (name, family) in &mut measures.families {
            for (key, point) in &mut family.points {
                self.settle_point(name, key, point);
            }
        }
        let oldest = self.round.saturating_sub(FORGET_AFTER);
        self.entries
            .retain(|_, entry| entry.seen_in_round >= oldest);
    }

    fn settle_point(&mut self, name: &str, key: &SeriesKey, point: &mut Point) {
        let Some(raw) = Total::of(&point.sample) else {
            return;
        };
        let id = self.hasher.hash_one((name, key));
        let entry = self.entries.entry(id).or_insert_with(|| Entry {
            start_unix_ns: point.start_unix_ns,
            carried: raw.zero(),
            raw: raw.zero(),
            seen_in_round: 0,
        });
        entry.carried.add_fall(&entry.raw, &raw);
        entry.raw = raw;
        entry.seen_in_round = self.round;
        point.start_unix_ns = entry.start_unix_ns;
        entry.carried.lift(&mut point.sample);
    }
}

impl Total {
    fn of(sample: &Sample) -> Option<Self> {
        match sample {
            Sample::Count(count) => Some(Self::Count(*count)),
            Sample::Seconds(durations) => Some(Self::Seconds(durations.clone())),
            Sample::Level(_) | Sample::Ratio { .. } => None,
        }
    }

    fn zero(&self) -> Self {
        match self {
            Self::Count(_) => Self::Count(0),
            Self::Seconds(durations) => Self::Seconds(Durations {
                counts: vec![0; durations.counts.len()],
                sum_ns: 0,
            }),
        }
    }

    /// Adds what is missing from `now` compared with `before`.
    fn add_fall(&mut self, before: &Self, now: &Self) {
        match (self, before, now) {
            (Self::Count(carried), Self::Count(before), Self::Count(now)) => {
                *carried += before.saturating_sub(*now);
            }
            (Self::Seconds(carried), Self::Seconds(before), Self::Seconds(now)) => {
                for (index, carry) in carried.counts.iter_mut().enumerate() {
                    *carry += before.counts[index].saturating_sub(now.counts[index]);
                }
                carried.sum_ns += before.sum_ns.saturating_sub(now.sum_ns);
            }
            // A family has one kind of sample.
            _ => {}
        }
    }

    fn lift(&self, sample: &mut Sample) {
        match (self, sample) {
            (Self::Count(carried), Sample::Count(count)) => *count += carried,
            (Self::Seconds(carried), Sample::Seconds(durations)) => durations.merge(carried),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::metrics::Resource;
    use crate::export::names::{EDGE_CALLS, TCP_OPEN, TCP_RTT};

    fn settle(ledger: &mut Ledger, start_unix_ns: u64, calls: u64) -> (u64, u64, u64, Sample) {
        let mut measures = Measures::new(1, 10);
        let key = || -> SeriesKey { (Resource::default(), vec![]) };
        let point = |sample| Point {
            start_unix_ns,
            sample,
        };
        let seconds = Sample::Seconds(Durations {
            counts: vec![calls, 1],
            sum_ns: calls * 10,
        });
        measures.add(&EDGE_CALLS, key(), point(Sample::Count(calls)));
        measures.add(&TCP_RTT, key(), point(seconds));
        measures.add(&TCP_OPEN, key(), point(Sample::Level(calls as f64)));
        ledger.settle(&mut measures);
        let of = |name: &str| measures.families[name].points[&key()].clone();
        let calls = of("weir.edge.calls");
        let Sample::Count(count) = calls.sample else {
            panic!("{calls:?}");
        };
        let Sample::Seconds(rtt) = of("weir.tcp.rtt").sample else {
            panic!("no histogram");
        };
        assert_eq!(rtt.counts[1], 1);
        assert_eq!(rtt.sum_ns, rtt.counts[0] * 10);
        (
            calls.start_unix_ns,
            count,
            rtt.counts[0],
            of("weir.tcp.connections.open").sample,
        )
    }

    #[test]
    fn counters_never_fall_and_keep_their_start() {
        let mut ledger = Ledger::default();
        let level = |value| Sample::Level(value);
        assert_eq!(settle(&mut ledger, 7, 100), (7, 100, 100, level(100.0)));
        assert_eq!(settle(&mut ledger, 7, 150), (7, 150, 150, level(150.0)));
        // An edge with 120 calls was evicted.
        assert_eq!(settle(&mut ledger, 9, 30), (7, 150, 150, level(30.0)));
        assert_eq!(settle(&mut ledger, 9, 35), (7, 155, 155, level(35.0)));
        assert_eq!(settle(&mut ledger, 9, 5), (7, 155, 155, level(5.0)));
    }

    #[test]
    fn absent_series_are_forgotten() {
        let mut ledger = Ledger::default();
        settle(&mut ledger, 7, 100);
        for _ in 0..=FORGET_AFTER {
            ledger.settle(&mut Measures::new(1, 10));
        }
        assert!(ledger.entries.is_empty());
    }
}
