//! The machine over a GraphQL document: types and names of its operations.

use super::{Body, MAX_NAME_BYTES, Name, flag, kind, mode};
use crate::{FNV_OFFSET, fnv1a_step, stable_hash};

/// What a word outside of braces would be. Values of [`Body::want`].
mod want {
    /// The first word of a definition.
    pub const KEYWORD: u8 = 0;
    /// The name of an operation.
    pub const NAME: u8 = 1;
    /// Nothing that matters.
    pub const NOTHING: u8 = 2;
}

const QUERY: u64 = stable_hash(b"query");
const MUTATION: u64 = stable_hash(b"mutation");
const SUBSCRIPTION: u64 = stable_hash(b"subscription");

/// Before the first byte of a text.
#[inline(always)]
pub(super) fn begin(body: &mut Body) {
    body.flags |= flag::TEXT;
    body.want = want::KEYWORD;
    body.braces = 0;
}

/// Takes one byte of a text, or of a name that stands alone.
#[inline(always)]
pub(super) fn take(body: &mut Body, name: &mut Name, byte: u8) {
    if body.has(flag::COMMENT) {
        if byte == b'\n' {
            body.flags &= !flag::COMMENT;
        }
        return;
    }
    if is_of_name(byte) {
        push(body, name, byte);
    } else if body.mode == mode::NAME {
        body.flags |= flag::BAD;
    } else {
        end_word(body);
        punctuation(body, byte);
    }
}

#[inline(always)]
fn is_of_name(byte: u8) -> bool {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    letter || byte.wrapping_sub(b'0') < 10 || byte == b'_'
}

/// A byte of a word; of one that may name the operation it is kept.
#[inline(always)]
fn push(body: &mut Body, name: &mut Name, byte: u8) {
    body.line = fnv1a_step(body.line, byte);
    let len = body.line_len;
    if is_kept(body) && (len as usize) < MAX_NAME_BYTES {
        put(name, len as usize, byte);
    }
    if len as usize <= MAX_NAME_BYTES {
        body.line_len = len + 1;
    }
}

/// True of what is asked for, and of the first operation's name before that is known.
#[inline(always)]
fn is_kept(body: &Body) -> bool {
    let is_known = body.kind != 0 || body.has(flag::NAMED);
    body.mode == mode::NAME || !is_known && body.braces == 0 && type_of(body) != 0
}

/// Type of the operation whose name is to follow; 0 if none is.
#[inline(always)]
fn type_of(body: &Body) -> u8 {
    if body.want & 3 == want::NAME {
        body.want >> 4
    } else {
        0
    }
}

/// Puts a byte into a name.
#[inline(always)]
pub(super) fn put(name: &mut Name, at: usize, byte: u8) {
    let shift = ((at & 7) * 8) as u32;
    let word = &mut name[if at >= MAX_NAME_BYTES { 8 } else { at >> 3 & 7 }];
    *word = *word & ((1 << shift) - 1) | (byte as u64) << shift;
}

/// A byte that is in no word.
#[inline(always)]
fn punctuation(body: &mut Body, byte: u8) {
    match byte {
        b'#' => body.flags |= flag::COMMENT,
        b'{' => open(body),
        b'}' => {
            body.braces = body.braces.saturating_sub(1);
            if body.braces == 0 {
                body.want = want::KEYWORD;
            }
        }
        b'(' | b'@' => nameless(body),
        _ => {}
    }
}

#[inline(always)]
fn open(body: &mut Body) {
    if body.braces == 0 {
        if body.want == want::KEYWORD {
            body.want = want::NAME | kind::QUERY << 4;
        }
        nameless(body);
    }
    body.braces = body.braces.saturating_add(1);
}

/// No name follows, also where one could.
#[inline(always)]
fn nameless(body: &mut Body) {
    let found = type_of(body);
    if body.braces == 0 && found != 0 {
        note(body, found, FNV_OFFSET, 0);
    }
}

/// A word of the text may end here.
#[inline(always)]
pub(super) fn end_word(body: &mut Body) {
    let (hash, len) = (body.line, body.line_len);
    body.begin_word();
    if len == 0 || body.braces != 0 {
        return;
    }
    let found = type_of(body);
    if found != 0 {
        note(body, found, hash, len);
    } else if body.want == want::KEYWORD {
        body.want = match hash {
            QUERY => want::NAME | kind::QUERY << 4,
            MUTATION => want::NAME | kind::MUTATION << 4,
            SUBSCRIPTION => want::NAME | kind::SUBSCRIPTION << 4,
            _ => want::NOTHING,
        };
    }
}

/// An operation of the text is known: the first one counts, unless one was asked for by its name.
#[inline(always)]
fn note(body: &mut Body, found: u8, hash: u64, len: u16) {
    body.want = want::NOTHING;
    if body.kind != 0 || body.has(flag::NAMED) && hash != body.operation {
        return;
    }
    body.kind = found;
    body.first = hash;
    if !body.has(flag::NAMED) {
        body.name_len = len as u8;
    }
    if len as usize > MAX_NAME_BYTES {
        body.flags |= flag::BAD;
    }
}

/// The value of `operationName` is complete.
#[inline(always)]
pub(super) fn end_name(body: &mut Body) {
    let (hash, len) = (body.line, body.line_len);
    body.begin_word();
    if len == 0 {
        return;
    }
    body.flags |= flag::NAMED;
    body.operation = hash;
    body.name_len = len as u8;
    if len as usize > MAX_NAME_BYTES {
        body.flags |= flag::BAD;
    }
    if body.kind != 0 && body.first != hash {
        // The text has several operations, and this one's type was not kept.
        body.kind = kind::OPERATION;
    }
}
