//! What a client says: logins, queries, data, and where a batch ends.

use super::{
    HEADER_BYTES, Header, TEXT_END, batch, client,
    evidence::{Untyped, ends_whole, untyped},
    memory::{fact, names, remember},
    named, part, prepare_op,
    text::Walk,
    word_at,
};
use crate::framing::{
    conversation::Conversation,
    frames::{Frame, begins, means},
    stream::phase,
};

/// Messages of data that are passed over in one step.
const DATA_MESSAGES: usize = 16;

#[inline(always)]
pub(super) fn read(conversation: &mut Conversation, from: usize, to: usize) -> Frame {
    if conversation.request.phase == phase::RESYNC {
        conversation.postgres.lose_place();
        if !ends_whole(&mut conversation.request.window, from, to) {
            return Frame::BAD;
        }
    }
    if conversation.postgres.has(fact::IN_TEXT) {
        return text(conversation, from, from, to);
    }
    let known = to.wrapping_sub(from);
    let kind = conversation.request.window.byte(from);
    if kind == 0 {
        return without_type(conversation, from, known);
    }
    if !is_kind(kind) {
        return Frame::BAD;
    }
    if known < HEADER_BYTES {
        return Frame::CUT;
    }
    let header = Header::at(&conversation.request.window, from);
    if !header.is_believed() {
        return Frame::BAD;
    }
    match kind {
        client::QUERY => {
            begin_text(conversation, 0, header.len, HEADER_BYTES);
            text(conversation, from, from + HEADER_BYTES, to)
        }
        client::PARSE => parse(conversation, &header, from, to),
        client::BIND | client::DESCRIBE | client::CLOSE | client::EXECUTE | client::FLUSH => {
            batch::read(conversation, &header, from, to)
        }
        client::COPY_DATA => data(conversation, from, to),
        _ => other(conversation, &header),
    }
}

/// True for types of messages.
#[inline(always)]
fn is_kind(kind: u8) -> bool {
    matches!(
        kind,
        client::BIND
            | client::CLOSE
            | client::COPY_DATA
            | client::COPY_DONE
            | client::COPY_FAIL
            | client::DESCRIBE
            | client::EXECUTE
            | client::FLUSH
            | client::FUNCTION
            | client::PARSE
            | client::PASSWORD
            | client::QUERY
            | client::SYNC
            | client::TERMINATE
    )
}

/// Messages at the beginning of a connection.
#[inline(always)]
fn without_type(conversation: &mut Conversation, from: usize, known: usize) -> Frame {
    if conversation.asked != 0 || !begins(&conversation.request) {
        return Frame::BAD;
    }
    if known < 8 {
        return Frame::CUT;
    }
    let window = &conversation.request.window;
    let len = word_at(window, from) as u64;
    let means = match untyped(window, from) {
        Untyped::Encryption => {
            conversation.postgres.facts |= fact::ENCRYPTION_ASKED;
            means::ASIDE
        }
        // A connection of its own, which the server closes without a word.
        Untyped::Cancel => means::PART | means::END | means::ALONE,
        Untyped::Startup => {
            conversation.request.op = named::op(named::CONNECT);
            conversation.postgres.ask(1, true);
            means::PART | means::END
        }
        Untyped::Nothing => return Frame::BAD,
    };
    Frame { len, means }
}

/// Messages without names and text.
#[inline(always)]
fn other(conversation: &mut Conversation, header: &Header) -> Frame {
    let is_bare = header.len == HEADER_BYTES as u64;
    match header.kind {
        client::SYNC if is_bare => sync(conversation),
        client::TERMINATE if is_bare => header.frame(means::PART | means::END | means::ALONE),
        client::COPY_DONE if is_bare => end_data(conversation, header),
        client::COPY_FAIL => end_data(conversation, header),
        client::PASSWORD => {
            add_bytes(conversation, header.len);
            header.frame(means::ASIDE)
        }
        client::FUNCTION => {
            conversation.request.op = named::op(named::FUNCTION);
            let ordinal = conversation.asked + 1;
            conversation.postgres.ask(ordinal, true);
            header.frame(means::PART | means::END)
        }
        _ => Frame::BAD,
    }
}

/// The end of a batch. What was executed in it has its own answers; what was not is one request.
#[inline(always)]
fn sync(conversation: &mut Conversation) -> Frame {
    let asked = conversation.asked;
    let is_bare = begins(&conversation.request);
    let memory = &mut conversation.postgres;
    let mut means = means::ASIDE;
    if is_bare && memory.latest() >> 1 != asked {
        memory.ask(asked, false);
    } else {
        memory.ask(asked + 1, true);
        if is_bare {
            conversation.request.op = named::op(named::SYNC);
        } else if memory.has(fact::PREPARES) {
            conversation.request.op = prepare_op(conversation.request.op);
        }
        memory.facts &= !fact::PREPARES;
        means = means::PART | means::END;
    }
    Frame {
        len: HEADER_BYTES as u64,
        means,
    }
}

/// A text begins `read` bytes behind the beginning of a message of `len` bytes.
#[inline(always)]
fn begin_text(conversation: &mut Conversation, key: u64, len: u64, read: usize) {
    let walk = Walk::new();
    let memory = &mut conversation.postgres;
    memory.facts |= fact::IN_TEXT;
    memory.text_key = key;
    memory.text_hash = walk.hash;
    memory.text_place = walk.place;
    memory.text_read = read as u32;
    memory.text_left = len.wrapping_sub(read as u64);
}

/// Parse: a name, and the text that it stands for.
#[inline(always)]
fn parse(conversation: &mut Conversation, header: &Header, from: usize, to: usize) -> Frame {
    let name = names(&mut conversation.request.window, from + HEADER_BYTES, to, 1);
    if name.is_long {
        // No server keeps such names apart: this is as a statement that is not known.
        conversation.request.op = named::op(named::PREPARED);
        conversation.postgres.facts |= fact::PREPARES;
        return header.frame(means::PART);
    }
    if name.end == 0 {
        let is_whole = to.wrapping_sub(from) as u64 >= header.len;
        return if is_whole { Frame::BAD } else { Frame::CUT };
    }
    let key = conversation.postgres.statement_key(name.last);
    let at = conversation.request.window.forget(name.end);
    let read = at.wrapping_sub(from);
    if read as u64 >= header.len {
        return Frame::BAD;
    }
    begin_text(conversation, key, header.len, read);
    text(conversation, from, at, to)
}

/// Goes on with the text of a statement from `at` on, of a part that begins at `from`.
#[inline(always)]
fn text(conversation: &mut Conversation, from: usize, at: usize, to: usize) -> Frame {
    let memory = &mut conversation.postgres;
    let window = &mut conversation.request.window;
    let mut walk = Walk {
        hash: memory.text_hash,
        place: memory.text_place,
    };
    let left = memory.text_left;
    let wanted = TEXT_END.wrapping_sub(memory.text_read as usize & 255);
    let known = to.wrapping_sub(at);
    let room = if wanted < known { wanted } else { known };
    let room = if left < room as u64 {
        left as usize
    } else {
        room
    };
    let room = window.forget(room);
    let mut is_whole = 0;
    let mut i = 0;
    while i < TEXT_END {
        if i >= room {
            break;
        }
        let byte = window.byte(at + i);
        i += 1;
        if byte == 0 {
            is_whole = 1;
            break;
        }
        walk.push(byte);
    }
    let read = window.forget(i);
    let is_whole = window.forget(is_whole) != 0;
    memory.text_hash = walk.hash;
    memory.text_place = walk.place;
    memory.text_read = memory.text_read.wrapping_add(read as u32);
    memory.text_left = left.wrapping_sub(read as u64);
    let at = at.wrapping_add(read);
    if !is_whole && memory.text_left != 0 && (memory.text_read as usize) < TEXT_END {
        return part(from, at, 0);
    }
    let end = at.wrapping_add(memory.text_left as usize);
    end_text(conversation, walk.key(!is_whole), from, end)
}

/// A text was read as far as it counts; its message ends at `end`.
#[inline(always)]
fn end_text(conversation: &mut Conversation, op: u64, from: usize, end: usize) -> Frame {
    let ordinal = conversation.asked + 1;
    let key = conversation.postgres.text_key;
    conversation.request.op = op;
    conversation.postgres.facts &= !fact::IN_TEXT;
    if key == 0 {
        conversation.postgres.ask(ordinal, true);
        conversation.postgres.facts &= !fact::PREPARES;
        return part(from, end, means::END);
    }
    conversation.postgres.facts |= fact::PREPARES;
    remember(conversation, key, op);
    part(from, end, 0)
}

/// CopyData, of which there may be one for each row.
#[inline(always)]
fn data(conversation: &mut Conversation, from: usize, to: usize) -> Frame {
    let window = &mut conversation.request.window;
    let mut at = from;
    let mut i = 0;
    while i < DATA_MESSAGES {
        if at + HEADER_BYTES > to {
            break;
        }
        let header = Header::at(window, at);
        if header.kind != client::COPY_DATA || !header.is_believed() {
            break;
        }
        at = window.forget(at.wrapping_add(header.len as usize));
        i += 1;
    }
    let len = at.wrapping_sub(from) as u64;
    add_bytes(conversation, len);
    Frame {
        len,
        means: means::ASIDE,
    }
}

/// CopyDone and CopyFail.
#[inline(always)]
fn end_data(conversation: &mut Conversation, header: &Header) -> Frame {
    add_bytes(conversation, header.len);
    // A Sync between an Execute that copies and the end of its data is ignored by the server.
    let memory = &mut conversation.postgres;
    if memory.outstanding() != 0 && memory.latest() == conversation.asked << 1 {
        memory.syncs_asked = memory.syncs_asked.wrapping_sub(1);
    }
    header.frame(means::ASIDE)
}

/// Data and passwords belong to the request that made the server ask for them.
#[inline(always)]
fn add_bytes(conversation: &mut Conversation, len: u64) {
    let asked = conversation.asked;
    let pending = conversation.pending_mut(asked);
    if asked != 0 && pending.is(asked) {
        pending.bytes = pending.bytes.wrapping_add(len);
    }
}
