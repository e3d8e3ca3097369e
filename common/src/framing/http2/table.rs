//! What header fields tell that matter here, in the static and the dynamic table of HPACK
//! (RFC 7541, section 2.3).
//!
//! Of an entry only its meaning is kept, and no size: whoever compresses refers to living entries
//! only, so that evictions need not be followed. Entries from before the observer came, or behind
//! a hole, are unknown; an index counts from the newest one, so what comes after is known again.

use bytemuck::{Pod, Zeroable};

use crate::{FNV_OFFSET, fnv1a_step, framing::http1::method};

/// Entries of a dynamic table that are remembered: as many as 4,096 bytes can hold.
pub const ENTRIES: usize = 128;

/// First index of the dynamic table.
const FIRST_DYNAMIC: u32 = 62;

/// 1 if an index refers to the dynamic table, 0 if to the static one. Without a branch.
#[inline(always)]
pub(super) fn is_added(index: u32) -> u64 {
    ((FIRST_DYNAMIC as u64 - 1).wrapping_sub(index as u64)) >> 63
}

/// What a field tells. Crosses as `u8`; an index into [`super::Said`].
pub mod field {
    /// Nothing that matters.
    pub const OTHER: u8 = 0;
    /// `:method`, a code of [`crate::framing::http1::method`].
    pub const METHOD: u8 = 1;
    /// `:path`, its operation key.
    pub const PATH: u8 = 2;
    /// `:status`.
    pub const STATUS: u8 = 3;
    /// `content-type`: [`super::GRPC_TYPE`], or another number above 0.
    pub const CONTENT_TYPE: u8 = 4;
    /// `grpc-status`, plus one.
    pub const GRPC_STATUS: u8 = 5;
    /// `traceparent`: where its text is kept, see [`super::trace`].
    pub const TRACE: u8 = 6;
    /// Anything: its entry was not seen.
    pub const UNSEEN: u8 = 7;
}

/// Value of a `content-type` of gRPC.
pub const GRPC_TYPE: u64 = 1;

/// Value of a field that was there, and could not be read.
pub const UNREAD: u64 = u64::MAX;

/// A field's meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// One of [`field`].
    pub kind: u8,
    /// By kind; 0 = only the name is known.
    pub value: u64,
    /// Of a path: the hash of its whole text.
    pub exact: u64,
}

/// The dynamic table of one direction.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Table {
    /// Entries that were inserted.
    pub inserted: u64,
    /// How many of the newest ones are known.
    pub known: u64,
    /// [`Field::value`] by entry number modulo [`ENTRIES`].
    values: [u64; ENTRIES],
    /// [`Field::exact`] by the same.
    exacts: [u64; ENTRIES],
    /// [`Field::kind`] by the same.
    kinds: [u8; ENTRIES],
}

impl Table {
    /// Adds an entry.
    #[inline(always)]
    pub fn insert(&mut self, entry: &Field) {
        let slot = self.inserted as usize & (ENTRIES - 1);
        self.kinds[slot] = entry.kind;
        self.values[slot] = entry.value;
        self.exacts[slot] = entry.exact;
        self.inserted = self.inserted.wrapping_add(1);
        // One more, up to all; without a branch.
        const { assert!(ENTRIES == 1 << 7) };
        self.known += self.known >> 7 ^ 1;
    }

    /// Adds an entry that means the same as the one with this number, counted from 0 and still known.
    #[inline(always)]
    pub(super) fn insert_again(&mut self, number: u64) {
        let slot = number as usize & (ENTRIES - 1);
        let entry = Field {
            kind: self.kinds[slot],
            value: self.values[slot],
            exact: self.exacts[slot],
        };
        self.insert(&entry);
    }

    /// What was inserted so far is unknown from here on.
    #[inline(always)]
    pub fn forget(&mut self) {
        self.known = 0;
    }

    /// The field with an index of either table; index 0 is none.
    #[inline(always)]
    pub fn field(&self, index: u32) -> Field {
        if index < FIRST_DYNAMIC {
            let slot = index as usize & 63;
            return Field {
                kind: STATIC_KINDS[slot],
                value: STATIC_VALUES[slot],
                exact: STATIC_VALUES[slot],
            };
        }
        let back = index.wrapping_sub(FIRST_DYNAMIC) as u64;
        if back >= self.known {
            return Field {
                kind: field::UNSEEN,
                value: 1,
                exact: 0,
            };
        }
        let slot = self.inserted.wrapping_sub(1).wrapping_sub(back) as usize & (ENTRIES - 1);
        Field {
            kind: self.kinds[slot],
            value: self.values[slot],
            exact: self.exacts[slot],
        }
    }
}

/// RFC 7541, appendix A.
static STATIC_KINDS: [u8; 64] = static_kinds();
static STATIC_VALUES: [u64; 64] = static_values();

const fn static_kinds() -> [u8; 64] {
    let mut table = [field::OTHER; 64];
    table[2] = field::METHOD;
    table[3] = field::METHOD;
    table[4] = field::PATH;
    table[5] = field::PATH;
    let mut i = 8;
    while i <= 14 {
        table[i] = field::STATUS;
        i += 1;
    }
    table[31] = field::CONTENT_TYPE;
    table
}

const fn static_values() -> [u64; 64] {
    let mut table = [0; 64];
    table[2] = method::GET as u64;
    table[3] = method::POST as u64;
    table[4] = hash(b"/");
    table[5] = hash(b"/index.html");
    let status = [200, 204, 206, 304, 400, 404, 500];
    let mut i = 0;
    while i < status.len() {
        table[8 + i] = status[i];
        i += 1;
    }
    table
}

const fn hash(text: &[u8]) -> u64 {
    let mut hash = FNV_OFFSET;
    let mut i = 0;
    while i < text.len() {
        hash = fnv1a_step(hash, text[i]);
        i += 1;
    }
    hash
}

/// Names that may stand as text, in their first two words: raw and by Huffman codes.
const NAMES: [(u64, u64, u8, u8); 12] = [
    name(b":method", field::METHOD),
    name(b"\xb9\x49\x53\x39\xe4", field::METHOD),
    name(b":path", field::PATH),
    name(b"\xb9\x58\xd3\x3f", field::PATH),
    name(b":status", field::STATUS),
    name(b"\xb8\x84\x8d\x36\xa3", field::STATUS),
    name(b"content-type", field::CONTENT_TYPE),
    name(b"\x21\xea\x49\x6a\x4a\xc9\xf5\x59\x7f", field::CONTENT_TYPE),
    name(b"grpc-status", field::GRPC_STATUS),
    name(b"\x9a\xca\xc8\xb2\x12\x34\xda\x8f", field::GRPC_STATUS),
    name(b"traceparent", field::TRACE),
    name(b"\x4d\x83\x21\x6b\x1d\x85\xa9\x3f", field::TRACE),
];

const fn name(text: &[u8], kind: u8) -> (u64, u64, u8, u8) {
    let mut words = [0; 2];
    let mut i = 0;
    while i < text.len() {
        words[i / 8] |= (text[i] as u64) << (i % 8 * 8);
        i += 1;
    }
    (words[0], words[1], text.len() as u8, kind)
}

/// Spreads [`NAMES`] over their table without a collision.
const SPREAD: u64 = 0x6f62_e63a_1a53_56b5;

static NAME_FIRST: [u64; 16] = name_words(false);
static NAME_SECOND: [u64; 16] = name_words(true);
static NAME_KINDS: [u8; 16] = name_kinds();

#[inline(always)]
const fn name_slot(first: u64, second: u64) -> usize {
    ((first ^ second.wrapping_mul(3)).wrapping_mul(SPREAD) >> 60) as usize
}

const fn name_words(second: bool) -> [u64; 16] {
    let mut table = [0; 16];
    let mut i = 0;
    while i < NAMES.len() {
        let slot = name_slot(NAMES[i].0, NAMES[i].1);
        assert!(table[slot] == 0);
        table[slot] = if second { NAMES[i].1 } else { NAMES[i].0 };
        i += 1;
    }
    table
}

const fn name_kinds() -> [u8; 16] {
    let mut table = [field::OTHER; 16];
    let mut i = 0;
    while i < NAMES.len() {
        table[name_slot(NAMES[i].0, NAMES[i].1)] = NAMES[i].3;
        i += 1;
    }
    table
}

/// What fields of this name tell; of its text the bytes behind its length are 0 in the words.
#[inline(always)]
pub fn kind_of_name(first: u64, second: u64) -> u8 {
    let slot = name_slot(first, second) & 15;
    // No name has a NUL byte, so words tell its length, too.
    if NAME_FIRST[slot] == first && NAME_SECOND[slot] == second {
        NAME_KINDS[slot]
    } else {
        field::OTHER
    }
}
