//! The per-socket record that the kernel keeps in socket storage.

use bytemuck::{Pod, Zeroable};

use crate::{
    flow::{Addr, EdgeKey, EdgeValue, Owner},
    framing::{
        conversation::{Conversation, Pending},
        http2::Http2,
    },
};

/// Bits of [`ConnectionState::flags`].
pub mod flag {
    /// Whether both ends are on this host is known.
    pub const SETTLED: u8 = 1;
    /// The other end is on this host and counts: this one only watches TCP.
    pub const PEER_COUNTS: u8 = 2;
    /// Both ends are on this host.
    pub const LOCAL_PAIR: u8 = 4;
    /// Older than weir.
    pub const ADOPTED: u8 = 8;
    /// Ended by RST.
    pub const RESET: u8 = 16;
    /// The initial sequence numbers are known.
    pub const HAS_ISN: u8 = 32;
    /// Its end was reported.
    pub const CLOSED: u8 = 64;
    /// Counted in its bandwidth rule's flows.
    pub const PACED: u8 = 128;
}

/// Value of the `OWNERS` socket storage: set at `connect` and `bind`, cloned to accepted sockets.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct OwnerRecord {
    /// Who made the socket.
    pub owner: Owner,
    /// Monotonic time of the SYN, ns; 0 for listeners and accepted sockets.
    pub connect_started_ns: u64,
}

/// Value of the `CONNECTIONS` socket storage.
///
/// The kernel puts eight bytes of its own before a value and begins a cache line with them
/// (`struct bpf_local_storage_data`), so the first 56 bytes come with every look-up: what each
/// segment asks about stands there.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct ConnectionState {
    /// Monotonic time of the latest report, ns.
    pub reported_ns: u64,
    /// Edge, once known; [`crate::flow::EDGE_OTHER`] before.
    pub edge_id: u32,
    /// [`crate::flow::role`].
    pub role: u8,
    /// Bits of [`flag`].
    pub flags: u8,
    /// Explicit padding.
    pub _pad: [u8; 2],
    /// The framer's state.
    pub conversation: Conversation,
    /// Socket cookie.
    pub cookie: u64,
    /// Monotonic time of ESTABLISHED or take-up, ns.
    pub opened_ns: u64,
    /// SYN to ESTABLISHED, ns; 0 if unknown.
    pub connect_ns: u64,
    /// Bytes sent that are already in the edge's totals.
    pub folded_sent: u64,
    /// Bytes received that are already in the edge's totals.
    pub folded_received: u64,
    /// Segments that are already in the edge's totals.
    pub folded_segments: u32,
    /// Retransmits that are already in the edge's totals.
    pub folded_retransmits: u32,
    /// Client's initial sequence number.
    pub client_isn: u32,
    /// Server's initial sequence number.
    pub server_isn: u32,
    /// Slot of the bandwidth rule; [`crate::policy::NO_RULE`] if none.
    pub bandwidth_rule: u32,
    /// This end's port, host order.
    pub local_port: u16,
    /// The other end's port, host order.
    pub remote_port: u16,
    /// Pacing rate in force, bytes per second; 0 = none set.
    pub pacing_bytes_per_second: u64,
    /// Clamp of the congestion window in force, segments; 0 = none set.
    pub cwnd_clamp_segments: u64,
    /// Pacing epoch in which this flow was last heard of.
    pub pacing_epoch: u64,
    /// This end's address.
    pub local_addr: Addr,
    /// The other end's address.
    pub remote_addr: Addr,
    /// Owner of this end.
    pub owner: Owner,
    /// Owner of the other end when it is on this host.
    pub peer: Owner,
    /// Key of its edge, once settled.
    pub edge_key: EdgeKey,
    /// Where its edge's value is prepared: too large for a kernel program's stack.
    pub edge_value: EdgeValue,
}

/// What a socket may hold in all its storages (`net.core.optmem_max`, as it was before Linux 6.8).
const OPTMEM_MAX_BYTES: usize = 20_480;

/// What the kernel adds to each of them (`struct bpf_local_storage_elem`, two cache lines on 5.10).
const ELEMENT_BYTES: usize = 128;

/// What it holds beside them (`struct bpf_local_storage`), and some room.
const LIST_BYTES: usize = 256;

const _: () = {
    use core::mem::offset_of;
    let storages = [
        size_of::<OwnerRecord>(),
        size_of::<ConnectionState>(),
        size_of::<Http2>(),
    ];
    let added = 3 * ELEMENT_BYTES + LIST_BYTES;
    assert!(storages[0] + storages[1] + storages[2] + added < OPTMEM_MAX_BYTES);
    // Addresses are copied by words.
    assert!(offset_of!(ConnectionState, local_addr) % 8 == 0);
    assert!(offset_of!(ConnectionState, remote_addr) % 8 == 0);
    // Each direction begins a line, and so does what goes from one to the other, which is one line.
    assert!(size_of::<Pending>() == 48);
    assert!(offset_of!(ConnectionState, conversation.asked) == 56);
    assert!(offset_of!(ConnectionState, conversation.pending) == 56 + 16);
    assert!(offset_of!(ConnectionState, conversation.request) % 64 == 56);
    assert!(offset_of!(ConnectionState, conversation.response) % 64 == 56);
};

impl ConnectionState {
    /// True if `bit` of [`flag`] is set.
    #[inline(always)]
    pub fn has(&self, bit: u8) -> bool {
        self.flags & bit != 0
    }

    /// Server port, host order.
    #[inline(always)]
    pub fn server_port(&self) -> u16 {
        if self.role == crate::flow::role::SERVER {
            self.local_port
        } else {
            self.remote_port
        }
    }
}
