//! Messages of gRPC: each stands behind a prefix of five bytes (a flag, its length), and frames of
//! DATA cut them and their prefixes anywhere (gRPC over HTTP/2, "Length-Prefixed-Message").
//!
//! A frame with one message in it, or with no more than a part of one, is taken with its header.
//! Others are read prefix by prefix: what costs is a message, not a byte.

use bytemuck::{Pod, Zeroable};

use super::{Half, Http2, Spill, Stream, exchange::find, place};
use crate::framing::{
    conversation::{Conversation, MESSAGES_UNKNOWN, Step, more, step},
    stream::{Direction, phase},
    window::{Window, sign},
};

/// Bytes before each message.
const PREFIX_BYTES: u32 = 5;

/// How many messages a step reads: with two steps for a window full of the smallest ones, a run of
/// the kernel's program reads the largest segment.
const MESSAGES: usize = 40;

/// Where [`Way::prefix`] says that nothing is counted.
pub(super) const UNCOUNTED: u8 = u8::MAX;

/// Messages of a stream in one direction.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Messages {
    /// Bytes of the message under way that are still to come; within a prefix what was read of it.
    pub left: u32,
    /// Messages that the frames so far complete.
    pub count: u32,
}

/// Where a stream's messages stand in one direction.
pub(super) struct Way<'a> {
    messages: &'a mut Messages,
    /// Bytes of a prefix that were read; [`UNCOUNTED`] if its messages are not, or not any more.
    prefix: &'a mut u8,
}

impl Stream {
    #[inline(always)]
    fn way_mut(&mut self, is_request: bool) -> Way<'_> {
        if is_request {
            Way {
                messages: &mut self.request,
                prefix: &mut self.request_prefix,
            }
        } else {
            Way {
                messages: &mut self.response,
                prefix: &mut self.response_prefix,
            }
        }
    }
}

/// Bits of [`Half::data`]: what is known of the frame of DATA under way.
pub(super) mod data_flag {
    /// The stream ends with it.
    pub const ENDS: u8 = 1;
    /// Bytes of it were missed.
    pub const TORN: u8 = 2;
}

/// Takes a frame of DATA as a whole if its header and one prefix tell all of it; its content
/// begins at a window position, and so many bytes from there on are at hand. False if
/// [`messages`] is to read it.
#[inline(always)]
pub(super) fn take_frame(
    stream: &mut Stream,
    is_request: bool,
    window: &Window,
    at: usize,
    known: usize,
    content: u32,
) -> bool {
    let way = stream.way_mut(is_request);
    if *way.prefix == UNCOUNTED || content == 0 {
        return true;
    }
    let left = way.messages.left;
    let rest = if *way.prefix != 0 {
        return false;
    } else if left != 0 {
        left as i64 - content as i64
    } else {
        let word = window.u64_at(at);
        let is_message = word as u8 <= 1 && known >= PREFIX_BYTES as usize;
        if !is_message || content < PREFIX_BYTES {
            return false;
        }
        PREFIX_BYTES as i64 + length(word) as i64 - content as i64
    };
    if rest < 0 {
        return false;
    }
    way.messages.left = rest as u32;
    count(way.messages, is_some(rest as u64) ^ 1);
    true
}

/// The length in a prefix.
#[inline(always)]
fn length(word: u64) -> u32 {
    ((word >> 8) as u32).swap_bytes()
}

/// Reads the messages of the frame of DATA that is in the window of its direction, from
/// [`Direction::scan_from`] up to [`Direction::scan_to`]. `next` is the offset of the first byte.
#[inline(always)]
pub fn messages<S: Spill>(
    conversation: &mut Conversation,
    http2: &mut Http2,
    spill: &mut S,
    is_request: bool,
) -> Step {
    let direction = conversation.direction_mut(is_request);
    let half = http2.half_mut(is_request);
    let (stream, left) = (half.stream, half.fragment_left);
    let torn = half.data & data_flag::TORN != 0;
    let used = match find(http2, spill, stream) {
        Some(stream) => read(direction, stream.way_mut(is_request), left, torn),
        None => left,
    };
    let used = direction.window.forget(used as usize) as u32;
    pass(direction, http2.half_mut(is_request), used)
}

/// Reads prefixes; answers how many bytes of the frame were read or are passed over.
///
/// With as few branches as can be: the verifier takes each way through a round of a loop by itself,
/// in each round.
#[inline(always)]
fn read(direction: &mut Direction, way: Way<'_>, frame_left: u32, torn: bool) -> u32 {
    let known = direction.scan_to.wrapping_sub(direction.scan_from);
    let from = direction.scan_from;
    let window = &mut direction.window;
    let Way { messages, prefix } = way;
    if torn {
        *prefix = UNCOUNTED;
    }
    if *prefix == UNCOUNTED {
        return frame_left;
    }
    let frame_left = window.forget(frame_left as usize) as u64;
    let known = window.forget(known as usize) as u64;
    let to = least(known, frame_left);
    let mut at = 0_u64;
    let mut i = 0;
    while i < MESSAGES {
        let read = window.forget(*prefix as usize) as u64;
        let left = window.forget(messages.left as usize) as u64;
        // The message under way goes on, unless this is a prefix.
        let in_prefix = is_some(read);
        let skipped = least(left, frame_left.wrapping_sub(at)) & in_prefix.wrapping_sub(1);
        let rest = left.wrapping_sub(skipped);
        messages.left = rest as u32;
        count(messages, is_some(skipped) & (is_some(rest) ^ 1));
        at = window.forget(at.wrapping_add(skipped) as usize) as u64;
        if at >= to {
            break;
        }
        let word = window.u64_at(from.wrapping_add(at as u32) as usize);
        // The flag is 0 or 1: else this is no message, and what follows cannot be framed.
        let odd = (word & 0xfe) & in_prefix.wrapping_sub(1);
        if window.forget(odd as usize) != 0 {
            *prefix = UNCOUNTED;
            return frame_left as u32;
        }
        let taken = least(
            to.wrapping_sub(at),
            (PREFIX_BYTES as u64).wrapping_sub(read),
        );
        let bits = taken.wrapping_mul(8) as u32;
        let bytes = word.swap_bytes() >> (64_u32.wrapping_sub(bits) & 63);
        // The flag goes out at the top.
        let left = (rest << (bits & 63) | bytes) as u32;
        messages.left = left;
        let read = read.wrapping_add(taken);
        let in_prefix = is_some(read ^ PREFIX_BYTES as u64);
        *prefix = (read & 0_u64.wrapping_sub(in_prefix)) as u8;
        count(messages, (in_prefix | is_some(left as u64)) ^ 1);
        at = window.forget(at.wrapping_add(taken) as usize) as u64;
        i += 1;
    }
    at as u32
}

/// The lesser one of two numbers below 2^63, without a branch.
#[inline(always)]
fn least(a: u64, b: u64) -> u64 {
    b ^ ((a ^ b) & sign(a.wrapping_sub(b)))
}

/// 1 if a number below 2^63 is not 0, without a branch.
#[inline(always)]
pub(super) fn is_some(number: u64) -> u64 {
    sign(0_u64.wrapping_sub(number)) & 1
}

/// Counts one more, or none. At the greatest number, which stands for none, it stays.
#[inline(always)]
fn count(messages: &mut Messages, one: u64) {
    let count = messages.count as u64 + one;
    messages.count = (count - (count >> 32)) as u32;
}

/// Goes past bytes of the frame, and leaves it at its end.
#[inline(always)]
fn pass(direction: &mut Direction, half: &mut Half, bytes: u32) -> Step {
    let left = half.fragment_left.wrapping_sub(bytes);
    half.fragment_left = left;
    direction.next = direction.next.wrapping_add(bytes as u64);
    direction.scan_from = direction.scan_from.wrapping_add(bytes);
    if left != 0 {
        return if direction.scan_from < direction.scan_to {
            step::MESSAGES
        } else {
            more(direction)
        };
    }
    direction.next = direction.next.wrapping_add(half.padding as u64);
    half.place = place::FRAME;
    if half.data & data_flag::ENDS != 0 {
        // Its exchange ends with the frame's last byte.
        direction.phase = phase::BODY;
        return step::MORE;
    }
    more(direction)
}

/// How many messages a stream had in one direction; [`MESSAGES_UNKNOWN`] if it is no stream of
/// them, or some were missed. By `is_reader` a direction reads, whose memory is free to use.
///
/// Without a branch, each of which would double the paths behind it.
#[inline(always)]
pub(super) fn told(
    conversation: &mut Conversation,
    http2: &Http2,
    stream: &Stream,
    is_request: bool,
    is_reader: bool,
) -> u32 {
    let (messages, prefix, half) = if is_request {
        (&stream.request, stream.request_prefix, &http2.request)
    } else {
        (&stream.response, stream.response_prefix, &http2.response)
    };
    let place = conversation.direction_mut(is_request).phase;
    let window = &mut conversation.direction_mut(is_reader).window;
    // 1 each if so.
    let is_uncounted = (prefix as usize + 1) >> 8;
    let is_lost = window
        .forget((place ^ phase::RESYNC) as usize)
        .wrapping_sub(1)
        >> 63;
    let was_missed = (stream.id as usize).wrapping_sub(half.uncounted as usize + 1) >> 63;
    let is_unknown = window.forget(is_uncounted | is_lost | was_missed);
    const { assert!(MESSAGES_UNKNOWN == u32::MAX) };
    messages.count | 0_u32.wrapping_sub(is_unknown as u32)
}
