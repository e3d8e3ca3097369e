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

/// Rate of one flow, bytes per second: the budget over the flows that take part, at least 1; a
/// budget of 0 stays 0, no limit.
#[inline(always)]
pub fn share(rate_bytes_per_second: u64, flows: u64) -> u64 {
    if rate_bytes_per_second == 0 || flows <= 1 {
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

/// How many flows share the budget on `side`: those heard of lately, or all open ones when the
/// rate is so low that a live flow may stay silent for an epoch.
#[inline(always)]
pub fn live_flows(budget: &Budget, side: usize) -> u64 {
    let side = side & 1;
    let open = budget.flows[side];
    let epoch_bytes = share(budget.rate_bytes_per_second, open) >> (30 - EPOCH_SHIFT);
    if epoch_bytes < 4 * SMALL_SEGMENT_BYTES as u64 {
        return if open == 0 { 1 } else { open };
    }
    let (now, before) = (budget.live[side], budget.live_before[side]);
    let live = if now > before { now } else { before };
    if live == 0 { 1 } else { live }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_no_more_than_the_budget() {
        for flows in 0..40 {
            assert!(share(1_000_000, flows) * flows.max(1) <= 1_000_000);
        }
        assert_eq!(share(3, 8), 1, "a flow never stands still");
        assert_eq!(share(0, 8), 0, "no limit");
    }

    #[test]
    fn slow_budgets_count_open_flows_and_fast_ones_live_flows() {
        let mut budget = Budget {
            rate_bytes_per_second: 12_500,
            ..Budget::default()
        };
        budget.flows = [8, 0];
        budget.live_before = [2, 0];
        assert_eq!(live_flows(&budget, 0), 8);
        assert_eq!(live_flows(&budget, 1), 1);
        budget.rate_bytes_per_second = 12_500_000;
        assert_eq!(live_flows(&budget, 0), 2);
    }
}
