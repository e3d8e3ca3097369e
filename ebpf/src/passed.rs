//! Segments that have been read on their way out and come in again on this host, mostly at once and
//! on the same CPU (loopback, veth). The end that they come in at does not count where the other one
//! does; to learn that from its record would cost as much as reading a short answer.

use weir_common::connection::{ConnectionState, flag};

use crate::{
    maps::{PASSED, Passed},
    packet::{Packet, tcp_flag},
};

/// Notes a segment on its way out of an end that counts. The other end must have had the chance to
/// learn that this one does: the first segment that is read is not noted.
#[inline(always)]
pub fn note(state: &mut ConnectionState, is_request: bool, packet: &Packet) {
    if !state.has(flag::LOCAL_PAIR) || !state.conversation.has_begun(is_request) {
        return;
    }
    if let Some(slot) = PASSED.get_ptr_mut(0) {
        // SAFETY: this CPU's alone, but for a program that interrupts this one and notes another
        // segment: what is written by halves is no segment.
        unsafe { *slot = segment(packet) };
    }
}

/// True for a segment that was noted last on this CPU and says nothing but its payload.
#[inline(always)]
pub fn is_known(packet: &Packet) -> bool {
    if packet.flags & (tcp_flag::FIN | tcp_flag::RST) != 0 {
        return false;
    }
    PASSED.get(0).is_some_and(|known| *known == segment(packet))
}

#[inline(always)]
fn segment(packet: &Packet) -> Passed {
    Passed {
        place: (packet.seq as u64) << 32 | packet.payload_len as u64,
        ports: (packet.source as u64) << 16 | packet.destination as u64,
    }
}
