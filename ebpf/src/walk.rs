//! What every walk over a segment's messages shares.

use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock},
    helpers::generated::{bpf_sk_fullsock, bpf_skb_load_bytes},
};
use weir_common::{
    connection::ConnectionState,
    counter::Loss,
    framing::{
        conversation::step,
        window::{DATA_BYTES, Load, Window},
    },
};

use crate::{emit::lost_on, exchange, storage::CONNECTIONS};

/// How many messages or windows of one segment a run walks.
pub const STEPS: u32 = 256;

/// What a step answers instead of [`step::DONE`] if [`weir_flush`] must follow.
pub const UNCOUNTED: u32 = step::LOST - 1;

/// The socket of an skb, if it is a full one.
#[inline(always)]
pub fn full_socket(skb: *mut __sk_buff) -> Option<*mut bpf_sock> {
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
pub struct Payload {
    /// The packet.
    pub skb: *mut __sk_buff,
    /// Where its payload begins.
    pub at: u32,
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
pub fn connection(skb: *mut __sk_buff) -> Option<&'static mut ConnectionState> {
    CONNECTIONS.get(full_socket(skb)?)
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

/// Counts what the run has completed and not yet counted.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_flush(skb: *mut __sk_buff, is_request: u32) -> u32 {
    if let Some(state) = connection(skb) {
        exchange::flush(state, is_request != 0);
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
    exchange::flush(state, is_request != 0);
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
