//! Messages and exchanges: what follows from the lines that were read.

use super::{Conversation, MAX_PENDING, Pending, Step, found, lost, method, step};
use crate::{
    counter::Loss,
    event::HEAD_BYTES,
    flow::protocol,
    framing::{
        line,
        stream::{Direction, head_flag, phase},
        window::CARRY_BYTES,
    },
};

/// Last part of a step: acts on what [`scan`] found.
#[inline(always)]
pub fn conclude(conversation: &mut Conversation, is_request: bool, found: u32) -> u32 {
    let direction = conversation.direction_mut(is_request);
    let (from, to) = (direction.scan_from as usize, direction.scan_to as usize);
    let in_trailers = direction.phase == phase::TRAILERS;
    // `next` stands where the data part begins, so a position maps by this difference.
    let base = direction.next.wrapping_sub(CARRY_BYTES as u64);
    match found {
        found::OPEN => {
            direction.next = base.wrapping_add(to as u64);
            still_http(conversation, is_request)
        }
        found::NEXT => {
            direction.next = base.wrapping_add(direction.scan_end);
            more(direction)
        }
        found::END => {
            direction.next = base.wrapping_add(direction.scan_end);
            if in_trailers {
                return finish_message(conversation, is_request);
            }
            conversation.protocol = protocol::HTTP1;
            if is_request {
                return end_of_request_head(conversation);
            }
            end_of_response_head(conversation)
        }
        _ => {
            direction.next = base.wrapping_add(to as u64);
            not_http(conversation, is_request, from, to.wrapping_sub(from))
        }
    }
}

/// A segment ended in a first line: goes on, unless that line cannot become HTTP.
#[inline(always)]
fn still_http(conversation: &mut Conversation, is_request: bool) -> Step {
    let undecided = conversation.protocol == protocol::UNKNOWN;
    let direction = conversation.direction_mut(is_request);
    if undecided && direction.phase == phase::START_LINE && direction.carry_len != 0 {
        let len = (direction.carry_len as usize & 127).min(CARRY_BYTES);
        let start = CARRY_BYTES - len;
        let may = if is_request {
            line::may_begin_request(&direction.window, start, len)
        } else {
            line::may_begin_response(&direction.window, start, len)
        };
        if !may {
            return not_http(conversation, is_request, start, len);
        }
    }
    more(conversation.direction_mut(is_request))
}

/// Notes where the first bytes of a request are, for the detail lane, unless those of an
/// unanswered one are kept.
#[inline(always)]
pub(super) fn note_head(conversation: &mut Conversation, from: usize, to: usize) {
    let ordinal = conversation.asked + 1;
    // What was noted of this very request may have ended in its first line.
    if conversation.head_ordinal > conversation.answered && conversation.head_ordinal != ordinal {
        return;
    }
    let len = to - from;
    conversation.head_ordinal = ordinal;
    conversation.head_from = from as u16;
    conversation.head_saved = 0;
    conversation.head_len = if len > HEAD_BYTES {
        HEAD_BYTES as u16
    } else {
        len as u16
    };
    if from < CARRY_BYTES {
        // The next carry writes there.
        save_head(conversation);
    }
}

/// Before the window of requests is filled again: saves the head that is in it, if its request is
/// unanswered.
#[inline(always)]
pub(super) fn spare_head(conversation: &mut Conversation) {
    let ordinal = conversation.head_ordinal;
    if conversation.head_saved == 0 && ordinal > conversation.answered {
        save_head(conversation);
    }
}

#[inline(always)]
fn save_head(conversation: &mut Conversation) {
    conversation
        .request
        .window
        .copy_words(conversation.head_from as usize, &mut conversation.head);
    conversation.head_from &= 7;
    conversation.head_saved = 1;
}

/// Bytes that are no HTTP: a first message makes the connection opaque, a later one is a loss.
#[inline(always)]
fn not_http(conversation: &mut Conversation, is_request: bool, from: usize, len: usize) -> Step {
    let in_first_line = conversation.direction_mut(is_request).phase == phase::START_LINE;
    if conversation.protocol != protocol::UNKNOWN || !in_first_line {
        let missed = conversation.resynchronise();
        return lost(conversation, is_request, Loss::Malformed, missed);
    }
    let window = &conversation.direction_mut(is_request).window;
    let found = if line::is_tls_handshake(window, from) {
        protocol::TLS
    } else if len >= 8 && is_request && line::is_http2_preface(window, from) {
        protocol::HTTP2
    } else {
        protocol::TCP
    };
    conversation.turn_opaque(found);
    step::DONE
}

#[inline(always)]
fn end_of_request_head(conversation: &mut Conversation) -> Step {
    let direction = &conversation.request;
    let (flags, length) = (direction.head_flags, direction.content_length);
    let ordinal = conversation.asked + 1;
    if conversation.asked.wrapping_sub(conversation.answered) < MAX_PENDING as u64 {
        conversation.pending[ordinal as usize & (MAX_PENDING - 1)] = Pending {
            ordinal,
            started_ns: direction.message_started_ns,
            op: direction.op,
            offset: direction.message_start,
            bytes: direction.next.wrapping_sub(direction.message_start),
            method: direction.method,
            _pad: [0; 7],
        };
    }
    conversation.asked = ordinal;
    let direction = &mut conversation.request;
    if flags & head_flag::CHUNKED != 0 {
        direction.phase = phase::CHUNK_SIZE;
        return more(direction);
    }
    if flags & head_flag::ENCODED != 0 {
        // RFC 9112, section 6.3: such a request has no length that can be known.
        let missed = conversation.resynchronise();
        return lost(conversation, true, Loss::Malformed, missed);
    }
    body_of(conversation, true, length)
}

#[inline(always)]
fn end_of_response_head(conversation: &mut Conversation) -> Step {
    let direction = &mut conversation.response;
    let (flags, length, status) = (
        direction.head_flags,
        direction.content_length,
        direction.status,
    );
    if status < 200 && status != 101 {
        direction.phase = phase::START_LINE;
        direction.head_flags = 0;
        return more(direction);
    }
    let asked = conversation.pending[(conversation.answered + 1) as usize & (MAX_PENDING - 1)];
    let method = if asked.ordinal == conversation.answered + 1 {
        asked.method
    } else {
        method::NONE
    };
    if status == 101 || (method == method::CONNECT && status < 300) {
        let finished = finish_response(conversation, conversation.response.segment.time_ns);
        conversation.turn_opaque(protocol::UPGRADED);
        return exchange_or_orphan(conversation, finished);
    }
    if method == method::HEAD || status == 204 || status == 304 {
        return finish_message(conversation, false);
    }
    let direction = &mut conversation.response;
    if flags & head_flag::CHUNKED != 0 {
        direction.phase = phase::CHUNK_SIZE;
        return more(direction);
    }
    if flags & head_flag::HAS_LENGTH == 0 || flags & head_flag::ENCODED != 0 {
        direction.phase = phase::UNTIL_CLOSE;
        direction.next = direction.next.max(direction.segment.end);
        return step::DONE;
    }
    body_of(conversation, false, length)
}

#[inline(always)]
fn more(direction: &Direction) -> Step {
    if direction.segment.end > direction.next {
        step::MORE
    } else {
        step::DONE
    }
}

/// Moves past a body of known length; complete at once if the segment holds all of it.
#[inline(always)]
fn body_of(conversation: &mut Conversation, is_request: bool, len: u64) -> Step {
    let direction = conversation.direction_mut(is_request);
    direction.next = direction.next.wrapping_add(len);
    direction.phase = phase::BODY;
    if direction.segment.end < direction.next {
        return step::DONE;
    }
    finish_message(conversation, is_request)
}

#[inline(always)]
pub(super) fn finish_message(conversation: &mut Conversation, is_request: bool) -> Step {
    if !is_request {
        let finished = finish_response(conversation, conversation.response.segment.time_ns);
        return exchange_or_orphan(conversation, finished);
    }
    let asked = conversation.asked;
    let direction = &mut conversation.request;
    direction.phase = phase::START_LINE;
    direction.head_flags = 0;
    direction.messages = direction.messages.wrapping_add(1);
    let pending = &mut conversation.pending[asked as usize & (MAX_PENDING - 1)];
    if pending.ordinal == asked {
        pending.bytes = direction.next.wrapping_sub(direction.message_start);
    }
    more(&conversation.request)
}

#[inline(always)]
fn exchange_or_orphan(conversation: &mut Conversation, finished: bool) -> Step {
    if finished {
        step::EXCHANGE
    } else {
        lost(conversation, false, Loss::OrphanResponse, 1)
    }
}

/// Ends the current response and takes the request that it answers; false if there is none.
#[inline(always)]
pub(super) fn finish_response(conversation: &mut Conversation, time_ns: u64) -> bool {
    let direction = &mut conversation.response;
    direction.phase = phase::START_LINE;
    direction.head_flags = 0;
    direction.messages = direction.messages.wrapping_add(1);
    if conversation.asked == conversation.answered {
        return false;
    }
    let ordinal = conversation.answered + 1;
    conversation.answered = ordinal;
    let finished = &mut conversation.finished;
    finished.ordinal = ordinal;
    finished.responded_ns = direction.message_started_ns;
    finished.ended_ns = time_ns;
    finished.response_bytes = direction.next.wrapping_sub(direction.message_start);
    finished.status = direction.status;
    finished.until_close = 0;
    let pending = &mut conversation.pending[ordinal as usize & (MAX_PENDING - 1)];
    let known = pending.ordinal == ordinal;
    finished.op = if known { pending.op } else { 0 };
    finished.offset = if known { pending.offset } else { 0 };
    finished.started_ns = if known { pending.started_ns } else { 0 };
    finished.request_bytes = if known { pending.bytes } else { 0 };
    finished.method = if known { pending.method } else { method::NONE };
    pending.ordinal = 0;
    true
}
