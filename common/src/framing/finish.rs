//! How messages, exchanges and connections end, and what is lost.

use super::{
    conversation::{Conversation, Step, step},
    http1::{events::skip_events, graphql},
    reads::queue_ns,
    stream::{Direction, head_flag, phase},
    websocket,
};
use crate::{counter::Loss, flow::protocol};

impl Conversation {
    /// The connection ended: a response that lasts until then is complete. True if that finished
    /// an exchange.
    #[inline(always)]
    pub fn close(&mut self, time_ns: u64) -> bool {
        let direction = &self.response;
        // A client leaves a stream of events when it likes: that is no answer cut short.
        let ends = match direction.phase {
            phase::UNTIL_CLOSE | phase::EVENTS => true,
            phase::GRAPHQL => direction.content_length > graphql::UNTIL_CLOSE / 2,
            phase::CHUNK_SIZE => direction.head_flags & head_flag::EVENTS != 0,
            _ => false,
        };
        if self.opaque != 0 || !ends {
            return false;
        }
        let finished = finish_response(self, time_ns);
        self.finished.until_close = 1;
        finished
    }

    /// Finishes the oldest request that will never be answered; false if there is none.
    #[inline(always)]
    pub fn take_unanswered(&mut self, time_ns: u64) -> bool {
        // The requests of HTTP/2 are streams, which end in any order: they are only counted.
        let by_stream = self.protocol == protocol::HTTP2;
        if self.opaque != 0 || self.outstanding() == 0 || by_stream {
            return false;
        }
        if self.protocol == protocol::WEBSOCKET {
            return websocket::end(self, time_ns);
        }
        self.response.status = 0;
        self.response.message_started_ns = 0;
        self.response.message_start = self.response.next;
        finish_response(self, time_ns)
    }

    /// Leaves the rest of a segment unread; 0 if nothing of it mattered any more.
    #[inline(always)]
    pub fn give_up(&mut self, is_request: bool) -> u64 {
        let opaque = self.opaque != 0;
        let direction = self.direction_mut(is_request);
        if opaque || direction.segment.end <= direction.next {
            return 0;
        }
        let left = direction.segment.end.wrapping_sub(direction.next);
        if direction.phase == phase::EVENTS && left < direction.content_length {
            skip_events(direction, left);
            return 1;
        }
        direction.next = direction.segment.end;
        if self.protocol == protocol::WEBSOCKET {
            // Its only exchange goes on.
            self.direction_mut(is_request).phase = phase::RESYNC;
            return 1;
        }
        self.resynchronise()
    }

    /// Forgets what was under way after a hole, and looks for heads again.
    #[inline(always)]
    pub(in crate::framing) fn resynchronise(&mut self) -> u64 {
        let missed = self.outstanding();
        self.answered = self.asked;
        for is_request in [true, false] {
            let direction = self.direction_mut(is_request);
            direction.phase = phase::RESYNC;
            direction.carry_len = 0;
            direction.head_flags = 0;
            // What is missed from here on is counted by this very loss.
            direction.misses = 1;
        }
        if missed == 0 { 1 } else { missed }
    }
}

#[inline(always)]
pub(in crate::framing) fn lost(
    conversation: &mut Conversation,
    is_request: bool,
    reason: Loss,
    missed: u64,
) -> Step {
    conversation.direction_mut(is_request).missed = missed;
    step::LOST + reason as u32
}

#[inline(always)]
pub(in crate::framing) fn more(direction: &Direction) -> Step {
    if direction.segment.end > direction.next {
        step::MORE
    } else {
        step::DONE
    }
}

/// Moves past a body of known length; complete at once if the segment holds all of it.
#[inline(always)]
pub(in crate::framing) fn body_of(
    conversation: &mut Conversation,
    is_request: bool,
    len: u64,
) -> Step {
    let direction = conversation.direction_mut(is_request);
    direction.next = direction.next.wrapping_add(len);
    direction.phase = phase::BODY;
    if direction.segment.end < direction.next {
        return step::DONE;
    }
    finish_message(conversation, is_request)
}

#[inline(always)]
pub(in crate::framing) fn finish_message(
    conversation: &mut Conversation,
    is_request: bool,
) -> Step {
    if !is_request {
        let finished = finish_response(conversation, conversation.response.segment.time_ns);
        return exchange_or_orphan(conversation, finished);
    }
    let asked = conversation.asked;
    let direction = &mut conversation.request;
    direction.phase = phase::START_LINE;
    direction.head_flags = 0;
    direction.messages = direction.messages.wrapping_add(1);
    let bytes = direction.next.wrapping_sub(direction.message_start);
    let pending = conversation.pending_mut(asked);
    if pending.is(asked) {
        pending.bytes = bytes;
    }
    more(&conversation.request)
}

#[inline(always)]
pub(in crate::framing) fn exchange_or_orphan(
    conversation: &mut Conversation,
    finished: bool,
) -> Step {
    if finished {
        step::EXCHANGE
    } else {
        lost(conversation, false, Loss::OrphanResponse, 1)
    }
}

/// Ends the current response and takes the request that it answers; false if there is none.
#[inline(always)]
pub(in crate::framing) fn finish_response(conversation: &mut Conversation, time_ns: u64) -> bool {
    let direction = &mut conversation.response;
    let events = (direction.head_flags / head_flag::EVENTS) & 1;
    direction.phase = phase::START_LINE;
    direction.head_flags = 0;
    direction.messages = direction.messages.wrapping_add(1);
    if conversation.outstanding() == 0 {
        return false;
    }
    let ordinal = conversation.answered + 1;
    let slot = conversation.pending_slot(ordinal);
    let (direction, finished) = (&conversation.response, &mut conversation.finished);
    finished.ordinal = ordinal;
    finished.responded_ns = direction.message_started_ns;
    finished.ended_ns = time_ns;
    finished.response_bytes = direction.next.wrapping_sub(direction.message_start);
    finished.status = direction.status;
    finished.until_close = 0;
    finished.events = events;
    finished.request_messages = 0;
    finished.response_messages = direction.counted;
    let pending = &conversation.pending[slot];
    let known = pending.mask_if(ordinal);
    finished.op = pending.op & known;
    finished.seq = pending.seq & known as u32;
    finished.started_ns = pending.started_ns & known;
    finished.queue_ns = queue_ns(pending.started_ns & known, pending.read_ns);
    finished.request_bytes = pending.bytes & known;
    finished.method = pending.method & known as u8;
    conversation.response.counted = 0;
    // Last: from here on the next request may take the slot.
    conversation.answered = ordinal;
    true
}
