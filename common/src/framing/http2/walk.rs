//! The walk over frames: one step reads one frame header, or ends a block or a stream.

use super::{
    Http2, Spill,
    block::spoil,
    data::data,
    exchange::{end_block, end_stream, ended},
    flag,
    frame::{self, FRAME_HEADER_BYTES, Header, PREFACE_BYTES, begins_connection},
    goaway,
    head::block,
    kind,
    messages::data_flag,
    outcome, place,
};
use crate::{
    counter::Loss,
    flow::protocol,
    framing::{
        conversation::{Conversation, Step, lost, more, step},
        stream::{head_flag, phase},
        window::{CARRY_BYTES, DATA_BYTES, Load, Window},
    },
};

/// Most bytes that stand before a header block's fragment: frame header, padding length,
/// priority, promised stream.
pub(super) const MAX_PREFIX_BYTES: usize = FRAME_HEADER_BYTES + 1 + 5 + 4;

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
    let code = if http2.half_mut(is_request).place == place::BLOCK_END {
        step::MORE
    } else {
        read(conversation, http2, spill, is_request, bytes)
    };
    let code = if http2.half_mut(is_request).place == place::BLOCK_END {
        finish_block(conversation, http2, spill, is_request)
    } else {
        code
    };
    let code = conversation.forget(is_request, code as usize) as Step;
    if code == step::ENDS {
        return end_stream(conversation, http2, spill, is_request);
    }
    code
}

#[inline(always)]
fn read<S: Spill, L: Load>(
    conversation: &mut Conversation,
    http2: &mut Http2,
    spill: &mut S,
    is_request: bool,
    bytes: &mut L,
) -> Step {
    let direction = conversation.direction_mut(is_request);
    let segment = direction.segment;
    if direction.phase == phase::BODY {
        if segment.end < direction.next {
            return step::DONE;
        }
        direction.phase = phase::START_LINE;
        return ended(http2, is_request, 0);
    }
    if goaway::is_pending(http2) && http2.half_mut(is_request).place == place::FRAME {
        return goaway::refuse(http2, spill, is_request);
    }
    let direction = conversation.direction_mut(is_request);
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
    if http2.half_mut(is_request).place == place::DATA && !resync {
        return step::MESSAGES;
    }
    if resync && !takes_up(conversation, http2, is_request, from, to) {
        return step::DONE;
    }
    if http2.half_mut(is_request).place == place::FRAGMENT {
        return step::FIELDS;
    }
    read_frame(conversation, http2, spill, is_request, from, to)
}

/// All of a block was read or passed over: it is complete when its last byte is there.
#[inline(always)]
pub(super) fn finish_block<S: Spill>(
    conversation: &mut Conversation,
    http2: &mut Http2,
    spill: &mut S,
    is_request: bool,
) -> Step {
    let direction = conversation.direction_mut(is_request);
    if direction.segment.end < direction.next {
        direction.phase = phase::BODY;
        return step::DONE;
    }
    direction.phase = phase::START_LINE;
    end_block(conversation, http2, spill, is_request)
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
    let latest = http2.request.latest;
    let half = http2.half_mut(is_request);
    half.place = place::FRAME;
    half.uncounted = latest;
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
        kind::DATA => data(conversation, http2, spill, is_request, &header, from),
        kind::RST_STREAM => reset(conversation, http2, is_request, &header, from),
        kind::GOAWAY => {
            goaway::note(http2, is_request, &direction.window, from);
            direction.next = end_of(direction.next, &header);
            if goaway::is_pending(http2) {
                return step::MORE;
            }
            more(direction)
        }
        _ => {
            direction.next = end_of(direction.next, &header);
            more(direction)
        }
    }
}

#[inline(always)]
pub(super) fn end_of(start: u64, header: &Header) -> u64 {
    start.wrapping_add(FRAME_HEADER_BYTES as u64 + header.len as u64)
}

/// Bytes of the payload that must be at hand to read the frame.
#[inline(always)]
pub(super) fn prefix_bytes(header: &Header) -> usize {
    let padded = (header.flags & flag::PADDED != 0) as usize;
    match header.kind {
        kind::DATA => padded,
        kind::HEADERS => padded + 5 * (header.flags & flag::PRIORITY != 0) as usize,
        kind::PUSH_PROMISE => padded + 4,
        kind::RST_STREAM => 4,
        kind::GOAWAY => 8,
        _ => 0,
    }
}

/// Bytes of padding behind a frame whose type may have some.
#[inline(always)]
pub(super) fn padding_of(header: &Header, window: &Window, from: usize) -> u32 {
    if header.flags & flag::PADDED == 0 {
        return 0;
    }
    window.byte(from.wrapping_add(FRAME_HEADER_BYTES)) as u32
}

#[inline(always)]
fn reset(
    conversation: &mut Conversation,
    http2: &mut Http2,
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
    ended(http2, is_request, status)
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
pub(super) fn not_a_frame(
    conversation: &mut Conversation,
    http2: &mut Http2,
    is_request: bool,
) -> Step {
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
    let half = http2.half_mut(is_request);
    if half.place == place::DATA && direction.phase != phase::RESYNC {
        // Its messages are not known any more, but its length is.
        half.data |= data_flag::TORN;
        return step::MESSAGES;
    }
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
