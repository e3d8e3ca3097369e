//! Merging, subtracting and reading of [`Histogram`].

use weir_common::counter::{BUCKETS, bucket_floor_ns, bucket_of};

use super::model::Histogram;

impl Histogram {
    /// A histogram from kernel bucket counts and the sum of the durations, ns.
    pub fn from_buckets(buckets: &[u32; BUCKETS], sum_ns: u64) -> Self {
        Self {
            buckets: buckets.iter().map(|count| u64::from(*count)).collect(),
            sum_ns,
        }
    }

    /// Number of recorded values.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// True if nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.buckets.iter().all(|count| *count == 0)
    }

    /// Records one duration, ns.
    pub fn record(&mut self, duration_ns: u64) {
        self.buckets[bucket_of(duration_ns)] += 1;
        self.sum_ns = self.sum_ns.saturating_add(duration_ns);
    }

    /// Adds another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }

    /// What was recorded since `earlier`. Where a count fell the counters began anew, and the
    /// whole of `self` is the answer.
    pub fn delta(&self, earlier: &Self) -> Self {
        let fell = self.sum_ns < earlier.sum_ns
            || self
                .buckets
                .iter()
                .zip(&earlier.buckets)
                .any(|(now, before)| now < before);
        if fell {
            return self.clone();
        }
        Self {
            buckets: self
                .buckets
                .iter()
                .zip(&earlier.buckets)
                .map(|(now, before)| now - before)
                .collect(),
            sum_ns: self.sum_ns - earlier.sum_ns,
        }
    }

    /// The duration below which a share `quantile` (0 to 1) of the values lies, ns; `None` when
    /// nothing was recorded. Linear inside the bucket, so it errs by less than the bucket's
    /// width, a quarter of the value.
    pub fn percentile(&self, quantile: f64) -> Option<u64> {
        let total = self.count();
        if total == 0 {
            return None;
        }
        let rank = quantile.clamp(0.0, 1.0) * total as f64;
        let mut below = 0_u64;
        for (bucket, count) in self.buckets.iter().enumerate() {
            if *count == 0 {
                continue;
            }
            if (below + count) as f64 >= rank {
                let (floor, ceiling) = bounds_ns(bucket);
                let share = ((rank - below as f64) / *count as f64).clamp(0.0, 1.0);
                return Some(floor + ((ceiling - floor) as f64 * share) as u64);
            }
            below += count;
        }
        None
    }

    /// Counts for explicit upper bounds in seconds, ascending, with one more slot at the end for
    /// what lies above the last bound. A bucket that a bound cuts is divided in proportion; whole
    /// counts are kept, so the sum of the answer is [`Histogram::count`].
    pub fn counts_for_bounds(&self, bounds_seconds: &[f64]) -> Vec<u64> {
        let mut counts = vec![0; bounds_seconds.len() + 1];
        for (bucket, count) in self.buckets.iter().enumerate() {
            if *count > 0 {
                spread(*count, bounds_ns(bucket), bounds_seconds, &mut counts);
            }
        }
        counts
    }
}

/// Lower and upper edge of a bucket, ns. The last bucket has no upper edge; it is shown as wide
/// as the one before it.
fn bounds_ns(bucket: usize) -> (u64, u64) {
    let floor = bucket_floor_ns(bucket);
    if bucket + 1 < BUCKETS {
        (floor, bucket_floor_ns(bucket + 1))
    } else {
        (floor, floor + (floor - bucket_floor_ns(bucket - 1)))
    }
}

/// Divides the `count` values of one bucket among the slots that it touches.
fn spread(count: u64, (floor, ceiling): (u64, u64), bounds_seconds: &[f64], counts: &mut [u64]) {
    let width = (ceiling - floor) as f64;
    let mut given = 0;
    for (slot, bound) in bounds_seconds.iter().enumerate() {
        let bound_ns = bound * 1e9;
        if bound_ns <= floor as f64 {
            continue;
        }
        // Rounding the running total, not each part, keeps the sum whole.
        let share = ((bound_ns - floor as f64) / width).min(1.0);
        let upto = (count as f64 * share).round() as u64;
        counts[slot] += upto.saturating_sub(given);
        given = given.max(upto);
        if given == count {
            return;
        }
    }
    counts[bounds_seconds.len()] += count - given;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(durations: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for duration in durations {
            histogram.record(*duration);
        }
        histogram
    }

    #[test]
    fn percentiles_lie_within_a_bucket_of_the_truth() {
        let durations: Vec<u64> = (1..=10_000_u64).map(|i| i * 1_000).collect();
        let histogram = of(&durations);
        for quantile in [0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999] {
            let truth = quantile * 10_000_000.0;
            let read = histogram.percentile(quantile).expect("not empty") as f64;
            assert!(
                (read - truth).abs() / truth < 0.05,
                "p{quantile}: {read} for {truth}"
            );
        }
    }

    #[test]
    fn percentiles_of_little() {
        assert_eq!(Histogram::default().percentile(0.5), None);
        let one = of(&[5_000]);
        for quantile in [0.0, 0.5, 1.0] {
            let read = one.percentile(quantile).expect("one value");
            assert!((4_096..=5_120).contains(&read), "p{quantile}: {read}");
        }
        assert!(of(&[u64::MAX / 2]).percentile(0.5).is_some());
    }

    #[test]
    fn merge_and_delta_are_inverse() {
        let early = of(&[1_000, 2_000_000]);
        let more = of(&[3_000, 2_000_000, 9_000_000_000]);
        let mut late = early.clone();
        late.merge(&more);
        assert_eq!(late.delta(&early), more);
        assert_eq!(late.delta(&late), Histogram::default());
        assert_eq!(early.delta(&late), early, "fallen counters begin anew");
    }

    #[test]
    fn explicit_bounds_keep_every_count() {
        let bounds = [0.000_005, 0.001, 0.0025, 0.1, 1.0, 10.0];
        for durations in [
            vec![],
            vec![1],
            vec![999_999, 1_000_001, 2_400_000],
            vec![20_000_000_000; 7],
            (0..5_000).map(|i| i * i * 97).collect::<Vec<u64>>(),
        ] {
            let histogram = of(&durations);
            let counts = histogram.counts_for_bounds(&bounds);
            assert_eq!(counts.len(), bounds.len() + 1);
            assert_eq!(counts.iter().sum::<u64>(), durations.len() as u64);
        }
    }

    #[test]
    fn a_bucket_inside_two_bounds_goes_there_whole() {
        let histogram = of(&[50_000_000; 1_000]);
        assert_eq!(
            histogram.counts_for_bounds(&[0.01, 0.1, 1.0]),
            [0, 1_000, 0, 0]
        );
        assert_eq!(histogram.counts_for_bounds(&[]), [1_000]);
    }

    #[test]
    fn a_cut_bucket_is_divided_in_proportion() {
        let (floor, ceiling) = bounds_ns(40);
        let mut histogram = Histogram::default();
        histogram.buckets[40] = 100;
        let middle = (floor + ceiling) as f64 / 2e9;
        assert_eq!(histogram.counts_for_bounds(&[middle]), [50, 50]);
    }
}
