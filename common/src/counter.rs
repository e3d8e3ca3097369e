//! Exact-lane keys and values, the latency histogram, and the reasons for loss.

use bytemuck::{Pod, Zeroable};

use crate::flow::protocol;

/// Entries of the `OPS` map.
pub const MAX_OPERATIONS: u32 = 65_536;

/// Entries of the `OPS_SPARE` map.
pub const MAX_SPARE: u32 = 512;

/// Key of the `OPS` map (per-CPU hash): one operation with one outcome on one edge.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Pod, Zeroable)]
pub struct OpKey {
    /// Operation hash as the framer computes it ([`crate::framing::http1::op_hash`]);
    /// 0 is `_OTHER`.
    pub op: u64,
    /// Edge id ([`crate::flow::EdgeValue::id`]).
    pub edge_id: u32,
    /// Status code of the protocol (HTTP status); 0 = no response was seen.
    pub status: u16,
    /// [`crate::flow::protocol`].
    pub protocol: u8,
    /// [`crate::framing::http1::method`] code.
    pub method: u8,
}

/// In [`OpKey::protocol`] of an entry of `OPS` that the agent made of one of `OPS_SPARE`. No program
/// looks for such a key, so what is under it can be read and written again.
const MOVED: u8 = 1 << 7;

impl OpKey {
    /// Key in `OPS` of what was counted for this operation in `OPS_SPARE`.
    pub fn moved(self) -> Self {
        Self {
            protocol: self.protocol | MOVED,
            ..self
        }
    }

    /// The operation's own key: of itself, and of [`Self::moved`].
    pub fn plain(self) -> Self {
        Self {
            protocol: self.protocol & !MOVED,
            ..self
        }
    }

    /// The key as it lies in memory, by words: written so, the kernel's hash need not wait until parts
    /// of a word have reached the cache.
    #[inline(always)]
    pub const fn words(&self) -> [u64; 2] {
        let parts = [
            self.edge_id as u64,
            self.status as u64,
            self.protocol as u64,
            self.method as u64,
        ];
        let rest = if cfg!(target_endian = "little") {
            parts[0] | parts[1] << 32 | parts[2] << 48 | parts[3] << 56
        } else {
            parts[0] << 32 | parts[1] << 16 | parts[2] << 8 | parts[3]
        };
        [self.op, rest]
    }
}

/// Number of latency buckets, see [`bucket_of`].
pub const BUCKETS: usize = 112;

/// Value of the `OPS` map, one per CPU; user space adds the CPUs up. An exchange is in one of the first
/// three: each further counter is a further atomic addition.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct OpValue {
    /// Exchanges of known duration and known queue time.
    pub queued: u64,
    /// Exchanges of known duration whose queue time is not known.
    pub unqueued: u64,
    /// Exchanges whose duration is unknown (not in `buckets`), and so their queue time.
    pub untimed: u64,
    /// Bytes of requests: heads and bodies.
    pub request_bytes: u64,
    /// Bytes of responses: heads and bodies.
    pub response_bytes: u64,
    /// Sum of durations, ns: first byte of the request to last byte of the response.
    pub duration_sum_ns: u64,
    /// Sum of known queue times, ns: first byte of the request until the application read it.
    pub queue_sum_ns: u64,
    /// Monotonic time of the latest exchange, ns.
    pub last_seen_ns: u64,
    /// Not 0 once a detail record with a request head was sent: the operation has its name.
    pub named: u64,
    /// Durations, by [`bucket_of`].
    pub buckets: [u32; BUCKETS],
}

impl OpValue {
    /// Exchanges.
    pub fn calls(&self) -> u64 {
        self.queued + self.unqueued + self.untimed
    }
}

impl Default for OpValue {
    fn default() -> Self {
        Self::zeroed()
    }
}

/// Shift below which a duration is in bucket 0: 2^10 ns, about 1 µs.
const FLOOR_SHIFT: u32 = 10;

/// Bucket of a duration: four linear steps per power of two, from 1 µs to 4.6 minutes.
///
/// Bucket 0 holds everything below 1,024 ns; the last one everything above its lower bound.
/// The relative width is at most 25 %, so a percentile read from it errs by at most 12.5 %
/// at the bucket's middle.
#[inline(always)]
pub fn bucket_of(duration_ns: u64) -> usize {
    if duration_ns < (1 << FLOOR_SHIFT) {
        return 0;
    }
    let log2 = log2(duration_ns);
    let step = (duration_ns >> (log2 - 2)) & 3;
    let bucket = ((log2 - FLOOR_SHIFT) as usize) * 4 + step as usize + 1;
    if bucket >= BUCKETS {
        BUCKETS - 1
    } else {
        bucket
    }
}

/// Lower bound of a bucket, ns.
pub fn bucket_floor_ns(bucket: usize) -> u64 {
    if bucket == 0 {
        return 0;
    }
    let log2 = FLOOR_SHIFT + ((bucket - 1) / 4) as u32;
    let step = ((bucket - 1) % 4) as u64;
    (4 + step) << (log2 - 2)
}

/// Floor of log2 of a non-zero value, branch-light because BPF has no count-leading-zeros.
#[inline(always)]
fn log2(value: u64) -> u32 {
    let mut v = value;
    let mut r = 0;
    if v >> 32 != 0 {
        v >>= 32;
        r += 32;
    }
    if v >> 16 != 0 {
        v >>= 16;
        r += 16;
    }
    if v >> 8 != 0 {
        v >>= 8;
        r += 8;
    }
    if v >> 4 != 0 {
        v >>= 4;
        r += 4;
    }
    if v >> 2 != 0 {
        v >>= 2;
        r += 2;
    }
    r + (v >> 1) as u32
}

/// Value of the `EDGE_STATS` map (hash by edge id): what connections and loss add up to.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct EdgeStats {
    /// Payload bytes from client to server (acknowledged or received).
    pub bytes_to_server: u64,
    /// Payload bytes from server to client.
    pub bytes_to_client: u64,
    /// Segments sent and received by the counting socket.
    pub segments: u64,
    /// Segments that the counting socket sent again.
    pub retransmits: u64,
    /// Retransmission timeouts.
    pub timeouts: u64,
    /// Connections that ended by RST, either way.
    pub resets: u64,
    /// Connection attempts that never were established.
    pub connect_failures: u64,
    /// Connections that began with a TLS record.
    pub tls_connections: u64,
    /// Monotonic time of the latest update, ns.
    pub last_seen_ns: u64,
    /// Losses on this edge by [`Loss`].
    pub lost: [u64; Loss::COUNT],
    /// Connections by [`crate::flow::protocol`] when they were closed or reported.
    pub protocols: [u32; protocol::SLOTS],
    /// Smoothed round-trip times, sampled at most once a second per connection.
    pub rtt: [u32; BUCKETS],
    /// Time from SYN to ESTABLISHED, client ends only.
    pub connect: [u32; BUCKETS],
}

impl Default for EdgeStats {
    fn default() -> Self {
        Self::zeroed()
    }
}

/// Why an event or an exchange could not be seen. Index of the `LOST` per-CPU array.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Loss {
    /// The ring buffer was full: the details of an exchange were dropped (exact counts are not
    /// affected).
    RingFull = 0,
    /// A segment with a message head was never seen.
    SegmentGap = 1,
    /// A head or line longer than the framer follows.
    HeadTooLong = 2,
    /// Bytes that are not the protocol any more.
    Malformed = 3,
    /// More requests were outstanding on a connection than are remembered; counted, not timed.
    PipelineDepth = 4,
    /// One skb held more messages than one program run may walk.
    TooManyMessages = 5,
    /// A response whose request was not seen.
    OrphanResponse = 6,
    /// The connection was older than weir: what was in flight at take-up is not known.
    AttachMidstream = 7,
    /// Two CPUs handled segments of one direction at once.
    Concurrent = 8,
    /// The edge table was full; the connection is folded into `_OTHER`.
    EdgeTableFull = 9,
    /// The operation table was full, or had no memory for one more; the exchange is folded into
    /// `_OTHER`.
    OpTableFull = 10,
    /// Payload of a socket that weir has no record of.
    UnknownSocket = 11,
    /// The kernel had no memory for a socket's record, or for the counters of an operation and of
    /// `_OTHER`.
    StorageFailed = 12,
    /// The connection ended while a request had no complete response.
    Unanswered = 13,
    /// The packet could not be read.
    Unreadable = 14,
    /// Messages within an exchange that goes on could not be counted; the exchange is.
    UncountedMessages = 15,
    /// The ring buffer was full: what it would have told of a connection, a name, a process or a
    /// verdict was dropped (exact counts are not affected).
    EventRingFull = 16,
}

impl Loss {
    /// Number of reasons.
    pub const COUNT: usize = 17;

    /// All reasons, in index order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::RingFull,
        Self::SegmentGap,
        Self::HeadTooLong,
        Self::Malformed,
        Self::PipelineDepth,
        Self::TooManyMessages,
        Self::OrphanResponse,
        Self::AttachMidstream,
        Self::Concurrent,
        Self::EdgeTableFull,
        Self::OpTableFull,
        Self::UnknownSocket,
        Self::StorageFailed,
        Self::Unanswered,
        Self::Unreadable,
        Self::UncountedMessages,
        Self::EventRingFull,
    ];

    /// Name in JSON, metrics and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::SegmentGap => "segment_gap",
            Self::HeadTooLong => "head_too_long",
            Self::Malformed => "malformed",
            Self::PipelineDepth => "pipeline_depth",
            Self::TooManyMessages => "too_many_messages",
            Self::OrphanResponse => "orphan_response",
            Self::AttachMidstream => "attach_midstream",
            Self::Concurrent => "concurrent",
            Self::EdgeTableFull => "edge_table_full",
            Self::OpTableFull => "op_table_full",
            Self::UnknownSocket => "unknown_socket",
            Self::StorageFailed => "storage_failed",
            Self::Unanswered => "unanswered",
            Self::Unreadable => "unreadable",
            Self::UncountedMessages => "uncounted_messages",
            Self::EventRingFull => "event_ring_full",
        }
    }

    /// True where whole exchanges are missing from the exact counts, so completeness falls.
    pub const fn hides_exchanges(self) -> bool {
        matches!(
            self,
            Self::SegmentGap
                | Self::HeadTooLong
                | Self::Malformed
                | Self::TooManyMessages
                | Self::OrphanResponse
                | Self::Concurrent
                | Self::StorageFailed
                | Self::Unreadable
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_moved_is_of_the_same_operation() {
        let key = OpKey {
            op: 9,
            edge_id: 3,
            status: 200,
            protocol: protocol::SLOTS as u8 - 1,
            method: 1,
        };
        assert_ne!(key.moved(), key);
        assert_eq!(key.moved().moved(), key.moved());
        assert_eq!((key.moved().plain(), key.plain()), (key, key));
    }

    #[test]
    fn the_words_of_a_key_are_its_memory() {
        let key = OpKey {
            op: 0x0102_0304_0506_0708,
            edge_id: 0x1112_1314,
            status: 0x2122,
            protocol: 0x31,
            method: 0x41,
        };
        assert_eq!(key.words(), bytemuck::cast::<OpKey, [u64; 2]>(key));
    }

    #[test]
    fn every_bucket_floor_is_in_its_bucket() {
        for bucket in 0..BUCKETS {
            assert_eq!(
                bucket_of(bucket_floor_ns(bucket)),
                bucket,
                "floor of {bucket}"
            );
            if bucket > 0 {
                assert_eq!(
                    bucket_of(bucket_floor_ns(bucket) - 1),
                    bucket - 1,
                    "below {bucket}"
                );
            }
        }
    }

    #[test]
    fn extreme_durations_have_a_bucket() {
        assert_eq!(bucket_of(0), 0);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn reasons_are_in_index_order_and_named_once() {
        for (index, reason) in Loss::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
            assert!(
                Loss::ALL[..index]
                    .iter()
                    .all(|other| other.name() != reason.name())
            );
        }
    }
}
