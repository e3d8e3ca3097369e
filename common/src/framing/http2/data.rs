//! Frames of DATA: bytes of their stream, which may end with them, and messages in them.

use super::{
    FRAME_HEADER_BYTES, Half, Http2, Spill,
    exchange::{ended, find},
    flag,
    frame::Header,
    messages::{data_flag, take_frame},
    place,
};
use crate::framing::{
    conversation::{Conversation, Step, more, step},
    stream::{Direction, phase},
    window::Window,
};

/// Counts a frame on its stream, and the messages in it.
///
/// What is needed behind the look at the messages is read from memory again: the verifier would
/// follow each way through it by itself.
#[inline(always)]
pub(super) fn data<S: Spill>(
    conversation: &mut Conversation,
    http2: &mut Http2,
    spill: &mut S,
    is_request: bool,
    header: &Header,
    from: usize,
) -> Step {
    let direction = conversation.direction_mut(is_request);
    let time_ns = direction.segment.time_ns;
    let bytes = FRAME_HEADER_BYTES as u64 + header.len as u64;
    let start = direction.next;
    direction.next = start.wrapping_add(bytes);
    let ends = !is_request as u8 & header.flags & flag::END_STREAM;
    let content = Content::of(header, &direction.window, from);
    let half = http2.half_mut(is_request);
    half.stream = header.stream;
    half.data = ends * data_flag::ENDS;
    half.padding = content.padding as u8;
    half.fragment_left = content.bytes;
    let mut is_taken = true;
    if let Some(stream) = find(http2, spill, header.stream) {
        stream.add_bytes(is_request, bytes);
        if !is_request {
            stream.note_response(time_ns);
        }
        let at = from.wrapping_add(content.before as usize);
        let known = (direction.scan_to as usize).wrapping_sub(at);
        is_taken = take_frame(
            stream,
            is_request,
            &direction.window,
            at,
            known,
            content.bytes,
        );
    }
    let direction = conversation.direction_mut(is_request);
    let is_taken = direction.window.forget(is_taken as usize);
    let half = http2.half_mut(is_request);
    if is_taken == 0 {
        let behind = half.fragment_left + half.padding as u32;
        return begin_messages(direction, half, behind);
    }
    if half.data == 0 {
        return more(direction);
    }
    // The exchange ends with the frame's last byte.
    if direction.segment.end >= direction.next {
        return ended(http2, is_request, 0);
    }
    direction.phase = phase::BODY;
    step::DONE
}

/// The messages of a frame, of which so many bytes are left, are read by themselves.
#[inline(always)]
fn begin_messages(direction: &mut Direction, half: &mut Half, behind: u32) -> Step {
    half.place = place::DATA;
    direction.next = direction.next.wrapping_sub(behind as u64);
    direction.scan_from = direction.next.wrapping_sub(half.window_at) as u32;
    if direction.scan_from < direction.scan_to {
        step::MESSAGES
    } else {
        more(direction)
    }
}

/// What a frame of DATA holds, bytes.
struct Content {
    /// Header and length of the padding.
    before: u32,
    /// Content.
    bytes: u32,
    /// Padding behind it.
    padding: u32,
}

impl Content {
    /// Without a branch. Padding that does not fit, which no peer accepts, leaves no content.
    #[inline(always)]
    fn of(header: &Header, window: &Window, from: usize) -> Self {
        const { assert!(flag::PADDED == 8) };
        let padded = header.flags as u32 >> 3 & 1;
        let first = window.byte(from.wrapping_add(FRAME_HEADER_BYTES)) as u32;
        let padding = first & 0_u32.wrapping_sub(padded);
        let bytes = header.len as i64 - padded as i64 - padding as i64;
        Self {
            before: FRAME_HEADER_BYTES as u32 + padded,
            bytes: (bytes & !(bytes >> 63)) as u32,
            padding,
        }
    }
}
