//! Sequence-addressed message walkers.
//!
//! A direction of a connection keeps the stream offset at which the next message head begins. A
//! segment that ends before it is only counted; a segment that holds it is read just as far as
//! the head goes, and the offset then moves past the body without touching it. Cost is per
//! message, not per byte, and retransmits fall out by arithmetic.
//!
//! ```text
//!  segment ──▶ locate ──────────────▶ begin ──▶ scan ──▶ conclude ──▶ MORE, EXCHANGE, LOST, DONE
//!              (sequence → offset)    (window)  (lines)  (messages)
//! ```
//!
//! The kernel loads the window with `bpf_skb_load_bytes`, user space from a slice ([`http1::advance`]). Both run the same code on the same state.

pub mod conversation;
pub mod detect;
pub mod dns;
mod finish;
pub mod frames;
mod heads;
pub mod http1;
pub mod http2;
mod line;
pub mod memcached;
pub mod mongodb;
pub mod mysql;
pub mod operation;
mod pairing;
pub mod postgres;
mod reads;
pub mod redis;
pub mod sql;
pub mod stream;
pub mod tls;
pub mod websocket;
pub mod window;
pub mod zookeeper;

use crate::flow::protocol;

/// Reads on in the segment under the reader, whatever its connection speaks. Call until it answers
/// [`conversation::step::DONE`], within a bound of your own.
///
/// Connections of HTTP/2 need more state: those are read by [`http2::walk`].
///
/// The kernel calls the parts of this one by one, see `hook/cgroup_skb.rs`.
pub fn advance<L: window::Load>(
    conversation: &mut conversation::Conversation,
    is_request: bool,
    bytes: &mut L,
) -> u32 {
    match conversation.protocol {
        protocol::DNS => frames::advance::<dns::Dns, L>(conversation, is_request, bytes),
        // Its caller walks it, see below.
        protocol::HTTP2 => conversation::step::DONE,
        protocol::MEMCACHED => {
            frames::advance::<memcached::Memcached, L>(conversation, is_request, bytes)
        }
        protocol::MONGODB => {
            frames::advance::<mongodb::MongoDb, L>(conversation, is_request, bytes)
        }
        protocol::MYSQL => frames::advance::<mysql::Mysql, L>(conversation, is_request, bytes),
        protocol::POSTGRES => {
            frames::advance::<postgres::Postgres, L>(conversation, is_request, bytes)
        }
        protocol::TLS => frames::advance::<tls::Tls, L>(conversation, is_request, bytes),
        protocol::REDIS => frames::advance::<redis::Redis, L>(conversation, is_request, bytes),
        protocol::WEBSOCKET => websocket::advance(conversation, is_request, bytes),
        protocol::ZOOKEEPER => {
            frames::advance::<zookeeper::ZooKeeper, L>(conversation, is_request, bytes)
        }
        _ => http1::advance(conversation, is_request, bytes),
    }
}
