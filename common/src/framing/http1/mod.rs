//! HTTP/1.x framing (RFC 9112): keep-alive, pipelining, lengths, chunks, upgrades.

mod begin;
mod messages;
mod scan;
#[cfg(test)]
mod tests;

use bytemuck::{Pod, Zeroable};

use begin::lost;
pub use begin::{advance, begin};
pub use messages::conclude;
use messages::finish_response;
pub use scan::{found, scan};

pub use super::operation::{MAX_TARGET_BYTES, normalise, op_hash};
use super::stream::{Direction, Segment, phase};
use crate::event::HEAD_BYTES;

/// Request methods, as `u8`.
pub mod method {
    /// Not a method.
    pub const NONE: u8 = 0;
    /// GET
    pub const GET: u8 = 1;
    /// HEAD
    pub const HEAD: u8 = 2;
    /// POST
    pub const POST: u8 = 3;
    /// PUT
    pub const PUT: u8 = 4;
    /// DELETE
    pub const DELETE: u8 = 5;
    /// CONNECT
    pub const CONNECT: u8 = 6;
    /// OPTIONS
    pub const OPTIONS: u8 = 7;
    /// TRACE
    pub const TRACE: u8 = 8;
    /// PATCH
    pub const PATCH: u8 = 9;
    /// Any other token; OpenTelemetry calls it `_OTHER`.
    pub const OTHER: u8 = 10;

    /// Name of a method code.
    pub fn name(code: u8) -> &'static str {
        match code {
            GET => "GET",
            HEAD => "HEAD",
            POST => "POST",
            PUT => "PUT",
            DELETE => "DELETE",
            CONNECT => "CONNECT",
            OPTIONS => "OPTIONS",
            TRACE => "TRACE",
            PATCH => "PATCH",
            _ => "_OTHER",
        }
    }
}

/// How many unanswered requests of a connection are remembered.
pub const MAX_PENDING: usize = 16;

/// Words that hold a head, wherever in the first one it begins.
pub const HEAD_WORDS: usize = HEAD_BYTES / 8 + 1;

/// Fruitless looks for a request after which a connection that never spoke HTTP is given up.
const MAX_MISSES: u8 = 64;

/// A request that waits for its response.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Pending {
    /// Which request of the connection this is, from 1; 0 = empty slot.
    pub ordinal: u64,
    /// Monotonic time of its first byte, ns.
    pub started_ns: u64,
    /// Operation key.
    pub op: u64,
    /// Stream offset of its first byte.
    pub offset: u64,
    /// Head and body so far, bytes.
    pub bytes: u64,
    /// One of [`method`].
    pub method: u8,
    /// Explicit padding.
    pub _pad: [u8; 7],
}

/// Both directions of a connection and the requests between them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Conversation {
    /// Client to server.
    pub request: Direction,
    /// Server to client.
    pub response: Direction,
    /// Requests without a response, by ordinal modulo [`MAX_PENDING`].
    pub pending: [Pending; MAX_PENDING],
    /// The exchange that was completed last. Here and not in [`Step`], because a kernel program's
    /// stack is 512 bytes.
    pub finished: Finished,
    /// Requests seen.
    pub asked: u64,
    /// Requests whose response is complete.
    pub answered: u64,
    /// Request whose head is at hand, by ordinal; 0 = none.
    pub head_ordinal: u64,
    /// First bytes of that head, once the window is wanted for something else.
    pub head: [u64; HEAD_WORDS],
    /// Where the head begins: a window position, or within the first word of `head`.
    pub head_from: u16,
    /// Bytes of the request that are at hand.
    pub head_len: u16,
    /// One of [`protocol`].
    pub protocol: u8,
    /// 1 = no framing any more.
    pub opaque: u8,
    /// 1 = the head is in `head`, 0 = it is still in the window of requests.
    pub head_saved: u8,
    /// Explicit padding.
    pub _pad: u8,
}

/// A request with its complete response.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Finished {
    /// Which request of the connection, from 1.
    pub ordinal: u64,
    /// Operation key; 0 if the request was not remembered.
    pub op: u64,
    /// Stream offset of the request.
    pub offset: u64,
    /// Monotonic time of the request's first byte, ns; 0 = not remembered.
    pub started_ns: u64,
    /// Monotonic time of the response's first byte, ns.
    pub responded_ns: u64,
    /// Monotonic time of the response's last byte, ns.
    pub ended_ns: u64,
    /// Head and body, bytes.
    pub request_bytes: u64,
    /// Head and body, bytes.
    pub response_bytes: u64,
    /// Status code.
    pub status: u16,
    /// One of [`method`].
    pub method: u8,
    /// 1 = the response ended with its connection.
    pub until_close: u8,
    /// Explicit padding.
    pub _pad: [u8; 4],
}

/// What a step over a segment found. Crosses the kernel's function calls as `u32`.
pub mod step {
    /// Nothing more in this segment.
    pub const DONE: u32 = 0;
    /// Call again: the segment holds more.
    pub const MORE: u32 = 1;
    /// An exchange is complete: it stands in [`super::Conversation::finished`]. Call again.
    pub const EXCHANGE: u32 = 2;
    /// Lines wait in the window: [`super::scan`] is next.
    pub const SCAN: u32 = 3;
    /// From here on: `LOST` + a [`crate::counter::Loss`]; so many as
    /// [`super::Conversation::missed`] tells may have been missed. Call again.
    pub const LOST: u32 = 16;
}

type Step = u32;

impl Conversation {
    /// Starts a connection whose initial sequence numbers are known.
    #[inline(always)]
    pub fn start(&mut self, client_isn: u32, server_isn: u32) {
        self.request.anchor(client_isn.wrapping_add(1));
        self.response.anchor(server_isn.wrapping_add(1));
    }

    /// Starts a connection that is older than its observer.
    #[inline(always)]
    pub fn start_midstream(&mut self) {
        self.request.phase = phase::RESYNC;
        self.response.phase = phase::RESYNC;
    }

    /// How many exchanges the latest step of a direction may have missed.
    #[inline(always)]
    pub fn missed(&self, is_request: bool) -> u64 {
        if is_request {
            self.request.missed
        } else {
            self.response.missed
        }
    }

    /// True if the segment under the reader has nothing left for [`begin`].
    #[inline(always)]
    pub fn is_read(&mut self, is_request: bool) -> bool {
        let direction = self.direction_mut(is_request);
        direction.phase != phase::BODY && direction.segment.end <= direction.next
    }

    /// Copies the words that hold the head at hand. It begins [`Self::head_skip`] bytes into them.
    #[inline(always)]
    pub fn copy_head(&self, out: &mut [u64; HEAD_WORDS]) {
        if self.head_saved == 0 {
            self.request.window.copy_words(self.head_from as usize, out);
        } else {
            *out = self.head;
        }
    }

    /// Bytes that stand before the head in what [`Self::copy_head`] copies.
    #[inline(always)]
    pub fn head_skip(&self) -> u16 {
        self.head_from & 7
    }

    /// Requests that wait for their response.
    #[inline(always)]
    pub fn outstanding(&self) -> u64 {
        self.asked.wrapping_sub(self.answered)
    }

    /// Stops framing; bytes and TCP facts are counted further.
    #[inline(always)]
    pub fn turn_opaque(&mut self, protocol: u8) {
        self.protocol = protocol;
        self.opaque = 1;
    }

    /// Finds a segment's place and takes it under the reader; false when there is nothing to do:
    /// it lies outside the stream, or ends before the byte that matters next.
    #[inline(always)]
    pub fn locate(&mut self, is_request: bool, seq: u32, len: u32, time_ns: u64) -> bool {
        let direction = self.direction_mut(is_request);
        if direction.anchored == 0 {
            direction.anchor(seq);
        }
        let Some(offset) = direction.offset_of(seq) else {
            return false;
        };
        let end = offset + len as u64;
        if end > direction.highest {
            direction.highest = end;
        }
        let body_ends = direction.phase == phase::BODY && end == direction.next;
        if end <= direction.next && !body_ends {
            return false;
        }
        direction.segment = Segment {
            offset,
            end,
            time_ns,
        };
        true
    }

    #[inline(always)]
    fn direction_mut(&mut self, is_request: bool) -> &mut Direction {
        if is_request {
            &mut self.request
        } else {
            &mut self.response
        }
    }

    /// The connection ended: a response that lasts until then is complete. True if that finished
    /// an exchange.
    #[inline(always)]
    pub fn close(&mut self, time_ns: u64) -> bool {
        if self.opaque != 0 || self.response.phase != phase::UNTIL_CLOSE {
            return false;
        }
        let finished = finish_response(self, time_ns);
        self.finished.until_close = 1;
        finished
    }

    /// Finishes the oldest request that will never be answered; false if there is none.
    #[inline(always)]
    pub fn take_unanswered(&mut self, time_ns: u64) -> bool {
        if self.opaque != 0 || self.outstanding() == 0 {
            return false;
        }
        self.response.status = 0;
        self.response.message_started_ns = 0;
        self.response.message_start = self.response.next;
        finish_response(self, time_ns)
    }

    /// Leaves the rest of a segment unread; 0 if nothing of it mattered any more.
    #[inline(always)]
    pub fn give_up(&mut self, is_request: bool) -> u64 {
        let opaque = self.opaque != 0;
        let direction = self.direction_mut(is_request);
        if opaque || direction.segment.end <= direction.next {
            return 0;
        }
        direction.next = direction.segment.end;
        self.resynchronise()
    }

    /// Forgets what was under way after a hole, and looks for heads again.
    #[inline(always)]
    fn resynchronise(&mut self) -> u64 {
        let missed = self.outstanding();
        self.answered = self.asked;
        for is_request in [true, false] {
            let direction = self.direction_mut(is_request);
            direction.phase = phase::RESYNC;
            direction.carry_len = 0;
            direction.head_flags = 0;
            // What is missed from here on is counted by this very loss.
            direction.misses = 1;
        }
        if missed == 0 { 1 } else { missed }
    }
}
