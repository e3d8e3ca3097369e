//! MongoDB (mongodb.com, "MongoDB Wire Protocol"): `OP_MSG`, and for handshakes and old drivers
//! `OP_QUERY`, `OP_REPLY` and their like. Little-endian.
//!
//! What is inside `OP_COMPRESSED` is not read: such requests are counted and paired, but have one
//! name and never fail.

mod answer;
mod document;
mod request;

use bytemuck::Zeroable as _;

use super::{
    conversation::Conversation,
    frames::{Frame, Protocol},
    stream::Direction,
    window::{CARRY_BYTES, DATA_BYTES, Window},
};
use crate::flow::protocol;

pub(super) use {answer::evidence as answer_evidence, request::evidence};

/// The MongoDB protocol.
pub struct MongoDb;

/// Bytes of a request that name it: the rest of a longer name does not count.
pub const NAMING_BYTES: usize = 95;

/// Length of a message's header.
const HEADER_BYTES: usize = 16;

/// The longest message that servers take is 48,000,000 bytes.
const MAX_MESSAGE_BYTES: u32 = 48_000_000;

/// Kinds of messages.
pub mod opcode {
    /// `OP_REPLY`
    pub const REPLY: u32 = 1;
    /// `OP_UPDATE`: not answered.
    pub const UPDATE: u32 = 2001;
    /// `OP_INSERT`: not answered.
    pub const INSERT: u32 = 2002;
    /// `OP_QUERY`
    pub const QUERY: u32 = 2004;
    /// `OP_GET_MORE`
    pub const GET_MORE: u32 = 2005;
    /// `OP_DELETE`: not answered.
    pub const DELETE: u32 = 2006;
    /// `OP_KILL_CURSORS`: not answered.
    pub const KILL_CURSORS: u32 = 2007;
    /// `OP_COMPRESSED`
    pub const COMPRESSED: u32 = 2012;
    /// `OP_MSG`
    pub const MSG: u32 = 2013;
}

/// Bits of the flags of `OP_MSG`.
mod msg_flag {
    /// The sender goes on without waiting for the other side.
    pub const MORE_TO_COME: u32 = 2;
    /// All bits that a reader has to understand.
    pub const REQUIRED: u32 = 0xffff;
    /// Those that there are: `checksumPresent`, `moreToCome`.
    pub const KNOWN: u32 = 3;
    /// The client lets the server send more than one answer.
    pub const EXHAUST_ALLOWED: u32 = 1 << 16;
}

/// Types of BSON elements that matter (bsonspec.org).
mod bson {
    pub const DOUBLE: u8 = 0x01;
    pub const STRING: u8 = 0x02;
    pub const DOCUMENT: u8 = 0x03;
    pub const ARRAY: u8 = 0x04;
    pub const BOOL: u8 = 0x08;
    pub const INT32: u8 = 0x10;
    pub const INT64: u8 = 0x12;
}

impl Protocol for MongoDb {
    const CODE: u8 = protocol::MONGODB;
    const LOOK_BYTES: usize = DATA_BYTES;

    #[inline(always)]
    fn read(conversation: &mut Conversation, is_request: bool, from: usize, to: usize) -> Frame {
        if is_request {
            request::read(&mut conversation.request, from, to)
        } else {
            answer::read(conversation, from, to)
        }
    }
}

/// The header of a message.
struct Header {
    len: u32,
    id: u32,
    answers: u32,
    opcode: u32,
}

#[inline(always)]
fn header(window: &Window, at: usize) -> Header {
    let (low, high) = (window.u64_at(at), window.u64_at(at + 8));
    Header {
        len: low as u32,
        id: (low >> 32) as u32,
        answers: high as u32,
        opcode: (high >> 32) as u32,
    }
}

#[inline(always)]
fn u32_at(window: &Window, at: usize) -> u32 {
    window.u64_at(at) as u32
}

/// Operation key of the request that begins with these bytes, as its reader makes it; 0 if they are
/// none.
pub fn op_of(head: &[u8]) -> u64 {
    let mut direction = Direction::zeroed();
    let len = head.len().min(DATA_BYTES);
    direction.window.data_mut()[..len].copy_from_slice(&head[..len]);
    request::read(&mut direction, CARRY_BYTES, CARRY_BYTES + len);
    direction.op
}
