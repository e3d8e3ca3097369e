//! The bytes under the reader: what was carried over from the segment before, then new data.

use bytemuck::{Pod, Zeroable};

/// Bytes kept of an unfinished line when a segment ends in it; longer lines are cut to this.
pub const CARRY_BYTES: usize = 96;

/// New bytes that are read at once.
pub const DATA_BYTES: usize = 400;

const WORDS: usize = 64;

/// Line feeds that are noted at once: more than the head of a usual message has.
pub const LINES: usize = 32;

/// Carried bytes stand right-aligned before [`CARRY_BYTES`], new ones from there on.
///
/// Words instead of bytes, because BPF loads must be aligned; every index is masked, so no
/// access can leave the array whatever the caller computes.
///
/// The data part begins a cache line (see [`super::stream::Direction`]), and the first line feeds
/// share one with what is counted of them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Window {
    words: [u64; WORDS],
    cell: u64,
    /// Position of the line feed that was noted last.
    latest: u64,
    /// Positions of the line feeds of the data part, see [`Window::find_lines`].
    lines: [u16; LINES],
    _pad: [u64; 2],
}

/// Where a payload's bytes come from.
pub trait Load {
    /// Puts `len` bytes (1 to [`DATA_BYTES`]) of the payload, from `at` on, to the window's data
    /// part; false if they cannot be read.
    fn load(&mut self, at: u32, len: u32, window: &mut Window) -> bool;
}

impl Load for &[u8] {
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

    /// Returns `value`, by way of memory that the BPF verifier does not follow.
    ///
    /// The verifier explores each path by itself as long as positions on them differ; after this
    /// it knows nothing of the value, and paths that differ only in it become one. Every use as
    /// an index is masked, so nothing else depends on the verifier's knowledge.
    #[inline(always)]
    #[expect(unsafe_code, reason = "a plain store and load would be optimised away")]
    pub fn forget(&mut self, value: usize) -> usize {
        // SAFETY: `cell` is a live, aligned field of ours.
        unsafe {
            core::ptr::write_volatile(&raw mut self.cell, value as u64);
            core::ptr::read_volatile(&raw const self.cell) as usize
        }
    }

    /// Blanks the bytes of an earlier load that share a word with the new ones, which end at `to`:
    /// whole words are searched, and no line feed behind `to` may be found.
    #[inline(always)]
    #[expect(unsafe_code, reason = "see `place`")]
    pub fn blank_from(&mut self, to: usize) {
        let word = place((&raw mut self.words).cast_const(), to).cast_mut();
        // SAFETY: `place` answers an aligned word of ours, which we borrow exclusively.
        unsafe { *word &= (1 << ((to & 7) * 8)) - 1 };
    }

    /// Notes where the line feeds of the data part are, up to `to` or to an empty line, and returns
    /// how many there are; at most [`LINES`] are noted.
    #[inline(always)]
    pub fn find_lines(&mut self, to: usize) -> usize {
        self.note_lines(to, true)
    }

    /// The same, also behind an empty line.
    #[inline(always)]
    pub fn find_all_lines(&mut self, to: usize) -> usize {
        self.note_lines(to, false)
    }

    #[inline(always)]
    fn note_lines(&mut self, to: usize, of_head: bool) -> usize {
        // Not both as plain stores, see [`blank`].
        self.forget(0);
        self.latest = 0;
        let mut at = CARRY_BYTES;
        while at < CARRY_BYTES + DATA_BYTES {
            if at >= to {
                break;
            }
            let mut marks = matches_byte(self.word(at), b'\n');
            let mut i = 0;
            while i < 8 {
                if marks == 0 {
                    break;
                }
                if self.note_line(at + lowest_mark(marks)) && of_head {
                    // Behind a head there is nothing to be looked for.
                    at = CARRY_BYTES + DATA_BYTES;
                    break;
                }
                marks &= marks - 1;
                i += 1;
            }
            at += 8;
        }
        let count = self.cell as usize;
        self.forget(if count < LINES { count } else { LINES })
    }

    /// Notes a line feed; true if it ends an empty line (of no byte, or of one that should be CR).
    #[inline(always)]
    #[expect(unsafe_code, reason = "keeps both numbers in memory, see `forget`")]
    fn note_line(&mut self, at: usize) -> bool {
        // SAFETY: `cell` is a live, aligned field of ours.
        let count = unsafe { core::ptr::read_volatile(&raw const self.cell) };
        // SAFETY: the same holds of `latest`.
        let before = unsafe { core::ptr::read_volatile(&raw const self.latest) } as usize;
        // SAFETY: as above.
        unsafe { core::ptr::write_volatile(&raw mut self.latest, at as u64) };
        if count < LINES as u64 {
            self.lines[count as usize & (LINES - 1)] = at as u16;
        }
        // SAFETY: as above.
        unsafe { core::ptr::write_volatile(&raw mut self.cell, count + 1) };
        at.wrapping_sub(before) <= 2
    }

    /// Position of the first `byte` from `from` up to `to`; `to` if there is none.
    #[inline(always)]
    pub fn find(&mut self, byte: u8, from: usize, to: usize) -> usize {
        let mut at = from;
        let mut i = 0;
        while i < WORDS {
            if at >= to {
                break;
            }
            let marks = matches_byte(self.u64_at(at), byte);
            if marks != 0 {
                at = at.wrapping_add(lowest_mark(marks));
                break;
            }
            at = self.forget(at.wrapping_add(8));
            i += 1;
        }
        let at = self.forget(at);
        let to = self.forget(to);
        if at < to { at } else { to }
    }

    /// Position of the line feed with this index.
    #[inline(always)]
    pub fn line_feed(&self, index: usize) -> usize {
        self.lines[index & (LINES - 1)] as usize
    }

    /// The aligned word that holds byte `at`.
    #[inline(always)]
    #[expect(unsafe_code, reason = "see `place`")]
    pub fn word(&self, at: usize) -> u64 {
        // SAFETY: `place` answers an aligned word of ours.
        unsafe { *place(&raw const self.words, at) }
    }

    /// Eight bytes from `at` on, the first one lowest.
    #[inline(always)]
    pub fn u64_at(&self, at: usize) -> u64 {
        let shift = ((at & 7) * 8) as u32;
        let low = self.word(at) >> shift;
        let high = (self.word(at.wrapping_add(8)) << 1) << (63 - shift);
        low | high
    }

    /// One byte.
    #[inline(always)]
    pub fn byte(&self, at: usize) -> u8 {
        (self.word(at) >> ((at & 7) * 8)) as u8
    }

    /// Keeps the last [`CARRY_BYTES`] bytes before `to` as the carried part.
    #[inline(always)]
    pub fn carry_from(&mut self, to: usize) {
        let from = to.wrapping_sub(CARRY_BYTES);
        let mut word = 0;
        while word < CARRY_BYTES / 8 {
            // Ascending order reads each word before it is overwritten, since `from >= 0`.
            let value = self.u64_at(from + word * 8);
            self.words[word & (WORDS - 1)] = value;
            word += 1;
        }
    }

    /// Takes the last `count` bytes off the carried part: those before them move up.
    #[inline(always)]
    pub fn uncarry(&mut self, count: usize) {
        let mut i = 0;
        while i < CARRY_BYTES / 8 {
            // Descending order reads each word before it is overwritten.
            let word = CARRY_BYTES / 8 - 1 - i;
            let value = self.u64_at((word * 8).wrapping_sub(count));
            self.words[word & (WORDS - 1)] = value;
            i += 1;
        }
    }

    /// Puts whole words where the data part begins.
    #[inline(always)]
    pub fn put_words<const N: usize>(&mut self, from: &[u64; N]) {
        const { assert!(N * 8 <= DATA_BYTES) };
        let mut i = 0;
        while i < N {
            self.words[(CARRY_BYTES / 8 + i) & (WORDS - 1)] = from[i];
            i += 1;
        }
    }

    /// Copies whole words from the one that holds `at` on.
    #[inline(always)]
    pub fn copy_words<const N: usize>(&self, at: usize, out: &mut [u64; N]) {
        let mut i = 0;
        while i < N {
            out[i] = self.word(at.wrapping_add(i * 8));
            i += 1;
        }
    }
}

/// Blanks words one by one: a plain loop, or a whole value of zeroes, becomes a call in the kernel's
/// programs, which moves byte after byte.
#[inline(always)]
#[expect(unsafe_code, reason = "a plain store would be made one")]
pub fn blank<const N: usize>(words: &mut [u64; N]) {
    let mut i = 0;
    while i < N {
        // SAFETY: a live, aligned word of ours.
        unsafe { core::ptr::write_volatile(&raw mut words[i], 0) };
        i += 1;
    }
}

/// The word that holds byte `at`, modulo the size of the array.
#[cfg(not(target_arch = "bpf"))]
#[inline(always)]
fn place(words: *const [u64; WORDS], at: usize) -> *const u64 {
    words.cast::<u64>().wrapping_add((at >> 3) & (WORDS - 1))
}

/// The word that holds byte `at`, modulo the size of the array.
///
/// One block, because verifiers before 6.3 forget what the compiler knows about a number as soon
/// as it is kept on the stack: the mask must stand right before the addition.
#[cfg(target_arch = "bpf")]
#[inline(always)]
#[expect(unsafe_code, reason = "the compiler would move or drop the mask")]
fn place(words: *const [u64; WORDS], at: usize) -> *const u64 {
    const { assert!(WORDS * 8 - 8 == 504) };
    let place: *const u64;
    // SAFETY: two calculations on registers.
    unsafe {
        core::arch::asm!(
            "{at} &= 504",
            "{at} += {words}",
            at = inout(reg) at => place,
            words = in(reg) words,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    place
}

/// Four bytes, the first one highest.
#[inline(always)]
pub(super) fn word_at(window: &Window, at: usize) -> u32 {
    (window.u64_at(at) as u32).swap_bytes()
}

/// `value & MASK`, so that the verifier sees it: the compiler moves a mask to where it can be left
/// out, and verifiers before 6.12 lose a bound in a bitwise or.
#[cfg(not(target_arch = "bpf"))]
#[inline(always)]
pub(in crate::framing) fn masked<const MASK: i32>(value: usize) -> usize {
    value & MASK as usize
}

/// See the other one.
#[cfg(target_arch = "bpf")]
#[inline(always)]
#[expect(unsafe_code, reason = "the compiler would move the mask")]
pub(in crate::framing) fn masked<const MASK: i32>(value: usize) -> usize {
    let result: usize;
    // SAFETY: a calculation on a register.
    unsafe {
        core::arch::asm!(
            "{value} &= {mask}",
            value = inout(reg) value => result,
            mask = const MASK,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    result
}

/// All bits if a number has the highest one, else none. The compiler knows ways to make a branch of
/// such a shift, and in a loop each doubles what the verifier has to look at.
#[cfg(not(target_arch = "bpf"))]
#[inline(always)]
pub(in crate::framing) fn sign(value: u64) -> u64 {
    (value as i64 >> 63) as u64
}

/// See the other one.
#[cfg(target_arch = "bpf")]
#[inline(always)]
#[expect(unsafe_code, reason = "the compiler would make a branch of it")]
pub(in crate::framing) fn sign(value: u64) -> u64 {
    let result: u64;
    // SAFETY: a calculation on a register.
    unsafe {
        core::arch::asm!(
            "{value} s>>= 63",
            value = inout(reg) value => result,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    result
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
        window.uncarry(21);
        for (i, byte) in expected[..CARRY_BYTES - 21].iter().enumerate() {
            assert_eq!(window.byte(i + 21), *byte);
        }
    }
}
