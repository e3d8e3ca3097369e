//! Frames that begin a header block or go on with one, and whether it has to be read.

use super::{
    FRAME_HEADER_BYTES, Half, Http2, flag,
    frame::Header,
    kind, place, repeat,
    walk::{MAX_PREFIX_BYTES, end_of, not_a_frame, padding_of, prefix_bytes},
};
use crate::framing::{
    conversation::{Conversation, Step, more, step},
    stream::Direction,
    window::{CARRY_BYTES, blank},
};

/// A header block begins or goes on.
#[inline(always)]
pub(super) fn block(
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
    let padding = if continues {
        0
    } else {
        padding_of(header, &direction.window, from)
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
    half.padding = padding as u8;
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
    let known = is_known(direction, half, header);
    match direction.window.forget(known as usize) as u32 {
        seen::AGAIN => {
            direction.next = end_of(start, header);
            half.fragment_left = 0;
            half.place = place::BLOCK_END;
            return step::MORE;
        }
        seen::PERHAPS => return step::COMPARE,
        _ => {}
    }
    if direction.scan_from < direction.scan_to || half.fragment_left == 0 {
        return step::FIELDS;
    }
    more(direction)
}

/// What is known of a block before it is read.
mod seen {
    /// It is another one, or cannot be compared.
    pub const NEW: u32 = 0;
    /// It was read before, to the letter.
    pub const AGAIN: u32 = 1;
    /// It is long, and was perhaps read before.
    pub const PERHAPS: u32 = 2;
}

/// Was the block that lies before the reader read before? One of [`seen`].
#[inline(always)]
fn is_known(direction: &mut Direction, half: &mut Half, header: &Header) -> u32 {
    let (from, len) = (direction.scan_from, half.fragment_left);
    let loaded = direction.scan_to.wrapping_sub(from);
    let whole = header.kind != kind::CONTINUATION && header.flags & flag::END_HEADERS != 0;
    let can_be = whole & (len <= loaded);
    let is_short = direction
        .window
        .forget((can_be & repeat::is_short(len)) as usize);
    let is_long = direction
        .window
        .forget((can_be & repeat::is_long(len)) as usize);
    if is_short != 0 {
        if repeat::repeats_short(&mut direction.window, half, from as usize, len) {
            return seen::AGAIN;
        }
    } else if is_long != 0 {
        return seen::PERHAPS;
    } else {
        repeat::is_single(half);
    }
    if header.kind != kind::CONTINUATION {
        blank(&mut half.said[0]);
    }
    seen::NEW
}

/// Compares a long block with the one before: a part of a step by itself, because there are many
/// ways through it.
#[inline(always)]
pub fn compare(conversation: &mut Conversation, http2: &mut Http2, is_request: bool) -> Step {
    let direction = conversation.direction_mut(is_request);
    let half = http2.half_mut(is_request);
    let (from, len) = (direction.scan_from, half.fragment_left);
    if repeat::repeats_long(&mut direction.window, half, from as usize, len) {
        let rest = len as u64 + half.padding as u64;
        direction.next = direction.next.wrapping_add(rest);
        half.fragment_left = 0;
        half.place = place::BLOCK_END;
        return step::MORE;
    }
    blank(&mut half.said[0]);
    step::FIELDS
}

#[inline(always)]
fn begin_block(half: &mut Half, offset: u64, time_ns: u64) {
    half.block.offset = offset;
    half.block.time_ns = time_ns;
    half.block.bytes = 0;
    half.block.refers = 0;
    half.block.told = 0;
    half.spoilt = 0;
    half.skip = 0;
}
