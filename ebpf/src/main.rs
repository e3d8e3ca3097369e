//! weir's kernel programs: thin hooks around the logic of `weir-common`.
//!
//! # Layout
//! - [`hook`]: one file per hook
//! - [`maps`], [`storage`]: what is kept
//! - [`packet`]: IP and TCP headers; [`passed`]: segments read already; [`owner`]: who made a socket
//! - [`edge`]: edges and their totals; [`exchange`]: the two lanes; [`emit`]: the ring buffer
//! - [`datagram`]: DNS over UDP; [`query`]: what becomes of its queries
//! - [`walk`]: what every walk over messages shares
//! - [`access`], [`call`], [`pacing`]: policy
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
#![allow(
    internal_features,
    reason = "BPF has no fetch_add in core::sync::atomic"
)]

mod access;
mod atomic;
mod call;
mod connection;
mod datagram;
mod edge;
mod emit;
mod exchange;
mod hook;
mod maps;
mod owner;
mod pacing;
mod packet;
mod passed;
mod query;
mod storage;
mod walk;

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
