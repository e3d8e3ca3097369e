//! The target of a GET: `?query=…&operationName=…&extensions=…`, percent-encoded.

use super::{Body, Conversation, Name, STEP_BYTES, document, flag, found, json, mode, settle_name};
use crate::{
    fnv1a_step,
    framing::{
        stream::Direction,
        window::{CARRY_BYTES, Window},
    },
    stable_hash,
};

const QUERY: u64 = stable_hash(b"query");
const OPERATION_NAME: u64 = stable_hash(b"operationName");
const EXTENSIONS: u64 = stable_hash(b"extensions");

/// Reads on in the target, as far as the head is at hand; true if it is to be called again. At the
/// end its request is named, if an operation is.
#[inline(always)]
pub(super) fn read(conversation: &mut Conversation) -> bool {
    if conversation.head_ordinal != conversation.asked {
        return false;
    }
    if conversation.request.body.read == 0 {
        begin(conversation);
    }
    let name = &mut conversation.answer;
    if parameters(&mut conversation.request, name) {
        return true;
    }
    let body = &conversation.request.body;
    if body.flags & (flag::TEXT | flag::NAMED | flag::PERSISTED) != 0 {
        let (hash, kind) = found(body);
        settle_name(conversation, hash, kind);
    }
    false
}

/// Looks for the parameters, in the window or where the head was saved.
#[inline(always)]
fn begin(conversation: &mut Conversation) {
    let mut from = conversation.head_from as usize;
    let direction = &mut conversation.request;
    if conversation.head_saved != 0 {
        // Nothing that is in the window is wanted any more.
        direction.window.put_words(&conversation.head);
        from = (from & 7).wrapping_add(CARRY_BYTES);
    }
    let from = direction.window.forget(from);
    let end = from.wrapping_add(conversation.head_len as usize);
    // Behind `GET ` there is the target, up to the next space.
    let target = from.wrapping_add(4);
    let space = direction.window.find(b' ', target, end);
    let mark = direction.window.find(b'?', target, space);
    let is_there = direction.window.byte(mark) == b'?';
    direction.scan_to = end as u32;
    direction.body.read = mark.wrapping_add(is_there as usize) as u16;
    direction.body.mode = mode::PARAMETER;
    direction.body.begin_word();
}

/// Takes some bytes of the parameters; false at their end.
#[inline(always)]
fn parameters(direction: &mut Direction, name: &mut Name) -> bool {
    let (window, body) = (&mut direction.window, &mut direction.body);
    let end = direction.scan_to as usize;
    let mut at = window.forget(body.read as usize);
    let mut i = 0;
    while i < STEP_BYTES {
        if at >= end {
            return false;
        }
        let raw = window.byte(at);
        if matches!(raw, b' ' | b'#' | b'\r' | b'\n') {
            end_value(body);
            return false;
        }
        let (byte, len) = decoded(window, at, raw);
        take(body, name, raw, byte);
        body.settle();
        at = window.forget(at.wrapping_add(len));
        i += 1;
    }
    body.read = at as u16;
    true
}

/// The byte that stands at a place, and how many it is written in.
#[inline(always)]
fn decoded(window: &Window, at: usize, raw: u8) -> (u8, usize) {
    let digit = |byte: u8| {
        let letter = byte >> 6;
        (byte & 15) + letter * 9
    };
    match raw {
        b'%' => {
            let (high, low) = (window.byte(at + 1), window.byte(at + 2));
            (digit(high) << 4 | digit(low) & 15, 3)
        }
        b'+' => (b' ', 1),
        _ => (raw, 1),
    }
}

#[inline(always)]
fn take(body: &mut Body, name: &mut Name, raw: u8, byte: u8) {
    if raw == b'&' {
        end_value(body);
        body.mode = mode::PARAMETER;
        body.begin_word();
        return;
    }
    match body.mode {
        mode::PARAMETER if raw == b'=' => begin_value(body),
        mode::PARAMETER => body.line = fnv1a_step(body.line, byte),
        mode::TEXT | mode::NAME => document::take(body, name, byte),
        mode::OUT | mode::STRING => json::take(body, name, byte, false),
        _ => {}
    }
}

/// A parameter's name is complete.
#[inline(always)]
fn begin_value(body: &mut Body) {
    body.mode = match body.line {
        QUERY => mode::TEXT,
        OPERATION_NAME => mode::NAME,
        EXTENSIONS => mode::OUT,
        _ => mode::SKIP,
    };
    if body.mode == mode::TEXT {
        document::begin(body);
    }
    body.begin_word();
    body.flags &= !flag::COMMENT;
    body.depth = 0;
}

/// A parameter is complete.
#[inline(always)]
fn end_value(body: &mut Body) {
    if body.mode == mode::TEXT {
        document::end_word(body);
    } else if body.mode == mode::NAME {
        document::end_name(body);
    }
    body.mode = mode::SKIP;
}
