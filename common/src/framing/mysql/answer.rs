//! What a server says: OK, errors, logins, and where a result begins.

use super::{
    CONTINUES, HEADER_BYTES, command, fact, is_login,
    packet::{Packet, u16_at},
    results::{
        begin_rows, columns, defined, end_of_definitions, end_of_rows, is_rows, long_row,
        pass_over, prepared,
    },
    stage,
};
use crate::framing::{
    conversation::Conversation,
    frames::{Frame, begins, means, outcome},
    stream::{Direction, phase},
};

/// Bytes of a packet in which all stands that matters: two numbers of nine bytes and the state of
/// the server behind them.
const LOOK_BYTES: usize = HEADER_BYTES + 1 + 9 + 9 + 2;

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
    let packet = match next_packet(&mut conversation.response, from, to) {
        Ok(packet) => packet,
        Err(frame) => return frame,
    };
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
        stage::FIRST => first(conversation, &packet, from),
        stage::FILE => {
            end_of_file(&mut conversation.request);
            first(conversation, &packet, from)
        }
        stage::DEFINED => defined(conversation, &packet, from),
        stage::ROWS if packet.first == 0xfe => end_of_rows(conversation, &packet, from),
        stage::PREPARED if packet.is_eof() => end_of_definitions(conversation, &packet),
        _ => Frame::BAD,
    }
}

/// The packet at `from`, if enough of it is known and it is neither empty nor the rest of a longer
/// one; else the frame that it is.
#[inline(always)]
fn next_packet(direction: &mut Direction, from: usize, to: usize) -> Result<Packet, Frame> {
    let known = to.wrapping_sub(from);
    let is_lost = direction.phase == phase::RESYNC;
    if known < HEADER_BYTES {
        return Err(if is_lost { Frame::BAD } else { Frame::CUT });
    }
    let packet = Packet::at(&direction.window, from);
    if direction.method & stage::CONTINUED != 0 {
        if packet.len != CONTINUES {
            direction.method &= !stage::CONTINUED;
        }
        return Err(packet.frame(means::PART));
    }
    if packet.len == 0 || (is_lost && packet.sequence != 1) {
        return Err(Frame::BAD);
    }
    let wanted = if packet.len == CONTINUES {
        HEADER_BYTES + 1
    } else {
        LOOK_BYTES
    };
    if known < packet.need(wanted) {
        return Err(Frame::CUT);
    }
    Ok(packet)
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

#[inline(always)]
fn error(conversation: &mut Conversation, packet: &Packet, from: usize) -> Frame {
    let direction = &mut conversation.response;
    let code = u16_at(&direction.window, from + HEADER_BYTES + 1);
    if code == PROGRESS && packet.len >= 3 {
        return packet.frame(means::ASIDE);
    }
    direction.status = outcome::FAILED;
    end_of_file(&mut conversation.request);
    packet.last(0)
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
        return begin_rows(&mut conversation.response, packet);
    }
    if packet.first == 0 && packet.len >= 7 {
        return end_of_rows(conversation, packet, from);
    }
    if !has_results(kind) {
        return Frame::BAD;
    }
    if packet.first == 0xfb {
        return file(conversation, packet);
    }
    columns(&mut conversation.response, packet, from)
}

/// The server asks for a file. The client's next bytes are the file, up to what the server says to
/// it: they are passed over unread, so that their order and gaps do not matter.
#[inline(always)]
fn file(conversation: &mut Conversation, packet: &Packet) -> Frame {
    let request = &mut conversation.request;
    if request.phase != phase::START_LINE || !begins(request) || request.carry_len != 0 {
        return Frame::BAD;
    }
    request.phase = phase::UNTIL_CLOSE;
    conversation.response.method = stage::FILE;
    packet.frame(means::PART)
}

/// The server has the whole file, and so it was seen: a command comes next.
#[inline(always)]
fn end_of_file(request: &mut Direction) {
    if request.phase == phase::UNTIL_CLOSE {
        request.phase = phase::START_LINE;
        request.next = request.highest;
    }
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
