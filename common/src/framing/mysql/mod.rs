//! MySQL and MariaDB (dev.mysql.com "Client/Server Protocol", mariadb.com "Client/Server Protocol").
//!
//! A packet is three bytes of length, a sequence number and a payload; one of 2^24-1 bytes goes on
//! in the next. The server speaks first; a login is one exchange, [`command::CONNECT`], from the
//! client's answer to the greeting to the server's OK or error. Then each command is a request.
//! Where the client asks for TLS instead, the connection is one of TLS behind that packet.
//!
//! An answer says by its own bytes where it ends, whatever was agreed on at the login: an EOF
//! packet has five bytes and an OK packet that stands for it at least seven. So a connection that
//! is older than its observer is read like any other.

mod answer;
mod evidence;
mod packet;
mod request;
mod results;

use super::{
    conversation::Conversation,
    frames::{Frame, Protocol, means},
    window::DATA_BYTES,
};
use crate::{FNV_OFFSET, flow::protocol, fnv1a_step};

pub(super) use evidence::{evidence, greeting_evidence};

/// First bytes of a command.
pub mod command {
    /// Ends the connection; has no answer.
    pub const QUIT: u8 = 0x01;
    /// SQL text.
    pub const QUERY: u8 = 0x03;
    /// Columns of a table.
    pub const FIELD_LIST: u8 = 0x04;
    /// A line about the server.
    pub const STATISTICS: u8 = 0x09;
    /// Threads of the server.
    pub const PROCESS_INFO: u8 = 0x0a;
    /// The login. No client sends this code: the answer to the greeting has none.
    pub const CONNECT: u8 = 0x0b;
    /// A login on a connection that is there.
    pub const CHANGE_USER: u8 = 0x11;
    /// A replica's subscription to changes: from here on the server tells them without end.
    pub const BINLOG_DUMP: u8 = 0x12;
    /// SQL text that is to be executed later.
    pub const PREPARE: u8 = 0x16;
    /// Executes a prepared statement.
    pub const EXECUTE: u8 = 0x17;
    /// A part of a parameter; has no answer.
    pub const SEND_LONG_DATA: u8 = 0x18;
    /// Forgets a prepared statement; has no answer.
    pub const CLOSE: u8 = 0x19;
    /// Rows of a cursor.
    pub const FETCH: u8 = 0x1c;
    /// As [`BINLOG_DUMP`].
    pub const BINLOG_DUMP_GTID: u8 = 0x1e;
    /// The connection becomes one that copies a whole server.
    pub const CLONE: u8 = 0x20;
    /// The last code that both servers know.
    pub const LAST: u8 = 0x21;
    /// MariaDB: executes a prepared statement with many rows of parameters.
    pub const BULK_EXECUTE: u8 = 0xfa;
}

/// Bytes of a packet before its payload.
pub const HEADER_BYTES: usize = 4;

/// A packet of this length goes on in the next one.
pub(in crate::framing) const CONTINUES: u64 = 0xff_ffff;

/// As far from its packet's beginning a statement's text is read: what can be carried over a cut.
pub const TEXT_END: usize = 96;

/// What is known of a connection, for its whole life: bits of the request direction's
/// `content_length`, which frames have no other use for.
mod fact {
    /// The server's greeting was seen.
    pub const GREETED: u64 = 1;
    /// The client's answer to it was seen.
    pub const SHOOK_HANDS: u64 = 2;
    /// Definitions end with an EOF packet.
    pub const EOFS: u64 = 4;
    /// What follows the login is compressed.
    pub const COMPRESSED: u64 = 8;
    /// Nothing can be framed any more.
    pub const TUNNEL: u64 = 16;
}

/// Where an answer stands: the response direction's `method`. Packets that are still to be passed
/// over are counted in its `content_length`.
mod stage {
    /// Before the first packet of an answer, or of a further result in it.
    pub const FIRST: u8 = 0;
    /// Definitions of columns.
    pub const DEFINITIONS: u8 = 1;
    /// Behind them: an EOF packet, or a row.
    pub const DEFINED: u8 = 2;
    /// Rows.
    pub const ROWS: u8 = 3;
    /// Definitions of a prepared statement's parameters and columns.
    pub const PREPARED: u8 = 4;
    /// The server asked for a file, and the client sends it.
    pub const FILE: u8 = 5;
    /// A bit: the packet goes on in the next one.
    pub const CONTINUED: u8 = 0x80;
}

/// The MySQL protocol.
pub struct Mysql;

impl Protocol for Mysql {
    const CODE: u8 = protocol::MYSQL;
    const LOOK_BYTES: usize = DATA_BYTES;

    #[inline(always)]
    fn read(conversation: &mut Conversation, is_request: bool, from: usize, to: usize) -> Frame {
        if conversation.request.content_length & fact::TUNNEL != 0 {
            return OPAQUE;
        }
        if is_request {
            request::read(conversation, from, to)
        } else {
            answer::read(conversation, from, to)
        }
    }
}

const OPAQUE: Frame = Frame {
    len: 0,
    means: means::OPAQUE,
};

/// True for commands whose answer is that of a login: more rounds, then OK or an error.
#[inline(always)]
fn is_login(kind: u8) -> bool {
    kind == command::CONNECT || kind == command::CHANGE_USER
}

/// Operation key of a command that is no SQL text.
#[inline(always)]
pub fn command_op(kind: u8) -> u64 {
    fnv1a_step(FNV_OFFSET, kind)
}

/// Operation key of preparing a statement, from that of executing it, and the other way round.
#[inline(always)]
pub fn prepare_op(op: u64) -> u64 {
    op ^ 0x5052_4550_4152_4521
}
