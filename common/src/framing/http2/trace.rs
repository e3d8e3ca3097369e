//! The trace context that a request brings: its `traceparent`, as it was sent.
//!
//! Few requests have one, so it is not kept with the streams but beside them ([`super::Spill`]), by
//! the offset of the request's block. A later request may refer to it by a number in HPACK's table,
//! which remembers that offset, and gets a copy.

use bytemuck::{Pod, Zeroable};

use super::{
    Http2, Spill,
    table::{Field, UNREAD, field},
};

/// Words of a kept text: its symbols, and their number in the last word; 0 = none that counts.
pub const TRACE_WORDS: usize = 9;

/// Where their number stands.
const LEN_WORD: usize = TRACE_WORDS - 1;

/// Symbols that are kept: a `traceparent` of today's version has 55.
const TRACE_SYMBOLS: usize = LEN_WORD * 8;

/// Where a request's trace context is kept.
pub type Trace = [u64; TRACE_WORDS];

/// Which request of which connection.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct TraceKey {
    /// Socket cookie of the counting end.
    pub cookie: u64,
    /// Offset of the request's block in the client's byte stream.
    pub offset: u64,
}

/// The text of a kept trace context.
pub fn text(trace: &Trace) -> &[u8] {
    let bytes: &[u8] = bytemuck::cast_slice(&trace[..LEN_WORD]);
    bytes.get(..trace[LEN_WORD] as usize).unwrap_or(&[])
}

/// Values of [`super::Stream::traced`] and of `traced` in what has finished.
pub mod traced {
    /// It has none.
    pub const NONE: u8 = 0;
    /// It has one of its own.
    pub const OWN: u8 = 1;
    /// Others may refer to its one.
    pub const SHARED: u8 = 2;
}

/// The value of a field: the offset of its block, twice, and whether it stands in HPACK's table.
#[inline(always)]
fn place(offset: u64, insert: u8) -> u64 {
    offset << 2 | (insert as u64) << 1 | 1
}

/// Keeps the text that was decoded. Who sends more than one has none.
#[inline(always)]
pub(super) fn keep<S: Spill>(
    http2: &mut Http2,
    spill: &mut S,
    is_request: bool,
    len: usize,
    insert: u8,
) -> Field {
    let kind = field::TRACE;
    let offset = http2.half_mut(is_request).block.offset;
    let before = http2.half_mut(is_request).block.values[kind as usize];
    let fits = before == 0 && len <= TRACE_SYMBOLS;
    if is_request {
        http2.text[LEN_WORD] = if fits { len as u64 } else { 0 };
        if let Some(text) = http2.text.first_chunk() {
            spill.keep_trace(offset, text);
        }
    }
    Field {
        kind,
        value: place(offset, insert),
        exact: 0,
    }
}

/// What a request's block that is complete tells: one of [`traced`].
#[inline(always)]
pub(super) fn of_block<S: Spill>(http2: &Http2, spill: &mut S) -> u8 {
    let block = &http2.request.block;
    let value = block.values[field::TRACE as usize];
    if value == 0 || value == UNREAD {
        return traced::NONE;
    }
    if value >> 2 != block.offset {
        spill.copy_trace(value >> 2, block.offset);
        return traced::OWN;
    }
    1 + (value >> 1 & 1) as u8
}
