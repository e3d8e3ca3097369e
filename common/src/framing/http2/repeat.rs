//! Blocks that say again what one before them said.
//!
//! Calls of one client differ little: most blocks are a few indices, the same ones every time. Servers
//! say the same day, type and length, some of them as entries for the table that they never refer to.
//!
//! What a block means depends on the table only if it refers to it. So it is enough to compare the
//! bytes of a block that brings no path as text, and
//! - either refers to the table as it was and adds nothing to it,
//! - or refers to nothing: then what it adds, it adds again.

use bytemuck::{Pod, Zeroable};

use super::{
    Half, Said, flag,
    messages::is_some,
    table::{ENTRIES, field},
};
use crate::framing::window::Window;

/// Longest block that is remembered, bytes: one with a date, a type, a length and the like.
const MAX_BYTES: usize = 127;

/// Entries that a block adds at most, if it refers to none.
const ADDS: usize = 8;

/// Whole words of the longest block.
const WORDS: usize = MAX_BYTES / 8;

/// Words of a block that is compared at once, without a part of a step for it.
const SHORT_WORDS: usize = 4;

/// A block that may come again; what it tells is in [`Half::said`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Repeat {
    /// Entries of the table when it came.
    inserted: u64,
    /// Its length, bytes; 0 = none is remembered.
    len: u16,
    /// Entries that it added.
    adds: u16,
    /// [`super::Block::refers`].
    refers: u16,
    /// 0 = what it means is known.
    unfit: u16,
    /// Its whole words, those behind them being another block's; of a short one all bytes, and behind
    /// them 0.
    words: [u64; WORDS],
    /// The last eight bytes of a long one.
    tail: u64,
}

/// The bits of its words that belong to a short block, by its length: as a table, because each
/// comparison would be a branch, and all of them together too many paths for the verifier.
static MASKS: [[u64; SHORT_WORDS]; 64] = masks();

const fn masks() -> [[u64; SHORT_WORDS]; 64] {
    let mut table = [[0; SHORT_WORDS]; 64];
    let mut at = 0;
    while at < 64 * SHORT_WORDS * 8 {
        let (len, byte) = (at / (SHORT_WORDS * 8), at % (SHORT_WORDS * 8));
        if byte < len {
            table[len][byte / 8] |= 0xff << (byte % 8 * 8);
        }
        at += 1;
    }
    table
}

/// Headers and trailers take turns: each is compared with its own kind.
#[inline(always)]
fn slot_of(half: &Half) -> usize {
    const { assert!(flag::END_STREAM == 1) };
    (half.flags & flag::END_STREAM) as usize
}

impl Half {
    /// What the block that is complete tells.
    #[inline(always)]
    #[expect(
        unsafe_code,
        reason = "the verifier would follow each number that was compared before"
    )]
    pub(super) fn told(&self) -> &Said {
        // SAFETY: a live, aligned field of ours.
        let told = unsafe { core::ptr::read_volatile(&raw const self.block.told) };
        &self.said[told as usize & 3]
    }
}

/// True for blocks that [`repeats_short`] compares.
#[inline(always)]
pub(super) fn is_short(len: u32) -> bool {
    len.wrapping_sub(1) < SHORT_WORDS as u32 * 8
}

/// True for blocks that [`repeats_long`] compares.
#[inline(always)]
pub(super) fn is_long(len: u32) -> bool {
    const FIRST: u32 = SHORT_WORDS as u32 * 8 + 1;
    len.wrapping_sub(FIRST) <= MAX_BYTES as u32 - FIRST
}

/// True if the whole short block at a window position was read before. If not, it is remembered until
/// [`was_read`].
#[inline(always)]
pub(super) fn repeats_short(window: &mut Window, half: &mut Half, at: usize, len: u32) -> bool {
    let slot = slot_of(half);
    let inserted = half.table.inserted;
    let repeat = &mut half.repeats[slot];
    let mask = &MASKS[len as usize & 63];
    let mut differs = (repeat.len as u32 ^ len) as u64 | is_void(repeat, inserted);
    // Adding again is for those that are compared apart.
    differs |= (repeat.unfit | repeat.adds) as u64;
    let mut i = 0;
    while i < SHORT_WORDS {
        let word = window.u64_at(at.wrapping_add(i * 8)) & mask[i];
        differs |= repeat.words[i] ^ word;
        repeat.words[i] = word;
        i += 1;
    }
    if window.forget(differs as usize) != 0 {
        remember(repeat, inserted, len);
        return false;
    }
    repeat.inserted = inserted;
    half.block.told = 1 + slot as u64;
    true
}

/// The same of a long one.
#[inline(always)]
pub(super) fn repeats_long(window: &mut Window, half: &mut Half, at: usize, len: u32) -> bool {
    let slot = slot_of(half);
    let inserted = half.table.inserted;
    let repeat = &mut half.repeats[slot];
    const { assert!((MAX_BYTES + 1).is_power_of_two()) };
    let len_bytes = len as usize & MAX_BYTES;
    let tail = window.u64_at(at.wrapping_add(len_bytes).wrapping_sub(8));
    let mut differs = (repeat.len as u32 ^ len) as u64 | repeat.tail ^ tail;
    differs |= is_void(repeat, inserted) | repeat.unfit as u64;
    repeat.tail = tail;
    let mut i = 0;
    while i < WORDS {
        if i * 8 + 8 > len_bytes {
            break;
        }
        let word = window.u64_at(at.wrapping_add(i * 8));
        differs |= repeat.words[i] ^ word;
        repeat.words[i] = word;
        i += 1;
    }
    if window.forget(differs as usize) != 0 {
        remember(repeat, inserted, len);
        return false;
    }
    let (before, adds) = (repeat.inserted, repeat.adds as usize);
    repeat.inserted = inserted;
    half.block.told = 1 + slot as u64;
    let mut i = 0;
    while i < ADDS {
        if i >= adds {
            break;
        }
        half.table.insert_again(before.wrapping_add(i as u64));
        i += 1;
    }
    true
}

/// A block is to be read, and then to be compared with the next one.
#[inline(always)]
fn remember(repeat: &mut Repeat, inserted: u64, len: u32) {
    repeat.inserted = inserted;
    repeat.len = len as u16;
    repeat.unfit = 1;
}

/// Not 0 if what a remembered block means cannot be told any more, the table having so many entries
/// now. Without a branch.
#[inline(always)]
fn is_void(repeat: &Repeat, inserted: u64) -> u64 {
    let added_since = inserted.wrapping_sub(repeat.inserted);
    let adds = repeat.adds as u64;
    // What it adds again must still be there once it is added.
    let are_gone = (ENTRIES as u64).wrapping_sub(added_since + adds) >> 63;
    added_since & 0_u64.wrapping_sub(repeat.refers as u64) | are_gone & is_some(adds)
}

/// The block under way cannot be compared: it is too long, or not all at hand.
#[inline(always)]
pub(super) fn is_single(half: &mut Half) {
    let repeat = &mut half.repeats[slot_of(half)];
    repeat.len = 0;
    repeat.unfit = 1;
}

/// What indices refer to is unknown from here on.
#[inline(always)]
pub(super) fn forget(half: &mut Half) {
    half.repeats[0].unfit = 1;
    half.repeats[1].unfit = 1;
}

/// A block is complete. One that was read is compared with the next one, unless it has a path as text
/// (`path_len`): that must be told.
#[inline(always)]
pub(super) fn was_read(half: &mut Half, path_len: u32) {
    if half.block.told != 0 {
        return;
    }
    let slot = slot_of(half);
    let unseen = half.said[0][field::UNSEEN as usize];
    // Its text belongs to one request, and must be kept anew.
    let traced = half.said[0][field::TRACE as usize];
    let (inserted, refers) = (half.table.inserted, half.block.refers);
    let repeat = &mut half.repeats[slot];
    let adds = inserted.wrapping_sub(repeat.inserted);
    let are_many = (ADDS as u64).wrapping_sub(adds) >> 63;
    let unfit = unseen | traced | path_len as u64 | are_many;
    repeat.unfit = is_some(unfit) as u16;
    repeat.adds = adds as u16;
    repeat.refers = refers as u16;
    let mut i = 0;
    while i < 8 {
        half.said[1 + slot][i] = half.said[0][i];
        i += 1;
    }
}
