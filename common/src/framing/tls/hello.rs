//! ClientHello and ServerHello: fixed fields, then one extension after the other.

use super::{HEADER_BYTES, Header, TLS13, fact, op, u16_at};
use crate::framing::{
    conversation::Conversation,
    frames::{Frame, means},
    heads::note_head,
    window::Window,
};

/// Bytes of a record with a hello before its session id: both headers, version, random, length.
const FIXED_BYTES: usize = HEADER_BYTES + 4 + 2 + 32 + 1;

/// Bytes of an extension's type and length.
const EXTENSION_BYTES: usize = 4;

/// Types of handshake messages.
mod message {
    pub const CLIENT_HELLO: u8 = 1;
    pub const SERVER_HELLO: u8 = 2;
}

/// Types of extensions (IANA, "TLS ExtensionType Values").
mod extension_type {
    pub const SERVER_NAME: u16 = 0;
    pub const SUPPORTED_VERSIONS: u16 = 43;
}

/// Where the extensions of a hello lie.
struct Extensions {
    /// Position of the first one.
    first: usize,
    /// Their length, bytes.
    left: u64,
    /// Bytes behind them in their record.
    rest: u64,
}

/// Reads what stands before the extensions. Those are read one by one.
#[inline(always)]
pub(super) fn begin(
    conversation: &mut Conversation,
    is_request: bool,
    from: usize,
    to: usize,
) -> Frame {
    let window = &mut conversation.direction_mut(is_request).window;
    let header = Header::at(window, from);
    if header.len < FIXED_BYTES as u64 {
        return Frame::BAD;
    }
    if to.wrapping_sub(from) < FIXED_BYTES {
        return Frame::CUT;
    }
    if !is_hello(window, is_request, from) {
        return Frame::BAD;
    }
    let session_bytes = window.byte(from + FIXED_BYTES - 1) as usize;
    let at = window.forget(from + FIXED_BYTES + session_bytes);
    let chosen = u16_at(window, at);
    let version = u16_at(window, from + HEADER_BYTES + 4);
    let list_at = if is_request {
        let methods_at = window.forget(at.wrapping_add(2 + chosen as usize));
        methods_at.wrapping_add(1 + window.byte(methods_at) as usize)
    } else {
        at.wrapping_add(3)
    };
    let list_at = window.forget(list_at);
    let message_end = from + HEADER_BYTES + 4 + u16_at(window, from + HEADER_BYTES + 2) as usize;
    let has_list = list_at + 2 <= message_end;
    let needed = if has_list { list_at + 2 } else { list_at };
    // Of a client's hello that is cut here only the name is not seen.
    if !is_request && needed.wrapping_sub(from) as u64 > header.len {
        return Frame::BAD;
    }
    if !is_request && needed > to {
        return Frame::CUT;
    }
    let extensions = extensions(window, &header, from, list_at);
    let half = conversation.tls.half_mut(is_request);
    half.facts |= fact::HELLO;
    half.version = version;
    half.cipher = chosen;
    if !has_list || list_at + 2 > to || extensions.left < EXTENSION_BYTES as u64 {
        return done(conversation, is_request, header.len);
    }
    half.facts |= fact::IN_EXTENSIONS;
    half.rest = extensions.rest as u32;
    conversation.direction_mut(is_request).content_length = extensions.left;
    Frame {
        len: extensions.first.wrapping_sub(from) as u64,
        means: means::PART,
    }
}

/// True for the beginning of a hello of this side.
#[inline(always)]
fn is_hello(window: &Window, is_request: bool, from: usize) -> bool {
    let kind = if is_request {
        message::CLIENT_HELLO
    } else {
        message::SERVER_HELLO
    };
    let word = window.u64_at(from + HEADER_BYTES);
    let session_bytes = window.byte(from + FIXED_BYTES - 1);
    // Type, three bytes of length of which the first is 0, major version.
    word as u8 == kind && word >> 8 & 0xff == 0 && word >> 32 & 0xff == 3 && session_bytes <= 32
}

/// The extensions whose length stands at `list_at`; none if they do not fit into their record.
#[inline(always)]
fn extensions(window: &Window, header: &Header, from: usize, list_at: usize) -> Extensions {
    let first = list_at.wrapping_add(2);
    let before = first.wrapping_sub(from) as u64;
    let left = u16_at(window, list_at) as u64;
    let fits = before.wrapping_add(left) <= header.len;
    Extensions {
        first,
        left: if fits { left } else { 0 },
        rest: header.len.wrapping_sub(before.wrapping_add(left)),
    }
}

/// Reads one extension.
#[inline(always)]
pub(super) fn extension(
    conversation: &mut Conversation,
    is_request: bool,
    from: usize,
    to: usize,
) -> Frame {
    let known = to.wrapping_sub(from);
    if known < EXTENSION_BYTES {
        return Frame::CUT;
    }
    let direction = conversation.direction_mut(is_request);
    let kind = u16_at(&direction.window, from);
    let size = (EXTENSION_BYTES + u16_at(&direction.window, from + 2) as usize) as u64;
    let left = direction.content_length;
    let value = u16_at(&direction.window, from + EXTENSION_BYTES);
    let is_whole = left >= EXTENSION_BYTES as u64 + 2;
    let is_version = !is_request && is_whole && kind == extension_type::SUPPORTED_VERSIONS;
    if is_version && known < EXTENSION_BYTES + 2 {
        return Frame::CUT;
    }
    if is_version {
        let half = conversation.tls.half_mut(false);
        half.version = value;
        if value == TLS13 {
            half.facts |= fact::IS_13;
        }
    }
    let is_name = is_request && kind == extension_type::SERVER_NAME;
    if is_name {
        // What follows matters less than the name that the client asks for.
        note_head(conversation, from, to);
    }
    let after = left.wrapping_sub(size);
    if is_version || is_name || size >= left || after < EXTENSION_BYTES as u64 {
        let rest = conversation.tls.half_mut(is_request).rest as u64;
        return done(conversation, is_request, left.wrapping_add(rest));
    }
    conversation.direction_mut(is_request).content_length = after;
    Frame {
        len: size,
        means: means::PART,
    }
}

/// A hello was read as far as it matters; so many bytes are left of its record.
#[inline(always)]
fn done(conversation: &mut Conversation, is_request: bool, len: u64) -> Frame {
    let half = conversation.tls.half_mut(is_request);
    half.facts &= !fact::IN_EXTENSIONS;
    let agreed = op(half.version, half.cipher);
    if is_request {
        conversation.request.op = op(0, 0);
        return Frame {
            len,
            means: means::PART | means::END,
        };
    }
    let ordinal = conversation.answered + 1;
    let pending = conversation.pending_mut(ordinal);
    if pending.is(ordinal) {
        pending.op = agreed;
    }
    Frame {
        len,
        means: means::PART,
    }
}
