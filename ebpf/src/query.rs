//! What happens to a query in a datagram: its edge, its count, its detail record.

use weir_common::{
    datagram::{ANSWER_WITHIN_NS, QueryState},
    event::{ExchangeRecord, exchange_flag, kind},
    flow::{protocol, role},
    framing::{conversation::HEAD_WORDS, window::CARRY_BYTES},
};

use crate::{
    atomic, edge,
    emit::{header, now, reserve_exchange, submit},
    exchange::{Seen, count, named_now, wanted},
};

/// Finds or makes the edge of a query.
#[inline(never)]
pub fn settle(state: &mut QueryState) -> u32 {
    let is_server = state.role == role::SERVER;
    let pair = state.local_pair != 0;
    let ours = edge::party(&state.owner, &state.local_addr, true);
    let theirs = edge::party(&state.peer, &state.remote_addr, pair);
    state.edge_key.client = if is_server { theirs } else { ours };
    state.edge_key.server = if is_server { ours } else { theirs };
    state.edge_key.port = server_port(state);
    state.edge_key.role = state.role;
    state.edge_id = match edge::find(&state.edge_key) {
        Some(id) => id,
        None => {
            write_value(state);
            edge::make(&state.edge_key, &mut state.edge_value)
        }
    };
    state.edge_id
}

#[inline(always)]
fn write_value(state: &mut QueryState) {
    let is_server = state.role == role::SERVER;
    let (client, server) = ends(is_server, &state.owner, &state.peer);
    let value = &mut state.edge_value;
    edge::write_owners(value, client, server, state.finished.started_ns);
    let (client, server) = ends(is_server, &state.local_addr, &state.remote_addr);
    value.client_addr = *client;
    value.server_addr = *server;
}

/// Client and server of what this end and the other one have.
#[inline(always)]
fn ends<T>(is_server: bool, ours: T, theirs: T) -> (T, T) {
    if is_server {
        (theirs, ours)
    } else {
        (ours, theirs)
    }
}

#[inline(always)]
fn server_port(state: &QueryState) -> u16 {
    if state.role == role::SERVER {
        state.local_port
    } else {
        state.remote_port
    }
}

/// Counts a query as unanswered.
#[inline(never)]
pub fn give_up(state: &mut QueryState) -> u32 {
    // Whenever the agent looked: so long it was waited for.
    state.finished.ended_ns = state
        .finished
        .started_ns
        .wrapping_add(ANSWER_WITHIN_NS)
        .min(now());
    state.finished.status = 0;
    if state.role == role::CLIENT {
        settle(state);
    }
    record(state)
}

/// Counts a query with its outcome, and tells it if the detail lane wants it.
#[inline(never)]
pub fn record(state: &mut QueryState) -> u32 {
    let finished = &state.finished;
    if let Some(stats) = edge::stats(state.edge_id) {
        atomic::add(&mut stats.bytes_to_server, finished.request_bytes);
        atomic::add(&mut stats.bytes_to_client, finished.response_bytes);
        stats.last_seen_ns = finished.ended_ns;
    }
    let seen = Seen {
        finished,
        protocol: protocol::DNS,
        is_error: finished.status >= 500 || finished.status == 0,
    };
    let Some(named) = count(state.edge_id, &mut state.batch, &seen) else {
        return 0;
    };
    let (why, probability) = wanted(!named, &seen);
    if why != 0 {
        named_now(&mut state.batch);
        tell(state, why, probability);
    }
    0
}

#[inline(always)]
fn tell(state: &QueryState, why: u8, probability: u32) {
    let Some(mut entry) = reserve_exchange() else {
        return;
    };
    let finished = &state.finished;
    let is_server = state.role == role::SERVER;
    let (client, server) = ends(is_server, &state.owner, &state.peer);
    let (client_addr, server_addr) = ends(is_server, &state.local_addr, &state.remote_addr);
    let (client_port, server_port) = ends(is_server, state.local_port, state.remote_port);
    // SAFETY: every field is written before the record is submitted; the struct is plain bytes.
    let record = unsafe { &mut *entry.as_mut_ptr() };
    record.header = header(kind::EXCHANGE, finished.ended_ns);
    record.cookie = state.cookie;
    record.op = finished.op;
    // Stands for the place in a stream that a datagram has not: it tells the queries of a socket
    // apart.
    record.request_offset = finished.started_ns;
    record.started_ns = finished.started_ns;
    // Datagrams are not followed to their reader.
    record.queue_ns = 0;
    record.responded_ns = finished.responded_ns;
    record.ended_ns = finished.ended_ns;
    record.request_bytes = finished.request_bytes;
    record.response_bytes = finished.response_bytes;
    record.client_isn = 0;
    record.server_isn = 0;
    record.edge_id = state.edge_id;
    record.probability = probability;
    record.client_addr = *client_addr;
    record.server_addr = *server_addr;
    record.client_port = client_port;
    record.server_port = server_port;
    record.client_tgid = client.tgid;
    record.server_tgid = server.tgid;
    record.status = finished.status;
    record.head_len = state.head_len;
    record.protocol = protocol::DNS;
    record.method = 0;
    record.role = state.role;
    record.why = why;
    record.flags = flags(state);
    record.head_skip = 0;
    record.answer_len = 0;
    record.answer_skip = 0;
    const { assert!(core::mem::offset_of!(ExchangeRecord, head) % 8 == 0) };
    let head = record.head.as_mut_ptr().cast::<[u64; HEAD_WORDS]>();
    // SAFETY: `head` is 8-aligned within the record (asserted) and holds HEAD_WORDS words.
    state.window.copy_words(CARRY_BYTES, unsafe { &mut *head });
    record.answer = [0; size_of_answer()];
    submit(entry);
}

const fn size_of_answer() -> usize {
    weir_common::event::ANSWER_BYTES + 8
}

#[inline(always)]
fn flags(state: &QueryState) -> u8 {
    let mut flags = exchange_flag::NO_ISN | exchange_flag::HAS_HEAD;
    if state.local_pair != 0 {
        flags |= exchange_flag::LOCAL_PAIR;
    }
    if state.finished.status == 0 {
        flags |= exchange_flag::UNANSWERED;
    }
    flags
}
