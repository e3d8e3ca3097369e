//! Which exchanges go to the detail lane: a draw that grows rarer in a burst.
//!
//! The agent sets a probability once a second. What comes faster than it could foresee (load that
//! begins at once) is held by a share per epoch and CPU: beyond one share the probability is a
//! sixteenth, beyond two a 256th. Each record carries the probability with which it was drawn, so
//! sums over records stay true.

use bytemuck::{Pod, Zeroable};

/// An epoch is so many nanoseconds as two to this power: 134 ms.
pub const EPOCH_SHIFT: u32 = 27;

/// What a CPU has drawn in its epoch; value of the `DRAWN` per-CPU array.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Drawn {
    /// Epoch: monotonic time shifted by [`EPOCH_SHIFT`].
    pub epoch: u64,
    /// Records drawn in it.
    pub records: u64,
    /// Where its sequence of numbers stands; 0 = not begun.
    pub random: u64,
}

impl Drawn {
    /// Probability of the next draw in 1/2^32 (`u32::MAX` = always), for one that is `keep` while
    /// an epoch has its share of `records_per_epoch`; 0 there means no bound.
    #[inline(always)]
    pub fn probability(&mut self, keep: u32, records_per_epoch: u32, time_ns: u64) -> u32 {
        let epoch = time_ns >> EPOCH_SHIFT;
        if self.epoch != epoch {
            self.epoch = epoch;
            self.records = 0;
        }
        let share = records_per_epoch as u64;
        if share == 0 || self.records < share {
            keep
        } else if self.records < share * 2 {
            keep >> 4
        } else {
            keep >> 8
        }
    }
}

impl Drawn {
    /// The next number of this CPU's sequence (xorshift64: Marsaglia, "Xorshift RNGs", 2003), which
    /// `seed` begins. The kernel's own numbers cost as much as all else of a draw.
    #[inline(always)]
    pub fn random(&mut self, seed: impl FnOnce() -> u32) -> u32 {
        let mut x = self.random;
        if x == 0 {
            x = seed() as u64 | 1 << 32;
        }
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random = x;
        (x >> 32) as u32
    }
}

/// Shares of an epoch that are told of what is not drawn but looked for: failures, slow exchanges.
const SHARES_OF_ODD: u64 = 4;

impl Drawn {
    /// True if the epoch has had so many records that what is only odd is not told any more: when all
    /// exchanges fail or are slow, some of them say so.
    #[inline(always)]
    pub fn is_full(&self, records_per_epoch: u32) -> bool {
        let share = records_per_epoch as u64;
        share != 0 && self.records >= share * SHARES_OF_ODD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_drawn_ever_more_rarely_and_an_epoch_begins_anew() {
        let mut drawn = Drawn::default();
        let second = 1_000_000_000;
        for (records, expected) in [
            (0, u32::MAX),
            (9, u32::MAX),
            (10, u32::MAX >> 4),
            (20, u32::MAX >> 8),
            (1_000, u32::MAX >> 8),
        ] {
            drawn.records = records;
            drawn.epoch = second >> EPOCH_SHIFT;
            assert_eq!(
                drawn.probability(u32::MAX, 10, second),
                expected,
                "{records}"
            );
        }
        assert_eq!(drawn.probability(7, 10, 2 * second), 7);
        assert_eq!(drawn.records, 0);
    }

    #[test]
    fn what_is_odd_is_told_up_to_four_shares() {
        let full = |records| {
            let drawn = Drawn {
                records,
                ..Default::default()
            };
            drawn.is_full(10)
        };
        assert!(!full(39));
        assert!(full(40));
    }

    #[test]
    fn numbers_below_a_bound_are_as_many_as_it_says_in_a_row_and_apart() {
        const DRAWS: u32 = 1 << 20;
        for seed in [0, 1, 12_345, u32::MAX] {
            let mut drawn = Drawn::default();
            for shift in [1, 4, 10] {
                let bound = u32::MAX >> shift;
                let (mut hits, mut pairs, mut last) = (0_u32, 0_u32, false);
                for _ in 0..DRAWS {
                    let hit = drawn.random(|| seed) < bound;
                    hits += hit as u32;
                    pairs += (hit && last) as u32;
                    last = hit;
                }
                let near = |seen: u32, expected: u32| {
                    // Five standard deviations.
                    let allowed = 5.0 * f64::from(expected).sqrt() + 1.0;
                    assert!(
                        (f64::from(seen) - f64::from(expected)).abs() <= allowed,
                        "seed {seed}, 1/2^{shift}: {seen}, not {expected}"
                    );
                };
                near(hits, DRAWS >> shift);
                near(pairs, DRAWS >> (2 * shift));
            }
        }
    }

    #[test]
    fn without_a_share_there_is_no_bound() {
        let mut drawn = Drawn {
            records: u64::MAX,
            ..Default::default()
        };
        assert_eq!(drawn.probability(5, 0, 1), 5);
        assert!(!drawn.is_full(0));
    }
}
