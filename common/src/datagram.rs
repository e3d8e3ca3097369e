//! Queries in datagrams: what is kept of each until its answer comes.
//!
//! A UDP socket has no connection whose storage could hold them, and may have any number of
//! queries on their way, so they stand in a map of their own, by socket, peer and id.

use bytemuck::{Pod, Zeroable};

use crate::{
    batch::Batch,
    flow::{Addr, EdgeKey, EdgeValue, Owner},
    framing::{conversation::Finished, window::Window},
};

/// A query without an answer for so long counts as unanswered, ns: what resolvers wait before they
/// ask again.
pub const ANSWER_WITHIN_NS: u64 = 5_000_000_000;

/// Queries that may be on their way at once.
pub const MAX_QUERIES: u32 = 8_192;

/// Key of the `QUERIES` map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct QueryKey {
    /// Socket cookie of the end that saw the query.
    pub cookie: u64,
    /// The other end's address as this end sees it; zero in [`QueryKey::without_peer`].
    pub peer_addr: Addr,
    /// The other end's port, host order.
    pub peer_port: u16,
    /// Id of the query.
    pub id: u16,
    /// [`crate::flow::role`] of the end that saw the query.
    pub role: u8,
    /// Explicit padding.
    pub _pad: [u8; 3],
}

impl QueryKey {
    /// The same query whatever address its answer comes from: where this host translates
    /// addresses, a client's packets show the translated one, and the answers the one it asked.
    #[inline(always)]
    pub fn without_peer(&self) -> Self {
        Self {
            peer_addr: [0; 16],
            peer_port: 0,
            ..*self
        }
    }
}

/// Key of the `QUERY_PAIRS` map: what a query's both ends see alike, whatever translates addresses
/// in between.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct QueryPairKey {
    /// Hash of the question.
    pub question: u64,
    /// Id of the query.
    pub id: u16,
    /// The client's port, host order.
    pub client_port: u16,
    /// Explicit padding.
    pub _pad: u32,
}

/// Value of the `QUERIES` map.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct QueryState {
    /// The exchange as far as it is known: all but its end once it waits for the answer.
    pub finished: Finished,
    /// Hash of the question.
    pub question: u64,
    /// Socket cookie of this end.
    pub cookie: u64,
    /// Owner of this end.
    pub owner: Owner,
    /// Owner of the other end when it is on this host.
    pub peer: Owner,
    /// This end's address.
    pub local_addr: Addr,
    /// The other end's address.
    pub remote_addr: Addr,
    /// This end's port, host order.
    pub local_port: u16,
    /// The other end's port, host order.
    pub remote_port: u16,
    /// Edge, once known; [`crate::flow::EDGE_OTHER`] before.
    pub edge_id: u32,
    /// [`crate::flow::role`] of this end.
    pub role: u8,
    /// 1 = both ends are on this host.
    pub local_pair: u8,
    /// Bytes of the query in the window's data part.
    pub head_len: u16,
    /// 1 = the answer is being counted.
    pub answered: u8,
    /// Explicit padding.
    pub _pad: [u8; 3],
    /// Key of its edge.
    pub edge_key: EdgeKey,
    /// Where its edge's value is prepared: too large for a kernel program's stack.
    pub edge_value: EdgeValue,
    /// Where it is counted.
    pub batch: Batch,
    /// The query's first bytes.
    pub window: Window,
}

const _: () = assert!(size_of::<QueryKey>() == 32);
const _: () = assert!(size_of::<QueryPairKey>() == 16);
