//! Readers of datagrams: programs of their own, which the programs of [`super::cgroup_skb`] jump
//! to, and one that the agent runs for each query that was not answered in time.

use aya_ebpf::{
    helpers::generated::bpf_skb_load_bytes, macros::cgroup_skb, programs::SkBuffContext,
};
use weir_common::datagram::QueryKey;

use super::readers;
use crate::{call::PASS, datagram};

#[cgroup_skb]
pub fn weir_r_datagram(ctx: SkBuffContext) -> i32 {
    datagram::take(ctx.skb.skb, readers::handed(ctx.skb.skb).ingress)
}

/// Gives up the query whose key the packet is made of. Never attached.
#[cgroup_skb]
pub fn weir_sweep(ctx: SkBuffContext) -> i32 {
    let mut key = QueryKey::default();
    // SAFETY: the helper writes as many bytes as the key has, and any bytes are a key.
    let result = unsafe {
        bpf_skb_load_bytes(
            ctx.skb.skb.cast(),
            0,
            (&raw mut key).cast(),
            size_of::<QueryKey>() as u32,
        )
    };
    if result == 0 {
        datagram::sweep(&key);
    }
    PASS
}
