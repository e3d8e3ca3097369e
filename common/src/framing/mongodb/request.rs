//! Requests: each is one frame, and its first [`NAMING_BYTES`] name it.

use super::{
    HEADER_BYTES, Header, MAX_MESSAGE_BYTES, NAMING_BYTES, bson, header, msg_flag, opcode, u32_at,
};
use crate::{
    FNV_OFFSET,
    flow::protocol,
    fnv1a_step,
    framing::{
        frames::{Frame, means},
        stream::Direction,
        window::Window,
    },
    stable_hash,
};

/// Bytes before the first element of `OP_MSG`: header, flags, kind of section, document length.
pub(super) const MSG_ELEMENTS: usize = HEADER_BYTES + 9;

/// Shortest request: a compressed one.
const MIN_BYTES: u32 = MSG_ELEMENTS as u32;

/// Longest command and longest collection name that count, in this order.
const MAX_COMMAND_BYTES: usize = 32;
const MAX_TARGET_BYTES: usize = 60;

const fn text(bytes: [u8; 8]) -> u64 {
    u64::from_le_bytes(bytes)
}

/// Reads a request.
#[inline(always)]
pub fn read(direction: &mut Direction, from: usize, to: usize) -> Frame {
    let known = to.wrapping_sub(from);
    if known < HEADER_BYTES {
        return Frame::CUT;
    }
    let header = header(&direction.window, from);
    if !is_request(&header) {
        return Frame::BAD;
    }
    if known < NAMING_BYTES && known < header.len as usize {
        return Frame::CUT;
    }
    let flags = u32_at(&direction.window, from + HEADER_BYTES);
    if header.opcode == opcode::MSG && flags & msg_flag::REQUIRED & !msg_flag::KNOWN != 0 {
        return Frame::BAD;
    }
    direction.id = header.id;
    let len = (header.len as usize).min(NAMING_BYTES);
    let end = direction.window.forget(from + len);
    let elements = first_element(&mut direction.window, header.opcode, from, end);
    direction.op = if elements == 0 {
        of_opcode(header.opcode)
    } else {
        command_hash(&mut direction.window, elements, end)
    };
    let is_watch =
        header.opcode == opcode::MSG && is_watch(&direction.window, flags, elements, end);
    if is_watch {
        // Its answers name it.
        direction.content_length = header.id as u64;
    }
    let answered = match header.opcode {
        opcode::MSG => flags & msg_flag::MORE_TO_COME == 0 && !is_watch,
        opcode::QUERY | opcode::GET_MORE | opcode::COMPRESSED => true,
        _ => false,
    };
    Frame {
        len: header.len as u64,
        means: means::PART | means::END | if answered { 0 } else { means::ALONE },
    }
}

#[inline(always)]
fn is_request(header: &Header) -> bool {
    let known = matches!(
        header.opcode,
        opcode::MSG
            | opcode::QUERY
            | opcode::COMPRESSED
            | opcode::GET_MORE
            | opcode::UPDATE
            | opcode::INSERT
            | opcode::DELETE
            | opcode::KILL_CURSORS
    );
    known && header.len >= MIN_BYTES && header.len <= MAX_MESSAGE_BYTES
}

/// True if a driver watches the state of its server: answers come when that changes, for as long
/// as the connection lives.
#[inline(always)]
fn is_watch(window: &Window, flags: u32, at: usize, end: usize) -> bool {
    let name = window.u64_at(at + 1);
    // `ismaster` in lower case; `hello` with the end of its name.
    let is_hello = name | 0x2020_2020_2020_2020 == text(*b"ismaster")
        || name & 0xffff_ffff_ffff == text(*b"hello\0\0\0");
    flags & msg_flag::EXHAUST_ALLOWED != 0 && is_hello && at + 9 <= end
}

/// Position of the element that names the command; 0 if there is none.
#[inline(always)]
fn first_element(window: &mut Window, code: u32, from: usize, end: usize) -> usize {
    let at = match code {
        // A sequence of documents may come first (kind 1): it has a name as well.
        opcode::MSG if window.byte(from + HEADER_BYTES + 4) == 1 => from + MSG_ELEMENTS - 1,
        opcode::MSG => from + MSG_ELEMENTS,
        opcode::QUERY => {
            let name_end = window.find(0, from + HEADER_BYTES + 4, end);
            // Commands are queries of a collection of this name.
            if window.u64_at(name_end.wrapping_sub(5)) & 0xff_ffff_ffff != text(*b".$cmd\0\0\0") {
                return 0;
            }
            name_end + 1 + 8 + 4
        }
        _ => return 0,
    };
    let at = window.forget(at);
    if at < end { at } else { 0 }
}

/// Operation key of a message that has no command.
#[inline(always)]
const fn of_opcode(code: u32) -> u64 {
    match code {
        opcode::QUERY => const { stable_hash(b"query") },
        opcode::GET_MORE => const { stable_hash(b"getMore") },
        opcode::COMPRESSED => const { stable_hash(b"compressed") },
        _ => 0,
    }
}

/// Operation key: the first element's name, and its value if that is a string.
#[inline(always)]
fn command_hash(window: &mut Window, at: usize, end: usize) -> u64 {
    let mut kind = window.byte(at);
    let mut hash = FNV_OFFSET;
    let mut i = 0;
    while i < MAX_COMMAND_BYTES {
        let byte = window.byte(at + 1 + i);
        if at + 1 + i >= end || byte == 0 {
            break;
        }
        hash = fnv1a_step(hash, byte);
        i += 1;
    }
    let mut hash = window.forget(hash as usize) as u64;
    let name_end = window.forget(at + 1 + i);
    if name_end >= end || window.byte(name_end) != 0 {
        return hash;
    }
    let mut value = window.forget(name_end + 1);
    if kind == bson::INT64 {
        // `getMore: <cursor>, collection: <name>`
        let name = window.u64_at(value + 9);
        let rest = window.u64_at(value + 17) & 0xff_ffff;
        if name == text(*b"collecti") && rest == text(*b"on\0\0\0\0\0\0") {
            kind = window.byte(value + 8);
            value = window.forget(value + 8 + 12);
        }
    }
    if kind != bson::STRING || value + 4 >= end {
        return hash;
    }
    let value = window.forget(value + 4);
    if window.byte(value) != 0 {
        hash = fnv1a_step(hash, b' ');
    }
    let mut i = 0;
    while i < MAX_TARGET_BYTES {
        let byte = window.byte(value + i);
        if value + i >= end || byte == 0 {
            break;
        }
        hash = fnv1a_step(hash, byte);
        i += 1;
    }
    hash
}

/// Whether a request begins at `from`; see [`super::super::detect`].
#[inline(always)]
pub fn evidence(window: &Window, from: usize, to: usize) -> u8 {
    let known = to.wrapping_sub(from);
    // The length's highest byte tells most other protocols apart.
    if known < 4 {
        return protocol::UNKNOWN;
    }
    let len = u32_at(window, from);
    if !(MIN_BYTES..=MAX_MESSAGE_BYTES).contains(&len) {
        return protocol::TCP;
    }
    if known < HEADER_BYTES {
        return protocol::UNKNOWN;
    }
    let header = header(window, from);
    if !is_request(&header) || header.answers != 0 {
        return protocol::TCP;
    }
    if known < MSG_ELEMENTS {
        return protocol::UNKNOWN;
    }
    let flags = u32_at(window, from + HEADER_BYTES);
    let part = u32_at(window, from + HEADER_BYTES + 5);
    let good = match header.opcode {
        opcode::MSG => {
            let kind = window.byte(from + HEADER_BYTES + 4);
            let fits = part >= 5 && part as usize <= header.len as usize - HEADER_BYTES - 5;
            kind <= 1 && fits && flags & msg_flag::REQUIRED & !msg_flag::KNOWN == 0
        }
        // A collection's name.
        opcode::QUERY => flags < 1 << 8 && window.byte(from + HEADER_BYTES + 4) > b' ',
        opcode::COMPRESSED => flags == opcode::MSG || flags == opcode::QUERY,
        _ => false,
    };
    if good {
        protocol::MONGODB
    } else {
        protocol::TCP
    }
}
