//! `cgroup_skb/ingress` and `egress`: message heads, and who may come in.

use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock},
    helpers::generated::{bpf_ktime_get_ns, bpf_sk_fullsock, bpf_skb_load_bytes, bpf_tcp_sock},
    macros::cgroup_skb,
    programs::SkBuffContext,
};
use weir_common::{
    connection::{ConnectionState, flag},
    counter::Loss,
    event::connection_event,
    flow::role,
    framing::{
        http1::{begin, conclude, scan, step},
        window::{DATA_BYTES, Load, Window},
    },
    policy::{Flow, direction, hook, transport, verdict},
};

use crate::{
    access::{Question, judge, selectors_at, selectors_of},
    connection::{settle_pair, tell},
    edge::{self, Totals},
    emit::{control, lost, lost_on},
    exchange,
    packet::{self, Packet, tcp_flag},
    storage::{CONNECTIONS, OWNERS},
};

const PASS: i32 = 1;
const DROP: i32 = 0;

/// How many messages or windows of one segment a run walks.
const STEPS: u32 = 32;

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
        return if ingress { admit(skb, &packet) } else { PASS };
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

#[inline(always)]
fn full_socket(skb: *mut __sk_buff) -> Option<*mut bpf_sock> {
    // SAFETY: the context outlives the program.
    let socket = unsafe { (*skb).__bindgen_anon_2.sk };
    if socket.is_null() {
        return None;
    }
    // SAFETY: the kernel checks the pointer.
    let socket = unsafe { bpf_sk_fullsock(socket) };
    if socket.is_null() { None } else { Some(socket) }
}

/// The payload of the current skb.
struct Payload {
    skb: *mut __sk_buff,
    at: u32,
}

impl Load for Payload {
    #[inline(always)]
    fn load(&mut self, at: u32, len: u32, window: &mut Window) -> bool {
        // The verifier must see a length above 0 and within the window.
        let len = len.wrapping_sub(1) & 511;
        if len >= DATA_BYTES as u32 {
            return false;
        }
        // SAFETY: `len + 1` is at most DATA_BYTES, the size of the data part.
        let result = unsafe {
            bpf_skb_load_bytes(
                self.skb.cast(),
                self.at + at,
                window.data_mut().as_mut_ptr().cast(),
                len + 1,
            )
        };
        result == 0
    }
}

/// The connection of an skb, for the functions below.
#[inline(always)]
fn connection(skb: *mut __sk_buff) -> Option<&'static mut ConnectionState> {
    CONNECTIONS.get(full_socket(skb)?)
}

// The parts of a step are global functions: the kernel verifies each of them once, whoever calls
// it (Linux 5.6). Such a function may be given the context and numbers only, so each finds the
// connection again; inlined, the paths through all of them together are too many to verify.

/// [`scan`] and [`conclude`] on the connection of an skb.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_scan(skb: *mut __sk_buff, is_request: u32) -> u32 {
    let Some(state) = connection(skb) else {
        return step::DONE;
    };
    let found = scan(&mut state.conversation, is_request != 0);
    conclude(&mut state.conversation, is_request != 0, found)
}

/// Records the exchange that was just completed.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_record(skb: *mut __sk_buff) -> u32 {
    if let Some(state) = connection(skb) {
        exchange::record(state);
    }
    0
}

/// Counts what a step has missed, and what the bound on steps has left unread.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_missed(skb: *mut __sk_buff, is_request: u32, code: u32) -> u32 {
    let Some(state) = connection(skb) else {
        return 0;
    };
    let (reason, missed) = if code >= step::LOST {
        (
            code - step::LOST,
            state.conversation.missed(is_request != 0),
        )
    } else {
        (
            Loss::TooManyMessages as u32,
            state.conversation.give_up(is_request != 0),
        )
    };
    if missed != 0 {
        lost_on(state.edge_id, reason, missed);
    }
    0
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
        walk(skb, state, packet, is_request, time_ns);
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
    let mut steps = 0;
    while steps < STEPS {
        let mut code = begin(&mut state.conversation, is_request, &mut payload);
        if code == step::SCAN {
            code = weir_scan(skb, is_request as u32);
        }
        match code {
            step::DONE => return,
            step::MORE => {}
            step::EXCHANGE => {
                weir_record(skb);
            }
            _ => {
                weir_missed(skb, is_request as u32, code);
            }
        }
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

/// May this SYN or datagram come in? Callers on this host were asked at `connect` already.
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
    let mut to = selectors_at(&destination, packet.destination, 0);
    if let Some(record) = OWNERS.get(socket) {
        let owner = selectors_of(&record.owner);
        to[0] = owner[0];
        to[1] = owner[1];
    }
    let flow = Flow {
        from: selectors_at(&source, 0, 0),
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
