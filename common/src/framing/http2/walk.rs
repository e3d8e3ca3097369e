//! The walk over frames: one step reads one frame header, or one piece of a header block.

use super::{
    FRAME_HEADER_BYTES, Http2Direction, RESET, RESET_MAX, Stream, Streams, flag,
    frame::{self, Header, begins_connection},
    kind, place,
};
pub use crate::framing::conversation::step;
use crate::{
    counter::Loss,
    flow::protocol,
    framing::{
        conversation::{Conversation, Step, lost, more},
        frames::outcome,
        stream::phase,
        window::{CARRY_BYTES, DATA_BYTES, Load},
    },
};

/// Bytes of the client's connection preface (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;

/// Most bytes that stand before a header block's fragment: frame header, padding length,
/// priority, promised stream.
const MAX_PREFIX_BYTES: usize = FRAME_HEADER_BYTES + 1 + 5 + 4;

/// A piece of a header block, in the window of its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Stream that the block belongs to.
    pub stream: u32,
    /// Which piece of its direction this is, from 1.
    pub ordinal: u32,
    /// Window position of its first byte.
    pub from: usize,
    /// Its length, bytes; at most [`DATA_BYTES`] and those carried over.
    pub len: usize,
    /// It begins its block.
    pub begins: bool,
    /// It ends its block.
    pub ends: bool,
    /// Its block ends its stream.
    pub ends_stream: bool,
    /// Its block belongs to a push promise.
    pub promise: bool,
}

/// The piece that the latest [`step::PIECE`] tells of.
#[inline(always)]
pub fn piece(conversation: &mut Conversation, is_request: bool) -> Piece {
    let direction = conversation.direction_mut(is_request);
    let (from, to) = (direction.scan_from as usize, direction.scan_to as usize);
    let http2 = conversation.http2_mut(is_request);
    let begins = http2.begins != 0;
    http2.begins = 0;
    Piece {
        stream: http2.stream,
        ordinal: http2.pieces,
        from,
        len: to.wrapping_sub(from),
        begins,
        ends: http2.fragment_left == 0 && http2.flags & flag::END_HEADERS != 0,
        ends_stream: http2.flags & flag::END_STREAM != 0,
        promise: http2.promise != 0,
    }
}

/// Reads on in the segment under the reader. Call until it answers [`step::DONE`], within a bound
/// of your own.
#[inline(always)]
pub fn advance<S: Streams, L: Load>(
    conversation: &mut Conversation,
    streams: &mut S,
    is_request: bool,
    bytes: &mut L,
) -> Step {
    if conversation.opaque != 0 {
        return step::DONE;
    }
    if conversation.http2_mut(is_request).place == place::ENDING {
        conversation.http2_mut(is_request).place = place::FRAME;
        return end_stream(conversation, streams, is_request, outcome::OK);
    }
    let direction = conversation.direction_mut(is_request);
    let segment = direction.segment;
    if direction.phase == phase::BODY {
        if segment.end < direction.next {
            return step::DONE;
        }
        direction.phase = phase::START_LINE;
        conversation.http2_mut(is_request).place = place::FRAME;
        return end_stream(conversation, streams, is_request, outcome::OK);
    }
    if segment.end <= direction.next {
        return step::DONE;
    }
    let resync = direction.phase == phase::RESYNC;
    if resync {
        if segment.offset < direction.next {
            // Partly old bytes: its beginning is no frame's.
            direction.next = segment.end;
            return step::DONE;
        }
        direction.next = segment.offset;
        direction.carry_len = 0;
    } else if segment.offset > direction.next {
        return lose(conversation, is_request, Loss::SegmentGap);
    }
    let direction = conversation.direction_mut(is_request);
    let at = direction.next.wrapping_sub(segment.offset) as u32;
    let left = segment.end.wrapping_sub(direction.next);
    let len = if left > DATA_BYTES as u64 {
        DATA_BYTES as u32
    } else {
        left as u32
    };
    if !bytes.load(at, len, &mut direction.window) {
        return lose(conversation, is_request, Loss::Unreadable);
    }
    let to = direction.window.forget(CARRY_BYTES + len as usize);
    direction.window.blank_from(to);
    let from = CARRY_BYTES - (direction.carry_len as usize & 127).min(CARRY_BYTES);
    let from = direction.window.forget(from);
    direction.carry_len = 0;
    if resync && !takes_up(conversation, is_request, from, to) {
        return step::DONE;
    }
    if conversation.http2_mut(is_request).place == place::FRAGMENT {
        return fragment(conversation, is_request, from, to);
    }
    read_frame(conversation, streams, is_request, from, to)
}

/// After a hole or a late start: does this segment begin with a frame? True if the walk goes on.
#[inline(always)]
fn takes_up(conversation: &mut Conversation, is_request: bool, from: usize, to: usize) -> bool {
    let direction = conversation.direction_mut(is_request);
    let usual = to.wrapping_sub(from) >= FRAME_HEADER_BYTES
        && frame::header(&direction.window, from).is_usual();
    if !usual {
        direction.next = direction.segment.end;
        return false;
    }
    direction.phase = phase::START_LINE;
    conversation.http2_mut(is_request).place = place::FRAME;
    true
}

#[inline(always)]
fn read_frame<S: Streams>(
    conversation: &mut Conversation,
    streams: &mut S,
    is_request: bool,
    from: usize,
    to: usize,
) -> Step {
    let direction = conversation.direction_mut(is_request);
    let known = to.wrapping_sub(from);
    let carried = (CARRY_BYTES as u64).wrapping_sub(from as u64);
    if known >= FRAME_HEADER_BYTES && begins_connection(&direction.window, from) {
        if known < PREFACE_BYTES {
            return cut(conversation, is_request, from, to);
        }
        let start = direction.next.wrapping_sub(carried);
        direction.next = start.wrapping_add(PREFACE_BYTES as u64);
        return more(direction);
    }
    if known < FRAME_HEADER_BYTES {
        return cut(conversation, is_request, from, to);
    }
    let header = frame::header(&direction.window, from);
    if !header.is_possible() {
        return not_a_frame(conversation, is_request);
    }
    let needed = FRAME_HEADER_BYTES + prefix_bytes(&header);
    if known < needed && header.len as usize + FRAME_HEADER_BYTES >= needed {
        return cut(conversation, is_request, from, to);
    }
    // From here on `next` is the frame's first byte.
    direction.next = direction.next.wrapping_sub(carried);
    match header.kind {
        kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION => {
            block(conversation, streams, is_request, &header, from, to)
        }
        kind::DATA => data(conversation, streams, is_request, &header),
        kind::RST_STREAM => reset(conversation, streams, is_request, &header, from),
        _ => {
            direction.next = end_of(direction.next, &header);
            more(direction)
        }
    }
}

#[inline(always)]
fn end_of(start: u64, header: &Header) -> u64 {
    start.wrapping_add(FRAME_HEADER_BYTES as u64 + header.len as u64)
}

/// Bytes of the payload that must be at hand to read the frame.
#[inline(always)]
fn prefix_bytes(header: &Header) -> usize {
    let padded = (header.flags & flag::PADDED != 0) as usize;
    match header.kind {
        kind::HEADERS => padded + 5 * (header.flags & flag::PRIORITY != 0) as usize,
        kind::PUSH_PROMISE => padded + 4,
        kind::RST_STREAM => 4,
        _ => 0,
    }
}

/// A header block begins or goes on.
#[inline(always)]
fn block<S: Streams>(
    conversation: &mut Conversation,
    streams: &mut S,
    is_request: bool,
    header: &Header,
    from: usize,
    to: usize,
) -> Step {
    const { assert!(MAX_PREFIX_BYTES <= CARRY_BYTES) };
    let continues = header.kind == kind::CONTINUATION;
    let skipped = prefix_bytes(header) as u32;
    let direction = conversation.direction_mut(is_request);
    let padded = !continues && header.flags & flag::PADDED != 0;
    let padding = if padded {
        direction.window.byte(from.wrapping_add(FRAME_HEADER_BYTES)) as u32
    } else {
        0
    };
    let start = direction.next;
    direction.next = start.wrapping_add(FRAME_HEADER_BYTES as u64 + skipped as u64);
    let http2 = conversation.http2_mut(is_request);
    let fits = !continues || http2.flags & flag::END_HEADERS == 0 && http2.stream == header.stream;
    if header.len < skipped + padding || !fits {
        return not_a_frame(conversation, is_request);
    }
    http2.stream = header.stream;
    http2.padding = padding;
    http2.fragment_left = header.len - skipped - padding;
    http2.place = place::FRAGMENT;
    if continues {
        http2.flags |= header.flags & flag::END_HEADERS;
    } else {
        http2.flags = header.flags & (flag::END_HEADERS | flag::END_STREAM);
        http2.begins = 1;
        http2.promise = (header.kind == kind::PUSH_PROMISE) as u8;
    }
    if header.kind == kind::HEADERS {
        heard(conversation, streams, is_request, header, start);
    }
    let at = from
        .wrapping_add(FRAME_HEADER_BYTES)
        .wrapping_add(skipped as usize);
    let at = conversation.direction_mut(is_request).window.forget(at);
    fragment(conversation, is_request, at, to)
}

/// Counts a frame on its stream; a HEADERS frame of the client on a stream of its own begins one.
#[inline(always)]
fn heard<S: Streams>(
    conversation: &mut Conversation,
    streams: &mut S,
    is_request: bool,
    header: &Header,
    start: u64,
) {
    let bytes = FRAME_HEADER_BYTES as u64 + header.len as u64;
    let time_ns = conversation.direction_mut(is_request).segment.time_ns;
    let http2 = conversation.http2_mut(is_request);
    let is_new = is_request && header.stream > http2.latest && header.stream & 1 == 1;
    if is_new && header.kind == kind::HEADERS {
        http2.latest = header.stream;
        conversation.asked += 1;
        let stream = Stream {
            ordinal: conversation.asked,
            offset: start,
            started_ns: time_ns,
            request_bytes: bytes,
            ..Stream::default()
        };
        // Without room it stays unanswered, and is counted as that when the connection ends.
        streams.insert(header.stream, &stream);
        return;
    }
    let Some(stream) = streams.get(header.stream) else {
        return;
    };
    if is_request {
        stream.request_bytes += bytes;
        return;
    }
    stream.response_bytes += bytes;
    if stream.responded_ns == 0 {
        stream.responded_ns = time_ns;
    }
}

/// Hands on as much of a header block as is at hand.
#[inline(always)]
fn fragment(conversation: &mut Conversation, is_request: bool, at: usize, to: usize) -> Step {
    let known = to.wrapping_sub(at) as u32;
    let http2 = conversation.http2_mut(is_request);
    let left = http2.fragment_left;
    let len = if left > known { known } else { left };
    if len == 0 && left != 0 {
        return step::DONE;
    }
    http2.fragment_left = left - len;
    http2.pieces = http2.pieces.wrapping_add(1);
    let mut passed = len as u64;
    if left == len {
        passed += http2.padding as u64;
        let last = http2.flags & flag::END_HEADERS != 0;
        let ends = last && http2.flags & flag::END_STREAM != 0 && http2.promise == 0;
        http2.place = if ends && !is_request {
            place::ENDING
        } else {
            place::FRAME
        };
    }
    let direction = conversation.direction_mut(is_request);
    direction.scan_from = at as u32;
    direction.scan_to = at as u32 + len;
    direction.next = direction.next.wrapping_add(passed);
    step::PIECE
}

#[inline(always)]
fn data<S: Streams>(
    conversation: &mut Conversation,
    streams: &mut S,
    is_request: bool,
    header: &Header,
) -> Step {
    let start = conversation.direction_mut(is_request).next;
    heard(conversation, streams, is_request, header, start);
    let direction = conversation.direction_mut(is_request);
    direction.next = end_of(start, header);
    if is_request || header.flags & flag::END_STREAM == 0 {
        return more(direction);
    }
    // The exchange ends with the frame's last byte.
    let is_whole = direction.segment.end >= direction.next;
    if !is_whole {
        direction.phase = phase::BODY;
    }
    let http2 = conversation.http2_mut(is_request);
    http2.stream = header.stream;
    if !is_whole {
        http2.place = place::LAST_DATA;
        return step::DONE;
    }
    end_stream(conversation, streams, is_request, outcome::OK)
}

#[inline(always)]
fn reset<S: Streams>(
    conversation: &mut Conversation,
    streams: &mut S,
    is_request: bool,
    header: &Header,
    from: usize,
) -> Step {
    let direction = conversation.direction_mut(is_request);
    let code = direction
        .window
        .u64_at(from.wrapping_add(FRAME_HEADER_BYTES)) as u32;
    let code = u32::from_be(code);
    direction.next = end_of(direction.next, header);
    let most = (RESET_MAX - RESET) as u32;
    let status = RESET + if code > most { most } else { code } as u16;
    conversation.http2_mut(is_request).stream = header.stream;
    end_stream(conversation, streams, is_request, status)
}

/// The stream of the frame under way has ended: its exchange, if its request was seen.
#[inline(always)]
fn end_stream<S: Streams>(
    conversation: &mut Conversation,
    streams: &mut S,
    is_request: bool,
    status: u16,
) -> Step {
    let id = conversation.http2_mut(is_request).stream;
    let time_ns = conversation.direction_mut(is_request).segment.time_ns;
    let Some(stream) = streams.get(id) else {
        return unknown_stream(conversation, is_request, id);
    };
    let finished = &mut conversation.finished;
    finished.ordinal = stream.ordinal;
    finished.op = id as u64;
    finished.offset = stream.offset;
    finished.started_ns = stream.started_ns;
    finished.responded_ns = stream.responded_ns;
    finished.ended_ns = time_ns;
    finished.request_bytes = stream.request_bytes;
    finished.response_bytes = stream.response_bytes;
    finished.status = status;
    finished.method = 0;
    finished.until_close = 0;
    streams.remove(id);
    conversation.answered += 1;
    step::EXCHANGE
}

/// A stream ends that is not open: it was reset before, or its request is older than weir.
#[inline(always)]
fn unknown_stream(conversation: &mut Conversation, is_request: bool, id: u32) -> Step {
    let latest = conversation.http2_mut(true).latest;
    if !is_request && id > latest && id & 1 == 1 {
        return lost(conversation, false, Loss::OrphanResponse, 1);
    }
    more(conversation.direction_mut(is_request))
}

/// The segment ends before the frame tells what it is: keeps what there is.
#[inline(always)]
fn cut(conversation: &mut Conversation, is_request: bool, from: usize, to: usize) -> Step {
    let direction = conversation.direction_mut(is_request);
    let len = to.wrapping_sub(from);
    if len >= CARRY_BYTES {
        return not_a_frame(conversation, is_request);
    }
    direction.window.carry_from(to);
    direction.carry_len = len as u8;
    direction.next = direction.segment.end;
    step::DONE
}

/// Bytes that are no frame: on a connection without any exchange the guess was wrong.
#[inline(always)]
fn not_a_frame(conversation: &mut Conversation, is_request: bool) -> Step {
    if conversation.asked == 0 && conversation.http2_mut(false).pieces == 0 {
        conversation.turn_opaque(protocol::TCP);
        return step::DONE;
    }
    lose(conversation, is_request, Loss::Malformed)
}

/// What follows in this segment cannot be read: looks for a frame at the next one's beginning.
#[inline(always)]
fn lose(conversation: &mut Conversation, is_request: bool, reason: Loss) -> Step {
    let direction = conversation.direction_mut(is_request);
    direction.phase = phase::RESYNC;
    direction.carry_len = 0;
    direction.next = direction.segment.offset;
    let is_gap = reason as u32 == Loss::SegmentGap as u32;
    if !is_gap {
        direction.next = direction.segment.end;
    }
    let http2: &mut Http2Direction = conversation.http2_mut(is_request);
    http2.place = place::FRAME;
    http2.flags = flag::END_HEADERS;
    // Who reads the pieces must notice that some are missing.
    http2.pieces = http2.pieces.wrapping_add(1);
    lost(conversation, is_request, reason, 1)
}
