//! The beginning of a step: what needs no bytes, loading the window, looking for a lost head.

use super::{
    Conversation,
    events::events,
    graphql::graphql,
    messages::conclude,
    recognise::{missed_look, recognise},
    scan, step,
};
use crate::{
    counter::Loss,
    flow::protocol,
    framing::{
        conversation::{Step, finish_message, lost},
        heads::{note_head, spare_head},
        line,
        stream::{Direction, phase},
        window::{CARRY_BYTES, DATA_BYTES, Load},
    },
};

/// Reads on in the segment under the reader. Call until it answers [`step::DONE`], within a bound
/// of your own.
///
/// The parts are functions of their own in the kernel, where each is verified by itself.
#[inline(always)]
pub fn advance<L: Load>(conversation: &mut Conversation, is_request: bool, bytes: &mut L) -> u32 {
    let mut next = begin(conversation, is_request, bytes);
    if next == step::SCAN {
        let found = scan(conversation, is_request);
        next = conclude(conversation, is_request, found);
    }
    if next == step::EVENTS {
        next = events(conversation, bytes);
    }
    while next == step::GRAPHQL {
        next = graphql(conversation, is_request, bytes);
    }
    if next == step::DETECT {
        next = recognise(conversation, is_request);
    }
    next
}

/// First part of a step: what needs no bytes, else loads the window.
#[inline(always)]
pub fn begin<L: Load>(conversation: &mut Conversation, is_request: bool, bytes: &mut L) -> u32 {
    if conversation.opaque != 0 {
        return step::DONE;
    }
    let direction = conversation.direction_mut(is_request);
    let segment = direction.segment;
    if direction.phase == phase::BODY {
        if segment.end < direction.next {
            return step::DONE;
        }
        return finish_message(conversation, is_request);
    }
    if segment.end <= direction.next {
        return step::DONE;
    }
    if direction.phase >= phase::UNTIL_CLOSE {
        return match direction.phase {
            phase::UNTIL_CLOSE => {
                direction.next = segment.end;
                step::DONE
            }
            phase::EVENTS => step::EVENTS,
            phase::GRAPHQL => step::GRAPHQL,
            _ => look_for_head(conversation, is_request, bytes),
        };
    }
    if segment.offset > direction.next {
        let missed = conversation.resynchronise();
        return lost(conversation, is_request, Loss::SegmentGap, missed);
    }
    if direction.phase == phase::START_LINE && direction.carry_len == 0 {
        direction.message_start = direction.next;
        direction.message_started_ns = segment.time_ns;
        direction.head_flags = 0;
        direction.content_length = 0;
        if is_request {
            conversation.message_read_ns = 0;
        }
    }
    if is_request {
        spare_head(conversation);
    }
    let direction = conversation.direction_mut(is_request);
    let Some(to) = fill(direction, bytes) else {
        let missed = conversation.resynchronise();
        return lost(conversation, is_request, Loss::Unreadable, missed);
    };
    let from = CARRY_BYTES - (direction.carry_len as usize & 127).min(CARRY_BYTES);
    direction.carry_len = 0;
    direction.scan_from = from as u32;
    direction.scan_to = to as u32;
    if direction.phase == phase::START_LINE && is_request {
        note_head(conversation, from, to);
    }
    step::SCAN
}

/// Loads new bytes behind the carried ones and returns where they end in the window.
#[inline(always)]
fn fill<L: Load>(direction: &mut Direction, bytes: &mut L) -> Option<usize> {
    let segment = direction.segment;
    let at = direction.next.wrapping_sub(segment.offset) as u32;
    let left = segment.end.wrapping_sub(direction.next);
    let len = if left > DATA_BYTES as u64 {
        DATA_BYTES as u32
    } else {
        left as u32
    };
    let to = CARRY_BYTES + len as usize;
    if !bytes.load(at, len, &mut direction.window) {
        return None;
    }
    direction.window.blank_from(to);
    Some(to)
}

/// After a hole or a late start: is there a plausible head where this segment begins?
#[inline(always)]
fn look_for_head<L: Load>(
    conversation: &mut Conversation,
    is_request: bool,
    bytes: &mut L,
) -> Step {
    let direction = conversation.direction_mut(is_request);
    let segment = direction.segment;
    if segment.offset < direction.next {
        // Partly old bytes: its beginning is no turn.
        direction.next = segment.end;
        return step::DONE;
    }
    direction.next = segment.offset;
    let Some(to) = fill(direction, bytes) else {
        direction.next = segment.end;
        return lost(conversation, is_request, Loss::Unreadable, 1);
    };
    let len = to - CARRY_BYTES;
    let plausible = if is_request {
        len >= 16 && line::begins_request(&direction.window, CARRY_BYTES)
    } else {
        len >= 12 && line::may_begin_response(&direction.window, CARRY_BYTES, len)
    };
    if plausible {
        direction.phase = phase::START_LINE;
        direction.carry_len = 0;
        direction.misses = 0;
        return step::MORE;
    }
    let unknown = conversation.protocol == protocol::UNKNOWN;
    let direction = conversation.direction_mut(is_request);
    if is_request && unknown {
        direction.scan_from = CARRY_BYTES as u32;
        direction.scan_end = to as u64;
        return step::DETECT;
    }
    direction.next = segment.end;
    if is_request {
        return missed_look(conversation);
    }
    // A download that goes on says nothing about what its connection speaks.
    step::DONE
}
