//! The bytes under the reader: what was carried over from the segment before, then new data.

use bytemuck::{Pod, Zeroable};

/// Bytes kept of an unfinished line when a segment ends in it; longer lines are cut to this.
pub const CARRY_BYTES: usize = 96;

/// New bytes that are read at once.
pub const DATA_BYTES: usize = 400;

const WORDS: usize = 64;

/// Carried bytes stand right-aligned before [`CARRY_BYTES`], new ones from there on.
///
/// Words instead of bytes, because BPF loads must be aligned; every index is masked, so no
/// access can leave the array whatever the caller computes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Window {
    words: [u64; WORDS],
}

/// Where a payload's bytes come from.
pub trait Source {
    /// Puts `len` bytes (1 to [`DATA_BYTES`]) of the payload, from `at` on, to the window's data
    /// part; false if they cannot be read.
    fn load(&mut self, at: u32, len: u32, window: &mut Window) -> bool;
}

impl Source for &[u8] {
    fn load(&mut self, at: u32, len: u32, window: &mut Window) -> bool {
        let (at, len) = (at as usize, len as usize);
        let Some(bytes) = self.get(at..at.saturating_add(len)) else {
            return false;
        };
        window.data_mut()[..len].copy_from_slice(bytes);
        true
    }
}

impl Window {
    /// The data part, for a source to fill.
    #[inline(always)]
    pub fn data_mut(&mut self) -> &mut [u8; DATA_BYTES] {
        let bytes: &mut [u8; WORDS * 8] = bytemuck::cast_mut(&mut self.words);
        bytes[CARRY_BYTES..]
            .first_chunk_mut()
            .expect("512 - 96 is more than 400")
    }

    /// The aligned word that holds byte `at`.
    #[inline(always)]
    pub fn word(&self, at: usize) -> u64 {
        self.words[(at >> 3) & (WORDS - 1)]
    }

    /// Eight bytes from `at` on, the first one lowest.
    #[inline(always)]
    pub fn u64_at(&self, at: usize) -> u64 {
        let shift = ((at & 7) * 8) as u32;
        let low = self.words[(at >> 3) & (WORDS - 1)] >> shift;
        let high = (self.words[((at >> 3) + 1) & (WORDS - 1)] << 1) << (63 - shift);
        low | high
    }

    /// One byte.
    #[inline(always)]
    pub fn byte(&self, at: usize) -> u8 {
        (self.words[(at >> 3) & (WORDS - 1)] >> ((at & 7) * 8)) as u8
    }

    /// Keeps the last [`CARRY_BYTES`] bytes before `to` as the carried part.
    #[inline(always)]
    pub fn carry_from(&mut self, to: usize) {
        let from = to.wrapping_sub(CARRY_BYTES);
        let mut word = 0;
        while word < CARRY_BYTES / 8 {
            // Ascending order reads each word before it is overwritten, since `from >= 0`.
            let value = self.u64_at(from + word * 8);
            self.words[word] = value;
            word += 1;
        }
    }

    /// Copies whole words from the one that holds `at` on.
    #[inline(always)]
    pub fn copy_words<const N: usize>(&self, at: usize, out: &mut [u64; N]) {
        let first = at >> 3;
        let mut i = 0;
        while i < N {
            out[i] = self.words[(first + i) & (WORDS - 1)];
            i += 1;
        }
    }
}

/// A bit 7 of each byte of `word` that equals `byte`; exact for every byte.
#[inline(always)]
pub fn matches_byte(word: u64, byte: u8) -> u64 {
    const LOW7: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let diff = word ^ (byte as u64).wrapping_mul(0x0101_0101_0101_0101);
    !(((diff & LOW7) + LOW7) | diff | LOW7)
}

/// Index (0–7) of the lowest byte marked in a non-zero mask of [`matches_byte`].
#[inline(always)]
pub fn lowest_mark(mask: u64) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let low = mask & mask.wrapping_neg();
    ((((low - 1) & ONES).wrapping_mul(ONES) >> 56) - 1) as usize & 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_every_matching_byte_and_no_other() {
        for bytes in [
            *b"\n\x0b\n\x0a0000",
            *b"abcdefgh",
            *b"\n\n\n\n\n\n\n\n",
            *b"\x8a\x0b\x09\x0a\0\0\0\n",
        ] {
            let mut mask = matches_byte(u64::from_le_bytes(bytes), b'\n');
            let mut found = [false; 8];
            while mask != 0 {
                found[lowest_mark(mask)] = true;
                mask &= mask - 1;
            }
            for (at, byte) in bytes.iter().enumerate() {
                assert_eq!(found[at], *byte == b'\n', "byte {at} of {bytes:?}");
            }
        }
    }

    #[test]
    fn unaligned_loads_and_carry_agree_with_bytes() {
        let mut window = Window::zeroed();
        for (i, byte) in window.data_mut().iter_mut().enumerate() {
            *byte = (i * 7 % 251) as u8;
        }
        for at in CARRY_BYTES..CARRY_BYTES + 64 {
            let expected: [u8; 8] = core::array::from_fn(|i| window.byte(at + i));
            assert_eq!(window.u64_at(at), u64::from_le_bytes(expected));
        }
        let to = CARRY_BYTES + 201;
        let expected: [u8; CARRY_BYTES] =
            core::array::from_fn(|i| window.byte(to - CARRY_BYTES + i));
        window.carry_from(to);
        for (i, byte) in expected.iter().enumerate() {
            assert_eq!(window.byte(i), *byte);
        }
    }
}
