//! What a server says: OK, errors, result sets row by row, prepared statements.

use super::{
    CONTINUES, HEADER_BYTES, command, fact, is_login,
    packet::{Packet, behind_number, u16_at},
    prepare_op, stage,
};
use crate::framing::{
    conversation::{Conversation, STATEMENTS, Statement},
    frames::{Frame, begins, means, outcome},
    stream::{Direction, phase},
};

/// Packets that are passed over in one step: as many as a window can hold.
const PACKETS: usize = 80;

/// Rows whose number is not known.
const MANY: u64 = u64::MAX;

/// Bytes of a packet in which all stands that matters: two numbers of nine bytes and the state of
/// the server behind them.
const LOOK_BYTES: usize = HEADER_BYTES + 1 + 9 + 9 + 2;

/// MySQL's limit is 4,096 columns.
const MAX_COLUMNS: u64 = 4_096;

/// Bits of the server's state in OK and EOF packets.
mod state {
    /// A further result follows.
    pub const MORE_RESULTS: u16 = 8;
    /// The rows are to be fetched.
    pub const CURSOR: u16 = 64;
}

/// Code of what is no error but MariaDB's report of how far it has come.
const PROGRESS: u16 = 0xffff;

#[inline(always)]
pub(super) fn read(conversation: &mut Conversation, from: usize, to: usize) -> Frame {
    if begins(&conversation.response) {
        let direction = &mut conversation.response;
        direction.status = outcome::OK;
        direction.method = stage::FIRST;
        direction.content_length = 0;
    }
    let passed = pass_over(&mut conversation.response, from, to);
    if passed.len != 0 {
        return passed;
    }
    let known = to.wrapping_sub(from);
    let is_lost = conversation.response.phase == phase::RESYNC;
    if known < HEADER_BYTES {
        return if is_lost { Frame::BAD } else { Frame::CUT };
    }
    let packet = Packet::at(&conversation.response.window, from);
    if is_lost && packet.sequence != 1 {
        return Frame::BAD;
    }
    if conversation.response.method & stage::CONTINUED != 0 {
        if packet.len != CONTINUES {
            conversation.response.method &= !stage::CONTINUED;
        }
        return packet.frame(means::PART);
    }
    if packet.len == 0 {
        return Frame::BAD;
    }
    let wanted = if packet.len == CONTINUES {
        HEADER_BYTES + 1
    } else {
        LOOK_BYTES
    };
    if known < packet.need(wanted) {
        return Frame::CUT;
    }
    if begins(&conversation.response)
        && let Some(frame) = no_answer(conversation, &packet)
    {
        return frame;
    }
    if packet.len == CONTINUES {
        return long_row(conversation, &packet);
    }
    if packet.first == 0xff {
        return error(conversation, &packet, from);
    }
    match conversation.response.method {
        stage::FIRST | stage::FILE => first(conversation, &packet, from),
        stage::DEFINED => defined(conversation, &packet, from),
        stage::ROWS if packet.first == 0xfe => end_of_rows(conversation, &packet, from),
        stage::PREPARED if packet.is_eof() => end_of_definitions(conversation, &packet),
        _ => Frame::BAD,
    }
}

/// Passes over definitions and rows: packets that cannot be anything else.
#[inline(always)]
fn pass_over(direction: &mut Direction, from: usize, to: usize) -> Frame {
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

/// A packet where an answer would begin, but that is none.
#[inline(always)]
fn no_answer(conversation: &mut Conversation, packet: &Packet) -> Option<Frame> {
    let facts = &mut conversation.request.content_length;
    if packet.is_eof() && packet.sequence > 1 {
        // Of a prepared statement, on a connection whose login was not seen.
        *facts |= fact::EOFS;
        return Some(packet.frame(means::ASIDE));
    }
    if conversation.asked != conversation.answered {
        return (packet.sequence == 0).then_some(Frame::BAD);
    }
    let alone = packet.frame(means::PART | means::END | means::ALONE);
    if packet.first == 0xff {
        // The server takes leave, or does not want to be talked to.
        return Some(alone);
    }
    let is_greeting = packet.first == 10 && packet.sequence == 0 && *facts == 0;
    if !is_greeting || conversation.asked != 0 {
        return Some(Frame::BAD);
    }
    *facts = fact::GREETED;
    Some(alone)
}

/// A row of 16 MiB or more.
#[inline(always)]
fn long_row(conversation: &mut Conversation, packet: &Packet) -> Frame {
    let direction = &mut conversation.response;
    if direction.method == stage::DEFINED {
        conversation.request.content_length &= !fact::EOFS;
    } else if direction.method != stage::ROWS && !is_rows(conversation.awaited_method()) {
        return Frame::BAD;
    }
    let direction = &mut conversation.response;
    direction.method = stage::ROWS | stage::CONTINUED;
    direction.content_length = MANY;
    packet.frame(means::PART)
}

#[inline(always)]
fn error(conversation: &mut Conversation, packet: &Packet, from: usize) -> Frame {
    let direction = &mut conversation.response;
    let code = u16_at(&direction.window, from + HEADER_BYTES + 1);
    if code == PROGRESS && packet.len >= 3 {
        return packet.frame(means::ASIDE);
    }
    direction.status = outcome::FAILED;
    packet.last(0)
}

/// True for commands whose answer has rows without definitions.
#[inline(always)]
fn is_rows(kind: u8) -> bool {
    kind == command::FETCH || kind == command::FIELD_LIST
}

/// True for commands whose answer may be a result set; 0 is one that was not remembered.
#[inline(always)]
fn has_results(kind: u8) -> bool {
    matches!(
        kind,
        0 | command::QUERY | command::EXECUTE | command::BULK_EXECUTE | command::PROCESS_INFO
    )
}

/// The first packet of an answer.
#[inline(always)]
fn first(conversation: &mut Conversation, packet: &Packet, from: usize) -> Frame {
    let kind = conversation.awaited_method();
    if is_login(kind) {
        return login(conversation, packet, kind);
    }
    if kind == command::STATISTICS {
        return packet.last(0);
    }
    if kind == command::PREPARE {
        return prepared(conversation, packet, from);
    }
    if packet.first == 0xfe {
        return end_of_rows(conversation, packet, from);
    }
    if is_rows(kind) {
        conversation.response.method = stage::ROWS;
        conversation.response.content_length = MANY;
        return packet.frame(means::PART);
    }
    if packet.first == 0 && packet.len >= 7 {
        return end_of_rows(conversation, packet, from);
    }
    if !has_results(kind) {
        return Frame::BAD;
    }
    if packet.first == 0xfb {
        conversation.response.method = stage::FILE;
        return packet.frame(means::PART);
    }
    columns(&mut conversation.response, packet, from)
}

/// A login goes on, or ends well.
#[inline(always)]
fn login(conversation: &mut Conversation, packet: &Packet, kind: u8) -> Frame {
    if packet.first != 0 {
        return packet.frame(means::PART);
    }
    let facts = &mut conversation.request.content_length;
    if kind == command::CONNECT && *facts & fact::COMPRESSED != 0 {
        *facts |= fact::TUNNEL;
    }
    packet.last(0)
}

/// The number of columns. Where both agreed on it, a byte says whether their definitions follow:
/// before the number in MySQL, behind it in MariaDB.
#[inline(always)]
fn columns(direction: &mut Direction, packet: &Packet, from: usize) -> Frame {
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
fn defined(conversation: &mut Conversation, packet: &Packet, from: usize) -> Frame {
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
    let direction = &mut conversation.response;
    direction.method = stage::ROWS;
    direction.content_length = MANY;
    packet.frame(means::PART)
}

/// An EOF packet, or an OK packet: the answer ends here unless a further result follows.
#[inline(always)]
fn end_of_rows(conversation: &mut Conversation, packet: &Packet, from: usize) -> Frame {
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
fn prepared(conversation: &mut Conversation, packet: &Packet, from: usize) -> Frame {
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
fn end_of_definitions(conversation: &mut Conversation, packet: &Packet) -> Frame {
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
