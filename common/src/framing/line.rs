//! HTTP/1.x lines (RFC 9112): start lines, the header fields that frame, chunk sizes.
//!
//! Pure functions on a [`Window`] range; `end` is exclusive and already without CR LF.

use super::{
    operation::{Hasher, MAX_TARGET_BYTES},
    stream::{Direction, head_flag},
    window::Window,
};
use crate::framing::http1::method;

/// Sets bit 5 of each byte: ASCII letters become lower case, `-` and `:` stay.
const LOWER: u64 = 0x2020_2020_2020_2020;

/// Longest length or chunk size that is believed, bytes.
const MAX_LENGTH: u64 = 1 << 60;

const fn text(bytes: [u8; 8]) -> u64 {
    u64::from_le_bytes(bytes)
}

const LOW_3: u64 = 0x00ff_ffff;
const LOW_4: u64 = 0xffff_ffff;
const LOW_5: u64 = 0xff_ffff_ffff;
const LOW_6: u64 = 0xffff_ffff_ffff;
const LOW_7: u64 = 0xff_ffff_ffff_ffff;

/// Method and its length in bytes from a line's first eight bytes; 0 if it is none we know.
#[inline(always)]
fn known_method(word: u64) -> (u8, usize) {
    match word & LOW_4 {
        w if w == text(*b"GET \0\0\0\0") => return (method::GET, 3),
        w if w == text(*b"PUT \0\0\0\0") => return (method::PUT, 3),
        _ => {}
    }
    match word & LOW_5 {
        w if w == text(*b"POST \0\0\0") => return (method::POST, 4),
        w if w == text(*b"HEAD \0\0\0") => return (method::HEAD, 4),
        _ => {}
    }
    match word & LOW_6 {
        w if w == text(*b"PATCH \0\0") => return (method::PATCH, 5),
        w if w == text(*b"TRACE \0\0") => return (method::TRACE, 5),
        _ => {}
    }
    if word & LOW_7 == text(*b"DELETE \0") {
        return (method::DELETE, 6);
    }
    if word == text(*b"OPTIONS ") {
        return (method::OPTIONS, 7);
    }
    if word == text(*b"CONNECT ") {
        return (method::CONNECT, 7);
    }
    (method::NONE, 0)
}

/// Longest method token that is followed.
const MAX_METHOD_BYTES: usize = 16;

/// Shortest method token: what is shorter is rather another protocol's.
const MIN_METHOD_BYTES: usize = 3;

/// Capital letters, or a dash among them (`M-SEARCH`).
#[inline(always)]
fn is_method_byte(byte: u8, at: usize) -> bool {
    byte.is_ascii_uppercase() || (byte == b'-' && at != 0)
}

/// Any other method token before a space.
#[inline(always)]
fn other_method(window: &Window, start: usize) -> (u8, usize) {
    let mut i = 0;
    while i < MAX_METHOD_BYTES {
        let byte = window.byte(start + i);
        if byte == b' ' && i >= MIN_METHOD_BYTES {
            return (method::OTHER, i);
        }
        if !is_method_byte(byte, i) {
            break;
        }
        i += 1;
    }
    (method::NONE, 0)
}

/// Reads a request line into `direction`; false if it is none.
///
/// `complete` is false when the line goes on past `end`: its version is then not checked.
#[inline(always)]
pub(super) fn request_line(
    direction: &mut Direction,
    start: usize,
    end: usize,
    complete: bool,
) -> bool {
    if end < start + 14 {
        return false;
    }
    let word = direction.window.u64_at(start);
    let (mut code, mut len) = known_method(word);
    if code == method::NONE {
        (code, len) = other_method(&direction.window, start);
        // Its version is not in sight: a path must speak for it.
        if !complete && direction.window.byte(start + len + 1) != b'/' {
            return false;
        }
    }
    if code == method::NONE {
        return false;
    }
    let target = start + len + 1;
    let mut target_end = end;
    if complete {
        if direction.window.u64_at(end - 8) & LOW_7 != text(*b"HTTP/1.\0")
            || direction.window.byte(end - 9) != b' '
            || target + 10 > end
        {
            return false;
        }
        target_end = end - 9;
    }
    direction.method = code;
    direction.op = target_hash(&direction.window, target, target_end);
    true
}

#[inline(always)]
fn target_hash(window: &Window, start: usize, end: usize) -> u64 {
    let mut hasher = Hasher::new();
    let mut i = 0;
    while i < MAX_TARGET_BYTES {
        if start + i >= end || !hasher.push(window.byte(start + i)) {
            return hasher.finish(false);
        }
        i += 1;
    }
    let more =
        start + MAX_TARGET_BYTES < end && Hasher::new().push(window.byte(start + MAX_TARGET_BYTES));
    hasher.finish(more)
}

/// Reads a status line into `direction`; false if it is none.
#[inline(always)]
pub(super) fn status_line(direction: &mut Direction, start: usize, end: usize) -> bool {
    if end < start + 12 || direction.window.u64_at(start) & LOW_7 != text(*b"HTTP/1.\0") {
        return false;
    }
    let word = direction.window.u64_at(start + 8);
    let digit = |shift: u32| ((word >> shift) as u8).wrapping_sub(b'0') as u16;
    let (a, b, c) = (digit(8), digit(16), digit(24));
    if word as u8 != b' ' || a == 0 || a > 9 || b > 9 || c > 9 {
        return false;
    }
    direction.status = a * 100 + b * 10 + c;
    true
}

/// What a header line is for framing.
pub(super) enum Header {
    /// Nothing, or noted in `head_flags`.
    Other,
    /// `Content-Length`; its value begins at this window position.
    Length(usize),
}

#[inline(always)]
fn is_content_length(window: &Window, start: usize) -> bool {
    window.u64_at(start) | LOWER == text(*b"content-")
        && (window.u64_at(start + 8) | LOWER) & LOW_7 == text(*b"length:\0")
}

#[inline(always)]
fn is_transfer_encoding(window: &Window, start: usize) -> bool {
    window.u64_at(start) | LOWER == text(*b"transfer")
        && window.u64_at(start + 8) | LOWER == text(*b"-encodin")
        && window.u64_at(start + 16) as u16 | 0x2020 == u16::from_le_bytes(*b"g:") | 0x2020
}

/// True if the line at `start` is one that frames: it may not be cut short.
#[inline(always)]
pub(super) fn frames(direction: &Direction, start: usize) -> bool {
    is_content_length(&direction.window, start) || is_transfer_encoding(&direction.window, start)
}

/// Looks at a header line that ends with the line feed at `line_feed`.
#[inline(always)]
pub(super) fn header(direction: &mut Direction, start: usize, line_feed: usize) -> Header {
    if is_content_length(&direction.window, start) {
        return Header::Length(start + 15);
    }
    if is_transfer_encoding(&direction.window, start) {
        direction.head_flags |= head_flag::ENCODED;
        let has_cr = direction.window.byte(line_feed.wrapping_sub(1)) == b'\r';
        let end = line_feed.wrapping_sub(has_cr as usize);
        let last = direction.window.u64_at(end.wrapping_sub(7)) | LOWER;
        if end >= start + 25 && last & LOW_7 == text(*b"chunked\0") {
            direction.head_flags |= head_flag::CHUNKED;
        } else {
            direction.head_flags &= !head_flag::CHUNKED;
        }
    }
    Header::Other
}

/// Reads the value of `Content-Length`; false if it is no number, or given twice (RFC 9112,
/// section 6.3, lets a recipient refuse equal ones too).
#[inline(always)]
pub(super) fn content_length(direction: &mut Direction, start: usize, end: usize) -> bool {
    let mut value = 0u64;
    let mut digits = 0u32;
    let mut after = false;
    let mut i = 0;
    while i < 40 {
        if start + i >= end {
            break;
        }
        let byte = direction.window.byte(start + i);
        let digit = byte.wrapping_sub(b'0');
        if byte == b' ' || byte == b'\t' {
            after = digits != 0;
        } else if digit > 9 || after || value > MAX_LENGTH / 10 {
            return false;
        } else {
            value = value * 10 + digit as u64;
            digits += 1;
        }
        i += 1;
    }
    let again = direction.head_flags & head_flag::HAS_LENGTH != 0;
    if digits == 0 || start + i < end || again {
        return false;
    }
    direction.head_flags |= head_flag::HAS_LENGTH;
    direction.content_length = value;
    true
}

/// Reads a chunk-size line into `content_length`; false if it is none.
#[inline(always)]
pub(super) fn chunk_size(direction: &mut Direction, start: usize, end: usize) -> bool {
    let mut value = 0u64;
    let mut i = 0;
    while i < 17 {
        if start + i >= end {
            break;
        }
        let byte = direction.window.byte(start + i);
        let lower = byte | 0x20;
        let digit = if byte.wrapping_sub(b'0') <= 9 {
            byte - b'0'
        } else if lower.wrapping_sub(b'a') <= 5 {
            lower - b'a' + 10
        } else if byte == b';' || byte == b' ' || byte == b'\t' {
            break;
        } else {
            return false;
        };
        if value > MAX_LENGTH >> 4 {
            return false;
        }
        value = value << 4 | digit as u64;
        i += 1;
    }
    direction.content_length = value;
    i != 0
}

/// True if the first `len` bytes at `start` could begin a request line.
#[inline(always)]
pub(super) fn may_begin_request(window: &Window, start: usize, len: usize) -> bool {
    let first = window.byte(start);
    // A single 0x16 may be TLS: one more byte tells.
    if first == b'\r' || first == b'\n' || (first == 0x16 && len < 2) {
        return true;
    }
    let mut i = 0;
    while i < MAX_METHOD_BYTES {
        if i >= len {
            return true;
        }
        let byte = window.byte(start + i);
        if !is_method_byte(byte, i) {
            return byte == b' ' && i >= MIN_METHOD_BYTES;
        }
        i += 1;
    }
    false
}

/// True if a method we know stands at `start`: what a late observer takes for a request.
#[inline(always)]
pub(super) fn begins_request(window: &Window, start: usize) -> bool {
    known_method(window.u64_at(start)).0 != method::NONE
}

/// True if the first `len` bytes at `start` could begin a status line.
#[inline(always)]
pub(super) fn may_begin_response(window: &Window, start: usize, len: usize) -> bool {
    let first = window.byte(start);
    if first == b'\r' || first == b'\n' {
        return true;
    }
    let known = if len >= 7 {
        LOW_7
    } else {
        (1 << (len * 8)) - 1
    };
    (window.u64_at(start) ^ text(*b"HTTP/1.\0")) & known & LOW_7 == 0
}

/// True if the bytes begin the HTTP/2 connection preface.
#[inline(always)]
pub(super) fn is_http2_preface(window: &Window, start: usize) -> bool {
    window.u64_at(start) == text(*b"PRI * HT")
}

/// True if the bytes begin a TLS handshake record (RFC 8446, section 5.1).
#[inline(always)]
pub(super) fn is_tls_handshake(window: &Window, start: usize) -> bool {
    window.u64_at(start) & LOW_3 & 0xffff == 0x0316
}
