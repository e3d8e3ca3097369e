//! GraphQL over HTTP/1: the operation in a request's body or target, and errors inside a 200.
//!
//! Read are the first [`DATA_BYTES`] of a body whose request has a path that ends in `/graphql`, of a
//! GET the beginning of its target. Every byte goes through one small machine whose whole state is
//! [`Body`], so it does not matter where segments and chunks end. What stands further on is not
//! read: an operation that is not known by then is [`kind::OTHER`].
//!
//! ```text
//!  body ─▶ json ─┬▶ "operationName":"…" ──────────────▶ name ─┐
//!                ├▶ "query":"…" ─▶ document ─▶ type, name ────┼▶ kind, key ─▶ operation key
//!  target ───────┴▶ "persistedQuery": ────────────────────────┘
//! ```

mod document;
mod json;
mod target;

use bytemuck::{Pod, Zeroable};

use super::Conversation;
#[cfg(doc)]
use super::step;
use crate::{
    FNV_OFFSET, fnv1a_step,
    framing::{
        conversation::{ANSWER_WORDS, Step, more, step as code},
        heads::spare_head,
        http1::method,
        stream::{Direction, head_flag, phase},
        window::{CARRY_BYTES, DATA_BYTES, Load, blank},
    },
};

/// What is known of an operation. Crosses as the last byte of a told name.
pub mod kind {
    /// A query.
    pub const QUERY: u8 = 1;
    /// A mutation.
    pub const MUTATION: u8 = 2;
    /// A subscription.
    pub const SUBSCRIPTION: u8 = 3;
    /// Its name is known and its type is not.
    pub const OPERATION: u8 = 4;
    /// The server has its text; what came is a hash of that.
    pub const PERSISTED: u8 = 5;
    /// Several in one request.
    pub const BATCH: u8 = 6;
    /// It was not found in what is read.
    pub const OTHER: u8 = 7;
}

/// Outcomes of GraphQL, as [`Direction::status`].
pub mod outcome {
    /// The answer tells errors: this plus the status of HTTP, which is [`OK`].
    pub const ERRORS: u16 = 6_000;
    /// The only status whose body is read: the others say themselves what happened.
    pub const OK: u16 = 200;
}

/// Longest name that is told; operations with longer ones are [`kind::OTHER`].
pub const MAX_NAME_BYTES: usize = 64;

/// Bytes that are read in one step.
const STEP_BYTES: usize = 64;

/// Steps that read all that is read of a body or target in one segment.
pub const MAX_STEPS: u32 = DATA_BYTES.div_ceil(STEP_BYTES) as u32 + 1;

/// Chunks of a body that are read.
const MAX_CHUNKS: u8 = 8;

/// Declared length of a body that ends with its connection.
pub(in crate::framing) const UNTIL_CLOSE: u64 = u64::MAX;

/// Where the machine stands. Values of [`Body::mode`].
mod mode {
    /// Between tokens.
    pub const OUT: u8 = 0;
    /// In a string that may be a key.
    pub const STRING: u8 = 1;
    /// In the value of `operationName`.
    pub const NAME: u8 = 2;
    /// In the value of `query`.
    pub const TEXT: u8 = 3;
    /// Nothing more is to be read.
    pub const DONE: u8 = 4;
    /// In a parameter's name; of targets only.
    pub const PARAMETER: u8 = 5;
    /// In a parameter that tells nothing.
    pub const SKIP: u8 = 6;
}

/// Bits of [`Body::flags`].
mod flag {
    /// The byte before was a backslash in a string.
    pub const ESCAPED: u8 = 1;
    /// In a comment of the text.
    pub const COMMENT: u8 = 2;
    /// `persistedQuery` was met.
    pub const PERSISTED: u8 = 4;
    /// `operationName` was given.
    pub const NAMED: u8 = 8;
    /// `query` was given.
    pub const TEXT: u8 = 16;
    /// The name is none, or too long.
    pub const BAD: u8 = 32;
    /// The value is complete.
    pub const CLOSED: u8 = 64;
    /// An answer tells errors, or a request is a batch.
    pub const LIST: u8 = 128;
}

/// What is known of the body under way, if it is read.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Body {
    /// First bytes of the line under way in a body of events; of GraphQL, hash of the word or string
    /// under way.
    pub line: u64,
    /// Hash of the first operation's name in the text; at the end, key of the name to be told.
    pub first: u64,
    /// Hash of the name that was asked for.
    pub operation: u64,
    /// Bytes of the line, word or string under way, as far as they are kept.
    pub line_len: u16,
    /// What is known of the event under way, see [`super::events`].
    pub in_event: u16,
    /// Bytes read.
    pub read: u16,
    /// Chunks read.
    pub chunks: u8,
    /// Where the machine stands.
    pub mode: u8,
    /// Which key the next value belongs to.
    pub key: u8,
    /// Open brackets.
    pub depth: u8,
    /// Open brackets where keys matter.
    pub base: u8,
    /// What a word of the text would be.
    pub want: u8,
    /// Open braces of the text.
    pub braces: u8,
    /// One of [`kind`]; 0 = not known.
    pub kind: u8,
    /// Length of the name kept, bytes.
    pub name_len: u8,
    /// What was met.
    pub flags: u8,
}

const _: () = assert!(size_of::<Body>() == 40 && align_of::<Body>() == 8);

/// Words that hold a name and its kind.
type Name = [u64; ANSWER_WORDS];

const _: () = assert!(size_of::<Name>() > MAX_NAME_BYTES);

impl Body {
    /// Before its first byte.
    #[inline(always)]
    pub(super) fn begin(&mut self) {
        let words: &mut [u64; size_of::<Self>() / 8] = bytemuck::cast_mut(self);
        blank(words);
    }

    #[inline(always)]
    fn has(&self, bit: u8) -> bool {
        self.flags & bit != 0
    }

    /// Before the first byte of a word or string.
    #[inline(always)]
    fn begin_word(&mut self) {
        self.line = FNV_OFFSET;
        self.line_len = 0;
    }

    /// Lets the compiler and the verifier forget what they know of the state: they would follow
    /// each way through the machine by itself.
    #[inline(always)]
    #[cfg_attr(
        target_arch = "bpf",
        expect(unsafe_code, reason = "a block that may change memory, and does not")
    )]
    fn settle(&mut self) {
        #[cfg(target_arch = "bpf")]
        // SAFETY: it does nothing.
        unsafe {
            core::arch::asm!("{0} = {0}", in(reg) &raw mut *self, options(nostack, preserves_flags));
        }
    }
}

/// Key of an operation's name within a path: hash of the name and, behind it, its kind.
#[inline(always)]
const fn name_key(hash: u64, kind: u8) -> u64 {
    fnv1a_step(hash, kind)
}

/// Operation key of a request to a path with this key; the same turns it back.
#[inline(always)]
pub const fn combine(path_op: u64, name_key: u64) -> u64 {
    path_op ^ name_key
}

/// Key of a kind without a name.
pub const fn nameless(kind: u8) -> u64 {
    name_key(FNV_OFFSET, kind)
}

/// Reads on in a body or target: [`step::GRAPHQL`] was answered.
///
/// Answers [`step::NAMED`] where a name is to be told: see [`told`]; and [`step::GRAPHQL`] where it is
/// to be called again at once.
#[inline(always)]
pub fn graphql<L: Load>(conversation: &mut Conversation, is_request: bool, bytes: &mut L) -> Step {
    let direction = conversation.direction_mut(is_request);
    if is_request && direction.method == method::GET {
        if target::read(conversation) {
            return code::GRAPHQL;
        }
        leave(&mut conversation.request);
        return tell(conversation);
    }
    let begins = direction.body.read == 0;
    if is_request {
        spare_head(conversation);
        if begins {
            name_request(conversation, nameless(kind::OTHER));
        }
    }
    let direction = conversation.direction_mut(is_request);
    let is_whole = direction.segment.offset <= direction.next;
    if is_whole && load(direction, bytes) {
        let len = read(conversation, is_request);
        let direction = conversation.direction_mut(is_request);
        direction.next = direction.next.wrapping_add(len);
        direction.content_length = direction.content_length.wrapping_sub(len);
        if !is_done(direction) {
            return wait(direction);
        }
        leave(direction);
        return conclude(conversation, is_request);
    }
    // What is missing may say anything.
    let direction = conversation.direction_mut(is_request);
    leave(direction);
    code::MORE
}

/// The name that [`graphql`] found: its key, its length with the kind behind it, and where it is.
#[inline(always)]
pub fn told(conversation: &Conversation) -> (u64, u32, &Name) {
    let body = &conversation.request.body;
    (body.first, body.name_len as u32, &conversation.answer)
}

/// Bytes of the segment that are read: none beyond the body, its chunk, or what is read of it.
#[inline(always)]
fn load<L: Load>(direction: &mut Direction, bytes: &mut L) -> bool {
    let segment = direction.segment;
    let left = segment.end.wrapping_sub(direction.next);
    let left = left.min(direction.content_length);
    let left = left.min((DATA_BYTES as u64).wrapping_sub(direction.body.read as u64));
    let left = left.min(STEP_BYTES as u64);
    let len = direction.window.forget(left as usize) as u32;
    let at = direction.next.wrapping_sub(segment.offset) as u32;
    direction.scan_to = len;
    len == 0 || bytes.load(at, len, &mut direction.window)
}

/// Takes the bytes in the window; answers how many they are.
#[inline(always)]
fn read(conversation: &mut Conversation, is_request: bool) -> u64 {
    let name = &mut conversation.answer;
    let direction = if is_request {
        &mut conversation.request
    } else {
        &mut conversation.response
    };
    let (len, body, window) = (direction.scan_to, &mut direction.body, &direction.window);
    let mut i = 0;
    while i < STEP_BYTES {
        if i >= len as usize {
            break;
        }
        json::take(body, name, window.byte(CARRY_BYTES + i), is_request);
        body.settle();
        i += 1;
    }
    body.read = body.read.wrapping_add(len as u16);
    len as u64
}

/// True if what follows in the body is not read.
#[inline(always)]
fn is_done(direction: &mut Direction) -> bool {
    let body = &mut direction.body;
    let ends = direction.content_length == 0;
    let chunked = direction.head_flags & head_flag::CHUNKED != 0;
    body.chunks = body.chunks.wrapping_add((ends & chunked) as u8);
    let is_full = body.read >= DATA_BYTES as u16 || body.chunks >= MAX_CHUNKS;
    body.mode == mode::DONE || is_full || (ends && !chunked)
}

/// The body goes on with the next segment or chunk.
#[inline(always)]
fn wait(direction: &mut Direction) -> Step {
    if direction.content_length != 0 {
        let here = direction.segment.end > direction.next;
        return if here { code::GRAPHQL } else { code::DONE };
    }
    end_of_chunk(direction);
    more(direction)
}

/// Behind a chunk there are CR LF, and the size of the next one.
#[inline(always)]
fn end_of_chunk(direction: &mut Direction) {
    direction.next = direction.next.wrapping_add(2);
    direction.phase = phase::CHUNK_SIZE;
    direction.carry_len = 0;
}

/// The rest of the body is passed over.
#[inline(always)]
fn leave(direction: &mut Direction) {
    let rest = direction.content_length;
    direction.head_flags &= !head_flag::GRAPHQL;
    if rest > UNTIL_CLOSE / 2 {
        direction.phase = phase::UNTIL_CLOSE;
        direction.next = direction.segment.end;
        return;
    }
    direction.next = direction.next.wrapping_add(rest);
    direction.phase = phase::BODY;
    if direction.head_flags & head_flag::CHUNKED != 0 {
        end_of_chunk(direction);
    }
}

/// Everything that is read was read.
#[inline(always)]
fn conclude(conversation: &mut Conversation, is_request: bool) -> Step {
    if is_request {
        let (hash, kind) = found(&conversation.request.body);
        settle_name(conversation, hash, kind);
        return tell(conversation);
    }
    let direction = &mut conversation.response;
    if direction.body.has(flag::LIST) {
        direction.status = outcome::ERRORS + outcome::OK;
    }
    code::MORE
}

/// What the operation is: the hash of its name, and its kind.
#[inline(always)]
fn found(body: &Body) -> (u64, u8) {
    let named = body.has(flag::NAMED);
    let is_persisted = body.flags & (flag::PERSISTED | flag::CLOSED | flag::TEXT)
        == flag::PERSISTED | flag::CLOSED;
    let other = if named { kind::OPERATION } else { kind::OTHER };
    let kind = if body.kind != 0 {
        body.kind
    } else if is_persisted {
        kind::PERSISTED
    } else {
        other
    };
    // A name that was asked for and cut off has taken the place of the text's.
    if body.has(flag::BAD) || body.mode == mode::NAME {
        return (FNV_OFFSET, kind::OTHER);
    }
    if body.has(flag::LIST) && body.base == 2 {
        return (FNV_OFFSET, kind::BATCH);
    }
    if named {
        return (body.operation, kind);
    }
    if body.kind != 0 {
        return (body.first, kind);
    }
    (FNV_OFFSET, kind)
}

/// Puts the name into the request's key, and behind its text the kind.
#[inline(always)]
fn settle_name(conversation: &mut Conversation, hash: u64, kind: u8) {
    let key = name_key(hash, kind);
    name_request(conversation, key);
    let body = &mut conversation.request.body;
    let len = body.name_len;
    body.first = key;
    body.name_len = 0;
    if hash != FNV_OFFSET && len as usize <= MAX_NAME_BYTES {
        document::put(&mut conversation.answer, len as usize, kind);
        body.name_len = len + 1;
    }
}

/// Gives the request that was read last its key.
#[inline(always)]
fn name_request(conversation: &mut Conversation, key: u64) {
    let asked = conversation.asked;
    let op = combine(conversation.request.op, key);
    let pending = conversation.pending_mut(asked);
    if pending.is(asked) {
        pending.op = op;
    }
}

#[inline(always)]
fn tell(conversation: &Conversation) -> Step {
    if conversation.request.body.name_len != 0 {
        code::NAMED
    } else {
        code::MORE
    }
}
