//! Records that cross the ring buffer, and the control values that steer them.
//!
//! Each record begins with [`Header`]; its `kind` says which struct follows.

use bytemuck::{Pod, Zeroable};

use crate::{
    flow::{Addr, Owner},
    framing::http2::MAX_SYMBOLS,
};

/// Values of [`Header::kind`].
pub mod kind {
    /// [`super::ExchangeRecord`].
    pub const EXCHANGE: u32 = 1;
    /// [`super::ConnectionRecord`].
    pub const CONNECTION: u32 = 2;
    /// [`super::VerdictRecord`].
    pub const VERDICT: u32 = 3;
    /// [`super::ProcessRecord`].
    pub const PROCESS: u32 = 4;
    /// [`super::PathRecord`].
    pub const PATH: u32 = 5;
    /// [`super::AnswerRecord`].
    pub const ANSWER: u32 = 6;
}

/// First bytes of every record.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Header {
    /// One of [`kind`].
    pub kind: u32,
    /// CPU that wrote the record.
    pub cpu: u32,
    /// Monotonic time of writing, ns.
    pub time_ns: u64,
}

/// Bytes of a request head that travel with an exchange.
pub const HEAD_BYTES: usize = 256;

/// Bytes of a failing answer that travel with an exchange: a code and the beginning of its words.
pub const ANSWER_BYTES: usize = 64;

/// Why an exchange was chosen for the detail lane. Bits of [`ExchangeRecord::why`].
pub mod why {
    /// First exchange of its operation key.
    pub const NEW_OPERATION: u8 = 1;
    /// Drawn by the sample probability.
    pub const SAMPLED: u8 = 2;
    /// Failed (5xx, or no response).
    pub const ERROR: u8 = 4;
    /// Slower than the edge's bound.
    pub const SLOW: u8 = 8;
}

/// Bits of [`ExchangeRecord::flags`].
pub mod exchange_flag {
    /// `started_ns` is not known (pipeline overflow); duration is 0.
    pub const UNTIMED: u8 = 1;
    /// The initial sequence numbers are not known: ids cannot agree with another host's.
    pub const NO_ISN: u8 = 2;
    /// Both ends are on this host.
    pub const LOCAL_PAIR: u8 = 4;
    /// `head` holds this request's head.
    pub const HAS_HEAD: u8 = 8;
    /// The response ended with its connection, not by its own length.
    pub const UNTIL_CLOSE: u8 = 16;
    /// No response was seen before the connection ended.
    pub const UNANSWERED: u8 = 32;
    /// The response consists of server-sent events.
    pub const EVENTS: u8 = 64;
}

/// One exchange: a request with its response.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct ExchangeRecord {
    /// Common part.
    pub header: Header,
    /// Socket cookie of the counting end.
    pub cookie: u64,
    /// Operation hash, see [`crate::counter::OpKey::op`].
    pub op: u64,
    /// Offset of the request's first byte in the client's byte stream.
    pub request_offset: u64,
    /// Monotonic time of the request's first byte, ns.
    pub started_ns: u64,
    /// From there until the application read that byte from the socket, ns; 0 = not known.
    pub queue_ns: u64,
    /// Monotonic time of the response's first byte, ns; 0 if unanswered.
    pub responded_ns: u64,
    /// Monotonic time of the response's last byte, ns.
    pub ended_ns: u64,
    /// Request head and body, bytes.
    pub request_bytes: u64,
    /// Response head and body, bytes.
    pub response_bytes: u64,
    /// Client's initial sequence number, 0 if unknown.
    pub client_isn: u32,
    /// Server's initial sequence number, 0 if unknown.
    pub server_isn: u32,
    /// Edge id.
    pub edge_id: u32,
    /// Probability with which this record was drawn, in 1/2^32; `u32::MAX` = always.
    pub probability: u32,
    /// Client address as the counting socket sees it.
    pub client_addr: Addr,
    /// Server address as the counting socket sees it.
    pub server_addr: Addr,
    /// Client port, host order.
    pub client_port: u16,
    /// Server port, host order.
    pub server_port: u16,
    /// Process of the client, 0 if remote or unknown.
    pub client_tgid: u32,
    /// Process of the server, 0 if remote or unknown.
    pub server_tgid: u32,
    /// Messages of the client within the exchange, where it consists of them;
    /// [`crate::framing::conversation::MESSAGES_UNKNOWN`].
    pub request_messages: u32,
    /// Messages of the server within the exchange, or events;
    /// [`crate::framing::conversation::MESSAGES_UNKNOWN`].
    pub response_messages: u32,
    /// HTTP status, or one of [`crate::framing::frames::outcome`]; 0 = none.
    pub status: u16,
    /// Length of what is in `head`, bytes.
    pub head_len: u16,
    /// [`crate::flow::protocol`].
    pub protocol: u8,
    /// [`crate::framing::http1::method`].
    pub method: u8,
    /// [`crate::flow::role`] of the counting end.
    pub role: u8,
    /// Bits of [`why`].
    pub why: u8,
    /// Bits of [`exchange_flag`].
    pub flags: u8,
    /// Bytes of `head` that stand before the request ([`ExchangeRecord::head`] skips them).
    pub head_skip: u8,
    /// Bytes of the answer in `answer`: those of a failure that is not HTTP's.
    pub answer_len: u8,
    /// Bytes of `answer` that stand before it.
    pub answer_skip: u8,
    /// First bytes of the request, in whole words; read it by [`ExchangeRecord::head`].
    pub head: [u8; HEAD_BYTES + 8],
    /// First bytes of a failing answer, in whole words; read it by [`ExchangeRecord::answer`]. Of
    /// HTTP/2, whose answers are not kept, the request's `traceparent`.
    pub answer: [u8; ANSWER_BYTES + 8],
}

impl ExchangeRecord {
    /// First bytes of the request; empty when the head did not travel.
    pub fn head(&self) -> &[u8] {
        let from = self.head_skip as usize;
        let to = from + self.head_len as usize;
        if self.flags & exchange_flag::HAS_HEAD == 0 {
            return &[];
        }
        self.head.get(from..to).unwrap_or(&[])
    }

    /// First bytes of a failing answer; empty for HTTP and for what succeeded.
    pub fn answer(&self) -> &[u8] {
        let from = self.answer_skip as usize;
        let to = from + self.answer_len as usize;
        self.answer.get(from..to).unwrap_or(&[])
    }
}

/// The path of an operation of HTTP/2, told once: later requests refer to it by a number. Or the name
/// of one of GraphQL with its kind behind it ([`crate::framing::http1::graphql`]), which stands in
/// bodies.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct PathRecord {
    /// Common part.
    pub header: Header,
    /// Operation hash, see [`crate::counter::OpKey::op`].
    pub op: u64,
    /// Length of the path, bytes.
    pub len: u32,
    /// Explicit padding.
    pub _pad: [u8; 4],
    /// The path, with its query as far as there is room; read it by [`PathRecord::path`].
    pub path: [u8; MAX_SYMBOLS],
}

impl PathRecord {
    /// The path.
    pub fn path(&self) -> &[u8] {
        self.path.get(..self.len as usize).unwrap_or(&[])
    }
}

/// What a [`ConnectionRecord`] tells.
pub mod connection_event {
    /// Established.
    pub const OPEN: u8 = 1;
    /// Still alive; counters so far.
    pub const REPORT: u8 = 2;
    /// Closed; final counters.
    pub const CLOSE: u8 = 3;
    /// `connect` did not reach ESTABLISHED.
    pub const FAILED: u8 = 4;
}

/// Bits of [`ConnectionRecord::flags`].
pub mod connection_flag {
    /// A TLS record began the connection.
    pub const TLS: u8 = 1;
    /// Both ends are on this host.
    pub const LOCAL_PAIR: u8 = 2;
    /// Older than weir.
    pub const ADOPTED: u8 = 4;
    /// Ended by RST.
    pub const RESET: u8 = 8;
    /// This end is the one that counts the edge.
    pub const COUNTS: u8 = 16;
}

/// A connection's life, from one end.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct ConnectionRecord {
    /// Common part.
    pub header: Header,
    /// Socket cookie of this end.
    pub cookie: u64,
    /// Owner of this end.
    pub owner: Owner,
    /// Owner of the other end when it is on this host, else zero.
    pub peer: Owner,
    /// Monotonic time of ESTABLISHED (or of take-up), ns.
    pub opened_ns: u64,
    /// SYN to ESTABLISHED, ns, client end only; 0 if unknown.
    pub connect_ns: u64,
    /// Payload bytes sent and acknowledged by the peer.
    pub bytes_sent: u64,
    /// Payload bytes received.
    pub bytes_received: u64,
    /// Segments sent.
    pub segments_sent: u32,
    /// Segments received.
    pub segments_received: u32,
    /// Segments sent again.
    pub retransmits: u32,
    /// Smoothed round-trip time, µs.
    pub srtt_us: u32,
    /// Lowest round-trip time, µs.
    pub rtt_min_us: u32,
    /// Edge id; [`crate::flow::EDGE_OTHER`] if folded.
    pub edge_id: u32,
    /// Client's initial sequence number, 0 if unknown.
    pub client_isn: u32,
    /// Server's initial sequence number, 0 if unknown.
    pub server_isn: u32,
    /// This end's address.
    pub local_addr: Addr,
    /// The other end's address.
    pub remote_addr: Addr,
    /// This end's port, host order.
    pub local_port: u16,
    /// The other end's port, host order.
    pub remote_port: u16,
    /// [`crate::flow::role`] of this end.
    pub role: u8,
    /// [`crate::flow::protocol`].
    pub protocol: u8,
    /// One of [`connection_event`].
    pub event: u8,
    /// Bits of [`connection_flag`].
    pub flags: u8,
    /// Exchanges counted on this connection.
    pub exchanges: u64,
}

/// A policy decision worth telling.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct VerdictRecord {
    /// Common part.
    pub header: Header,
    /// Who asked (the local process), zero for an inbound decision on a remote caller.
    pub from: Owner,
    /// Destination (outbound) or source (inbound) address.
    pub remote_addr: Addr,
    /// Local address, zero before it is bound.
    pub local_addr: Addr,
    /// Workload that the destination belongs to, 0 if unknown.
    pub to_workload: u64,
    /// Destination port, host order.
    pub port: u16,
    /// [`crate::policy::transport`].
    pub transport: u8,
    /// [`crate::policy::direction`].
    pub direction: u8,
    /// [`crate::policy::verdict`]: what was done.
    pub verdict: u8,
    /// [`crate::policy::mode`] of the rule.
    pub mode: u8,
    /// [`crate::policy::hook`] that decided.
    pub hook: u8,
    /// [`crate::policy::reason`].
    pub reason: u8,
    /// Slot of the rule in the agent's rule table; [`crate::policy::NO_RULE`] if none.
    pub rule: u32,
    /// Explicit padding.
    pub _pad: u32,
}

/// What a [`ProcessRecord`] tells.
pub mod process_event {
    /// The process executed a new program.
    pub const EXEC: u32 = 1;
    /// The process (its last thread) is gone.
    pub const EXIT: u32 = 2;
}

/// A process began or ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct ProcessRecord {
    /// Common part.
    pub header: Header,
    /// cgroup v2 id.
    pub cgroup_id: u64,
    /// Command name, NUL padded.
    pub comm: [u8; 16],
    /// Thread group id.
    pub tgid: u32,
    /// One of [`process_event`].
    pub event: u32,
}

/// Bytes of a DNS answer that are told: what fits into a datagram without extensions (RFC 1035,
/// section 4.2.1).
pub const DNS_ANSWER_BYTES: usize = 512;

/// A DNS answer with addresses that somebody on this host asked for. Told at most once a second
/// for each question.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct AnswerRecord {
    /// Common part.
    pub header: Header,
    /// Length of what is in `bytes`; read it by [`AnswerRecord::message`].
    pub len: u32,
    /// Explicit padding.
    pub _pad: u32,
    /// The message, cut off if it is longer.
    pub bytes: [u8; DNS_ANSWER_BYTES],
}

impl AnswerRecord {
    /// The message as far as it is told.
    pub fn message(&self) -> &[u8] {
        self.bytes.get(..self.len as usize).unwrap_or(&[])
    }
}

/// Value of the one-slot `CONTROL` array: the agent steers the programs with it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Control {
    /// [`crate::ABI_VERSION`] of who wrote it.
    pub abi_version: u32,
    /// 1 while any access rule is loaded: the hooks skip the lookup otherwise.
    pub policy_active: u32,
    /// 1 while any bandwidth rule is loaded.
    pub bandwidth_active: u32,
    /// Draw at random below this → not sampled; 0 = every exchange goes to the detail lane.
    pub skip_threshold: u32,
    /// Records that a CPU draws in an epoch before it draws more rarely, see [`crate::draw`];
    /// 0 = no such bound.
    pub records_per_epoch: u32,
    /// 1 while any rule limits connections.
    pub limits_active: u32,
    /// Exchanges slower than this always go to the detail lane, ns; 0 = no such bound.
    pub slow_ns: u64,
    /// Ring buffer bytes waiting above which the consumer is woken.
    pub wakeup_bytes: u64,
    /// Hash of the kernel object whose programs are attached: an agent with the same object need
    /// not replace them.
    pub object_hash: u64,
}

impl Control {
    /// What the programs do before an agent has written anything.
    pub const fn initial() -> Self {
        Self {
            abi_version: crate::ABI_VERSION,
            policy_active: 0,
            bandwidth_active: 0,
            skip_threshold: 0,
            records_per_epoch: 500,
            limits_active: 0,
            slow_ns: 0,
            wakeup_bytes: 0,
            object_hash: 0,
        }
    }
}

const _: () = assert!(
    size_of::<ExchangeRecord>()
        == 16 + 72 + 16 + 32 + 4 + 8 + 8 + 4 + 8 + HEAD_BYTES + 8 + ANSWER_BYTES + 8
);
const _: () = assert!(size_of::<ConnectionRecord>() == 16 + 8 + 80 + 32 + 32 + 32 + 8 + 8);
const _: () = assert!(size_of::<VerdictRecord>() == 16 + 40 + 32 + 8 + 2 + 6 + 8);
const _: () = assert!(size_of::<ProcessRecord>() == 48);
