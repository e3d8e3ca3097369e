//! The machine over JSON: keys of the outermost object, and what their values are.

use super::{Body, Name, document, flag, mode};
use crate::{fnv1a_step, stable_hash};

/// Keys that matter. Values of [`Body::key`].
mod key {
    pub const NONE: u8 = 0;
    pub const QUERY: u8 = 1;
    pub const NAME: u8 = 2;
    pub const ERRORS: u8 = 3;
    /// In the list of errors, before its first one.
    pub const LIST: u8 = 4;
}

const QUERY: u64 = stable_hash(b"query");
const OPERATION_NAME: u64 = stable_hash(b"operationName");
const ERRORS: u64 = stable_hash(b"errors");
const PERSISTED_QUERY: u64 = stable_hash(b"persistedQuery");

/// Takes one byte.
#[inline(always)]
pub(super) fn take(body: &mut Body, name: &mut Name, byte: u8, is_request: bool) {
    if body.mode == mode::OUT {
        between(body, byte, is_request);
    } else if body.mode != mode::DONE {
        within(body, name, byte);
    }
}

/// A byte between strings.
#[inline(always)]
fn between(body: &mut Body, byte: u8, is_request: bool) {
    match byte {
        b' ' | b'\t' | b'\r' | b'\n' => {}
        b'"' => begin_string(body),
        b':' => end_key(body, is_request),
        b',' => body.key = key::NONE,
        b'{' | b'[' => open(body, byte, is_request),
        b'}' | b']' => close(body),
        _ => other(body),
    }
}

/// A number or a word; at the beginning it is no JSON that we read.
#[inline(always)]
fn other(body: &mut Body) {
    if body.depth == 0 {
        body.mode = mode::DONE;
    }
    first_error(body);
}

/// Something is in the list of errors.
#[inline(always)]
fn first_error(body: &mut Body) {
    if body.key == key::LIST {
        body.flags |= flag::LIST;
        body.mode = mode::DONE;
    }
}

#[inline(always)]
fn open(body: &mut Body, byte: u8, is_request: bool) {
    let is_list = byte == b'[';
    if body.depth == 0 {
        body.base = 1 + is_list as u8;
        if is_list && is_request {
            body.flags |= flag::LIST;
            body.mode = mode::DONE;
        }
    }
    body.depth = body.depth.saturating_add(1);
    first_error(body);
    body.key = if body.key == key::ERRORS && is_list {
        key::LIST
    } else {
        key::NONE
    };
}

#[inline(always)]
fn close(body: &mut Body) {
    body.key = key::NONE;
    body.depth = body.depth.saturating_sub(1);
    if body.depth == 0 {
        body.flags |= flag::CLOSED;
        body.mode = mode::DONE;
    }
}

/// The string before was a key.
#[inline(always)]
fn end_key(body: &mut Body, is_request: bool) {
    let hash = body.line;
    if body.depth == body.base {
        // An answer asks for nothing, whatever it holds: the name of its request is not its to write.
        body.key = match hash {
            QUERY if is_request => key::QUERY,
            OPERATION_NAME if is_request => key::NAME,
            ERRORS => key::ERRORS,
            _ => key::NONE,
        };
    }
    // Within the extensions: a parameter of a target has them by themselves.
    if body.depth <= body.base.wrapping_add(1) && hash == PERSISTED_QUERY {
        body.flags |= flag::PERSISTED;
    }
}

#[inline(always)]
fn begin_string(body: &mut Body) {
    body.begin_word();
    body.flags &= !flag::COMMENT;
    body.mode = match body.key {
        key::QUERY => mode::TEXT,
        key::NAME => mode::NAME,
        _ => mode::STRING,
    };
    if body.key == key::QUERY {
        document::begin(body);
    }
    if body.depth == 0 {
        body.mode = mode::DONE;
    }
    first_error(body);
    body.key = key::NONE;
}

/// A byte of a string.
#[inline(always)]
fn within(body: &mut Body, name: &mut Name, byte: u8) {
    let escaped = body.has(flag::ESCAPED);
    body.flags &= !flag::ESCAPED;
    let meant = if escaped {
        // Line ends are the only ones that matter: other escapes stand in values.
        if matches!(byte, b'n' | b'r') {
            b'\n'
        } else {
            b' '
        }
    } else if byte == b'\\' {
        body.flags |= flag::ESCAPED;
        return;
    } else if byte == b'"' {
        end_string(body);
        return;
    } else {
        byte
    };
    if body.mode == mode::STRING {
        body.line = fnv1a_step(body.line, meant);
    } else {
        document::take(body, name, meant);
    }
}

#[inline(always)]
fn end_string(body: &mut Body) {
    if body.mode == mode::TEXT {
        document::end_word(body);
    } else if body.mode == mode::NAME {
        document::end_name(body);
    }
    body.mode = mode::OUT;
}
