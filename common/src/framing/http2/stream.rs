//! Streams that wait for their end.

use bytemuck::{Pod, Zeroable};

/// Which stream of which connection.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct StreamKey {
    /// Socket cookie of the counting end.
    pub cookie: u64,
    /// Stream identifier.
    pub stream: u32,
    /// Explicit padding.
    pub _pad: u32,
}

/// Bits of [`Stream::flags`].
pub mod stream_flag {
    /// The client has said everything.
    pub const REQUEST_ENDED: u8 = 1;
}

/// A request that waits for the end of its response.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Stream {
    /// Which request of the connection, from 1.
    pub ordinal: u64,
    /// Offset of its HEADERS frame in the client's byte stream.
    pub offset: u64,
    /// Monotonic time of that frame, ns.
    pub started_ns: u64,
    /// Monotonic time of the response's first frame, ns; 0 = none yet.
    pub responded_ns: u64,
    /// Frames of the client on this stream with their headers, bytes.
    pub request_bytes: u64,
    /// Frames of the server on this stream with their headers, bytes.
    pub response_bytes: u64,
    /// Bits of [`stream_flag`].
    pub flags: u8,
    /// Explicit padding.
    pub _pad: [u8; 7],
}

/// Where the streams of a connection are kept: a kernel map, or a table in user space.
pub trait Streams {
    /// The stream, if it is known.
    fn get(&mut self, stream: u32) -> Option<&mut Stream>;
    /// Keeps a new one; false if there is no room.
    fn insert(&mut self, stream: u32, value: &Stream) -> bool;
    /// Forgets one.
    fn remove(&mut self, stream: u32);
}
