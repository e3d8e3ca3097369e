//! What happens to a connection as a whole: settling, reporting, finishing.

use weir_common::{
    connection::{ConnectionState, flag},
    counter::Loss,
    event::{ConnectionRecord, connection_event, connection_flag, kind},
    flow::{PairKey, protocol},
};

use crate::{
    edge::{self, Totals},
    emit::{header, lost_on, reserve, submit},
    exchange,
    maps::PAIRS,
};

/// Once the server end has had its chance to show up: is it on this host? Then it counts, and
/// this client end only watches; else this end makes the edge.
#[inline(always)]
pub fn settle_pair(state: &mut ConnectionState, time_ns: u64) {
    if state.has(flag::SETTLED) {
        return;
    }
    let key = PairKey {
        client_isn: state.client_isn,
        server_isn: state.server_isn,
    };
    // SAFETY: the server end wrote its part before it could answer.
    if state.has(flag::HAS_ISN)
        && let Some(pair) = unsafe { PAIRS.get(&key) }
        && pair.server_cookie != 0
    {
        state.peer = pair.server;
        state.flags |= flag::SETTLED | flag::LOCAL_PAIR | flag::PEER_COUNTS;
        return;
    }
    edge::settle(state, time_ns);
    tell(state, None, connection_event::OPEN, time_ns);
}

/// The connection ends: completes what ends with it, and counts what was never answered.
#[inline(always)]
pub fn finish(state: &mut ConnectionState, time_ns: u64) {
    if state.conversation.close(time_ns) {
        exchange::record(state);
    }
    let mut taken = 0;
    while taken < 4 {
        if !state.conversation.take_unanswered(time_ns) {
            return;
        }
        exchange::record(state);
        taken += 1;
    }
    if state.conversation.ends_in_a_hole() {
        lost_on(state.edge_id, Loss::SegmentGap as u32, 1);
    }
    let left = state.conversation.outstanding();
    if left != 0 && state.conversation.opaque == 0 {
        lost_on(state.edge_id, Loss::Unanswered as u32, left);
    }
}

/// Tells the agent of a connection.
#[inline(never)]
pub fn tell(state: &mut ConnectionState, totals: Option<&Totals>, event: u8, time_ns: u64) {
    let Some(mut entry) = reserve::<ConnectionRecord>() else {
        return;
    };
    // SAFETY: every field is written before the record is submitted; the struct is plain bytes.
    let record = unsafe { &mut *entry.as_mut_ptr() };
    record.header = header(kind::CONNECTION, time_ns);
    record.cookie = state.cookie;
    record.owner = state.owner;
    record.peer = state.peer;
    record.opened_ns = state.opened_ns;
    record.connect_ns = state.connect_ns;
    record.bytes_sent = totals.map_or(0, |totals| totals.sent);
    record.bytes_received = totals.map_or(0, |totals| totals.received);
    record.segments_sent = totals.map_or(0, |totals| totals.segments_out);
    record.segments_received = totals.map_or(0, |totals| totals.segments_in);
    record.retransmits = totals.map_or(0, |totals| totals.retransmits);
    record.srtt_us = totals.map_or(0, |totals| totals.srtt_us);
    record.rtt_min_us = totals.map_or(0, |totals| totals.rtt_min_us);
    record.edge_id = state.edge_id;
    record.client_isn = state.client_isn;
    record.server_isn = state.server_isn;
    record.local_addr = state.local_addr;
    record.remote_addr = state.remote_addr;
    record.local_port = state.local_port;
    record.remote_port = state.remote_port;
    record.role = state.role;
    record.protocol = state.conversation.protocol;
    record.event = event;
    record.flags = flags(state);
    record.exchanges = state.conversation.exchanges;
    submit(entry);
}

#[inline(always)]
fn flags(state: &ConnectionState) -> u8 {
    let mut flags = 0;
    if state.conversation.protocol == protocol::TLS {
        flags |= connection_flag::TLS;
    }
    if state.has(flag::LOCAL_PAIR) {
        flags |= connection_flag::LOCAL_PAIR;
    }
    if state.has(flag::ADOPTED) {
        flags |= connection_flag::ADOPTED;
    }
    if state.has(flag::RESET) {
        flags |= connection_flag::RESET;
    }
    if !state.has(flag::PEER_COUNTS) {
        flags |= connection_flag::COUNTS;
    }
    flags
}
