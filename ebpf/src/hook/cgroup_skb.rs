//! `cgroup_skb/ingress` and `egress`: message heads; who may come in is asked in [`crate::call`].

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
    flow::{protocol, role},
    framing::{
        detect::is_framed,
        http1::{begin, conclude, scan, step},
    },
    policy::transport,
};

use crate::{
    call,
    connection::{settle_pair, tell},
    edge::{self, Totals},
    emit::lost,
    exchange,
    hook::readers::{self, Handed},
    packet::{self, Packet, tcp_flag},
    passed,
    storage::CONNECTIONS,
    walk::{Payload, STEPS, connection, full_socket, weir_missed, weir_record},
};

const PASS: i32 = 1;

/// What [`weir_scan`] answers instead of [`step::EXCHANGE`].
pub(super) const RECORDED: u32 = 5;

/// A connection is reported and folded into its edge at most this often, ns.
const REPORT_EVERY_NS: u64 = 1_000_000_000;

// Neither answers more than pass and drop, so both are of one kind, and share their readers.
#[cgroup_skb]
pub fn weir_ingress(ctx: SkBuffContext) -> i32 {
    handle(ctx.skb.skb, true)
}

#[cgroup_skb]
pub fn weir_egress(ctx: SkBuffContext) -> i32 {
    handle(ctx.skb.skb, false)
}

#[inline(always)]
fn handle(skb: *mut __sk_buff, ingress: bool) -> i32 {
    let Some(packet) = packet::parse(skb) else {
        return PASS;
    };
    let is_datagram = packet.transport == transport::UDP;
    if is_datagram || packet.flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN {
        if is_datagram && packet::may_be_dns(skb, &packet) {
            // Asks and notes as is done here.
            let handed = Handed {
                ingress,
                is_request: false,
                payload_at: packet.payload_at,
            };
            readers::hand_over(skb, protocol::DATAGRAMS, handed);
        }
        return call::begin(skb, &packet, ingress);
    }
    if packet.payload_len == 0 && packet.flags & (tcp_flag::FIN | tcp_flag::RST) == 0 {
        return PASS;
    }
    if ingress && passed::is_known(&packet) {
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
    if !ingress {
        passed::note(state, is_request, packet);
    }
    if packet.payload_len != 0 && state.conversation.opaque == 0 {
        let conversation = &mut state.conversation;
        let is_framed = is_framed(conversation.protocol);
        if conversation.locate(is_request, packet.seq, packet.payload_len, time_ns) {
            let handed = Handed {
                ingress,
                is_request,
                payload_at: packet.payload_at,
            };
            walk(skb, state, handed);
        }
        if is_framed {
            return;
        }
    }
    if packet.flags & tcp_flag::FIN != 0 && !is_request && state.conversation.close(time_ns) {
        weir_record(skb);
    }
}

#[inline(always)]
fn walk(skb: *mut __sk_buff, state: &mut ConnectionState, handed: Handed) {
    let protocol = state.conversation.protocol;
    if is_framed(protocol) {
        return readers::hand_over(skb, protocol, handed);
    }
    let (is_request, payload_at) = (handed.is_request, handed.payload_at);
    let mut payload = Payload {
        skb,
        at: payload_at,
    };
    // The first step is inline for speed. Further ones are calls: verifiers before 6.12 walk all
    // paths of an inline step anew in every round of a loop.
    let mut code = begin(&mut state.conversation, is_request, &mut payload);
    let mut steps = 0;
    while steps < STEPS {
        if code == step::SCAN {
            code = weir_scan(skb, is_request as u32);
        }
        match code {
            step::DONE => return,
            step::MORE => {}
            step::DETECT => return readers::hand_over(skb, protocol::UNKNOWN, handed),
            step::EVENTS => return readers::hand_over(skb, protocol::HTTP1, handed),
            step::GRAPHQL => return readers::hand_over(skb, protocol::GRAPHQL, handed),
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
            return readers::hand_over(skb, protocol, handed);
        }
        code = weir_begin(skb, is_request as u32, payload_at);
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
