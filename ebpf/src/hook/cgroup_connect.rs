//! `cgroup/connect4`, `cgroup/connect6`: who connects, and whether they may.

use aya_ebpf::{
    bindings::bpf_sock_addr,
    helpers::generated::{bpf_get_netns_cookie, bpf_set_retval},
    macros::cgroup_sock_addr,
    programs::SockAddrContext,
};
use weir_common::{
    flow::{Addr, Owner, v4_mapped},
    policy::{Flow, direction, hook, transport, verdict},
};

use crate::{
    access::{Question, callee_at, caller_of, judge},
    emit::{control, lost},
    owner,
    storage::OWNERS,
};

const ALLOW: i32 = 1;
const REFUSE: i32 = 0;
const ECONNREFUSED: i32 = 111;

/// Set by the loader where `bpf_set_retval` exists (5.18); without it a refusal is EPERM.
#[unsafe(no_mangle)]
static HAS_SET_RETVAL: u32 = 0;

#[inline(always)]
fn has_set_retval() -> bool {
    // SAFETY: the loader writes it before the program is loaded; volatile, because the compiler
    // must not fold the initial value.
    unsafe { core::ptr::read_volatile(&raw const HAS_SET_RETVAL) != 0 }
}

#[cgroup_sock_addr(connect4)]
pub fn weir_connect4(ctx: SockAddrContext) -> i32 {
    // SAFETY: the context outlives the program; volatile, so that loads keep their size.
    let ip = unsafe { core::ptr::read_volatile(&raw const (*ctx.sock_addr).user_ip4) };
    connect(ctx.sock_addr, v4_mapped(ip.to_ne_bytes()))
}

#[cgroup_sock_addr(connect6)]
pub fn weir_connect6(ctx: SockAddrContext) -> i32 {
    let addr = user_ip6(ctx.sock_addr);
    connect(ctx.sock_addr, addr)
}

/// The IPv6 destination of a `connect6` or `sendmsg6` context.
#[inline(always)]
pub fn user_ip6(ctx: *mut bpf_sock_addr) -> Addr {
    let mut addr = [0; 16];
    let mut i = 0;
    while i < 4 {
        // SAFETY: the context outlives the program; volatile, so that loads keep their size.
        let word = unsafe { core::ptr::read_volatile(&raw const (*ctx).user_ip6[i]) };
        let bytes = word.to_ne_bytes();
        addr[i * 4] = bytes[0];
        addr[i * 4 + 1] = bytes[1];
        addr[i * 4 + 2] = bytes[2];
        addr[i * 4 + 3] = bytes[3];
        i += 1;
    }
    addr
}

/// Destination port and transport of a socket address context.
#[inline(always)]
pub fn port_and_transport(ctx: *mut bpf_sock_addr) -> (u16, u8) {
    // SAFETY: the context outlives the program.
    let (port, protocol) = unsafe {
        (
            core::ptr::read_volatile(&raw const (*ctx).user_port),
            core::ptr::read_volatile(&raw const (*ctx).protocol),
        )
    };
    (u16::from_be(port as u16), protocol as u8)
}

/// True if policy refuses `owner` to reach the address.
#[inline(always)]
pub fn refused(ctx: *mut bpf_sock_addr, owner: &Owner, addr: &Addr, at: u8) -> bool {
    let active = control().is_some_and(|control| control.policy_active != 0);
    if !active {
        return false;
    }
    let (port, transport) = port_and_transport(ctx);
    // SAFETY: the helper reads the context.
    let netns = unsafe { bpf_get_netns_cookie(ctx.cast()) };
    let flow = Flow {
        from: caller_of(owner),
        to: callee_at(addr, port, netns),
        port,
        transport,
        direction: direction::OUTBOUND,
    };
    let question = Question {
        flow: &flow,
        from: Some(owner),
        remote_addr: addr,
        hook: at,
    };
    judge(&question).verdict == verdict::DENY
}

#[inline(always)]
fn connect(ctx: *mut bpf_sock_addr, addr: Addr) -> i32 {
    let owner = owner::current();
    let (_, transport) = port_and_transport(ctx);
    if transport == transport::TCP || transport == transport::UDP {
        // SAFETY: the context outlives the program.
        let socket = unsafe { (*ctx).__bindgen_anon_1.sk };
        match OWNERS.get_or_create(socket) {
            Some(record) => record.owner = owner,
            None => lost(weir_common::counter::Loss::StorageFailed, 1),
        }
    }
    if !refused(ctx, &owner, &addr, hook::CONNECT) {
        return ALLOW;
    }
    if has_set_retval() {
        // SAFETY: the helper has no memory arguments.
        unsafe { bpf_set_retval(-ECONNREFUSED) };
    }
    REFUSE
}
