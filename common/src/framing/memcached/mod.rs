//! Memcached: the text protocol with its meta commands (`doc/protocol.txt` of memcached), and the
//! binary one (`doc/protocol-binary.txt`).
//!
//! Most commands that say `noreply`, or are quiet, stand alone: nobody waits for them. Quiet
//! reads are different: a client sends many, then a command that is always answered (`mn`,
//! `NOOP`), and waits for that. They are one exchange, named by its first command.
//!
//! The protocol itself leaves open which of several quiet commands an answer belongs to. A run of
//! quiet `mg` that another command than `mn` ends is therefore answered by the first of its
//! answers; what comes behind it counts as unasked. On a connection that had such commands, or one
//! that watches the server's log, answers may come unasked: [`Direction::method`] of the answers
//! says so.

mod answer;
mod binary;
mod command;
mod text;

use super::{
    conversation::Conversation,
    frames::{Frame, Protocol, begins, means, outcome},
    stream::{Direction, head_flag},
    window::Window,
};
use crate::{FNV_OFFSET, flow::protocol};

pub use binary::op_hash as binary_op_hash;

/// Longest command name.
pub const MAX_NAME_BYTES: usize = 14;

/// The Memcached protocol.
pub struct Memcached;

/// What is known of a request, as [`Direction::id`]; binary ones add their opcode to [`BINARY`].
///
/// [`BINARY`]: kind::BINARY
mod kind {
    /// Its line is all, and it is answered.
    pub const PLAIN: u32 = 1;
    /// Its line is all, and may end in `noreply`.
    pub const MAY_BE_ALONE: u32 = 2;
    /// Has a data block: `<key> <flags> <exptime> <bytes>`.
    pub const STORE: u32 = 3;
    /// A meta command: `<key> <flags>*`.
    pub const META: u32 = 4;
    /// `mg`: a quiet one belongs to what ends its run.
    pub const META_GET: u32 = 5;
    /// `ms`: has a data block: `<key> <datalen> <flags>*`.
    pub const META_SET: u32 = 6;
    /// `mn`: everything before it is answered when it is.
    pub const BARRIER: u32 = 7;
    /// Ends the connection without an answer.
    pub const LAST: u32 = 8;
    /// The binary protocol.
    pub const BINARY: u32 = 0x100;
}

/// Where in a message the reader stands, as [`Direction::content_length`].
mod place {
    /// At a line or at a binary header.
    pub const START: u64 = 0;
    /// In a line of which nothing more needs to be known than its end.
    pub const LINE: u64 = 1;
    /// In a key, behind which lengths or flags follow.
    pub const KEY: u64 = 2;
    /// Behind the key.
    pub const BEHIND_KEY: u64 = 3;
    /// The message began with quiet reads. A bit beside the others.
    pub const QUIET_READS: u64 = 0x100;
}

impl Protocol for Memcached {
    const CODE: u8 = protocol::MEMCACHED;
    const LOOK_BYTES: usize = 320;

    #[inline(always)]
    fn read(conversation: &mut Conversation, is_request: bool, from: usize, to: usize) -> Frame {
        // Elsewhere an answer to nobody is one whose request was missed.
        let may_be_unasked = conversation.response.method != 0;
        let unasked = may_be_unasked & (conversation.asked == conversation.answered);
        let awaited = conversation.awaited_id();
        let direction = conversation.direction_mut(is_request);
        let first = begins(direction);
        if first {
            direction.content_length = place::START;
            direction.status = outcome::OK;
        }
        let alone = direction.head_flags & head_flag::ALONE != 0 || (first && unasked);
        let alone = !is_request && alone;
        let alone = direction.window.forget(alone as usize) != 0;
        let awaited = direction.window.forget(awaited as usize) as u32;
        let at_start = direction.content_length & !place::QUIET_READS == place::START;
        let magic = at_start && direction.window.byte(from) == binary::magic(is_request);
        let mut frame = match (is_request, magic) {
            (true, true) => binary::request(direction, from, to),
            (true, false) => command::request(direction, from, to),
            (false, true) => binary::answer(direction, awaited, from, to),
            (false, false) => answer::answer(direction, awaited, alone, from, to),
        };
        if alone && frame.len != 0 {
            frame.means |= means::ALONE;
        }
        if is_request && frame.len != 0 {
            let direction = &conversation.request;
            let quiet = (frame.means & means::ALONE != 0)
                | (direction.content_length & place::QUIET_READS != 0);
            let watches = direction.op == const { op_hash(b"watch") };
            conversation.response.method |= (quiet | watches) as u8;
        }
        frame
    }
}

/// Whether the bytes at `from` begin a command; see [`super::detect`].
#[inline(always)]
pub(super) fn evidence(window: &mut Window, from: usize, to: usize) -> u8 {
    if window.byte(from) == binary::magic(true) {
        return binary::evidence(window, from, to);
    }
    command::evidence(window, from, to)
}

/// Whether the first bytes of a connection, the server's, are an answer to a command that was not
/// seen: one of those that no other server gives.
#[inline(always)]
pub(super) fn answer_evidence(window: &Window, from: usize, to: usize) -> u8 {
    if window.byte(from) == binary::magic(false) {
        return binary::evidence(window, from, to);
    }
    let word = window.u64_at(from) as u32;
    if matches!(&word.to_le_bytes(), b"VALU" | b"STOR" | b"END\r" | b"EXIS") {
        protocol::MEMCACHED
    } else {
        protocol::TCP
    }
}

/// Operation key of a command of the text protocol.
pub const fn op_hash(name: &[u8]) -> u64 {
    let mut words = [0; 2];
    let mut i = 0;
    while i < name.len() && i < MAX_NAME_BYTES {
        words[i / 8] |= (name[i] as u64) << (i % 8 * 8);
        i += 1;
    }
    key(words[0], words[1])
}

/// The same of a name's words, the rest of which is zero.
#[inline(always)]
const fn key(low: u64, high: u64) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    ((FNV_OFFSET ^ low).wrapping_mul(PRIME) ^ high).wrapping_mul(PRIME)
}

/// True if the text protocol has a command of this name.
pub fn is_command(name: &[u8]) -> bool {
    name.len() <= MAX_NAME_BYTES && command::kind_of(op_hash(name)) != 0
}

/// What a request means that its sender wants no answer to.
#[inline(always)]
fn quiet(direction: &mut Direction, reads: bool) -> u32 {
    if reads {
        direction.content_length = place::QUIET_READS;
        return means::PART;
    }
    if direction.content_length & place::QUIET_READS != 0 {
        // Among quiet reads: the command that ends them tells when it was carried out.
        direction.content_length = place::QUIET_READS;
        return means::PART;
    }
    means::PART | means::END | means::ALONE
}
