//! The beginning of a step: what needs no bytes, loading the window, looking for a lost head.

use super::{Conversation, messages::conclude, scan, step};
use crate::{
    counter::Loss,
    flow::protocol,
    framing::{
        conversation::{MAX_MISSES, Step, finish_message, lost},
        detect,
        heads::{note_head, spare_head},
        line,
        stream::{Direction, phase},
        window::{CARRY_BYTES, DATA_BYTES, Load},
    },
};

/// Reads on in the segment under the reader. Call until it answers [`step::DONE`], within a bound
/// of your own.
///
/// The three parts are functions of their own in the kernel, where each is verified by itself.
#[inline(always)]
pub fn advance<L: Load>(conversation: &mut Conversation, is_request: bool, bytes: &mut L) -> u32 {
    let begun = begin(conversation, is_request, bytes);
    if begun != step::SCAN {
        return begun;
    }
    let found = scan(conversation, is_request);
    conclude(conversation, is_request, found)
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
    if direction.phase == phase::UNTIL_CLOSE {
        direction.next = segment.end;
        return step::DONE;
    }
    if direction.phase == phase::RESYNC {
        return look_for_head(conversation, is_request, bytes);
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
    if is_request && conversation.protocol == protocol::UNKNOWN {
        let code = detect::resumed(&mut conversation.request.window, CARRY_BYTES, to);
        if detect::is_framed(code) {
            // Its own reader goes on at this very byte.
            conversation.protocol = code;
            return step::MORE;
        }
    }
    let direction = conversation.direction_mut(is_request);
    direction.next = segment.end;
    if is_request {
        return missed_look(conversation);
    }
    // A download that goes on says nothing about what its connection speaks.
    step::DONE
}

/// No head where a request could begin: one loss when that begins on a connection that speaks
/// HTTP (unless [`Conversation::resynchronise`] counted it), an end to one that never spoke it.
#[inline(always)]
fn missed_look(conversation: &mut Conversation) -> Step {
    let misses = conversation.request.misses;
    if misses < MAX_MISSES {
        conversation.request.misses = misses + 1;
    }
    if conversation.protocol != protocol::UNKNOWN {
        return if misses == 0 {
            lost(conversation, true, Loss::Malformed, 1)
        } else {
            step::DONE
        };
    }
    if misses + 1 >= MAX_MISSES {
        conversation.turn_opaque(protocol::TCP);
    }
    step::DONE
}
