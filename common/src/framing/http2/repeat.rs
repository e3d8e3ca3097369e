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
    Half, flag,
    messages::is_some,
    table::{ENTRIES, field},
};
use crate::framing::window::Window;

/// Longest block that is remembered, bytes: one with a date, a type, a length and the like.
const MAX_BYTES: usize = 127;

/// Entries that a block adds at most, if it refers to none.
const ADDS: usize = 8;

/// Whole words of it.
const WORDS: usize = MAX_BYTES / 8;

/// A block that may come again.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Repeat {
    /// Its whole words; those behind them are another block's.
    words: [u64; WORDS],
    /// Its last eight bytes; if it is shorter, those before it are 0.
    tail: u64,
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
    /// [`super::Block::values`] behind it.
    values: [u64; 8],
    /// [`super::Block::exacts`] of its path.
    exact: u64,
}

/// The bits of the tail that belong to a block, by its length: as a table, because a comparison would
/// be a branch.
static TAILS: [u64; MAX_BYTES + 1] = {
    let mut table = [u64::MAX; MAX_BYTES + 1];
    table[0] = 0;
    let mut len = 1;
    while len < 8 {
        table[len] = u64::MAX << (64 - 8 * len);
        len += 1;
    }
    table
};

/// Headers and trailers take turns: each is compared with its own kind.
#[inline(always)]
fn slot_of(half: &Half) -> usize {
    const { assert!(flag::END_STREAM == 1) };
    (half.flags & flag::END_STREAM) as usize
}

/// True if the whole block at a window position was read before: then what it means is in
/// [`Half::block`]. If not, it is remembered until [`was_read`].
#[inline(always)]
pub(super) fn repeats(window: &mut Window, half: &mut Half, at: usize, len: u32) -> bool {
    let repeat = &mut half.repeats[slot_of(half)];
    let inserted = half.table.inserted;
    const { assert!((MAX_BYTES + 1).is_power_of_two()) };
    let len_bytes = len as usize & MAX_BYTES;
    let tail_at = at.wrapping_add(len_bytes).wrapping_sub(8);
    let tail = window.u64_at(tail_at) & TAILS[len_bytes];
    let mut differs = (repeat.len as u32 ^ len) as u64 | repeat.tail ^ tail;
    differs |= is_void(repeat, inserted);
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
    let differs = window.forget((differs | repeat.unfit as u64) as usize);
    let before = repeat.inserted;
    repeat.inserted = inserted;
    if differs != 0 {
        repeat.len = len as u16;
        repeat.unfit = 1;
        return false;
    }
    half.block.refers = repeat.refers as u64;
    let adds = repeat.adds as usize;
    let mut i = 0;
    while i < ADDS {
        if i >= adds {
            break;
        }
        half.table.insert_again(before.wrapping_add(i as u64));
        i += 1;
    }
    window.forget(i);
    let repeat = &half.repeats[slot_of(half)];
    let mut i = 0;
    while i < 8 {
        half.block.values[i] = repeat.values[i];
        i += 1;
    }
    half.block.exacts[field::PATH as usize] = repeat.exact;
    true
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

/// The block under way cannot be compared: it is long, or not all at hand.
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

/// A block was read to its end. With a path as text (`path_len`) it is not remembered: that must be
/// told. One that was only compared stays as it is.
///
/// Without a branch: each would double the paths through all that follows.
#[inline(always)]
pub(super) fn was_read(half: &mut Half, path_len: u32) {
    let repeat = &mut half.repeats[slot_of(half)];
    let unseen = half.block.values[field::UNSEEN as usize];
    let (adds, refers) = (
        half.table.inserted.wrapping_sub(repeat.inserted),
        half.block.refers,
    );
    let are_many = (ADDS as u64).wrapping_sub(adds) >> 63;
    let is_bound = refers & is_some(adds);
    let unfit = unseen | path_len as u64 | are_many | is_bound;
    repeat.unfit = is_some(unfit) as u16;
    repeat.adds = adds as u16;
    repeat.refers = refers as u16;
    let mut i = 0;
    while i < 8 {
        repeat.values[i] = half.block.values[i];
        i += 1;
    }
    repeat.exact = half.block.exacts[field::PATH as usize];
}

/// True for blocks that are short enough.
#[inline(always)]
pub(super) fn is_short(len: u32) -> bool {
    len.wrapping_sub(1) < MAX_BYTES as u32
}
