//! WebSocket (RFC 6455), behind an upgrade of HTTP/1.
//!
//! A connection is one exchange: from the end of the answer that upgraded it to both Close frames,
//! or to its own end. Every frame is passed over by its length; messages are counted where the last
//! frame of each is complete. A hole in the stream costs the messages in it, not the exchange.

use super::{
    conversation::{Conversation, Step, finish_response, lost, step},
    frames::{self, Frame, Protocol, means},
    http1::method,
    stream::{Direction, phase},
    window::{DATA_BYTES, Load, Window},
};
use crate::{counter::Loss, flow::protocol};

/// Frames that are passed over in one step.
const FRAMES: usize = 16;

/// Outcomes of a connection, as [`Direction::status`].
pub mod outcome {
    /// What [`super::super::frames::outcome::FAILED`] is to others: this plus the code of the
    /// Close frame.
    pub const FAILED: u16 = 10_000;
    /// Above these, outcomes are no errors: this plus the code of the Close frame.
    pub const CLOSED: u16 = 20_000;
    /// Greatest code of a Close frame.
    pub const MAX_CODE: u16 = 4_999;
    /// The code of a Close frame that has none (RFC 6455, section 7.4.1).
    pub const NO_CODE: u16 = 1005;
    /// The code that stands for a connection that ended without a Close frame.
    pub const ABNORMAL: u16 = 1006;
    /// A code outside of what the RFC allows: a protocol error.
    const PROTOCOL_ERROR: u16 = 1002;
    /// 1002, 1006, 1011 (internal error), 1012 (service restart), 1013 (try again later), 1014
    /// (bad gateway) and 1015 (TLS): a message that was refused is the sender's error, as with 4xx.
    const ERRORS: u32 = 1 << 2 | 1 << 6 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 15;

    /// The outcome that a close code means.
    #[inline(always)]
    pub fn of_code(code: u16) -> u16 {
        if !(1000..=MAX_CODE).contains(&code) {
            return FAILED + PROTOCOL_ERROR;
        }
        let place = code - 1000;
        if place < 32 && ERRORS & (1 << place) != 0 {
            return FAILED + code;
        }
        CLOSED + code
    }

    /// The close code of an outcome, if it is one.
    pub fn code(outcome: u16) -> Option<u16> {
        let code = match outcome {
            CLOSED.. => outcome - CLOSED,
            _ => outcome.checked_sub(FAILED)?,
        };
        (1000..=MAX_CODE).contains(&code).then_some(code)
    }
}

/// Bits of a direction's `method`, which has no other use behind an upgrade.
mod seen {
    /// A frame.
    pub const FRAME: u8 = 1;
    /// The Close frame.
    pub const CLOSE: u8 = 2;
}

mod opcode {
    pub const CONTINUATION: u8 = 0;
    pub const BINARY: u8 = 2;
    pub const CLOSE: u8 = 8;
    pub const PONG: u8 = 10;
    /// Set in opcodes of control frames.
    pub const CONTROL: u8 = 8;
}

/// Bits of a frame's first byte.
const FIN: u8 = 0x80;
/// RSV1: a compressed message (RFC 7692). No extension in use knows the other two.
const RSV1: u8 = 0x40;
const RSV: u8 = 0x70;

/// The WebSocket protocol.
pub struct WebSocket;

impl Protocol for WebSocket {
    const CODE: u8 = protocol::WEBSOCKET;
    const LOOK_BYTES: usize = DATA_BYTES;

    #[inline(always)]
    fn read(conversation: &mut Conversation, is_request: bool, from: usize, to: usize) -> Frame {
        let direction = conversation.direction_mut(is_request);
        if direction.phase == phase::RESYNC && !stands_alone(direction, is_request, from, to) {
            return Frame::BAD;
        }
        let frames = pass_over(direction, is_request, from, to);
        if frames.close != 0 {
            direction.method |= seen::CLOSE;
            note_code(conversation, is_request, frames.close, to);
        }
        frames.frame
    }
}

/// Reads on in the segment under the reader, as [`frames::advance`] does.
#[inline(always)]
pub fn advance<L: Load>(conversation: &mut Conversation, is_request: bool, bytes: &mut L) -> Step {
    let other = conversation.direction_mut(!is_request);
    let (phase, carry_len) = (other.phase, other.carry_len);
    let code = frames::advance::<WebSocket, L>(conversation, is_request, bytes);
    if code >= step::LOST {
        let other = conversation.direction_mut(!is_request);
        other.phase = phase;
        other.carry_len = carry_len;
        return keep_on(conversation, is_request, code);
    }
    let closed = conversation.request.method & conversation.response.method & seen::CLOSE;
    if closed == 0 || conversation.opaque != 0 {
        return code;
    }
    let time_ns = conversation.direction_mut(is_request).segment.time_ns;
    let finished = end(conversation, time_ns);
    conversation.turn_opaque(protocol::WEBSOCKET);
    if finished { step::EXCHANGE } else { step::DONE }
}

/// The connection under way behind an upgrade is one of WebSocket: its exchange begins where HTTP
/// ended.
#[inline(always)]
pub(super) fn begin(conversation: &mut Conversation) {
    conversation.request.op = conversation.finished.op;
    conversation.request.method = 0;
    conversation.request.message_started_ns = conversation.finished.ended_ns;
    conversation.message_read_ns = 0;
    conversation.ask();
    let asked = conversation.asked;
    let start = conversation.request.message_start;
    conversation.pending_mut(asked).seq = conversation.request.seq_of(start);
    if conversation.head_ordinal == conversation.finished.ordinal {
        // The head that opened it is the head of this exchange too.
        conversation.head_ordinal = asked;
    }
    for is_request in [true, false] {
        let direction = conversation.direction_mut(is_request);
        direction.content_length = 0;
        direction.counted = 0;
    }
    conversation.response.method = 0;
    conversation.response.message_started_ns = 0;
    conversation.response.status = outcome::FAILED + outcome::ABNORMAL;
}

/// Ends the exchange; false if there is none.
#[inline(always)]
pub(super) fn end(conversation: &mut Conversation, time_ns: u64) -> bool {
    if conversation.outstanding() == 0 {
        return false;
    }
    for is_request in [true, false] {
        let direction = conversation.direction_mut(is_request);
        if direction.next <= direction.highest {
            direction.counted += direction.content_length as u32;
        }
        direction.content_length = 0;
        if direction.method & seen::CLOSE == 0 {
            // Of a frame that goes on, only what was seen.
            direction.next = direction.highest;
        }
    }
    let request = &conversation.request;
    let bytes = request.next.wrapping_sub(request.message_start);
    let asked = conversation.asked;
    conversation.pending_mut(asked).bytes = bytes;
    let finished = finish_response(conversation, time_ns);
    conversation.finished.request_messages = conversation.request.counted;
    finished
}

/// Something was lost: the exchange goes on, and messages may be missing from its counts. Bytes
/// that never were a frame are another protocol's.
#[inline(always)]
fn keep_on(conversation: &mut Conversation, is_request: bool, code: Step) -> Step {
    let malformed = code == step::LOST + Loss::Malformed as u32;
    let direction = conversation.direction_mut(is_request);
    if malformed && direction.method & seen::FRAME == 0 {
        conversation.turn_opaque(protocol::UPGRADED);
        return step::DONE;
    }
    // It was taken for answered; no request came behind it.
    conversation.answered = conversation.asked.wrapping_sub(1);
    lost(conversation, is_request, Loss::UncountedMessages, 1)
}

/// Whether the bytes at `from` begin a frame of that side; see [`super::detect`].
#[inline(always)]
pub(super) fn evidence(
    conversation: &mut Conversation,
    is_request: bool,
    from: usize,
    to: usize,
) -> u8 {
    let opened = conversation.finished.status == 101 && conversation.finished.method == method::GET;
    let window = &mut conversation.direction_mut(is_request).window;
    let header = Header::read(window, is_request, from, to);
    let first = window.byte(from);
    // The first frame goes on with no message, and a part of one is not empty.
    let begins = first & 0xf != opcode::CONTINUATION && (first & FIN != 0 || header.payload != 0);
    if !opened || header.is_bad() || header.len != 0 && !begins {
        return protocol::TCP;
    }
    if header.len == 0 {
        return protocol::UNKNOWN;
    }
    protocol::WEBSOCKET
}

/// What the beginning of a frame tells.
struct Header {
    /// With its payload, bytes; 0 = more bytes are needed to tell, or see `bad`.
    len: u64,
    /// Bytes before the payload.
    size: usize,
    payload: u64,
    first: u8,
    bad: bool,
}

impl Header {
    #[inline(always)]
    fn is_bad(&self) -> bool {
        self.bad
    }

    /// Reads the frame at `from`.
    #[inline(always)]
    fn read(window: &mut Window, is_request: bool, from: usize, to: usize) -> Self {
        let word = window.u64_at(from);
        let (first, second) = (word as u8, (word >> 8) as u8);
        let there = to.wrapping_sub(from);
        let short = second & 0x7f;
        let (size, payload, least) = match short {
            126 => (4, ((word >> 16) as u16).swap_bytes() as u64, 126),
            127 => (
                10,
                window.u64_at(from.wrapping_add(2)).swap_bytes(),
                1 << 16,
            ),
            _ => (2, short as u64, 0),
        };
        let size = size + is_request as usize * MASK_BYTES;
        let cut = there < size;
        let masked = second & 0x80 != 0;
        let bad = !may_be_first(first)
            || there >= 2 && (masked != is_request || is_long_control(first, short))
            || !cut && (payload < least || payload >> 62 != 0);
        let whole = !bad && !cut;
        Self {
            len: if whole { payload + size as u64 } else { 0 },
            size,
            payload,
            first,
            bad,
        }
    }
}

const MASK_BYTES: usize = 4;

/// True for the first bytes that frames have: opcodes that are defined, control frames whole and
/// never compressed.
#[inline(always)]
fn may_be_first(first: u8) -> bool {
    let code = first & 0xf;
    let control = (opcode::CLOSE..=opcode::PONG).contains(&code) && first & (FIN | RSV) == FIN;
    let data = code <= opcode::BINARY && first & (RSV & !RSV1) == 0;
    control || data
}

#[inline(always)]
fn is_long_control(first: u8, short: u8) -> bool {
    first & opcode::CONTROL != 0 && short > 125
}

/// True if a segment behind a hole is one frame, no more and no less: payload that looks like the
/// beginning of a frame is not so by its length too.
#[inline(always)]
fn stands_alone(direction: &mut Direction, is_request: bool, from: usize, to: usize) -> bool {
    let segment = direction.segment;
    let header = Header::read(&mut direction.window, is_request, from, to);
    header.len != 0 && header.len == segment.end.wrapping_sub(segment.offset)
}

/// Frames that were passed over.
struct Passed {
    frame: Frame,
    /// Window position of the payload of a Close frame; 0 = there was none.
    close: usize,
}

/// Passes over the frames from `from` on, as far as their headers are in the window, and counts
/// the messages that ended. A frame is known to be complete when the next one begins.
#[inline(always)]
fn pass_over(direction: &mut Direction, is_request: bool, from: usize, to: usize) -> Passed {
    let mut at = from;
    let mut ended = direction.content_length as usize;
    let mut messages = 0;
    let mut close = 0;
    let mut i = 0;
    while i < FRAMES {
        if at >= to || close != 0 {
            break;
        }
        let header = Header::read(&mut direction.window, is_request, at, to);
        let code = header.first & 0xf;
        // Of a Close frame its code must be there too.
        let code_len = if header.payload < 2 { 0 } else { 2 };
        let cut = code == opcode::CLOSE && to.wrapping_sub(at) < header.size + code_len;
        if header.len == 0 || cut {
            if at == from {
                let frame = if header.bad { Frame::BAD } else { Frame::CUT };
                return Passed { frame, close: 0 };
            }
            break;
        }
        messages = direction.window.forget(messages + ended);
        let last = header.first & FIN != 0 && code <= opcode::BINARY;
        ended = direction.window.forget(last as usize);
        if code == opcode::CLOSE {
            let payload = if code_len == 0 {
                NO_PAYLOAD
            } else {
                at + header.size
            };
            close = direction.window.forget(payload);
        }
        at = direction
            .window
            .forget(at.wrapping_add(header.len as usize));
        i += 1;
    }
    direction.counted = direction.counted.wrapping_add(messages as u32);
    direction.content_length = ended as u64;
    direction.method |= seen::FRAME;
    Passed {
        frame: Frame {
            len: at.wrapping_sub(from) as u64,
            means: means::ASIDE,
        },
        close,
    }
}

/// Stands for the position of a Close frame's payload that has no code. No payload begins there.
const NO_PAYLOAD: usize = 1;

/// The first Close frame tells why the connection ends; the other one is its echo.
#[inline(always)]
fn note_code(conversation: &mut Conversation, is_request: bool, close: usize, to: usize) {
    if conversation.response.status != outcome::FAILED + outcome::ABNORMAL {
        return;
    }
    let window = &mut conversation.direction_mut(is_request).window;
    let code = if close == NO_PAYLOAD || close >= to {
        outcome::NO_CODE
    } else {
        let mask = if is_request {
            window.u64_at(close.wrapping_sub(MASK_BYTES))
        } else {
            0
        };
        ((window.u64_at(close) ^ mask) as u16).swap_bytes()
    };
    conversation.response.status = outcome::of_code(code);
}
