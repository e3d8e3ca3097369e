//! How long to wait before sending again.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

const FIRST: Duration = Duration::from_millis(250);
/// Short enough that a collector that is back is found soon.
const LONGEST: Duration = Duration::from_secs(10);
/// A receiver may ask for patience, but not for ever.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// Exponential backoff with jitter.
#[derive(Debug, Default)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// Wait before the next attempt; what the receiver `asked` for comes first.
    pub fn next(&mut self, asked: Option<Duration>) -> Duration {
        let doubled = FIRST
            .saturating_mul(1 << self.attempts.min(16))
            .min(LONGEST);
        self.attempts = self.attempts.saturating_add(1);
        match asked {
            Some(asked) => asked.min(LONGEST_ASKED),
            // Between half and all of it, so that many agents do not return at once.
            None => doubled.mul_f64(0.5 + 0.5 * random_fraction()),
        }
    }

    /// Something succeeded.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// Evenly spread over 0 to 1: every `RandomState` has fresh keys.
fn random_fraction() -> f64 {
    let bits = RandomState::new().build_hasher().finish();
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_with_jitter() {
        let mut backoff = Backoff::default();
        for expected_ms in [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000] {
            let waited = backoff.next(None).as_millis();
            let range = expected_ms / 2..=expected_ms;
            assert!(range.contains(&waited), "{waited} ms, not in {range:?}");
        }
        backoff.reset();
        assert!(backoff.next(None) <= FIRST);
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(backoff.next(asked(7)), Duration::from_secs(7));
        assert_eq!(backoff.next(asked(86_400)), LONGEST_ASKED);
    }
}
