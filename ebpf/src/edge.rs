//! Edges, their dense ids, and the totals of their connections.

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::generated::bpf_get_prandom_u32};
use weir_common::{
    connection::{ConnectionState, flag},
    counter::{EdgeStats, Loss, bucket_of},
    flow::{EDGE_OTHER, EdgeKey, EdgeValue, Owner, Party, protocol::SLOTS as PROTOCOL_SLOTS, role},
};

use crate::{
    atomic,
    emit::lost,
    maps::{EDGE_STATS, EDGES, ZERO_STATS},
};

/// What TCP itself has counted for a socket.
#[derive(Clone, Copy)]
pub struct Totals {
    /// Payload bytes acknowledged by the peer.
    pub sent: u64,
    /// Payload bytes received.
    pub received: u64,
    /// Segments sent.
    pub segments_out: u32,
    /// Segments received.
    pub segments_in: u32,
    /// Segments sent again.
    pub retransmits: u32,
    /// Smoothed round-trip time, µs.
    pub srtt_us: u32,
    /// Lowest round-trip time, µs.
    pub rtt_min_us: u32,
}

/// Totals of an edge; made if there are none yet.
#[inline(always)]
pub fn stats(edge_id: u32) -> Option<&'static mut EdgeStats> {
    if let Some(stats) = EDGE_STATS.get_ptr_mut(edge_id) {
        // SAFETY: entries are only added to atomically.
        return Some(unsafe { &mut *stats });
    }
    let zero = ZERO_STATS.get(0)?;
    let _ = EDGE_STATS.insert(edge_id, zero, BPF_NOEXIST as u64);
    // SAFETY: as above.
    EDGE_STATS
        .get_ptr_mut(edge_id)
        // SAFETY: the pointer is a live map value; counters in it are only added to atomically.
        .map(|stats| unsafe { &mut *stats })
}

/// An end of an edge.
#[inline(always)]
pub fn party(owner: &Owner, addr: &[u8; 16], local: bool) -> Party {
    if !local {
        return Party {
            addr: *addr,
            ..Party::default()
        };
    }
    // A process that has a name is folded into its workload; others stand for themselves.
    let tgid = if owner.workload == 0 { owner.tgid } else { 0 };
    Party {
        workload: owner.workload,
        addr: [0; 16],
        tgid,
        _pad: 0,
    }
}

/// Writes the key of a connection's edge into its record.
#[inline(always)]
fn write_key(state: &mut ConnectionState) {
    let is_server = state.role == role::SERVER;
    let pair = state.has(flag::LOCAL_PAIR);
    let ours = party(&state.owner, &state.local_addr, true);
    let theirs = party(&state.peer, &state.remote_addr, pair);
    state.edge_key.client = if is_server { theirs } else { ours };
    state.edge_key.server = if is_server { ours } else { theirs };
    state.edge_key.port = state.server_port();
    state.edge_key.role = state.role;
}

/// Finds or makes the edge of a connection and counts the connection on it.
#[inline(never)]
pub fn settle(state: &mut ConnectionState, time_ns: u64) -> u32 {
    write_key(state);
    state.edge_id = find_or_make(state, time_ns);
    state.flags |= flag::SETTLED;
    if let Some(edge) = EDGES.get_ptr_mut(&state.edge_key) {
        // SAFETY: counters are only added to atomically.
        atomic::add(unsafe { &mut (*edge).opened }, 1);
    }
    if state.connect_ns != 0
        && let Some(stats) = stats(state.edge_id)
        && let Some(bucket) = stats.connect.get_mut(bucket_of(state.connect_ns))
    {
        atomic::add_u32(bucket, 1);
    }
    state.edge_id
}

#[inline(always)]
fn find_or_make(state: &mut ConnectionState, time_ns: u64) -> u32 {
    if let Some(id) = find(&state.edge_key) {
        return id;
    }
    write_value(state, time_ns);
    make(&state.edge_key, &mut state.edge_value)
}

/// Id of an edge that is there.
#[inline(always)]
pub fn find(key: &EdgeKey) -> Option<u32> {
    // SAFETY: the id is written once, before the entry is inserted.
    unsafe { EDGES.get(key) }.map(|edge| edge.id)
}

/// Makes an edge of a value that lacks only its id.
#[inline(always)]
pub fn make(key: &EdgeKey, value: &mut EdgeValue) -> u32 {
    let Some(id) = fresh_id() else {
        lost(Loss::EdgeTableFull, 1);
        return EDGE_OTHER;
    };
    value.id = id;
    let _ = EDGES.insert(key, &*value, BPF_NOEXIST as u64);
    // Another CPU may have been first; then its id counts.
    let found = find(key);
    if found != Some(id) {
        let _ = EDGE_STATS.remove(id);
    }
    if found.is_none() {
        lost(Loss::EdgeTableFull, 1);
    }
    found.unwrap_or(EDGE_OTHER)
}

#[inline(always)]
fn write_value(state: &mut ConnectionState, time_ns: u64) {
    let is_server = state.role == role::SERVER;
    let (client, server) = if is_server {
        (&state.peer, &state.owner)
    } else {
        (&state.owner, &state.peer)
    };
    let value = &mut state.edge_value;
    write_owners(value, client, server, time_ns);
    value.client_addr = if is_server {
        state.remote_addr
    } else {
        state.local_addr
    };
    value.server_addr = if is_server {
        state.local_addr
    } else {
        state.remote_addr
    };
}

/// Writes what is first seen of both ends but their addresses.
#[inline(always)]
pub fn write_owners(value: &mut EdgeValue, client: &Owner, server: &Owner, time_ns: u64) {
    value.first_seen_ns = time_ns;
    value.client_cgroup = client.cgroup_id;
    value.server_cgroup = server.cgroup_id;
    value.client_comm = client.comm;
    value.server_comm = server.comm;
    value.client_tgid = client.tgid;
    value.server_tgid = server.tgid;
}

/// A random id that no edge has: claiming its totals proves it. (A counter would need an atomic
/// operation with a result, which kernels before 5.12 do not have.)
#[inline(always)]
fn fresh_id() -> Option<u32> {
    let zero = ZERO_STATS.get(0)?;
    let mut tries = 0;
    while tries < 3 {
        // SAFETY: the helper has no arguments.
        let id = unsafe { bpf_get_prandom_u32() };
        if id != EDGE_OTHER && EDGE_STATS.insert(id, zero, BPF_NOEXIST as u64).is_ok() {
            return Some(id);
        }
        tries += 1;
    }
    None
}

/// Adds what has happened on a connection since the last time to its edge.
#[inline(always)]
pub fn fold(state: &mut ConnectionState, totals: &Totals, time_ns: u64) {
    let sent = totals.sent.wrapping_sub(state.folded_sent);
    let received = totals.received.wrapping_sub(state.folded_received);
    let segments = totals.segments_in.wrapping_add(totals.segments_out);
    let segments_new = segments.wrapping_sub(state.folded_segments);
    let retransmits = totals.retransmits.wrapping_sub(state.folded_retransmits);
    state.folded_sent = totals.sent;
    state.folded_received = totals.received;
    state.folded_segments = segments;
    state.folded_retransmits = totals.retransmits;
    state.reported_ns = time_ns;
    let Some(stats) = stats(state.edge_id) else {
        return;
    };
    let is_server = state.role == role::SERVER;
    let (to_server, to_client) = if is_server {
        (received, sent)
    } else {
        (sent, received)
    };
    atomic::add(&mut stats.bytes_to_server, to_server);
    atomic::add(&mut stats.bytes_to_client, to_client);
    atomic::add(&mut stats.segments, segments_new as u64);
    if retransmits != 0 {
        atomic::add(&mut stats.retransmits, retransmits as u64);
    }
    stats.last_seen_ns = time_ns;
    if totals.srtt_us != 0
        && let Some(bucket) = stats.rtt.get_mut(bucket_of(totals.srtt_us as u64 * 1000))
    {
        atomic::add_u32(bucket, 1);
    }
}

/// Counts the end of a connection on its edge.
#[inline(always)]
pub fn close(state: &ConnectionState) {
    if let Some(edge) = EDGES.get_ptr_mut(&state.edge_key) {
        // SAFETY: counters are only added to atomically.
        atomic::add(unsafe { &mut (*edge).closed }, 1);
    }
    let Some(stats) = stats(state.edge_id) else {
        return;
    };
    if state.has(flag::RESET) {
        atomic::add(&mut stats.resets, 1);
    }
    let protocol = state.conversation.protocol;
    if protocol == weir_common::flow::protocol::TLS {
        atomic::add(&mut stats.tls_connections, 1);
    }
    if let Some(slot) = stats
        .protocols
        .get_mut(protocol as usize & (PROTOCOL_SLOTS - 1))
    {
        atomic::add_u32(slot, 1);
    }
}
