//! Operation keys of SQL text, as far as it is read: literals, white space, comments and case do
//! not count, and a list of literals counts as one.
//!
//! Two tables say what to do with a byte. Without a branch, because the verifier explores every
//! path through a loop: as branches this one would cost it a hundred times as much.

use super::window::Window;
use crate::{FNV_OFFSET, fnv1a_step};

/// Bytes of a text that count.
pub const MAX_SQL_BYTES: usize = 96;

/// What a byte is, in the low half of its entry in [`CLASSES`].
mod class {
    pub const WORD: u16 = 0;
    pub const DIGIT: u16 = 1;
    pub const SPACE: u16 = 2;
    pub const APOSTROPHE: u16 = 3;
    pub const QUOTE: u16 = 4;
    pub const BACKSLASH: u16 = 5;
    pub const COMMA: u16 = 6;
    pub const SLASH: u16 = 7;
    pub const STAR: u16 = 8;
    pub const PARAMETER: u16 = 9;
    pub const BACKTICK: u16 = 10;
    pub const DOT: u16 = 11;
    pub const OTHER: u16 = 12;
    pub const COUNT: u16 = 13;
}

/// Where in the text a byte stands.
mod place {
    /// Behind white space, a comment, or nothing.
    pub const SPACE: u8 = 0;
    /// In a keyword or name.
    pub const WORD: u8 = 1;
    /// In a number.
    pub const NUMBER: u8 = 2;
    /// Behind a sign that is no part of a word.
    pub const SIGN: u8 = 3;
    /// Behind a literal.
    pub const LITERAL: u8 = 4;
    /// Behind a literal and white space.
    pub const LITERAL_SPACE: u8 = 5;
    /// Behind a literal and a comma: what follows may be one of the same list.
    pub const LITERAL_COMMA: u8 = 6;
    pub const IN_APOSTROPHES: u8 = 7;
    pub const IN_QUOTES: u8 = 8;
    /// Behind a backslash in apostrophes or quotes.
    pub const ESCAPED: u8 = 9;
    pub const ESCAPED_IN_QUOTES: u8 = 10;
    /// Behind a slash, which may begin a comment.
    pub const SLASH: u8 = 11;
    pub const COMMENT: u8 = 12;
    /// Behind a star in a comment, which may end it.
    pub const COMMENT_STAR: u8 = 13;
    pub const COUNT: u8 = 14;
}

/// By byte: its class, and above it the byte itself in lower case.
static CLASSES: [u16; 256] = classes();

/// By place (times 16) and class: see [`entry`].
static ENTRIES: [u32; 256] = entries();

const fn classes() -> [u16; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let letter = byte as u8;
        let class = match letter {
            b'0'..=b'9' => class::DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' | 0x80.. => class::WORD,
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => class::SPACE,
            b'\'' => class::APOSTROPHE,
            b'"' => class::QUOTE,
            b'\\' => class::BACKSLASH,
            b',' => class::COMMA,
            b'/' => class::SLASH,
            b'*' => class::STAR,
            b'?' => class::PARAMETER,
            b'`' => class::BACKTICK,
            b'.' => class::DOT,
            _ => class::OTHER,
        };
        classes[byte] = class | (letter.to_ascii_lowercase() as u16) << 8;
        byte += 1;
    }
    classes
}

/// Next place (times 16), which bits of the byte are hashed, what they are mixed with, and whether
/// anything is hashed: a byte each, from the lowest on.
const fn entry(next: u8, own: u8, mixed: u8, is_hashed: bool) -> u32 {
    u32::from_le_bytes([next << 4, own, mixed, is_hashed as u8])
}

const fn silent(next: u8) -> u32 {
    entry(next, 0, 0, false)
}

const fn entries() -> [u32; 256] {
    let mut entries = [0; 256];
    let mut at = 0;
    while at < place::COUNT {
        let mut class = 0;
        while class < class::COUNT {
            entries[(at as usize) << 4 | class as usize] = step(at, class);
            class += 1;
        }
        at += 1;
    }
    entries
}

const fn step(at: u8, class: u16) -> u32 {
    match at {
        place::IN_APOSTROPHES => within(at, class, class::APOSTROPHE, place::ESCAPED),
        place::IN_QUOTES => within(at, class, class::QUOTE, place::ESCAPED_IN_QUOTES),
        place::ESCAPED => silent(place::IN_APOSTROPHES),
        place::ESCAPED_IN_QUOTES => silent(place::IN_QUOTES),
        place::COMMENT | place::COMMENT_STAR => match class {
            class::STAR => silent(place::COMMENT_STAR),
            class::SLASH if at == place::COMMENT_STAR => silent(place::SPACE),
            _ => silent(place::COMMENT),
        },
        place::SLASH if class == class::STAR => silent(place::COMMENT),
        _ => outside(at, class),
    }
}

/// In a literal: nothing counts but its end.
const fn within(at: u8, class: u16, end: u16, escaped: u8) -> u32 {
    if class == end {
        silent(place::LITERAL)
    } else if class == class::BACKSLASH {
        silent(escaped)
    } else {
        silent(at)
    }
}

/// Outside of literals and comments.
const fn outside(at: u8, class: u16) -> u32 {
    let is_behind = matches!(
        at,
        place::NUMBER | place::LITERAL | place::LITERAL_SPACE | place::LITERAL_COMMA
    );
    // A literal behind a comma is one of a list; one right behind another goes on with it.
    let goes_on = matches!(at, place::LITERAL | place::LITERAL_COMMA);
    match class {
        class::DIGIT | class::DOT | class::WORD if at == place::NUMBER => silent(place::NUMBER),
        class::DIGIT if at == place::WORD => word(at),
        class::DIGIT => begin(goes_on, held(at), place::NUMBER),
        class::APOSTROPHE => begin(goes_on, held(at), place::IN_APOSTROPHES),
        class::QUOTE => begin(goes_on, held(at), place::IN_QUOTES),
        class::PARAMETER => begin(goes_on, held(at), place::LITERAL),
        class::SPACE if at == place::LITERAL_COMMA => silent(at),
        class::SPACE if is_behind => silent(place::LITERAL_SPACE),
        class::SPACE if at == place::SPACE => silent(at),
        class::SPACE => entry(place::SPACE, 0, b' ' ^ held(at), true),
        class::COMMA if is_behind => silent(place::LITERAL_COMMA),
        class::BACKTICK => silent(at),
        class::WORD => word(at),
        class::SLASH => silent(place::SLASH),
        _ => entry(place::SIGN, 0xff, held(at), true),
    }
}

/// A literal begins; one that goes on with a list, or with a literal, is not told again.
const fn begin(goes_on: bool, held: u8, next: u8) -> u32 {
    if goes_on {
        silent(next)
    } else {
        entry(next, 0, b'?' ^ held, true)
    }
}

const fn word(at: u8) -> u32 {
    entry(place::WORD, 0xff, held(at), true)
}

/// What stood before and counts now, as it is neither within a list of literals nor a comment.
const fn held(at: u8) -> u8 {
    match at {
        place::LITERAL_COMMA => 0x80 | b',',
        place::LITERAL_SPACE => 0x80 | b' ',
        place::SLASH => 0x80 | b'/',
        _ => 0,
    }
}

/// Walks a text byte by byte and hashes what counts.
struct Hasher {
    hash: u64,
    /// Place, times 16.
    place: u32,
}

impl Hasher {
    const fn new() -> Self {
        Self {
            hash: FNV_OFFSET,
            place: (place::SPACE as u32) << 4,
        }
    }

    #[inline(always)]
    fn push(&mut self, byte: u8) {
        let class = CLASSES[byte as usize] as u32;
        // A sum, which could be too large: of a bitwise or the compiler knows that it is not, and
        // leaves out the mask, which verifiers before 6.12 need to see.
        let entry = ENTRIES[(self.place.wrapping_add(class & 15) & 0xff) as usize];
        self.place = entry & 0xff;
        let sign = (class >> 8 & entry >> 8 ^ entry >> 16) & 0xff;
        let hash = fnv1a_step(self.hash, sign as u8);
        let mask = 0u64.wrapping_sub((entry >> 24) as u64);
        self.hash ^= (self.hash ^ hash) & mask;
    }

    #[inline(always)]
    fn finish(self) -> u64 {
        // 0 is kept for `_OTHER`.
        self.hash | (self.hash == 0) as u64
    }
}

/// Operation key of the text between two window positions.
#[inline(always)]
pub fn op_hash(window: &mut Window, from: usize, to: usize) -> u64 {
    let mut hasher = Hasher::new();
    let mut i = 0;
    while i < MAX_SQL_BYTES {
        if from + i >= to {
            break;
        }
        hasher.push(window.byte(from + i));
        i += 1;
    }
    hasher.finish()
}

/// Operation key of a text.
pub fn op_hash_of(text: &[u8]) -> u64 {
    let mut hasher = Hasher::new();
    for byte in text.iter().take(MAX_SQL_BYTES) {
        hasher.push(*byte);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::op_hash_of;

    #[test]
    fn texts_that_differ_only_in_what_does_not_count() {
        for (text, others) in [
            (
                "SELECT name FROM orders WHERE id = 7",
                &[
                    "select name from orders where id = 123",
                    "  SELECT\n\tname  FROM orders\r\nWHERE id = 1.5e9",
                    "SELECT name FROM `orders` WHERE id = 'it''s \\' this'",
                    "/* trace 1 */ SELECT name FROM /* 2 **/ orders WHERE id = \"a\"",
                    "SELECT name FROM orders WHERE id = ?",
                    "SELECT name FROM orders WHERE id = 0xfe",
                ][..],
            ),
            (
                "SELECT a FROM t WHERE b IN (1, 2, 3)",
                &[
                    "SELECT a FROM t WHERE b IN (?)",
                    "SELECT a FROM t WHERE b IN ('x','y' , 'z')",
                    "SELECT a FROM t WHERE b IN (1,2,3,4,5,6,7)",
                ],
            ),
            (
                "INSERT INTO t VALUES (1, now(), 'a')",
                &["INSERT INTO t VALUES (?,now(), ?)"],
            ),
        ] {
            for other in others {
                let keys = [text, other].map(|text| op_hash_of(text.as_bytes()));
                assert_eq!(keys[0], keys[1], "{text:?} and {other:?}");
            }
        }
    }

    #[test]
    fn texts_that_do_something_else() {
        let texts = [
            "",
            "SELECT 1",
            "SELECT a",
            "SELECT a, b",
            "SELECT 1, b",
            "SELECT 1 b",
            "SELECT ab",
            "SELECT a FROM t1",
            "SELECT a FROM t2",
            "SELECT a / b",
            "SELECT a * b",
            "SELECT (1)",
            "DELETE FROM t",
        ];
        for (i, text) in texts.iter().enumerate() {
            for other in &texts[..i] {
                assert_ne!(
                    op_hash_of(text.as_bytes()),
                    op_hash_of(other.as_bytes()),
                    "{text:?}"
                );
            }
        }
    }
}
