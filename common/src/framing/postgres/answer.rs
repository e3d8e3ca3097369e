//! What a server says: rows, results, errors, readiness, and what it says unasked.

use super::{
    HEADER_BYTES, Header,
    memory::{Memory, fact},
    part,
};
use crate::{
    flow::protocol,
    framing::{
        conversation::Conversation,
        frames::{Frame, begins, means, outcome},
        window::Window,
    },
};

/// Messages that are passed over in one step: as many rows as a window holds.
const MESSAGES: usize = 40;

/// Types of the server's messages that do more than to be there.
mod server {
    /// CommandComplete.
    pub const COMPLETE: u8 = b'C';
    /// EmptyQueryResponse.
    pub const EMPTY: u8 = b'I';
    /// PortalSuspended: the rows that were wanted at once are there.
    pub const SUSPENDED: u8 = b's';
    /// ErrorResponse.
    pub const ERROR: u8 = b'E';
    /// NoticeResponse.
    pub const NOTICE: u8 = b'N';
    /// NotificationResponse.
    pub const NOTIFICATION: u8 = b'A';
    /// ParameterStatus.
    pub const PARAMETER: u8 = b'S';
    /// ReadyForQuery.
    pub const READY: u8 = b'Z';
    /// CopyBothResponse: from here on changes are told to a replica.
    pub const COPY_BOTH: u8 = b'W';
}

/// Length of ReadyForQuery.
const READY_BYTES: u64 = 6;

#[inline(always)]
pub(super) fn read(conversation: &mut Conversation, from: usize, to: usize) -> Frame {
    let header = Header::at(&conversation.response.window, from);
    if conversation.postgres.has(fact::ENCRYPTION_ASKED) {
        conversation.postgres.facts &= !fact::ENCRYPTION_ASKED;
        if header.kind != server::ERROR {
            return encryption(conversation, header.kind);
        }
    }
    if !is_passed(header.kind) && !is_last(header.kind) {
        return Frame::BAD;
    }
    if to.wrapping_sub(from) < HEADER_BYTES {
        return Frame::CUT;
    }
    if !header.is_believed() {
        return Frame::BAD;
    }
    if begins(&conversation.response) {
        if is_aside(conversation, header.kind, from) {
            return header.frame(means::ASIDE);
        }
        conversation.response.status = outcome::OK;
        if header.kind != server::READY && is_closing(conversation) {
            // An answer begins where readiness was due: that was not seen.
            conversation.postgres.answer();
        }
    }
    messages(conversation, from, to)
}

/// The answer to a request for encryption, before a startup message. Where it is granted, the next
/// bytes are those of TLS, the client's first.
#[inline(always)]
fn encryption(conversation: &mut Conversation, answer: u8) -> Frame {
    let (len, means) = match answer {
        b'S' => {
            conversation.protocol = protocol::TLS;
            (1, means::ASIDE)
        }
        // GSSAPI.
        b'G' => (0, means::OPAQUE),
        b'N' => (1, means::ASIDE),
        _ => return Frame::BAD,
    };
    Frame { len, means }
}

/// True for what a server may say between two answers.
#[inline(always)]
fn is_aside(conversation: &Conversation, kind: u8, from: usize) -> bool {
    let is_idle = conversation.asked == conversation.answered && begins(&conversation.request);
    match kind {
        server::NOTIFICATION | server::PARAMETER => true,
        server::NOTICE => is_idle || is_closing(conversation),
        // The server ends the connection. Another error answers what was not seen.
        server::ERROR => is_idle && is_fatal(&conversation.response.window, from),
        _ => false,
    }
}

/// True for an ErrorResponse of the severity FATAL, its first field, in the server's language.
#[inline(always)]
fn is_fatal(window: &Window, from: usize) -> bool {
    window.u64_at(from.wrapping_add(HEADER_BYTES)) << 16 == u64::from_le_bytes(*b"\0\0SFATAL")
}

/// True between the last answer of a batch and the server's readiness.
#[inline(always)]
fn is_closing(conversation: &Conversation) -> bool {
    let awaited = conversation.postgres.awaited();
    awaited != 0 && awaited >> 1 <= conversation.answered
}

/// True if the answer that is due ends with the server's readiness and not with a result.
#[inline(always)]
fn ends_with_ready(memory: &Memory, answered: u64) -> bool {
    memory.awaited() == ((answered + 1) << 1 | 1)
}

/// Passes over messages up to one that ends the answer.
#[inline(always)]
fn messages(conversation: &mut Conversation, from: usize, to: usize) -> Frame {
    let in_query = ends_with_ready(&conversation.postgres, conversation.answered);
    let window = &mut conversation.response.window;
    let in_query = window.forget(in_query as usize) != 0;
    let mut at = from;
    let mut i = 0;
    while i < MESSAGES {
        if at + HEADER_BYTES > to {
            break;
        }
        let header = Header::at(window, at);
        let is_part = is_passed(header.kind) || (in_query && is_result(header.kind));
        if !is_part || !header.is_believed() {
            break;
        }
        at = window.forget(at.wrapping_add(header.len as usize));
        i += 1;
    }
    if at + HEADER_BYTES > to {
        return part(from, at, 0);
    }
    let header = Header::at(window, at);
    if !is_last(header.kind) || !header.is_believed() {
        // Further ones for the next step, or none.
        return part_or_bad(from, at);
    }
    let end = at.wrapping_add(header.len as usize);
    match header.kind {
        server::READY => ready(conversation, &header, from, at),
        server::ERROR if at != from => part(from, at, 0),
        server::ERROR => error(conversation, &header),
        server::COPY_BOTH => part(from, end, means::END | means::OPAQUE),
        _ if in_query => part_or_bad(from, at),
        _ => part(from, end, means::END),
    }
}

#[inline(always)]
fn part_or_bad(from: usize, at: usize) -> Frame {
    if at == from {
        Frame::BAD
    } else {
        part(from, at, 0)
    }
}

/// An error ends the request that waits, or is a part of the answer to what is still being asked.
#[inline(always)]
fn error(conversation: &mut Conversation, header: &Header) -> Frame {
    conversation.response.status = outcome::FAILED;
    conversation.postgres.facts |= fact::FAILED;
    if conversation.asked == conversation.answered {
        return header.frame(means::PART);
    }
    header.frame(means::PART | means::END)
}

/// ReadyForQuery at `at`, behind what was passed over from `from` on.
#[inline(always)]
fn ready(conversation: &mut Conversation, header: &Header, from: usize, at: usize) -> Frame {
    if header.len != READY_BYTES {
        return part_or_bad(from, at);
    }
    let in_answer = at != from || !begins(&conversation.response);
    let memory = &mut conversation.postgres;
    let awaited = memory.awaited();
    let has_failed = memory.has(fact::FAILED);
    let end = at.wrapping_add(READY_BYTES as usize);
    if awaited == 0 {
        // Unasked, or too many Syncs wait to remember where each belongs.
        memory.answer();
        let means = if in_answer { means::END } else { means::ASIDE };
        return part(from, end, means);
    }
    if at != from && (has_failed || awaited >> 1 <= conversation.answered) {
        return part(from, at, 0);
    }
    if awaited >> 1 <= conversation.answered {
        memory.answer();
        return header.frame(means::ASIDE);
    }
    if ends_with_ready(memory, conversation.answered) {
        memory.answer();
        if has_failed {
            conversation.response.status = outcome::FAILED;
        }
        return part(from, end, means::END);
    }
    if !has_failed {
        return Frame::BAD;
    }
    // An Execute that was skipped behind an error: its answer ends before this message.
    conversation.response.status = outcome::FAILED;
    header.frame(means::PART | means::END | means::BEFORE)
}

/// True for results of a statement.
#[inline(always)]
fn is_result(kind: u8) -> bool {
    matches!(kind, server::COMPLETE | server::EMPTY | server::SUSPENDED)
}

/// True for messages that may end an answer.
#[inline(always)]
fn is_last(kind: u8) -> bool {
    is_result(kind) || matches!(kind, server::ERROR | server::READY | server::COPY_BOTH)
}

/// True for messages that are only parts of an answer: rows and their description, data, steps of
/// a login, what is told by the way.
#[inline(always)]
fn is_passed(kind: u8) -> bool {
    matches!(
        kind,
        b'1' | b'2'
            | b'3'
            | b'A'
            | b'D'
            | b'G'
            | b'H'
            | b'K'
            | b'N'
            | b'R'
            | b'S'
            | b'T'
            | b'V'
            | b'c'
            | b'd'
            | b'n'
            | b't'
            | b'v'
    )
}
