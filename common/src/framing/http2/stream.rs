//! Streams that wait for their end.

use bytemuck::{Pod, Zeroable};

use super::{messages::Messages, trace::Trace};

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

/// [`Stream::call`] of gRPC.
pub const GRPC_CALL: u8 = 0x7f;

/// Bit of [`Stream::call`]: a trace context of it is kept, see [`super::trace`].
pub const TRACED: u8 = 0x80;

/// A request that waits for the end of its response.
///
/// It is one cache line, which goes from the processor that reads requests to the one that reads
/// responses. So times beside the first one are kept in fewer bits, see [`Stream::responded_ns`] and
/// [`Stream::queue_ns`], as are offset and sizes. What begins as 0 does not lie side by side: the
/// compiler would make a call of it, see [`super::super::window::blank`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Stream {
    /// Operation key.
    pub op: u64,
    /// The client's messages, of gRPC.
    pub request: Messages,
    /// Monotonic time of its first frame, ns.
    pub started_ns: u64,
    /// The server's messages, of gRPC.
    pub response: Messages,
    /// Lower half of its first frame's offset in the client's byte stream.
    pub offset_low: u32,
    /// Low words of [`Stream::bytes`]: the server's, the client's.
    pub bytes_low: [u32; 2],
    /// See [`Stream::responded_ns`]; 0 = not yet.
    pub responded: u32,
    /// Stream identifier; 0 = an empty slot.
    pub id: u32,
    /// See [`Stream::queue_ns`]; 0 = not known.
    pub queue: u32,
    /// HTTP status; 0 = not told yet.
    pub status: u16,
    /// `grpc-status` plus one; 0 = not told yet.
    pub grpc_status: u8,
    /// One of [`crate::framing::http1::method`], or [`GRPC_CALL`]; and perhaps [`TRACED`].
    pub call: u8,
    /// What does not fit into `bytes_low`.
    pub bytes_high: [u8; 2],
    /// Bytes that were read of the prefix under way in `request`, at most 4; 255 = the client's
    /// messages are not counted.
    pub request_prefix: u8,
    /// The same in `response`.
    pub response_prefix: u8,
}

const _: () = assert!(size_of::<Stream>() == 64);

/// [`Stream::responded`] counts in units of 2 to the power of this, ns.
const UNIT_SHIFT: u32 = 8;

impl Stream {
    /// Frames of a side on this stream with their headers, bytes; up to 2^40.
    #[inline(always)]
    pub fn bytes(&self, is_request: bool) -> u64 {
        let side = is_request as usize;
        (self.bytes_high[side] as u64) << 32 | self.bytes_low[side] as u64
    }

    /// True if it is a call of gRPC, as far as is known.
    #[inline(always)]
    pub(super) fn is_grpc(&self) -> bool {
        self.call & !TRACED == GRPC_CALL
    }

    /// Counts a frame of a side.
    #[inline(always)]
    pub(super) fn add_bytes(&mut self, is_request: bool, bytes: u64) {
        let side = is_request as usize;
        let bytes = self.bytes(is_request) + bytes;
        self.bytes_low[side] = bytes as u32;
        self.bytes_high[side] = (bytes >> 32) as u8;
    }

    /// Notes a frame of the server; the first one's time counts.
    #[inline(always)]
    pub(super) fn note_response(&mut self, time_ns: u64) {
        if self.responded == 0 {
            let units = time_ns.wrapping_sub(self.started_ns) >> UNIT_SHIFT;
            self.responded = if units < u32::MAX as u64 {
                units as u32 + 1
            } else {
                u32::MAX
            };
        }
    }

    /// Monotonic time of the response's first frame, ns; 0 = none yet, or later than 18 minutes.
    #[inline(always)]
    pub fn responded_ns(&self) -> u64 {
        if self.responded == 0 || self.responded == u32::MAX {
            return 0;
        }
        self.started_ns + ((self.responded as u64 - 1) << UNIT_SHIFT)
    }
}

/// Where streams are kept that find their slot taken: a kernel map, or a table in user space.
pub trait Spill {
    /// The stream, if it is known.
    fn get(&mut self, id: u32) -> Option<&mut Stream>;
    /// Keeps a new one.
    fn insert(&mut self, value: &Stream);
    /// Forgets one.
    fn remove(&mut self, id: u32);
    /// Keeps the trace context of the request whose block begins at this offset.
    fn keep_trace(&mut self, offset: u64, text: &Trace);
    /// Keeps the one of another request also for that whose block begins at `to`.
    fn copy_trace(&mut self, from: u64, to: u64);
}
