//! Both directions of a connection and the requests between them, whatever the protocol.

use bytemuck::{Pod, Zeroable};

pub(in crate::framing) use super::finish::{
    body_of, exchange_or_orphan, finish_message, finish_response, lost, more,
};
use super::{
    detect::is_framed,
    postgres,
    stream::{Direction, Segment, head_flag, phase},
    tls,
};
use crate::{
    batch::Batch,
    event::{ANSWER_BYTES, HEAD_BYTES},
    flow::protocol,
};

/// How many unanswered requests of a connection are remembered.
pub const MAX_PENDING: usize = 16;

/// Words that hold the beginning of an answer.
pub const ANSWER_WORDS: usize = ANSWER_BYTES / 8 + 1;

/// Words that hold a head, wherever in the first one it begins.
pub const HEAD_WORDS: usize = HEAD_BYTES / 8 + 1;

/// How many prepared statements of a connection are remembered.
pub const STATEMENTS: usize = 16;

/// Fruitless looks for a request after which a connection that never spoke HTTP is given up.
pub(in crate::framing) const MAX_MISSES: u8 = 64;

/// A request that waits for its response.
///
/// The first slot fills a cache line with the counts of requests and answers.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Pending {
    /// Monotonic time of its first byte, ns.
    pub started_ns: u64,
    /// Monotonic time at which the application read its first byte, ns; 0 = not known.
    pub read_ns: u64,
    /// Operation key.
    pub op: u64,
    /// Head and body so far, bytes.
    pub bytes: u64,
    /// Which request of the connection this is, see [`Self::is`]; even = empty slot.
    pub tag: u32,
    /// Sequence number of its first byte.
    pub seq: u32,
    /// What its answer names it by: [`Direction::id`].
    pub id: u32,
    /// One of [`super::http1::method`], or the protocol's own kind of request.
    pub method: u8,
    /// Explicit padding.
    pub _pad: [u8; 3],
}

impl Pending {
    /// [`Self::tag`] of the request with this number: odd.
    #[inline(always)]
    pub const fn tag_of(ordinal: u64) -> u32 {
        (ordinal as u32) << 1 | 1
    }

    /// True if this is the connection's request with this number, of at most 2^31 that wait.
    #[inline(always)]
    pub const fn is(&self, ordinal: u64) -> bool {
        self.tag == Self::tag_of(ordinal)
    }

    /// All bits if it is, else none; without a branch.
    #[inline(always)]
    pub(in crate::framing) const fn mask_if(&self, ordinal: u64) -> u64 {
        let differs = (self.tag ^ Self::tag_of(ordinal)) as u64;
        (differs.wrapping_neg() >> 63).wrapping_sub(1)
    }
}

/// A statement that was prepared on the connection.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Statement {
    /// Its number, as the server gave it.
    pub id: u64,
    /// Operation key of its text; 0 = empty slot.
    pub op: u64,
}

/// Both directions of a connection and the requests between them.
///
/// Requests and answers are read on different processors, so the order is that of a message's way
/// through the caches. In front, in the line that the kernel's own look-up of the record has just
/// read, stands what hardly ever changes. The line behind it goes from one processor to the other
/// with every request and every answer: all that they tell each other is in it. What only one of
/// them touches lies apart.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Conversation {
    /// One of [`protocol`].
    pub protocol: u8,
    /// 1 = no framing any more.
    pub opaque: u8,
    /// Explicit padding.
    pub _pad: [u8; 6],
    /// Operation key of the text that was prepared last; 0 = none.
    pub latest_prepared: u64,
    /// See `answer`.
    pub answer_skip: u64,
    /// Fills the line.
    pub _quiet: [u64; 2],
    /// Requests seen.
    pub asked: u64,
    /// Requests whose response is complete.
    pub answered: u64,
    /// Requests without a response, see `Self::pending_slot`.
    pub pending: [Pending; MAX_PENDING],
    /// Request whose head is at hand, by ordinal; 0 = none.
    pub head_ordinal: u64,
    /// Monotonic time at which the application read the current request's first byte, ns; 0 = not yet,
    /// or not known.
    pub message_read_ns: u64,
    /// Where the head begins: a window position, or within the first word of `head`.
    pub head_from: u16,
    /// Bytes of the request that are at hand.
    pub head_len: u16,
    /// 1 = the head is in `head`, 0 = it is still in the window of requests.
    pub head_saved: u8,
    /// Explicit padding.
    pub _pad_of_head: [u8; 3],
    /// What the reader of requests has completed and is not counted yet.
    pub request_batch: Batch,
    /// Fills the line.
    pub _room: [u64; 1],
    /// Client to server.
    pub request: Direction,
    /// First bytes of the head at hand, once the window is wanted for something else.
    pub head: [u64; HEAD_WORDS],
    /// What the reader of TLS handshakes remembers.
    pub tls: tls::Memory,
    /// First bytes of a failing answer; they begin `answer_skip` bytes into the first word. On HTTP/1,
    /// whose answers are not kept, the name of a GraphQL operation.
    pub answer: [u64; ANSWER_WORDS],
    /// Statements prepared by their number, by that modulo [`STATEMENTS`].
    pub statements: [Statement; STATEMENTS],
    /// Fills the line.
    pub _room_behind: [u64; 3],
    /// Server to client. Far behind the other direction: the processor that reads requests also
    /// fetches the lines behind the window that it fills, and would take them from the one that reads
    /// answers.
    pub response: Direction,
    /// The exchange that was completed last. Here and not in [`Step`], because a kernel program's
    /// stack is 512 bytes.
    pub finished: Finished,
    /// Exchanges counted on the connection; here, because mostly the reader of answers completes them.
    pub exchanges: u64,
    /// What the reader of answers has completed and is not counted yet.
    pub response_batch: Batch,
    /// Bytes of the latest answer in `answer`; 0 = it did not fail, or is HTTP.
    pub answer_len: u8,
    /// Explicit padding.
    pub _pad_of_answer: [u8; 7],
    /// What PostgreSQL's reader remembers.
    pub postgres: postgres::Memory,
}

/// A request with its complete response.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Finished {
    /// Which request of the connection, from 1.
    pub ordinal: u64,
    /// Operation key; 0 if the request was not remembered.
    pub op: u64,
    /// Monotonic time of the request's first byte, ns; 0 = not remembered.
    pub started_ns: u64,
    /// How long the request waited in the socket until the application read its first byte, ns;
    /// 0 = not known.
    pub queue_ns: u64,
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
    /// One of [`super::http1::method`], or the protocol's own kind of request.
    pub method: u8,
    /// 1 = the response ended with its connection.
    pub until_close: u8,
    /// One of [`protocol`] where exchanges of a connection differ in it; 0 = the connection's.
    pub protocol: u8,
    /// 1 = the response consists of server-sent events.
    pub events: u8,
    /// 1 = its request brought a trace context, see [`super::http2::trace`].
    pub traced: u8,
    /// Explicit padding.
    pub _pad: [u8; 1],
    /// Sequence number of the request's first byte; on HTTP/2 the lower half of its offset. See
    /// [`Conversation::request_offset`].
    pub seq: u32,
    /// Explicit padding.
    pub _pad_of_seq: u32,
    /// Messages of the client within the exchange, where it consists of them; [`MESSAGES_UNKNOWN`].
    pub request_messages: u32,
    /// Messages of the server within the exchange, or events; [`MESSAGES_UNKNOWN`].
    pub response_messages: u32,
}

/// Where some messages of a direction may have been missed, or it was not known that it has any.
pub const MESSAGES_UNKNOWN: u32 = u32::MAX;

/// What a step over a segment found. Crosses the kernel's function calls as `u32`.
pub mod step {
    /// Nothing more in this segment.
    pub const DONE: u32 = 0;
    /// Call again: the segment holds more.
    pub const MORE: u32 = 1;
    /// An exchange is complete: it stands in [`Conversation::finished`]. Call again.
    pub const EXCHANGE: u32 = 2;
    /// Lines wait in the window: [`super::http1::scan`] is next.
    pub const SCAN: u32 = 3;
    /// These bytes are no HTTP: [`super::http1::recognise`] is next.
    pub const DETECT: u32 = 4;
    /// Fields of a header block are in the window: [`super::http2::fields`] is next.
    pub const FIELDS: u32 = 6;
    /// A field's text is in the window: [`super::http2::value`] is next.
    pub const VALUE: u32 = 7;
    /// A request's path came as text: it stands in [`super::http2::Http2::path`]; of HTTP/1 the name
    /// of an operation, see [`super::http1::graphql::told`]. Call again.
    pub const NAMED: u32 = 8;
    /// The segment goes on in a body of events: [`super::http1::events()`] is next.
    pub const EVENTS: u32 = 9;
    /// Messages of gRPC are in the window: [`super::http2::messages()`] is next.
    pub const MESSAGES: u32 = 11;
    /// Within a step over HTTP/2: a stream has ended.
    pub const ENDS: u32 = 12;
    /// The segment goes on in a body of GraphQL: [`super::http1::graphql()`] is next.
    pub const GRAPHQL: u32 = 10;
    /// A header block that may have come before is in the window: [`super::http2::compare`] is next.
    pub const COMPARE: u32 = 5;
    /// From here on: `LOST` + a [`crate::counter::Loss`]; so many as
    /// [`Conversation::missed`] tells may have been missed. Call again.
    pub const LOST: u32 = 16;
}

pub(in crate::framing) type Step = u32;

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

    /// Takes a protocol for given, before the first byte; without a reader nothing is read.
    #[inline(always)]
    pub fn assume(&mut self, code: u8) {
        if code == protocol::HTTP1 || is_framed(code) {
            self.protocol = code;
        } else {
            self.turn_opaque(code);
        }
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

    /// [`super::window::Window::forget`] by the memory of one direction: the other one may be read on
    /// another CPU.
    #[inline(always)]
    pub fn forget(&mut self, is_request: bool, value: usize) -> usize {
        self.direction_mut(is_request).window.forget(value)
    }

    /// True if the segment under the reader has nothing left for the reader.
    #[inline(always)]
    pub fn is_read(&mut self, is_request: bool) -> bool {
        let direction = self.direction_mut(is_request);
        direction.phase != phase::BODY && direction.segment.end <= direction.next
    }

    /// The oldest request that waits for its answer, if it was remembered.
    #[inline(always)]
    fn awaited(&self) -> Option<&Pending> {
        let ordinal = self.answered + 1;
        let pending = &self.pending[self.pending_slot(ordinal)];
        pending.is(ordinal).then_some(pending)
    }

    /// Its kind; 0 if it was not remembered.
    #[inline(always)]
    pub(in crate::framing) fn awaited_method(&self) -> u8 {
        self.awaited().map_or(0, |pending| pending.method)
    }

    /// Its operation key; 0 if it was not remembered.
    #[inline(always)]
    pub(in crate::framing) fn awaited_op(&self) -> u64 {
        self.awaited().map_or(0, |pending| pending.op)
    }

    /// What its answer names it by, or what its protocol knows of it ([`Direction::id`]); 0 if it was
    /// not remembered.
    #[inline(always)]
    pub(in crate::framing) fn awaited_id(&self) -> u32 {
        self.awaited().map_or(0, |pending| pending.id)
    }

    /// Copies the words that hold the head at hand. It begins [`Self::head_skip`] bytes into them.
    #[inline(always)]
    #[expect(unsafe_code, reason = "a plain copy would be made one")]
    pub fn copy_head(&self, out: &mut [u64; HEAD_WORDS]) {
        if self.head_saved == 0 {
            self.request.window.copy_words(self.head_from as usize, out);
            return;
        }
        let mut word = 0;
        while word < HEAD_WORDS {
            // By words: a plain copy becomes a call that moves bytes, which verifiers before 6.12
            // walk anew on each path that leads here.
            // SAFETY: a live, aligned word of ours.
            out[word] = unsafe { core::ptr::read_volatile(&raw const self.head[word]) };
            word += 1;
        }
    }

    /// Bytes that stand before the head in what [`Self::copy_head`] copies.
    #[inline(always)]
    pub fn head_skip(&self) -> u16 {
        self.head_from & 7
    }

    /// True if the connection is one of HTTP/2 whose client said something behind its last known
    /// stream that was not seen.
    #[inline(always)]
    pub fn ends_in_a_hole(&self) -> bool {
        self.protocol == protocol::HTTP2 && self.request.head_flags & head_flag::LATE != 0
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

    /// True if a segment of a direction was found its place before.
    #[inline(always)]
    pub fn has_begun(&mut self, is_request: bool) -> bool {
        self.direction_mut(is_request).highest != 0
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

    /// Index of the slot of a request that waits. Slots are taken from the first one on whenever
    /// nothing waits, so that without pipelining it is always the same: whose the first one was last
    /// tells where the others are.
    #[inline(always)]
    pub fn pending_slot(&self, ordinal: u64) -> usize {
        (ordinal as usize).wrapping_sub((self.pending[0].tag >> 1) as usize) & (MAX_PENDING - 1)
    }

    /// Stream offset of a request that was completed last; 0 if it was not remembered.
    #[inline(always)]
    pub fn request_offset(&self, finished: &Finished) -> u64 {
        if self.protocol == protocol::HTTP2 {
            // Requests of it have the lower half of their offset there.
            let latest = self.request.message_start;
            return latest - (latest as u32).wrapping_sub(finished.seq) as u64;
        }
        if finished.started_ns == 0 {
            return 0;
        }
        self.begun_at(finished.seq)
    }

    /// Stream offset of the request with this sequence number, which waits or did so last: less than
    /// 2^32 bytes before the latest one.
    #[inline(always)]
    pub fn begun_at(&self, seq: u32) -> u64 {
        let latest = self.request.message_start;
        latest.wrapping_sub(self.request.seq_of(latest).wrapping_sub(seq) as u64)
    }

    /// The slot of a request that waits.
    #[inline(always)]
    pub(in crate::framing) fn pending_mut(&mut self, ordinal: u64) -> &mut Pending {
        let slot = self.pending_slot(ordinal);
        &mut self.pending[slot]
    }

    /// Notes the request just read as one that waits for its answer. If too many wait already, it
    /// is only counted.
    #[inline(always)]
    pub(in crate::framing) fn ask(&mut self) {
        let (ordinal, waiting) = (self.asked + 1, self.outstanding());
        let slot = if waiting == 0 {
            0
        } else {
            self.pending_slot(ordinal)
        };
        if waiting < MAX_PENDING as u64 {
            let slot = self.request.window.forget(slot) & (MAX_PENDING - 1);
            let (direction, pending) = (&self.request, &mut self.pending[slot]);
            // Field by field: the padding of a whole value would be blanked by a call.
            pending.tag = Pending::tag_of(ordinal);
            pending.seq = direction.seq_of(direction.message_start);
            pending.started_ns = direction.message_started_ns;
            pending.read_ns = self.message_read_ns;
            pending.op = direction.op;
            pending.bytes = direction.next.wrapping_sub(direction.message_start);
            pending.method = direction.method;
            pending.id = direction.id;
        }
        self.asked = ordinal;
    }

    #[inline(always)]
    pub(in crate::framing) fn direction_mut(&mut self, is_request: bool) -> &mut Direction {
        if is_request {
            &mut self.request
        } else {
            &mut self.response
        }
    }
}
