//! Lines of the text protocol, which may be longer than what is carried from segment to segment,
//! and the blocks of data whose length a line tells.

use super::place;
use crate::framing::{
    frames::{Frame, means},
    line,
    stream::Direction,
    window::Window,
};

/// An unfinished line of less than this waits for more; a longer one is passed over in parts.
pub const WAIT_BYTES: usize = 90;

/// What stays of a line that is passed over in parts: its end tells whether it is answered.
const KEEP_BYTES: usize = 16;

/// Digits of a length; more are not memcached's.
pub const MAX_DIGITS: usize = 10;

/// A line, or the rest of it.
pub struct Line {
    /// Where the frame begins.
    pub from: usize,
    /// Where lengths or flags begin, if the place is behind the key.
    pub at: usize,
    /// Behind its text.
    pub end: usize,
    /// Bytes of the frame with its end of line.
    pub len: u64,
}

/// What [`rest`] makes of a line.
pub enum Rest {
    /// Its end is not in sight.
    Open(Frame),
    /// It is complete.
    Whole(Line),
}

/// Goes on in a line from `at`, of a frame that begins at `from`, where the place was `before`.
#[inline(always)]
pub fn rest(direction: &mut Direction, before: u64, from: usize, at: usize, to: usize) -> Rest {
    let line_feed = direction.window.find(b'\n', at, to);
    let line_feed = direction.window.forget(line_feed);
    let before = direction.window.forget(before as usize) as u64;
    let whole = line_feed < to;
    let mut at = at;
    let outer = direction.content_length & place::QUIET_READS;
    let mut place = direction.content_length & !place::QUIET_READS;
    if place == place::KEY {
        let blank = direction.window.find(b' ', at, line_feed);
        if blank < line_feed {
            place = place::BEHIND_KEY;
            at = direction.window.forget(blank + 1);
        } else if whole {
            place = place::LINE;
        }
    }
    if before & !place::QUIET_READS == place::BEHIND_KEY {
        // The blank behind the key.
        let blank = direction.window.byte(at) == b' ';
        at = direction.window.forget(at + blank as usize);
    }
    if place == place::BEHIND_KEY && whole && line_feed + 1 >= at + WAIT_BYTES {
        // No lengths and flags are that long; cut into segments, it would not be read either.
        place = place::LINE;
    }
    direction.content_length = outer | place;
    if whole {
        let has_cr = direction.window.byte(line_feed.wrapping_sub(1)) == b'\r';
        return Rest::Whole(Line {
            from,
            at,
            end: direction.window.forget(line_feed - has_cr as usize),
            len: (line_feed + 1).wrapping_sub(from) as u64,
        });
    }
    let known = to.wrapping_sub(from);
    if known < WAIT_BYTES {
        // The frame is read anew with what follows.
        direction.content_length = before;
        return Rest::Open(Frame::CUT);
    }
    let used = match place {
        place::KEY => known,
        // Its blank stays: `noreply` is told by the one before it.
        place::BEHIND_KEY if at > from + 1 => at.wrapping_sub(from + 1),
        _ => {
            direction.content_length = outer | place::LINE;
            known - KEEP_BYTES
        }
    };
    Rest::Open(Frame {
        len: used as u64,
        means: means::PART,
    })
}

/// Length of a block of data with its end of line, told behind `skip` words (two at most) at `at`;
/// 0 if it is not told.
#[inline(always)]
pub fn block_len(window: &mut Window, at: usize, end: usize, skip: usize) -> u64 {
    let mut at = at;
    let mut i = 0;
    while i < 2 {
        if i >= skip {
            break;
        }
        let blank = window.find(b' ', at, end);
        at = window.forget(blank + 1);
        i += 1;
    }
    let number = line::number(window, at, end, 10);
    let after = window.forget(at + number.len);
    let ends = after >= end || window.byte(after) == b' ';
    if number.len == 0 || number.len > MAX_DIGITS || !ends {
        return 0;
    }
    number.value + 2
}
