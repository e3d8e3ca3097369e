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
        // RFC 9113, section 11.6: PRI is no method, so that HTTP/2 can begin with it.
        if word == text(*b"PRI * HT") {
            return false;
        }
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
    let (op, path_end) = target_hash(&mut direction.window, target, target_end);
    direction.op = op;
    // What its last segment is, is asked when the head is complete.
    direction.body.line = direction.window.u64_at(path_end.wrapping_sub(8));
    direction.body.first = direction.window.u64_at(path_end.wrapping_sub(9));
    true
}

/// True if the path of the head that was read ends in `/graphql`, or so with a slash behind it, and
/// its method is GET or POST.
#[inline(always)]
pub(super) fn is_graphql(direction: &Direction) -> bool {
    const { assert!(method::GET & 0xfd == 1 && method::POST & 0xfd == 1) };
    let body = &direction.body;
    let plain = body.line ^ text(*b"/graphql");
    let slashed = (body.line ^ text(*b"graphql/")) | (body.first ^ text(*b"/graphql"));
    let other = (direction.method & 0xfd ^ 1) as u64;
    plain | other == 0 || slashed | other == 0
}

/// Operation key of the path that begins at `start`, and where it ends.
#[inline(always)]
fn target_hash(window: &mut Window, start: usize, end: usize) -> (u64, usize) {
    let start = window.forget(start);
    let end = window.forget(end);
    let mut hasher = Hasher::new();
    let mut i = 0;
    while i < MAX_TARGET_BYTES {
        if start + i >= end || !hasher.push(window.byte(start + i)) {
            return (hasher.finish(false), window.forget(start + i));
        }
        hasher.segment = window.forget(hasher.segment as usize) as u64;
        i += 1;
    }
    let more =
        start + MAX_TARGET_BYTES < end && Hasher::new().push(window.byte(start + MAX_TARGET_BYTES));
    (hasher.finish(more), 0)
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

/// First eight bytes of `Content-Length`, in lower case.
pub(super) const CONTENT: u64 = text(*b"content-");

/// First eight bytes of `Transfer-Encoding`, in lower case.
pub(super) const TRANSFER: u64 = text(*b"transfer");

/// Eight bytes in lower case.
#[inline(always)]
pub(super) fn lower_word(window: &Window, at: usize) -> u64 {
    window.u64_at(at) | LOWER
}

/// True if a line that begins with [`CONTENT`] is `Content-Length`.
#[inline(always)]
pub(super) fn is_content_length(window: &Window, start: usize) -> bool {
    lower_word(window, start + 8) & LOW_7 == text(*b"length:\0")
}

/// Notes what a line that may begin with [`CONTENT`] says of the body's kind, if it is one.
#[inline(always)]
pub(super) fn content_marks(direction: &mut Direction, start: usize) {
    let window = &direction.window;
    let other = lower_word(window, start) ^ CONTENT;
    let word = lower_word(window, start + 8);
    // One comparison for all of it: this is looked at in every head.
    let of_events = other
        | (word ^ text(*b"type: te"))
        | (lower_word(window, start + 16) ^ text(*b"xt/event"))
        | (lower_word(window, start + 24) ^ text(*b"-stream\0")) & LOW_7;
    let mut marks = 0;
    if of_events == 0 {
        marks = head_flag::EVENTS;
    } else if other | (word ^ text(*b"encoding")) == 0 {
        marks = head_flag::CODED;
    }
    direction.head_flags |= direction.window.forget(marks as usize) as u8;
}

/// True if a line that begins with [`TRANSFER`] is `Transfer-Encoding`.
#[inline(always)]
pub(super) fn is_transfer_encoding(window: &Window, start: usize) -> bool {
    // The colon's bit 5 is set already.
    lower_word(window, start + 8) == text(*b"-encodin")
        && lower_word(window, start + 16) & 0xffff == text(*b"g:\0\0\0\0\0\0")
}

/// True if the line at `start` is one that frames: it may not be cut short.
#[inline(always)]
pub(super) fn frames(direction: &Direction, start: usize) -> bool {
    let word = lower_word(&direction.window, start);
    (word == CONTENT && is_content_length(&direction.window, start))
        || (word == TRANSFER && is_transfer_encoding(&direction.window, start))
}

/// Notes a `Transfer-Encoding` line; only a final `chunked` gives a length.
#[inline(always)]
pub(super) fn transfer_encoding(direction: &mut Direction, start: usize, end: usize) {
    let end = trim_blanks(&mut direction.window, end);
    let last = lower_word(&direction.window, end.wrapping_sub(7)) & LOW_7;
    let chunked = end >= start + 25 && last == text(*b"chunked\0");
    direction.head_flags |= head_flag::ENCODED;
    direction.head_flags &= !head_flag::CHUNKED;
    direction.head_flags |= chunked as u8 * head_flag::CHUNKED;
}

/// Reads the value of `Content-Length`; false if it is no number, or given twice (RFC 9112,
/// section 6.3, lets a recipient refuse equal ones too).
#[inline(always)]
pub(super) fn content_length(direction: &mut Direction, start: usize, end: usize) -> bool {
    let start = skip_blanks(&mut direction.window, start, end);
    let number = number(&mut direction.window, start, end, 10);
    let rest = skip_blanks(&mut direction.window, start + number.len, end);
    let again = direction.head_flags & head_flag::HAS_LENGTH != 0;
    if number.len == 0 || number.len > 18 || rest < end || again {
        return false;
    }
    direction.head_flags |= head_flag::HAS_LENGTH;
    direction.content_length = number.value;
    true
}

/// Position of the first byte that is neither space nor tab; at most four are skipped.
#[inline(always)]
fn skip_blanks(window: &mut Window, start: usize, end: usize) -> usize {
    let mut at = start;
    let mut i = 0;
    while i < 4 {
        let byte = window.byte(at);
        if at >= end || (byte != b' ' && byte != b'\t') {
            break;
        }
        at = window.forget(at + 1);
        i += 1;
    }
    window.forget(at)
}

/// Position behind the last byte before `end` that is neither space nor tab; at most four are
/// taken off.
#[inline(always)]
fn trim_blanks(window: &mut Window, end: usize) -> usize {
    let mut end = end;
    let mut i = 0;
    while i < 4 {
        let byte = window.byte(end.wrapping_sub(1));
        if byte != b' ' && byte != b'\t' {
            break;
        }
        end = window.forget(end.wrapping_sub(1));
        i += 1;
    }
    window.forget(end)
}

/// Digits and what they mean.
pub(super) struct Number {
    pub(super) value: u64,
    /// How many digits.
    pub(super) len: usize,
}

/// Reads up to 20 digits of `base` 10 or 16. Past 15 hexadecimal or 18 decimal digits the value
/// means nothing: callers refuse that length.
#[inline(always)]
pub(super) fn number(window: &mut Window, start: usize, end: usize, base: u64) -> Number {
    let mut value = 0;
    let mut len = 0;
    let mut i = 0;
    while i < 20 {
        let byte = window.byte(start + i);
        let lower = byte | 0x20;
        let decimal = byte.wrapping_sub(b'0');
        let letter = lower.wrapping_sub(b'a');
        let digit = if decimal <= 9 {
            decimal
        } else if base == 16 && letter <= 5 {
            letter + 10
        } else {
            break;
        };
        if start + i >= end {
            break;
        }
        value =
            window.forget((value as u64).wrapping_mul(base).wrapping_add(digit as u64) as usize);
        i += 1;
        len = i;
    }
    Number {
        value: value as u64,
        len: window.forget(len),
    }
}

/// Reads a chunk-size line into `content_length`; false if it is none.
#[inline(always)]
pub(super) fn chunk_size(direction: &mut Direction, start: usize, end: usize) -> bool {
    let number = number(&mut direction.window, start, end, 16);
    let after = start + number.len;
    let byte = direction.window.byte(after);
    let ends = after >= end || byte == b';' || byte == b' ' || byte == b'\t';
    direction.content_length = number.value;
    // RFC 9112, section 7.1: at least one digit; 15 of them are more than any body.
    ends && number.len != 0 && number.len <= 15
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

/// True if the bytes begin a TLS handshake record (RFC 8446, section 5.1).
#[inline(always)]
pub(super) fn is_tls_handshake(window: &Window, start: usize) -> bool {
    window.u64_at(start) & LOW_3 & 0xffff == 0x0316
}
