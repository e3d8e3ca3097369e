//! The lines of a window: start lines, header fields, chunk sizes.

use super::Conversation;
use crate::framing::{
    line,
    stream::{Direction, head_flag, phase},
    window::{CARRY_BYTES, LINES, Window},
};

/// How a pass over the window ended. Positions are window positions.
#[derive(Clone, Copy)]
enum Scan {
    /// The window is used up in mid-head; what is carried is in `carry_len`.
    Open,
    /// A line that matters is finished and there is more behind it.
    Next(u64),
    /// The empty line of a head or of trailers was read.
    End(u64),
    /// These bytes are not what they should be.
    Bad,
}

/// What [`scan`] found.
pub mod found {
    /// The window is used up in mid-head.
    pub const OPEN: u32 = 0;
    /// A line that matters is finished and there is more behind it.
    pub const NEXT: u32 = 1;
    /// The empty line of a head or of trailers was read.
    pub const END: u32 = 2;
    /// These bytes are not what they should be.
    pub const BAD: u32 = 3;
}

/// Middle part of a step: reads the window's lines and answers one of [`found`]; where it stopped
/// is in [`Direction::scan_end`].
#[inline(always)]
pub fn scan(conversation: &mut Conversation, is_request: bool) -> u32 {
    let direction = conversation.direction_mut(is_request);
    let (from, to) = (direction.scan_from as usize, direction.scan_to as usize);
    let lines = direction.window.find_lines(to);
    // The search compared `to` with every word's position, and so taught the verifier fifty
    // different things about it.
    let to = direction.window.forget(to);
    let scan = match direction.phase {
        phase::START_LINE => start_line(direction, is_request, from, to, lines),
        phase::CHUNK_SIZE => chunk_line(direction, from, to, lines),
        _ => header_lines(direction, from, to, lines, 0),
    };
    match scan {
        Scan::Open => found::OPEN,
        Scan::Next(at) => {
            direction.scan_end = at;
            found::NEXT
        }
        Scan::End(at) => {
            direction.scan_end = at;
            found::END
        }
        Scan::Bad => found::BAD,
    }
}

/// Position of the window's first line feed, or `to`.
#[inline(always)]
fn first_line_feed(direction: &Direction, to: usize, lines: usize) -> usize {
    if lines == 0 {
        to
    } else {
        direction.window.line_feed(0)
    }
}

/// End of a line's text, without a CR before its line feed.
#[inline(always)]
fn text_end(direction: &Direction, start: usize, line_feed: usize) -> usize {
    let has_cr = line_feed > start && direction.window.byte(line_feed - 1) == b'\r';
    line_feed - has_cr as usize
}

/// The window ends in mid-line: carries the line's beginning over. False if it is too long.
#[inline(always)]
fn carry(direction: &mut Direction, start: usize, to: usize) -> bool {
    if start >= to {
        return true;
    }
    let visible = to - start;
    if visible >= CARRY_BYTES {
        return false;
    }
    direction.window.carry_from(to);
    direction.carry_len = visible as u8;
    true
}

#[inline(always)]
fn start_line(
    direction: &mut Direction,
    is_request: bool,
    from: usize,
    to: usize,
    lines: usize,
) -> Scan {
    let line_feed = first_line_feed(direction, to, lines);
    let complete = line_feed < to;
    if !complete && carry(direction, from, to) {
        return Scan::Open;
    }
    let end = text_end(direction, from, line_feed);
    if complete && from >= end {
        // RFC 9112, section 2.2: empty lines before a start line are ignored.
        return Scan::Next(line_feed as u64 + 1);
    }
    let good = if is_request {
        line::request_line(direction, from, end, complete)
    } else {
        line::status_line(direction, from, end)
    };
    if !good {
        return Scan::Bad;
    }
    direction.phase = phase::HEADERS;
    if !complete {
        direction.head_flags |= head_flag::SKIP_LINE;
        return Scan::Open;
    }
    header_lines(direction, line_feed + 1, to, lines, 1)
}

/// The phase in which a body is read whose head has this flag.
#[inline(always)]
pub(super) fn phase_of(flag: u8) -> u8 {
    const { assert!(phase::EVENTS + 1 == phase::GRAPHQL && head_flag::GRAPHQL == 128) };
    phase::EVENTS + flag / head_flag::GRAPHQL
}

#[inline(always)]
fn chunk_line(direction: &mut Direction, from: usize, to: usize, lines: usize) -> Scan {
    let line_feed = first_line_feed(direction, to, lines);
    let complete = line_feed < to;
    if direction.head_flags & head_flag::SKIP_LINE == 0 {
        if !complete && carry(direction, from, to) {
            return Scan::Open;
        }
        let end = text_end(direction, from, line_feed);
        if !line::chunk_size(direction, from, end) {
            return Scan::Bad;
        }
    }
    if !complete {
        // A chunk extension longer than what is carried: its size is known already.
        direction.head_flags |= head_flag::SKIP_LINE;
        return Scan::Open;
    }
    direction.head_flags &= !head_flag::SKIP_LINE;
    let after = line_feed as u64 + 1;
    if direction.content_length == 0 {
        direction.phase = phase::TRAILERS;
        return Scan::Next(after);
    }
    let read = direction.head_flags & (head_flag::EVENTS | head_flag::GRAPHQL);
    if read != 0 {
        direction.phase = phase_of(read);
        return Scan::Next(after);
    }
    // The chunk's data and its CR LF are passed over without being read.
    Scan::Next(after.wrapping_add(direction.content_length + 2))
}

/// Walks header or trailer lines from window position `from` on, whose first line feed has index
/// `next`. Lines that frame are noted in passing and read afterwards, so that the loop stays small
/// for the verifier.
#[inline(always)]
fn header_lines(
    direction: &mut Direction,
    from: usize,
    to: usize,
    lines: usize,
    next: usize,
) -> Scan {
    let mut line_start = direction.window.forget(from);
    let mut index = next;
    if direction.head_flags & head_flag::SKIP_LINE != 0 && lines > next {
        direction.head_flags &= !head_flag::SKIP_LINE;
        line_start = direction.window.line_feed(next) + 1;
        index = next + 1;
    }
    let mut length = Noted::none(&mut direction.window);
    let mut encoding = Noted::none(&mut direction.window);
    // The latest lines about the content, of whatever kind.
    let mut others = [from; 4].map(|start| direction.window.forget(start));
    let mut end_len = 2;
    while index < LINES {
        if index >= lines {
            break;
        }
        let line_feed = direction.window.line_feed(index);
        let start = line_start;
        line_start = line_feed + 1;
        index += 1;
        let len = line_feed.wrapping_sub(start);
        if len <= 1 {
            end_len = len;
            break;
        }
        let word = line::lower_word(&direction.window, start);
        if word == line::CONTENT {
            length.note(
                &mut direction.window,
                start,
                line_feed,
                line::is_content_length,
            );
            others = [
                direction.window.forget(start),
                others[0],
                others[1],
                others[2],
            ];
        } else if word == line::TRANSFER {
            encoding.note(
                &mut direction.window,
                start,
                line_feed,
                line::is_transfer_encoding,
            );
        }
    }
    let line_start = direction.window.forget(line_start);
    let lines = direction.window.forget(lines);
    for start in others {
        line::content_marks(direction, start);
    }
    if direction.phase == phase::HEADERS && !take_framing(direction, &length, &encoding) {
        return Scan::Bad;
    }
    if end_len == 0 || (end_len == 1 && direction.window.byte(line_start.wrapping_sub(2)) == b'\r')
    {
        return Scan::End(line_start as u64);
    }
    if end_len == 1 {
        return Scan::Bad;
    }
    rest_of_window(direction, line_start, to, lines)
}

/// A header line that frames, by window positions; `end` 0 = not met.
struct Noted {
    start: usize,
    end: usize,
    /// Met more than once with that name.
    again: usize,
}

impl Noted {
    #[inline(always)]
    fn none(window: &mut Window) -> Self {
        Self {
            start: window.forget(0),
            end: window.forget(0),
            again: window.forget(0),
        }
    }

    #[inline(always)]
    fn note(
        &mut self,
        window: &mut Window,
        start: usize,
        line_feed: usize,
        is_it: fn(&Window, usize) -> bool,
    ) {
        if is_it(window, start) {
            self.again = window.forget(self.end);
            self.start = window.forget(start);
            self.end = window.forget(line_feed);
        }
    }
}

/// Reads the lines that were noted; false if they make the framing impossible.
#[inline(always)]
fn take_framing(direction: &mut Direction, length: &Noted, encoding: &Noted) -> bool {
    if encoding.end != 0 {
        let end = text_end(direction, encoding.start, encoding.end);
        line::transfer_encoding(direction, encoding.start, end);
    }
    if length.end == 0 {
        return true;
    }
    let end = text_end(direction, length.start, length.end);
    length.again == 0 && line::content_length(direction, length.start + 15, end)
}

/// No empty line was met: more lines may wait than were noted, or the last one is unfinished.
#[inline(always)]
fn rest_of_window(direction: &mut Direction, line_start: usize, to: usize, lines: usize) -> Scan {
    if lines >= LINES && line_start < to {
        return Scan::Next(line_start as u64);
    }
    if direction.head_flags & head_flag::SKIP_LINE != 0 || carry(direction, line_start, to) {
        return Scan::Open;
    }
    if line::frames(direction, line_start) {
        return Scan::Bad;
    }
    direction.head_flags |= head_flag::SKIP_LINE;
    Scan::Open
}
