//! Answers: the elements of their document are passed over one by one, however large, until it is
//! known whether the command failed.
//!
//! A server tells a failure of the whole command by `ok: 0`, of a write among others by
//! `writeErrors` or `writeConcernError` beside `ok: 1`. All are elements of the outermost document,
//! at any place in it.

use super::{HEADER_BYTES, Header, MAX_MESSAGE_BYTES, bson, header, opcode, request, u32_at};
use crate::{
    event::ANSWER_BYTES,
    framing::{
        conversation::{Conversation, MAX_PENDING},
        frames::{Frame, begins, means, outcome},
        stream::Direction,
        window::{Window, lowest_mark, matches_byte},
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

/// Words of an element's name; longer ones end the look.
const NAME_WORDS: usize = 8;

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
    if conversation.outstanding() == 0 {
        // What follows `moreToCome`, or the state of the server, which a driver watches.
        return whole(means::PART | means::END | means::ALONE);
    }
    if !find_request(conversation, header.answers) {
        return whole(means::ORPHAN);
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

#[inline(always)]
fn is_answer(header: &Header) -> bool {
    let known = matches!(
        header.opcode,
        opcode::MSG | opcode::REPLY | opcode::COMPRESSED
    );
    known && header.len > HEADER_BYTES as u32 && header.len <= MAX_MESSAGE_BYTES
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
        let pending = &conversation.pending[ordinal as usize & (MAX_PENDING - 1)];
        // One that is not remembered may be it.
        if pending.ordinal != ordinal || pending.id == id {
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

/// An element of a document.
struct Element {
    /// First eight bytes of its name and what follows.
    name: u64,
    /// Bytes of it all; 0 = there is none, or it cannot be read.
    len: usize,
    /// More bytes are needed.
    cut: bool,
    /// Its value is a number that is 0, or false.
    is_zero: bool,
}

impl Element {
    #[inline(always)]
    const fn none(cut: bool) -> Self {
        Self {
            name: 0,
            len: 0,
            cut,
            is_zero: false,
        }
    }
}

/// Reads the element at `at` of a document in a message that goes as far as `end`.
#[inline(always)]
fn element(window: &mut Window, at: usize, to: usize, end: usize) -> Element {
    if at >= to || at >= end {
        return Element::none(at < end);
    }
    let kind = window.byte(at);
    let name_end = name_end(window, at + 1);
    let too_long = name_end == 0 && to > at + NAME_WORDS * 8;
    if kind == 0 || too_long {
        return Element::none(false);
    }
    let unknown = name_end == 0 || name_end + 1 + 8 > to;
    if unknown && to < end {
        return Element::none(true);
    }
    let value = name_end + 1;
    let word = window.u64_at(value);
    let len = value_len(kind, word as u32);
    if name_end == 0 || value as u64 + len > end as u64 {
        return Element::none(false);
    }
    let significant = match kind {
        bson::DOUBLE => word << 1,
        bson::INT64 => word,
        bson::INT32 => word << 32,
        bson::BOOL => word << 56,
        _ => 1,
    };
    Element {
        name: window.u64_at(at + 1),
        len: window.forget((value + len as usize).wrapping_sub(at)),
        cut: false,
        is_zero: significant == 0,
    }
}

/// Position of the NUL that ends the name at `at`; 0 if it is too far away.
#[inline(always)]
fn name_end(window: &mut Window, at: usize) -> usize {
    let mut end = 0;
    let mut i = 0;
    while i < NAME_WORDS {
        let marks = matches_byte(window.u64_at(at + i * 8), 0);
        if marks != 0 {
            end = at + i * 8 + lowest_mark(marks);
            break;
        }
        i += 1;
    }
    window.forget(end)
}

/// Length of a value of this type (bsonspec.org) that begins with `prefix`; more than any message
/// if that cannot be told.
#[inline(always)]
const fn value_len(kind: u8, prefix: u32) -> u64 {
    let prefix = prefix as u64;
    match kind {
        bson::STRING | 0x0d | 0x0e => 4 + prefix,
        bson::DOCUMENT | bson::ARRAY | 0x0f if prefix >= 5 => prefix,
        0x05 => 5 + prefix,
        0x0c => 16 + prefix,
        bson::DOUBLE | 0x09 | 0x11 | bson::INT64 => 8,
        bson::INT32 => 4,
        bson::BOOL => 1,
        0x07 => 12,
        0x13 => 16,
        0x06 | 0x0a | 0x7f | 0xff => 0,
        _ => u32::MAX as u64,
    }
}
