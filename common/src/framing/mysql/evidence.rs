//! Is it MySQL? A server's greeting tells, or a command that could hardly be anything else.

use super::{CONTINUES, HEADER_BYTES, TEXT_END, command, packet::Packet};
use crate::{
    flow::protocol,
    framing::{
        stream::Direction,
        window::{DATA_BYTES, Window},
    },
};

/// Longest greeting or first error that is believed.
const MAX_GREETING: u64 = 512;

/// Errors of servers have codes from here on, those of clients begin 1,000 later.
const FIRST_ERROR: u16 = 1000;

/// Whether the first bytes of a connection, the server's, are its greeting or its refusal.
#[inline(always)]
pub(in crate::framing) fn greeting_evidence(window: &Window, from: usize, to: usize) -> u8 {
    let known = to.wrapping_sub(from);
    if known < 8 {
        return protocol::UNKNOWN;
    }
    let packet = Packet::at(window, from);
    let word = window.u64_at(from);
    let (first, second, third) = ((word >> 40) as u8, (word >> 48) as u8, (word >> 56) as u8);
    // "8.0.36", "10.11.6-MariaDB", "5.5.5-10.11.6-MariaDB".
    let is_version = packet.first == 10
        && first.is_ascii_digit()
        && (second == b'.' || (second.is_ascii_digit() && third == b'.'));
    let code = u16::from_le_bytes([first, second]);
    let is_refusal = packet.first == 0xff
        && code.wrapping_sub(FIRST_ERROR) < 4 * FIRST_ERROR
        && (third == b'#' || third.is_ascii_alphabetic());
    // A server waits for an answer to either: nothing stands behind it.
    let fits = packet.len <= MAX_GREETING && known as u64 <= packet.len + HEADER_BYTES as u64;
    if packet.sequence == 0 && fits && (is_version || is_refusal) {
        protocol::MYSQL
    } else {
        protocol::TCP
    }
}

/// Whether the bytes of a segment of a connection that is older than its observer are a command.
#[inline(always)]
pub(in crate::framing) fn evidence(window: &Window, from: usize, to: usize) -> u8 {
    let known = to.wrapping_sub(from);
    if known < HEADER_BYTES + 8 {
        return protocol::TCP;
    }
    let packet = Packet::at(window, from);
    let len = packet.len + HEADER_BYTES as u64;
    let fits = known as u64 == len || (known == DATA_BYTES && len > DATA_BYTES as u64);
    if packet.sequence == 0 && fits && speaks(window, &packet, from) {
        protocol::MYSQL
    } else {
        protocol::TCP
    }
}

/// True for commands that cannot be taken for something else.
#[inline(always)]
fn speaks(window: &Window, packet: &Packet, from: usize) -> bool {
    let behind = window.u64_at(from + HEADER_BYTES + 1);
    match packet.first {
        command::QUERY if behind & 0xffff == 0x0100 => begins_statement((behind >> 16) as u32),
        command::QUERY | command::PREPARE => begins_statement(behind as u32),
        // The number of iterations behind number and flags is always 1.
        command::EXECUTE => packet.len >= 10 && window.u64_at(from + HEADER_BYTES + 6) as u32 == 1,
        _ => false,
    }
}

/// True for first bytes of commands.
#[inline(always)]
pub(super) fn is_command(kind: u8) -> bool {
    (kind != 0 && kind <= command::LAST) || kind == command::BULK_EXECUTE
}

/// True if a statement begins with these letters, the first one lowest.
#[inline(always)]
fn begins_statement(word: u32) -> bool {
    const fn text(bytes: [u8; 4]) -> u32 {
        u32::from_le_bytes(bytes)
    }
    // Letters become lower case, a space stays.
    let word = word | 0x2020_2020;
    let is = |verb: [u8; 4]| word == text(verb);
    is(*b"sele")
        || is(*b"inse")
        || is(*b"upda")
        || is(*b"dele")
        || is(*b"repl")
        || is(*b"set ")
        || is(*b"show")
        || is(*b"begi")
        || is(*b"star")
        || is(*b"comm")
        || is(*b"roll")
        || is(*b"call")
        || is(*b"with")
        || is(*b"crea")
        || is(*b"alte")
        || is(*b"drop")
        || is(*b"trun")
        || is(*b"expl")
        || is(*b"load")
        || is(*b"lock")
}

/// True if a command stands where a segment begins, behind a hole: it must end where the segment
/// ends or another begins, or be text that goes on in the next segments.
#[inline(always)]
pub(super) fn resumes(direction: &Direction, packet: &Packet, from: usize, known: usize) -> bool {
    let segment = &direction.segment;
    let end = segment
        .offset
        .wrapping_add(packet.len + HEADER_BYTES as u64);
    if end == segment.end {
        return true;
    }
    if end > segment.end {
        let is_text = known >= TEXT_END && packet.len != CONTINUES;
        return is_text && speaks(&direction.window, packet, from);
    }
    let behind = HEADER_BYTES + packet.len as usize;
    if behind + HEADER_BYTES >= known {
        return false;
    }
    let next = Packet::at(&direction.window, from + behind);
    next.sequence == 0 && next.len != 0 && is_command(next.first)
}
