//! The clocks: the only place of this room that reads them.

use rustix::time::{ClockId, clock_gettime};

/// Monotonic time as the kernel programs see it, ns.
pub(super) fn monotonic_ns() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// Unix time, ns.
pub(super) fn unix_ns() -> u64 {
    nanoseconds(ClockId::Realtime)
}

/// Unix time, seconds.
pub(super) fn unix_seconds() -> f64 {
    unix_ns() as f64 / 1e9
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
