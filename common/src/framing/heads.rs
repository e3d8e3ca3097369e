//! The first bytes of a request: where they are until its exchange is complete.

use super::{conversation::Conversation, window::CARRY_BYTES};
use crate::{event::HEAD_BYTES, flow::protocol};

/// Notes where the first bytes of a request are, for the detail lane, unless those of an
/// unanswered one are kept.
#[inline(always)]
pub(super) fn note_head(conversation: &mut Conversation, from: usize, to: usize) {
    let ordinal = conversation.asked + 1;
    // What was noted of this very request may have ended in its first line.
    let waits =
        conversation.head_ordinal > conversation.answered && conversation.head_ordinal != ordinal;
    // What follows an upgrade may be the exchange that its head belongs to.
    if waits || conversation.protocol == protocol::UPGRADED {
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
#[expect(unsafe_code, reason = "a plain load would be made for answers, too")]
pub(super) fn spare_head(conversation: &mut Conversation) {
    // The line belongs to the processor that reads requests.
    // SAFETY: a live field of ours.
    let saved = unsafe { core::ptr::read_volatile(&raw const conversation.head_saved) };
    if saved != 0 {
        return;
    }
    // Behind an upgrade it is wanted once more.
    let upgraded = (conversation.protocol == protocol::UPGRADED) as u64;
    let ordinal = conversation.head_ordinal + upgraded;
    if ordinal > conversation.answered {
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
