//! The extended protocol between a statement's text and its Execute: Bind, Describe, Close, Flush.

use super::{
    HEADER_BYTES, Header, client,
    memory::{fact, names, portal_key, remember},
    named, part,
};
use crate::{
    FNV_OFFSET,
    framing::{
        conversation::Conversation,
        frames::{Frame, begins, means},
    },
};

/// Small messages that are passed over between Bind and Execute.
const SMALL_MESSAGES: usize = 4;

/// Messages from `from` on, of which the first one is no text's.
#[inline(always)]
pub(super) fn read(
    conversation: &mut Conversation,
    header: &Header,
    from: usize,
    to: usize,
) -> Frame {
    if begins(&conversation.request) {
        match header.kind {
            // Behind what it asks to send: no beginning of anything.
            client::FLUSH => return header.frame(means::ASIDE),
            client::DESCRIBE => conversation.request.op = named::op(named::DESCRIBE),
            client::CLOSE => conversation.request.op = named::op(named::CLOSE),
            _ => {}
        }
    }
    let frame = bind(conversation, from, from, to);
    if frame.len != 0 {
        return frame;
    }
    // Its names are not all there.
    if to.wrapping_sub(from) as u64 >= header.len {
        Frame::BAD
    } else {
        Frame::CUT
    }
}

/// Bind, if that is at `at`: which statement is it?
#[inline(always)]
pub(super) fn bind(conversation: &mut Conversation, from: usize, at: usize, to: usize) -> Frame {
    if at + HEADER_BYTES > to {
        return part(from, at, 0);
    }
    let header = Header::at(&conversation.request.window, at);
    if header.kind != client::BIND || !header.is_believed() {
        return small(conversation, from, at, to);
    }
    let names = names(&mut conversation.request.window, at + HEADER_BYTES, to, 2);
    if names.end == 0 && !names.is_long {
        return part(from, at, 0);
    }
    let key = conversation.postgres.statement_key(names.last);
    let mut op = conversation.postgres.recall(key);
    if op == 0 || names.is_long {
        op = named::op(named::PREPARED);
    }
    conversation.request.op = op;
    conversation.postgres.facts |= fact::PREPARES;
    if names.first != FNV_OFFSET && !names.is_long {
        remember(conversation, portal_key(names.first), op);
    }
    // What follows is for the next step: the paths through all of it are too many to verify.
    part(from, at.wrapping_add(header.len as usize), 0)
}

/// Describe, Close and Flush, and an Execute behind them.
#[inline(always)]
fn small(conversation: &mut Conversation, from: usize, at: usize, to: usize) -> Frame {
    let window = &mut conversation.request.window;
    let mut at = at;
    let mut i = 0;
    while i < SMALL_MESSAGES {
        if at + HEADER_BYTES > to {
            break;
        }
        let header = Header::at(window, at);
        let kind = header.kind;
        let is_small = matches!(kind, client::DESCRIBE | client::CLOSE | client::FLUSH);
        if !is_small || !header.is_believed() {
            break;
        }
        at = window.forget(at.wrapping_add(header.len as usize));
        i += 1;
    }
    if at + HEADER_BYTES > to {
        return part(from, at, 0);
    }
    let header = Header::at(window, at);
    if header.kind != client::EXECUTE || !header.is_believed() {
        return part(from, at, 0);
    }
    execute(conversation, &header, from, at, to)
}

/// Execute: the portal that was bound last, or one with a name.
#[inline(always)]
fn execute(
    conversation: &mut Conversation,
    header: &Header,
    from: usize,
    at: usize,
    to: usize,
) -> Frame {
    if at + HEADER_BYTES >= to || header.len == HEADER_BYTES as u64 {
        return part(from, at, 0);
    }
    let window = &mut conversation.request.window;
    if window.byte(at + HEADER_BYTES) != 0 {
        let name = names(window, at + HEADER_BYTES, to, 1);
        if name.end == 0 && !name.is_long {
            return part(from, at, 0);
        }
        let op = conversation.postgres.recall(portal_key(name.last));
        conversation.request.op = if op == 0 {
            named::op(named::PREPARED)
        } else {
            op
        };
    }
    conversation.postgres.facts &= !fact::PREPARES;
    part(from, at.wrapping_add(header.len as usize), means::END)
}
