//! Answers: the elements of their document are passed over one by one, however large, until it is
//! known whether the command failed.
//!
//! A server tells a failure of the whole command by `ok: 0`, of a write among others by
//! `writeErrors` or `writeConcernError` beside `ok: 1`. All are elements of the outermost document,
//! at any place in it.

use super::{
    HEADER_BYTES, Header, MAX_MESSAGE_BYTES,
    document::{Element, element},
    header, msg_flag, opcode, request, u32_at,
};
use crate::{
    event::ANSWER_BYTES,
    flow::protocol,
    framing::{
        conversation::{Conversation, MAX_PENDING},
        frames::{Frame, begins, means, outcome},
        stream::Direction,
        window::Window,
    },
};

/// Bytes before the first element of `OP_REPLY`.
const REPLY_ELEMENTS: usize = HEADER_BYTES + 24;

/// `CursorNotFound` and `QueryFailure` of the flags of `OP_REPLY`.
const REPLY_FAILED: u32 = 3;

/// Elements that are passed over in one step.
const ELEMENTS: usize = 8;

/// Elements of a document that are looked at; what stands behind them is not.
const MAX_ELEMENTS: u64 = 250;

/// Facts of an answer under way, as [`Direction::op`]: the number of elements so far, and bits.
mod fact {
    pub const ELEMENTS: u64 = 0xffff;
    /// `ok: 0` was met.
    pub const NOT_OK: u64 = 1 << 16;
}

const fn text(bytes: [u8; 8]) -> u64 {
    u64::from_le_bytes(bytes)
}

/// Reads on in an answer.
#[inline(always)]
pub fn read(conversation: &mut Conversation, from: usize, to: usize) -> Frame {
    if !begins(&conversation.response) {
        return walk(&mut conversation.response, from, from, to);
    }
    let known = to.wrapping_sub(from);
    if known < HEADER_BYTES {
        return Frame::CUT;
    }
    let header = header(&conversation.response.window, from);
    if !is_answer(&header) {
        return Frame::BAD;
    }
    if known < REPLY_ELEMENTS && known < header.len as usize {
        return Frame::CUT;
    }
    let whole = |means| Frame {
        len: header.len as u64,
        means,
    };
    let follows = follows(conversation, &header, from);
    if conversation.outstanding() == 0 || !find_request(conversation, header.answers) {
        return whole(if follows {
            means::PART | means::END | means::ALONE
        } else {
            means::ORPHAN
        });
    }
    let direction = &mut conversation.response;
    direction.status = outcome::OK;
    direction.op = 0;
    direction.content_length = header.len as u64;
    let first = first_element(direction, &header, from);
    if first == 0 {
        return whole(means::PART | means::END);
    }
    let first = direction.window.forget(first);
    walk(direction, from, first, to)
}

/// Whether the first bytes of a connection, the server's, answer a request that was not seen.
#[inline(always)]
pub fn evidence(window: &Window, from: usize, to: usize) -> u8 {
    let known = to.wrapping_sub(from);
    let header = header(window, from);
    let may = (known < 4) | (header.len <= MAX_MESSAGE_BYTES);
    if may & (known < HEADER_BYTES) {
        return protocol::UNKNOWN;
    }
    if is_answer(&header) & (header.answers != 0) {
        protocol::MONGODB
    } else {
        protocol::TCP
    }
}

#[inline(always)]
fn is_answer(header: &Header) -> bool {
    let shortest = match header.opcode {
        // Flags and the kind of a section, or a number and a length.
        opcode::MSG | opcode::COMPRESSED => HEADER_BYTES + 5,
        opcode::REPLY => REPLY_ELEMENTS - 4,
        _ => return false,
    };
    header.len >= shortest as u32 && header.len <= MAX_MESSAGE_BYTES
}

/// True if an answer to no request that waits is none that was missed: it follows one that said so,
/// or tells the state of the server, which a driver watches. A compressed one may do so unseen.
///
/// Notes as [`Direction::method`] whether this one will be followed.
#[inline(always)]
fn follows(conversation: &mut Conversation, header: &Header, from: usize) -> bool {
    let watch = conversation.request.content_length;
    let direction = &mut conversation.response;
    let announced = direction.method != 0;
    let watched = (watch != 0) & (watch == header.answers as u64);
    let flags = u32_at(&direction.window, from + HEADER_BYTES);
    let will = (header.opcode == opcode::MSG) & (flags & msg_flag::MORE_TO_COME != 0);
    direction.method = direction.window.forget(will as usize) as u8;
    let follows = announced | watched | (header.opcode == opcode::COMPRESSED);
    direction.window.forget(follows as usize) != 0
}

/// Makes the request with this id the one that is answered next; false if none that waits has it.
///
/// Servers answer in order, so nobody answers what stands before it: a compressed request may say
/// so unseen.
#[inline(always)]
fn find_request(conversation: &mut Conversation, id: u32) -> bool {
    let mut place = MAX_PENDING;
    let mut i = 0;
    while i < MAX_PENDING {
        let ordinal = conversation.answered.wrapping_add(i as u64 + 1);
        if ordinal > conversation.asked {
            break;
        }
        let pending = &conversation.pending[conversation.pending_slot(ordinal)];
        // One that is not remembered may be it.
        if !pending.is(ordinal) || pending.id == id {
            place = i;
            break;
        }
        i += 1;
    }
    let place = conversation.response.window.forget(place);
    if place >= MAX_PENDING {
        return false;
    }
    conversation.answered = conversation.answered.wrapping_add(place as u64);
    true
}

/// Where the answer's document begins; 0 if there is none that could be read.
#[inline(always)]
fn first_element(direction: &mut Direction, header: &Header, from: usize) -> usize {
    let window = &direction.window;
    match header.opcode {
        opcode::MSG if window.byte(from + HEADER_BYTES + 4) == 0 => from + request::MSG_ELEMENTS,
        opcode::REPLY => {
            if u32_at(window, from + HEADER_BYTES) & REPLY_FAILED != 0 {
                direction.status = outcome::FAILED;
                return 0;
            }
            let documents = u32_at(window, from + HEADER_BYTES + 16);
            if documents == 0 {
                0
            } else {
                from + REPLY_ELEMENTS
            }
        }
        _ => 0,
    }
}

/// Passes over elements from `at` on, of a message that begins or goes on at `from`.
#[inline(always)]
fn walk(direction: &mut Direction, from: usize, at: usize, to: usize) -> Frame {
    let left = direction.content_length;
    let end = direction.window.forget(from.wrapping_add(left as usize));
    let mut facts = direction.op;
    let mut at = at;
    let mut done = false;
    let mut i = 0;
    while i < ELEMENTS {
        let element = element(&mut direction.window, at, to, end);
        if element.len == 0 {
            done = !element.cut;
            break;
        }
        if tells_failure(direction, &element, at, facts) {
            if at != from {
                // The answer's bytes that are kept begin with this element.
                break;
            }
            let wanted = if left > ANSWER_BYTES as u64 {
                ANSWER_BYTES
            } else {
                left as usize
            };
            if to.wrapping_sub(from) < wanted {
                break;
            }
            direction.status = outcome::FAILED;
        }
        if element.is_zero && element.name & 0xff_ffff == text(*b"ok\0\0\0\0\0\0") {
            facts |= fact::NOT_OK;
        }
        facts = direction.window.forget(facts.wrapping_add(1) as usize) as u64;
        at = direction.window.forget(at.wrapping_add(element.len));
        i += 1;
    }
    direction.op = facts;
    if done || at >= end || facts & fact::ELEMENTS > MAX_ELEMENTS {
        if facts & fact::NOT_OK != 0 {
            direction.status = outcome::FAILED;
        }
        return Frame {
            len: left,
            means: means::PART | means::END,
        };
    }
    let used = at.wrapping_sub(from) as u64;
    direction.content_length = left.wrapping_sub(used);
    Frame {
        // 0: more bytes are needed.
        len: used,
        means: means::PART,
    }
}

/// True if this element is the first that says why the command failed.
#[inline(always)]
fn tells_failure(direction: &Direction, element: &Element, at: usize, facts: u64) -> bool {
    if direction.status >= outcome::FAILED {
        return false;
    }
    let name = element.name;
    let code = name & 0xff_ffff_ffff == text(*b"code\0\0\0\0") || name == text(*b"codeName");
    if facts & fact::NOT_OK != 0 && code {
        return true;
    }
    // `writeErrors`, `writeConcernError`.
    name == text(*b"writeErr")
        || (name == text(*b"writeCon") && direction.window.u64_at(at + 9) == text(*b"cernErro"))
}
