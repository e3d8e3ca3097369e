//! HTTP/1.x framing (RFC 9112): keep-alive, pipelining, lengths, chunks, upgrades.

use bytemuck::{Pod, Zeroable};

pub use super::operation::{MAX_TARGET_BYTES, normalise, op_hash};
use super::{
    line,
    stream::{Direction, Segment, head_flag, phase},
    window::{CARRY_BYTES, DATA_BYTES, LINES, Load, Window},
};
use crate::{counter::Loss, event::HEAD_BYTES, flow::protocol};

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
    /// Request whose head is in `head`, by ordinal; 0 = none.
    pub head_ordinal: u64,
    /// First bytes of a request head, from `head_skip` on.
    pub head: [u64; HEAD_BYTES / 8 + 1],
    /// Bytes of `head` that stand before the request.
    pub head_skip: u16,
    /// Bytes of the request in `head`.
    pub head_len: u16,
    /// One of [`protocol`].
    pub protocol: u8,
    /// 1 = no framing any more.
    pub opaque: u8,
    /// Explicit padding.
    pub _pad: [u8; 2],
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

/// Reads on in the segment under the reader. Call until it answers [`step::DONE`], within a bound
/// of your own.
///
/// The three parts are functions of their own in the kernel, where each is verified by itself.
#[inline(always)]
pub fn advance<L: Load>(conversation: &mut Conversation, is_request: bool, bytes: &mut L) -> u32 {
    let begun = begin(conversation, is_request, bytes);
    if begun != step::SCAN {
        return begun;
    }
    let found = scan(conversation, is_request);
    conclude(conversation, is_request, found)
}

#[inline(always)]
fn lost(conversation: &mut Conversation, is_request: bool, reason: Loss, missed: u64) -> Step {
    conversation.direction_mut(is_request).missed = missed;
    step::LOST + reason as u32
}

impl Conversation {
    /// True if the segment under the reader has nothing left for [`begin`].
    #[inline(always)]
    pub fn is_read(&mut self, is_request: bool) -> bool {
        let direction = self.direction_mut(is_request);
        direction.phase != phase::BODY && direction.segment.end <= direction.next
    }
}

/// First part of a step: what needs no bytes, else loads the window.
#[inline(always)]
pub fn begin<L: Load>(conversation: &mut Conversation, is_request: bool, bytes: &mut L) -> u32 {
    if conversation.opaque != 0 {
        return step::DONE;
    }
    let direction = conversation.direction_mut(is_request);
    let segment = direction.segment;
    if direction.phase == phase::BODY {
        if segment.end < direction.next {
            return step::DONE;
        }
        return finish_message(conversation, is_request);
    }
    if segment.end <= direction.next {
        return step::DONE;
    }
    if direction.phase == phase::UNTIL_CLOSE {
        direction.next = segment.end;
        return step::DONE;
    }
    if direction.phase == phase::RESYNC {
        return look_for_head(conversation, is_request, bytes);
    }
    if segment.offset > direction.next {
        let missed = conversation.resynchronise();
        return lost(conversation, is_request, Loss::SegmentGap, missed);
    }
    if direction.phase == phase::START_LINE && direction.carry_len == 0 {
        direction.message_start = direction.next;
        direction.message_started_ns = segment.time_ns;
        direction.head_flags = 0;
        direction.content_length = 0;
    }
    let Some(to) = fill(direction, bytes) else {
        let missed = conversation.resynchronise();
        return lost(conversation, is_request, Loss::Unreadable, missed);
    };
    let from = CARRY_BYTES - (direction.carry_len as usize & 127).min(CARRY_BYTES);
    direction.carry_len = 0;
    direction.scan_from = from as u32;
    direction.scan_to = to as u32;
    if direction.phase == phase::START_LINE && is_request {
        keep_head(conversation, from, to);
    }
    step::SCAN
}

/// Loads new bytes behind the carried ones and returns where they end in the window.
#[inline(always)]
fn fill<L: Load>(direction: &mut Direction, bytes: &mut L) -> Option<usize> {
    let segment = direction.segment;
    let at = direction.next.wrapping_sub(segment.offset) as u32;
    let left = segment.end.wrapping_sub(direction.next);
    let len = if left > DATA_BYTES as u64 {
        DATA_BYTES as u32
    } else {
        left as u32
    };
    let to = CARRY_BYTES + len as usize;
    if !bytes.load(at, len, &mut direction.window) {
        return None;
    }
    direction.window.blank_from(to);
    Some(to)
}

/// How a pass over the window ended. Positions are window positions.
#[derive(Clone, Copy)]
enum Scan {
    /// The window is used up in mid-head; what is carried is in `carry_len`.
    Open,
    /// A line that matters is finished and there is more behind it.
    Next(u64),
    /// The empty line of a head or of trailers was read.
    End(u64),
    /// These bytes are not what they should be.
    Bad,
}

/// Last part of a step: acts on what [`scan`] found.
#[inline(always)]
pub fn conclude(conversation: &mut Conversation, is_request: bool, found: u32) -> u32 {
    let direction = conversation.direction_mut(is_request);
    let (from, to) = (direction.scan_from as usize, direction.scan_to as usize);
    let in_trailers = direction.phase == phase::TRAILERS;
    // `next` stands where the data part begins, so a position maps by this difference.
    let base = direction.next.wrapping_sub(CARRY_BYTES as u64);
    match found {
        found::OPEN => {
            direction.next = base.wrapping_add(to as u64);
            still_http(conversation, is_request)
        }
        found::NEXT => {
            direction.next = base.wrapping_add(direction.scan_end);
            more(direction)
        }
        found::END => {
            direction.next = base.wrapping_add(direction.scan_end);
            if in_trailers {
                return finish_message(conversation, is_request);
            }
            conversation.protocol = protocol::HTTP1;
            if is_request {
                return end_of_request_head(conversation);
            }
            end_of_response_head(conversation)
        }
        _ => {
            direction.next = base.wrapping_add(to as u64);
            not_http(conversation, is_request, from, to.wrapping_sub(from))
        }
    }
}

/// What [`scan`] found.
pub mod found {
    /// The window is used up in mid-head.
    pub const OPEN: u32 = 0;
    /// A line that matters is finished and there is more behind it.
    pub const NEXT: u32 = 1;
    /// The empty line of a head or of trailers was read.
    pub const END: u32 = 2;
    /// These bytes are not what they should be.
    pub const BAD: u32 = 3;
}

/// Middle part of a step: reads the window's lines and answers one of [`found`]; where it stopped
/// is in [`Direction::scan_end`].
#[inline(always)]
pub fn scan(conversation: &mut Conversation, is_request: bool) -> u32 {
    let direction = conversation.direction_mut(is_request);
    let (from, to) = (direction.scan_from as usize, direction.scan_to as usize);
    let lines = direction.window.find_lines(to);
    // The search compared `to` with every word's position, and so taught the verifier fifty
    // different things about it.
    let to = direction.window.forget(to);
    let scan = match direction.phase {
        phase::START_LINE => start_line(direction, is_request, from, to, lines),
        phase::CHUNK_SIZE => chunk_line(direction, from, to, lines),
        _ => header_lines(direction, from, to, lines, 0),
    };
    match scan {
        Scan::Open => found::OPEN,
        Scan::Next(at) => {
            direction.scan_end = at;
            found::NEXT
        }
        Scan::End(at) => {
            direction.scan_end = at;
            found::END
        }
        Scan::Bad => found::BAD,
    }
}

/// A segment ended in a first line: goes on, unless that line cannot become HTTP.
#[inline(always)]
fn still_http(conversation: &mut Conversation, is_request: bool) -> Step {
    let undecided = conversation.protocol == protocol::UNKNOWN;
    let direction = conversation.direction_mut(is_request);
    if undecided && direction.phase == phase::START_LINE && direction.carry_len != 0 {
        let len = (direction.carry_len as usize & 127).min(CARRY_BYTES);
        let start = CARRY_BYTES - len;
        let may = if is_request {
            line::may_begin_request(&direction.window, start, len)
        } else {
            line::may_begin_response(&direction.window, start, len)
        };
        if !may {
            return not_http(conversation, is_request, start, len);
        }
    }
    more(conversation.direction_mut(is_request))
}

/// Keeps the first bytes of a request for the detail lane, unless an unanswered one's are kept.
#[inline(always)]
fn keep_head(conversation: &mut Conversation, from: usize, to: usize) {
    let ordinal = conversation.asked + 1;
    // What was kept of this very request may have ended in its first line.
    if conversation.head_ordinal > conversation.answered && conversation.head_ordinal != ordinal {
        return;
    }
    conversation.head_ordinal = ordinal;
    conversation
        .request
        .window
        .copy_words(from, &mut conversation.head);
    conversation.head_skip = (from & 7) as u16;
    let len = to - from;
    conversation.head_len = if len > HEAD_BYTES {
        HEAD_BYTES as u16
    } else {
        len as u16
    };
}

/// Position of the window's first line feed, or `to`.
#[inline(always)]
fn first_line_feed(direction: &Direction, to: usize, lines: usize) -> usize {
    if lines == 0 {
        to
    } else {
        direction.window.line_feed(0)
    }
}

/// End of a line's text, without a CR before its line feed.
#[inline(always)]
fn text_end(direction: &Direction, start: usize, line_feed: usize) -> usize {
    let has_cr = line_feed > start && direction.window.byte(line_feed - 1) == b'\r';
    line_feed - has_cr as usize
}

/// The window ends in mid-line: carries the line's beginning over. False if it is too long.
#[inline(always)]
fn carry(direction: &mut Direction, start: usize, to: usize) -> bool {
    if start >= to {
        return true;
    }
    let visible = to - start;
    if visible >= CARRY_BYTES {
        return false;
    }
    direction.window.carry_from(to);
    direction.carry_len = visible as u8;
    true
}

#[inline(always)]
fn start_line(
    direction: &mut Direction,
    is_request: bool,
    from: usize,
    to: usize,
    lines: usize,
) -> Scan {
    let line_feed = first_line_feed(direction, to, lines);
    let complete = line_feed < to;
    if !complete && carry(direction, from, to) {
        return Scan::Open;
    }
    let end = text_end(direction, from, line_feed);
    if complete && from >= end {
        // RFC 9112, section 2.2: empty lines before a start line are ignored.
        return Scan::Next(line_feed as u64 + 1);
    }
    let good = if is_request {
        line::request_line(direction, from, end, complete)
    } else {
        line::status_line(direction, from, end)
    };
    if !good {
        return Scan::Bad;
    }
    direction.phase = phase::HEADERS;
    if !complete {
        direction.head_flags |= head_flag::SKIP_LINE;
        return Scan::Open;
    }
    header_lines(direction, line_feed + 1, to, lines, 1)
}

#[inline(always)]
fn chunk_line(direction: &mut Direction, from: usize, to: usize, lines: usize) -> Scan {
    let line_feed = first_line_feed(direction, to, lines);
    let complete = line_feed < to;
    if direction.head_flags & head_flag::SKIP_LINE == 0 {
        if !complete && carry(direction, from, to) {
            return Scan::Open;
        }
        let end = text_end(direction, from, line_feed);
        if !line::chunk_size(direction, from, end) {
            return Scan::Bad;
        }
    }
    if !complete {
        // A chunk extension longer than what is carried: its size is known already.
        direction.head_flags |= head_flag::SKIP_LINE;
        return Scan::Open;
    }
    direction.head_flags &= !head_flag::SKIP_LINE;
    let after = line_feed as u64 + 1;
    if direction.content_length == 0 {
        direction.phase = phase::TRAILERS;
        return Scan::Next(after);
    }
    // The chunk's data and its CR LF are passed over without being read.
    Scan::Next(after.wrapping_add(direction.content_length + 2))
}

/// Walks header or trailer lines from window position `from` on, whose first line feed has index
/// `next`. Lines that frame are noted in passing and read afterwards, so that the loop stays small
/// for the verifier.
#[inline(always)]
fn header_lines(
    direction: &mut Direction,
    from: usize,
    to: usize,
    lines: usize,
    next: usize,
) -> Scan {
    let mut line_start = direction.window.forget(from);
    let mut index = next;
    if direction.head_flags & head_flag::SKIP_LINE != 0 && lines > next {
        direction.head_flags &= !head_flag::SKIP_LINE;
        line_start = direction.window.line_feed(next) + 1;
        index = next + 1;
    }
    let mut length = Noted::none(&mut direction.window);
    let mut encoding = Noted::none(&mut direction.window);
    let mut end_len = 2;
    while index < LINES {
        if index >= lines {
            break;
        }
        let line_feed = direction.window.line_feed(index);
        let start = line_start;
        line_start = line_feed + 1;
        index += 1;
        let len = line_feed.wrapping_sub(start);
        if len <= 1 {
            end_len = len;
            break;
        }
        let word = line::lower_word(&direction.window, start);
        if word == line::CONTENT {
            length.note(
                &mut direction.window,
                start,
                line_feed,
                line::is_content_length,
            );
        } else if word == line::TRANSFER {
            encoding.note(
                &mut direction.window,
                start,
                line_feed,
                line::is_transfer_encoding,
            );
        }
    }
    let line_start = direction.window.forget(line_start);
    let lines = direction.window.forget(lines);
    if direction.phase == phase::HEADERS && !take_framing(direction, &length, &encoding) {
        return Scan::Bad;
    }
    if end_len == 0 || (end_len == 1 && direction.window.byte(line_start.wrapping_sub(2)) == b'\r')
    {
        return Scan::End(line_start as u64);
    }
    if end_len == 1 {
        return Scan::Bad;
    }
    rest_of_window(direction, line_start, to, lines)
}

/// A header line that frames, by window positions; `end` 0 = not met.
struct Noted {
    start: usize,
    end: usize,
    /// Met more than once with that name.
    again: usize,
}

impl Noted {
    #[inline(always)]
    fn none(window: &mut Window) -> Self {
        Self {
            start: window.forget(0),
            end: window.forget(0),
            again: window.forget(0),
        }
    }

    #[inline(always)]
    fn note(
        &mut self,
        window: &mut Window,
        start: usize,
        line_feed: usize,
        is_it: fn(&Window, usize) -> bool,
    ) {
        if is_it(window, start) {
            self.again = window.forget(self.end);
            self.start = window.forget(start);
            self.end = window.forget(line_feed);
        }
    }
}

/// Reads the lines that were noted; false if they make the framing impossible.
#[inline(always)]
fn take_framing(direction: &mut Direction, length: &Noted, encoding: &Noted) -> bool {
    if encoding.end != 0 {
        let end = text_end(direction, encoding.start, encoding.end);
        line::transfer_encoding(direction, encoding.start, end);
    }
    if length.end == 0 {
        return true;
    }
    let end = text_end(direction, length.start, length.end);
    length.again == 0 && line::content_length(direction, length.start + 15, end)
}

/// No empty line was met: more lines may wait than were noted, or the last one is unfinished.
#[inline(always)]
fn rest_of_window(direction: &mut Direction, line_start: usize, to: usize, lines: usize) -> Scan {
    if lines >= LINES && line_start < to {
        return Scan::Next(line_start as u64);
    }
    if direction.head_flags & head_flag::SKIP_LINE != 0 || carry(direction, line_start, to) {
        return Scan::Open;
    }
    if line::frames(direction, line_start) {
        return Scan::Bad;
    }
    direction.head_flags |= head_flag::SKIP_LINE;
    Scan::Open
}

/// Bytes that are no HTTP: a first message makes the connection opaque, a later one is a loss.
#[inline(always)]
fn not_http(conversation: &mut Conversation, is_request: bool, from: usize, len: usize) -> Step {
    let in_first_line = conversation.direction_mut(is_request).phase == phase::START_LINE;
    if conversation.protocol != protocol::UNKNOWN || !in_first_line {
        let missed = conversation.resynchronise();
        return lost(conversation, is_request, Loss::Malformed, missed);
    }
    let window = &conversation.direction_mut(is_request).window;
    let found = if line::is_tls_handshake(window, from) {
        protocol::TLS
    } else if len >= 8 && is_request && line::is_http2_preface(window, from) {
        protocol::HTTP2
    } else {
        protocol::TCP
    };
    conversation.turn_opaque(found);
    step::DONE
}

#[inline(always)]
fn end_of_request_head(conversation: &mut Conversation) -> Step {
    let direction = &conversation.request;
    let (flags, length) = (direction.head_flags, direction.content_length);
    let ordinal = conversation.asked + 1;
    if conversation.asked.wrapping_sub(conversation.answered) < MAX_PENDING as u64 {
        conversation.pending[ordinal as usize & (MAX_PENDING - 1)] = Pending {
            ordinal,
            started_ns: direction.message_started_ns,
            op: direction.op,
            offset: direction.message_start,
            bytes: direction.next.wrapping_sub(direction.message_start),
            method: direction.method,
            _pad: [0; 7],
        };
    }
    conversation.asked = ordinal;
    let direction = &mut conversation.request;
    if flags & head_flag::CHUNKED != 0 {
        direction.phase = phase::CHUNK_SIZE;
        return more(direction);
    }
    if flags & head_flag::ENCODED != 0 {
        // RFC 9112, section 6.3: such a request has no length that can be known.
        let missed = conversation.resynchronise();
        return lost(conversation, true, Loss::Malformed, missed);
    }
    body_of(conversation, true, length)
}

#[inline(always)]
fn end_of_response_head(conversation: &mut Conversation) -> Step {
    let direction = &mut conversation.response;
    let (flags, length, status) = (
        direction.head_flags,
        direction.content_length,
        direction.status,
    );
    if status < 200 && status != 101 {
        direction.phase = phase::START_LINE;
        direction.head_flags = 0;
        return more(direction);
    }
    let asked = conversation.pending[(conversation.answered + 1) as usize & (MAX_PENDING - 1)];
    let method = if asked.ordinal == conversation.answered + 1 {
        asked.method
    } else {
        method::NONE
    };
    if status == 101 || (method == method::CONNECT && status < 300) {
        let finished = finish_response(conversation, conversation.response.segment.time_ns);
        conversation.turn_opaque(protocol::UPGRADED);
        return exchange_or_orphan(conversation, finished);
    }
    if method == method::HEAD || status == 204 || status == 304 {
        return finish_message(conversation, false);
    }
    let direction = &mut conversation.response;
    if flags & head_flag::CHUNKED != 0 {
        direction.phase = phase::CHUNK_SIZE;
        return more(direction);
    }
    if flags & head_flag::HAS_LENGTH == 0 || flags & head_flag::ENCODED != 0 {
        direction.phase = phase::UNTIL_CLOSE;
        direction.next = direction.next.max(direction.segment.end);
        return step::DONE;
    }
    body_of(conversation, false, length)
}

#[inline(always)]
fn more(direction: &Direction) -> Step {
    if direction.segment.end > direction.next {
        step::MORE
    } else {
        step::DONE
    }
}

/// Moves past a body of known length; complete at once if the segment holds all of it.
#[inline(always)]
fn body_of(conversation: &mut Conversation, is_request: bool, len: u64) -> Step {
    let direction = conversation.direction_mut(is_request);
    direction.next = direction.next.wrapping_add(len);
    direction.phase = phase::BODY;
    if direction.segment.end < direction.next {
        return step::DONE;
    }
    finish_message(conversation, is_request)
}

#[inline(always)]
fn finish_message(conversation: &mut Conversation, is_request: bool) -> Step {
    if !is_request {
        let finished = finish_response(conversation, conversation.response.segment.time_ns);
        return exchange_or_orphan(conversation, finished);
    }
    let asked = conversation.asked;
    let direction = &mut conversation.request;
    direction.phase = phase::START_LINE;
    direction.head_flags = 0;
    direction.messages = direction.messages.wrapping_add(1);
    let pending = &mut conversation.pending[asked as usize & (MAX_PENDING - 1)];
    if pending.ordinal == asked {
        pending.bytes = direction.next.wrapping_sub(direction.message_start);
    }
    more(&conversation.request)
}

#[inline(always)]
fn exchange_or_orphan(conversation: &mut Conversation, finished: bool) -> Step {
    if finished {
        step::EXCHANGE
    } else {
        lost(conversation, false, Loss::OrphanResponse, 1)
    }
}

/// Ends the current response and takes the request that it answers; false if there is none.
#[inline(always)]
fn finish_response(conversation: &mut Conversation, time_ns: u64) -> bool {
    let direction = &mut conversation.response;
    direction.phase = phase::START_LINE;
    direction.head_flags = 0;
    direction.messages = direction.messages.wrapping_add(1);
    if conversation.asked == conversation.answered {
        return false;
    }
    let ordinal = conversation.answered + 1;
    conversation.answered = ordinal;
    let finished = &mut conversation.finished;
    finished.ordinal = ordinal;
    finished.responded_ns = direction.message_started_ns;
    finished.ended_ns = time_ns;
    finished.response_bytes = direction.next.wrapping_sub(direction.message_start);
    finished.status = direction.status;
    finished.until_close = 0;
    let pending = &mut conversation.pending[ordinal as usize & (MAX_PENDING - 1)];
    let known = pending.ordinal == ordinal;
    finished.op = if known { pending.op } else { 0 };
    finished.offset = if known { pending.offset } else { 0 };
    finished.started_ns = if known { pending.started_ns } else { 0 };
    finished.request_bytes = if known { pending.bytes } else { 0 };
    finished.method = if known { pending.method } else { method::NONE };
    pending.ordinal = 0;
    true
}

/// After a hole or a late start: is there a plausible head where this segment begins?
#[inline(always)]
fn look_for_head<L: Load>(
    conversation: &mut Conversation,
    is_request: bool,
    bytes: &mut L,
) -> Step {
    let direction = conversation.direction_mut(is_request);
    let segment = direction.segment;
    if segment.offset < direction.next {
        // Partly old bytes: its beginning is no turn.
        direction.next = segment.end;
        return step::DONE;
    }
    direction.next = segment.offset;
    let Some(to) = fill(direction, bytes) else {
        direction.next = segment.end;
        return lost(conversation, is_request, Loss::Unreadable, 1);
    };
    let len = to - CARRY_BYTES;
    let plausible = if is_request {
        len >= 16 && line::begins_request(&direction.window, CARRY_BYTES)
    } else {
        len >= 12 && line::may_begin_response(&direction.window, CARRY_BYTES, len)
    };
    if plausible {
        direction.phase = phase::START_LINE;
        direction.carry_len = 0;
        direction.misses = 0;
        return step::MORE;
    }
    direction.next = segment.end;
    if is_request {
        return missed_look(conversation);
    }
    // A download that goes on says nothing about what its connection speaks.
    step::DONE
}

/// No head where a request could begin: one loss when that begins on a connection that speaks
/// HTTP (unless [`Conversation::resynchronise`] counted it), an end to one that never spoke it.
#[inline(always)]
fn missed_look(conversation: &mut Conversation) -> Step {
    let misses = conversation.request.misses;
    if misses < MAX_MISSES {
        conversation.request.misses = misses + 1;
    }
    if conversation.protocol != protocol::UNKNOWN {
        return if misses == 0 {
            lost(conversation, true, Loss::Malformed, 1)
        } else {
            step::DONE
        };
    }
    if misses + 1 >= MAX_MISSES {
        conversation.turn_opaque(protocol::TCP);
    }
    step::DONE
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::{boxed::Box, format, string::String, vec::Vec};

    use super::*;

    /// Runs payloads (`>` request, `<` response) in order and tells what came out.
    fn run(parts: &[(char, &str)]) -> Vec<String> {
        let mut conversation: Box<Conversation> = Box::new(Conversation::zeroed());
        conversation.start(u32::MAX - 20, 7);
        let mut seq = [u32::MAX - 19, 8];
        let mut out = Vec::new();
        for (time, (side, text)) in parts.iter().enumerate() {
            let is_request = *side == '>';
            let seq = &mut seq[!is_request as usize];
            let start = *seq;
            *seq = seq.wrapping_add(text.len() as u32);
            if !conversation.locate(is_request, start, text.len() as u32, time as u64 + 1) {
                continue;
            }
            loop {
                match advance(&mut conversation, is_request, &mut text.as_bytes()) {
                    step::DONE => break,
                    step::MORE => {}
                    step::EXCHANGE => {
                        let f = conversation.finished;
                        out.push(format!(
                            "{} {} {}+{}",
                            method::name(f.method),
                            f.status,
                            f.request_bytes,
                            f.response_bytes
                        ));
                    }
                    other => {
                        let reason = Loss::ALL[(other - step::LOST) as usize];
                        let missed = conversation.missed(is_request);
                        out.push(format!("lost {} {missed}", reason.name()));
                    }
                }
            }
        }
        if conversation.close(99) {
            let f = conversation.finished;
            out.push(format!(
                "{} {} until close",
                method::name(f.method),
                f.status
            ));
        }
        while conversation.take_unanswered(99) {
            out.push("unanswered".into());
        }
        if conversation.opaque != 0 {
            out.push(format!("opaque {}", conversation.protocol));
        }
        out
    }

    fn check(parts: &[(char, &str)], expected: &[&str]) {
        assert_eq!(run(parts), expected, "{parts:?}");
        // One byte at a time gives the same.
        let split: Vec<(char, &str)> = parts
            .iter()
            .flat_map(|(side, text)| (0..text.len()).map(move |i| (*side, &text[i..i + 1])))
            .collect();
        assert_eq!(run(&split), expected, "byte by byte: {parts:?}");
    }

    #[test]
    fn conversations() {
        let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        check(&[('>', get), ('<', ok)], &["GET 200 27+40"]);
        check(
            &[('>', get), ('<', ok), ('>', get), ('<', ok)],
            &["GET 200 27+40", "GET 200 27+40"],
        );
        check(
            &[('>', &get.repeat(3)), ('<', &ok.repeat(3))],
            &["GET 200 27+40"; 3],
        );
        check(
            &[
                ('>', get),
                (
                    '<',
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab\n\nc\r\n1;x=y\r\nz\r\n0\r\nT: 1\r\n\r\n",
                ),
                ('>', get),
                ('<', ok),
            ],
            &["GET 200 27+78", "GET 200 27+40"],
        );
        check(
            &[
                ('>', "HEAD / HTTP/1.1\r\n\r\n"),
                ('<', "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"),
                ('>', get),
                ('<', ok),
            ],
            &["HEAD 200 19+39", "GET 200 27+40"],
        );
        check(
            &[('>', get), ('<', "HTTP/1.1 204 No Content\r\n\r\n")],
            &["GET 204 27+27"],
        );
        check(
            &[
                ('>', "POST /x HTTP/1.1\r\nContent-Length:  3 \r\n\r\nabc"),
                (
                    '<',
                    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n",
                ),
            ],
            &["POST 500 44+37"],
        );
        check(
            &[
                ('>', get),
                ('<', "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n\0\0\0"),
            ],
            &["GET 101 27+38", "opaque 5"],
        );
        check(
            &[
                ('>', "CONNECT a:1 HTTP/1.1\r\n\r\n"),
                ('<', "HTTP/1.1 200 OK\r\n\r\n"),
                ('>', "zzzz"),
            ],
            &["CONNECT 200 24+19", "opaque 5"],
        );
        check(
            &[('>', get), ('<', "HTTP/1.0 200 OK\r\n\r\nbody to the end")],
            &["GET 200 until close"],
        );
        check(&[('>', get)], &["unanswered"]);
        check(
            &[('>', "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03")],
            &["opaque 4"],
        );
        check(
            &[('>', "*1\r\n$4\r\nPING\r\n"), ('<', "+PONG\r\n")],
            &["opaque 1"],
        );
        check(&[('>', "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")], &["opaque 3"]);
        check(
            &[('>', "PROPFIND /dav HTTP/1.1\r\n\r\n"), ('<', ok)],
            &["_OTHER 200 26+40"],
        );
        check(
            &[('>', &get.repeat(20)), ('<', &ok.repeat(20))],
            &[&["GET 200 27+40"; 16][..], &["_OTHER 200 0+40"; 4]].concat(),
        );
    }

    #[test]
    fn long_heads() {
        let filler = "X-A: b\r\n".repeat(300);
        let long = format!("X-Long: {}\r\n", "q".repeat(3000));
        let path = format!("/{}", "p".repeat(700));
        let request = format!("GET {path} HTTP/1.1\r\n{filler}{long}Content-Length: 4\r\n\r\nbody");
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let expected = format!("GET 200 {}+40", request.len());
        check(&[('>', &request), ('<', ok)], &[&expected]);
    }
}
