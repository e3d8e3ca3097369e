//! Monotonic time of the kernel → unix time.

/// The offset between the two clocks, sampled at a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    offset_ns: i128,
}

impl Clock {
    /// A clock from both times read at one moment, ns.
    pub fn new(unix_ns: u64, monotonic_ns: u64) -> Self {
        Self {
            offset_ns: i128::from(unix_ns) - i128::from(monotonic_ns),
        }
    }

    /// Unix time of a monotonic time, ns; 0 stays 0, because it means "never".
    pub fn unix_ns(&self, monotonic_ns: u64) -> u64 {
        if monotonic_ns == 0 {
            return 0;
        }
        let unix = i128::from(monotonic_ns) + self.offset_ns;
        u64::try_from(unix).unwrap_or(0)
    }

    /// Unix time of a monotonic time, seconds.
    pub fn unix_seconds(&self, monotonic_ns: u64) -> f64 {
        self.unix_ns(monotonic_ns) as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_go_both_ways() {
        for (unix, monotonic, asked, expected) in [
            (1_000, 400, 500, 1_100),
            (1_000, 400, 300, 900),
            (100, 400, 500, 200),
            (100, 400, 200, 0),
            (1_000, 400, 0, 0),
        ] {
            assert_eq!(Clock::new(unix, monotonic).unix_ns(asked), expected);
        }
    }
}
