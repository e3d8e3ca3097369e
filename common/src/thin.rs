//! Which of very many alike are looked at: all while they are few, one in some while they are many.

use bytemuck::{Pod, Zeroable};

/// An epoch is so many ticks of the kernel as two to this power: from 64 ms to 640 ms.
const EPOCH_SHIFT: u32 = 6;

/// With more than so many in the epoch before, they are many.
const MANY: u32 = 256;

/// Of many, one in so many is looked at; a power of two.
pub const ONE_IN: u32 = 8;

/// What a CPU has met in its epoch; value of the `READS` per-CPU array. Programs that interrupt each
/// other may count less than there were, which matters little.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Thinned {
    /// Epoch: the kernel's ticks shifted by [`EPOCH_SHIFT`].
    pub epoch: u32,
    /// Met in it.
    pub met: u32,
    /// One less than every how many are looked at.
    pub mask: u32,
    /// Explicit padding.
    pub _pad: u32,
}

impl Thinned {
    /// True if the next one is to be looked at; `ticks` is the kernel's `jiffies`.
    #[inline(always)]
    pub fn takes(&mut self, ticks: u64) -> bool {
        let epoch = (ticks >> EPOCH_SHIFT) as u32;
        if self.epoch != epoch {
            let were_many = epoch.wrapping_sub(self.epoch) == 1 && self.met > MANY;
            self.mask = if were_many { ONE_IN - 1 } else { 0 };
            self.epoch = epoch;
            self.met = 0;
        }
        self.met = self.met.wrapping_add(1);
        self.met & self.mask == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(thinned: &mut Thinned, epoch: u64, met: u32) -> u32 {
        (0..met)
            .map(|_| thinned.takes(epoch << EPOCH_SHIFT) as u32)
            .sum()
    }

    #[test]
    fn all_are_taken_while_they_are_few() {
        let mut thinned = Thinned::default();
        for epoch in 1..5 {
            assert_eq!(taken(&mut thinned, epoch, MANY), MANY);
        }
    }

    #[test]
    fn of_many_some_are_taken_until_they_are_few_again() {
        let mut thinned = Thinned::default();
        let many = MANY * ONE_IN;
        assert_eq!(taken(&mut thinned, 1, many), many, "not known before");
        assert_eq!(taken(&mut thinned, 2, many), MANY);
        assert_eq!(taken(&mut thinned, 3, MANY), MANY / ONE_IN);
        assert_eq!(taken(&mut thinned, 4, MANY), MANY);
    }

    #[test]
    fn a_pause_begins_anew() {
        let mut thinned = Thinned::default();
        taken(&mut thinned, 1, 2 * MANY);
        assert_eq!(taken(&mut thinned, 3, 10), 10);
        let last = u64::from(u32::MAX);
        taken(&mut thinned, last, 2 * MANY);
        assert_eq!(taken(&mut thinned, last + 1, ONE_IN), 1, "epochs wrap");
    }
}
