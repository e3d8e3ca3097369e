//! Result sets and prepared statements: definitions and rows, which are counted and passed over.

use super::{
    CONTINUES, HEADER_BYTES, command, fact,
    packet::{Packet, behind_number, u16_at},
    prepare_op, stage,
};
use crate::framing::{
    conversation::{Conversation, STATEMENTS, Statement},
    frames::{Frame, means},
    stream::Direction,
};

/// Packets that are passed over in one step: as many as a window can hold.
const PACKETS: usize = 80;

/// Rows whose number is not known.
const MANY: u64 = u64::MAX;

/// MySQL's limit is 4,096 columns.
const MAX_COLUMNS: u64 = 4_096;

/// Bits of the server's state in OK and EOF packets.
mod state {
    /// A further result follows.
    pub const MORE_RESULTS: u16 = 8;
    /// The rows are to be fetched.
    pub const CURSOR: u16 = 64;
}

/// Passes over definitions and rows: packets that cannot be anything else.
#[inline(always)]
pub(super) fn pass_over(direction: &mut Direction, from: usize, to: usize) -> Frame {
    let mut left = direction.content_length;
    if direction.method & stage::CONTINUED != 0 {
        left = 0;
    }
    let mut at = from;
    let mut i = 0;
    while i < PACKETS {
        if left == 0 || at + HEADER_BYTES >= to {
            break;
        }
        let packet = Packet::at(&direction.window, at);
        // None is empty or goes on, and no field's length begins so.
        if packet.len.wrapping_sub(1) >= CONTINUES - 1 || packet.first >= 0xfe {
            break;
        }
        at = direction
            .window
            .forget(at.wrapping_add(packet.len as usize + HEADER_BYTES));
        left = direction.window.forget(left.wrapping_sub(1) as usize) as u64;
        i += 1;
    }
    let len = at.wrapping_sub(from) as u64;
    if len == 0 {
        return Frame { len, means: 0 };
    }
    direction.content_length = left;
    Frame {
        len,
        means: means::PART | none_left(direction),
    }
}

/// The last definition was read: what comes behind it?
#[inline(always)]
fn none_left(direction: &mut Direction) -> u32 {
    if direction.content_length != 0 {
        return 0;
    }
    if direction.method == stage::PREPARED {
        return means::END;
    }
    direction.method = stage::DEFINED;
    0
}

/// True for commands whose answer has rows without definitions.
#[inline(always)]
pub(super) fn is_rows(kind: u8) -> bool {
    kind == command::FETCH || kind == command::FIELD_LIST
}

/// Rows begin with this packet, or behind it.
#[inline(always)]
pub(super) fn begin_rows(direction: &mut Direction, packet: &Packet) -> Frame {
    direction.method = stage::ROWS;
    direction.content_length = MANY;
    packet.frame(means::PART)
}

/// A row of 16 MiB or more.
#[inline(always)]
pub(super) fn long_row(conversation: &mut Conversation, packet: &Packet) -> Frame {
    let direction = &mut conversation.response;
    if direction.method == stage::DEFINED {
        conversation.request.content_length &= !fact::EOFS;
    } else if direction.method != stage::ROWS && !is_rows(conversation.awaited_method()) {
        return Frame::BAD;
    }
    let frame = begin_rows(&mut conversation.response, packet);
    conversation.response.method |= stage::CONTINUED;
    frame
}

/// The number of columns. Where both agreed on it, a byte says whether their definitions follow:
/// before the number in MySQL, behind it in MariaDB.
#[inline(always)]
pub(super) fn columns(direction: &mut Direction, packet: &Packet, from: usize) -> Frame {
    let word = direction.window.u64_at(from + HEADER_BYTES);
    let (a, b, d) = (word & 0xff, (word >> 8) & 0xff, (word >> 24) & 0xff);
    let definitions = match packet.len {
        1 => a,
        2 if a == 0 || b == 0 => 0,
        2 if a == 1 => b,
        2 if b == 1 => a,
        3 if a == 0xfc => (word >> 8) & 0xffff,
        4 if a == 0xfc => ((word >> 8) & 0xffff) * (d & 1),
        4 if a <= 1 && b == 0xfc => ((word >> 16) & 0xffff) * a,
        _ => MANY,
    };
    if definitions > MAX_COLUMNS || (packet.len == 1 && definitions == 0) {
        return Frame::BAD;
    }
    direction.method = stage::DEFINITIONS;
    direction.content_length = direction.window.forget(definitions as usize) as u64;
    let means = means::PART | none_left(direction);
    packet.frame(means)
}

/// Behind the definitions of columns.
#[inline(always)]
pub(super) fn defined(conversation: &mut Conversation, packet: &Packet, from: usize) -> Frame {
    let direction = &mut conversation.response;
    let facts = &mut conversation.request.content_length;
    if packet.is_eof() {
        *facts |= fact::EOFS;
        let state = u16_at(&direction.window, from + HEADER_BYTES + 3);
        if state & state::CURSOR != 0 {
            return packet.last(0);
        }
    } else {
        *facts &= !fact::EOFS;
        if packet.first == 0xfe {
            return end_of_rows(conversation, packet, from);
        }
    }
    begin_rows(&mut conversation.response, packet)
}

/// An EOF packet, or an OK packet: the answer ends here unless a further result follows.
#[inline(always)]
pub(super) fn end_of_rows(conversation: &mut Conversation, packet: &Packet, from: usize) -> Frame {
    let direction = &mut conversation.response;
    let window = &mut direction.window;
    let at = if packet.is_eof() {
        from + HEADER_BYTES + 3
    } else {
        let insert_id = behind_number(window, from + HEADER_BYTES + 1);
        behind_number(window, insert_id)
    };
    let is_within = at + 2 <= from + HEADER_BYTES + packet.len as usize;
    let more = is_within && u16_at(window, at) & state::MORE_RESULTS != 0;
    direction.method = stage::FIRST;
    direction.content_length = 0;
    packet.frame(if more {
        means::PART
    } else {
        means::PART | means::END
    })
}

/// A statement is prepared: its number, and how many definitions follow.
#[inline(always)]
pub(super) fn prepared(conversation: &mut Conversation, packet: &Packet, from: usize) -> Frame {
    if packet.first != 0 || packet.len < 12 {
        return Frame::BAD;
    }
    let op = conversation.awaited_op();
    let direction = &mut conversation.response;
    let word = direction.window.u64_at(from + HEADER_BYTES + 1);
    let id = word as u32;
    if op != 0 {
        conversation.statements[id as usize & (STATEMENTS - 1)] = Statement {
            id: id as u64,
            op: prepare_op(op),
        };
    }
    let (columns, parameters) = ((word >> 32) & 0xffff, word >> 48);
    let mut packets = columns + parameters;
    if conversation.request.content_length & fact::EOFS != 0 {
        packets += (columns != 0) as u64 + (parameters != 0) as u64;
    }
    let without = packet.len > 12 && direction.window.byte(from + HEADER_BYTES + 12) == 0;
    if without {
        packets = 0;
    }
    direction.method = stage::PREPARED;
    direction.content_length = direction.window.forget(packets as usize) as u64;
    let means = means::PART | none_left(direction);
    packet.frame(means)
}

/// An EOF packet among the definitions of a prepared statement.
#[inline(always)]
pub(super) fn end_of_definitions(conversation: &mut Conversation, packet: &Packet) -> Frame {
    let direction = &mut conversation.response;
    let facts = &mut conversation.request.content_length;
    if *facts & fact::EOFS != 0 {
        direction.content_length = direction.content_length.wrapping_sub(1);
    } else {
        // It was not known that they come: one more is behind the columns.
        *facts |= fact::EOFS;
        direction.content_length = direction.content_length.wrapping_add(1);
    }
    let means = means::PART | none_left(direction);
    packet.frame(means)
}
