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
    maps::{EGRESS_READERS, INGRESS_READERS},
    packet,
    storage::CONNECTIONS,
    walk::{Payload, STEPS, connection, full_socket, weir_missed, weir_record},
};

const PASS: i32 = 1;

/// How many frames or windows full of them a run walks: enough for the largest segments that
/// loopback makes (131,018 bytes) where a protocol passes over small frames by the window.
const FRAME_STEPS: u32 = 2 * STEPS;

/// Jumps to the reader of a protocol. Comes back only where this kernel did not take it.
#[inline(always)]
pub fn hand_over(skb: *mut __sk_buff, protocol: u8, ingress: bool) {
    let context = SkBuffContext::new(skb);
    // SAFETY: the kernel checks the index.
    unsafe {
        if ingress {
            let _ = INGRESS_READERS.tail_call(&context, protocol as u32);
        } else {
            let _ = EGRESS_READERS.tail_call(&context, protocol as u32);
        }
    }
}

/// Walks over the frames of a segment; `advance` takes one step.
#[inline(always)]
fn read(
    skb: *mut __sk_buff,
    ingress: bool,
    advance: extern "C" fn(*mut __sk_buff, u32, u32) -> u32,
) -> i32 {
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
    let is_request = ingress == (state.role == role::SERVER);
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

/// Declares the two programs of a protocol and its step, a global function (see
/// [`super::cgroup_skb`]).
macro_rules! reader {
    ($step:ident, $ingress:ident, $egress:ident, $advance:expr) => {
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

        #[cgroup_skb(ingress)]
        pub fn $ingress(ctx: SkBuffContext) -> i32 {
            read(ctx.skb.skb, true, $step)
        }

        #[cgroup_skb(egress)]
        pub fn $egress(ctx: SkBuffContext) -> i32 {
            read(ctx.skb.skb, false, $step)
        }
    };
}

reader!(
    weir_dns,
    weir_dns_in,
    weir_dns_out,
    frames::advance::<Dns, Payload>
);
reader!(
    weir_memcached,
    weir_memcached_in,
    weir_memcached_out,
    frames::advance::<Memcached, Payload>
);
reader!(
    weir_mongodb,
    weir_mongodb_in,
    weir_mongodb_out,
    frames::advance::<MongoDb, Payload>
);
reader!(
    weir_mysql,
    weir_mysql_in,
    weir_mysql_out,
    frames::advance::<Mysql, Payload>
);
reader!(
    weir_postgres,
    weir_postgres_in,
    weir_postgres_out,
    frames::advance::<Postgres, Payload>
);
reader!(
    weir_tls,
    weir_tls_in,
    weir_tls_out,
    frames::advance::<Tls, Payload>
);
reader!(
    weir_redis,
    weir_redis_in,
    weir_redis_out,
    frames::advance::<Redis, Payload>
);
reader!(
    weir_zookeeper,
    weir_zookeeper_in,
    weir_zookeeper_out,
    frames::advance::<ZooKeeper, Payload>
);
reader!(
    weir_websocket,
    weir_websocket_in,
    weir_websocket_out,
    websocket::advance::<Payload>
);
