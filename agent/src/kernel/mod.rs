//! Loads, attaches and pins the kernel programs, and reads and writes their maps.
//!
//! The only room that knows aya. Everything it hands on is plain values.
//!
//! # Layout
//! - [`feature`]: what this host offers; [`doctor`] tells the user
//! - `btf`: where the running kernel's structures have their fields
//! - [`bpffs`], [`cgroup`]: where things are pinned and attached
//! - [`attach`]: the table of hooks; [`load`]: from object to running programs, by way of `programs`
//! - [`maps`]: the maps as typed values; [`events`]: the ring buffer
//! - [`room`]: all of it as the daemon's port
//! - [`adopt`]: sockets older than weir; [`off`]: takes everything away

pub mod adopt;
pub mod attach;
pub mod bpffs;
mod btf;
pub mod cgroup;
pub mod doctor;
pub mod events;
pub mod feature;
pub mod load;
pub mod maps;
mod off;
mod programs;
mod readers;
pub mod room;
mod sys;
mod wire;

pub use doctor::doctor;
pub use off::{OffReport, off};
