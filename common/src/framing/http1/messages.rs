//! Messages and exchanges: what follows from the lines that were read.

use super::{Conversation, found, graphql, method, scan::phase_of, step};
use crate::{
    counter::Loss,
    flow::protocol,
    framing::{
        conversation::{
            Step, body_of, exchange_or_orphan, finish_message, finish_response, lost, more,
        },
        detect::{is_framed, is_word},
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
    let empty_line = found == found::NEXT && direction.phase == phase::START_LINE;
    let found = if empty_line && is_request && may_be_binary(conversation, from, to) {
        found::BAD
    } else {
        found
    };
    let direction = conversation.direction_mut(is_request);
    let found = direction.window.forget(found as usize) as u32;
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
            if conversation.protocol == protocol::UPGRADED {
                conversation.turn_opaque(protocol::UPGRADED);
                return step::DONE;
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

/// True if what seems to be an empty line may be a length of MongoDB that has a line feed for a
/// byte: the highest one of four is no text. In a segment of less it is not seen.
#[inline(always)]
fn may_be_binary(conversation: &Conversation, from: usize, to: usize) -> bool {
    let highest = conversation.request.window.byte(from + 3);
    let is_length = (to >= from + 4) & (highest < b'\t');
    is_length & (conversation.protocol == protocol::UNKNOWN)
}

/// A segment ended in a first line: goes on, unless that line cannot become HTTP.
#[inline(always)]
fn still_http(conversation: &mut Conversation, is_request: bool) -> Step {
    let code = conversation.protocol;
    let undecided = matches!(code, protocol::UNKNOWN | protocol::UPGRADED);
    let direction = conversation.direction_mut(is_request);
    if undecided && direction.phase == phase::START_LINE && direction.carry_len != 0 {
        let len = (direction.carry_len as usize & 127).min(CARRY_BYTES);
        let start = CARRY_BYTES - len;
        let may = if is_request {
            !is_word(direction, start, CARRY_BYTES)
                && line::may_begin_request(&direction.window, start, len)
        } else {
            line::may_begin_response(&direction.window, start, len)
        };
        if !may {
            return not_http(conversation, is_request, start, len);
        }
    }
    more(conversation.direction_mut(is_request))
}

/// Bytes that are no HTTP: of a first message something else may know them, a later one is a loss.
#[inline(always)]
fn not_http(conversation: &mut Conversation, is_request: bool, from: usize, len: usize) -> Step {
    // The other direction may have recognised it at this very moment, on another CPU.
    let code = conversation.protocol;
    let unknown = matches!(code, protocol::UNKNOWN | protocol::UPGRADED) || is_framed(code);
    let direction = conversation.direction_mut(is_request);
    if unknown && direction.phase == phase::START_LINE {
        direction.scan_from = from as u32;
        direction.scan_end = from.wrapping_add(len) as u64;
        return step::DETECT;
    }
    let missed = conversation.resynchronise();
    lost(conversation, is_request, Loss::Malformed, missed)
}

#[inline(always)]
fn end_of_request_head(conversation: &mut Conversation) -> Step {
    let direction = &mut conversation.request;
    let is_graphql = direction
        .window
        .forget(line::is_graphql(direction) as usize) as u8;
    direction.id = is_graphql as u32;
    direction.head_flags |= is_graphql * head_flag::GRAPHQL;
    direction.body.begin();
    conversation.ask();
    let direction = &mut conversation.request;
    let (flags, length) = (direction.head_flags, direction.content_length);
    if flags & head_flag::CHUNKED != 0 {
        // Only responses are events.
        direction.head_flags = flags & !head_flag::EVENTS;
        direction.phase = phase::CHUNK_SIZE;
        return more(direction);
    }
    if flags & head_flag::ENCODED != 0 {
        // RFC 9112, section 6.3: such a request has no length that can be known.
        let missed = conversation.resynchronise();
        return lost(conversation, true, Loss::Malformed, missed);
    }
    let direction = &mut conversation.request;
    if flags & head_flag::GRAPHQL != 0 && (length != 0 || direction.method == method::GET) {
        direction.phase = phase::GRAPHQL;
        return step::GRAPHQL;
    }
    body_of(conversation, true, length)
}

/// Another protocol begins on both sides: HTTP/2 and WebSocket are known by their first bytes.
#[inline(always)]
fn upgrade(conversation: &mut Conversation) -> Step {
    let finished = finish_response(conversation, conversation.response.segment.time_ns);
    conversation.protocol = protocol::UPGRADED;
    for is_request in [true, false] {
        let direction = conversation.direction_mut(is_request);
        direction.message_start = direction.next;
    }
    exchange_or_orphan(conversation, finished)
}

/// A response's head says what its body consists of, unless that is compressed.
#[inline(always)]
fn begin_body(direction: &mut Direction, of_graphql: u8) {
    let flags = direction.head_flags;
    let known = if flags & head_flag::CODED != 0 {
        0
    } else if flags & head_flag::EVENTS != 0 {
        head_flag::EVENTS
    } else if direction.status == graphql::outcome::OK {
        of_graphql
    } else {
        0
    };
    let known = direction.window.forget(known as usize) as u8;
    direction.head_flags = flags & !(head_flag::EVENTS | head_flag::GRAPHQL) | known;
    direction.counted = 0;
    direction.body.begin();
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
    let method = conversation.awaited_method();
    if status == 101 {
        return upgrade(conversation);
    }
    if method == method::CONNECT && status < 300 {
        let finished = finish_response(conversation, conversation.response.segment.time_ns);
        conversation.turn_opaque(protocol::UPGRADED);
        return exchange_or_orphan(conversation, finished);
    }
    if method == method::HEAD || status == 204 || status == 304 {
        return finish_message(conversation, false);
    }
    let of_graphql = conversation.awaited_id() as u8 * head_flag::GRAPHQL;
    let direction = &mut conversation.response;
    begin_body(direction, of_graphql);
    if flags & head_flag::CHUNKED != 0 {
        direction.phase = phase::CHUNK_SIZE;
        return more(direction);
    }
    let until_close = flags & head_flag::HAS_LENGTH == 0 || flags & head_flag::ENCODED != 0;
    let read = direction.head_flags & (head_flag::EVENTS | head_flag::GRAPHQL);
    if read != 0 && (until_close || length != 0) {
        direction.content_length = if until_close { u64::MAX } else { length };
        direction.phase = phase_of(read);
        return more(direction);
    }
    if until_close {
        direction.phase = phase::UNTIL_CLOSE;
        direction.next = direction.next.max(direction.segment.end);
        return step::DONE;
    }
    body_of(conversation, false, length)
}
