//! The last part of a step over bytes that are no HTTP: does another reader know them?

use super::{Conversation, step};
use crate::{
    counter::Loss,
    flow::protocol,
    framing::{
        conversation::{MAX_MISSES, Step, lost, more},
        detect::{detect, is_framed},
        stream::{Direction, phase},
        websocket,
        window::CARRY_BYTES,
    },
};

/// Looks at the bytes that [`step::DETECT`] was answered for: from [`Direction::scan_from`] up to
/// [`Direction::scan_end`] in the window.
#[inline(always)]
pub fn recognise(conversation: &mut Conversation, is_request: bool) -> Step {
    let direction = conversation.direction_mut(is_request);
    let from = direction.scan_from as usize;
    let to = direction.scan_end as usize;
    let len = to.wrapping_sub(from);
    let known = conversation.protocol;
    let found = if is_framed(known) {
        known
    } else {
        detect(conversation, is_request, from, to)
    };
    let direction = conversation.direction_mut(is_request);
    // How it was found is of no matter to the verifier.
    let found = direction.window.forget(found as usize) as u8;
    let from = direction.window.forget(from);
    let len = direction.window.forget(len);
    if direction.phase == phase::RESYNC {
        return resumed(conversation, found);
    }
    if found != protocol::UNKNOWN && !is_framed(found) {
        let upgraded = known == protocol::UPGRADED && found == protocol::TCP;
        conversation.turn_opaque(if upgraded { known } else { found });
        return step::DONE;
    }
    let direction = conversation.direction_mut(is_request);
    if found == protocol::UNKNOWN {
        return undecided(direction, from, len);
    }
    if found == protocol::WEBSOCKET && known != found {
        websocket::begin(conversation);
    }
    conversation.protocol = found;
    reread(conversation.direction_mut(is_request), from, len)
}

/// A connection that is older than its observer: the client's bytes at the beginning of a segment.
#[inline(always)]
fn resumed(conversation: &mut Conversation, found: u8) -> Step {
    if is_framed(found) {
        // Its own reader goes on at this very byte.
        conversation.protocol = found;
        return step::MORE;
    }
    conversation.request.next = conversation.request.segment.end;
    missed_look(conversation)
}

/// The first bytes tell nothing yet: carries them over to the next segment.
#[inline(always)]
fn undecided(direction: &mut Direction, from: usize, len: usize) -> Step {
    let to = from.wrapping_add(len);
    if to != CARRY_BYTES && len < CARRY_BYTES {
        direction.window.carry_from(to);
        direction.carry_len = len as u8;
    }
    more(direction)
}

/// The bytes are for another reader: makes those of this segment unread. Those of earlier ones
/// are carried.
#[inline(always)]
fn reread(direction: &mut Direction, from: usize, len: usize) -> Step {
    let to = from.wrapping_add(len);
    let new = if to == CARRY_BYTES {
        // They were carried already.
        let new = (direction.scan_to as usize).wrapping_sub(CARRY_BYTES);
        direction.window.uncarry(new);
        new
    } else {
        to.wrapping_sub(CARRY_BYTES)
    };
    direction.next = direction.next.wrapping_sub(new as u64);
    direction.carry_len = len.wrapping_sub(new) as u8;
    direction.head_flags = 0;
    more(direction)
}

/// No head where a request could begin: one loss when that begins on a connection that speaks
/// HTTP (unless [`Conversation::resynchronise`] counted it), an end to one that never spoke it.
#[inline(always)]
pub(super) fn missed_look(conversation: &mut Conversation) -> Step {
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
