//! Elements of BSON documents (bsonspec.org), as far as they have to be passed over.

use super::bson;
use crate::framing::window::{Window, lowest_mark, matches_byte};

/// Words of an element's name; longer ones end the look.
const NAME_WORDS: usize = 8;

/// An element of a document.
pub struct Element {
    /// First eight bytes of its name and what follows.
    pub name: u64,
    /// Bytes of it all; 0 = there is none, or it cannot be read.
    pub len: usize,
    /// More bytes are needed.
    pub cut: bool,
    /// Its value is a number that is 0, or false.
    pub is_zero: bool,
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
pub fn element(window: &mut Window, at: usize, to: usize, end: usize) -> Element {
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
    let len = window.forget(value_len(kind, word as u32) as usize) as u64;
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
    let significant = window.forget(significant as usize);
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
