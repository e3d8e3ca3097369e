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

/// No clamp of the congestion window.
pub const UNCLAMPED_SEGMENTS: u32 = i32::MAX as u32;

/// Fewest segments of a window: with two full ones the receiver acknowledges at once.
const FEWEST_SEGMENTS: u64 = 2;

/// Clamp of the congestion window of a flow that is paced at `rate` (0 = no limit), segments.
///
/// On a path of less than half a millisecond the kernel sends as large pieces as the window
/// allows, whatever the pacing rate (`tcp_tso_autosize` in net/ipv4/tcp_output.c); half a second
/// of a slow flow's budget would leave at once. The clamp lets a fiftieth of a second's budget go
/// at once, or twice what the path holds, if that is more.
#[inline(always)]
pub fn cwnd_clamp(rate_bytes_per_second: u64, srtt_us: u32) -> u32 {
    let rate = rate_bytes_per_second;
    if rate == 0 || rate >= SMALL_SEGMENT_BELOW_BYTES_PER_SECOND {
        return UNCLAMPED_SEGMENTS;
    }
    let burst = rate / 50;
    // At most 40 MB/s times 71 minutes: no overflow.
    let path = rate * srtt_us as u64 / 500_000;
    let bytes = if path > burst { path } else { burst };
    let segments = bytes / SMALL_SEGMENT_BYTES as u64;
    if segments < FEWEST_SEGMENTS {
        FEWEST_SEGMENTS as u32
    } else {
        segments as u32
    }
}

/// True if a clamp is too far from the one in force to leave that.
#[inline(always)]
pub fn clamp_differs(in_force: u64, wanted: u32) -> bool {
    let wanted = wanted as u64;
    wanted > in_force * 2 || wanted < in_force
}

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
    fn windows_hold_a_fiftieth_of_a_second_or_the_path() {
        assert_eq!(cwnd_clamp(0, 100), UNCLAMPED_SEGMENTS);
        assert_eq!(cwnd_clamp(125_000_000, 100), UNCLAMPED_SEGMENTS);
        assert_eq!(cwnd_clamp(15_625, 50), 2);
        assert_eq!(cwnd_clamp(125_000, 50), 2);
        assert_eq!(cwnd_clamp(1_250_000, 50), 17);
        assert_eq!(cwnd_clamp(1_250_000, 100_000), 178, "twice the path");
        assert!(cwnd_clamp(39_999_999, u32::MAX) < UNCLAMPED_SEGMENTS);
        assert!(clamp_differs(0, 2) && clamp_differs(17, 40) && clamp_differs(17, 2));
        assert!(!clamp_differs(17, 17) && !clamp_differs(17, 30));
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
