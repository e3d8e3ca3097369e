//! DNS over UDP: a query waits in a map for its answer, and is counted with it.
//!
//! Of two ends on this host the server's counts: its end takes the client's query out of the map,
//! so that the answer finds nothing there when it comes to the client.

use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock},
    helpers::generated::{bpf_get_socket_cookie, bpf_sk_cgroup_id, bpf_skb_load_bytes},
};
use weir_common::{
    counter::Loss,
    datagram::{QueryKey, QueryPairKey, QueryState},
    event::{AnswerRecord, DNS_ANSWER_BYTES, kind},
    flow::{Addr, EDGE_OTHER, Owner, role},
    framing::{
        dns::{HEADER_BYTES, Header, op_of, question},
        window::{CARRY_BYTES, DATA_BYTES, Load},
    },
    policy::transport,
};

use crate::{
    call::{self, DROP, PASS},
    emit::{header, lost, now, reserve, submit},
    maps::{QUERIES, QUERY_ALIASES, QUERY_PAIRS, TOLD_ANSWERS, ZERO_QUERY},
    owner,
    packet::{self, End, Packet},
    query,
    storage::OWNERS,
    walk::{Payload, full_socket},
};

/// Ports whose questions everybody on the link may answer, or nobody: NetBIOS names, multicast
/// DNS, link-local names.
const MULTICAST_PORTS: [u16; 3] = [137, 5353, 5355];

/// The answer to a question is told at most this often, ns.
const TELL_EVERY_NS: u64 = 1_000_000_000;

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;

/// What is known of a datagram. Handed on by reference: functions of a kernel program share 512
/// bytes of stack.
struct Seen {
    packet: Packet,
    header: Header,
    key: QueryKey,
    local_addr: Addr,
}

/// Takes a datagram that may be DNS: answers what the program is to answer.
#[inline(always)]
pub fn take(skb: *mut __sk_buff, ingress: bool) -> i32 {
    let Some(packet) = packet::parse(skb) else {
        return PASS;
    };
    if call::begin(skb, &packet, ingress) == DROP {
        return DROP;
    }
    read(skb, &packet, ingress);
    PASS
}

/// A function of its own, so that its part of the stack does not lie under admission's.
#[inline(never)]
fn read(skb: *mut __sk_buff, packet: &Packet, ingress: bool) -> u32 {
    if packet.transport != transport::UDP || (packet.payload_len as usize) < HEADER_BYTES {
        return 0;
    }
    let Some(header) = header_of(skb, packet.payload_at) else {
        return 0;
    };
    let is_query = header.is_query();
    if !is_query && !header.is_answer() {
        return 0;
    }
    let mut seen = Seen {
        key: QueryKey {
            // SAFETY: the helper reads the context.
            cookie: unsafe { bpf_get_socket_cookie(skb.cast()) },
            peer_addr: [0; 16],
            peer_port: if ingress {
                packet.source
            } else {
                packet.destination
            },
            id: header.id,
            role: if is_query == ingress {
                role::SERVER
            } else {
                role::CLIENT
            },
            _pad: [0; 3],
        },
        packet: *packet,
        header,
        local_addr: [0; 16],
    };
    if !note_addresses(skb, ingress, &mut seen) {
        return 0;
    }
    if is_query {
        asked(skb, &seen)
    } else {
        answered(skb, &seen)
    }
}

/// Notes both addresses; false where nothing is to be noted: questions to a group or a whole
/// network, whose answers come from elsewhere.
#[inline(never)]
fn note_addresses(skb: *mut __sk_buff, ingress: bool, seen: &mut Seen) -> bool {
    let (local, peer) = if ingress {
        (End::Destination, End::Source)
    } else {
        (End::Source, End::Destination)
    };
    let version = seen.packet.version;
    if !packet::write_address(skb, version, local, &mut seen.local_addr)
        || !packet::write_address(skb, version, peer, &mut seen.key.peer_addr)
    {
        return false;
    }
    let destination = if ingress {
        &seen.local_addr
    } else {
        &seen.key.peer_addr
    };
    !(seen.header.is_query() && is_for_many(destination, seen.packet.destination))
}

#[inline(always)]
fn header_of(skb: *mut __sk_buff, at: u32) -> Option<Header> {
    let mut bytes = [0; HEADER_BYTES];
    // SAFETY: the helper writes as many bytes as there are.
    let result = unsafe {
        bpf_skb_load_bytes(
            skb.cast(),
            at,
            bytes.as_mut_ptr().cast(),
            HEADER_BYTES as u32,
        )
    };
    (result == 0).then(|| Header::of(&bytes))
}

/// True for addresses of groups, and for ports where groups are asked.
#[inline(always)]
fn is_for_many(addr: &Addr, port: u16) -> bool {
    let v4 = addr[10] == 0xff && addr[11] == 0xff && addr[0] == 0;
    let group = if v4 { addr[12] >= 224 } else { addr[0] == 0xff };
    group || MULTICAST_PORTS.contains(&port)
}

/// A query: notes it, unless it turns out to be something else.
#[inline(never)]
fn asked(skb: *mut __sk_buff, seen: &Seen) -> u32 {
    let key = &seen.key;
    if let Some(state) = pending(key) {
        // Asked again under the same id: the first time there was no answer.
        query::give_up(state);
    }
    let Some(state) = begin(key) else {
        lost(Loss::StorageFailed, 1);
        return 0;
    };
    if !read_question(skb, seen, state) {
        let _ = QUERIES.remove(key);
        return 0;
    }
    if let Some(socket) = full_socket(skb) {
        note_owner(socket, &mut state.owner);
    }
    state.cookie = key.cookie;
    state.local_addr = seen.local_addr;
    state.remote_addr = key.peer_addr;
    state.remote_port = key.peer_port;
    state.edge_id = EDGE_OTHER;
    state.role = key.role;
    state.finished.started_ns = now();
    state.finished.request_bytes = seen.packet.payload_len as u64;
    if key.role == role::CLIENT {
        state.local_port = seen.packet.source;
        let _ = QUERY_PAIRS.insert(&pair_of(seen, state), key, 0);
        let _ = QUERY_ALIASES.insert(&key.without_peer(), key, 0);
        return 0;
    }
    state.local_port = seen.packet.destination;
    meet(&pair_of(seen, state), state);
    query::settle(state)
}

#[inline(always)]
fn pair_of(seen: &Seen, state: &QueryState) -> QueryPairKey {
    QueryPairKey {
        question: state.question,
        id: seen.key.id,
        client_port: seen.packet.source,
        _pad: 0,
    }
}

#[inline(always)]
fn pending(key: &QueryKey) -> Option<&'static mut QueryState> {
    // SAFETY: the entry is one end's of one query, and packets of that come one after the other.
    QUERIES.get_ptr_mut(key).map(|state| unsafe { &mut *state })
}

#[inline(always)]
fn begin(key: &QueryKey) -> Option<&'static mut QueryState> {
    let zero = ZERO_QUERY.get(0)?;
    let _ = QUERIES.insert(key, zero, 0);
    pending(key)
}

/// Reads the query's bytes; false if they have no question.
#[inline(always)]
fn read_question(skb: *mut __sk_buff, seen: &Seen, state: &mut QueryState) -> bool {
    let packet = &seen.packet;
    let len = if packet.payload_len > DATA_BYTES as u32 {
        DATA_BYTES as u32
    } else {
        packet.payload_len
    };
    let mut payload = Payload {
        skb,
        at: packet.payload_at,
    };
    if !payload.load(0, len, &mut state.window) {
        return false;
    }
    let to = state.window.forget(CARRY_BYTES + len as usize);
    let asked = question(&mut state.window, CARRY_BYTES + HEADER_BYTES, to);
    state.question = asked.hash;
    state.head_len = len as u16;
    state.finished.op = asked.op;
    // Nothing stands behind the question that the header does not tell of.
    asked.end != 0 && (asked.end == to || seen.header.has_more())
}

#[inline(always)]
fn note_owner(socket: *mut bpf_sock, found: &mut Owner) {
    if let Some(record) = OWNERS.get(socket) {
        *found = record.owner;
    } else {
        // SAFETY: the socket is a full one.
        found.cgroup_id = unsafe { bpf_sk_cgroup_id(socket.cast()) };
    }
    owner::resolve(found);
}

/// The server's end looks for the client's on this host, and counts for it.
#[inline(always)]
fn meet(pair: &QueryPairKey, state: &mut QueryState) {
    // SAFETY: keys are only replaced whole.
    let Some(key) = (unsafe { QUERY_PAIRS.get(pair) }) else {
        return;
    };
    let key = *key;
    let Some(client) = pending(&key) else {
        return;
    };
    state.peer = client.owner;
    state.local_pair = 1;
    let _ = QUERIES.remove(&key);
}

/// An answer: counts it with its query. One to a query that was not seen, or that the other end
/// counts, means nothing.
#[inline(never)]
fn answered(skb: *mut __sk_buff, seen: &Seen) -> u32 {
    let mut key = seen.key;
    if key.role == role::CLIENT && pending(&key).is_none() {
        // SAFETY: keys are only replaced whole.
        let Some(asked) = (unsafe { QUERY_ALIASES.get(key.without_peer()) }) else {
            return 0;
        };
        key = *asked;
    }
    let Some(state) = pending(&key) else {
        return 0;
    };
    if state.answered != 0 {
        return 0;
    }
    let (packet, header) = (&seen.packet, &seen.header);
    state.answered = 1;
    let time_ns = now();
    state.finished.responded_ns = time_ns;
    state.finished.ended_ns = time_ns;
    state.finished.response_bytes = packet.payload_len as u64;
    state.finished.status = header.status();
    if key.role == role::CLIENT {
        query::settle(state);
    }
    query::record(state);
    let asked_here = key.role == role::CLIENT || state.local_pair != 0;
    let wants_address = state.finished.op == op_of(TYPE_A) || state.finished.op == op_of(TYPE_AAAA);
    if asked_here && wants_address && header.has_answers() {
        tell_answer(skb, packet, state.question, time_ns);
    }
    let _ = QUERIES.remove(&key);
    0
}

/// Tells the agent which addresses a name has.
#[inline(always)]
fn tell_answer(skb: *mut __sk_buff, packet: &Packet, question: u64, time_ns: u64) {
    // SAFETY: values are plain integers.
    let told_ns = unsafe { TOLD_ANSWERS.get(question) }.copied().unwrap_or(0);
    if time_ns.wrapping_sub(told_ns) < TELL_EVERY_NS {
        return;
    }
    let _ = TOLD_ANSWERS.insert(&question, &time_ns, 0);
    let Some(mut entry) = reserve::<AnswerRecord>() else {
        return;
    };
    // The verifier must see a length above 0 and within the record.
    let len = if packet.payload_len > DNS_ANSWER_BYTES as u32 {
        DNS_ANSWER_BYTES as u32 - 1
    } else {
        packet.payload_len.wrapping_sub(1)
    } & (DNS_ANSWER_BYTES as u32 - 1);
    // SAFETY: the agent reads as many bytes as are told; the helper writes at most the array.
    let result = unsafe {
        let record = &mut *entry.as_mut_ptr();
        record.header = header(kind::ANSWER, time_ns);
        record.len = len + 1;
        record._pad = 0;
        bpf_skb_load_bytes(
            skb.cast(),
            packet.payload_at,
            record.bytes.as_mut_ptr().cast(),
            len + 1,
        )
    };
    if result == 0 {
        submit(entry);
    } else {
        entry.discard(0);
    }
}

/// Gives up a query of this key that has waited too long: the agent looks for them.
#[inline(always)]
pub fn sweep(key: &QueryKey) {
    if let Some(state) = pending(key)
        && state.answered == 0
    {
        query::give_up(state);
        let _ = QUERIES.remove(key);
    }
}
