//! The contract between weir's kernel programs and its agent, and the pure logic that both run.
//!
//! Everything here is `no_std`, has no I/O, no clock and no allocation: time and bytes are
//! arguments. The same functions run in the kernel (called by `ebpf/`), in the agent, and in
//! `weir replay`, so they are unit-tested and fuzzed on the host.
//!
//! # Layout
//! - [`flow`]: who talks to whom: parties, edges, the per-socket record's identity half
//! - [`batch`]: equal exchanges of one run, added up before they are counted
//! - [`connection`]: the per-socket record
//! - [`datagram`]: queries in datagrams that wait for their answer
//! - [`draw`]: which exchanges go to the detail lane
//! - [`event`]: records that cross the ring buffer
//! - [`counter`]: exact-lane keys and values, latency histogram, loss reasons
//! - [`policy`]: rule keys and [`policy::decide`], the one decision function
//! - [`pacing`]: how the budget of an edge is divided among its live flows
//! - [`framing`]: sequence-addressed message walkers
#![no_std]
#![deny(unsafe_code)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

pub mod batch;
pub mod connection;
pub mod counter;
pub mod datagram;
pub mod draw;
pub mod event;
pub mod flow;
pub mod framing;
pub mod limit;
pub mod pacing;
pub mod policy;
pub mod thin;

/// Version of every layout in this crate; the agent refuses pinned maps of another version.
pub const ABI_VERSION: u32 = 12;

/// Folds `bytes` into a 64-bit FNV-1a hash, starting from `seed`.
///
/// Used for operation keys and workload ids: stable across processes, hosts and restarts.
#[inline(always)]
pub const fn fnv1a_step(hash: u64, byte: u8) -> u64 {
    (hash ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3)
}

/// Start value of [`fnv1a_step`].
pub const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a of a whole byte string; never 0, because 0 means "absent" in keys.
pub const fn stable_hash(bytes: &[u8]) -> u64 {
    let mut hash = FNV_OFFSET;
    let mut i = 0;
    while i < bytes.len() {
        hash = fnv1a_step(hash, bytes[i]);
        i += 1;
    }
    if hash == 0 { 1 } else { hash }
}
