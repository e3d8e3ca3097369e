//! Which protocol does a connection speak, if not HTTP/1? Asked of few segments, and so a program
//! of its own, to which those of [`super::cgroup_skb`] jump.

use aya_ebpf::{bindings::__sk_buff, macros::cgroup_skb, programs::SkBuffContext};
use weir_common::framing::{
    detect::is_framed,
    http1::{recognise, step},
};

use crate::{
    hook::readers,
    walk::{connection, weir_missed},
};

const PASS: i32 = 1;

#[cgroup_skb]
pub fn weir_r_recognise(ctx: SkBuffContext) -> i32 {
    look(ctx.skb.skb)
}

/// Looks at the bytes in the window that [`step::DETECT`] was answered for, and hands the segment
/// over to the reader that knows them. Else nothing of it is left to be read.
#[inline(always)]
fn look(skb: *mut __sk_buff) -> i32 {
    let Some(state) = connection(skb) else {
        return PASS;
    };
    let is_request = readers::handed(skb).is_request;
    let code = recognise(&mut state.conversation, is_request);
    if code >= step::LOST {
        weir_missed(skb, is_request as u32, code);
    }
    let protocol = state.conversation.protocol;
    if is_framed(protocol) {
        readers::pass_on(skb, protocol);
    }
    PASS
}
