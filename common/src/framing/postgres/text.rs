//! PostgreSQL's SQL without its literals (PostgreSQL manual, "Lexical Structure"): what a text
//! does, byte by byte, and a key of it.
//!
//! Literals and parameters become `?`, a list of them one `?`; comments go, white space is folded,
//! letters are lower case, names lose their quotes. The key is a hash of exactly that, so whatever
//! is told of the text in this form belongs to the key alone.
//!
//! Two tables say what to do with a byte. Without a branch, because the verifier explores every
//! path through a loop: as branches this one would cost it a hundred times as much.

use crate::{FNV_OFFSET, fnv1a_step, framing::window::masked};

/// What a byte is, in the low half of its entry in [`CLASSES`].
mod class {
    pub const WORD: u16 = 0;
    pub const DIGIT: u16 = 1;
    pub const SPACE: u16 = 2;
    pub const NEWLINE: u16 = 3;
    pub const APOSTROPHE: u16 = 4;
    pub const QUOTE: u16 = 5;
    pub const BACKSLASH: u16 = 6;
    pub const COMMA: u16 = 7;
    pub const SLASH: u16 = 8;
    pub const STAR: u16 = 9;
    pub const DOLLAR: u16 = 10;
    pub const DOT: u16 = 11;
    pub const DASH: u16 = 12;
    /// E, which as a word of its own gives a literal backslashes.
    pub const LETTER_E: u16 = 13;
    pub const OTHER: u16 = 14;
    pub const COUNT: u16 = 15;
}

/// Where in the text a byte stands.
mod place {
    /// Behind white space, or nothing.
    pub const SPACE: u8 = 0;
    /// In a keyword or name.
    pub const WORD: u8 = 1;
    /// In a number, or in that of a parameter.
    pub const NUMBER: u8 = 2;
    /// Behind a sign that is no part of a word.
    pub const SIGN: u8 = 3;
    /// Behind a literal.
    pub const LITERAL: u8 = 4;
    /// Behind a literal and white space.
    pub const LITERAL_SPACE: u8 = 5;
    /// Behind a literal and a comma: what follows may be one of the same list.
    pub const LITERAL_COMMA: u8 = 6;
    /// In apostrophes, where a backslash is only that.
    pub const STRING: u8 = 7;
    /// In apostrophes behind an E.
    pub const ESCAPE_STRING: u8 = 8;
    /// Behind a backslash there.
    pub const ESCAPED: u8 = 9;
    /// Behind such a literal: another right behind it goes on with it.
    pub const ESCAPE_LITERAL: u8 = 10;
    /// Behind a slash, which may begin a comment.
    pub const SLASH: u8 = 11;
    pub const COMMENT: u8 = 12;
    /// Behind a star in a comment, which may end it.
    pub const COMMENT_STAR: u8 = 13;
    /// Behind a slash in a comment, which may begin another.
    pub const COMMENT_SLASH: u8 = 14;
    /// Behind a dash, which may begin a comment.
    pub const DASH: u8 = 15;
    /// In a comment that ends with its line.
    pub const LINE_COMMENT: u8 = 16;
    /// Behind a comment.
    pub const BEHIND_COMMENT: u8 = 17;
    /// Behind the dollar of a parameter or of a dollar-quoted literal.
    pub const DOLLAR: u8 = 18;
    /// Nothing counts from here on: a dollar-quoted literal or a nested comment, whose ends would
    /// have to be counted or compared.
    pub const UNREAD: u8 = 19;
    /// In a word that is an E so far.
    pub const LONE_E: u8 = 20;
    /// In a quoted name.
    pub const NAME: u8 = 21;
    pub const COUNT: u8 = 22;
}

/// By byte: its class, and above it the byte itself in lower case.
static CLASSES: [u16; 256] = classes();

/// By place (times 16) and class: see [`entry`].
static ENTRIES: [u32; 512] = entries();

const fn classes() -> [u16; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let letter = byte as u8;
        let class = match letter {
            b'0'..=b'9' => class::DIGIT,
            b'e' | b'E' => class::LETTER_E,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => class::WORD,
            b' ' | b'\t' | 0x0b | 0x0c => class::SPACE,
            b'\n' | b'\r' => class::NEWLINE,
            b'\'' => class::APOSTROPHE,
            b'"' => class::QUOTE,
            b'\\' => class::BACKSLASH,
            b',' => class::COMMA,
            b'/' => class::SLASH,
            b'*' => class::STAR,
            b'$' => class::DOLLAR,
            b'.' => class::DOT,
            b'-' => class::DASH,
            _ => class::OTHER,
        };
        classes[byte] = class | (letter.to_ascii_lowercase() as u16) << 8;
        byte += 1;
    }
    classes
}

/// Next place, which bits of the byte are hashed, what they are mixed with, and whether anything
/// is hashed: a byte each, from the lowest on.
const fn entry(next: u8, own: u8, mixed: u8, is_hashed: bool) -> u32 {
    u32::from_le_bytes([next, own, mixed, is_hashed as u8])
}

const fn silent(next: u8) -> u32 {
    entry(next, 0, 0, false)
}

/// Tells a byte that stands for what was read, behind what is held.
const fn told(next: u8, held: u8, byte: u8) -> u32 {
    entry(next, 0, byte ^ held, true)
}

const fn entries() -> [u32; 512] {
    let mut entries = [0; 512];
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
        place::UNREAD => silent(at),
        place::STRING if class == class::APOSTROPHE => silent(place::LITERAL),
        place::STRING => silent(at),
        place::ESCAPE_STRING => match class {
            class::APOSTROPHE => silent(place::ESCAPE_LITERAL),
            class::BACKSLASH => silent(place::ESCAPED),
            _ => silent(at),
        },
        place::ESCAPED => silent(place::ESCAPE_STRING),
        place::ESCAPE_LITERAL if class == class::APOSTROPHE => silent(place::ESCAPE_STRING),
        place::LONE_E if class == class::APOSTROPHE => told(place::ESCAPE_STRING, 0, b'?'),
        place::COMMENT | place::COMMENT_STAR | place::COMMENT_SLASH => comment(at, class),
        place::LINE_COMMENT if class == class::NEWLINE => silent(place::BEHIND_COMMENT),
        place::LINE_COMMENT => silent(at),
        place::SLASH if class == class::STAR => silent(place::COMMENT),
        place::DASH if class == class::DASH => silent(place::LINE_COMMENT),
        place::DOLLAR if class == class::DIGIT => silent(place::NUMBER),
        place::DOLLAR => told(place::UNREAD, 0, b'$'),
        place::NAME => name(class),
        _ => outside(at, class),
    }
}

const fn comment(at: u8, class: u16) -> u32 {
    match class {
        class::SLASH if at == place::COMMENT_STAR => silent(place::BEHIND_COMMENT),
        class::STAR if at == place::COMMENT_SLASH => silent(place::UNREAD),
        class::STAR => silent(place::COMMENT_STAR),
        class::SLASH => silent(place::COMMENT_SLASH),
        _ => silent(place::COMMENT),
    }
}

/// In a quoted name, which is one word whatever stands in it.
const fn name(class: u16) -> u32 {
    match class {
        class::QUOTE => silent(place::WORD),
        class::WORD | class::LETTER_E | class::DIGIT => entry(place::NAME, 0xff, 0, true),
        _ => told(place::NAME, 0, b'_'),
    }
}

/// Outside of literals, names and comments.
const fn outside(at: u8, class: u16) -> u32 {
    let is_behind = matches!(
        at,
        place::NUMBER
            | place::LITERAL
            | place::ESCAPE_LITERAL
            | place::LITERAL_SPACE
            | place::LITERAL_COMMA
    );
    let in_word = matches!(at, place::WORD | place::LONE_E);
    // A literal behind a comma is one of a list; one right behind another goes on with it.
    let goes_on = matches!(
        at,
        place::LITERAL | place::ESCAPE_LITERAL | place::LITERAL_COMMA
    );
    match class {
        class::DIGIT | class::DOT | class::WORD | class::LETTER_E if at == place::NUMBER => {
            silent(place::NUMBER)
        }
        class::DIGIT | class::DOLLAR if in_word => word(at, place::WORD),
        class::DIGIT => begin(goes_on, held(at), place::NUMBER),
        class::APOSTROPHE => begin(goes_on, held(at), place::STRING),
        class::DOLLAR => begin(goes_on, held(at), place::DOLLAR),
        class::SPACE | class::NEWLINE => space(at, is_behind),
        class::COMMA if is_behind => silent(place::LITERAL_COMMA),
        class::QUOTE if held(at) != 0 => told(place::NAME, held(at), 0),
        class::QUOTE => silent(place::NAME),
        class::LETTER_E if !in_word => word(at, place::LONE_E),
        class::LETTER_E | class::WORD => word(at, place::WORD),
        // What is held is told; whether it begins a comment is seen at the next byte.
        class::SLASH if held(at) != 0 => told(place::SLASH, held(at), 0),
        class::SLASH => silent(place::SLASH),
        class::DASH if held(at) != 0 => told(place::DASH, held(at), 0),
        class::DASH => silent(place::DASH),
        _ => word(at, place::SIGN),
    }
}

const fn space(at: u8, is_behind: bool) -> u32 {
    match at {
        place::LITERAL_COMMA | place::SPACE | place::BEHIND_COMMENT => silent(at),
        _ if is_behind => silent(place::LITERAL_SPACE),
        _ => told(place::SPACE, held(at), b' '),
    }
}

/// A literal begins; one that goes on with a list, or with a literal, is not told again.
const fn begin(goes_on: bool, held: u8, next: u8) -> u32 {
    if goes_on {
        silent(next)
    } else {
        told(next, held, b'?')
    }
}

/// The byte itself counts.
const fn word(at: u8, next: u8) -> u32 {
    entry(next, 0xff, held(at), true)
}

/// What stood before and counts now, as it is neither within a list of literals nor a comment;
/// with a bit that tells it from what it is mixed with.
const fn held(at: u8) -> u8 {
    match at {
        place::LITERAL_COMMA => 0x80 | b',',
        place::LITERAL_SPACE | place::BEHIND_COMMENT => 0x80 | b' ',
        place::SLASH => 0x80 | b'/',
        place::DASH => 0x80 | b'-',
        _ => 0,
    }
}

/// Walks a text byte by byte and hashes what counts; may be kept between two parts of it.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// Hash of what counts so far.
    pub hash: u64,
    /// Where the next byte stands.
    pub place: u32,
}

impl Walk {
    /// Before the first byte.
    #[inline(always)]
    pub const fn new() -> Self {
        Self {
            hash: FNV_OFFSET,
            place: place::SPACE as u32,
        }
    }

    /// Takes a byte; answers what was hashed of it (bits 0–7), with what (bits 8–15), and whether
    /// anything was (bits 16–23).
    #[inline(always)]
    #[expect(
        unsafe_code,
        reason = "a check that the compiler cannot leave out would stay in"
    )]
    pub fn push(&mut self, byte: u8) -> u32 {
        let class = CLASSES[byte as usize] as u32;
        let index = masked::<0x1ff>((self.place << 4 | (class & 15)) as usize);
        // SAFETY: the table has as many entries as the mask lets through.
        let entry = unsafe { *ENTRIES.get_unchecked(index) };
        self.place = entry & 0xff;
        let own = class >> 8 & entry >> 8 & 0xff;
        let mixed = entry >> 16 & 0xff;
        let hash = fnv1a_step(self.hash, (own ^ mixed) as u8);
        let mask = 0u64.wrapping_sub((entry >> 24) as u64);
        self.hash ^= (self.hash ^ hash) & mask;
        own | mixed << 8 | entry >> 24 << 16
    }

    /// The key; `is_cut` says that the text went on.
    #[inline(always)]
    pub fn key(self, is_cut: bool) -> u64 {
        let hash = if is_cut {
            fnv1a_step(self.hash, 0xff)
        } else {
            self.hash
        };
        // 0 is kept for `_OTHER`.
        hash | (hash == 0) as u64
    }
}

impl Default for Walk {
    fn default() -> Self {
        Self::new()
    }
}

/// Key of a text's first bytes; `is_cut` says that the text went on.
pub fn op_hash_of(text: &[u8], is_cut: bool) -> u64 {
    let mut walk = Walk::new();
    for byte in text {
        walk.push(*byte);
    }
    walk.key(is_cut)
}

/// Gives what counts of a text to `put`, byte by byte: a function of what its key is a hash of.
pub fn normalise(text: &[u8], put: &mut impl FnMut(u8)) {
    let mut walk = Walk::new();
    for byte in text {
        let held = held(walk.place as u8);
        let pushed = walk.push(*byte);
        if pushed >> 16 == 0 {
            continue;
        }
        let byte = (pushed ^ pushed >> 8) as u8 ^ held;
        if held != 0 {
            put(held & 0x7f);
        }
        if byte != 0 {
            put(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::{string::String, vec::Vec};

    use super::*;

    fn normal(text: &str) -> String {
        let mut out = Vec::new();
        normalise(text.as_bytes(), &mut |byte| out.push(byte));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn texts_without_their_literals() {
        for (text, expected) in [
            ("SELECT 1", "select ?"),
            ("SELECT  a,\n\tb FROM t", "select a, b from t"),
            ("a FROM t WHERE b = 'it''s'", "a from t where b = ?"),
            ("WHERE b = 'c:\\' AND d", "where b = ? and d"),
            ("= E'it\\'s FROM x' AND d", "= e? and d"),
            ("= e'a''b\\'c' AND d", "= e? and d"),
            ("SELECT type'x'", "select type?"),
            ("IN (1, 2,3 , 'a', $4)", "in (?)"),
            ("IN ($1, $2, $3)", "in (?)"),
            ("VALUES ($1, now(), $2)", "values (?,now(), ?)"),
            ("a = $1 AND b = 2", "a = ? and b = ?"),
            ("$1::int, b", "?::int, b"),
            ("1.5e9, x", "?,x"),
            ("\"Orders\".\"user id\"", "orders.user_id"),
            ("\"it's\" = \"a\"\"b\"", "it_s = ab"),
            ("/* a */ SELECT /* b **/ c", " select  c"),
            ("-- name: Get :one\nSELECT c--d\nFROM t", " select c from t"),
            ("a-b - c / d/e 1 - 2 1 / 2", "a-b - c / d/e ? - ? ? / ?"),
            ("a -1", "a -?"),
            ("1 -- secret\n + 2 /* secret */", "?  + ? "),
            ("DO $$ BEGIN secret $$", "do ?$"),
            ("SELECT $tag$ secret $tag$ FROM t", "select ?$"),
            ("foo$bar $1", "foo$bar ?"),
            ("a /* x /* secret */ secret */ b", "a "),
            ("SELECT 'secret", "select ?"),
            ("größe", "größe"),
            ("", ""),
        ] {
            assert_eq!(normal(text), expected, "{text}");
        }
    }

    #[test]
    fn keys_are_the_same_where_the_form_is() {
        let texts = [
            "SELECT a FROM t WHERE b IN (1, 2)",
            "select a from t where b in ($1,$2,$3)",
            "SELECT a FROM \"t\" WHERE b IN ('x')",
            "SELECT a FROM u WHERE b IN ('x')",
            "SELECT 1",
            "SELECT a",
            "SELECT a, b",
            "SELECT 1, b",
            "SELECT 1 b",
            "SELECT (1)",
            "SELECT a/b",
            "SELECT a-b",
            "SELECT a - b",
            "SELECT $$a$$ FROM t",
            "SELECT $1 FROM t",
            "DELETE FROM t",
            "",
        ];
        for a in texts {
            let key = |text: &str| op_hash_of(text.as_bytes(), false);
            for b in texts {
                assert_eq!(key(a) == key(b), normal(a) == normal(b), "{a:?} {b:?}");
            }
            assert_ne!(op_hash_of(a.as_bytes(), true), key(a));
        }
    }

    #[test]
    fn a_walk_may_be_interrupted() {
        let text = b"/* c */ SELECT 'a''b' FROM \"t\" WHERE x IN ($1, $2) -- d\n AND e";
        for cut in 0..text.len() {
            let mut walk = Walk::new();
            for byte in &text[..cut] {
                walk.push(*byte);
            }
            let mut walk = Walk {
                hash: walk.hash,
                place: walk.place,
            };
            for byte in &text[cut..] {
                walk.push(*byte);
            }
            assert_eq!(walk.key(false), op_hash_of(text, false));
        }
    }
}
