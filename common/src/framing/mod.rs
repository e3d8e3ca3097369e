//! Sequence-addressed message walkers.
//!
//! A direction of a connection keeps the stream offset at which the next message head begins. A
//! segment that ends before it is only counted; a segment that holds it is read just as far as
//! the head goes, and the offset then moves past the body without touching it. Cost is per
//! message, not per byte, and retransmits fall out by arithmetic.
//!
//! ```text
//!  segment ──▶ Direction::locate ──▶ http1::step ──▶ Step::{More, Exchange, Lost, Done}
//!              (sequence → offset)   (window, lines)
//! ```
//!
//! The kernel calls [`http1::step`] with a source that is `bpf_skb_load_bytes`; user space with a
//! slice. Both run the same code on the same state.

pub mod http1;
mod line;
pub mod operation;
pub mod stream;
pub mod window;
