//! What an exchange costs in user space, for the benchmarks.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};

/// The cost of replaying a capture from memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Exchanges found in all rounds.
    pub exchanges: u64,
    /// Frames read in all rounds.
    pub packets: u64,
    /// CPU time of this thread, ns.
    pub cpu_ns: u64,
}

impl Measured {
    /// ns of CPU per exchange: decoding of the packets, framing and building of the item.
    pub fn ns_per_exchange(&self) -> f64 {
        self.cpu_ns as f64 / self.exchanges.max(1) as f64
    }
}

/// Replays a capture `rounds` times from memory and measures this thread's CPU time.
pub fn measure(path: &Path, rounds: u32) -> Result<Measured> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let mut measured = Measured::default();
    for _ in 0..rounds {
        let before = thread_cpu();
        let report = super::run_reader(bytes.as_slice(), &mut |exchange| {
            std::hint::black_box(exchange);
        })?;
        let spent = thread_cpu().saturating_sub(before);
        measured.cpu_ns += u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
        measured.exchanges += report.exchanges;
        measured.packets += report.packets;
    }
    Ok(measured)
}

fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
