//! `cgroup/sendmsg4`, `cgroup/sendmsg6`: datagrams on sockets that are not connected.

use aya_ebpf::{bindings::bpf_sock_addr, macros::cgroup_sock_addr, programs::SockAddrContext};
use weir_common::{
    flow::{Addr, v4_mapped},
    policy::hook,
};

use super::cgroup_connect::{refused, user_ip6};
use crate::{emit::control, owner, storage::OWNERS};

#[cgroup_sock_addr(sendmsg4)]
pub fn weir_sendmsg4(ctx: SockAddrContext) -> i32 {
    // SAFETY: the context outlives the program; volatile, so that loads keep their size.
    let ip = unsafe { core::ptr::read_volatile(&raw const (*ctx.sock_addr).user_ip4) };
    sendmsg(ctx.sock_addr, v4_mapped(ip.to_ne_bytes()))
}

#[cgroup_sock_addr(sendmsg6)]
pub fn weir_sendmsg6(ctx: SockAddrContext) -> i32 {
    let addr = user_ip6(ctx.sock_addr);
    sendmsg(ctx.sock_addr, addr)
}

#[inline(always)]
fn sendmsg(ctx: *mut bpf_sock_addr, addr: Addr) -> i32 {
    note_owner(ctx);
    // Without rules a datagram costs two lookups.
    if control().is_none_or(|control| control.policy_active == 0) {
        return 1;
    }
    let owner = owner::current();
    !refused(ctx, &owner, &addr, hook::SENDMSG) as i32
}

/// Notes who sends, unless the socket was bound or has sent before.
#[inline(always)]
fn note_owner(ctx: *mut bpf_sock_addr) {
    // SAFETY: the context outlives the program.
    let socket = unsafe { (*ctx).__bindgen_anon_1.sk };
    if OWNERS.get(socket).is_some() {
        return;
    }
    if let Some(record) = OWNERS.get_or_create(socket) {
        record.owner = owner::current();
    }
}
