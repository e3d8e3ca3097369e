//! `tp_btf/sock_recv_length`: when the application takes requests out of the socket.
//!
//! `read`, `recv` and all their kin pass it once per call (`sock_recvmsg`, Linux 6.3); splice,
//! pages that are mapped and the kernel's own readers do not.

use aya_ebpf::{
    bindings::bpf_sock,
    helpers::generated::{bpf_jiffies64, bpf_skc_to_tcp_sock},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use weir_common::{
    connection::flag,
    flow::{protocol, role},
};

use crate::{
    emit::now,
    maps::READS,
    storage::{CONNECTIONS, HTTP2},
};

/// Flags of calls that take nothing off the stream: `MSG_OOB`, `MSG_PEEK`, `MSG_ERRQUEUE`.
const TAKES_NOTHING: u32 = 0x1 | 0x2 | 0x2000;

/// Where `struct tcp_sock` has `copied_seq`, the sequence number that is read next, bytes. Set by
/// the loader, which does not load the program if it does not know.
#[unsafe(no_mangle)]
static COPIED_SEQ_AT: u32 = 0;

/// The same of `struct sock` and its address family.
#[unsafe(no_mangle)]
static FAMILY_AT: u32 = 0;

/// `AF_INET`, `AF_INET6`.
const FAMILIES: [u16; 2] = [2, 10];

#[btf_tracepoint(function = "sock_recv_length")]
pub fn weir_recv(ctx: BtfTracePointContext) -> i32 {
    let socket: *mut bpf_sock = ctx.arg(0);
    let (taken, flags): (i32, u32) = (ctx.arg(1), ctx.arg(2));
    if taken <= 0 || flags & TAKES_NOTHING != 0 {
        return 0;
    }
    if !is_looked_at(socket) {
        return 0;
    }
    let Some(state) = CONNECTIONS.get(socket) else {
        return 0;
    };
    let counts = state.flags & (flag::ADOPTED | flag::PEER_COUNTS) == 0;
    if state.role != role::SERVER || !counts {
        return 0;
    }
    let Some(seq) = copied_seq(socket) else {
        return 0;
    };
    let taken = taken as u32;
    if state.conversation.protocol != protocol::HTTP2 {
        state.conversation.was_read(seq, taken, now());
        return 0;
    }
    let Some((from, to)) = state.conversation.taken(seq, taken) else {
        return 0;
    };
    if let Some(http2) = HTTP2.get(socket) {
        http2.was_read(from, to, now());
    }
    0
}

/// True for a socket of the Internet, unless there is too much to read on this CPU to look at all.
/// Requests whose reading is not looked at have no queue time, and are counted so.
#[inline(always)]
fn is_looked_at(socket: *mut bpf_sock) -> bool {
    // SAFETY: the loader writes it before the program is loaded.
    let at = unsafe { core::ptr::read_volatile(&raw const FAMILY_AT) };
    // SAFETY: the kernel checks that a field of this size stands there.
    let family =
        unsafe { core::ptr::read_volatile(socket.cast::<u8>().add(at as usize).cast::<u16>()) };
    if family != FAMILIES[0] && family != FAMILIES[1] {
        return false;
    }
    let Some(reads) = READS.get_ptr_mut(0) else {
        return true;
    };
    // SAFETY: this CPU's alone, but for programs that interrupt this one, which may count wrongly; the
    // helper has no arguments.
    unsafe { (*reads).takes(bpf_jiffies64()) }
}

/// The sequence number behind what was read.
#[inline(always)]
fn copied_seq(socket: *mut bpf_sock) -> Option<u32> {
    // SAFETY: the kernel checks the pointer.
    let tcp = unsafe { bpf_skc_to_tcp_sock(socket.cast()) };
    if tcp.is_null() {
        return None;
    }
    // SAFETY: the loader writes it before the program is loaded; volatile, because the compiler
    // must not fold the initial value.
    let at = unsafe { core::ptr::read_volatile(&raw const COPIED_SEQ_AT) };
    // SAFETY: the kernel checks that a field of this size stands there.
    Some(unsafe { core::ptr::read_volatile(tcp.cast::<u8>().add(at as usize).cast::<u32>()) })
}
