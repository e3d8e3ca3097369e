//! `sockops`: the life of a connection, from SYN to CLOSE.

use aya_ebpf::{
    bindings::{
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB,
        BPF_SOCK_OPS_RTO_CB, BPF_SOCK_OPS_RTO_CB_FLAG, BPF_SOCK_OPS_RTT_CB, BPF_SOCK_OPS_STATE_CB,
        BPF_SOCK_OPS_STATE_CB_FLAG, BPF_SOCK_OPS_TCP_CONNECT_CB, bpf_sock_ops,
    },
    helpers::generated::{bpf_get_netns_cookie, bpf_get_socket_cookie, bpf_sock_ops_cb_flags_set},
    macros::sock_ops,
    programs::SockOpsContext,
};
use weir_common::{
    connection::{ConnectionState, flag},
    counter::Loss,
    event::connection_event,
    flow::{Addr, EDGE_OTHER, Owner, PairKey, PairValue, role, v4_mapped},
    policy::NO_RULE,
};

use crate::{
    atomic,
    connection::{finish, settle_pair, tell},
    edge::{self, Totals},
    emit::{control, lost, now},
    maps::{PAIRS, PORTS},
    owner, pacing,
    storage::{CONNECTIONS, OWNERS},
};

const AF_INET: u32 = 2;
const TCP_SYN_SENT: u32 = 2;
const TCP_CLOSE: u32 = 7;
const FLAGS: i32 = (BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RTO_CB_FLAG) as i32;

/// Set by the loader where sockops has `bpf_get_netns_cookie` (5.15).
#[unsafe(no_mangle)]
static HAS_SOCKOPS_NETNS_COOKIE: u32 = 0;

/// Reads a context field of 32 or 64 bits with one load at a constant offset: the kernel refuses
/// any other access to a context, and the compiler would merge, split or share loads.
macro_rules! field {
    ($ops:expr, $($path:tt)+) => {
        field!(@load "u32", u32, $ops, $($path)+)
    };
    (@wide $ops:expr, $($path:tt)+) => {
        field!(@load "u64", u64, $ops, $($path)+)
    };
    (@load $size:literal, $type:ty, $ops:expr, $($path:tt)+) => {{
        let value: u64;
        // SAFETY: the context outlives the program.
        unsafe {
            core::arch::asm!(
                concat!("{value} = *(", $size, " *)({context} + {offset})"),
                value = out(reg) value,
                context = in(reg) $ops,
                offset = const core::mem::offset_of!(bpf_sock_ops, $($path)+),
                options(nostack, preserves_flags),
            );
        }
        value as $type
    }};
}

/// Offset of a word of an address in the context.
macro_rules! words {
    ($ops:expr, $field:ident) => {
        [
            word!($ops, $field, 0),
            word!($ops, $field, 4),
            word!($ops, $field, 8),
            word!($ops, $field, 12),
        ]
    };
}

macro_rules! word {
    ($ops:expr, $field:ident, $at:literal) => {{
        let value: u64;
        // SAFETY: the context outlives the program.
        unsafe {
            core::arch::asm!(
                "{value} = *(u32 *)({context} + {offset})",
                value = out(reg) value,
                context = in(reg) $ops,
                offset = const core::mem::offset_of!(bpf_sock_ops, $field) + $at,
                options(nostack, preserves_flags),
            );
        }
        value as u32
    }};
}

#[sock_ops]
pub fn weir_sockops(ctx: SockOpsContext) -> u32 {
    let ops = ctx.ops;
    match field!(ops, op) {
        BPF_SOCK_OPS_TCP_CONNECT_CB => connecting(ops),
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB => established(ops, role::CLIENT),
        BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB => established(ops, role::SERVER),
        BPF_SOCK_OPS_STATE_CB => state_changed(ops),
        BPF_SOCK_OPS_RTT_CB => round_trip(ops),
        BPF_SOCK_OPS_RTO_CB => timed_out(ops),
        _ => {}
    }
    1
}

#[inline(always)]
fn socket(ops: *mut bpf_sock_ops) -> *mut aya_ebpf::bindings::bpf_sock {
    // SAFETY: the context outlives the program; the kernel checks the pointer for null.
    unsafe { (*ops).__bindgen_anon_2.sk }
}

#[inline(always)]
fn netns_cookie(ops: *mut bpf_sock_ops) -> u64 {
    // SAFETY: the loader writes the switch before the program is loaded.
    if unsafe { core::ptr::read_volatile(&raw const HAS_SOCKOPS_NETNS_COOKIE) } == 0 {
        return 0;
    }
    // SAFETY: the helper reads the context.
    unsafe { bpf_get_netns_cookie(ops.cast()) }
}

#[inline(always)]
fn ip6(words: [u32; 4]) -> Addr {
    let mut addr = [0; 16];
    let mut i = 0;
    while i < 4 {
        let bytes = words[i].to_ne_bytes();
        addr[i * 4] = bytes[0];
        addr[i * 4 + 1] = bytes[1];
        addr[i * 4 + 2] = bytes[2];
        addr[i * 4 + 3] = bytes[3];
        i += 1;
    }
    addr
}

#[inline(always)]
fn remote_addr(ops: *mut bpf_sock_ops) -> Addr {
    if field!(ops, family) == AF_INET {
        return v4_mapped(field!(ops, remote_ip4).to_ne_bytes());
    }
    ip6(words!(ops, remote_ip6))
}

#[inline(always)]
fn local_addr(ops: *mut bpf_sock_ops) -> Addr {
    if field!(ops, family) == AF_INET {
        return v4_mapped(field!(ops, local_ip4).to_ne_bytes());
    }
    ip6(words!(ops, local_ip6))
}

#[inline(always)]
fn remote_port(ops: *mut bpf_sock_ops) -> u16 {
    // Network order in the upper half (linux/bpf.h).
    u16::from_be((field!(ops, remote_port) >> 16) as u16)
}

#[inline(always)]
fn paced() -> bool {
    control().is_some_and(|control| control.bandwidth_active != 0)
}

#[inline(always)]
fn connecting(ops: *mut bpf_sock_ops) {
    // SAFETY: the context outlives the program.
    unsafe { bpf_sock_ops_cb_flags_set(ops, FLAGS) };
    let sk = socket(ops);
    if sk.is_null() {
        return;
    }
    if let Some(record) = OWNERS.get(sk) {
        record.connect_started_ns = now();
        if paced() {
            let (addr, port) = (remote_addr(ops), remote_port(ops));
            pacing::before_connect(ops, &record.owner, &addr, port, netns_cookie(ops));
        }
    }
}

#[inline(always)]
fn established(ops: *mut bpf_sock_ops, role: u8) {
    // SAFETY: the context outlives the program.
    unsafe { bpf_sock_ops_cb_flags_set(ops, FLAGS) };
    let sk = socket(ops);
    if sk.is_null() {
        return;
    }
    let Some(state) = CONNECTIONS.get_or_create(sk) else {
        lost(Loss::StorageFailed, 1);
        return;
    };
    let time_ns = now();
    begin(ops, sk, state, role, time_ns);
    meet(state);
    if role == role::SERVER {
        edge::settle(state, time_ns);
        tell(state, None, connection_event::OPEN, time_ns);
    }
    if paced() {
        pacing::begin(ops, state, netns_cookie(ops), time_ns, FLAGS);
    }
}

/// Fills a fresh record.
#[inline(never)]
fn begin(
    ops: *mut bpf_sock_ops,
    sk: *mut aya_ebpf::bindings::bpf_sock,
    state: &mut ConnectionState,
    role: u8,
    time_ns: u64,
) {
    // SAFETY: the helper reads the context.
    state.cookie = unsafe { bpf_get_socket_cookie(ops.cast()) };
    state.opened_ns = time_ns;
    state.reported_ns = time_ns;
    state.role = role;
    state.edge_id = EDGE_OTHER;
    state.bandwidth_rule = NO_RULE;
    state.local_addr = local_addr(ops);
    state.remote_addr = remote_addr(ops);
    state.local_port = field!(ops, local_port) as u16;
    state.remote_port = remote_port(ops);
    let ours = field!(ops, snd_nxt).wrapping_sub(1);
    let theirs = field!(ops, rcv_nxt).wrapping_sub(1);
    let is_client = role == role::CLIENT;
    state.client_isn = if is_client { ours } else { theirs };
    state.server_isn = if is_client { theirs } else { ours };
    state.flags = flag::HAS_ISN;
    state.conversation.start(state.client_isn, state.server_isn);
    let port = if is_client {
        state.remote_port
    } else {
        state.local_port
    };
    // SAFETY: values are plain integers.
    if let Some(protocol) = unsafe { PORTS.get(port) } {
        state.conversation.assume(*protocol);
    }
    if let Some(record) = OWNERS.get(sk) {
        state.owner = record.owner;
        if record.connect_started_ns != 0 && is_client {
            state.connect_ns = time_ns.wrapping_sub(record.connect_started_ns);
        }
    }
    owner::resolve(&mut state.owner);
}

/// Finds the other end on this host: a client end waits in the table for its server end.
#[inline(never)]
fn meet(state: &mut ConnectionState) {
    let key = PairKey {
        client_isn: state.client_isn,
        server_isn: state.server_isn,
    };
    if state.role == role::CLIENT {
        let value = PairValue {
            client: state.owner,
            client_cookie: state.cookie,
            server_cookie: 0,
            server: Owner::default(),
            connect_ns: state.connect_ns,
        };
        let _ = PAIRS.insert(&key, &value, 0);
        return;
    }
    if let Some(pair) = PAIRS.get_ptr_mut(&key) {
        // SAFETY: the server end alone writes these fields, before the client end reads them.
        let pair = unsafe { &mut *pair };
        pair.server = state.owner;
        pair.server_cookie = state.cookie;
        state.peer = pair.client;
        state.connect_ns = pair.connect_ns;
        state.flags |= flag::LOCAL_PAIR;
        owner::resolve(&mut state.peer);
    }
}

#[inline(always)]
fn totals(ops: *mut bpf_sock_ops) -> Totals {
    Totals {
        sent: field!(@wide ops, bytes_acked),
        received: field!(@wide ops, bytes_received),
        segments_out: field!(ops, segs_out),
        segments_in: field!(ops, segs_in),
        retransmits: field!(ops, total_retrans),
        srtt_us: field!(ops, srtt_us) >> 3,
        rtt_min_us: field!(ops, rtt_min),
    }
}

#[inline(always)]
fn state_changed(ops: *mut bpf_sock_ops) {
    let (old, new) = (
        word!(ops, __bindgen_anon_1, 0),
        word!(ops, __bindgen_anon_1, 4),
    );
    if new != TCP_CLOSE {
        return;
    }
    let sk = socket(ops);
    if sk.is_null() {
        return;
    }
    if old == TCP_SYN_SENT {
        connect_failed(ops, sk);
        return;
    }
    let Some(state) = CONNECTIONS.get(sk) else {
        return;
    };
    if state.has(flag::CLOSED) {
        return;
    }
    let time_ns = now();
    state.flags |= flag::CLOSED;
    settle_pair(state, time_ns);
    let totals = totals(ops);
    if !state.has(flag::PEER_COUNTS) {
        finish(state, time_ns);
        edge::fold(state, &totals, time_ns);
        edge::close(state);
    }
    pacing::end(state);
    if state.role == role::CLIENT {
        let key = PairKey {
            client_isn: state.client_isn,
            server_isn: state.server_isn,
        };
        let _ = PAIRS.remove(&key);
    }
    tell(state, Some(&totals), connection_event::CLOSE, time_ns);
}

/// `connect` ended without a connection: the attempt still makes an edge.
#[inline(always)]
fn connect_failed(ops: *mut bpf_sock_ops, sk: *mut aya_ebpf::bindings::bpf_sock) {
    let Some(state) = CONNECTIONS.get_or_create(sk) else {
        lost(Loss::StorageFailed, 1);
        return;
    };
    let time_ns = now();
    begin(ops, sk, state, role::CLIENT, time_ns);
    state.connect_ns = 0;
    state.flags = flag::CLOSED;
    let edge_id = edge::settle(state, time_ns);
    edge::close(state);
    if let Some(stats) = edge::stats(edge_id) {
        atomic::add(&mut stats.connect_failures, 1);
        stats.last_seen_ns = time_ns;
    }
    tell(state, None, connection_event::FAILED, time_ns);
}

#[inline(always)]
fn round_trip(ops: *mut bpf_sock_ops) {
    let sk = socket(ops);
    if sk.is_null() {
        return;
    }
    if let Some(state) = CONNECTIONS.get(sk)
        && state.has(flag::PACED)
    {
        pacing::adjust(ops, state, field!(ops, srtt_us) >> 3, now());
    }
}

#[inline(always)]
fn timed_out(ops: *mut bpf_sock_ops) {
    let sk = socket(ops);
    if sk.is_null() {
        return;
    }
    if let Some(state) = CONNECTIONS.get(sk)
        && let Some(stats) = edge::stats(state.edge_id)
    {
        atomic::add(&mut stats.timeouts, 1);
    }
}
