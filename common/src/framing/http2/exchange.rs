//! Requests and their ends: what a complete block, a last frame or a reset mean for their stream.

use super::{
    EXACT, FRAME_HEADER_BYTES, Http2, Spill, Stream, UNSEEN_OP, flag, frame, goaway, kind,
    messages::{self, Messages, UNCOUNTED},
    outcome, place, repeat,
    stream::{GRPC_CALL, TRACED},
    table::{GRPC_TYPE, UNREAD, field},
    trace,
};
use crate::{
    counter::Loss,
    flow::protocol,
    framing::{
        conversation::{Conversation, MESSAGES_UNKNOWN, Step, lost, more, step},
        stream::Direction,
    },
};

/// Error codes of RST_STREAM (RFC 9113, section 7).
pub(super) mod error {
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
    pub const ENHANCE_YOUR_CALM: u32 = 11;
    pub const INADEQUATE_SECURITY: u32 = 12;
}

/// The stream with this number, if it is open.
#[inline(always)]
pub(super) fn find<'a, S: Spill>(
    http2: &'a mut Http2,
    spill: &'a mut S,
    id: u32,
) -> Option<&'a mut Stream> {
    if http2.slot_mut(id).id == id {
        return Some(http2.slot_mut(id));
    }
    if http2.spilt == 0 {
        return None;
    }
    spill.get(id)
}

/// Length of the path of the client's block. The line belongs to the processor that reads requests:
/// the compiler must not fetch it for an answer.
#[inline(always)]
#[expect(
    unsafe_code,
    reason = "a plain load would be made before its condition"
)]
fn text_of(http2: &Http2) -> u32 {
    // SAFETY: a live, aligned field of ours.
    unsafe { core::ptr::read_volatile(&raw const http2.path_len) }
}

/// A block is complete: what it tells belongs to its stream, which it may begin or end.
#[inline(always)]
pub(super) fn end_block<S: Spill>(
    conversation: &mut Conversation,
    http2: &mut Http2,
    spill: &mut S,
    is_request: bool,
) -> Step {
    let path_len = if is_request { text_of(http2) } else { 0 };
    let half = http2.half_mut(is_request);
    half.place = place::FRAME;
    half.spoilt = 0;
    repeat::was_read(half, path_len);
    let (id, bytes) = (half.stream, half.block.bytes);
    half.block.bytes = 0;
    if half.promise != 0 {
        return more(conversation.direction_mut(is_request));
    }
    if is_request && id > half.latest && id & 1 == 1 {
        return begin_stream(conversation, http2, spill, id, bytes);
    }
    let ends = half.flags & flag::END_STREAM != 0 && !is_request;
    let said = half.told();
    let status = said[field::STATUS as usize];
    let code = said[field::GRPC_STATUS as usize];
    let content_type = said[field::CONTENT_TYPE as usize];
    let grpc = content_type == GRPC_TYPE;
    let time_ns = half.block.time_ns;
    let (window_at, window_ns) = (half.window_at, half.window_ns);
    let Some(stream) = find(http2, spill, id) else {
        if ends {
            return ended(http2, false, 0);
        }
        return more(conversation.direction_mut(is_request));
    };
    if is_request {
        stream.add_bytes(true, bytes);
        return more(&conversation.request);
    }
    stream.add_bytes(false, bytes);
    let is_first = stream.responded == 0;
    stream.note_response(time_ns);
    if content_type != 0 && !grpc {
        stream.response_prefix = UNCOUNTED;
    }
    if status != 0 && status != UNREAD {
        stream.status = status as u16;
    }
    if code != 0 && code != UNREAD {
        stream.grpc_status = code as u8;
    }
    if grpc && !stream.is_grpc() {
        // The request did not say so, and has the key of a path of HTTP.
        stream.op = UNSEEN_OP;
        stream.call |= GRPC_CALL;
        if is_first {
            // No message came before; the client's may have.
            stream.response_prefix = 0;
        }
    }
    if ends || take_content(&mut conversation.response, stream, window_at, window_ns) {
        return ended(http2, false, 0);
    }
    more(&conversation.response)
}

/// Takes the frame behind a block of the response if it is all of a short content: the stream's last
/// one, whole in this segment, its header in the window, and no message of gRPC. A step by itself
/// would cost as much as the block's.
///
/// As one condition, because each branch would double the paths behind it.
#[inline(always)]
fn take_content(
    direction: &mut Direction,
    stream: &mut Stream,
    window_at: u64,
    window_ns: u64,
) -> bool {
    const ENDS: u8 = flag::END_STREAM;
    let start = direction.next;
    let from = start.wrapping_sub(window_at);
    let header = frame::header(&direction.window, from as usize);
    let bytes = FRAME_HEADER_BYTES as u64 + header.len as u64;
    let is_other = (header.kind ^ kind::DATA)
        | (header.flags & (ENDS | flag::PADDED) ^ ENDS)
        | (stream.response_prefix ^ UNCOUNTED);
    let is_elsewhere = (header.stream ^ stream.id) as u64 | (window_ns ^ direction.segment.time_ns);
    // Negative numbers have the highest bit.
    let is_cut = (direction.scan_to as u64).wrapping_sub(from + FRAME_HEADER_BYTES as u64) >> 63;
    let goes_on = direction.segment.end.wrapping_sub(start + bytes) >> 63;
    let differs = is_other as u64 | is_elsewhere | is_cut | goes_on;
    if direction.window.forget(differs as usize) != 0 {
        return false;
    }
    stream.add_bytes(false, bytes);
    direction.next = start + bytes;
    true
}

/// A request's first block is complete.
#[inline(always)]
fn begin_stream<S: Spill>(
    conversation: &mut Conversation,
    http2: &mut Http2,
    spill: &mut S,
    id: u32,
    bytes: u64,
) -> Step {
    let half = &mut http2.request;
    if half.latest == 0 {
        http2.before = conversation.answered;
    }
    // The first stream is 1, the next one 3.
    let passed = id.wrapping_sub(half.latest).wrapping_add(1) >> 1;
    let is_late = half.latest == 0 && half.late != 0;
    let missed = half.gap != 0 && !is_late && passed > 1;
    let latest_before = half.latest;
    half.latest = id;
    half.gap = 0;
    conversation.request.head_flags = 0;
    conversation.request.message_start = half.block.offset;
    let said = half.told();
    let grpc = said[field::CONTENT_TYPE as usize] == GRPC_TYPE;
    let path = if grpc {
        said[EXACT]
    } else {
        said[field::PATH as usize]
    };
    let call = if grpc {
        GRPC_CALL
    } else {
        said[field::METHOD as usize] as u8
    };
    let (offset, started_ns) = (half.block.offset, half.block.time_ns);
    let op = if path == 0 || path == UNREAD {
        UNSEEN_OP
    } else {
        path
    };
    let prefix = if grpc { 0 } else { UNCOUNTED };
    let call = call | trace::of_block(&http2.request, spill);
    http2.path_op = op;
    goaway::begins(http2, latest_before, id);
    conversation.asked += 1;
    let slot = http2.slot_mut(id);
    let free = slot.id == 0;
    if free {
        slot.op = op;
        slot.offset_low = offset as u32;
        slot.started_ns = started_ns;
        slot.responded = 0;
        slot.bytes_low = [0, bytes as u32];
        slot.bytes_high = [0, (bytes >> 32) as u8];
        slot.status = 0;
        slot.grpc_status = 0;
        slot.call = call;
        slot.request_prefix = prefix;
        slot.response_prefix = prefix;
        slot.queue = 0;
        slot.request = Messages { left: 0, count: 0 };
        slot.response = Messages { left: 0, count: 0 };
        slot.id = id;
    } else {
        http2.spilt += 1;
        spill.insert(&Stream {
            op,
            offset_low: offset as u32,
            started_ns,
            responded: 0,
            bytes_low: [0, bytes as u32],
            bytes_high: [0, (bytes >> 32) as u8],
            id,
            status: 0,
            grpc_status: 0,
            call,
            request_prefix: prefix,
            response_prefix: prefix,
            queue: 0,
            request: Messages { left: 0, count: 0 },
            response: Messages { left: 0, count: 0 },
        });
    }
    if missed {
        // Stream numbers ascend by two: they tell how many requests the hole has swallowed.
        return lost(conversation, true, Loss::SegmentGap, passed as u64 - 1);
    }
    if http2.path_len != 0 && op != UNSEEN_OP {
        return step::NAMED;
    }
    if goaway::is_pending(http2) {
        return step::MORE;
    }
    more(&conversation.request)
}

/// The stream of the frame under way has ended, by a reset if there is a status: [`end_stream`] is
/// next.
#[inline(always)]
pub(super) fn ended(http2: &mut Http2, is_request: bool, reset: u16) -> Step {
    http2.half_mut(is_request).finished.status = reset;
    step::ENDS
}

/// The stream that ends has its exchange, if its request was seen. Stands once in each part of a
/// step, because the verifier would take every copy by itself.
#[inline(always)]
pub(super) fn end_stream<S: Spill>(
    conversation: &mut Conversation,
    http2: &mut Http2,
    spill: &mut S,
    is_request: bool,
) -> Step {
    let half = http2.half_mut(is_request);
    let (id, reset) = (half.stream, half.finished.status);
    let time_ns = conversation.direction_mut(is_request).segment.time_ns;
    let spilt = http2.slot_mut(id).id != id;
    let Some(found) = find(http2, spill, id) else {
        // Reset before, or its request is older than weir; else it was missed.
        let latest = http2.request.latest;
        if !is_request && id > latest && id & 1 == 1 && latest != 0 {
            return lost(conversation, false, Loss::OrphanResponse, 1);
        }
        return more(conversation.direction_mut(is_request));
    };
    let stream = *found;
    // At once: the other direction may end it at this very moment.
    found.id = 0;
    if spilt {
        http2.spilt -= 1;
        spill.remove(id);
    }
    let grpc = stream.is_grpc();
    let half = http2.half_mut(is_request);
    half.finished.request_messages = MESSAGES_UNKNOWN;
    half.finished.response_messages = MESSAGES_UNKNOWN;
    if grpc {
        let asked = messages::told(conversation, http2, &stream, true, is_request);
        let answered = messages::told(conversation, http2, &stream, false, is_request);
        let asked = conversation.forget(is_request, asked as usize) as u32;
        let answered = conversation.forget(is_request, answered as usize) as u32;
        let half = http2.half_mut(is_request);
        half.finished.request_messages = asked;
        half.finished.response_messages = answered;
    }
    let half = http2.half_mut(is_request);
    let finished = &mut half.finished;
    finished.ordinal = 0;
    finished.op = stream.op;
    finished.seq = stream.offset_low;
    finished.started_ns = stream.started_ns;
    finished.queue_ns = stream.queue_ns();
    finished.responded_ns = stream.responded_ns();
    finished.ended_ns = time_ns;
    finished.request_bytes = stream.bytes(true);
    finished.response_bytes = stream.bytes(false);
    finished.status = status_of(&stream, grpc, reset);
    finished.method = if grpc { 0 } else { stream.call & !TRACED };
    finished.until_close = 0;
    finished.traced = stream.call >> 7;
    finished.protocol = if grpc {
        protocol::GRPC
    } else {
        protocol::HTTP2
    };
    let sum = if is_request {
        &mut http2.given_up
    } else {
        &mut http2.ended
    };
    *sum += 1;
    // The other direction may write its own sum at this moment; the next end writes both again.
    let ended = http2.ended + http2.given_up;
    conversation.answered = http2.before.wrapping_add(ended);
    step::EXCHANGE
}

/// How a stream ended.
#[inline(always)]
fn status_of(stream: &Stream, grpc: bool, reset: u16) -> u16 {
    if grpc {
        return match (stream.grpc_status, reset) {
            (0, 0) => outcome::UNTOLD,
            (0, reset) => outcome::GRPC + grpc_of_reset((reset - outcome::RESET) as u32),
            (status, _) => outcome::GRPC + (status as u16 - 1),
        };
    }
    match (reset, stream.status) {
        (0, 0) => outcome::UNTOLD,
        (0, status) => status,
        (reset, _) => reset,
    }
}

/// The status that clients of gRPC make of an error code of HTTP/2
/// (gRPC over HTTP/2, "HTTP2 Transport Mapping").
#[inline(always)]
fn grpc_of_reset(code: u32) -> u16 {
    const CANCELLED: u16 = 1;
    const PERMISSION_DENIED: u16 = 7;
    const RESOURCE_EXHAUSTED: u16 = 8;
    const INTERNAL: u16 = 13;
    const UNAVAILABLE: u16 = 14;
    match code {
        error::CANCEL => CANCELLED,
        error::REFUSED_STREAM => UNAVAILABLE,
        error::ENHANCE_YOUR_CALM => RESOURCE_EXHAUSTED,
        error::INADEQUATE_SECURITY => PERMISSION_DENIED,
        _ => INTERNAL,
    }
}
