//! GOAWAY (RFC 9113, section 6.8): streams above the one that it names were not processed and never
//! will be. Their requests end as refused, as by RST_STREAM, also those that were under way to the
//! server when it said so; clients may send them again on another connection.

use super::{
    FRAME_HEADER_BYTES, Half, Http2, Spill,
    exchange::{ended, error, find},
    outcome,
};
use crate::framing::{
    conversation::{Step, step},
    window::Window,
};

/// How many of the streams that began last a GOAWAY may end. Of those before only the number is
/// known when the connection ends.
const AT_ONCE: u32 = 1024;

/// How many streams a step looks at.
const LOOKS: u32 = 16;

/// Notes what the server's frame at a window position says. A client's speaks of pushes.
#[inline(always)]
pub(super) fn note(http2: &mut Http2, is_request: bool, window: &Window, at: usize) {
    if is_request {
        return;
    }
    let last = u32::from_be(window.u64_at(at.wrapping_add(FRAME_HEADER_BYTES)) as u32) << 1 >> 1;
    // Clients' streams are odd.
    let first = last.wrapping_add(1) | 1;
    if http2.refused != 0 && first >= http2.refused {
        return;
    }
    http2.refused = first;
    http2.refusing = first;
}

/// A stream begins. Where those up to the latest one before it are ended, it is the next to be looked
/// at: the numbers in between belong to none.
#[inline(always)]
pub(super) fn begins(http2: &mut Http2, latest_before: u32, id: u32) {
    if http2.refusing > latest_before && http2.refusing < id {
        http2.refusing = id;
    }
}

/// True if streams may wait that the server refuses.
#[inline(always)]
pub(super) fn is_pending(http2: &Http2) -> bool {
    http2.refused != 0 && http2.refusing <= http2.request.latest
}

/// Ends the next stream that the server refuses, by a direction that stands at a frame.
#[inline(always)]
pub(super) fn refuse<S: Spill>(http2: &mut Http2, spill: &mut S, is_request: bool) -> Step {
    let latest = http2.request.latest;
    // A client may leave out any number of them, and begin more although they are refused.
    let oldest = latest.saturating_sub(2 * (AT_ONCE - 1)) | 1;
    let first = http2.refusing;
    let mut id = if first < oldest { oldest } else { first };
    let mut i = 0;
    while i < LOOKS && id <= latest {
        if find(http2, spill, id).is_some() {
            http2.refusing = id.wrapping_add(2);
            let half: &mut Half = http2.half_mut(is_request);
            half.stream = id;
            return ended(
                http2,
                is_request,
                outcome::RESET + error::REFUSED_STREAM as u16,
            );
        }
        id = id.wrapping_add(2);
        i += 1;
    }
    http2.refusing = id;
    step::MORE
}
