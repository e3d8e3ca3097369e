//! PostgreSQL, version 3 of its protocol (PostgreSQL manual, "Frontend/Backend Protocol").
//!
//! A message is a type and a length; the client's first ones have no type. What is one exchange:
//! - a login, from the startup message to the server's readiness ([`named::CONNECT`]);
//! - a simple query, whatever number of statements it has, and a function call;
//! - each Execute of the extended protocol with what leads to it, until its own CommandComplete:
//!   so pipelines are counted by statements, not by their Syncs;
//! - what is asked up to a Sync without an Execute: above all, preparing a statement.
//!
//! Where a server grants encryption, the connection is one of TLS behind its one byte.
//!
//! An error ends its exchange at once. What the server then skips up to the next Sync failed with
//! it: those Executes end when it is ready again. Where the answer to a Sync belongs is kept in
//! [`Memory`], as are the names of prepared statements.

mod answer;
mod batch;
mod evidence;
mod memory;
mod request;
pub mod text;

use super::{
    conversation::Conversation,
    frames::{Frame, Protocol, means},
    window::{DATA_BYTES, Window, word_at},
};
use crate::{flow::protocol, stable_hash};

pub(super) use evidence::{resumed_evidence, startup_evidence};
pub use memory::{Memory, STATEMENTS, SYNCS};

/// Types of the client's messages.
pub mod client {
    /// Bind: a statement with its parameters becomes a portal.
    pub const BIND: u8 = b'B';
    /// Close of a statement or portal.
    pub const CLOSE: u8 = b'C';
    /// CopyData.
    pub const COPY_DATA: u8 = b'd';
    /// CopyDone.
    pub const COPY_DONE: u8 = b'c';
    /// CopyFail.
    pub const COPY_FAIL: u8 = b'f';
    /// Describe a statement or portal.
    pub const DESCRIBE: u8 = b'D';
    /// Execute a portal.
    pub const EXECUTE: u8 = b'E';
    /// Flush: the server is to send what it has.
    pub const FLUSH: u8 = b'H';
    /// FunctionCall.
    pub const FUNCTION: u8 = b'F';
    /// Parse: a statement's text.
    pub const PARSE: u8 = b'P';
    /// A password, or a step of SASL or GSSAPI.
    pub const PASSWORD: u8 = b'p';
    /// A simple query.
    pub const QUERY: u8 = b'Q';
    /// Sync: the end of a batch.
    pub const SYNC: u8 = b'S';
    /// Terminate.
    pub const TERMINATE: u8 = b'X';
}

/// Operations that are no SQL text, by what names them.
pub mod named {
    use super::stable_hash;

    /// A login.
    pub const CONNECT: &str = "CONNECT";
    /// FunctionCall.
    pub const FUNCTION: &str = "FUNCTION";
    /// A batch that describes something, and executes and prepares nothing.
    pub const DESCRIBE: &str = "DESCRIBE";
    /// A batch that closes something, and executes and prepares nothing.
    pub const CLOSE: &str = "CLOSE";
    /// A batch of nothing.
    pub const SYNC: &str = "SYNC";
    /// A statement that was prepared when nobody looked, or before too many others.
    pub const PREPARED: &str = "_PREPARED";

    /// Operation key of one of these.
    pub const fn op(name: &str) -> u64 {
        stable_hash(name.as_bytes())
    }
}

/// Bytes of a message's type and length.
pub const HEADER_BYTES: usize = 5;

/// As far from its message's beginning a statement's text is read.
pub const TEXT_END: usize = 240;

/// Names of statements and portals are read as far as this behind a message's header; together
/// they fit into what can be carried over a cut.
pub const NAMES_BYTES: usize = 80;

/// Longest message that is believed; a value's limit is 1 GiB.
const MAX_MESSAGE_BYTES: u64 = (1 << 30) + (1 << 16);

/// Operation key of preparing a statement, from that of executing it.
#[inline(always)]
pub const fn prepare_op(op: u64) -> u64 {
    op ^ 0x5052_4550_4152_4521
}

/// The PostgreSQL protocol.
pub struct Postgres;

impl Protocol for Postgres {
    const CODE: u8 = protocol::POSTGRES;
    const LOOK_BYTES: usize = DATA_BYTES;

    #[inline(always)]
    fn read(conversation: &mut Conversation, is_request: bool, from: usize, to: usize) -> Frame {
        if is_request {
            request::read(conversation, from, to)
        } else {
            answer::read(conversation, from, to)
        }
    }
}

/// A message's type, and its length with the type.
#[derive(Clone, Copy)]
struct Header {
    kind: u8,
    len: u64,
}

impl Header {
    #[inline(always)]
    fn at(window: &Window, at: usize) -> Self {
        let word = window.u64_at(at);
        Self {
            kind: word as u8,
            len: ((word >> 8) as u32).swap_bytes() as u64 + 1,
        }
    }

    /// True if its length is one that messages have.
    #[inline(always)]
    fn is_believed(&self) -> bool {
        self.len.wrapping_sub(HEADER_BYTES as u64) < MAX_MESSAGE_BYTES
    }

    #[inline(always)]
    fn frame(&self, means: u32) -> Frame {
        Frame {
            len: self.len,
            means,
        }
    }
}

/// What was read from `from` to `at` belongs to the message under way.
#[inline(always)]
fn part(from: usize, at: usize, means: u32) -> Frame {
    Frame {
        len: at.wrapping_sub(from) as u64,
        means: means::PART | means,
    }
}
