//! The fields of a header block (RFC 7541, section 6).

use super::{
    EXACT, Half, Http2, Spill,
    exchange::end_stream,
    flag,
    messages::is_some,
    place, repeat,
    table::{Field, UNREAD, field, is_added, kind_of_name},
    walk::finish_block,
};
use crate::framing::{
    conversation::{Conversation, Step, step},
    stream::Direction,
    window::{CARRY_BYTES, Window},
};

/// How many fields a step reads.
const FIELDS: usize = 24;

/// A number with its bytes (RFC 7541, section 5.1).
struct Number {
    value: u32,
    len: u32,
}

/// Value of a number that is longer than any honest one.
const TOO_LONG: u32 = u32::MAX >> 1;

/// Reads the number that a word begins with, lowest byte first.
#[inline(always)]
fn number(word: u64, mask: u32) -> Number {
    let first = word as u32 & mask;
    if first != mask {
        return Number {
            value: first,
            len: 1,
        };
    }
    let [a, b, c] = [word >> 8, word >> 16, word >> 24].map(|word| word as u32 & 255);
    if a < 128 {
        return Number {
            value: mask + a,
            len: 2,
        };
    }
    let value = mask + (a & 127) + ((b & 127) << 7);
    if b < 128 {
        return Number { value, len: 3 };
    }
    if c < 128 {
        return Number {
            value: value + (c << 14),
            len: 4,
        };
    }
    Number {
        value: TOO_LONG,
        len: 5,
    }
}

/// How a pass over the fields of a window ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// All were read, or as many as a step reads.
    Read,
    /// The next one is not whole.
    Cut,
    /// The next one's value is to be read.
    Value,
}

/// Reads the header block that is in the window of its direction, from
/// [`Direction::scan_from`] up to [`Direction::scan_to`]. `next` is the offset of the first.
#[inline(always)]
pub fn fields<S: Spill>(
    conversation: &mut Conversation,
    http2: &mut Http2,
    spill: &mut S,
    is_request: bool,
) -> Step {
    let code = read(conversation, http2, is_request);
    let complete = http2.half_mut(is_request).place == place::BLOCK_END;
    let code = if complete && code != step::VALUE {
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
fn read(conversation: &mut Conversation, http2: &mut Http2, is_request: bool) -> Step {
    let direction = conversation.direction_mut(is_request);
    let half = http2.half_mut(is_request);
    let from = direction.scan_from;
    let loaded = direction.scan_to.wrapping_sub(from);
    let left = half.fragment_left;
    if half.spoilt != 0 {
        return pass(direction, half, left);
    }
    if half.skip != 0 {
        let skip = half.skip;
        let by = if skip < left { skip } else { left };
        half.skip = skip - by;
        return pass(direction, half, by);
    }
    let to = from.wrapping_add(if loaded < left { loaded } else { left });
    let mut at = from;
    let mut end = End::Read;
    let mut seen_end = 0;
    let mut i = 0;
    while i < FIELDS {
        if at >= to {
            break;
        }
        let seen = one(&mut direction.window, half, at, to);
        seen_end = seen;
        if seen == 0 || seen > to && half.waiting.kind != field::OTHER {
            end = End::Cut;
            break;
        }
        if half.waiting.kind != field::OTHER {
            end = End::Value;
            break;
        }
        at = direction.window.forget(seen as usize) as u32;
        i += 1;
    }
    let at = direction.window.forget(at as usize) as u32;
    let read = at.wrapping_sub(from);
    match end {
        End::Read => pass(direction, half, read),
        End::Value => {
            // Where the value ends is known, so the field counts as read.
            pass(direction, half, seen_end.wrapping_sub(from));
            step::VALUE
        }
        End::Cut => {
            half.waiting.kind = field::OTHER;
            cut(direction, half, at, to, seen_end)
        }
    }
}

/// Reads the field at `at`; answers the position behind it, 0 if not even that is at hand. One
/// with a value to be read is put into [`Half::waiting`].
#[inline(always)]
fn one(window: &mut Window, half: &mut Half, at: u32, to: u32) -> u32 {
    let word = window.u64_at(at as usize);
    let first = word as u32 & 255;
    half.waiting.kind = field::OTHER;
    if first & 0x80 != 0 {
        let index = number(word, 0x7f);
        let end = at.wrapping_add(index.len);
        if end > to {
            return 0;
        }
        half.block.refers |= is_added(index.value);
        let entry = half.table.field(index.value);
        note(half, &entry);
        return end;
    }
    if first & 0xe0 == 0x20 {
        // A new size of the table: whoever sends it knows what it evicts.
        let end = at.wrapping_add(number(word, 0x1f).len);
        return if end > to { 0 } else { end };
    }
    let insert = (first >> 6 & 1) as u8;
    let index = number(word, if insert != 0 { 0x3f } else { 0x0f });
    half.block.refers |= is_added(index.value);
    let mut next = at.wrapping_add(index.len);
    let kind = if index.value == 0 {
        let word = window.u64_at(next as usize);
        let name = number(word, 0x7f);
        let name_at = next.wrapping_add(name.len);
        next = name_at.wrapping_add(name.value);
        if next > to {
            return 0;
        }
        named(window, name_at, name.value)
    } else {
        half.table.field(index.value).kind
    };
    let kind = window.forget(kind as usize) as u8;
    let next = window.forget(next as usize) as u32;
    if next >= to {
        return 0;
    }
    let word = window.u64_at(next as usize);
    let value = number(word, 0x7f);
    let value_at = next.wrapping_add(value.len);
    let end = value_at.wrapping_add(value.value);
    if value_at > to || value.value >= TOO_LONG {
        return 0;
    }
    if kind != field::OTHER && kind != field::UNSEEN {
        half.waiting.at = value_at;
        half.waiting.len = value.value;
        half.waiting.kind = kind;
        half.waiting.huffman = (word >> 7 & 1) as u8;
        half.waiting.insert = insert;
        return end;
    }
    let entry = Field {
        kind,
        value: (kind == field::UNSEEN) as u64,
        exact: 0,
    };
    add(half, &entry, insert);
    end
}

/// What fields with the name at a window position tell.
#[inline(always)]
fn named(window: &Window, at: u32, len: u32) -> u8 {
    let at = at as usize;
    let (first, second) = (window.u64_at(at), window.u64_at(at.wrapping_add(8)));
    if len == 0 || len > 15 {
        return field::OTHER;
    }
    let (first, second) = if len < 8 {
        (first & !(u64::MAX << ((len * 8) & 63)), 0)
    } else {
        (first, second & !(u64::MAX << (((len - 8) * 8) & 63)))
    };
    kind_of_name(first, second)
}

/// Notes what a field of the block under way tells. Without a branch.
#[inline(always)]
pub(super) fn note(half: &mut Half, entry: &Field) {
    let kind = entry.kind as usize & 7;
    let is_other = is_some((entry.kind ^ field::PATH) as u64).wrapping_neg();
    let exact = half.said[0][EXACT] & is_other | entry.exact & !is_other;
    half.said[0][kind] = entry.value;
    half.said[0][EXACT] = exact;
}

/// Notes a field that came as text, which may become an entry of the table.
#[inline(always)]
pub(super) fn add(half: &mut Half, entry: &Field, insert: u8) {
    note(half, entry);
    if insert != 0 {
        half.table.insert(entry);
    }
}

/// Passes over bytes of the fragment; those beyond its end are for the next one.
#[inline(always)]
fn pass(direction: &mut Direction, half: &mut Half, bytes: u32) -> Step {
    let left = half.fragment_left;
    let by = if bytes < left { bytes } else { left };
    let ends_block = half.flags & flag::END_HEADERS != 0;
    half.skip = half.skip.wrapping_add(bytes - by);
    if half.skip != 0 && by == left && ends_block {
        // The block ends in mid-field, which nobody sends.
        spoil(half);
    }
    half.fragment_left = left - by;
    direction.scan_from = direction.scan_from.wrapping_add(by);
    direction.next = direction.next.wrapping_add(by as u64);
    if left != by {
        return if direction.scan_from < direction.scan_to {
            step::FIELDS
        } else {
            step::MORE
        };
    }
    direction.next = direction.next.wrapping_add(half.padding as u64);
    half.place = place::FRAME;
    if ends_block {
        half.place = place::BLOCK_END;
        half.skip = 0;
    }
    step::MORE
}

/// The block cannot be read on: what it would have added to the table is unknown.
#[inline(always)]
pub(super) fn spoil(half: &mut Half) {
    half.spoilt = 1;
    half.skip = 0;
    half.table.forget();
    repeat::forget(half);
    half.said[0][field::UNSEEN as usize] = 1;
}

/// The field at `at` is not whole: reads it again with more bytes, carries it over to the next
/// segment, or goes past it unread.
#[inline(always)]
fn cut(direction: &mut Direction, half: &mut Half, at: u32, to: u32, end: u32) -> Step {
    let known = to.wrapping_sub(at);
    let read = at.wrapping_sub(direction.scan_from);
    let from = direction.next.wrapping_add(read as u64);
    let in_segment = direction.segment.end.wrapping_sub(from);
    if half.fragment_left.wrapping_sub(read) <= known {
        // The fragment ends in mid-field: two blocks of a window would have to be joined.
        spoil(half);
        return pass(direction, half, half.fragment_left);
    }
    half.fragment_left = half.fragment_left.wrapping_sub(read);
    direction.next = from;
    if in_segment > known as u64 {
        if at != half.window_from {
            return step::MORE;
        }
    } else if known <= CARRY_BYTES as u32 {
        direction.window.carry_from(to as usize);
        direction.carry_len = known as u8;
        direction.next = direction.segment.end;
        return step::DONE;
    }
    // It is longer than what can be at hand.
    direction.scan_from = at;
    if end == 0 {
        spoil(half);
        return pass(direction, half, half.fragment_left);
    }
    let entry = Field {
        kind: half.waiting.kind,
        value: UNREAD,
        exact: UNREAD,
    };
    let insert = half.waiting.insert;
    add(half, &entry, insert);
    pass(direction, half, end.wrapping_sub(at))
}
