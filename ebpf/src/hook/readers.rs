//! Readers of the protocols of frames: programs of their own, which the programs of
//! [`super::cgroup_skb`] jump to, so that the verifier takes each protocol by itself.

use aya_ebpf::{bindings::__sk_buff, macros::cgroup_skb, programs::SkBuffContext};
use weir_common::{
    flow::protocol,
    framing::{
        conversation::{Conversation, step},
        dns::Dns,
        frames,
        memcached::Memcached,
        mongodb::MongoDb,
        mysql::Mysql,
        postgres::Postgres,
        redis::Redis,
        tls::Tls,
        websocket,
        zookeeper::ZooKeeper,
    },
};

use crate::{
    exchange,
    maps::READERS,
    walk::{Payload, STEPS, UNCOUNTED, connection, weir_flush, weir_missed},
};

const PASS: i32 = 1;

/// How many frames or windows full of them a run walks: enough for the largest segments that
/// loopback makes (131,018 bytes) where a protocol passes over small frames by the window.
const FRAME_STEPS: u32 = 2 * STEPS;

/// What a step answers once the rest of the segment is TLS, beside [`step`].
const GOES_ON_AS_TLS: u32 = step::LOST - 2;

/// What the first words of an skb's control block hold while its programs run.
mod way {
    /// In the first word: the skb comes in.
    pub const IN: u32 = 1;
    /// In the first word: the client sends it.
    pub const REQUEST: u32 = 2;
}

/// A segment on its way to the program that reads it.
#[derive(Clone, Copy)]
pub struct Handed {
    /// It comes in.
    pub ingress: bool,
    /// The client sends it.
    pub is_request: bool,
    /// Where its payload begins.
    pub payload_at: u32,
}

/// Jumps to the reader of a protocol, which finds the segment placed
/// ([`Conversation::locate`](weir_common::framing::conversation::Conversation::locate)). Comes back
/// only where this kernel did not take it.
///
/// One program reads both ways, so that the verifier takes each protocol once: programs of both
/// attach types fit into one array if none of them needs its own type, as those do that answer more
/// than pass and drop.
#[inline(always)]
pub fn hand_over(skb: *mut __sk_buff, protocol: u8, handed: Handed) {
    let way = handed.ingress as u32 * way::IN + handed.is_request as u32 * way::REQUEST;
    // SAFETY: the context outlives the program; the kernel keeps and restores what stood there.
    unsafe {
        (*skb).cb[0] = way;
        (*skb).cb[1] = handed.payload_at;
    }
    pass_on(skb, protocol);
}

/// The same of a segment that was handed over before.
#[inline(always)]
pub fn pass_on(skb: *mut __sk_buff, protocol: u8) {
    // SAFETY: the kernel checks the index.
    let _ = unsafe { READERS.tail_call(&SkBuffContext::new(skb), protocol as u32) };
}

/// What the skb was handed over with.
#[inline(always)]
pub fn handed(skb: *mut __sk_buff) -> Handed {
    // SAFETY: the context outlives the program.
    let (way, payload_at) = unsafe {
        (
            core::ptr::read_volatile(&raw const (*skb).cb[0]),
            core::ptr::read_volatile(&raw const (*skb).cb[1]),
        )
    };
    Handed {
        ingress: way & way::IN != 0,
        is_request: way & way::REQUEST != 0,
        payload_at,
    }
}

/// Walks over the frames of a segment; `advance` takes one step.
#[inline(always)]
fn read(skb: *mut __sk_buff, advance: extern "C" fn(*mut __sk_buff, u32, u32) -> u32) -> i32 {
    let handed = handed(skb);
    let mut steps = 0;
    while steps < FRAME_STEPS {
        match advance(skb, handed.is_request as u32, handed.payload_at) {
            step::DONE => return PASS,
            step::MORE => {}
            UNCOUNTED => {
                weir_flush(skb, handed.is_request as u32);
                return PASS;
            }
            GOES_ON_AS_TLS => {
                pass_on(skb, protocol::TLS);
                return PASS;
            }
            code => {
                weir_missed(skb, handed.is_request as u32, code);
            }
        }
        steps += 1;
    }
    weir_missed(skb, handed.is_request as u32, step::DONE);
    PASS
}

/// A step of a protocol that can turn into TLS. Of that there may be something in the same segment: a
/// client of MySQL does not wait between its request and its hello.
#[inline(always)]
fn up_to_tls<P: frames::Protocol>(
    conversation: &mut Conversation,
    is_request: bool,
    payload: &mut Payload,
) -> u32 {
    if conversation.protocol == protocol::TLS {
        return GOES_ON_AS_TLS;
    }
    frames::advance::<P, Payload>(conversation, is_request, payload)
}

/// Declares the program of a protocol and its step, a global function (see
/// [`super::cgroup_skb`]).
macro_rules! reader {
    ($step:ident, $program:ident, $advance:expr) => {
        /// One step over the frames of an skb. An exchange that this completes is recorded at once: a
        /// call of its own would have to find the connection again.
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
            let is_request = is_request != 0;
            let code = $advance(&mut state.conversation, is_request, &mut payload);
            // The ways that led here are of no matter to the verifier.
            let code = state.conversation.forget(is_request, code as usize) as u32;
            if code == step::EXCHANGE {
                exchange::note(state, is_request);
                if !state.conversation.is_read(is_request) {
                    return step::MORE;
                }
            } else if code != step::DONE {
                return code;
            }
            if exchange::is_pending(state, is_request) {
                return UNCOUNTED;
            }
            step::DONE
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
reader!(weir_mysql, weir_r_mysql, up_to_tls::<Mysql>);
reader!(weir_postgres, weir_r_postgres, up_to_tls::<Postgres>);
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
