//! Limits of how often something may begin: the generic cell rate algorithm (GCRA; ITU-T I.371,
//! annex A), which is a token bucket that needs no timer and keeps one number.
//!
//! Over any time `t` at most `burst + rate * t` are admitted, and of a steady excess exactly `rate`
//! per second. Whoever calls [`Rate::admits`] must be alone with the value, or holds its lock.

use bytemuck::{Pod, Zeroable};

/// Times are kept in so many parts of a nanosecond as two to this power: then the interval of any
/// rate errs by less than 0.001 %.
const FINE_SHIFT: u32 = 6;

/// How much older the time of a caller may be than that of another one that came before it, in parts:
/// a minute.
const LATE: u64 = (60 * 1_000_000_000) << FINE_SHIFT;

/// Highest rate per second.
pub const MOST_PER_SECOND: u32 = 1_000_000;

/// Largest burst.
pub const MOST_BURST: u32 = 1_000_000;

/// A rate with its state. All zeroes admit everything.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Rate {
    /// Time from one to the next at the rate, in 1/64 ns.
    pub interval: u64,
    /// How far the next one may be due ahead of its time, in 1/64 ns.
    pub tolerance: u64,
    /// When the next one is due, in 1/64 ns of the monotonic clock.
    pub due: u64,
}

/// Value of the `LIMITS` array, by rule slot.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Limit {
    /// The kernel's `struct bpf_spin_lock`: not to be touched.
    pub lock: u32,
    /// Explicit padding.
    pub _pad: u32,
    /// What it guards.
    pub rate: Rate,
}

impl Rate {
    /// `per_second` from 1 to [`MOST_PER_SECOND`], of which `burst` (from 1 to [`MOST_BURST`]) may
    /// begin at once.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        let interval = (1_000_000_000 << FINE_SHIFT) / per_second as u64;
        Self {
            interval,
            tolerance: interval * (burst as u64 - 1),
            due: 0,
        }
    }

    /// True if one that begins now is within the rate, which then counts it.
    #[inline(always)]
    pub fn admits(&mut self, now_ns: u64) -> bool {
        let now = now_ns << FINE_SHIFT;
        // Also right when the clock has passed 2^64 parts. What is due long ago, or further ahead than
        // this rate can have set it, is due now.
        let ahead = self.due.wrapping_sub(now);
        let furthest = self.tolerance + self.interval + LATE;
        let ahead = if ahead > furthest { 0 } else { ahead };
        if ahead > self.tolerance {
            return false;
        }
        self.due = now.wrapping_add(ahead).wrapping_add(self.interval);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// How many of those that try every `step_ns` from `start_ns` on are admitted in `seconds`.
    fn admitted(rate: &mut Rate, start_ns: u64, seconds: u64, step_ns: u64) -> u64 {
        let tries = seconds * SECOND / step_ns;
        (0..tries)
            .filter(|at| rate.admits(start_ns + at * step_ns))
            .count() as u64
    }

    #[test]
    fn of_an_excess_exactly_the_rate_is_admitted_after_the_burst() {
        for (per_second, burst) in [(1, 1), (3, 2), (10, 1), (999, 100), (10_000, 1_000)] {
            let mut rate = Rate::new(per_second, burst);
            let seen = admitted(&mut rate, 77 * SECOND, 10, 1_003);
            let expected = u64::from(burst + 10 * per_second);
            assert!(
                seen.abs_diff(expected) <= 1,
                "{per_second}/s, burst {burst}: {seen}, not {expected}"
            );
        }
    }

    #[test]
    fn what_stays_below_the_rate_is_all_admitted() {
        let mut rate = Rate::new(100, 1);
        assert_eq!(admitted(&mut rate, SECOND, 5, SECOND / 100), 500);
    }

    #[test]
    fn a_pause_fills_the_burst_and_no_more() {
        let mut rate = Rate::new(10, 4);
        let at_once = |rate: &mut Rate, at: u64| (0..100).filter(|_| rate.admits(at)).count();
        assert_eq!(at_once(&mut rate, SECOND), 4);
        assert_eq!(at_once(&mut rate, SECOND), 0);
        assert_eq!(at_once(&mut rate, SECOND + SECOND / 5), 2);
        assert_eq!(at_once(&mut rate, 1_000 * SECOND), 4);
    }

    #[test]
    fn zeroes_admit_everything() {
        let mut rate = Rate::zeroed();
        assert_eq!(admitted(&mut rate, 0, 1, SECOND / 50), 50);
    }

    #[test]
    fn a_clock_that_wraps_changes_nothing() {
        let start = (u64::MAX >> FINE_SHIFT) - SECOND;
        let mut rate = Rate::new(100, 1);
        rate.due = (start - SECOND) << FINE_SHIFT;
        let seen = admitted(&mut rate, start, 4, SECOND / 1_000);
        assert!(seen.abs_diff(400) <= 1, "{seen}");
    }

    #[test]
    fn years_of_rest_leave_no_debt() {
        const YEAR: u64 = 365 * 24 * 3_600 * SECOND;
        for years in [1, 4, 5, 8, 9] {
            assert!(Rate::new(5, 1).admits(years * YEAR), "{years} years");
        }
    }

    #[test]
    fn a_caller_whose_time_is_a_little_older_is_not_admitted_for_that() {
        let mut rate = Rate::new(10, 1);
        assert!(rate.admits(5 * SECOND));
        for late in [1, SECOND / 100, SECOND] {
            assert!(!rate.admits(5 * SECOND - late), "{late} ns");
        }
    }
}
