//! The reader of HTTP/2: streams in a map, header blocks to the ring buffer.

use aya_ebpf::{bindings::__sk_buff, macros::cgroup_skb, programs::SkBuffContext};
use weir_common::{
    connection::ConnectionState,
    counter::Loss,
    event::{
        LARGE_PIECE_BYTES, PieceRecord, SMALL_PIECE_BYTES, kind, piece_flag,
    },
    framing::{
        conversation::step,
        http2::{Piece, Stream, StreamKey, Streams, advance, piece},
    },
};

use super::readers::read;
use crate::{
    emit::{header, lost_on, now, reserve_for, submit},
    maps::STREAMS,
    walk::{Payload, connection},
};

/// The streams of one connection in the map of all.
struct Of {
    cookie: u64,
}

impl Of {
    #[inline(always)]
    fn key(&self, stream: u32) -> StreamKey {
        StreamKey {
            cookie: self.cookie,
            stream,
            _pad: 0,
        }
    }
}

impl Streams for Of {
    #[inline(always)]
    fn get(&mut self, stream: u32) -> Option<&mut Stream> {
        let value = STREAMS.get_ptr_mut(self.key(stream))?;
        // SAFETY: the pointer is a live map value; one connection is walked by one CPU at a time.
        Some(unsafe { &mut *value })
    }

    #[inline(always)]
    fn insert(&mut self, stream: u32, value: &Stream) -> bool {
        STREAMS.insert(self.key(stream), value, 0).is_ok()
    }

    #[inline(always)]
    fn remove(&mut self, stream: u32) {
        let _ = STREAMS.remove(self.key(stream));
    }
}

/// One step over the frames of an skb; see [`super::readers`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_http2(skb: *mut __sk_buff, is_request: u32, payload_at: u32) -> u32 {
    let Some(state) = connection(skb) else {
        return step::DONE;
    };
    let mut payload = Payload {
        skb,
        at: payload_at,
    };
    let mut streams = Of {
        cookie: state.cookie,
    };
    advance(
        &mut state.conversation,
        &mut streams,
        is_request != 0,
        &mut payload,
    )
}

/// Hands the piece of a header block on that is in the window.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_piece(skb: *mut __sk_buff, is_request: u32) -> u32 {
    let Some(state) = connection(skb) else {
        return 0;
    };
    let is_request = is_request != 0;
    let piece = piece(&mut state.conversation, is_request);
    // The bytes begin somewhere in their first word.
    if piece.len <= SMALL_PIECE_BYTES - 8 {
        tell::<SMALL_PIECE_BYTES, { SMALL_PIECE_BYTES / 8 }>(state, is_request, &piece);
    } else {
        tell::<LARGE_PIECE_BYTES, { LARGE_PIECE_BYTES / 8 }>(state, is_request, &piece);
    }
    0
}

#[inline(always)]
fn tell<const N: usize, const WORDS: usize>(
    state: &ConnectionState,
    is_request: bool,
    piece: &Piece,
) {
    const { assert!(core::mem::offset_of!(PieceRecord<N>, bytes) % 8 == 0 && N == WORDS * 8) };
    let Some(mut entry) = reserve_for::<PieceRecord<N>>() else {
        lost_on(state.edge_id, Loss::RingFull as u32, 1);
        return;
    };
    // SAFETY: every field is written before the record is submitted; the struct is plain bytes.
    let record = unsafe { &mut *entry.as_mut_ptr() };
    let kind = if N == SMALL_PIECE_BYTES {
        kind::SMALL_PIECE
    } else {
        kind::LARGE_PIECE
    };
    record.header = header(kind, now());
    record.cookie = state.cookie;
    record.stream = piece.stream;
    record.ordinal = piece.ordinal;
    record.len = piece.len as u16;
    record.skip = (piece.from & 7) as u8;
    record.flags = is_request as u8 * piece_flag::REQUEST
        | piece.begins as u8 * piece_flag::BEGINS
        | piece.ends as u8 * piece_flag::ENDS
        | piece.promise as u8 * piece_flag::PROMISE;
    record._pad = [0; 4];
    let direction = if is_request {
        &state.conversation.request
    } else {
        &state.conversation.response
    };
    let words = record.bytes.as_mut_ptr().cast::<[u64; WORDS]>();
    // SAFETY: `bytes` is 8-aligned within the record and holds WORDS words (asserted).
    direction.window.copy_words(piece.from, unsafe { &mut *words });
    submit(entry);
}

#[cgroup_skb(ingress)]
pub fn weir_http2_in(ctx: SkBuffContext) -> i32 {
    read(ctx.skb.skb, true, weir_http2)
}

#[cgroup_skb(egress)]
pub fn weir_http2_out(ctx: SkBuffContext) -> i32 {
    read(ctx.skb.skb, false, weir_http2)
}
