//! `cgroup/post_bind4`, `cgroup/post_bind6`: who will listen.

use aya_ebpf::{macros::cgroup_sock, programs::SockContext};
use weir_common::policy::transport;

use crate::{owner, storage::OWNERS};

#[cgroup_sock(post_bind4)]
pub fn weir_post_bind4(ctx: SockContext) -> i32 {
    post_bind(&ctx)
}

#[cgroup_sock(post_bind6)]
pub fn weir_post_bind6(ctx: SockContext) -> i32 {
    post_bind(&ctx)
}

#[inline(always)]
fn post_bind(ctx: &SockContext) -> i32 {
    // SAFETY: the context outlives the program.
    let protocol = unsafe { core::ptr::read_volatile(&raw const (*ctx.sock).protocol) };
    if (protocol == transport::TCP as u32 || protocol == transport::UDP as u32)
        && let Some(record) = OWNERS.get_or_create(ctx.sock)
    {
        record.owner = owner::current();
    }
    1
}
