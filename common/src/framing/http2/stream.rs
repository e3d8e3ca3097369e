//! Streams that wait for their end.

use bytemuck::{Pod, Zeroable};

/// Which stream of which connection, where a connection has more than [`super::SLOTS`] hold.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct StreamKey {
    /// Socket cookie of the counting end.
    pub cookie: u64,
    /// Stream identifier.
    pub id: u32,
    /// Explicit padding.
    pub _pad: u32,
}

/// Bits of [`Stream::flags`].
pub mod stream_flag {
    /// Its content is gRPC.
    pub const GRPC: u8 = 1;
}

/// A request that waits for the end of its response.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Stream {
    /// Operation key.
    pub op: u64,
    /// Offset of its first frame in the client's byte stream.
    pub offset: u64,
    /// Monotonic time of that frame, ns.
    pub started_ns: u64,
    /// Monotonic time of the response's first frame, ns; 0 = none yet.
    pub responded_ns: u64,
    /// Frames of the client on this stream with their headers, bytes.
    pub request_bytes: u64,
    /// Frames of the server on this stream with their headers, bytes.
    pub response_bytes: u64,
    /// Stream identifier; 0 = an empty slot.
    pub id: u32,
    /// HTTP status; 0 = not told yet.
    pub status: u16,
    /// `grpc-status` plus one; 0 = not told yet.
    pub grpc_status: u8,
    /// One of [`crate::framing::http1::method`].
    pub method: u8,
    /// Bits of [`stream_flag`].
    pub flags: u8,
    /// Explicit padding.
    pub _pad: [u8; 3],
    /// See [`Stream::queue_ns`]; 0 = not known.
    pub queue: u32,
}

const _: () = assert!(size_of::<Stream>() == 64);

/// Where streams are kept that find their slot taken: a kernel map, or a table in user space.
pub trait Spill {
    /// The stream, if it is known.
    fn get(&mut self, id: u32) -> Option<&mut Stream>;
    /// Keeps a new one.
    fn insert(&mut self, value: &Stream);
    /// Forgets one.
    fn remove(&mut self, id: u32);
}
