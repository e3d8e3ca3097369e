//! The binary protocol: a header of 24 bytes, big-endian, and a body.

use super::{kind, place, quiet};
use crate::{
    FNV_OFFSET,
    flow::protocol,
    fnv1a_step,
    framing::{
        frames::{Frame, means, outcome},
        stream::Direction,
        window::Window,
    },
};

/// First byte of a request.
const REQUEST: u8 = 0x80;
/// First byte of an answer.
const RESPONSE: u8 = 0x81;

/// First byte of a direction's messages.
#[inline(always)]
pub const fn magic(is_request: bool) -> u8 {
    if is_request { REQUEST } else { RESPONSE }
}

const HEADER_BYTES: usize = 24;

/// Longest key.
const MAX_KEY_BYTES: u64 = 250;

/// Codes that several statements need.
mod opcode {
    pub const STAT: u8 = 0x10;
    /// The last one that memcached documents.
    pub const LAST: u8 = 0x3e;
}

/// A header's fields. Kernel code works on whole words.
struct Header {
    opcode: u8,
    key_len: u64,
    extras_len: u64,
    data_type: u8,
    /// vBucket of a request, status of an answer.
    status: u16,
    body_len: u64,
}

#[inline(always)]
fn header(window: &Window, at: usize) -> Header {
    let word = window.u64_at(at);
    Header {
        opcode: (word >> 8) as u8,
        key_len: ((word >> 16) as u16).swap_bytes() as u64,
        extras_len: (word >> 32) as u8 as u64,
        data_type: (word >> 40) as u8,
        status: ((word >> 48) as u16).swap_bytes(),
        body_len: (window.u64_at(at + 8) as u32).swap_bytes() as u64,
    }
}

/// `GETQ`, `GETKQ`, `GATQ`, `GATKQ`.
#[inline(always)]
const fn is_quiet_read(code: u8) -> bool {
    matches!(code, 0x09 | 0x0d | 0x1e | 0x24)
}

/// Commands that are answered only if they fail.
#[inline(always)]
const fn is_quiet_write(code: u8) -> bool {
    // SETQ to DECRQ, QUITQ, FLUSHQ, APPENDQ, PREPENDQ; RSETQ to RDECRQ, each second one.
    matches!(code, 0x11..=0x1a) || (code >= 0x32 && code <= 0x3c && code & 1 == 0)
}

/// Operation key of an opcode.
pub const fn op_hash(code: u8) -> u64 {
    fnv1a_step(fnv1a_step(FNV_OFFSET, REQUEST), code)
}

/// Reads a request.
#[inline(always)]
pub fn request(direction: &mut Direction, from: usize, to: usize) -> Frame {
    if to < from + HEADER_BYTES {
        return Frame::CUT;
    }
    let header = header(&direction.window, from);
    if header.key_len + header.extras_len > header.body_len {
        return Frame::BAD;
    }
    if direction.content_length == place::START {
        direction.op = op_hash(header.opcode);
    }
    direction.id = kind::BINARY | header.opcode as u32;
    let reads = is_quiet_read(header.opcode);
    let means = if reads || is_quiet_write(header.opcode) {
        quiet(direction, reads)
    } else {
        means::PART | means::END
    };
    Frame {
        len: HEADER_BYTES as u64 + header.body_len,
        means,
    }
}

/// Reads an answer to the request that has the id `awaited`.
#[inline(always)]
pub fn answer(direction: &mut Direction, awaited: u32, from: usize, to: usize) -> Frame {
    if to < from + HEADER_BYTES {
        return Frame::CUT;
    }
    let header = header(&direction.window, from);
    let len = HEADER_BYTES as u64 + header.body_len;
    if header.key_len + header.extras_len > header.body_len {
        return Frame::BAD;
    }
    if is_quiet_write(header.opcode) {
        // A command that stands alone has failed.
        return Frame {
            len,
            means: means::ASIDE,
        };
    }
    if failed(header.status) {
        direction.status = outcome::FAILED;
    }
    let part = Frame {
        len,
        means: means::PART,
    };
    if is_quiet_read(header.opcode) {
        return part;
    }
    if awaited & kind::BINARY != 0 && awaited as u8 != header.opcode {
        return Frame::BAD;
    }
    // A statistic for each frame, and an empty frame behind the last.
    if header.opcode == opcode::STAT && header.key_len != 0 && header.status == 0 {
        return part;
    }
    Frame {
        len,
        means: means::PART | means::END,
    }
}

/// True for what is a failure: no such key, a key that exists, an item not stored and the next
/// step of authentication are not.
#[inline(always)]
const fn failed(status: u16) -> bool {
    !matches!(status, 0x00 | 0x01 | 0x02 | 0x05 | 0x21)
}

/// Whether a request begins at `from`.
#[inline(always)]
pub fn evidence(window: &Window, from: usize, to: usize) -> u8 {
    if to < from + HEADER_BYTES {
        return protocol::UNKNOWN;
    }
    let header = header(window, from);
    let parts = header.key_len + header.extras_len;
    let extras = matches!(header.extras_len, 0 | 4 | 8 | 20);
    let good = extras
        && header.opcode <= opcode::LAST
        && header.key_len <= MAX_KEY_BYTES
        && header.data_type == 0
        && header.status == 0
        && header.body_len >= parts
        && header.body_len < 1 << 30;
    if good {
        protocol::MEMCACHED
    } else {
        protocol::TCP
    }
}
