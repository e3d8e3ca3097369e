//! Readers of the protocols of frames: programs of their own, which the programs of
//! [`super::cgroup_skb`] jump to, so that the verifier takes each protocol by itself.

use aya_ebpf::{
    bindings::__sk_buff, helpers::generated::bpf_ktime_get_ns, macros::cgroup_skb,
    programs::SkBuffContext,
};
use weir_common::{
    flow::role,
    framing::{
        conversation::step, dns::Dns, frames, memcached::Memcached, mongodb::MongoDb, mysql::Mysql,
        postgres::Postgres, redis::Redis, tls::Tls, websocket, zookeeper::ZooKeeper,
    },
};

use crate::{
    maps::READERS,
    packet,
    storage::CONNECTIONS,
    walk::{Payload, STEPS, connection, full_socket, weir_missed, weir_record},
};

const PASS: i32 = 1;

/// How many frames or windows full of them a run walks: enough for the largest segments that
/// loopback makes (131,018 bytes) where a protocol passes over small frames by the window.
const FRAME_STEPS: u32 = 2 * STEPS;

/// What the first word of an skb's control block holds while its programs run: where it goes.
mod way {
    pub const IN: u32 = 1;
    pub const OUT: u32 = 2;
}

/// Jumps to the reader of a protocol. Comes back only where this kernel did not take it.
///
/// One program reads both ways, so that the verifier takes each protocol once: programs of both
/// attach types fit into one array if none of them needs its own type, as those do that answer more
/// than pass and drop.
#[inline(always)]
pub fn hand_over(skb: *mut __sk_buff, protocol: u8, ingress: bool) {
    // SAFETY: the context outlives the program; the kernel keeps and restores what stood there.
    unsafe { (*skb).cb[0] = if ingress { way::IN } else { way::OUT } };
    // SAFETY: the kernel checks the index.
    let _ = unsafe { READERS.tail_call(&SkBuffContext::new(skb), protocol as u32) };
}

/// True if the skb of a reader comes in.
#[inline(always)]
pub fn is_ingress(skb: *mut __sk_buff) -> bool {
    // SAFETY: the context outlives the program.
    unsafe { core::ptr::read_volatile(&raw const (*skb).cb[0]) == way::IN }
}

/// Walks over the frames of a segment; `advance` takes one step.
#[inline(always)]
fn read(skb: *mut __sk_buff, advance: extern "C" fn(*mut __sk_buff, u32, u32) -> u32) -> i32 {
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
    let is_request = is_ingress(skb) == (state.role == role::SERVER);
    let conversation = &mut state.conversation;
    if !conversation.locate(is_request, packet.seq, packet.payload_len, time_ns) {
        return PASS;
    }
    let mut steps = 0;
    while steps < FRAME_STEPS {
        match advance(skb, is_request as u32, packet.payload_at) {
            step::DONE => return PASS,
            step::MORE => {}
            step::EXCHANGE => {
                weir_record(skb);
            }
            code => {
                weir_missed(skb, is_request as u32, code);
            }
        }
        steps += 1;
    }
    weir_missed(skb, is_request as u32, step::DONE);
    PASS
}

/// Declares the program of a protocol and its step, a global function (see
/// [`super::cgroup_skb`]).
macro_rules! reader {
    ($step:ident, $program:ident, $advance:expr) => {
        /// One step over the frames of an skb.
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $step(skb: *mut __sk_buff, is_request: u32, payload_at: u32) -> u32 {
            let Some(state) = connection(skb) else {
                return step::DONE;
            };
            let mut payload = Payload {
                skb,
                at: payload_at,
            };
            $advance(&mut state.conversation, is_request != 0, &mut payload)
        }

        #[cgroup_skb]
        pub fn $program(ctx: SkBuffContext) -> i32 {
            read(ctx.skb.skb, $step)
        }
    };
}

reader!(weir_dns, weir_r_dns, frames::advance::<Dns, Payload>);
reader!(
    weir_memcached,
    weir_r_memcached,
    frames::advance::<Memcached, Payload>
);
reader!(
    weir_mongodb,
    weir_r_mongodb,
    frames::advance::<MongoDb, Payload>
);
reader!(weir_mysql, weir_r_mysql, frames::advance::<Mysql, Payload>);
reader!(
    weir_postgres,
    weir_r_postgres,
    frames::advance::<Postgres, Payload>
);
reader!(weir_tls, weir_r_tls, frames::advance::<Tls, Payload>);
reader!(weir_redis, weir_r_redis, frames::advance::<Redis, Payload>);
reader!(
    weir_zookeeper,
    weir_r_zookeeper,
    frames::advance::<ZooKeeper, Payload>
);
reader!(
    weir_websocket,
    weir_r_websocket,
    websocket::advance::<Payload>
);
