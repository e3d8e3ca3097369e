//! What a client says: its answer to the greeting, commands, passwords.

use super::{
    CONTINUES, HEADER_BYTES, OPAQUE, TEXT_END, command, command_op, evidence, fact, is_login,
    packet::Packet, prepare_op,
};
use crate::{
    flow::protocol,
    framing::{
        conversation::{Conversation, STATEMENTS},
        frames::{Frame, begins, means},
        sql,
        stream::phase,
        window::Window,
    },
};

/// Bits of the capabilities in a client's answer to the greeting.
mod capability {
    pub const COMPRESS: u32 = 1 << 5;
    pub const PROTOCOL_41: u32 = 1 << 9;
    pub const SSL: u32 = 1 << 11;
    pub const DEPRECATE_EOF: u32 = 1 << 24;
    pub const ZSTD: u32 = 1 << 26;
}

/// Payload of a request for TLS: the answer to the greeting up to its filler.
const SSL_REQUEST_BYTES: u64 = 32;

/// Bytes of an EXECUTE up to the statement's number.
const STATEMENT_END: usize = HEADER_BYTES + 5;

#[inline(always)]
pub(super) fn read(conversation: &mut Conversation, from: usize, to: usize) -> Frame {
    let known = to.wrapping_sub(from);
    let is_lost = conversation.request.phase == phase::RESYNC;
    if known < HEADER_BYTES {
        return if is_lost { Frame::BAD } else { Frame::CUT };
    }
    let packet = Packet::at(&conversation.request.window, from);
    if !begins(&conversation.request) {
        return packet.last(0);
    }
    if packet.sequence != 0 {
        return in_login(conversation, &packet, from, known);
    }
    if packet.len == 0 {
        return Frame::BAD;
    }
    if is_lost {
        // Another statement may have been prepared in what was missed.
        conversation.latest_prepared = 0;
        if !evidence::resumes(&conversation.request, &packet, from, known) {
            return Frame::BAD;
        }
    }
    if known == HEADER_BYTES {
        return Frame::CUT;
    }
    if !evidence::is_command(packet.first) {
        return Frame::BAD;
    }
    command(conversation, &packet, from, known)
}

/// A packet that goes on with what was said before: a login.
#[inline(always)]
fn in_login(conversation: &mut Conversation, packet: &Packet, from: usize, known: usize) -> Frame {
    let facts = conversation.request.content_length;
    if facts & fact::GREETED != 0 && facts & fact::SHOOK_HANDS == 0 {
        return handshake(conversation, packet, from, known);
    }
    if is_login(conversation.awaited_method()) {
        return packet.frame(means::ASIDE);
    }
    Frame::BAD
}

/// The answer to the greeting: what client and server agree on.
#[inline(always)]
fn handshake(conversation: &mut Conversation, packet: &Packet, from: usize, known: usize) -> Frame {
    if packet.len < SSL_REQUEST_BYTES || packet.len == CONTINUES {
        return Frame::BAD;
    }
    if known < HEADER_BYTES + SSL_REQUEST_BYTES as usize {
        return Frame::CUT;
    }
    let window = &conversation.request.window;
    let capabilities = window.u64_at(from + HEADER_BYTES) as u32;
    let filler = window.u64_at(from + HEADER_BYTES + 9) | window.u64_at(from + HEADER_BYTES + 17);
    if filler != 0 {
        return Frame::BAD;
    }
    let wants_tls = packet.len == SSL_REQUEST_BYTES && capabilities & capability::SSL != 0;
    if wants_tls {
        // The client does not wait: its hello may stand behind this packet.
        conversation.protocol = protocol::TLS;
        return packet.frame(means::ASIDE);
    }
    if capabilities & capability::PROTOCOL_41 == 0 {
        return OPAQUE;
    }
    let mut facts = fact::GREETED | fact::SHOOK_HANDS;
    if capabilities & capability::DEPRECATE_EOF == 0 {
        facts |= fact::EOFS;
    }
    if capabilities & (capability::COMPRESS | capability::ZSTD) != 0 {
        facts |= fact::COMPRESSED;
    }
    conversation.request.content_length = facts;
    conversation.request.method = command::CONNECT;
    conversation.request.op = command_op(command::CONNECT);
    packet.last(0)
}

#[inline(always)]
fn command(conversation: &mut Conversation, packet: &Packet, from: usize, known: usize) -> Frame {
    let kind = packet.first;
    let wanted = match kind {
        command::QUERY | command::PREPARE => TEXT_END,
        command::EXECUTE | command::BULK_EXECUTE => STATEMENT_END,
        _ => HEADER_BYTES + 1,
    };
    let need = packet.need(wanted);
    if known < need {
        return Frame::CUT;
    }
    let op = match kind {
        command::QUERY | command::PREPARE => {
            let window = &mut conversation.request.window;
            let end = window.forget(from + need);
            text_op(window, kind, from + HEADER_BYTES + 1, end)
        }
        command::EXECUTE | command::BULK_EXECUTE if need == STATEMENT_END => {
            statement_op(conversation, kind, from)
        }
        _ => command_op(kind),
    };
    if kind == command::PREPARE {
        conversation.latest_prepared = op;
    }
    let direction = &mut conversation.request;
    direction.method = kind;
    direction.op = if kind == command::PREPARE {
        prepare_op(op)
    } else {
        op
    };
    match kind {
        command::BINLOG_DUMP | command::BINLOG_DUMP_GTID | command::CLONE | command::LAST => OPAQUE,
        command::QUIT | command::CLOSE | command::SEND_LONG_DATA => packet.last(means::ALONE),
        _ => packet.last(0),
    }
}

/// Operation key of SQL text.
#[inline(always)]
fn text_op(window: &mut Window, kind: u8, at: usize, end: usize) -> u64 {
    let mut at = at;
    if kind == command::QUERY && at + 2 <= end {
        // MySQL 8.0.23: a count of attributes and one of their sets, which is 1, before the text.
        let (attributes, sets) = (window.byte(at), window.byte(at + 1));
        if sets == 1 && attributes != 0 {
            // Names and values of attributes stand before the text.
            return command_op(kind);
        }
        at += if attributes == 0 { 2 } else { 0 };
    }
    let at = window.forget(at);
    sql::op_hash(window, at, end)
}

/// Operation key of a statement that was prepared on this connection.
#[inline(always)]
fn statement_op(conversation: &mut Conversation, kind: u8, from: usize) -> u64 {
    let id = conversation.request.window.u64_at(from + HEADER_BYTES + 1) as u32;
    let statement = conversation.statements[id as usize & (STATEMENTS - 1)];
    // MariaDB: the statement that was prepared last, whose number is not known yet.
    let op = if id == u32::MAX {
        conversation.latest_prepared
    } else if statement.id == id as u64 {
        statement.op
    } else {
        0
    };
    if op == 0 { command_op(kind) } else { op }
}
