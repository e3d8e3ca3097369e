//! The reader of GraphQL in bodies and targets of HTTP/1: a program of its own, as those of
//! [`super::bodies`] are, to which these go on once the part that is read was read.

use aya_ebpf::{
    bindings::__sk_buff, helpers::generated::bpf_ktime_get_ns, macros::cgroup_skb,
    programs::SkBuffContext,
};
use weir_common::{
    flow::protocol::HTTP1,
    framing::http1::{
        graphql,
        graphql::{MAX_STEPS, told},
        step,
    },
};

use crate::{
    emit::tell_path,
    hook::readers,
    packet::{self, tcp_flag},
    storage::CONNECTIONS,
    walk::{Payload, connection, full_socket, weir_record},
};

const PASS: i32 = 1;

#[cgroup_skb]
pub fn weir_r_graphql(ctx: SkBuffContext) -> i32 {
    read(ctx.skb.skb)
}

/// [`graphql()`] on the connection of an skb whose payload begins at `payload_at`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_graphql(skb: *mut __sk_buff, is_request: u32, payload_at: u32) -> u32 {
    let Some(state) = connection(skb) else {
        return step::DONE;
    };
    let mut payload = Payload {
        skb,
        at: payload_at,
    };
    graphql(&mut state.conversation, is_request != 0, &mut payload)
}

/// Tells the agent the name that was found, unless it was told.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_name(skb: *mut __sk_buff) -> u32 {
    if let Some(state) = connection(skb) {
        let (key, len, name) = told(&state.conversation);
        tell_path(key, len, name);
    }
    0
}

/// Reads what the segment holds of it: its walk has placed the segment before it jumped here.
#[inline(always)]
fn read(skb: *mut __sk_buff) -> i32 {
    let Some(packet) = packet::parse(skb) else {
        return PASS;
    };
    let Some(socket) = full_socket(skb) else {
        return PASS;
    };
    let Some(state) = CONNECTIONS.get(socket) else {
        return PASS;
    };
    let is_request = readers::handed(skb).is_request;
    let mut code = step::GRAPHQL;
    let mut steps = 0;
    while steps < MAX_STEPS && code == step::GRAPHQL {
        code = weir_graphql(skb, is_request as u32, packet.payload_at);
        steps += 1;
    }
    if code == step::NAMED {
        weir_name(skb);
    }
    if code != step::DONE {
        readers::pass_on(skb, HTTP1);
        return PASS;
    }
    // SAFETY: the helper has no arguments.
    let time_ns = unsafe { bpf_ktime_get_ns() };
    if packet.flags & tcp_flag::FIN != 0 && !is_request && state.conversation.close(time_ns) {
        weir_record(skb);
    }
    PASS
}
