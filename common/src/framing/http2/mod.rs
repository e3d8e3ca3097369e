//! HTTP/2 framing (RFC 9113): streams, header blocks in pieces, bodies that are passed over.
//!
//! What a header block says is compressed against all blocks before it (HPACK, RFC 7541), so the
//! walker hands every block on, piece by piece and in order ([`step::PIECE`]), and user space
//! reads them. Streams are told apart here: when one ends, its exchange is complete.
//!
//! ```text
//!  frame header ──▶ DATA ─────────▶ bytes of the stream, END_STREAM ──▶ EXCHANGE
//!              ├──▶ HEADERS ──────▶ PIECE … PIECE (+ CONTINUATION) ───▶ EXCHANGE at END_STREAM
//!              ├──▶ RST_STREAM ───▶ EXCHANGE that was given up
//!              └──▶ all others ───▶ passed over
//! ```

mod frame;
mod stream;
mod walk;

use bytemuck::{Pod, Zeroable};

pub use frame::{FRAME_HEADER_BYTES, flag, kind};
pub(in crate::framing) use frame::{begins_connection, begins_request, begins_server};
pub use stream::{Stream, StreamKey, Streams, stream_flag};
pub use walk::{Piece, advance, piece, step};

/// Outcome of a stream that was reset, as status: this plus the error code of RST_STREAM
/// (RFC 9113, section 7), at most [`RESET_MAX`].
pub const RESET: u16 = 2000;

/// Greatest status of a reset stream: codes above 99 are folded into it.
pub const RESET_MAX: u16 = RESET + 99;

/// Where the walk over one direction stands between segments.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Http2Direction {
    /// Bytes of the header-block fragment under way that are not read yet.
    pub fragment_left: u32,
    /// Padding behind the fragment, bytes.
    pub padding: u32,
    /// Stream of the frame under way.
    pub stream: u32,
    /// Pieces of header blocks so far: who reads them sees whether one is missing.
    pub pieces: u32,
    /// Greatest stream that was begun in this direction.
    pub latest: u32,
    /// One of [`place`].
    pub place: u8,
    /// Bits of [`flag`] of the header block under way: END_STREAM of its first frame,
    /// END_HEADERS of its latest one.
    pub flags: u8,
    /// 1 = the next piece begins a block.
    pub begins: u8,
    /// 1 = the block belongs to a push promise.
    pub promise: u8,
}

/// Where a direction stands. Crosses as `u8`.
pub mod place {
    /// At a frame header.
    pub const FRAME: u8 = 0;
    /// In a fragment of a header block.
    pub const FRAGMENT: u8 = 1;
    /// Behind a block that ends its stream.
    pub const ENDING: u8 = 2;
    /// In the last DATA frame of a stream.
    pub const LAST_DATA: u8 = 3;
}
