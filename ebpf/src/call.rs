//! SYNs and datagrams, with which calls begin: who may come in, and what left this host.

use aya_ebpf::bindings::__sk_buff;
use weir_common::{
    flow::{Addr, is_loopback},
    policy::{Flow, direction, hook, transport, verdict},
};

use crate::{
    access::{Question, callee_at, callee_of, caller_at, judge},
    emit::control,
    maps::{CALLS, CallKey},
    packet::{self, Packet},
    storage::OWNERS,
    walk::full_socket,
};

/// The packet goes on.
pub const PASS: i32 = 1;
/// It does not.
pub const DROP: i32 = 0;

const SOCK_RAW: u32 = 3;

/// Takes a SYN or datagram: answers what the program is to answer.
#[inline(always)]
pub fn begin(skb: *mut __sk_buff, packet: &Packet, ingress: bool) -> i32 {
    if ingress {
        return admit(skb, packet);
    }
    note_call(skb, packet);
    PASS
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
    // Who owns a UDP socket does not say whether it serves.
    let owner = if packet.transport == transport::UDP {
        None
    } else {
        OWNERS.get(socket)
    };
    let to = match owner {
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
