//! Bodies of server-sent events (WHATWG HTML, "Server-sent events"): how many events they hold.
//!
//! An empty line ends an event, if a line of data came before it: comments alone, with which
//! servers keep connections alive, are none. Such bodies are read where others are passed over;
//! what cannot be read is counted as lost. Lines that end in CR alone are not told apart.

use super::Conversation;
#[cfg(doc)]
use super::step;
use crate::{
    counter::Loss,
    framing::{
        conversation::{Step, finish_message, lost, more},
        stream::{Direction, head_flag, phase},
        window::{CARRY_BYTES, DATA_BYTES, LINES, Load},
    },
};

/// Bits of [`Body::in_event`](super::graphql::Body::in_event).
mod within {
    /// The event under way has data.
    pub const DATA: u16 = 1;
    /// The line under way began in what was not seen.
    pub const UNSEEN: u16 = 2;
}

/// Lines that are read in one step; windows with more are read in several.
const EVENT_LINES: usize = LINES / 2;

/// Bytes of a line that are kept.
const LINE_BYTES: usize = 8;

/// Reads on in a body of events: [`step::EVENTS`] was answered.
#[inline(always)]
pub fn events<L: Load>(conversation: &mut Conversation, bytes: &mut L) -> Step {
    let direction = &mut conversation.response;
    let segment = direction.segment;
    if segment.offset > direction.next {
        return behind_a_hole(conversation);
    }
    let left = rest_of(direction);
    let len = if left > DATA_BYTES as u64 {
        DATA_BYTES as u32
    } else {
        left as u32
    };
    let at = direction.next.wrapping_sub(segment.offset) as u32;
    if !bytes.load(at, len, &mut direction.window) {
        skip_events(direction, left);
        if direction.content_length == 0 {
            leave(direction);
        }
        return lost(conversation, false, Loss::UncountedMessages, 1);
    }
    let to = CARRY_BYTES + len as usize;
    direction.window.blank_from(to);
    let end = count(direction, to);
    let read = end.wrapping_sub(CARRY_BYTES) as u64;
    direction.next = direction.next.wrapping_add(read);
    direction.content_length = direction.content_length.wrapping_sub(read);
    if direction.content_length != 0 {
        return more(direction);
    }
    leave(direction);
    if direction.phase == phase::BODY {
        return finish_message(conversation, false);
    }
    more(direction)
}

/// Bytes of the segment that belong to the body, or to its chunk.
#[inline(always)]
fn rest_of(direction: &Direction) -> u64 {
    let left = direction.segment.end.wrapping_sub(direction.next);
    left.min(direction.content_length)
}

/// So many bytes are passed over: which line they end in is not known.
#[inline(always)]
pub(in crate::framing) fn skip_events(direction: &mut Direction, len: u64) {
    direction.next = direction.next.wrapping_add(len);
    direction.content_length = direction.content_length.wrapping_sub(len);
    direction.body.line = 0;
    direction.body.line_len = 0;
    direction.body.in_event = within::UNSEEN;
}

/// The body ends here, or its chunk does.
#[inline(always)]
fn leave(direction: &mut Direction) {
    if direction.head_flags & head_flag::CHUNKED == 0 {
        direction.phase = phase::BODY;
        return;
    }
    // Behind a chunk there are CR LF.
    direction.next = direction.next.wrapping_add(2);
    direction.phase = phase::CHUNK_SIZE;
    direction.carry_len = 0;
}

/// A segment was missed. Within a chunk that costs events, at its end the framing.
#[inline(always)]
fn behind_a_hole(conversation: &mut Conversation) -> Step {
    let direction = &mut conversation.response;
    let missed = direction.segment.offset.wrapping_sub(direction.next);
    if missed < direction.content_length {
        skip_events(direction, missed);
        return lost(conversation, false, Loss::UncountedMessages, 1);
    }
    let missed = conversation.resynchronise();
    lost(conversation, false, Loss::SegmentGap, missed)
}

/// Counts the events that end in the window; answers up to where it was read.
#[inline(always)]
fn count(direction: &mut Direction, to: usize) -> usize {
    let lines = direction.window.find_all_lines(to);
    let to = direction.window.forget(to);
    let mut start = CARRY_BYTES;
    let mut i = 0;
    while i < EVENT_LINES {
        if i >= lines {
            break;
        }
        let line_feed = direction.window.line_feed(i);
        add_to_line(direction, start, line_feed);
        end_line(direction);
        start = direction.window.forget(line_feed + 1);
        i += 1;
    }
    if lines >= EVENT_LINES {
        return start;
    }
    add_to_line(direction, start, to);
    to
}

/// Keeps the first bytes of a line that may go on in other windows and chunks.
#[inline(always)]
fn add_to_line(direction: &mut Direction, start: usize, end: usize) {
    let known = direction.body.line_len as usize;
    let len = end.wrapping_sub(start);
    let all = if len < LINE_BYTES {
        let mask = (1_u64 << ((len & 7) * 8)) - 1;
        direction.window.u64_at(start) & mask
    } else {
        direction.window.u64_at(start)
    };
    if known < LINE_BYTES {
        direction.body.line |= all << ((known & 7) * 8);
    }
    let len = direction.window.forget(known.wrapping_add(len));
    direction.body.line_len = if len < LINE_BYTES {
        len as u16
    } else {
        LINE_BYTES as u16
    };
}

/// A line is complete: it may belong to an event, or end one.
#[inline(always)]
fn end_line(direction: &mut Direction) {
    const DATA: u64 = u32::from_le_bytes(*b"data") as u64;
    let (line, len) = (direction.body.line, direction.body.line_len);
    direction.body.line = 0;
    direction.body.line_len = 0;
    let within = direction.body.in_event;
    if within & within::UNSEEN != 0 {
        direction.body.in_event = 0;
        return;
    }
    if len == 0 || len == 1 && line as u8 == b'\r' {
        direction.counted = direction.counted.wrapping_add(within as u32);
        direction.body.in_event = 0;
        return;
    }
    let fifth = (line >> 32) as u8;
    let is_data = line & 0xffff_ffff == DATA && matches!(fifth, 0 | b':' | b'\r');
    if is_data {
        direction.body.in_event = within::DATA;
    }
}
