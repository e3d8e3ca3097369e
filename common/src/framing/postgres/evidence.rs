//! Is it PostgreSQL? A startup message tells, or messages that end where their segment ends.

use super::{HEADER_BYTES, Header, client, word_at};
use crate::{
    flow::protocol,
    framing::window::{CARRY_BYTES, DATA_BYTES, Window},
};

/// What stands in the place of a version in messages that ask for something else.
mod code {
    pub const CANCEL: u32 = 80_877_102;
    pub const SSL: u32 = 80_877_103;
    pub const GSSENC: u32 = 80_877_104;
}

/// Length of a request for encryption.
const ENCRYPTION_BYTES: usize = 8;

/// Longest startup message that a server takes (`MAX_STARTUP_PACKET_LENGTH`).
const MAX_STARTUP_BYTES: u32 = 10_000;

/// Longest cancel request: version 3.2 has longer secret keys.
const MAX_CANCEL_BYTES: u32 = 12 + 256;

/// Messages of a segment that are looked at.
const MESSAGES: usize = 8;

/// What a message without a type is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Untyped {
    Startup,
    Encryption,
    Cancel,
    Nothing,
}

/// Reads the eight bytes of length and version.
#[inline(always)]
pub(super) fn untyped(window: &Window, from: usize) -> Untyped {
    let (len, version) = (word_at(window, from), word_at(window, from + 4));
    if len == ENCRYPTION_BYTES as u32 && (version == code::SSL || version == code::GSSENC) {
        Untyped::Encryption
    } else if version == code::CANCEL && len.wrapping_sub(16) <= MAX_CANCEL_BYTES - 16 {
        Untyped::Cancel
    } else if version >> 16 == 3 && len.wrapping_sub(9) <= MAX_STARTUP_BYTES - 9 {
        Untyped::Startup
    } else {
        Untyped::Nothing
    }
}

/// Whether the first bytes of a connection, the client's, begin with such a message. What stands
/// behind it says nothing, since it may come in the same segment or in the next one.
#[inline(always)]
pub(in crate::framing) fn startup_evidence(window: &Window, from: usize, to: usize) -> u8 {
    let known = to.wrapping_sub(from);
    if known < ENCRYPTION_BYTES {
        return protocol::UNKNOWN;
    }
    let found = untyped(window, from);
    if found == Untyped::Nothing {
        return protocol::TCP;
    }
    if found != Untyped::Startup {
        return protocol::POSTGRES;
    }
    if known == ENCRYPTION_BYTES {
        return protocol::UNKNOWN;
    }
    // Parameters by name: `user` first, with most clients.
    if window.byte(from + 8).is_ascii_alphabetic() {
        protocol::POSTGRES
    } else {
        protocol::TCP
    }
}

/// Whether the bytes of a segment of a connection that is older than its observer are messages: a
/// simple query, or a batch that begins with a statement or its parameters, up to the very end.
#[inline(always)]
pub(in crate::framing) fn resumed_evidence(window: &mut Window, from: usize, to: usize) -> u8 {
    let first = Header::at(window, from);
    if to.wrapping_sub(from) < 12 || first.len >> 24 != 0 {
        return protocol::TCP;
    }
    let begins = match first.kind {
        client::QUERY => is_text(window, from + HEADER_BYTES),
        client::PARSE | client::BIND => true,
        _ => false,
    };
    if begins && ends_whole(window, from, to) {
        protocol::POSTGRES
    } else {
        protocol::TCP
    }
}

/// True if six bytes are letters, signs or white space.
#[inline(always)]
fn is_text(window: &Window, at: usize) -> bool {
    const HIGH: u64 = 0x8080_8080_8080;
    const CONTROL: u64 = 0x7878_7878_7878;
    let word = window.u64_at(at);
    // No byte above 127, and none below 8: a text is no number. A carry would go to bit 7.
    word & HIGH == 0 && ((word & CONTROL) + CONTROL) & HIGH == HIGH
}

/// True if messages follow each other up to `to`, the last one one that waits for an answer, or
/// beyond what can be seen.
#[inline(always)]
pub(super) fn ends_whole(window: &mut Window, from: usize, to: usize) -> bool {
    let mut at = from;
    let mut last = 0;
    let mut i = 0;
    while i < MESSAGES {
        if at + HEADER_BYTES > to {
            break;
        }
        let header = Header::at(window, at);
        if !header.is_believed() || !is_of_batch(header.kind) {
            return false;
        }
        last = header.kind as usize;
        at = window.forget(at.wrapping_add(header.len as usize));
        i += 1;
    }
    let last = window.forget(last) as u8;
    if window.forget(i) == MESSAGES {
        return true;
    }
    if at == to {
        let ends_with_zero = window.byte(to.wrapping_sub(1)) == 0;
        return match last {
            client::SYNC | client::FLUSH => true,
            client::QUERY => ends_with_zero,
            _ => false,
        };
    }
    // The window is full: the rest cannot be seen.
    let is_full = to >= CARRY_BYTES + DATA_BYTES && at > from;
    is_full && (at > to || last != client::QUERY)
}

/// True for messages of which a batch consists, and the simple query.
#[inline(always)]
fn is_of_batch(kind: u8) -> bool {
    matches!(
        kind,
        client::QUERY
            | client::PARSE
            | client::BIND
            | client::DESCRIBE
            | client::EXECUTE
            | client::CLOSE
            | client::FLUSH
            | client::SYNC
    )
}
