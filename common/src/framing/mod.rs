//! Sequence-addressed message walkers.
//!
//! A direction of a connection keeps the stream offset at which the next message head begins. A
//! segment that ends before it is only counted; a segment that holds it is read just as far as
//! the head goes, and the offset then moves past the body without touching it. Cost is per
//! message, not per byte, and retransmits fall out by arithmetic.
//!
//! ```text
//!  segment ──▶ locate ──────────────▶ begin ──▶ scan ──▶ conclude ──▶ MORE, EXCHANGE, LOST, DONE
//!              (sequence → offset)    (window)  (lines)  (messages)
//! ```
//!
//! The kernel loads the window with `bpf_skb_load_bytes`, user space from a slice ([`http1::advance`]). Both run the same code on the same state.

pub mod http1;
mod line;
pub mod operation;
pub mod stream;
pub mod window;
