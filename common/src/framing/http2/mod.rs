//! HTTP/2 framing (RFC 9113): streams, header blocks, bodies that are passed over.
//!
//! What a header block says is compressed against all blocks before it (HPACK, RFC 7541). The
//! walker reads each block as far as operation and outcome need it, and keeps in a table what
//! later blocks refer to, so that every call is known in the kernel, whatever its number.
//!
//! ```text
//!  advance: frame header ──▶ DATA ────────▶ bytes of the stream, END_STREAM ──▶ EXCHANGE
//!                       │                  with messages of gRPC cut in it ──▶ MESSAGES
//!                       ├──▶ HEADERS ─────▶ FIELDS, or what the same block meant before
//!                       ├──▶ RST_STREAM ──▶ EXCHANGE that was given up
//!                       ├──▶ GOAWAY ──────▶ EXCHANGEs that the server never began
//!                       └──▶ all others ──▶ passed over
//!  fields: representations ▶ VALUE (a text that matters) or MORE (advance goes on)
//!  value:  text ───────────▶ FIELDS
//!  messages: their prefixes ▶ MORE (advance goes on)
//!  a block that is complete ▶ NAMED (a path as text: user space may need it), EXCHANGE
//! ```

mod block;
mod data;
mod exchange;
mod frame;
mod goaway;
mod head;
mod huffman;
mod messages;
mod reads;
mod repeat;
mod stream;
mod table;
pub mod trace;
mod value;
mod walk;

use bytemuck::{Pod, Zeroable};

pub use block::fields;
pub use frame::{FRAME_HEADER_BYTES, flag, kind};
pub(in crate::framing) use frame::{preface_evidence, resumes, server_evidence};
pub use head::compare;
pub use messages::{Messages, messages};
pub use repeat::Repeat;
pub use stream::{GRPC_CALL, Spill, Stream, StreamKey};
pub use table::{ENTRIES, Field, Table, field};
pub use value::{MAX_SYMBOLS, TEXT_WORDS, value};
pub use walk::advance;

use super::{
    conversation::{Conversation, Finished, step},
    window::Load,
};

/// Streams that have a slot in the connection's own record.
pub const SLOTS: usize = 128;

/// Operation key of a request whose path was not seen: no operation has it as its hash.
pub const UNSEEN_OP: u64 = 1;

/// Statuses of HTTP/2 and gRPC beside HTTP's own.
pub mod outcome {
    /// The response was complete, and its status was not seen.
    pub const UNTOLD: u16 = 2;
    /// The stream was reset: this plus the error code of RST_STREAM (RFC 9113, section 7), codes
    /// above 99 as 99.
    pub const RESET: u16 = 2000;
    /// Greatest status of a reset stream.
    pub const RESET_MAX: u16 = RESET + 99;
    /// The status of gRPC: this plus its code, codes above 99 as 99.
    pub const GRPC: u16 = 3000;
    /// Greatest status of gRPC.
    pub const GRPC_MAX: u16 = GRPC + 99;
}

/// What the fields of a block tell: [`Field::value`] by [`field`]; 0 = not met. A field that does not
/// matter has no value: in its place stands [`Field::exact`] of the path.
///
/// [`Field::value`]: table::Field::value
/// [`Field::exact`]: table::Field::exact
pub type Said = [u64; 8];

/// Place of the path's hash in [`Said`].
const EXACT: usize = field::OTHER as usize;

/// The header block under way. What begins as 0 does not lie side by side: the compiler would make a
/// call of it, see [`super::window::blank`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Block {
    /// Its frames with their headers, bytes.
    pub bytes: u64,
    /// Stream offset of its first frame.
    pub offset: u64,
    /// 1 = it refers to entries of the table that were added before.
    pub refers: u64,
    /// Monotonic time of its first frame, ns.
    pub time_ns: u64,
    /// Which of [`Half::said`] is what it tells.
    pub told: u64,
}

/// A field of which the value waits to be read, by window positions.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Waiting {
    /// Where the value begins.
    pub at: u32,
    /// Its length, bytes.
    pub len: u32,
    /// One of [`field`].
    pub kind: u8,
    /// 1 = by Huffman codes.
    pub huffman: u8,
    /// 1 = it becomes an entry of the table.
    pub insert: u8,
    /// Explicit padding.
    pub _pad: [u8; 5],
}

/// Where the walk over one direction stands between segments.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Half {
    /// Stream offset of window position 0.
    pub window_at: u64,
    /// Segment of which the window holds bytes, by its time, ns.
    pub window_ns: u64,
    /// Window position from which on it was filled.
    pub window_from: u32,
    /// Bytes of the header-block fragment, or of the messages in a frame of DATA, that are not
    /// read yet.
    pub fragment_left: u32,
    /// Up to this stream, messages may have been missed in a hole.
    pub uncounted: u32,
    /// Bytes of the field under way that are passed over in the fragments to come.
    pub skip: u32,
    /// Stream of the frame under way.
    pub stream: u32,
    /// Greatest stream that was begun in this direction.
    pub latest: u32,
    /// One of [`place`].
    pub place: u8,
    /// Bits of [`flag`] of the header block under way: END_STREAM of its first frame,
    /// END_HEADERS of its latest one.
    pub flags: u8,
    /// 1 = the rest of the block under way is not read.
    pub spoilt: u8,
    /// 1 = the block belongs to a push promise.
    pub promise: u8,
    /// 1 = segments were missed since the greatest stream began.
    pub gap: u8,
    /// 1 = the connection is older than its observer.
    pub late: u8,
    /// Padding behind the fragment or the messages, bytes.
    pub padding: u8,
    /// What is known of the frame of DATA under way: 1 = its stream ends with it, 2 = bytes of it
    /// were missed.
    pub data: u8,
    /// See [`Waiting`].
    pub waiting: Waiting,
    /// What blocks tell: the one under way as far as it was read, then each of [`Half::repeats`];
    /// the last one is nobody's, so that an index can be masked.
    pub said: [Said; 4],
    /// Blocks that may come again: those that do not end their stream, and those that do.
    pub repeats: [Repeat; 2],
    /// Explicit padding, to whole cache lines.
    pub _pad_of_repeats: [u64; 4],
    /// See [`Block`].
    pub block: Block,
    /// See [`Table`].
    pub table: Table,
    /// Explicit padding, to whole cache lines.
    pub _pad_of_table: u64,
    /// The exchange that this direction has completed last. Both directions complete some, at the
    /// same time on two CPUs: so it is not [`Conversation::finished`].
    pub finished: Finished,
    /// Where a value is decoded.
    pub text: [u64; TEXT_WORDS],
    /// Explicit padding, to whole cache lines.
    pub _pad_of_half: [u64; 5],
}

/// Value of the `HTTP2` socket storage: what only connections of HTTP/2 need.
///
/// Both directions are read at the same time on two processors: what only one of them touches lies
/// apart from what the other one does, and what both look at hardly ever changes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Http2 {
    /// Requests that HTTP/1 had answered on the connection before its upgrade.
    pub before: u64,
    /// Exchanges that the client has ended.
    pub given_up: u64,
    /// Streams that found their slot taken and are kept elsewhere.
    pub spilt: u32,
    /// Stream from which on the server refuses all (GOAWAY); 0 = none.
    pub refused: u32,
    /// Stream from which on those are still to be ended.
    pub refusing: u32,
    /// Explicit padding.
    pub _pad_of_both: u32,
    /// Explicit padding: what the kernel keeps before a socket's storage belongs to its first line.
    pub _pad_of_line: [u64; 3],
    /// Client to server.
    pub request: Half,
    /// The path of the client's block under way, if it came as text.
    pub path: [u64; TEXT_WORDS],
    /// Operation key that the path belongs to, once its block is complete.
    pub path_op: u64,
    /// Its length, bytes; 0 = it was no text, or could not be read.
    pub path_len: u32,
    /// Explicit padding.
    pub _pad: u32,
    /// Explicit padding, to whole cache lines.
    pub _pad_of_client: [u64; 6],
    /// Open streams, each in the slot of its number.
    pub streams: [Stream; SLOTS],
    /// Server to client.
    pub response: Half,
    /// Exchanges that the server has ended.
    pub ended: u64,
    /// Stream from which on the application has read none.
    pub unread: u32,
    /// Explicit padding.
    pub _pad_of_reads: u32,
}

const _: () = {
    use core::mem::offset_of;
    // With the word that the kernel keeps before a socket's storage, each begins a line.
    assert!((offset_of!(Http2, request) + 8).is_multiple_of(64));
    assert!((offset_of!(Http2, response) + 8).is_multiple_of(64));
    assert!((offset_of!(Http2, streams) + 8).is_multiple_of(64));
    assert!(offset_of!(Half, said).is_multiple_of(64));
    assert!(offset_of!(Half, block).is_multiple_of(64));
    assert!(offset_of!(Half, finished).is_multiple_of(64));
    assert!(size_of::<Half>().is_multiple_of(64));
};

impl Http2 {
    #[inline(always)]
    pub(in crate::framing) fn half_mut(&mut self, is_request: bool) -> &mut Half {
        if is_request {
            &mut self.request
        } else {
            &mut self.response
        }
    }

    /// The exchange that a direction has completed last.
    #[inline(always)]
    pub fn finished(&self, is_request: bool) -> &Finished {
        if is_request {
            &self.request.finished
        } else {
            &self.response.finished
        }
    }

    /// The slot of a stream, whoever is in it.
    #[inline(always)]
    pub(in crate::framing) fn slot_mut(&mut self, id: u32) -> &mut Stream {
        &mut self.streams[(id >> 1) as usize & (SLOTS - 1)]
    }
}

/// Where a direction stands. Crosses as `u8`.
pub mod place {
    /// At a frame header.
    pub const FRAME: u8 = 0;
    /// In a fragment of a header block.
    pub const FRAGMENT: u8 = 1;
    /// Behind a complete block.
    pub const BLOCK_END: u8 = 2;
    /// At a message, or at its prefix, in a frame of DATA.
    pub const DATA: u8 = 3;
}

/// Reads on in the segment under the reader, all parts in one: for user space. Call until it
/// answers [`step::DONE`], within a bound of your own.
pub fn walk<S: Spill, L: Load>(
    conversation: &mut Conversation,
    http2: &mut Http2,
    spill: &mut S,
    is_request: bool,
    bytes: &mut L,
) -> u32 {
    let mut code = advance(conversation, http2, spill, is_request, bytes);
    loop {
        code = match code {
            step::COMPARE => compare(conversation, http2, is_request),
            step::FIELDS => fields(conversation, http2, spill, is_request),
            step::VALUE => value(conversation, http2, spill, is_request),
            step::MESSAGES => messages(conversation, http2, spill, is_request),
            _ => return code,
        };
    }
}
