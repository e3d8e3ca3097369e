//! The walk over frames: one step reads one frame header, or ends a block or a stream.

use super::{
    Half, Http2, Spill, Stream, UNSEEN_OP,
    block::spoil,
    flag,
    frame::{self, FRAME_HEADER_BYTES, Header, begins_connection},
    kind, outcome, place, stream_flag,
    table::{GRPC_TYPE, UNREAD, field},
};
use crate::{
    counter::Loss,
    flow::protocol,
    framing::{
        conversation::{Conversation, Step, lost, more, step},
        stream::{head_flag, phase},
        window::{CARRY_BYTES, DATA_BYTES, Load},
    },
};

/// Bytes of the client's connection preface (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;

/// Most bytes that stand before a header block's fragment: frame header, padding length,
/// priority, promised stream.
const MAX_PREFIX_BYTES: usize = FRAME_HEADER_BYTES + 1 + 5 + 4;

/// Error codes of RST_STREAM (RFC 9113, section 7).
mod error {
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
    pub const ENHANCE_YOUR_CALM: u32 = 11;
    pub const INADEQUATE_SECURITY: u32 = 12;
}

/// The part of a step that comes first: ends what has ended, reads a frame header, or loads more
/// of a header block.
#[inline(always)]
pub fn advance<S: Spill, L: Load>(
    conversation: &mut Conversation,
    http2: &mut Http2,
    spill: &mut S,
    is_request: bool,
    bytes: &mut L,
) -> Step {
    if conversation.opaque != 0 {
        return step::DONE;
    }
    if http2.half_mut(is_request).place == place::BLOCK_END {
        // Its last field was a text.
        return end_block(conversation, http2, spill, is_request);
    }
    let direction = conversation.direction_mut(is_request);
    let segment = direction.segment;
    if direction.phase == phase::BODY {
        if segment.end < direction.next {
            return step::DONE;
        }
        direction.phase = phase::START_LINE;
        return end_stream(conversation, http2, spill, is_request, 0);
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
        return lose(conversation, http2, is_request, Loss::SegmentGap);
    }
    let Some((from, to)) = load(conversation, http2, is_request, bytes) else {
        return lose(conversation, http2, is_request, Loss::Unreadable);
    };
    if resync && !takes_up(conversation, http2, is_request, from, to) {
        return step::DONE;
    }
    if http2.half_mut(is_request).place == place::FRAGMENT {
        return step::FIELDS;
    }
    read_frame(conversation, http2, spill, is_request, from, to)
}

/// Bytes that are enough to begin any frame.
const ENOUGH_BYTES: usize = PREFACE_BYTES;

/// Loads new bytes behind the carried ones; answers where the bytes begin and end in the window.
/// `next` is then the offset of the first one. Small frames are read from one window.
#[inline(always)]
fn load<L: Load>(
    conversation: &mut Conversation,
    http2: &mut Http2,
    is_request: bool,
    bytes: &mut L,
) -> Option<(usize, usize)> {
    const { assert!(MAX_PREFIX_BYTES <= ENOUGH_BYTES) };
    let direction = conversation.direction_mut(is_request);
    let half = http2.half_mut(is_request);
    let segment = direction.segment;
    let from = direction.next.wrapping_sub(half.window_at);
    let to = direction.scan_to as u64;
    let rest_at = half.window_at.wrapping_add(to);
    if half.window_ns == segment.time_ns
        && half.place == place::FRAME
        && from < to
        && (to - from >= ENOUGH_BYTES as u64 || rest_at == segment.end)
    {
        let from = direction.window.forget(from as usize);
        direction.scan_from = from as u32;
        return Some((from, direction.window.forget(to as usize)));
    }
    let at = direction.next.wrapping_sub(segment.offset) as u32;
    let left = segment.end.wrapping_sub(direction.next);
    let len = if left > DATA_BYTES as u64 {
        DATA_BYTES as u32
    } else {
        left as u32
    };
    if !bytes.load(at, len, &mut direction.window) {
        return None;
    }
    let to = direction.window.forget(CARRY_BYTES + len as usize);
    direction.window.blank_from(to);
    let carried = (direction.carry_len as usize & 127).min(CARRY_BYTES);
    let from = direction.window.forget(CARRY_BYTES - carried);
    direction.carry_len = 0;
    direction.scan_from = from as u32;
    direction.scan_to = to as u32;
    half.window_at = direction.next.wrapping_sub(CARRY_BYTES as u64);
    half.window_ns = segment.time_ns;
    half.window_from = from as u32;
    direction.next = half.window_at.wrapping_add(from as u64);
    Some((from, to))
}

/// After a hole or a late start: does this segment begin with a frame? True if the walk goes on.
#[inline(always)]
fn takes_up(
    conversation: &mut Conversation,
    http2: &mut Http2,
    is_request: bool,
    from: usize,
    to: usize,
) -> bool {
    let direction = conversation.direction_mut(is_request);
    let usual = to.wrapping_sub(from) >= FRAME_HEADER_BYTES
        && frame::header(&direction.window, from).is_usual();
    if !usual {
        direction.next = direction.segment.end;
        return false;
    }
    direction.phase = phase::START_LINE;
    let half = http2.half_mut(is_request);
    half.place = place::FRAME;
    if half.gap == 0 {
        half.late = 1;
    }
    true
}

#[inline(always)]
fn read_frame<S: Spill>(
    conversation: &mut Conversation,
    http2: &mut Http2,
    spill: &mut S,
    is_request: bool,
    from: usize,
    to: usize,
) -> Step {
    let direction = conversation.direction_mut(is_request);
    let known = to.wrapping_sub(from);
    if known < FRAME_HEADER_BYTES {
        return cut(conversation, http2, is_request, from, to);
    }
    if begins_connection(&direction.window, from) {
        if known < PREFACE_BYTES {
            return cut(conversation, http2, is_request, from, to);
        }
        direction.next = direction.next.wrapping_add(PREFACE_BYTES as u64);
        return more(direction);
    }
    let header = frame::header(&direction.window, from);
    if !header.is_possible() {
        return not_a_frame(conversation, http2, is_request);
    }
    let needed = FRAME_HEADER_BYTES + prefix_bytes(&header);
    if known < needed && header.len as usize + FRAME_HEADER_BYTES >= needed {
        return cut(conversation, http2, is_request, from, to);
    }
    match header.kind {
        kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION => {
            block(conversation, http2, is_request, &header, from)
        }
        kind::DATA => data(conversation, http2, spill, is_request, &header),
        kind::RST_STREAM => reset(conversation, http2, spill, is_request, &header, from),
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
fn block(
    conversation: &mut Conversation,
    http2: &mut Http2,
    is_request: bool,
    header: &Header,
    from: usize,
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
    let half = http2.half_mut(is_request);
    let open = half.flags & flag::END_HEADERS == 0 && half.block.bytes != 0;
    let fits = if continues {
        open && half.stream == header.stream
    } else {
        !open
    };
    if header.len < skipped + padding || !fits {
        return not_a_frame(conversation, http2, is_request);
    }
    half.stream = header.stream;
    half.padding = padding;
    half.fragment_left = header.len - skipped - padding;
    half.place = place::FRAGMENT;
    if continues {
        half.flags |= header.flags & flag::END_HEADERS;
    } else {
        half.flags = header.flags & (flag::END_HEADERS | flag::END_STREAM);
        half.promise = (header.kind == kind::PUSH_PROMISE) as u8;
        begin_block(half, start, direction.segment.time_ns);
        if is_request {
            http2.path_len = 0;
        }
    }
    let half = http2.half_mut(is_request);
    half.block.bytes += FRAME_HEADER_BYTES as u64 + header.len as u64;
    let prefix = FRAME_HEADER_BYTES as u32 + skipped;
    let direction = conversation.direction_mut(is_request);
    direction.next = start.wrapping_add(prefix as u64);
    direction.scan_from = direction.scan_from.wrapping_add(prefix);
    if direction.scan_from < direction.scan_to || half.fragment_left == 0 {
        return step::FIELDS;
    }
    more(direction)
}

#[inline(always)]
fn begin_block(half: &mut Half, offset: u64, time_ns: u64) {
    let mut i = 0;
    while i < 8 {
        half.block.values[i] = 0;
        half.block.exacts[i] = 0;
        i += 1;
    }
    half.block.offset = offset;
    half.block.time_ns = time_ns;
    half.block.bytes = 0;
    half.spoilt = 0;
    half.skip = 0;
}

/// The stream with this number, if it is open.
#[inline(always)]
fn find<'a, S: Spill>(http2: &'a mut Http2, spill: &'a mut S, id: u32) -> Option<&'a mut Stream> {
    if http2.slot_mut(id).id == id {
        return Some(http2.slot_mut(id));
    }
    if http2.spilt == 0 {
        return None;
    }
    spill.get(id)
}

/// A block is complete: what it tells belongs to its stream, which it may begin or end.
#[inline(always)]
pub(super) fn end_block<S: Spill>(
    conversation: &mut Conversation,
    http2: &mut Http2,
    spill: &mut S,
    is_request: bool,
) -> Step {
    let half = http2.half_mut(is_request);
    half.place = place::FRAME;
    half.spoilt = 0;
    let (id, bytes) = (half.stream, half.block.bytes);
    half.block.bytes = 0;
    if half.promise != 0 {
        return more(conversation.direction_mut(is_request));
    }
    if is_request && id > half.latest && id & 1 == 1 {
        return begin_stream(conversation, http2, spill, id, bytes);
    }
    let ends = half.flags & flag::END_STREAM != 0 && !is_request;
    let status = half.block.values[field::STATUS as usize];
    let code = half.block.values[field::GRPC_STATUS as usize];
    let grpc = half.block.values[field::CONTENT_TYPE as usize] == GRPC_TYPE;
    let time_ns = half.block.time_ns;
    let Some(stream) = find(http2, spill, id) else {
        if ends {
            return end_stream(conversation, http2, spill, false, 0);
        }
        return more(conversation.direction_mut(is_request));
    };
    if is_request {
        stream.request_bytes += bytes;
        return more(&conversation.request);
    }
    stream.response_bytes += bytes;
    if stream.responded_ns == 0 {
        stream.responded_ns = time_ns;
    }
    if status != 0 && status != UNREAD {
        stream.status = status as u16;
    }
    if code != 0 && code != UNREAD {
        stream.grpc_status = code as u8;
    }
    if grpc && stream.flags & stream_flag::GRPC == 0 {
        // The request did not say so, and has the key of a path of HTTP.
        stream.op = UNSEEN_OP;
        stream.flags |= stream_flag::GRPC;
    }
    if ends {
        return end_stream(conversation, http2, spill, false, 0);
    }
    more(&conversation.response)
}

/// A request's first block is complete.
#[inline(always)]
fn begin_stream<S: Spill>(
    conversation: &mut Conversation,
    http2: &mut Http2,
    spill: &mut S,
    id: u32,
    bytes: u64,
) -> Step {
    let half = &mut http2.request;
    if half.latest == 0 {
        http2.before = conversation.answered;
    }
    // The first stream is 1, the next one 3.
    let passed = id.wrapping_sub(half.latest).wrapping_add(1) >> 1;
    let is_late = half.latest == 0 && half.late != 0;
    let missed = half.gap != 0 && !is_late && passed > 1;
    half.latest = id;
    half.gap = 0;
    conversation.request.head_flags = 0;
    let grpc = half.block.values[field::CONTENT_TYPE as usize] == GRPC_TYPE;
    let path = if grpc {
        half.block.exacts[field::PATH as usize]
    } else {
        half.block.values[field::PATH as usize]
    };
    let method = half.block.values[field::METHOD as usize];
    let (offset, started_ns) = (half.block.offset, half.block.time_ns);
    let op = if path == 0 || path == UNREAD {
        UNSEEN_OP
    } else {
        path
    };
    http2.path_op = op;
    conversation.asked += 1;
    let slot = http2.slot_mut(id);
    let free = slot.id == 0;
    if free {
        slot.op = op;
        slot.offset = offset;
        slot.started_ns = started_ns;
        slot.responded_ns = 0;
        slot.request_bytes = bytes;
        slot.response_bytes = 0;
        slot.status = 0;
        slot.grpc_status = 0;
        slot.method = method as u8;
        slot.flags = grpc as u8 * stream_flag::GRPC;
        slot.id = id;
    } else {
        http2.spilt += 1;
        spill.insert(&Stream {
            op,
            offset,
            started_ns,
            responded_ns: 0,
            request_bytes: bytes,
            response_bytes: 0,
            id,
            status: 0,
            grpc_status: 0,
            method: method as u8,
            flags: grpc as u8 * stream_flag::GRPC,
            _pad: [0; 7],
        });
    }
    if missed {
        // Stream numbers ascend by two: they tell how many requests the hole has swallowed.
        return lost(conversation, true, Loss::SegmentGap, passed as u64 - 1);
    }
    if http2.path_len != 0 && op != UNSEEN_OP {
        return step::NAMED;
    }
    more(&conversation.request)
}

/// Counts a frame on its stream.
#[inline(always)]
fn data<S: Spill>(
    conversation: &mut Conversation,
    http2: &mut Http2,
    spill: &mut S,
    is_request: bool,
    header: &Header,
) -> Step {
    let direction = conversation.direction_mut(is_request);
    let time_ns = direction.segment.time_ns;
    let bytes = FRAME_HEADER_BYTES as u64 + header.len as u64;
    direction.next = direction.next.wrapping_add(bytes);
    let ends = !is_request && header.flags & flag::END_STREAM != 0;
    let half = http2.half_mut(is_request);
    if ends {
        half.stream = header.stream;
    }
    if let Some(stream) = find(http2, spill, header.stream) {
        if is_request {
            stream.request_bytes += bytes;
        } else {
            stream.response_bytes += bytes;
            if stream.responded_ns == 0 {
                stream.responded_ns = time_ns;
            }
        }
    }
    let direction = conversation.direction_mut(is_request);
    if !ends {
        return more(direction);
    }
    // The exchange ends with the frame's last byte.
    if direction.segment.end >= direction.next {
        return end_stream(conversation, http2, spill, is_request, 0);
    }
    direction.phase = phase::BODY;
    step::DONE
}

#[inline(always)]
fn reset<S: Spill>(
    conversation: &mut Conversation,
    http2: &mut Http2,
    spill: &mut S,
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
    http2.half_mut(is_request).stream = header.stream;
    let most = (outcome::RESET_MAX - outcome::RESET) as u32;
    let status = outcome::RESET + if code > most { most } else { code } as u16;
    end_stream(conversation, http2, spill, is_request, status)
}

/// The stream of the frame under way has ended, by a reset if there is a status: its exchange, if
/// its request was seen.
#[inline(always)]
fn end_stream<S: Spill>(
    conversation: &mut Conversation,
    http2: &mut Http2,
    spill: &mut S,
    is_request: bool,
    reset: u16,
) -> Step {
    let id = http2.half_mut(is_request).stream;
    let latest = http2.request.latest;
    let time_ns = conversation.direction_mut(is_request).segment.time_ns;
    let spilt = http2.slot_mut(id).id != id;
    let Some(found) = find(http2, spill, id) else {
        // Reset before, or its request is older than weir; else it was missed.
        if !is_request && id > latest && id & 1 == 1 && latest != 0 {
            return lost(conversation, false, Loss::OrphanResponse, 1);
        }
        return more(conversation.direction_mut(is_request));
    };
    let stream = *found;
    // At once: the other direction may end it at this very moment.
    found.id = 0;
    if spilt {
        http2.spilt -= 1;
        spill.remove(id);
    }
    let half = http2.half_mut(is_request);
    let finished = &mut half.finished;
    let grpc = stream.flags & stream_flag::GRPC != 0;
    finished.ordinal = 0;
    finished.op = stream.op;
    finished.offset = stream.offset;
    finished.started_ns = stream.started_ns;
    finished.responded_ns = stream.responded_ns;
    finished.ended_ns = time_ns;
    finished.request_bytes = stream.request_bytes;
    finished.response_bytes = stream.response_bytes;
    finished.status = status_of(&stream, grpc, reset);
    finished.method = if grpc { 0 } else { stream.method };
    finished.until_close = 0;
    finished.protocol = if grpc {
        protocol::GRPC
    } else {
        protocol::HTTP2
    };
    half.ended += 1;
    // The other direction may write its own sum at this moment; the next end writes both again.
    let ended = http2.request.ended + http2.response.ended;
    conversation.answered = http2.before.wrapping_add(ended);
    step::EXCHANGE
}

/// How a stream ended.
#[inline(always)]
fn status_of(stream: &Stream, grpc: bool, reset: u16) -> u16 {
    if grpc {
        return match (stream.grpc_status, reset) {
            (0, 0) => outcome::UNTOLD,
            (0, reset) => outcome::GRPC + grpc_of_reset((reset - outcome::RESET) as u32),
            (status, _) => outcome::GRPC + (status as u16 - 1),
        };
    }
    match (reset, stream.status) {
        (0, 0) => outcome::UNTOLD,
        (0, status) => status,
        (reset, _) => reset,
    }
}

/// The status that clients of gRPC make of an error code of HTTP/2
/// (gRPC over HTTP/2, "HTTP2 Transport Mapping").
#[inline(always)]
fn grpc_of_reset(code: u32) -> u16 {
    const CANCELLED: u16 = 1;
    const PERMISSION_DENIED: u16 = 7;
    const RESOURCE_EXHAUSTED: u16 = 8;
    const INTERNAL: u16 = 13;
    const UNAVAILABLE: u16 = 14;
    match code {
        error::CANCEL => CANCELLED,
        error::REFUSED_STREAM => UNAVAILABLE,
        error::ENHANCE_YOUR_CALM => RESOURCE_EXHAUSTED,
        error::INADEQUATE_SECURITY => PERMISSION_DENIED,
        _ => INTERNAL,
    }
}

/// The segment ends before the frame tells what it is: keeps what there is.
#[inline(always)]
fn cut(
    conversation: &mut Conversation,
    http2: &mut Http2,
    is_request: bool,
    from: usize,
    to: usize,
) -> Step {
    let direction = conversation.direction_mut(is_request);
    let len = to.wrapping_sub(from);
    if len >= CARRY_BYTES {
        return not_a_frame(conversation, http2, is_request);
    }
    direction.window.carry_from(to);
    direction.carry_len = len as u8;
    direction.next = direction.segment.end;
    step::DONE
}

/// Bytes that are no frame: on a connection without any request the guess was wrong.
#[inline(always)]
fn not_a_frame(conversation: &mut Conversation, http2: &mut Http2, is_request: bool) -> Step {
    if conversation.asked == 0 {
        conversation.turn_opaque(protocol::TCP);
        return step::DONE;
    }
    lose(conversation, http2, is_request, Loss::Malformed)
}

/// What follows in this segment cannot be read: looks for a frame at the next one's beginning, or
/// at this one's if it stands behind a hole.
#[inline(always)]
fn lose(
    conversation: &mut Conversation,
    http2: &mut Http2,
    is_request: bool,
    reason: Loss,
) -> Step {
    let direction = conversation.direction_mut(is_request);
    direction.phase = phase::RESYNC;
    direction.carry_len = 0;
    let behind_a_hole = reason as u32 == Loss::SegmentGap as u32;
    direction.next = if behind_a_hole {
        direction.segment.offset
    } else {
        direction.segment.end
    };
    let half = http2.half_mut(is_request);
    half.place = place::FRAME;
    half.flags = flag::END_HEADERS;
    half.block.bytes = 0;
    half.gap = 1;
    spoil(half);
    half.spoilt = 0;
    if is_request && behind_a_hole {
        // The number of the next stream tells what was lost, or the end of the connection.
        conversation.request.head_flags = head_flag::LATE;
        return step::MORE;
    }
    lost(conversation, is_request, reason, 1)
}
