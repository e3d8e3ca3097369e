//! How many exchanges go to the detail lane. Pure.
#![forbid(unsafe_code)]

use crate::observe::model::Histogram;

/// Share of the budget that slow exchanges may take beside the draw.
const SLOW_SHARE: f64 = 0.25;

/// A burst may take a second's budget in so many epochs (of 134 ms) before it is drawn from.
const EPOCHS_AT_FULL_DRAW: f64 = 4.0;

/// What the kernel programs are told.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Draw {
    /// [`weir_common::event::Control::skip_threshold`].
    pub skip_threshold: u32,
    /// [`weir_common::event::Control::records_per_epoch`].
    pub records_per_epoch: u32,
    /// [`weir_common::event::Control::slow_ns`].
    pub slow_ns: u64,
    /// Probability of the draw, 0 to 1, were nobody tapping.
    pub probability: f64,
}

/// Chooses the draw so that about `detail_per_second` records come at `rate` exchanges per
/// second: everything while somebody taps, or while the rate is within the budget and no CPU has
/// had its share of an epoch (a burst is drawn from, see [`weir_common::draw`]); else a fair sample,
/// and beside it the slowest, as many as a quarter of the budget holds (by the durations of the
/// latest second).
pub fn draw(detail_per_second: u64, rate: f64, durations: &Histogram, tapped: bool) -> Draw {
    let budget = detail_per_second.max(1) as f64;
    let records_per_epoch = (budget / EPOCHS_AT_FULL_DRAW).ceil() as u32;
    if rate <= budget {
        return Draw {
            skip_threshold: 0,
            records_per_epoch: if tapped { 0 } else { records_per_epoch },
            slow_ns: 0,
            probability: 1.0,
        };
    }
    let probability = budget * (1.0 - SLOW_SHARE) / rate;
    if tapped {
        return Draw {
            skip_threshold: 0,
            records_per_epoch: 0,
            slow_ns: 0,
            probability,
        };
    }
    let slow_quantile = 1.0 - budget * SLOW_SHARE / rate;
    Draw {
        records_per_epoch,
        skip_threshold: ((1.0 - probability) * f64::from(u32::MAX)) as u32,
        slow_ns: durations.percentile(slow_quantile).unwrap_or(0),
        probability,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_holds_and_taps_open_the_lane() {
        let mut durations = Histogram::default();
        (1..=10_000_u64).for_each(|n| durations.record(n * 1_000));
        for (rate, tapped, records) in [
            (0.0, false, 0.0),
            (2_000.0, false, 2_000.0),
            (70_000.0, false, 2_000.0),
            (1_000_000.0, false, 2_000.0),
            (70_000.0, true, 70_000.0),
        ] {
            let draw = draw(2_000, rate, &durations, tapped);
            let sampled = rate * (1.0 - f64::from(draw.skip_threshold) / 4_294_967_296.0);
            let slow = match draw.slow_ns {
                0 => 0.0,
                bound => rate * (1.0 - bound as f64 / 10_000_000.0).max(0.0),
            };
            // The bound for slow ones is read from buckets, so their part is rough.
            let came = sampled + slow;
            let about = records * 0.7..=records * 1.1;
            assert!(about.contains(&came), "{rate}: {came}");
        }
    }

    #[test]
    fn a_rate_without_durations_has_no_bound_for_slow() {
        let draw = draw(10, 1_000.0, &Histogram::default(), false);
        assert_eq!(draw.slow_ns, 0);
        assert!(draw.skip_threshold > 0);
    }
}
