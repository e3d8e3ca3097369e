//! How the bandwidth budget of an edge is divided among its live flows.

use bytemuck::{Pod, Zeroable};

/// A flow that has not been heard of for this many epochs no longer takes a share.
pub const LIVE_EPOCHS: u64 = 2;

/// Length of an epoch as a shift of nanoseconds: 2^28 ns, about 268 ms.
pub const EPOCH_SHIFT: u32 = 28;

/// Value of the `BANDWIDTH` array, by rule slot.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Budget {
    /// Payload bytes per second for all flows of one direction together; 0 = no limit.
    pub rate_bytes_per_second: u64,
    /// Flows open per direction (client to server, server to client), atomic.
    pub flows: [u64; 2],
    /// Epoch that `live` counts, per direction.
    pub epoch: [u64; 2],
    /// Flows heard of in `epoch`, per direction (atomic).
    pub live: [u64; 2],
    /// Flows heard of in the epoch before, per direction.
    pub live_before: [u64; 2],
}

/// Rate of one flow, bytes per second: the budget over the flows that take part, at least 1.
#[inline(always)]
pub fn share(rate_bytes_per_second: u64, flows: u64) -> u64 {
    if flows <= 1 {
        return rate_bytes_per_second;
    }
    let share = rate_bytes_per_second / flows;
    if share == 0 { 1 } else { share }
}

/// Below this rate the segments of a flow are kept small (MSS clamp at connect), because one
/// 64 KiB loopback segment would be a large part of a second's budget.
pub const SMALL_SEGMENT_BELOW_BYTES_PER_SECOND: u64 = 40_000_000;

/// MSS used for flows below [`SMALL_SEGMENT_BELOW_BYTES_PER_SECOND`], bytes.
pub const SMALL_SEGMENT_BYTES: u32 = 1400;
