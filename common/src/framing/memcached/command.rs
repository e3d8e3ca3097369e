//! Commands of the text protocol.

use super::{
    MAX_NAME_BYTES, key, kind, op_hash, place, quiet,
    text::{Line, Rest, WAIT_BYTES, block_len, rest},
};
use crate::{
    flow::protocol,
    framing::{
        frames::{Frame, means},
        stream::{Direction, phase},
        window::{Window, lowest_mark, matches_byte},
    },
};

/// Words behind a key in which flags are looked for.
const FLAG_WORDS: usize = 16;

/// The word that asks for no answer, behind its blank.
const NOREPLY: u64 = u64::from_le_bytes(*b" noreply");

/// Kind of a command; 0 = none we know.
#[inline(always)]
pub fn kind_of(hash: u64) -> u32 {
    macro_rules! is {
        ($($name:literal)+) => { $(hash == const { op_hash($name) })||+ };
    }
    if is!(b"get" b"gets" b"gat" b"gats" b"version" b"stats") {
        return kind::PLAIN;
    }
    if is!(b"set" b"add" b"replace" b"append" b"prepend" b"cas") {
        return kind::STORE;
    }
    if is!(b"delete" b"incr" b"decr" b"touch" b"flush_all" b"verbosity") {
        return kind::MAY_BE_ALONE;
    }
    if is!(b"md" b"ma" b"me") {
        return kind::META;
    }
    if is!(b"slabs" b"lru" b"lru_crawler" b"watch" b"config" b"cache_memlimit") {
        return kind::PLAIN;
    }
    if is!(b"quit" b"shutdown") {
        return kind::LAST;
    }
    match hash {
        h if h == const { op_hash(b"mg") } => kind::META_GET,
        h if h == const { op_hash(b"ms") } => kind::META_SET,
        h if h == const { op_hash(b"mn") } => kind::BARRIER,
        _ => 0,
    }
}

/// True if the kind's commands have a key that something else follows.
#[inline(always)]
const fn has_more_behind_key(kind: u32) -> bool {
    kind >= kind::STORE && kind <= kind::META_SET
}

/// A command's name.
struct Name {
    hash: u64,
    /// Position behind it.
    end: usize,
    /// One of [`kind`]; 0 = none we know.
    kind: u32,
    /// It is none, or may go on: one of [`flaw`].
    flaw: usize,
}

/// What may be wrong with a name.
mod flaw {
    pub const NONE: usize = 0;
    /// It may go on.
    pub const CUT: usize = 1;
    /// It is none.
    pub const BAD: usize = 2;
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// A mask of the bytes of a word that are letters or `_`, from the first one to the last one before
/// anything else.
#[inline(always)]
fn letters(word: u64) -> u64 {
    const HIGH: u64 = 0x80 * ONES;
    let lower = (word | (0x20 * ONES)) & !HIGH;
    // Bit 7 of each byte that is at least `a`, and of each that is more than `z`.
    let from_a = lower.wrapping_add((0x80 - b'a' as u64) * ONES);
    let behind_z = lower.wrapping_add((0x7f - b'z' as u64) * ONES);
    let is_letter = (from_a & !behind_z & !word) | matches_byte(word, b'_');
    let others = (!is_letter & HIGH) >> 7;
    (others & others.wrapping_neg()).wrapping_sub(1)
}

/// How many bytes a mask has.
#[inline(always)]
const fn bytes_of(mask: u64) -> usize {
    ((mask & ONES).wrapping_mul(ONES) >> 56) as usize
}

#[inline(always)]
fn name(window: &mut Window, from: usize, to: usize) -> Name {
    let (low, high) = (window.u64_at(from), window.u64_at(from + 8));
    let (low_mask, high_mask) = (letters(low), letters(high));
    // The second word counts if the first one is full. No branches: how long a name is would be a
    // way of its own to the verifier.
    let is_full = 0_u64.wrapping_sub((low_mask == !0) as u64);
    let high_mask = high_mask & is_full;
    let len = window.forget(bytes_of(low_mask) + bytes_of(high_mask));
    let end = window.forget(from + len);
    let hash = window.forget(key(low & low_mask, high & high_mask) as usize);
    let kind = kind_of(hash as u64);
    let ended = matches!(window.byte(end), b' ' | b'\r' | b'\n');
    let flaw = if end >= to && to.wrapping_sub(from) <= MAX_NAME_BYTES {
        flaw::CUT
    } else if len == 0 || len > MAX_NAME_BYTES || !ended {
        flaw::BAD
    } else {
        flaw::NONE
    };
    // The comparisons taught the verifier thirty different things.
    Name {
        hash: window.forget(hash) as u64,
        end: window.forget(end),
        kind: window.forget(kind as usize) as u32,
        flaw: window.forget(flaw),
    }
}

/// Reads on in a request.
#[inline(always)]
pub fn request(direction: &mut Direction, from: usize, to: usize) -> Frame {
    let before = direction.content_length;
    let mut at = from;
    if before & !place::QUIET_READS == place::START {
        let name = name(&mut direction.window, from, to);
        // The rest of a block of data may look like any word.
        let looking = direction.phase == phase::RESYNC;
        if name.flaw == flaw::BAD || (looking && (name.flaw == flaw::CUT || name.kind == 0)) {
            return Frame::BAD;
        }
        if name.flaw == flaw::CUT {
            return Frame::CUT;
        }
        if before == place::START {
            direction.op = if name.kind != 0 { name.hash } else { 0 };
        }
        direction.id = if name.kind != 0 {
            name.kind
        } else {
            kind::PLAIN
        };
        let keyed = has_more_behind_key(name.kind) && direction.window.byte(name.end) == b' ';
        direction.content_length = before | if keyed { place::KEY } else { place::LINE };
        at = direction.window.forget(name.end + keyed as usize);
    }
    match rest(direction, before, from, at, to) {
        Rest::Open(frame) => frame,
        Rest::Whole(line) => end_of_line(direction, &line),
    }
}

/// What a request's line means.
#[inline(always)]
fn end_of_line(direction: &mut Direction, line: &Line) -> Frame {
    let kind = direction.id;
    let behind_key = direction.content_length & !place::QUIET_READS == place::BEHIND_KEY;
    let mut len = line.len;
    if behind_key && (kind == kind::STORE || kind == kind::META_SET) {
        let skip = if kind == kind::STORE { 2 } else { 0 };
        len += block_len(&mut direction.window, line.at, line.end, skip);
    }
    let alone = match kind {
        kind::STORE | kind::MAY_BE_ALONE => says_noreply(&direction.window, line),
        kind::META | kind::META_GET | kind::META_SET => {
            behind_key && is_quiet(&mut direction.window, line)
        }
        kind::LAST => true,
        _ => false,
    };
    let means = if alone {
        quiet(direction, kind == kind::META_GET)
    } else {
        means::PART | means::END
    };
    Frame { len, means }
}

#[inline(always)]
fn says_noreply(window: &Window, line: &Line) -> bool {
    let last = window.u64_at(line.end.wrapping_sub(8));
    line.end >= line.from + 8 && last == NOREPLY
}

/// Whether the flag `q` is among those behind the key.
#[inline(always)]
fn is_quiet(window: &mut Window, line: &Line) -> bool {
    let mut at = line.at;
    // The first flag's blank may not be in the window any more.
    let mut last = b' ' as u64;
    let mut i = 0;
    while i < FLAG_WORDS {
        if at >= line.end {
            break;
        }
        let after = window.u64_at(at + 1);
        let before = window.u64_at(at) << 8 | last;
        last = window.u64_at(at) >> 56;
        let marks = matches_byte(before, b' ')
            & matches_byte(window.u64_at(at), b'q')
            & (matches_byte(after, b' ') | matches_byte(after, b'\r') | matches_byte(after, b'\n'));
        if marks != 0 {
            return at + lowest_mark(marks) < line.end;
        }
        at = window.forget(at + 8);
        i += 1;
    }
    false
}

/// Whether a command begins at `from`; see [`super::evidence`].
#[inline(always)]
pub fn evidence(window: &mut Window, from: usize, to: usize) -> u8 {
    let name = name(window, from, to);
    if name.flaw == flaw::CUT {
        return protocol::UNKNOWN;
    }
    if name.flaw == flaw::BAD || name.kind == 0 || name.kind == kind::LAST {
        return protocol::TCP;
    }
    let line_feed = window.find(b'\n', from, to);
    let line_feed = window.forget(line_feed);
    let whole = line_feed < to;
    if !whole && to.wrapping_sub(from) < WAIT_BYTES {
        return protocol::UNKNOWN;
    }
    let key = window.byte(name.end + 1);
    let no_key = (window.byte(name.end) == b' ') & (key <= b' ');
    // beanstalkd has commands of these names too, with a number behind them.
    let shared =
        (name.hash == const { op_hash(b"delete") }) | (name.hash == const { op_hash(b"touch") });
    let is_other = shared & key.is_ascii_digit();
    let ends = window.byte(line_feed.wrapping_sub(1)) == b'\r';
    // A number of bytes, or `noreply`.
    let stores = window.byte(line_feed.wrapping_sub(2)).is_ascii_digit()
        | (window.u64_at(line_feed.wrapping_sub(9)) == NOREPLY);
    let is_line = ends & (stores | (name.kind != kind::STORE));
    if no_key | is_other | (whole & !is_line) {
        return protocol::TCP;
    }
    protocol::MEMCACHED
}
