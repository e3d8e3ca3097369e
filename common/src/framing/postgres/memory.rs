//! What is remembered of a connection between its messages.

use bytemuck::{Pod, Zeroable};

use super::{HEADER_BYTES, Header, NAMES_BYTES};
use crate::{
    FNV_OFFSET, fnv1a_step,
    framing::{conversation::Conversation, window::Window},
};

/// How many unanswered Syncs of a connection are remembered.
pub const SYNCS: usize = 16;

/// How many prepared statements and portals of a connection are remembered.
pub const STATEMENTS: usize = 32;

/// Bits of [`Memory::facts`].
pub(super) mod fact {
    /// The text of a statement is under way.
    pub const IN_TEXT: u64 = 1;
    /// The message under way has a Parse or a Bind.
    pub const PREPARES: u64 = 2;
    /// Up to the next answer to a Sync nothing is executed any more.
    pub const FAILED: u64 = 4;
    /// The client asked for encryption; the answer is one byte without a length.
    pub const ENCRYPTION_ASKED: u64 = 8;
}

/// A prepared statement, or a portal.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Statement {
    /// What its name is remembered by; 0 = empty slot.
    pub key: u64,
    /// Operation key of its text.
    pub op: u64,
}

/// What is remembered of a PostgreSQL connection.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Memory {
    /// Where each awaited readiness of the server belongs: the last request before it by ordinal,
    /// times 2, plus 1 if that request ends with it.
    pub syncs: [u64; SYNCS],
    /// How often the client asked for readiness.
    pub syncs_asked: u64,
    /// How often the server told it.
    pub syncs_answered: u64,
    /// Bits of `fact`.
    pub facts: u64,
    /// State of the walk over the text under way, see [`super::text::Walk`].
    pub text_hash: u64,
    /// See `text_hash`.
    pub text_place: u32,
    /// Bytes of the text's message that were read.
    pub text_read: u32,
    /// Bytes of the text's message that were not.
    pub text_left: u64,
    /// What the statement whose text is under way is remembered by; 0 = a simple query.
    pub text_key: u64,
    /// Prepared statements and portals, in any order.
    pub statements: [Statement; STATEMENTS],
    /// Which of them the next one replaces.
    pub next_statement: u64,
    /// Tells unnamed statements before a hole from those behind it.
    pub age: u64,
}

impl Memory {
    #[inline(always)]
    pub(super) fn has(&self, fact: u64) -> bool {
        self.facts & fact != 0
    }

    /// Forgets what was under way when the connection's place was lost.
    #[inline(always)]
    pub(super) fn lose_place(&mut self) {
        self.syncs_asked = 0;
        self.syncs_answered = 0;
        self.syncs[SYNCS - 1] = 0;
        self.facts = 0;
        self.age = self.age.wrapping_add(1);
    }

    /// The client asks for readiness behind this request.
    #[inline(always)]
    pub(super) fn ask(&mut self, ordinal: u64, ends_it: bool) {
        self.syncs[self.syncs_asked as usize & (SYNCS - 1)] = ordinal << 1 | ends_it as u64;
        self.syncs_asked = self.syncs_asked.wrapping_add(1);
    }

    /// The entry of the latest Sync; 0 if there was none.
    #[inline(always)]
    pub(super) fn latest(&self) -> u64 {
        self.syncs[self.syncs_asked.wrapping_sub(1) as usize & (SYNCS - 1)]
    }

    /// Syncs that wait for their answer.
    #[inline(always)]
    pub(super) fn outstanding(&self) -> u64 {
        self.syncs_asked.wrapping_sub(self.syncs_answered)
    }

    /// The entry of the Sync that is answered next; 0 if there is none, or it is not remembered.
    #[inline(always)]
    pub(super) fn awaited(&self) -> u64 {
        if self.outstanding().wrapping_sub(1) >= SYNCS as u64 {
            return 0;
        }
        self.syncs[self.syncs_answered as usize & (SYNCS - 1)]
    }

    /// The server is ready.
    #[inline(always)]
    pub(super) fn answer(&mut self) {
        self.facts &= !fact::FAILED;
        if self.outstanding() != 0 {
            self.syncs_answered = self.syncs_answered.wrapping_add(1);
        }
    }

    /// What a statement of this name is remembered by; never 0.
    #[inline(always)]
    pub(super) fn statement_key(&self, name: u64) -> u64 {
        if name == FNV_OFFSET {
            // The unnamed one is replaced all the time: behind a hole it is another.
            return (self.age << 1 | 1) & (u64::MAX >> 1);
        }
        name | 1 << 63
    }

    /// Operation key of a remembered statement or portal; 0 if it is not.
    #[inline(always)]
    pub(super) fn recall(&self, key: u64) -> u64 {
        let mut op = 0;
        let mut i = 0;
        while i < STATEMENTS {
            if self.statements[i].key == key {
                op = self.statements[i].op;
            }
            i += 1;
        }
        op
    }
}

/// Remembers what a statement or portal does.
#[inline(always)]
pub(super) fn remember(conversation: &mut Conversation, key: u64, op: u64) {
    let mut place = STATEMENTS;
    let mut i = 0;
    while i < STATEMENTS {
        if conversation.postgres.statements[i].key == key {
            place = i;
        }
        i += 1;
    }
    let mut place = conversation.request.window.forget(place);
    let memory = &mut conversation.postgres;
    if place >= STATEMENTS {
        place = memory.next_statement as usize;
        memory.next_statement = memory.next_statement.wrapping_add(1);
    }
    memory.statements[place & (STATEMENTS - 1)] = Statement { key, op };
}

/// What a portal of this name is remembered by; never 0.
#[inline(always)]
pub(super) fn portal_key(name: u64) -> u64 {
    fnv1a_step(name, b'@') | 1 << 63
}

/// Names at the beginning of a message.
pub(super) struct Names {
    /// Hash of the first one; that of an empty one is [`FNV_OFFSET`].
    pub first: u64,
    /// Hash of the last one.
    pub last: u64,
    /// Position behind them; 0 if there are none, as far as can be seen.
    pub end: usize,
    /// They are too long to be read.
    pub is_long: bool,
}

/// Reads one name, or two, each up to its zero.
#[inline(always)]
pub(super) fn names(window: &mut Window, at: usize, to: usize, count: usize) -> Names {
    let end = message_end(window, at, to);
    let most = at.wrapping_add(NAMES_BYTES);
    let limit = window.forget(if end < most { end } else { most });
    let end = window.find(0, at, limit);
    let first = hash_of(window, at, end);
    let (last, end) = if count == 1 {
        (first, end)
    } else {
        let next = window.forget(end.wrapping_add(1));
        let end = if next < limit {
            window.find(0, next, limit)
        } else {
            limit
        };
        let end = window.forget(end);
        (hash_of(window, next, end), end)
    };
    let is_whole = end < limit;
    Names {
        first,
        last,
        end: window.forget(if is_whole { end.wrapping_add(1) } else { 0 }),
        is_long: !is_whole && limit == most,
    }
}

/// Where the message whose header ends at `at` ends, or what is known of it.
#[inline(always)]
fn message_end(window: &mut Window, at: usize, to: usize) -> usize {
    let header = Header::at(window, at.wrapping_sub(HEADER_BYTES));
    let body = header.len.wrapping_sub(HEADER_BYTES as u64);
    let known = to.wrapping_sub(at) as u64;
    at.wrapping_add(if body < known { body } else { known } as usize)
}

/// Hash of the bytes between two positions.
#[inline(always)]
fn hash_of(window: &mut Window, from: usize, to: usize) -> u64 {
    let mut hash = FNV_OFFSET;
    let mut i = 0;
    while i < NAMES_BYTES {
        if from.wrapping_add(i) >= to {
            break;
        }
        hash = fnv1a_step(hash, window.byte(from.wrapping_add(i)));
        i += 1;
    }
    window.forget(hash as usize) as u64
}
