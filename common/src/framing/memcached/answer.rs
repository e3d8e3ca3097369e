//! Answers of the text protocol.

use super::{
    kind, place,
    text::{Line, MAX_DIGITS, Rest, block_len, rest},
};
use crate::framing::{
    frames::{Frame, means, outcome},
    stream::Direction,
    window::Window,
};

/// Bytes that tell what a line means.
const WORD_BYTES: usize = 8;

/// What a line means, as [`Direction::id`] of the answers.
mod class {
    /// The last line of an answer.
    pub const LAST: u32 = 1;
    /// More lines follow.
    pub const PART: u32 = 2;
    /// An error, and the last line.
    pub const ERROR: u32 = 3;
    /// `VALUE <key> <flags> <bytes>`: a block of data, and more lines.
    pub const VALUE: u32 = 4;
    /// `VA <bytes>`: a block of data, and the answer is complete.
    pub const META_VALUE: u32 = 5;
    /// `MN`.
    pub const BARRIER: u32 = 6;
}

/// What a line means, by its first bytes; 0 = memcached has no such line.
#[inline(always)]
fn class_of(word: u64) -> u32 {
    if (word as u8).is_ascii_digit() {
        // The new value of a counter.
        return class::LAST;
    }
    let third = (word >> 16) as u8;
    if matches!(third, b' ' | b'\r' | b'\n') {
        return match &(word as u16).to_le_bytes() {
            b"OK" if third != b' ' => class::LAST,
            b"HD" | b"EN" | b"NS" | b"EX" | b"NF" | b"ME" => class::LAST,
            b"VA" if third == b' ' => class::META_VALUE,
            b"MN" => class::BARRIER,
            b"mg" => class::PART,
            _ => 0,
        };
    }
    match &(word as u32).to_le_bytes() {
        b"VALU" | b"CONF" => class::VALUE,
        b"STAT" | b"ITEM" | b"PREF" | b"key=" => class::PART,
        b"ERRO" | b"CLIE" | b"SERV" => class::ERROR,
        b"END\r" | b"END\n" | b"STOR" | b"NOT_" | b"EXIS" | b"DELE" | b"TOUC" => class::LAST,
        b"VERS" | b"RESE" | b"BUSY" | b"BADC" | b"NOSP" | b"NOTF" | b"UNSA" | b"SAME" => {
            class::LAST
        }
        // What a watcher is told.
        word if word.starts_with(b"ts=") => class::PART,
        _ => 0,
    }
}

/// Reads on in an answer to the request that has the id `awaited`; `alone` if nobody asked.
#[inline(always)]
pub fn answer(
    direction: &mut Direction,
    awaited: u32,
    alone: bool,
    from: usize,
    to: usize,
) -> Frame {
    let before = direction.content_length;
    let mut at = from;
    if before == place::START {
        if to < from + WORD_BYTES && direction.window.find(b'\n', from, to) >= to {
            return Frame::CUT;
        }
        let class = class_of(direction.window.u64_at(from));
        let class = direction.window.forget(class as usize) as u32;
        if class == 0 {
            return Frame::BAD;
        }
        if class == class::ERROR {
            direction.status = outcome::FAILED;
        }
        if class == class::META_VALUE {
            let Some(block) = meta_block(&mut direction.window, from, to) else {
                return Frame::CUT;
            };
            direction.op = block;
        }
        direction.id = class;
        (direction.content_length, at) = match class {
            // `VALUE ` or `CONFIG `, and a key.
            class::VALUE if direction.window.byte(from) == b'C' => (place::KEY, from + 7),
            class::VALUE => (place::KEY, from + 6),
            _ => (place::LINE, from),
        };
        at = direction.window.forget(at);
    }
    match rest(direction, before, from, at, to) {
        Rest::Open(frame) => frame,
        Rest::Whole(line) => end_of_line(direction, awaited, alone, &line),
    }
}

/// Length of the block behind a line `VA <bytes> <flags>*`, which flags may make long; 0 if it does not
/// tell one, `None` if the length is not all there.
#[inline(always)]
fn meta_block(window: &mut Window, from: usize, to: usize) -> Option<u64> {
    let at = from + b"VA ".len();
    let enough = at + MAX_DIGITS + 1;
    let line_feed = window.find(b'\n', from, to);
    let line_feed = window.forget(line_feed);
    if line_feed >= to && to < enough {
        return None;
    }
    let has_cr = window.byte(line_feed.wrapping_sub(1)) == b'\r';
    let end = if line_feed < to {
        line_feed - has_cr as usize
    } else {
        to
    };
    let end = window.forget(end);
    Some(block_len(window, at, end, 0))
}

/// What an answer's line means.
#[inline(always)]
fn end_of_line(direction: &mut Direction, awaited: u32, alone: bool, line: &Line) -> Frame {
    let class = direction.id;
    let mut len = line.len;
    if class == class::META_VALUE {
        if direction.op == 0 {
            return Frame::BAD;
        }
        len += direction.op;
    }
    if class == class::VALUE {
        let block = block_len(&mut direction.window, line.at, line.end, 1);
        if block == 0 || direction.content_length != place::BEHIND_KEY {
            return Frame::BAD;
        }
        len += block;
    }
    direction.content_length = place::START;
    let ends = match class {
        class::BARRIER => true,
        class::PART | class::VALUE => alone,
        // What quiet reads found stands before the answer to the command that ends them.
        _ => alone || awaited != kind::BARRIER,
    };
    Frame {
        len,
        means: means::PART | if ends { means::END } else { 0 },
    }
}
