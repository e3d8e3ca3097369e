//! The head of a packet, and numbers in it.

use super::{CONTINUES, HEADER_BYTES};
use crate::framing::{
    frames::{Frame, means},
    window::Window,
};

/// The head of a packet and the first byte of its payload.
#[derive(Clone, Copy)]
pub(super) struct Packet {
    /// Bytes of payload.
    pub len: u64,
    /// Its number, from 0 with each command.
    pub sequence: u8,
    /// First byte of the payload; means nothing if there is none.
    pub first: u8,
}

impl Packet {
    #[inline(always)]
    pub fn at(window: &Window, at: usize) -> Self {
        let word = window.u64_at(at);
        Self {
            len: word & CONTINUES,
            sequence: (word >> 24) as u8,
            first: (word >> 32) as u8,
        }
    }

    /// Passes over this packet, which means so much.
    #[inline(always)]
    pub fn frame(&self, means: u32) -> Frame {
        Frame {
            len: self.len + HEADER_BYTES as u64,
            means,
        }
    }

    /// Passes over this packet of a message that ends with the packet, unless that goes on.
    #[inline(always)]
    pub fn last(&self, means: u32) -> Frame {
        let end = if self.len == CONTINUES { 0 } else { means::END };
        self.frame(means::PART | end | means)
    }

    /// How many of its bytes, with the head, can be known at most, if `wanted` would do.
    #[inline(always)]
    pub fn need(&self, wanted: usize) -> usize {
        let all = self.len as usize + HEADER_BYTES;
        if all < wanted { all } else { wanted }
    }

    /// True for the packet that ends definitions and rows where no OK packet stands for it.
    #[inline(always)]
    pub fn is_eof(&self) -> bool {
        self.first == 0xfe && self.len == 5
    }
}

/// Two bytes.
#[inline(always)]
pub(super) fn u16_at(window: &Window, at: usize) -> u16 {
    window.u64_at(at) as u16
}

/// Position behind a number of variable length.
#[inline(always)]
pub(super) fn behind_number(window: &mut Window, at: usize) -> usize {
    let len = match window.byte(at) {
        0xfc => 3,
        0xfd => 4,
        0xfe => 9,
        _ => 1,
    };
    window.forget(at + len)
}
