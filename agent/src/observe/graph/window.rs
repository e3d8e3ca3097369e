//! Calls per second over the latest few seconds.

use std::collections::VecDeque;

/// Length of the window, ns.
const WINDOW_NS: u64 = 5_000_000_000;

/// Totals at the latest snapshots.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    points: VecDeque<(u64, u64)>,
}

impl Window {
    /// A window that knows the total at a time before its first push.
    pub(super) fn starting(monotonic_ns: u64, total: u64) -> Self {
        Self {
            points: VecDeque::from([(monotonic_ns, total)]),
        }
    }

    /// Takes the total at a time and forgets what is older than the window.
    pub(super) fn push(&mut self, monotonic_ns: u64, total: u64) {
        let is_later = self.points.back().is_none_or(|(at, _)| monotonic_ns > *at);
        if is_later {
            self.points.push_back((monotonic_ns, total));
        }
        // The newest point that is a whole window old stays: it is the window's beginning.
        while self.points.len() > 2 && monotonic_ns.saturating_sub(self.points[1].0) >= WINDOW_NS {
            self.points.pop_front();
        }
    }

    /// Calls per second from the oldest to the newest point.
    pub(super) fn rate(&self) -> f64 {
        let (Some((from, low)), Some((to, high))) = (self.points.front(), self.points.back())
        else {
            return 0.0;
        };
        if to <= from {
            return 0.0;
        }
        high.saturating_sub(*low) as f64 * 1e9 / (to - from) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn rates_over_the_latest_seconds() {
        for (totals, expected) in [
            (vec![], 0.0),
            (vec![1_000_000], 0.0),
            (vec![0, 10], 10.0),
            (vec![0, 10, 20, 30, 40, 50, 60, 70], 10.0),
            (vec![0, 0, 0, 0, 0, 0, 50], 10.0),
            (vec![0, 500, 500, 500, 500, 500, 500, 500], 0.0),
        ] {
            let mut window = Window::default();
            for (second, total) in totals.iter().enumerate() {
                window.push((second as u64 + 1) * SECOND, *total);
            }
            assert!((window.rate() - expected).abs() < 1e-9, "{totals:?}");
            assert!(window.points.len() <= 7);
        }
    }

    #[test]
    fn a_clock_that_stands_still_divides_by_nothing() {
        let mut window = Window::starting(SECOND, 0);
        window.push(SECOND, 5);
        assert!(window.rate().abs() < f64::EPSILON);
    }
}
