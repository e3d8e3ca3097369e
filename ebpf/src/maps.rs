//! The maps. All are pinned by the agent under their names here.

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, bpf_spin_lock},
    btf_maps,
    macros::{btf_map, map},
    maps::{
        Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, PerCpuHashMap, ProgramArray, RingBuf,
    },
};
use weir_common::{
    counter::{EdgeStats, Loss, MAX_OPERATIONS, MAX_SPARE, OpKey, OpValue},
    datagram::{MAX_QUERIES, QueryKey, QueryPairKey, QueryState},
    draw::Drawn,
    event::Control,
    flow::{Addr, AddressKey, EdgeKey, EdgeValue, MAX_EDGES, MAX_PORTS, PairKey, PairValue},
    framing::http2::{
        Stream, StreamKey,
        trace::{Trace, TraceKey},
    },
    limit::{Limit, Rate},
    pacing::Budget,
    policy::{CidrKey, MAX_RULES, PolicyKey, PolicyValue, RuleCounter},
    thin::Thinned,
};

/// Where a call comes from. NAT on this host rewrites where a call goes far more often.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CallKey {
    /// Source address.
    pub addr: Addr,
    /// Source port, host order.
    pub port: u16,
    /// [`weir_common::policy::transport`]
    pub transport: u16,
}

/// A TCP segment.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// Sequence number in the upper half, bytes of payload in the lower one.
    pub place: u64,
    /// Source port in the upper half, destination port in the lower one, host order.
    pub ports: u64,
}

/// A [`weir_common::limit::Limit`], by the name that the kernel knows its lock by.
#[repr(C)]
pub struct LimitSlot {
    /// Held while `rate` is looked at.
    pub lock: bpf_spin_lock,
    /// Explicit padding.
    pub _pad: u32,
    /// How often something may begin.
    pub rate: Rate,
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<LimitSlot>() == size_of::<Limit>());
    assert!(offset_of!(LimitSlot, rate) == offset_of!(Limit, rate));
};

/// How the agent steers the programs; one slot.
#[map]
pub static CONTROL: Array<Control> = Array::with_max_entries(1, 0);

/// Detail lane and life events. The agent may set another size at load.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(8 << 20, 0);

/// Losses that belong to no edge, by reason.
#[map]
pub static LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(Loss::COUNT as u32, 0);

/// What each CPU has drawn for the detail lane.
#[map]
pub static DRAWN: PerCpuArray<Drawn> = PerCpuArray::with_max_entries(1, 0);

/// What each CPU has seen applications read.
#[map]
pub static READS: PerCpuArray<Thinned> = PerCpuArray::with_max_entries(1, 0);

/// The segment that each CPU has read last on its way out to this host: its other end need not look
/// at it, see [`crate::passed`].
#[map]
pub static PASSED: PerCpuArray<Passed> = PerCpuArray::with_max_entries(1, 0);

/// Edges and their dense ids.
#[map]
pub static EDGES: HashMap<EdgeKey, EdgeValue> =
    HashMap::with_max_entries(MAX_EDGES, BPF_F_NO_PREALLOC);

/// Totals of connections and losses, by edge id.
#[map]
pub static EDGE_STATS: HashMap<u32, EdgeStats> =
    HashMap::with_max_entries(MAX_EDGES + 1, BPF_F_NO_PREALLOC);

/// The exact lane.
#[map]
pub static OPS: PerCpuHashMap<OpKey, OpValue> =
    PerCpuHashMap::with_max_entries(MAX_OPERATIONS, BPF_F_NO_PREALLOC);

/// Operations that could not be added to [`OPS`] at once: its entries are allocated when they come,
/// and per-CPU memory for a burst of them is there only when a worker of the kernel has run
/// (mm/percpu.c, `pcpu_balance_workfn`). All of this map is there from the beginning. The agent counts
/// both together and empties it.
#[map]
pub static OPS_SPARE: PerCpuHashMap<OpKey, OpValue> = PerCpuHashMap::with_max_entries(MAX_SPARE, 0);

/// Zeroes to begin entries from that are too large for the stack.
#[map]
pub static ZERO_STATS: Array<EdgeStats> = Array::with_max_entries(1, 0);

/// Zeroes to begin entries from that are too large for the stack.
#[map]
pub static ZERO_OP: Array<OpValue> = Array::with_max_entries(1, 0);

/// Client ends that wait for their server end on this host.
#[map]
pub static PAIRS: LruHashMap<PairKey, PairValue> = LruHashMap::with_max_entries(65_536, 0);

/// Latest call of each address and port of this host while policies are in force: the initial
/// sequence number of a SYN, 0 for a datagram.
#[map]
pub static CALLS: LruHashMap<CallKey, u32> = LruHashMap::with_max_entries(65_536, 0);

/// Queries in datagrams that wait for their answer.
#[map]
pub static QUERIES: HashMap<QueryKey, QueryState> =
    HashMap::with_max_entries(MAX_QUERIES, BPF_F_NO_PREALLOC);

/// Zeroes to begin entries from that are too large for the stack.
#[map]
pub static ZERO_QUERY: Array<QueryState> = Array::with_max_entries(1, 0);

/// Queries of clients, by their keys without the peer.
#[map]
pub static QUERY_ALIASES: LruHashMap<QueryKey, QueryKey> =
    LruHashMap::with_max_entries(MAX_QUERIES, 0);

/// Queries of clients that wait for their server end on this host.
#[map]
pub static QUERY_PAIRS: LruHashMap<QueryPairKey, QueryKey> =
    LruHashMap::with_max_entries(MAX_QUERIES, 0);

/// When the answer to a question was told last, by the question's hash, ns.
#[map]
pub static TOLD_ANSWERS: LruHashMap<u64, u64> = LruHashMap::with_max_entries(4_096, 0);

/// Readers of the protocols of frames, by protocol.
#[map]
pub static READERS: ProgramArray = ProgramArray::with_max_entries(32, 0);

/// Open streams of HTTP/2 connections that have more than their record holds.
#[map]
pub static STREAMS: LruHashMap<StreamKey, Stream> = LruHashMap::with_max_entries(65_536, 0);

/// Trace contexts of requests of HTTP/2.
#[map]
pub static TRACES: LruHashMap<TraceKey, Trace> = LruHashMap::with_max_entries(32_768, 0);

/// Operation keys of HTTP/2 whose paths, and keys of GraphQL whose names were told to the agent.
#[map]
pub static TOLD: LruHashMap<u64, u8> = LruHashMap::with_max_entries(16_384, 0);

/// Protocol by server port, where the configuration gives it.
#[map]
pub static PORTS: HashMap<u16, u8> = HashMap::with_max_entries(MAX_PORTS, BPF_F_NO_PREALLOC);

/// Workload by process.
#[map]
pub static PROCESSES: LruHashMap<u32, u64> = LruHashMap::with_max_entries(65_536, 0);

/// Workload by cgroup.
#[map]
pub static CGROUPS: HashMap<u64, u64> = HashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// Workload by local listening address.
#[map]
pub static ADDRESSES: HashMap<AddressKey, u64> =
    HashMap::with_max_entries(65_536, BPF_F_NO_PREALLOC);

/// Class of the longest CIDR of any rule that holds an address.
#[map]
pub static CIDRS: LpmTrie<CidrKey, u64> = LpmTrie::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// Compiled rules.
#[map]
pub static POLICY: HashMap<PolicyKey, PolicyValue> =
    HashMap::with_max_entries(262_144, BPF_F_NO_PREALLOC);

/// Matches by rule slot.
#[map]
pub static RULE_COUNTERS: PerCpuArray<RuleCounter> = PerCpuArray::with_max_entries(MAX_RULES, 0);

/// Bandwidth budgets by rule slot.
#[map]
pub static BANDWIDTH: Array<Budget> = Array::with_max_entries(MAX_RULES, 0);

/// Connections per second that rules allow, by rule slot.
#[btf_map]
pub static LIMITS: btf_maps::Array<LimitSlot, { MAX_RULES as usize }> = btf_maps::Array::new();

/// Workload descriptions (JSON) by id, for the agent after its own restart; not read here.
#[map]
pub static WORKLOADS: HashMap<u64, [u8; 512]> =
    HashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// Rule names by slot, for the agent after its own restart; not read here.
#[map]
pub static RULE_NAMES: HashMap<u32, [u8; 256]> =
    HashMap::with_max_entries(MAX_RULES, BPF_F_NO_PREALLOC);
