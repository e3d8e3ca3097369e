//! Operation keys of SQL text: literals, whitespace and case do not count.

use super::window::Window;
use crate::{FNV_OFFSET, fnv1a_step};

/// Bytes of a text that count.
pub const MAX_SQL_BYTES: usize = 96;

/// Walks a text byte by byte; facts of the place in one word, which the kernel's caller launders.
struct Hasher {
    hash: u64,
    /// Quote that is open in bits 0–7, class of the byte before in bits 8–15.
    place: u64,
}

const OTHER: u64 = 0;
const WORD: u64 = 1;
const NUMBER: u64 = 2;
const SPACE: u64 = 3;

impl Hasher {
    #[inline(always)]
    fn push(&mut self, byte: u8) {
        let quote = self.place & 0xff;
        let before = self.place >> 8;
        if quote != 0 {
            if byte as u64 == quote {
                self.place = OTHER << 8;
            }
            return;
        }
        let class = if byte.is_ascii_digit() {
            if before == WORD { WORD } else { NUMBER }
        } else if byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80 {
            if before == NUMBER { NUMBER } else { WORD }
        } else if byte.is_ascii_whitespace() {
            SPACE
        } else {
            OTHER
        };
        let opens = byte == b'\'' || byte == b'"';
        let sign = if opens || class == NUMBER {
            b'?'
        } else if class == SPACE {
            b' '
        } else {
            byte.to_ascii_lowercase()
        };
        let again = class == before && (class == NUMBER || class == SPACE);
        self.place = class << 8 | if opens { byte as u64 } else { 0 };
        if !again {
            self.hash = fnv1a_step(self.hash, sign);
        }
    }

    #[inline(always)]
    fn finish(self) -> u64 {
        self.hash | (self.hash == 0) as u64
    }
}

/// Operation key of the text between two window positions.
#[inline(always)]
pub fn op_hash(window: &mut Window, from: usize, to: usize) -> u64 {
    let mut hasher = Hasher {
        hash: FNV_OFFSET,
        place: SPACE << 8,
    };
    let mut i = 0;
    while i < MAX_SQL_BYTES {
        if from + i >= to {
            break;
        }
        hasher.push(window.byte(from + i));
        hasher.place = window.forget(hasher.place as usize) as u64;
        i += 1;
    }
    hasher.finish()
}

/// Operation key of a text.
pub fn op_hash_of(text: &[u8]) -> u64 {
    let mut hasher = Hasher {
        hash: FNV_OFFSET,
        place: SPACE << 8,
    };
    for byte in text.iter().take(MAX_SQL_BYTES) {
        hasher.push(*byte);
    }
    hasher.finish()
}
