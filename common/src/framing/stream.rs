//! One direction of a TCP connection as a 64-bit byte stream.

use bytemuck::{Pod, Zeroable};

use super::{
    http1::graphql::Body,
    window::{CARRY_BYTES, Window},
};

/// Where a direction's reader stands. Crosses as `u8`.
pub mod phase {
    /// At a message boundary: the next bytes are a start line.
    pub const START_LINE: u8 = 0;
    /// In the header block.
    pub const HEADERS: u8 = 1;
    /// In a body of known length, which ends at `next`.
    pub const BODY: u8 = 2;
    /// At a chunk-size line.
    pub const CHUNK_SIZE: u8 = 3;
    /// In the trailer section.
    pub const TRAILERS: u8 = 4;
    /// In a body that ends with the connection.
    pub const UNTIL_CLOSE: u8 = 5;
    /// Lost: looking for a plausible head at the next turn.
    pub const RESYNC: u8 = 6;
    /// In a body of events, or in a chunk of one: `content_length` bytes of it are left.
    pub const EVENTS: u8 = 7;
    /// The same in the first part of a body of GraphQL.
    pub const GRAPHQL: u8 = 8;
}

/// Bits of [`Direction::head_flags`].
pub mod head_flag {
    /// `Content-Length` was given.
    pub const HAS_LENGTH: u8 = 1;
    /// `Transfer-Encoding` ends in `chunked`.
    pub const CHUNKED: u8 = 2;
    /// `Transfer-Encoding` was given.
    pub const ENCODED: u8 = 4;
    /// The rest of the current line is to be skipped.
    pub const SKIP_LINE: u8 = 8;
    /// The current message began before weir could see its first byte.
    pub const LATE: u8 = 16;
    /// HTTP/1: the body is encoded (`Content-Encoding`).
    pub const CODED: u8 = 32;
    /// HTTP/1: the body consists of server-sent events.
    pub const EVENTS: u8 = 64;
    /// HTTP/1: the operation is asked for in the body, or the body answers such a request.
    pub const GRAPHQL: u8 = 128;
    /// A message of frames is under way.
    pub const IN_MESSAGE: u8 = 32;
    /// The message of frames under way is no part of an exchange.
    pub const ALONE: u8 = 64;
    /// Behind the message of frames under way nothing can be framed.
    pub const LAST: u8 = 128;
}

/// A segment's place in its stream.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Segment {
    /// Stream offset of the first payload byte.
    pub offset: u64,
    /// Stream offset behind the last payload byte.
    pub end: u64,
    /// Monotonic time, ns.
    pub time_ns: u64,
}

/// Reader state of one direction; lives in the kernel's per-socket storage.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Direction {
    /// Stream offset of the next byte that matters.
    pub next: u64,
    /// Highest stream offset that was seen, exclusive: extends 32-bit sequence numbers.
    pub highest: u64,
    /// Stream offset of the current message's first byte.
    pub message_start: u64,
    /// Monotonic time of the current message's first byte, ns.
    pub message_started_ns: u64,
    /// Declared body length of the current message, or size of the current chunk.
    pub content_length: u64,
    /// Window position behind what the latest scan read.
    pub scan_end: u64,
    /// Operation key of the current request.
    pub op: u64,
    /// The segment under the reader.
    pub segment: Segment,
    /// How many exchanges the latest [`super::http1::step`] may have missed.
    pub missed: u64,
    /// Window position where unread bytes begin, and where they end.
    pub scan_from: u32,
    /// See `scan_from`.
    pub scan_to: u32,
    /// Sequence number of stream offset 0.
    pub base_seq: u32,
    /// Messages that were completed.
    pub messages: u32,
    /// Status of the current response.
    pub status: u16,
    /// Method of the current request.
    pub method: u8,
    /// One of [`phase`].
    pub phase: u8,
    /// Bits of [`head_flag`].
    pub head_flags: u8,
    /// How many bytes are carried in `window`.
    pub carry_len: u8,
    /// Fruitless looks for a request while resynchronising; stays at their limit.
    pub misses: u8,
    /// 1 once `base_seq` is known.
    pub anchored: u8,
    /// What the answer will name the current request by, in protocols where it does; of HTTP/1, 1 if
    /// its answer is one of GraphQL.
    pub id: u32,
    /// Messages or events that ended within the exchange under way.
    pub counted: u32,
    /// What is known of the body under way, if it is read.
    pub body: Body,
    /// Bytes under the reader.
    pub window: Window,
}

// In the kernel a direction begins a cache line: so does the data part of its window.
const _: () = assert!((core::mem::offset_of!(Direction, window) + CARRY_BYTES).is_multiple_of(64));
const _: () = assert!(size_of::<Direction>().is_multiple_of(64));

/// Segments further ahead than this cannot be real and move nothing.
const MAX_AHEAD: u64 = 1 << 30;

impl Direction {
    /// Anchors offset 0 at `seq`, the first payload byte's sequence number.
    #[inline(always)]
    pub fn anchor(&mut self, seq: u32) {
        self.base_seq = seq;
        self.anchored = 1;
    }

    /// Stream offset of a segment's first byte, or `None` if it lies outside the stream.
    ///
    /// The answer is right while segments are less than 2^31 bytes from the highest one seen.
    #[inline(always)]
    pub fn offset_of(&self, seq: u32) -> Option<u64> {
        let delta = seq.wrapping_sub(self.base_seq.wrapping_add(self.highest as u32)) as i32;
        let offset = (self.highest as i64).wrapping_add(delta as i64);
        if offset < 0 || offset as u64 > self.highest.wrapping_add(MAX_AHEAD) {
            return None;
        }
        Some(offset as u64)
    }

    /// Sequence number of the byte at a stream offset.
    #[inline(always)]
    pub fn seq_of(&self, offset: u64) -> u32 {
        self.base_seq.wrapping_add(offset as u32)
    }

    /// True while a head or body is unfinished.
    #[inline(always)]
    pub fn in_message(&self) -> bool {
        self.phase != phase::RESYNC && (self.phase != phase::START_LINE || self.carry_len != 0)
    }
}
