//! DNS (RFC 1035), one question a query as everybody asks it.
//!
//! Over TCP a message has its length before it (section 4.2.2), answers name their query by its
//! id and may come in any order (RFC 7766, section 6.2.1.1); over UDP a datagram is a message,
//! see [`crate::datagram`].

use super::{
    conversation::Conversation,
    frames::{Frame, Protocol, begins, means, outcome},
    pairing::answers,
    stream::{Direction, phase},
    window::{Window, word_at},
};
use crate::{FNV_OFFSET, flow::protocol, fnv1a_step};

/// Length of a message's header.
pub const HEADER_BYTES: usize = 12;

/// Length of the shortest message with a question: the root's name, a type and a class.
pub const SHORTEST_BYTES: usize = HEADER_BYTES + 5;

/// Labels of a name that are passed over in one step; most names have fewer.
const LABELS: usize = 12;

/// Labels of the longest name, 255 bytes.
const MAX_LABELS: usize = 128;

/// Longest label (section 2.3.4); what is more is a pointer, which no question needs.
const MAX_LABEL_BYTES: u8 = 63;

/// Types of queries that are told apart; only these few and the numbers behind the last known one
/// are operations of their own, so that nobody can make up as many as there are numbers.
const MAX_TYPE: u16 = 260;

/// Types of the queries that are answered with a whole zone, in any number of messages (RFC 5936,
/// RFC 1995).
mod transfer {
    pub const IXFR: u16 = 251;
    pub const AXFR: u16 = 252;
    /// Kind of such a request, as [`super::Direction::method`].
    pub const METHOD: u8 = 1;
    /// Marks the id of the latest one that was answered, as [`super::Direction::op`] of answers.
    pub const ANSWERED: u64 = 1 << 16;
}

/// Bits of the second word of a header.
mod flags {
    pub const ANSWER: u16 = 0x8000;
    pub const OPCODE: u16 = 0x7800;
    /// What a query never has set: it is no answer, not authoritative, not cut, not refused …
    pub const NEVER_ASKED: u16 = 0xfecf;
    pub const CODE: u16 = 0x000f;
}

/// The first twelve bytes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the answer repeats.
    pub id: u16,
    flags: u16,
    questions: u16,
    answers: u16,
    authorities: u16,
    additions: u16,
}

impl Header {
    /// Reads a header.
    #[inline(always)]
    pub fn of(bytes: &[u8; HEADER_BYTES]) -> Self {
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        Self {
            id: word(0),
            flags: word(2),
            questions: word(4),
            answers: word(6),
            authorities: word(8),
            additions: word(10),
        }
    }

    #[inline(always)]
    fn at(window: &Window, at: usize) -> Self {
        let word = |at: usize| (word_at(window, at) >> 16) as u16;
        Self {
            id: word(at),
            flags: word(at + 2),
            questions: word(at + 4),
            answers: word(at + 6),
            authorities: word(at + 8),
            additions: word(at + 10),
        }
    }

    /// True if this begins a query with one question.
    #[inline(always)]
    pub fn is_query(&self) -> bool {
        // An incremental transfer sends what it has as an authority; extensions and signatures
        // are additions.
        let counts = self.questions == 1 && self.answers == 0 && self.authorities <= 1;
        counts && self.additions <= 2 && self.flags & flags::NEVER_ASKED == 0
    }

    /// True if this begins an answer.
    #[inline(always)]
    pub fn is_answer(&self) -> bool {
        self.flags & (flags::ANSWER | flags::OPCODE) == flags::ANSWER && self.questions <= 1
    }

    /// True if the answer found something.
    #[inline(always)]
    pub fn has_answers(&self) -> bool {
        self.answers != 0 && self.flags & flags::CODE == 0
    }

    /// True if something stands behind a query's question.
    #[inline(always)]
    pub fn has_more(&self) -> bool {
        self.authorities != 0 || self.additions != 0
    }

    /// The answer's code as a status.
    #[inline(always)]
    pub fn status(&self) -> u16 {
        match self.flags & flags::CODE {
            0 => outcome::OK,
            code => outcome::FAILED + code,
        }
    }
}

/// Operation key of a query's type; 0 is all those that are not told apart.
#[inline(always)]
pub const fn op_of(kind: u16) -> u64 {
    if kind == 0 || kind > MAX_TYPE {
        return 0;
    }
    1 << 16 | kind as u64
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Operation key, see [`op_of`].
    pub op: u64,
    /// Hash of the question's bytes.
    pub hash: u64,
    /// Window position behind it; 0 = there is none that is complete and valid.
    pub end: usize,
}

/// Reads the question at `from`; bytes are known up to `to`.
#[inline(always)]
pub fn question(window: &mut Window, from: usize, to: usize) -> Question {
    let mut at = window.forget(from);
    let mut ended = 0;
    let mut i = 0;
    while i < MAX_LABELS {
        let label = window.byte(at);
        if at >= to || label > MAX_LABEL_BYTES {
            break;
        }
        at = window.forget(at.wrapping_add(1).wrapping_add(label as usize));
        if label == 0 {
            ended = 1;
            break;
        }
        i += 1;
    }
    let ended = window.forget(ended);
    let end = at.wrapping_add(4);
    let (kind, class) = kind_and_class(window, at);
    let valid = ended != 0 && end <= to && is_class(class) && kind != 0;
    Question {
        op: op_of(kind),
        hash: hash(window, from, end),
        end: if valid { end } else { 0 },
    }
}

/// Type and class of a question, behind its name.
#[inline(always)]
fn kind_and_class(window: &Window, at: usize) -> (u16, u16) {
    let word = word_at(window, at);
    ((word >> 16) as u16, word as u16)
}

/// Internet, Chaos, Hesiod, and any (section 3.2.4); the highest bit is multicast DNS's.
#[inline(always)]
fn is_class(class: u16) -> bool {
    matches!(class, 1 | 3 | 4 | 255)
}

/// Hash of up to 264 bytes of the window, a word a step: the longest question has 259.
#[inline(always)]
fn hash(window: &mut Window, from: usize, to: usize) -> u64 {
    let mut hash = FNV_OFFSET as usize;
    let mut at = window.forget(from);
    let mut i = 0;
    while i < 33 {
        if at >= to {
            break;
        }
        let left = to.wrapping_sub(at);
        // Of the last word only the bytes that belong to it.
        let shift = if left < 8 { (8 - left) * 8 } else { 0 };
        let word = (window.u64_at(at) << (shift & 63)) as usize;
        let mixed = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash = window.forget(mixed ^ (mixed >> 29));
        at = window.forget(at.wrapping_add(8));
        i += 1;
    }
    fnv1a_step(hash as u64, to.wrapping_sub(from) as u8)
}

/// DNS over TCP.
pub struct Dns;

impl Protocol for Dns {
    const CODE: u8 = protocol::DNS;
    const LOOK_BYTES: usize = 304;

    #[inline(always)]
    fn read(conversation: &mut Conversation, is_request: bool, from: usize, to: usize) -> Frame {
        if !is_request {
            return answer(conversation, from, to);
        }
        let resync = conversation.request.phase == phase::RESYNC;
        let direction = &mut conversation.request;
        if begins(direction) {
            return query(direction, from, to, resync);
        }
        labels(direction, from, from, to)
    }
}

/// Whether the bytes at `from` begin a query over TCP; see [`super::detect`].
#[inline(always)]
pub(super) fn evidence(window: &Window, from: usize, to: usize) -> u8 {
    let len = message_len(window, from);
    let known = to.wrapping_sub(from);
    let short = known >= 2 && len < SHORTEST_BYTES;
    // The counts' high bytes are 0: most of what is no query is told by its first words.
    let odd = known >= 5 && window.byte(from + 4) & 0xfe != 0;
    if short || odd {
        return protocol::TCP;
    }
    if known < 2 + HEADER_BYTES + 1 {
        return protocol::UNKNOWN;
    }
    let first = window.byte(from + 2 + HEADER_BYTES);
    if Header::at(window, from + 2).is_query() && first <= MAX_LABEL_BYTES {
        protocol::DNS
    } else {
        protocol::TCP
    }
}

/// Length of the message, which stands before it.
#[inline(always)]
fn message_len(window: &Window, from: usize) -> usize {
    (word_at(window, from) >> 16) as usize
}

/// Begins a query; its name is passed over label by label, however it is cut.
#[inline(always)]
fn query(direction: &mut Direction, from: usize, to: usize, resync: bool) -> Frame {
    let len = message_len(&direction.window, from);
    let known = to.wrapping_sub(from);
    if known >= 2 && len < SHORTEST_BYTES {
        return Frame::BAD;
    }
    if known < 2 + HEADER_BYTES + 1 {
        return if resync { Frame::BAD } else { Frame::CUT };
    }
    let header = Header::at(&direction.window, from + 2);
    if !header.is_query() {
        return Frame::BAD;
    }
    direction.id = header.id as u32;
    direction.op = 0;
    direction.method = 0;
    direction.content_length = (2 + len) as u64;
    labels(direction, from, from + 2 + HEADER_BYTES, to)
}

/// Passes over labels from `at` on, of a query that begins or goes on at `from`; behind the name
/// it learns the type and passes over the rest.
#[inline(always)]
fn labels(direction: &mut Direction, from: usize, at: usize, to: usize) -> Frame {
    let mut at = direction.window.forget(at);
    let mut ended = 0;
    let mut i = 0;
    while i < LABELS {
        let label = direction.window.byte(at);
        if at >= to || label == 0 {
            ended = (at < to) as usize;
            break;
        }
        if label > MAX_LABEL_BYTES {
            return Frame::BAD;
        }
        at = direction
            .window
            .forget(at.wrapping_add(1).wrapping_add(label as usize));
        i += 1;
    }
    let ended = direction.window.forget(ended);
    let passed = at.wrapping_sub(from) as u64;
    let left = direction.content_length;
    // The end of the name, a type and a class are still to come.
    if passed.wrapping_add(5) > left {
        return Frame::BAD;
    }
    if ended == 0 || at.wrapping_add(5) > to {
        direction.content_length = left.wrapping_sub(passed);
        return if passed == 0 {
            Frame::CUT
        } else {
            Frame {
                len: passed,
                means: means::PART,
            }
        };
    }
    let (kind, class) = kind_and_class(&direction.window, at.wrapping_add(1));
    if !is_class(class) {
        return Frame::BAD;
    }
    direction.op = op_of(kind);
    let is_transfer = kind == transfer::AXFR || kind == transfer::IXFR;
    direction.method = if is_transfer { transfer::METHOD } else { 0 };
    Frame {
        len: left,
        means: means::PART | means::END,
    }
}

#[inline(always)]
fn answer(conversation: &mut Conversation, from: usize, to: usize) -> Frame {
    let resync = conversation.response.phase == phase::RESYNC;
    let window = &conversation.response.window;
    let len = message_len(window, from);
    let known = to.wrapping_sub(from);
    if known >= 2 && len < HEADER_BYTES {
        return Frame::BAD;
    }
    if known < 2 + HEADER_BYTES {
        return if resync { Frame::BAD } else { Frame::CUT };
    }
    let header = Header::at(window, from + 2);
    let len = (2 + len) as u64;
    if !header.is_answer() {
        return Frame::BAD;
    }
    if !answers(conversation, header.id as u32) {
        let more_of_a_zone = transfer::ANSWERED | header.id as u64;
        let means = if conversation.response.op == more_of_a_zone {
            means::ASIDE
        } else if resync {
            0
        } else {
            means::ORPHAN
        };
        return Frame { len, means };
    }
    if conversation.awaited_method() == transfer::METHOD {
        conversation.response.op = transfer::ANSWERED | header.id as u64;
    }
    conversation.response.status = header.status();
    Frame {
        len,
        means: means::PART | means::END,
    }
}
