//! Frame headers (RFC 9113, section 4.1).

use crate::{flow::protocol, framing::window::Window};

/// Length of a frame's header, bytes.
pub const FRAME_HEADER_BYTES: usize = 9;

/// Frame types (RFC 9113, section 6).
pub mod kind {
    /// DATA
    pub const DATA: u8 = 0;
    /// HEADERS
    pub const HEADERS: u8 = 1;
    /// RST_STREAM
    pub const RST_STREAM: u8 = 3;
    /// SETTINGS
    pub const SETTINGS: u8 = 4;
    /// PUSH_PROMISE
    pub const PUSH_PROMISE: u8 = 5;
    /// GOAWAY
    pub const GOAWAY: u8 = 7;
    /// CONTINUATION
    pub const CONTINUATION: u8 = 9;
}

/// Frame flags (RFC 9113, section 6).
pub mod flag {
    /// The sender says nothing more on this stream.
    pub const END_STREAM: u8 = 1;
    /// The header block is complete.
    pub const END_HEADERS: u8 = 4;
    /// A padding length stands first.
    pub const PADDED: u8 = 8;
    /// Five bytes of priority stand first.
    pub const PRIORITY: u8 = 32;
}

/// Types above this are no frames that anybody has registered; text begins above it.
const GREATEST_KIND: u8 = 0x1f;

/// Frames longer than this need a setting that nobody uses; as a first guess they are none.
const USUAL_FRAME_BYTES: u32 = 1 << 20;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Payload, bytes.
    pub len: u32,
    /// One of [`kind`].
    pub kind: u8,
    /// Bits of [`flag`].
    pub flags: u8,
    /// Stream, 0 = the connection.
    pub stream: u32,
}

/// Reads nine bytes at a window position.
#[inline(always)]
pub(super) fn header(window: &Window, at: usize) -> Header {
    let word = window.u64_at(at);
    let last = window.byte(at.wrapping_add(8));
    Header {
        len: ((word & 0xff) << 16 | (word & 0xff00) | (word >> 16 & 0xff)) as u32,
        kind: (word >> 24) as u8,
        flags: (word >> 32) as u8,
        stream: (((word >> 40 & 0x7f) << 24)
            | ((word >> 48 & 0xff) << 16)
            | ((word >> 56) << 8)
            | last as u64) as u32,
    }
}

impl Header {
    /// False for bytes that no peer would send as a frame.
    #[inline(always)]
    pub fn is_possible(&self) -> bool {
        let on_stream = self.stream != 0;
        match self.kind {
            kind::DATA | kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION => on_stream,
            kind::RST_STREAM => on_stream && self.len == 4,
            kind::GOAWAY => !on_stream && self.len >= 8,
            kind::SETTINGS => !on_stream && self.len.is_multiple_of(6),
            kind => kind <= GREATEST_KIND,
        }
    }

    /// True for a frame that a late observer may take for one: nothing about it is unusual.
    #[inline(always)]
    pub(super) fn is_usual(&self) -> bool {
        let known = match self.kind {
            kind::DATA => flag::END_STREAM | flag::PADDED,
            kind::HEADERS => flag::END_STREAM | flag::END_HEADERS | flag::PADDED | flag::PRIORITY,
            // PRIORITY, RST_STREAM, GOAWAY, WINDOW_UPDATE have none; SETTINGS and PING: ACK.
            2 | kind::RST_STREAM | kind::GOAWAY | 8 => 0,
            kind::SETTINGS | 6 => 1,
            _ => return false,
        };
        let len_fits = match self.kind {
            2 => self.len == 5,
            6 => self.len == 8,
            8 => self.len == 4,
            _ => self.len < USUAL_FRAME_BYTES,
        };
        self.flags & !known == 0 && len_fits && self.is_possible()
    }
}

/// The client's connection preface (RFC 9113, section 3.4).
const PREFACE: [u64; 3] = [
    u64::from_le_bytes(*b"PRI * HT"),
    u64::from_le_bytes(*b"TP/2.0\r\n"),
    u64::from_le_bytes(*b"\r\nSM\r\n\r\n"),
];

/// Its length, bytes.
pub(super) const PREFACE_BYTES: usize = 24;

/// True if the bytes begin like the client's connection preface.
#[inline(always)]
pub(in crate::framing) fn begins_connection(window: &Window, at: usize) -> bool {
    window.u64_at(at) == PREFACE[0]
}

/// Which bits of a word count of which `n - 16` bytes are known; a table, because branches on a
/// length are paths for the verifier.
static KNOWN_BITS: [u64; 64] = known_bits();

const fn known_bits() -> [u64; 64] {
    let mut masks = [u64::MAX; 64];
    let mut n = 0;
    while n < 24 {
        let known = usize::saturating_sub(n, 16);
        masks[n] = (1 << (known * 8)) - 1;
        n += 1;
    }
    masks
}

/// What the bytes from `from` up to `to` are by the client's connection preface: HTTP/2 if all of
/// it is there, [`protocol::UNKNOWN`] while it may come to that.
#[inline(always)]
pub(in crate::framing) fn preface_evidence(window: &mut Window, from: usize, to: usize) -> u8 {
    let known = to.wrapping_sub(from);
    let all = known >= PREFACE_BYTES;
    let known = window.forget(if all { PREFACE_BYTES } else { known });
    let mut other = 0;
    let mut i = 0;
    while i < PREFACE.len() {
        let counts = KNOWN_BITS[(known + 16 - i * 8) & 63];
        other |= (window.u64_at(from.wrapping_add(i * 8)) ^ PREFACE[i]) & counts;
        i += 1;
    }
    if other != 0 {
        protocol::TCP
    } else if all {
        protocol::HTTP2
    } else {
        protocol::UNKNOWN
    }
}

/// The same of the SETTINGS frame that a server begins with: some speak before the client.
#[inline(always)]
pub(in crate::framing) fn server_evidence(window: &mut Window, from: usize, to: usize) -> u8 {
    /// A frame of SETTINGS on stream 0 without flags, but for its length.
    const BEGINNING: u64 = (kind::SETTINGS as u64) << 24;
    const LEN: u64 = 0xff << 16;
    const RESERVED: u64 = 1 << 47;
    let known = to.wrapping_sub(from);
    let all = known >= FRAME_HEADER_BYTES;
    let known = window.forget(if all { FRAME_HEADER_BYTES } else { known });
    let word = window.u64_at(from);
    let counts = KNOWN_BITS[(known + 16) & 63] & !(LEN | RESERVED);
    let last = window.byte(from.wrapping_add(8)) as u64 * all as u64;
    let other = (word ^ BEGINNING) & counts | last;
    let len = (word >> 16) as u8;
    let fits = len <= MAX_SETTINGS_BYTES && len.is_multiple_of(6);
    if other != 0 || known > 2 && !fits {
        protocol::TCP
    } else if all {
        protocol::HTTP2
    } else {
        protocol::UNKNOWN
    }
}

/// A server has fewer settings than that at the beginning, bytes.
const MAX_SETTINGS_BYTES: u8 = 120;

/// Frames that a late observer looks at.
const LOOK_FRAMES: u32 = 4;

/// True if frames follow one another from `from` on, as a late observer knows HTTP/2 by: to the
/// very end of the segment, or if that lies beyond what is known (`to`), at least two of them.
#[inline(always)]
pub(in crate::framing) fn resumes(
    window: &mut Window,
    from: usize,
    to: usize,
    whole: bool,
) -> bool {
    let mut at = from;
    let mut frames = 0;
    while frames < LOOK_FRAMES {
        let known = to.wrapping_sub(at);
        if at >= to || known < FRAME_HEADER_BYTES {
            break;
        }
        let header = header(window, at);
        // A body may look like anything, and begins with bytes that other protocols begin with.
        let begins = header.kind != kind::DATA || frames != 0;
        let empty = header.kind == kind::HEADERS && header.len == 0;
        if !header.is_usual() || !begins || empty {
            return false;
        }
        at = window.forget(at.wrapping_add(FRAME_HEADER_BYTES + header.len as usize));
        frames += 1;
    }
    (whole && at == to) || frames >= 2
}
