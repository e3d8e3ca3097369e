//! Latency histograms: from the kernel's fine buckets to the bounds that a metric promises.

use weir_common::counter::bucket_floor_ns;

use crate::observe::model::Histogram;

/// Durations counted under the bounds of one metric; merging is addition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// Count per bound, then one for everything above; not cumulative.
    pub counts: Vec<u64>,
    /// Sum of all values, ns.
    pub sum_ns: u64,
}

impl Durations {
    /// Folds `source` into `bounds` (seconds, ascending).
    ///
    /// The total is exact. Where a bound cuts a source bucket, its count is divided by length,
    /// so a single bound is off by less than that bucket, which is 25 % wide at most.
    pub fn fold(source: &Histogram, bounds: &[f64]) -> Self {
        let mut counts = vec![0; bounds.len() + 1];
        let used = source.buckets.iter().enumerate().filter(|(_, n)| **n > 0);
        for (bucket, &count) in used {
            let (low, high) = (bucket_floor_ns(bucket), ceiling_ns(source, bucket));
            let target = bounds.partition_point(|bound| nanoseconds(*bound) <= low);
            let below = match bounds.get(target).map(|bound| nanoseconds(*bound)) {
                Some(bound) if bound < high => share(count, bound - low, high - low),
                _ => count,
            };
            counts[target] += below;
            if below < count {
                counts[target + 1] += count - below;
            }
        }
        Self {
            counts,
            sum_ns: source.sum_ns,
        }
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Sum of all values, seconds.
    pub fn sum_seconds(&self) -> f64 {
        self.sum_ns as f64 / 1e9
    }

    /// Adds `other`, which must have been folded to the same bounds.
    pub fn merge(&mut self, other: &Self) {
        self.counts
            .resize(self.counts.len().max(other.counts.len()), 0);
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }
}

fn ceiling_ns(source: &Histogram, bucket: usize) -> u64 {
    if bucket + 1 < source.buckets.len() {
        bucket_floor_ns(bucket + 1)
    } else {
        u64::MAX
    }
}

fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

/// `count · part / whole`, rounded down so that it never falls while `count` grows.
fn share(count: u64, part: u64, whole: u64) -> u64 {
    (u128::from(count) * u128::from(part) / u128::from(whole)) as u64
}

#[cfg(test)]
mod tests {
    use weir_common::counter::{BUCKETS, bucket_of};

    use super::*;
    use crate::export::names::{ALL, GRAPH_SECONDS, SEMCONV_SECONDS};

    fn of(durations_ns: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for duration in durations_ns {
            histogram.buckets[bucket_of(*duration)] += 1;
            histogram.sum_ns += duration;
        }
        histogram
    }

    #[test]
    fn values_far_from_bounds_fall_where_they_belong() {
        let check = |ns: u64, bounds: &[f64], bucket: usize| {
            let folded = Durations::fold(&of(&[ns]), bounds);
            assert_eq!(folded.counts[bucket], 1, "{ns} ns: {:?}", folded.counts);
            assert_eq!((folded.count(), folded.sum_ns), (1, ns));
        };
        check(0, SEMCONV_SECONDS, 0);
        check(3_000_000, SEMCONV_SECONDS, 0);
        check(7_500_000, SEMCONV_SECONDS, 1);
        check(60_000_000_000, SEMCONV_SECONDS, 14);
        check(u64::MAX / 2, GRAPH_SECONDS, 18);
        check(170_000, GRAPH_SECONDS, 1);
    }

    #[test]
    fn a_cut_bucket_is_divided_by_length() {
        let mut source = Histogram::default();
        // 4.194–5.243 ms, cut by the bound at 5 ms: 76.9 % lie below.
        source.buckets[bucket_of(5_000_000)] = 1000;
        let folded = Durations::fold(&source, SEMCONV_SECONDS);
        assert_eq!(folded.counts[..3], [768, 232, 0]);
    }

    #[test]
    fn totals_are_exact_and_cumulative_counts_never_fall() {
        for name in ALL.iter().filter(|name| !name.bounds().is_empty()) {
            let mut source = Histogram::default();
            let mut before = Durations::fold(&source, name.bounds());
            for step in 0..400u64 {
                source.buckets[(step as usize * 37) % BUCKETS] += step % 3;
                let now = Durations::fold(&source, name.bounds());
                assert_eq!(now.count(), source.buckets.iter().sum::<u64>());
                let grew = now.counts.iter().zip(&before.counts).all(|(a, b)| a >= b);
                assert!(grew, "{}: {before:?} → {now:?}", name.otlp);
                before = now;
            }
        }
    }
}
