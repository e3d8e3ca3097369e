//! Answers that name the request they belong to, for protocols that may answer in another order
//! than they were asked in.
//!
//! Requests are remembered in the order in which they were asked, and the oldest one is answered
//! next ([`super::conversation`]). An answer to another one changes places with it first, so that
//! everything behind stays as it is for protocols that answer in order.

use super::conversation::{Conversation, MAX_PENDING, Pending};

/// Makes the request with this [`super::stream::Direction::id`] the one that is answered next;
/// false if nothing that waits can be it.
///
/// An answer to none of the requests that are remembered belongs to one of those that were too
/// many to be remembered, if there are any.
#[inline(always)]
pub(super) fn answers(conversation: &mut Conversation, id: u32) -> bool {
    let outstanding = conversation.outstanding();
    let (known, unknown) = places(conversation, id);
    let place = if known != 0 {
        known
    } else if unknown != 0 {
        unknown
    } else if outstanding > MAX_PENDING as u64 {
        // All that are remembered are older than the first that is not.
        MAX_PENDING + 1
    } else {
        return false;
    };
    if place != 1 {
        bring_forward(conversation, place);
    }
    true
}

/// Places, from 1 for the oldest request that waits, of the first one with this id and of the
/// first one that is not remembered; 0 = none.
#[inline(always)]
fn places(conversation: &mut Conversation, id: u32) -> (usize, usize) {
    let (mut known, mut unknown) = (0, 0);
    let mut i = 0;
    while i < MAX_PENDING {
        let ordinal = conversation.answered.wrapping_add(i as u64 + 1);
        if ordinal > conversation.asked {
            break;
        }
        let pending = &conversation.pending[conversation.pending_slot(ordinal)];
        let remembered = pending.is(ordinal);
        if remembered && pending.id == id {
            known = i + 1;
            break;
        }
        if !remembered && unknown == 0 {
            unknown = i + 1;
        }
        unknown = conversation.response.window.forget(unknown);
        i += 1;
    }
    let known = conversation.response.window.forget(known);
    (known, conversation.response.window.forget(unknown))
}

/// Changes the places of the oldest request that waits and of another one.
#[inline(always)]
fn bring_forward(conversation: &mut Conversation, place: usize) {
    let front = conversation.answered.wrapping_add(1);
    let other = conversation.answered.wrapping_add(place as u64);
    // The same slot if the place is behind all that are remembered.
    let a = conversation.pending_slot(front);
    let b = conversation.pending_slot(other);
    let pending = &mut conversation.pending;
    let front_known = pending[a].is(front);
    let other_known = pending[b].is(other);
    macro_rules! swap {
        ($($field:ident)+) => {
            $(
                // Field by field: a kernel program's stack has no room for two requests.
                let kept = pending[a].$field;
                pending[a].$field = pending[b].$field;
                pending[b].$field = kept;
            )+
        };
    }
    swap!(started_ns read_ns op bytes seq method id);
    pending[a].tag = Pending::tag_of(front) & !1 | other_known as u32;
    pending[b].tag = Pending::tag_of(other) & !1 | front_known as u32;
    if conversation.head_ordinal == front {
        conversation.head_ordinal = other;
    } else if conversation.head_ordinal == other {
        conversation.head_ordinal = front;
    }
}
