//! The reader of HTTP/1 for segments in whose bodies something is to be counted: programs of their
//! own, as those of [`super::readers`] are, so that what few connections need is not verified with
//! what all of them do.

use aya_ebpf::{
    bindings::__sk_buff, helpers::generated::bpf_ktime_get_ns, macros::cgroup_skb,
    programs::SkBuffContext,
};
use weir_common::{
    flow::protocol::{GRAPHQL, HTTP1, UNKNOWN},
    framing::http1::{events, step},
};

use crate::{
    hook::{
        cgroup_skb::{RECORDED, weir_begin, weir_scan},
        readers,
    },
    packet::{self, tcp_flag},
    storage::CONNECTIONS,
    walk::{Payload, STEPS, connection, full_socket, weir_missed, weir_record},
};

const PASS: i32 = 1;

#[cgroup_skb]
pub fn weir_r_bodies(ctx: SkBuffContext) -> i32 {
    read(ctx.skb.skb)
}

/// [`events()`] on the connection of an skb whose payload begins at `payload_at`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_events(skb: *mut __sk_buff, payload_at: u32) -> u32 {
    let Some(state) = connection(skb) else {
        return step::DONE;
    };
    let mut payload = Payload {
        skb,
        at: payload_at,
    };
    events(&mut state.conversation, &mut payload)
}

/// Walks over a segment as [`super::cgroup_skb`] does, and on through such bodies. Behind what
/// [`super::graphql`] has read it goes on with either direction.
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
    // SAFETY: the helper has no arguments.
    let time_ns = unsafe { bpf_ktime_get_ns() };
    let is_request = readers::handed(skb).is_request;
    let conversation = &mut state.conversation;
    if conversation.locate(is_request, packet.seq, packet.payload_len, time_ns) {
        walk(skb, is_request as u32, packet.payload_at);
    }
    if packet.flags & tcp_flag::FIN != 0 && !is_request && state.conversation.close(time_ns) {
        weir_record(skb);
    }
    PASS
}

#[inline(always)]
fn walk(skb: *mut __sk_buff, is_request: u32, payload_at: u32) {
    let mut steps = 0;
    while steps < STEPS {
        let mut code = weir_begin(skb, is_request, payload_at);
        if code == step::EVENTS {
            code = weir_events(skb, payload_at);
        } else if code == step::SCAN {
            code = weir_scan(skb, is_request);
        }
        match code {
            step::DONE => return,
            step::MORE | RECORDED => {}
            step::DETECT => return readers::pass_on(skb, UNKNOWN),
            // If the kernel lets it jump no further, the rest of the segment is given up.
            step::GRAPHQL => {
                readers::pass_on(skb, GRAPHQL);
                break;
            }
            step::EXCHANGE => {
                weir_record(skb);
            }
            _ => {
                weir_missed(skb, is_request, code);
            }
        }
        steps += 1;
    }
    // A body of many small chunks: goes on in a run of its own, as often as the kernel lets it.
    readers::pass_on(skb, HTTP1);
    weir_missed(skb, is_request, step::DONE);
}
