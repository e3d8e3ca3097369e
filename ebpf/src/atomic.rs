//! Atomic addition. Results are never used, so that kernels before 5.12 take it (`BPF_XADD`).

use core::intrinsics::{AtomicOrdering, atomic_xadd};

/// Adds to a map value of 64 bits.
#[inline(always)]
pub fn add(target: &mut u64, value: u64) {
    // SAFETY: `target` is a live, aligned reference.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(target, value) };
}

/// Adds to a map value of 32 bits.
#[inline(always)]
pub fn add_u32(target: &mut u32, value: u32) {
    // SAFETY: `target` is a live, aligned reference.
    unsafe { atomic_xadd::<u32, u32, { AtomicOrdering::Relaxed }>(target, value) };
}
