//! `cgroup_skb/ingress` and `egress`: message heads, and who may come in.

use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock},
    helpers::generated::{bpf_ktime_get_ns, bpf_tcp_sock},
    macros::cgroup_skb,
    programs::SkBuffContext,
};
use weir_common::{
    connection::{ConnectionState, flag},
    counter::Loss,
    event::connection_event,
    flow::{Addr, is_loopback, role},
    framing::{
        detect::is_framed,
        http1::{begin, conclude, recognise, scan, step},
    },
    policy::{Flow, direction, hook, transport, verdict},
};

use crate::{
    access::{Question, callee_at, callee_of, caller_at, judge},
    connection::{settle_pair, tell},
    edge::{self, Totals},
    emit::{control, lost},
    exchange,
    hook::readers,
    maps::{CALLS, CallKey},
    packet::{self, Packet, tcp_flag},
    storage::{CONNECTIONS, OWNERS},
    walk::{Payload, STEPS, connection, full_socket, weir_missed, weir_record},
};

const PASS: i32 = 1;
const DROP: i32 = 0;

const SOCK_RAW: u32 = 3;

/// What [`weir_scan`] answers instead of [`step::EXCHANGE`].
const RECORDED: u32 = 5;

/// A connection is reported and folded into its edge at most this often, ns.
const REPORT_EVERY_NS: u64 = 1_000_000_000;

#[cgroup_skb(ingress)]
pub fn weir_ingress(ctx: SkBuffContext) -> i32 {
    handle(ctx.skb.skb, true)
}

#[cgroup_skb(egress)]
pub fn weir_egress(ctx: SkBuffContext) -> i32 {
    handle(ctx.skb.skb, false)
}

#[inline(always)]
fn handle(skb: *mut __sk_buff, ingress: bool) -> i32 {
    let Some(packet) = packet::parse(skb) else {
        return PASS;
    };
    if packet.transport == transport::UDP
        || packet.flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN
    {
        if ingress {
            return admit(skb, &packet);
        }
        note_call(skb, &packet);
        return PASS;
    }
    if packet.payload_len == 0 && packet.flags & (tcp_flag::FIN | tcp_flag::RST) == 0 {
        return PASS;
    }
    let Some(socket) = full_socket(skb) else {
        return PASS;
    };
    let Some(state) = CONNECTIONS.get(socket) else {
        if packet.payload_len != 0 {
            lost(Loss::UnknownSocket, 1);
        }
        return PASS;
    };
    if packet.flags & tcp_flag::RST != 0 {
        state.flags |= flag::RESET;
        return PASS;
    }
    if state.has(flag::PEER_COUNTS) {
        return PASS;
    }
    watch(skb, socket, state, &packet, ingress);
    PASS
}

// The parts of a step are global functions: the kernel verifies each of them once, whoever calls
// it (Linux 5.6). Such a function may be given the context and numbers only, so each finds the
// connection again; inlined, the paths through all of them together are too many to verify.

/// [`begin`] on the connection of an skb whose payload begins at `payload_at`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_begin(skb: *mut __sk_buff, is_request: u32, payload_at: u32) -> u32 {
    let Some(state) = connection(skb) else {
        return step::DONE;
    };
    let mut payload = Payload {
        skb,
        at: payload_at,
    };
    begin(&mut state.conversation, is_request != 0, &mut payload)
}

/// [`scan`] and [`conclude`] on the connection of an skb. An exchange that this completes is
/// recorded at once: a call of its own would have to find the connection again.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_scan(skb: *mut __sk_buff, is_request: u32) -> u32 {
    let Some(state) = connection(skb) else {
        return step::DONE;
    };
    let found = scan(&mut state.conversation, is_request != 0);
    let code = conclude(&mut state.conversation, is_request != 0, found);
    if code != step::EXCHANGE {
        return code;
    }
    exchange::record(state);
    RECORDED
}

/// [`recognise`] on the connection of an skb.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_recognise(skb: *mut __sk_buff, is_request: u32) -> u32 {
    let Some(state) = connection(skb) else {
        return step::DONE;
    };
    recognise(&mut state.conversation, is_request != 0)
}

#[inline(always)]
fn watch(
    skb: *mut __sk_buff,
    socket: *mut bpf_sock,
    state: &mut ConnectionState,
    packet: &Packet,
    ingress: bool,
) {
    // SAFETY: the helper has no arguments.
    let time_ns = unsafe { bpf_ktime_get_ns() };
    if !state.has(flag::SETTLED) && ingress {
        settle_pair(state, time_ns);
        if state.has(flag::PEER_COUNTS) {
            return;
        }
    }
    if time_ns.wrapping_sub(state.reported_ns) > REPORT_EVERY_NS && state.has(flag::SETTLED) {
        report(socket, state, time_ns);
    }
    let is_request = ingress == (state.role == role::SERVER);
    if packet.payload_len != 0 && state.conversation.opaque == 0 {
        let protocol = state.conversation.protocol;
        if is_framed(protocol) {
            return readers::hand_over(skb, protocol, ingress);
        }
        walk(skb, state, packet, is_request, ingress, time_ns);
    }
    if packet.flags & tcp_flag::FIN != 0 && !is_request && state.conversation.close(time_ns) {
        weir_record(skb);
    }
}

#[inline(always)]
fn walk(
    skb: *mut __sk_buff,
    state: &mut ConnectionState,
    packet: &Packet,
    is_request: bool,
    ingress: bool,
    time_ns: u64,
) {
    if !state
        .conversation
        .locate(is_request, packet.seq, packet.payload_len, time_ns)
    {
        return;
    }
    let mut payload = Payload {
        skb,
        at: packet.payload_at,
    };
    // The first step is inline for speed. Further ones are calls: verifiers before 6.12 walk all
    // paths of an inline step anew in every round of a loop.
    let mut code = begin(&mut state.conversation, is_request, &mut payload);
    let mut steps = 0;
    while steps < STEPS {
        if code == step::SCAN {
            code = weir_scan(skb, is_request as u32);
        }
        if code == step::DETECT {
            code = weir_recognise(skb, is_request as u32);
        }
        match code {
            step::DONE => return,
            step::MORE => {}
            step::EXCHANGE | RECORDED => {
                if code == step::EXCHANGE {
                    weir_record(skb);
                }
                if state.conversation.is_read(is_request) {
                    return;
                }
            }
            _ => {
                weir_missed(skb, is_request as u32, code);
            }
        }
        let protocol = state.conversation.protocol;
        if is_framed(protocol) {
            return readers::hand_over(skb, protocol, ingress);
        }
        code = weir_begin(skb, is_request as u32, packet.payload_at);
        steps += 1;
    }
    weir_missed(skb, is_request as u32, step::DONE);
}

#[inline(never)]
fn report(socket: *mut bpf_sock, state: &mut ConnectionState, time_ns: u64) {
    // SAFETY: the kernel checks the pointer.
    let tcp = unsafe { bpf_tcp_sock(socket) };
    if tcp.is_null() {
        return;
    }
    // SAFETY: not null; each field is read as it is declared.
    let totals = unsafe {
        Totals {
            sent: core::ptr::read_volatile(&raw const (*tcp).bytes_acked),
            received: core::ptr::read_volatile(&raw const (*tcp).bytes_received),
            segments_out: core::ptr::read_volatile(&raw const (*tcp).segs_out),
            segments_in: core::ptr::read_volatile(&raw const (*tcp).segs_in),
            retransmits: core::ptr::read_volatile(&raw const (*tcp).total_retrans),
            srtt_us: core::ptr::read_volatile(&raw const (*tcp).srtt_us) >> 3,
            rtt_min_us: core::ptr::read_volatile(&raw const (*tcp).rtt_min),
        }
    };
    edge::fold(state, &totals, time_ns);
    tell(state, Some(&totals), connection_event::REPORT, time_ns);
}

/// May this SYN or datagram come in? Callers on this host were asked at `connect` or `sendmsg`
/// already, and about answers nobody is.
#[inline(never)]
fn admit(skb: *mut __sk_buff, packet: &Packet) -> i32 {
    if control().is_none_or(|control| control.policy_active == 0) {
        return PASS;
    }
    let Some(socket) = full_socket(skb) else {
        return PASS;
    };
    let Some((source, destination)) = packet::addresses(skb, packet.version) else {
        return PASS;
    };
    if is_local_call(&source, packet) {
        return PASS;
    }
    let to = match OWNERS.get(socket) {
        Some(record) => callee_of(&record.owner, &destination),
        None => callee_at(&destination, packet.destination, 0),
    };
    // A UDP port that nobody serves is one that calls: this is its answer.
    if packet.transport == transport::UDP && to[0] == 0 {
        return PASS;
    }
    let flow = Flow {
        from: caller_at(&source),
        to,
        port: packet.destination,
        transport: packet.transport,
        direction: direction::INBOUND,
    };
    let question = Question {
        flow: &flow,
        from: None,
        remote_addr: &source,
        hook: hook::INGRESS,
    };
    if judge(&question).verdict == verdict::DENY {
        DROP
    } else {
        PASS
    }
}

#[inline(always)]
fn call_key(addr: Addr, packet: &Packet) -> CallKey {
    CallKey {
        addr,
        port: packet.source,
        transport: packet.transport as u16,
    }
}

/// Notes a SYN or datagram that leaves a socket of this host.
#[inline(never)]
fn note_call(skb: *mut __sk_buff, packet: &Packet) {
    if control().is_none_or(|control| control.policy_active == 0) {
        return;
    }
    let Some(socket) = full_socket(skb) else {
        return;
    };
    // SAFETY: not null; volatile, so that the load keeps its size.
    let kind = unsafe { core::ptr::read_volatile(&raw const (*socket).type_) };
    if kind == SOCK_RAW {
        // Nobody asked at `connect` for what is written to a raw socket.
        return;
    }
    let Some((source, _)) = packet::addresses(skb, packet.version) else {
        return;
    };
    if is_loopback(&source) {
        return;
    }
    let key = call_key(source, packet);
    // SAFETY: values are plain integers.
    if unsafe { CALLS.get(&key) } != Some(&packet.seq) {
        let _ = CALLS.insert(&key, &packet.seq, 0);
    }
}

/// True if [`note_call`] saw this packet leave, or it never left a host.
#[inline(always)]
fn is_local_call(source: &Addr, packet: &Packet) -> bool {
    // SAFETY: values are plain integers.
    is_loopback(source) || unsafe { CALLS.get(call_key(*source, packet)) } == Some(&packet.seq)
}
