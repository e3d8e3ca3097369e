//! ZooKeeper: jute records in frames of a four-byte length (`zookeeper.jute` and
//! `ZooDefs.OpCode` of Apache ZooKeeper 3.8).
//!
//! A client begins with a `ConnectRequest`; every further message begins with a header: xid and
//! operation of a request, xid, zxid and error of an answer. Answers name their request by its
//! xid. Watch events are sent unasked. A connection may ask one four-letter word instead, and the
//! answer ends with it.

use super::{
    conversation::Conversation,
    frames::{Frame, Protocol, means, outcome},
    pairing::answers,
    stream::phase,
    window::{Window, word_at},
};
use crate::flow::protocol;

/// Operation codes of requests.
pub mod opcode {
    /// exists
    pub const EXISTS: i32 = 3;
    /// Keeps the session alive.
    pub const PING: i32 = 11;
    /// multi: a transaction.
    pub const MULTI: i32 = 14;
    /// reconfig: the one operation from create to addWatch that begins with no path.
    pub const RECONFIG: i32 = 16;
    /// multiRead
    pub const MULTI_READ: i32 = 22;
    /// auth
    pub const AUTH: i32 = 100;
    /// setWatches
    pub const SET_WATCHES: i32 = 101;
    /// sasl
    pub const SASL: i32 = 102;
    /// setWatches2
    pub const SET_WATCHES_2: i32 = 105;
    /// whoAmI
    pub const WHO_AM_I: i32 = 107;
    /// closeSession
    pub const CLOSE_SESSION: i32 = -11;
}

/// xids with a meaning of their own.
mod xid {
    pub const WATCH_EVENT: u32 = -1i32 as u32;
    pub const PING: u32 = -2i32 as u32;
    pub const AUTH: u32 = -4i32 as u32;
    pub const SET_WATCHES: u32 = -8i32 as u32;
}

/// `KeeperException.Code` of a node that does not exist.
pub const NO_NODE: i32 = -101;

/// Operation key of a `ConnectRequest`, which has no operation code.
pub const OP_CONNECT: u64 = 0x100;

/// Longest frame that is believed; servers refuse far shorter ones (`jute.maxbuffer`).
const MAX_FRAME_BYTES: u32 = 1 << 28;

/// Length of a `RequestHeader`.
const REQUEST_HEADER_BYTES: u32 = 8;

/// Length of a `ReplyHeader`.
const REPLY_HEADER_BYTES: u32 = 16;

/// Length of a `ConnectRequest` without its password and what later versions put behind it.
const CONNECT_BYTES: u32 = 28;

/// Longest session password; it has 16 bytes.
const MAX_PASSWORD_BYTES: u32 = 64;

/// The ZooKeeper protocol.
pub struct ZooKeeper;

impl Protocol for ZooKeeper {
    const CODE: u8 = protocol::ZOOKEEPER;
    const LOOK_BYTES: usize = 64;

    #[inline(always)]
    fn read(conversation: &mut Conversation, is_request: bool, from: usize, to: usize) -> Frame {
        if is_request {
            request(conversation, from, to)
        } else {
            answer(conversation, from, to)
        }
    }
}

/// Operation key of a request's operation code; never 0, and below [`OP_CONNECT`].
pub const fn op_of(code: i32) -> u64 {
    (code as u8 as u64) + 1
}

/// Operation key of a four-letter word, as it stands on the wire.
pub const fn op_of_word(word: [u8; 4]) -> u64 {
    u32::from_be_bytes(word) as u64
}

/// Whether the bytes at `from` begin a connection or a request; see [`super::detect`].
#[inline(always)]
pub(super) fn evidence(window: &Window, from: usize, to: usize) -> u8 {
    let len = to.wrapping_sub(from);
    if len < 12 {
        // Lengths are far below 2^24, operation codes near 0; of a connect request any number may
        // stand there.
        let code = window.byte(from + 8);
        let is_connect = word_at(window, from + 4) == 0;
        let may = window.byte(from) == 0 && (len <= 8 || is_connect | (code == 0) | (code == 0xff));
        return if may {
            protocol::UNKNOWN
        } else {
            protocol::TCP
        };
    }
    let frame = word_at(window, from);
    let (id, code) = (word_at(window, from + 4), word_at(window, from + 8) as i32);
    if id == 0 {
        return connect_evidence(window, from, to, frame);
    }
    let whole = match code {
        opcode::PING => id == xid::PING && frame == REQUEST_HEADER_BYTES,
        opcode::AUTH => id == xid::AUTH,
        opcode::SET_WATCHES | opcode::SET_WATCHES_2 => id == xid::SET_WATCHES,
        opcode::CLOSE_SESSION => id as i32 > 0 && frame == REQUEST_HEADER_BYTES,
        _ => false,
    };
    if whole && frame < MAX_FRAME_BYTES {
        return protocol::ZOOKEEPER;
    }
    let multi = code == opcode::MULTI || code == opcode::MULTI_READ;
    if id as i32 <= 0 || frame >= MAX_FRAME_BYTES || !(multi || begins_with_path(code)) {
        return protocol::TCP;
    }
    if len < 21 {
        // A path of one byte ends before.
        return if len < 17 || multi {
            protocol::UNKNOWN
        } else {
            path_evidence(window, from, frame)
        };
    }
    if multi {
        // The header of the first part: an operation, not done, error -1.
        let plausible = window.byte(from + 16) == 0 && word_at(window, from + 17) == u32::MAX;
        return if plausible {
            protocol::ZOOKEEPER
        } else {
            protocol::TCP
        };
    }
    path_evidence(window, from, frame)
}

/// Operations whose request begins with the path of a node.
#[inline(always)]
fn begins_with_path(code: i32) -> bool {
    ((1..=21).contains(&code) && code != 10 && code != opcode::PING && code != opcode::RECONFIG)
        || code == 103
        || code == 104
        || code == 106
}

#[inline(always)]
fn path_evidence(window: &Window, from: usize, frame: u32) -> u8 {
    let path = word_at(window, from + 12);
    let fits = path != 0 && path <= frame.wrapping_sub(12) && frame > 12;
    if fits && window.byte(from + 16) == b'/' {
        protocol::ZOOKEEPER
    } else {
        protocol::TCP
    }
}

/// A `ConnectRequest`: version 0, a time-out, a session and its password.
#[inline(always)]
fn connect_evidence(window: &Window, from: usize, to: usize, frame: u32) -> u8 {
    if !(CONNECT_BYTES..=CONNECT_BYTES + MAX_PASSWORD_BYTES + 1).contains(&frame) {
        return protocol::TCP;
    }
    if to < from + 4 + CONNECT_BYTES as usize {
        return protocol::UNKNOWN;
    }
    let time_out = word_at(window, from + 16);
    let password = word_at(window, from + 28);
    // A length of -1 says that there is none.
    let password = if password == u32::MAX { 0 } else { password };
    // Since 3.4 it is followed by whether a read-only server will do.
    let behind = frame.wrapping_sub(CONNECT_BYTES).wrapping_sub(password);
    if time_out as i32 > 0 && password <= MAX_PASSWORD_BYTES && behind <= 1 {
        protocol::ZOOKEEPER
    } else {
        protocol::TCP
    }
}

/// Whether the bytes are a four-letter word and perhaps an end of line, and nothing else.
#[inline(always)]
pub(super) fn is_word(window: &Window, from: usize, to: usize) -> bool {
    let behind = to.wrapping_sub(from).wrapping_sub(4);
    if behind > 2 || !is_known_word(word_at(window, from)) {
        return false;
    }
    let (first, second) = (window.byte(from + 4), window.byte(from + 5));
    match behind {
        0 => true,
        1 => first == b'\n',
        _ => first == b'\r' && second == b'\n',
    }
}

/// The words of `FourLetterCommands`, but those that change a server's tracing.
#[inline(always)]
fn is_known_word(word: u32) -> bool {
    const WORDS: [[u8; 4]; 14] = [
        *b"conf", *b"cons", *b"crst", *b"dirs", *b"dump", *b"envi", *b"isro", *b"mntr", *b"ruok",
        *b"srst", *b"srvr", *b"stat", *b"wchp", *b"wchs",
    ];
    let mut found = word == u32::from_be_bytes(*b"wchc");
    let mut i = 0;
    while i < WORDS.len() {
        found |= word == u32::from_be_bytes(WORDS[i]);
        i += 1;
    }
    found
}

/// Whole frames: the length stands before them.
#[inline(always)]
fn whole(len: u32) -> Frame {
    Frame {
        len: len as u64 + 4,
        means: means::PART | means::END,
    }
}

#[inline(always)]
fn request(conversation: &mut Conversation, from: usize, to: usize) -> Frame {
    let resync = conversation.request.phase == phase::RESYNC;
    let begins = conversation.asked == 0;
    let direction = &mut conversation.request;
    if to < from + 4 {
        return if resync { Frame::BAD } else { Frame::CUT };
    }
    let len = word_at(&direction.window, from);
    if begins && !resync && is_known_word(len) {
        direction.op = len as u64;
        direction.id = 0;
        direction.method = 0;
        return Frame {
            len: 4,
            means: means::PART | means::UNTIL_CLOSE,
        };
    }
    if !(REQUEST_HEADER_BYTES..MAX_FRAME_BYTES).contains(&len) {
        return Frame::BAD;
    }
    if to < from + 12 {
        return if resync { Frame::BAD } else { Frame::CUT };
    }
    let id = word_at(&direction.window, from + 4);
    let code = word_at(&direction.window, from + 8) as i32;
    if resync || id == 0 {
        // What is looked for, or has no header, must be known for certain.
        match evidence(&direction.window, from, to) {
            protocol::ZOOKEEPER => {}
            protocol::UNKNOWN if !resync => return Frame::CUT,
            _ => return Frame::BAD,
        }
    } else if !is_plausible(id, code) {
        return Frame::BAD;
    }
    direction.id = id;
    direction.method = if id == 0 { 0 } else { code as u8 };
    direction.op = if id == 0 { OP_CONNECT } else { op_of(code) };
    whole(len)
}

/// True for the header of a request, also of an operation that is newer than weir.
#[inline(always)]
fn is_plausible(id: u32, code: i32) -> bool {
    let numbered = id as i32 > 0 && (code > 0 && code < 128 || (-11..=-10).contains(&code));
    numbered
        || (id == xid::PING && code == opcode::PING)
        || (id == xid::AUTH && code == opcode::AUTH)
        || (id == xid::SET_WATCHES
            && (code == opcode::SET_WATCHES || code == opcode::SET_WATCHES_2))
}

#[inline(always)]
fn answer(conversation: &mut Conversation, from: usize, to: usize) -> Frame {
    let resync = conversation.response.phase == phase::RESYNC;
    if conversation.awaited_op() > OP_CONNECT {
        // What answers a word.
        conversation.response.status = outcome::OK;
        return Frame {
            len: to.wrapping_sub(from) as u64,
            means: means::PART | means::UNTIL_CLOSE,
        };
    }
    let window = &conversation.response.window;
    let len = word_at(window, from);
    if to >= from + 4 && !(REPLY_HEADER_BYTES..MAX_FRAME_BYTES).contains(&len) {
        return Frame::BAD;
    }
    let more = if resync { Frame::BAD } else { Frame::CUT };
    if to < from + 20 {
        return more;
    }
    let id = word_at(window, from + 4);
    if id == xid::WATCH_EVENT {
        return event(window, len, from, resync);
    }
    if !answers(conversation, id) {
        let means = if resync { 0 } else { means::ORPHAN };
        return Frame {
            means,
            ..whole(len)
        };
    }
    let has_result = len >= REPLY_HEADER_BYTES + 4;
    let is_transaction = has_result && conversation.awaited_method() == opcode::MULTI as u8;
    if is_transaction && to < from + 24 {
        return more;
    }
    let failed = has_failed(conversation, id, from, is_transaction);
    conversation.response.status = if failed { outcome::FAILED } else { outcome::OK };
    whole(len)
}

/// What the server tells unasked; it has no zxid.
#[inline(always)]
fn event(window: &Window, len: u32, from: usize, resync: bool) -> Frame {
    let no_zxid = window.u64_at(from + 8) == u64::MAX;
    let means = if no_zxid || !resync { means::ASIDE } else { 0 };
    Frame {
        means,
        ..whole(len)
    }
}

#[inline(always)]
fn has_failed(conversation: &Conversation, id: u32, from: usize, is_transaction: bool) -> bool {
    let window = &conversation.response.window;
    if id == 0 {
        // A session that has expired, or was never there, is given no time.
        return word_at(window, from + 8) == 0;
    }
    let error = word_at(window, from + 16) as i32;
    if error == NO_NODE && conversation.awaited_method() == opcode::EXISTS as u8 {
        // That is what was asked.
        return false;
    }
    // A transaction that failed has a result of the type -1 for each of its parts.
    let result = word_at(window, from + 20) as i32;
    error != 0 || (is_transaction && result == -1)
}
