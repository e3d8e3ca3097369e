//! The trace context that a request brings: its `traceparent`, as it was sent (W3C Trace Context).
//!
//! Few requests have one, so it is not kept with the streams but beside them ([`super::Spill`]), by
//! where the request's block begins. A later request may refer to it by a number in HPACK's table,
//! which remembers that place, and gets a copy. Nobody forgets one: whatever keeps them has its bound.

use bytemuck::{Pod, Zeroable};

use super::{
    Half, Http2, Spill,
    stream::TRACED,
    table::{Field, UNREAD, field},
};

/// Words of a kept text: its symbols, and their number in the last word; 0 = none that counts.
pub const TRACE_WORDS: usize = 9;

/// Where their number stands.
const LEN_WORD: usize = TRACE_WORDS - 1;

/// Symbols that are kept: a `traceparent` of today's version has 55.
const TRACE_SYMBOLS: usize = LEN_WORD * 8;

/// A request's trace context.
pub type Trace = [u64; TRACE_WORDS];

/// Which request of which connection.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct TraceKey {
    /// Socket cookie of the counting end.
    pub cookie: u64,
    /// Lower half of the offset of the request's block in the client's byte stream.
    pub offset_low: u32,
    /// Explicit padding.
    pub _pad: u32,
}

impl TraceKey {
    /// Of the request that begins at this offset.
    #[inline(always)]
    pub fn new(cookie: u64, offset_low: u32) -> Self {
        Self {
            cookie,
            offset_low,
            _pad: 0,
        }
    }
}

/// The text of a kept trace context.
pub fn text(trace: &Trace) -> &[u8] {
    let bytes: &[u8] = bytemuck::cast_slice(&trace[..LEN_WORD]);
    bytes.get(..trace[LEN_WORD] as usize).unwrap_or(&[])
}

/// Keeps the text that was decoded. Who sends more than one has none. The field's value is where its
/// block begins, plus one.
#[inline(always)]
pub(super) fn keep<S: Spill>(
    http2: &mut Http2,
    spill: &mut S,
    is_request: bool,
    len: usize,
) -> Field {
    let half = http2.half_mut(is_request);
    let offset = half.block.offset;
    let is_only = half.said[0][field::TRACE as usize] == 0;
    if is_request {
        let fits = is_only && len <= TRACE_SYMBOLS;
        half.text[LEN_WORD] = if fits { len as u64 } else { 0 };
        if let Some(text) = half.text.first_chunk() {
            spill.keep_trace(offset, text);
        }
    }
    Field {
        kind: field::TRACE,
        value: offset.wrapping_add(1),
        exact: 0,
    }
}

/// What a client's block that is complete tells: [`TRACED`], or 0.
#[inline(always)]
pub(super) fn of_block<S: Spill>(half: &Half, spill: &mut S) -> u8 {
    let value = half.told()[field::TRACE as usize];
    if value == 0 || value == UNREAD {
        return 0;
    }
    let from = value.wrapping_sub(1);
    if from != half.block.offset {
        spill.copy_trace(from, half.block.offset);
    }
    TRACED
}
