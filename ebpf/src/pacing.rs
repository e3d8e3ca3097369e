//! Bandwidth limits by the socket's own pacing: no qdisc, no drops.

use aya_ebpf::{
    bindings::{BPF_SOCK_OPS_RTT_CB_FLAG, bpf_sock_ops},
    helpers::generated::{bpf_setsockopt, bpf_sock_ops_cb_flags_set},
};
use weir_common::{
    connection::{ConnectionState, flag},
    flow::{Addr, Owner, role},
    pacing::{
        Budget, EPOCH_SHIFT, SMALL_SEGMENT_BELOW_BYTES_PER_SECOND, SMALL_SEGMENT_BYTES,
        UNCLAMPED_SEGMENTS, clamp_differs, cwnd_clamp, live_flows, share,
    },
    policy::{Flow, NO_RULE, direction, find, kind, transport},
};

use crate::{
    access::{KernelRules, callee_at, callee_of, caller_at, caller_of},
    atomic,
    maps::BANDWIDTH,
};

const SOL_SOCKET: i32 = 1;
const SO_MAX_PACING_RATE: i32 = 47;
const SOL_TCP: i32 = 6;
const TCP_MAXSEG: i32 = 2;
/// Sets the congestion window before the first data (linux/bpf.h).
const TCP_BPF_IW: i32 = 1001;
/// Sets the largest congestion window (linux/bpf.h).
const TCP_BPF_SNDCWND_CLAMP: i32 = 1002;

/// Slot of the bandwidth rule for a connection that `owner` opens to an address.
#[inline(always)]
fn outbound_rule(owner: &Owner, addr: &Addr, port: u16, netns_cookie: u64) -> u32 {
    let flow = Flow {
        from: caller_of(owner),
        to: callee_at(addr, port, netns_cookie),
        port,
        transport: transport::TCP,
        direction: direction::OUTBOUND,
    };
    find(&flow, kind::BANDWIDTH, &KernelRules).map_or(NO_RULE, |value| value.rule)
}

/// Slot of the bandwidth rule for the server end of a connection.
#[inline(always)]
fn server_rule(state: &ConnectionState) -> u32 {
    let pair = state.has(flag::LOCAL_PAIR);
    let flow = Flow {
        from: if pair {
            caller_of(&state.peer)
        } else {
            caller_at(&state.remote_addr)
        },
        to: callee_of(&state.owner, &state.local_addr),
        port: state.local_port,
        transport: transport::TCP,
        direction: if pair {
            direction::OUTBOUND
        } else {
            direction::INBOUND
        },
    };
    find(&flow, kind::BANDWIDTH, &KernelRules).map_or(NO_RULE, |value| value.rule)
}

#[inline(always)]
fn budget(rule: u32) -> Option<&'static mut Budget> {
    // SAFETY: counters are added to atomically; the rest heals with the next epoch.
    BANDWIDTH
        .get_ptr_mut(rule)
        // SAFETY: the pointer is a live map value; counters in it are only added to atomically.
        .map(|budget| unsafe { &mut *budget })
}

#[inline(always)]
fn set_option(ops: *mut bpf_sock_ops, level: i32, name: i32, value: u32) -> bool {
    let mut value = value;
    // SAFETY: `value` lives on the stack for the call.
    unsafe { bpf_setsockopt(ops.cast(), level, name, (&raw mut value).cast(), 4) == 0 }
}

/// Before the SYN: keeps segments small where one large one would be much of a second's budget.
#[inline(never)]
pub fn before_connect(ops: *mut bpf_sock_ops, owner: &Owner, addr: &Addr, port: u16, netns: u64) {
    let rule = outbound_rule(owner, addr, port, netns);
    let Some(budget) = budget(rule) else {
        return;
    };
    let rate = budget.rate_bytes_per_second;
    if rate != 0 && rate < SMALL_SEGMENT_BELOW_BYTES_PER_SECOND {
        // Kernels before 6.0 refuse it; the rate then still holds on average.
        set_option(ops, SOL_TCP, TCP_MAXSEG, SMALL_SEGMENT_BYTES);
    }
}

/// At ESTABLISHED: puts the connection under its rule, if there is one.
#[inline(never)]
pub fn begin(
    ops: *mut bpf_sock_ops,
    state: &mut ConnectionState,
    netns: u64,
    time_ns: u64,
    flags: i32,
) {
    state.bandwidth_rule = if state.role == role::SERVER {
        server_rule(state)
    } else {
        outbound_rule(&state.owner, &state.remote_addr, state.remote_port, netns)
    };
    let Some(budget) = budget(state.bandwidth_rule) else {
        return;
    };
    state.flags |= flag::PACED;
    if let Some(flows) = budget.flows.get_mut(side(state)) {
        atomic::add(flows, 1);
    }
    // SAFETY: the context outlives the program.
    unsafe { bpf_sock_ops_cb_flags_set(ops, flags | BPF_SOCK_OPS_RTT_CB_FLAG as i32) };
    adjust(ops, state, 0, time_ns);
    if state.cwnd_clamp_segments < UNCLAMPED_SEGMENTS as u64 {
        set_option(ops, SOL_TCP, TCP_BPF_IW, state.cwnd_clamp_segments as u32);
    }
}

/// The connection ended.
#[inline(always)]
pub fn end(state: &ConnectionState) {
    if state.has(flag::PACED)
        && let Some(budget) = budget(state.bandwidth_rule)
        && let Some(flows) = budget.flows.get_mut(side(state))
    {
        atomic::add(flows, u64::MAX);
    }
}

#[inline(always)]
fn side(state: &ConnectionState) -> usize {
    (state.role == role::SERVER) as usize & 1
}

/// Sets the socket's pacing rate to its share of the budget, if that has changed.
#[inline(never)]
pub fn adjust(ops: *mut bpf_sock_ops, state: &mut ConnectionState, srtt_us: u32, time_ns: u64) {
    let Some(budget) = budget(state.bandwidth_rule) else {
        return;
    };
    let side = side(state);
    let epoch = time_ns >> EPOCH_SHIFT;
    if budget.epoch[side] != epoch {
        let next = budget.epoch[side] + 1 == epoch;
        budget.live_before[side] = if next { budget.live[side] } else { 0 };
        budget.live[side] = 0;
        budget.epoch[side] = epoch;
    }
    if state.pacing_epoch != epoch {
        state.pacing_epoch = epoch;
        atomic::add(&mut budget.live[side], 1);
    }
    let flows = live_flows(budget, side);
    let rate = share(budget.rate_bytes_per_second, flows);
    // 0 means no limit, which the option says with all ones.
    let rate = if rate == 0 || rate > u32::MAX as u64 {
        u32::MAX as u64
    } else {
        rate
    };
    if rate != state.pacing_bytes_per_second
        && set_option(ops, SOL_SOCKET, SO_MAX_PACING_RATE, rate as u32)
    {
        state.pacing_bytes_per_second = rate;
    }
    let clamp = cwnd_clamp(share(budget.rate_bytes_per_second, flows), srtt_us);
    if clamp_differs(state.cwnd_clamp_segments, clamp)
        && set_option(ops, SOL_TCP, TCP_BPF_SNDCWND_CLAMP, clamp)
    {
        state.cwnd_clamp_segments = clamp as u64;
    }
}
