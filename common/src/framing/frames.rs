//! Messages that say how long they are: one reader for every protocol of frames.
//!
//! A protocol reads the beginning of a frame ([`Protocol::read`]) and answers how far the frame
//! goes and what it means; the reader moves past it, keeps the time and pairs answers with
//! requests in order. Frames may be passed over in several parts: only the last one ends a message.

use super::{
    conversation::{Conversation, Step, exchange_or_orphan, finish_response, lost, more, step},
    heads::{note_head, spare_head},
    stream::{Direction, head_flag, phase},
    window::{CARRY_BYTES, DATA_BYTES, Load},
};
use crate::{counter::Loss, event::ANSWER_BYTES, flow::protocol};

/// What a frame means. Bits of [`Frame::means`].
pub mod means {
    /// Belongs to the message under way, or begins one.
    pub const PART: u32 = 1;
    /// The message ends where the frame ends.
    pub const END: u32 = 2;
    /// Not part of any exchange: passed over.
    pub const ASIDE: u32 = 4;
    /// From here on nothing can be framed (TLS, compression, a tunnel); with [`END`], from the end
    /// of this message on.
    pub const OPAQUE: u32 = 8;
    /// The message under way stands alone: a request without an answer, or what the server sends
    /// unasked.
    pub const ALONE: u32 = 16;
    /// The message goes on until the connection ends; a request is complete with this frame, and
    /// nothing of the client is read after it.
    pub const UNTIL_CLOSE: u32 = 32;
    /// An answer to a request that was not seen, or the first part of one: passed over, and counted as
    /// lost.
    pub const ORPHAN: u32 = 64;
    /// The message ends where the frame begins, which is read again: one frame may end several.
    pub const BEFORE: u32 = 128;
    /// The exchange that waits ends with the frame, whoever sends it; from there on nothing can be
    /// framed.
    pub const FINISH: u32 = 256;
}

/// What a protocol makes of the bytes at a frame's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Length with its header, bytes; 0 = more bytes are needed to tell.
    pub len: u64,
    /// Bits of [`means`]; 0 = these bytes are not the protocol.
    pub means: u32,
}

impl Frame {
    /// More bytes are needed.
    pub const CUT: Self = Self {
        len: 0,
        means: means::PART,
    };
    /// Not the protocol.
    pub const BAD: Self = Self { len: 0, means: 0 };
}

/// A protocol of frames with answers in the order of requests, or in any order if they name them
/// ([`super::pairing`]).
pub trait Protocol {
    /// One of [`protocol`].
    const CODE: u8;
    /// How many new bytes to read at a frame's beginning; at most [`DATA_BYTES`].
    const LOOK_BYTES: usize;
    /// Reads the frame at window position `from`; bytes are known up to `to`.
    ///
    /// May keep facts of the message under way in [`Direction::op`], [`Direction::method`],
    /// [`Direction::status`], [`Direction::id`] and [`Direction::content_length`]; [`begins`] says
    /// whether the frame is the message's first.
    fn read(conversation: &mut Conversation, is_request: bool, from: usize, to: usize) -> Frame;

    /// True if what was seen leaves no doubt, although no exchange is complete: what cannot be read
    /// then is a loss, and not another protocol.
    #[inline(always)]
    fn is_sure(_conversation: &Conversation) -> bool {
        false
    }
}

/// Outcomes of protocols whose answers only succeed or fail, as [`Direction::status`].
pub mod outcome {
    /// Succeeded.
    pub const OK: u16 = 1;
    /// Failed; what the server says is in the answer's first bytes. Codes of failures lie above
    /// those of HTTP.
    pub const FAILED: u16 = 1000;

    /// True for outcomes that count as errors of the server, whatever the protocol: 5xx, failures,
    /// and no response at all. Of gRPC's codes those that OpenTelemetry counts so; a client that
    /// cancels is none.
    #[inline(always)]
    pub fn is_error(status: u16) -> bool {
        use crate::framing::{
            http2::outcome::{GRPC, GRPC_MAX, RESET},
            websocket::outcome::CLOSED,
        };
        /// UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS.
        const OF_THE_SERVER: u32 = 1 << 2 | 1 << 4 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 15;
        const CANCEL: u16 = 8;
        if (GRPC..=GRPC_MAX).contains(&status) {
            let code = status - GRPC;
            return code < 32 && OF_THE_SERVER & (1 << code) != 0;
        }
        status == 0 || (500..CLOSED).contains(&status) && status != RESET + CANCEL
    }
}

/// True if no message is under way in this direction.
#[inline(always)]
pub fn begins(direction: &Direction) -> bool {
    direction.head_flags & head_flag::IN_MESSAGE == 0
}

/// Reads on in the segment under the reader. Call until it answers [`step::DONE`], within a bound
/// of your own.
#[inline(always)]
pub fn advance<P: Protocol, L: Load>(
    conversation: &mut Conversation,
    is_request: bool,
    bytes: &mut L,
) -> Step {
    if conversation.opaque != 0 {
        return step::DONE;
    }
    let direction = conversation.direction_mut(is_request);
    let segment = direction.segment;
    if direction.phase == phase::BODY {
        if segment.end < direction.next {
            return step::DONE;
        }
        return end_message(conversation, is_request);
    }
    if segment.end <= direction.next {
        return step::DONE;
    }
    if direction.phase == phase::UNTIL_CLOSE {
        direction.next = segment.end;
        return step::DONE;
    }
    if direction.phase == phase::RESYNC {
        // An answer means something only after a request that was seen.
        let early = !is_request && conversation.asked == conversation.answered;
        let direction = conversation.direction_mut(is_request);
        if early || segment.offset < direction.next {
            direction.next = segment.end;
            return step::DONE;
        }
        direction.next = segment.offset;
        direction.carry_len = 0;
    } else if segment.offset > direction.next {
        let missed = conversation.resynchronise();
        return lost(conversation, is_request, Loss::SegmentGap, missed);
    }
    if is_request {
        spare_head(conversation);
    }
    let direction = conversation.direction_mut(is_request);
    let Some((from, to)) = fill::<P, L>(direction, bytes) else {
        // What cannot be read now will not be readable at the next call.
        direction.next = segment.end;
        let missed = conversation.resynchronise();
        return lost(conversation, is_request, Loss::Unreadable, missed);
    };
    let frame = P::read(conversation, is_request, from, to);
    // The ways that led here are of no matter to the verifier.
    let window = &mut conversation.direction_mut(is_request).window;
    let frame = Frame {
        len: window.forget(frame.len as usize) as u64,
        means: window.forget(frame.means as usize) as u32,
    };
    act::<P>(conversation, is_request, frame, from, to)
}

/// Loads new bytes behind the carried ones; answers where the bytes begin and end in the window.
#[inline(always)]
fn fill<P: Protocol, L: Load>(direction: &mut Direction, bytes: &mut L) -> Option<(usize, usize)> {
    const { assert!(P::LOOK_BYTES <= DATA_BYTES) };
    let segment = direction.segment;
    let at = direction.next.wrapping_sub(segment.offset) as u32;
    let left = segment.end.wrapping_sub(direction.next);
    let len = if left > P::LOOK_BYTES as u64 {
        P::LOOK_BYTES as u32
    } else {
        left as u32
    };
    if !bytes.load(at, len, &mut direction.window) {
        return None;
    }
    let to = CARRY_BYTES + len as usize;
    direction.window.blank_from(to);
    let from = CARRY_BYTES - (direction.carry_len as usize & 127).min(CARRY_BYTES);
    let from = direction.window.forget(from);
    Some((from, direction.window.forget(to)))
}

#[inline(always)]
fn act<P: Protocol>(
    conversation: &mut Conversation,
    is_request: bool,
    frame: Frame,
    from: usize,
    to: usize,
) -> Step {
    let code = conversation.protocol;
    let direction = conversation.direction_mut(is_request);
    let resync = direction.phase == phase::RESYNC;
    if frame.means & (means::OPAQUE | means::END) == means::OPAQUE {
        conversation.turn_opaque(code);
        return step::DONE;
    }
    if frame.means == 0 {
        return not_a_frame::<P>(conversation, is_request);
    }
    if frame.len == 0 {
        return cut::<P>(conversation, is_request, from, to);
    }
    direction.phase = phase::START_LINE;
    if resync {
        direction.misses = 0;
    }
    let start = direction
        .next
        .wrapping_sub((CARRY_BYTES as u64).wrapping_sub(from as u64));
    if frame.means & means::BEFORE != 0 {
        go_on(conversation, is_request, start, from, to);
        return end_at(conversation, is_request, start);
    }
    if frame.len < (CARRY_BYTES as u64).wrapping_sub(from as u64) {
        // What follows it was carried as well, and stays so.
        direction.carry_len = direction.carry_len.wrapping_sub(frame.len as u8);
    } else {
        direction.carry_len = 0;
        direction.next = start.wrapping_add(frame.len);
    }
    if frame.means & means::ASIDE != 0 {
        return more(direction);
    }
    if frame.means & means::FINISH != 0 {
        return end_exchange(conversation, is_request, start, from, to);
    }
    if frame.means & means::ORPHAN != 0 {
        if frame.means & (means::PART | means::END) == means::PART {
            // The rest of it is passed over as what nobody asked for.
            go_on(conversation, is_request, start, from, to);
            conversation.direction_mut(is_request).head_flags |= head_flag::ALONE;
        }
        return lost(conversation, is_request, Loss::OrphanResponse, 1);
    }
    go_on(conversation, is_request, start, from, to);
    let direction = conversation.direction_mut(is_request);
    if frame.means & means::ALONE != 0 {
        direction.head_flags |= head_flag::ALONE;
    }
    if frame.means & means::UNTIL_CLOSE != 0 {
        return last_message(conversation, is_request);
    }
    if frame.means & means::END == 0 {
        return more(direction);
    }
    if frame.means & means::OPAQUE != 0 {
        direction.head_flags |= head_flag::LAST;
    }
    direction.phase = phase::BODY;
    if direction.segment.end < direction.next {
        return step::DONE;
    }
    end_at(conversation, is_request, start.wrapping_add(frame.len))
}

/// A frame that begins at this offset begins a message, or goes on with one.
#[inline(always)]
fn go_on(conversation: &mut Conversation, is_request: bool, start: u64, from: usize, to: usize) {
    let direction = conversation.direction_mut(is_request);
    if begins(direction) {
        direction.head_flags |= head_flag::IN_MESSAGE;
        direction.message_start = start;
        direction.message_started_ns = direction.segment.time_ns;
        if is_request {
            conversation.message_read_ns = 0;
            note_head(conversation, from, to);
        } else {
            conversation.answer_len = 0;
        }
    }
    if !is_request {
        note_failure(conversation, from, to);
    }
}

/// A message ends at this offset: what is carried from there on stays unread.
#[inline(always)]
fn end_at(conversation: &mut Conversation, is_request: bool, end: u64) -> Step {
    let direction = conversation.direction_mut(is_request);
    // Where reading goes on: behind what is carried.
    let next = direction.next;
    direction.next = end;
    let step = end_message(conversation, is_request);
    conversation.direction_mut(is_request).next = next;
    step
}

/// The exchange that waits ends with the frame under the reader, and with it all framing.
#[inline(always)]
fn end_exchange(
    conversation: &mut Conversation,
    is_request: bool,
    start: u64,
    from: usize,
    to: usize,
) -> Step {
    let time_ns = conversation.direction_mut(is_request).segment.time_ns;
    if !is_request {
        go_on(conversation, is_request, start, from, to);
    }
    conversation.opaque = 1;
    let finished = finish_response(conversation, time_ns);
    exchange_or_orphan(conversation, finished)
}

/// Keeps the first bytes of the frame that says that a request failed.
#[inline(always)]
fn note_failure(conversation: &mut Conversation, from: usize, to: usize) {
    if conversation.response.status < outcome::FAILED || conversation.answer_len != 0 {
        return;
    }
    let len = to.wrapping_sub(from);
    conversation.answer_len = if len > ANSWER_BYTES {
        ANSWER_BYTES as u8
    } else {
        len as u8
    };
    conversation.answer_skip = (from & 7) as u64;
    conversation
        .response
        .window
        .copy_words(from, &mut conversation.answer);
}

/// A message is complete.
#[inline(always)]
fn end_message(conversation: &mut Conversation, is_request: bool) -> Step {
    let direction = conversation.direction_mut(is_request);
    let flags = direction.head_flags;
    direction.head_flags = 0;
    direction.phase = phase::START_LINE;
    if flags & head_flag::LAST != 0 {
        conversation.opaque = 1;
    }
    let direction = conversation.direction_mut(is_request);
    if flags & head_flag::ALONE != 0 {
        return more(direction);
    }
    if !is_request {
        let finished = finish_response(conversation, conversation.response.segment.time_ns);
        return exchange_or_orphan(conversation, finished);
    }
    let direction = &mut conversation.request;
    direction.messages = direction.messages.wrapping_add(1);
    conversation.ask();
    more(&conversation.request)
}

/// Nothing follows this message in its direction but its own rest.
#[inline(always)]
fn last_message(conversation: &mut Conversation, is_request: bool) -> Step {
    let direction = conversation.direction_mut(is_request);
    direction.phase = phase::UNTIL_CLOSE;
    if is_request {
        direction.head_flags = 0;
        direction.messages = direction.messages.wrapping_add(1);
        conversation.ask();
    }
    let direction = conversation.direction_mut(is_request);
    direction.next = direction.next.max(direction.segment.end);
    step::DONE
}

/// The segment ends before the frame tells its length: keeps what there is.
#[inline(always)]
fn cut<P: Protocol>(
    conversation: &mut Conversation,
    is_request: bool,
    from: usize,
    to: usize,
) -> Step {
    let direction = conversation.direction_mut(is_request);
    let len = to.wrapping_sub(from);
    let read = to.wrapping_sub(CARRY_BYTES) as u64;
    if len >= CARRY_BYTES || direction.segment.end > direction.next.wrapping_add(read) {
        return not_a_frame::<P>(conversation, is_request);
    }
    if direction.phase == phase::RESYNC {
        direction.phase = phase::START_LINE;
    }
    direction.window.carry_from(to);
    direction.carry_len = len as u8;
    direction.next = direction.segment.end;
    step::DONE
}

/// Bytes that are no frame: a connection that never had an exchange was taken for the wrong
/// protocol; on another the frames are looked for again.
#[inline(always)]
fn not_a_frame<P: Protocol>(conversation: &mut Conversation, is_request: bool) -> Step {
    let direction = conversation.direction_mut(is_request);
    direction.next = direction.segment.end;
    if direction.phase == phase::RESYNC {
        // Counted when it was lost.
        return step::DONE;
    }
    if conversation.answered == 0 && !P::is_sure(conversation) {
        conversation.turn_opaque(protocol::TCP);
        return step::DONE;
    }
    let missed = conversation.resynchronise();
    lost(conversation, is_request, Loss::Malformed, missed)
}
