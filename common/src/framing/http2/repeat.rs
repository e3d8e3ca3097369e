//! Blocks that say again what one before them said.
//!
//! Calls of one client differ little: most blocks are a few indices, the same ones every time. A
//! block that neither changes the table nor brings a path as text means the same as often as it
//! comes, so it is enough to compare its bytes.

use bytemuck::{Pod, Zeroable};

use super::{Half, flag, table::field};
use crate::framing::window::Window;

/// Words of a block that is remembered.
const WORDS: usize = 4;

/// A block that may come again.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Repeat {
    /// Its bytes; those behind its length are 0.
    words: [u64; WORDS],
    /// Entries of the table when it came: with any other number it means something else.
    inserted: u64,
    /// Its length, bytes; 0 = none is remembered.
    len: u64,
    /// 0 = what it means is known.
    unfit: u64,
    /// [`super::Block::values`] behind it.
    values: [u64; 8],
    /// [`super::Block::exacts`] of its path.
    exact: u64,
}

/// The bits of its words that belong to a block, by its length: as a table, because each
/// comparison would be a branch, and all of them together too many paths for the verifier.
static MASKS: [[u64; WORDS]; 64] = masks();

const fn masks() -> [[u64; WORDS]; 64] {
    let mut table = [[0; WORDS]; 64];
    let mut at = 0;
    while at < 64 * WORDS * 8 {
        let (len, byte) = (at / (WORDS * 8), at % (WORDS * 8));
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

/// True if the whole block at a window position was read before: then what it means is in
/// [`Half::block`]. If not, it is remembered until [`was_read`].
#[inline(always)]
pub(super) fn repeats(window: &mut Window, half: &mut Half, at: usize, len: u32) -> bool {
    let repeat = &mut half.repeats[slot_of(half)];
    let inserted = half.table.inserted;
    let mask = &MASKS[len as usize & 63];
    let mut differs = (repeat.len ^ len as u64) | (repeat.inserted ^ inserted);
    let mut i = 0;
    while i < WORDS {
        let word = window.u64_at(at.wrapping_add(i * 8)) & mask[i];
        differs |= repeat.words[i] ^ word;
        repeat.words[i] = word;
        i += 1;
    }
    let differs = window.forget((differs | repeat.unfit) as usize);
    if differs != 0 {
        repeat.len = len as u64;
        repeat.inserted = inserted;
        repeat.unfit = 1;
        return false;
    }
    let mut i = 0;
    while i < 8 {
        half.block.values[i] = repeat.values[i];
        i += 1;
    }
    half.block.exacts[field::PATH as usize] = repeat.exact;
    true
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
    repeat.unfit = (repeat.inserted ^ half.table.inserted) | unseen | path_len as u64;
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
    len.wrapping_sub(1) < WORDS as u32 * 8
}
