//! Redis: RESP2 and RESP3 (redis.io, "Redis serialization protocol specification").
//!
//! A value is a line with a type, a number and CR LF; a bulk string has so many bytes behind it,
//! an aggregate so many values. Nested values need no stack: an aggregate adds its values to
//! those that are left of the message.

use super::{
    conversation::Conversation,
    frames::{Frame, Protocol, begins, means, outcome},
    stream::Direction,
    window::Window,
};
use crate::{FNV_OFFSET, flow::protocol, fnv1a_step};

/// Values that are passed over in one step.
const VALUES: usize = 12;

/// Longest command name.
pub const MAX_COMMAND_BYTES: usize = 24;

/// Digits of a length or count; more are not Redis.
const MAX_DIGITS: usize = 11;

/// The Redis protocol.
pub struct Redis;

impl Protocol for Redis {
    const CODE: u8 = protocol::REDIS;
    const LOOK_BYTES: usize = 304;

    #[inline(always)]
    fn read(conversation: &mut Conversation, is_request: bool, from: usize, to: usize) -> Frame {
        let unasked = conversation.asked == conversation.answered;
        let direction = conversation.direction_mut(is_request);
        let first = direction.window.byte(from);
        if !begins(direction) {
            return values(direction, from, from, to);
        }
        if is_request {
            if first == b'*' {
                return command(direction, from, to);
            }
            return inline_command(direction, from, to);
        }
        let place = if first == b'>' && !unasked {
            place_of_push(conversation, from, to)
        } else {
            // Messages to subscribers, MONITOR.
            [place::ANSWER, place::ALONE][unasked as usize]
        };
        let direction = &mut conversation.response;
        let place = direction.window.forget(place);
        if place == place::CUT {
            return Frame::CUT;
        }
        let failed = first == b'-' || first == b'!';
        direction.status = if failed { outcome::FAILED } else { outcome::OK };
        direction.content_length = 1;
        let mut frame = values(direction, from, from, to);
        if frame.len != 0 && place == place::ALONE {
            let monitors = conversation.request.op == MONITOR;
            let is_lost = !is_message(first, monitors);
            frame.means |= [means::ALONE, means::ORPHAN][is_lost as usize];
        }
        frame
    }
}

/// Operation key of the command whose answers never end.
const MONITOR: u64 = {
    let name = *b"MONITOR";
    let mut hash = FNV_OFFSET;
    let mut i = 0;
    while i < name.len() {
        hash = fnv1a_step(hash, name[i]);
        i += 1;
    }
    hash
};

/// True if a server sends values that begin like this unasked: to subscribers, to who tracks keys or
/// monitors it. Any other is an answer whose request was not seen.
#[inline(always)]
fn is_message(first: u8, monitors: bool) -> bool {
    (first == b'>') | (first == b'*') | (first == b'|') | (monitors & (first == b'+'))
}

/// What a value of the server is.
mod place {
    /// That cannot be told yet.
    pub const CUT: usize = 0;
    /// The answer to the request that waits.
    pub const ANSWER: usize = 1;
    /// Unasked.
    pub const ALONE: usize = 2;
}

/// Bytes up to the end of the longest name that confirms a subscription.
const CONFIRMATION_BYTES: usize = 21;

/// A push of RESP3 while a request waits: its answer if it has the request's name, as subscriptions
/// are confirmed (`>3`, and a name of 9 to 12 letters); else a message to a subscriber.
#[inline(always)]
fn place_of_push(conversation: &mut Conversation, from: usize, to: usize) -> usize {
    /// Where the second digit of the name's length stands.
    const DIGIT: u64 = 0xff << 48;
    let awaited = conversation.awaited_op();
    let window = &mut conversation.response.window;
    if to.wrapping_sub(from) < CONFIRMATION_BYTES {
        // Shorter than any confirmation: at the latest the next bytes tell.
        return place::CUT;
    }
    let word = window.u64_at(from);
    let is_nine = word == u64::from_le_bytes(*b">3\r\n$9\r\n");
    let is_longer = word & !DIGIT == u64::from_le_bytes(*b">3\r\n$1\0\r");
    let digit = (word >> 48) as usize & 7;
    let (start, len) = if is_longer { (9, 10 + digit) } else { (8, 9) };
    let start = window.forget(from + start);
    let end = window.forget(start.wrapping_add(len));
    let is_named = (is_nine | is_longer) & (name_hash(window, start, end) == awaited);
    if is_named {
        place::ANSWER
    } else {
        place::ALONE
    }
}

/// Whether the bytes at `from` begin a command; see [`super::detect`].
#[inline(always)]
pub(super) fn evidence(window: &mut Window, from: usize, to: usize) -> u8 {
    let count = number(window, from + 1, to);
    if count.cut {
        return protocol::UNKNOWN;
    }
    if count.end == 0 || count.value.wrapping_sub(1) >= 1 << 20 {
        return protocol::TCP;
    }
    if count.end >= to {
        return protocol::UNKNOWN;
    }
    if window.byte(count.end) == b'$' {
        protocol::REDIS
    } else {
        protocol::TCP
    }
}

/// Reads an array of bulk strings up to its first one, the command's name, and goes on from there.
#[inline(always)]
fn command(direction: &mut Direction, from: usize, to: usize) -> Frame {
    let count = number(&mut direction.window, from + 1, to);
    if count.cut {
        return Frame::CUT;
    }
    let name = number(&mut direction.window, count.end + 1, to);
    if name.cut && count.end != 0 {
        return Frame::CUT;
    }
    let bad = count.end == 0 || name.end == 0 || direction.window.byte(count.end) != b'$';
    if bad || count.value == 0 || name.value > MAX_COMMAND_BYTES as u64 {
        return Frame::BAD;
    }
    let end = name.end + name.value as usize;
    if end + 2 > to {
        return Frame::CUT;
    }
    direction.op = name_hash(&mut direction.window, name.end, end);
    direction.content_length = count.value - 1;
    let rest = direction.window.forget(end + 2);
    values(direction, from, rest, to)
}

/// A command as a person would type it: words and an end of line.
#[inline(always)]
fn inline_command(direction: &mut Direction, from: usize, to: usize) -> Frame {
    if !direction.window.byte(from).is_ascii_alphabetic() {
        return Frame::BAD;
    }
    let end = direction.window.find(b'\n', from, to);
    if end >= to {
        return Frame::CUT;
    }
    let text_end = direction.window.find(b'\r', from, end);
    let name_end = direction.window.find(b' ', from, text_end);
    direction.op = name_hash(&mut direction.window, from, name_end);
    Frame {
        len: (end + 1 - from) as u64,
        means: means::PART | means::END,
    }
}

/// Hash of a command's name in upper case.
#[inline(always)]
fn name_hash(window: &mut Window, from: usize, to: usize) -> u64 {
    let mut hash = FNV_OFFSET;
    let mut i = 0;
    while i < MAX_COMMAND_BYTES {
        if from + i >= to {
            break;
        }
        hash = fnv1a_step(hash, window.byte(from + i).to_ascii_uppercase());
        i += 1;
    }
    hash | (hash == 0) as u64
}

/// Operation key of a command.
pub fn op_hash(name: &[u8]) -> u64 {
    let upper = name.iter().take(MAX_COMMAND_BYTES);
    let hash = upper.fold(FNV_OFFSET, |hash, byte| {
        fnv1a_step(hash, byte.to_ascii_uppercase())
    });
    hash | (hash == 0) as u64
}

/// Passes over values from `at` on, of a message that begins or goes on at `from`.
#[inline(always)]
fn values(direction: &mut Direction, from: usize, at: usize, to: usize) -> Frame {
    let mut at = at;
    let mut left = direction.content_length;
    let mut i = 0;
    while i < VALUES {
        if left == 0 || at >= to {
            break;
        }
        let value = value(&mut direction.window, at, to);
        if value.len == 0 {
            if at != from {
                break;
            }
            return if value.cut { Frame::CUT } else { Frame::BAD };
        }
        at = direction.window.forget(at.wrapping_add(value.len as usize));
        let values = left.wrapping_add(value.adds).wrapping_sub(1);
        left = direction.window.forget(values as usize) as u64;
        i += 1;
    }
    direction.content_length = left;
    Frame {
        len: at.wrapping_sub(from) as u64,
        means: means::PART | if left == 0 { means::END } else { 0 },
    }
}

struct Value {
    /// With its type and payload, bytes; 0 = none.
    len: u64,
    /// Values that follow because of it.
    adds: u64,
    cut: bool,
}

/// Reads one value's line.
#[inline(always)]
fn value(window: &mut Window, at: usize, to: usize) -> Value {
    let first = window.byte(at);
    let none = |cut| Value {
        len: 0,
        adds: 0,
        cut,
    };
    if matches!(first, b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(') {
        let end = window.find(b'\n', at, to);
        if end >= to {
            return none(true);
        }
        let len = (end + 1 - at) as u64;
        return Value {
            len,
            adds: 0,
            cut: false,
        };
    }
    let number = number(window, at + 1, to);
    if number.end == 0 {
        return none(number.cut);
    }
    let line = (number.end - at) as u64;
    // A null has a length of -1 and nothing behind it.
    let (payload, adds) = match first {
        b'$' | b'=' | b'!' if number.null => (0, 0),
        b'$' | b'=' | b'!' => (number.value + 2, 0),
        b'*' | b'~' | b'>' => (0, number.value),
        b'%' => (0, number.value * 2),
        // Attributes come before the value that they describe.
        b'|' => (0, number.value * 2 + 1),
        _ => return none(false),
    };
    Value {
        len: line + payload,
        adds,
        cut: false,
    }
}

struct Number {
    value: u64,
    /// Position behind CR LF; 0 = it is none, or cut.
    end: usize,
    cut: bool,
    null: bool,
}

/// Reads a decimal number, or -1, and CR LF.
#[inline(always)]
fn number(window: &mut Window, at: usize, to: usize) -> Number {
    let null = window.byte(at) == b'-';
    let start = window.forget(at + null as usize);
    let mut value = 0;
    let mut i = 0;
    while i < MAX_DIGITS {
        let digit = window.byte(start + i).wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = window.forget(value * 10 + digit as usize);
        i += 1;
    }
    let digits = window.forget(i);
    let end = window.forget(start + digits);
    let cut = end + 2 > to;
    let good = digits != 0 && window.byte(end) == b'\r' && window.byte(end + 1) == b'\n';
    Number {
        value: if null { 0 } else { value as u64 },
        end: if good && !cut { end + 2 } else { 0 },
        // What is not there yet may still become a number.
        cut: cut && (end >= to || window.byte(end) == b'\r'),
        null,
    }
}
