//! When a server's application read its requests from the socket.

use super::conversation::{Conversation, MAX_PENDING};
use crate::flow::protocol;

impl Conversation {
    /// Where in the client's stream the `len` bytes before sequence number `seq` stand, from the
    /// first one to behind the last one; `None` if they can be in no request.
    #[inline(always)]
    pub fn taken(&self, seq: u32, len: u32) -> Option<(u64, u64)> {
        if self.opaque != 0 || self.request.anchored == 0 {
            return None;
        }
        let to = self.request.offset_of(seq)?;
        // A FIN that was read with them has a sequence number, too, and stands behind all bytes.
        let to = to.min(self.request.highest);
        Some((to.saturating_sub(len as u64), to))
    }

    /// The application read the `len` bytes before sequence number `seq` in one call: the requests
    /// that begin in them waited until now.
    ///
    /// Bytes that it took in another way (splice, a mapping of pages, the kernel's own readers) are
    /// in no such call, so requests that begin in those stay without a time.
    ///
    /// Looks at requests that wait before anything else, and mostly at nothing else: the state of the
    /// client's direction is in the caches of another processor.
    #[inline(always)]
    pub fn was_read(&mut self, seq: u32, len: u32, time_ns: u64) {
        // The exchange of WebSocket begins with no byte of the client.
        if self.opaque != 0 || self.protocol == protocol::WEBSOCKET {
            return;
        }
        // A FIN that was read with them has a sequence number, too: so one byte more before them. A
        // request that begins with that one has its time from the call before.
        let from = seq.wrapping_sub(len).wrapping_sub(1);
        // Bytes up to the end of the latest request that waits.
        let mut reached = 0;
        let mut i = 0;
        while i < MAX_PENDING {
            let ordinal = self.answered.wrapping_add(i as u64 + 1);
            if ordinal > self.asked {
                break;
            }
            let pending = self.pending_mut(ordinal);
            let at = pending.seq.wrapping_sub(from);
            let is_in = at <= len && pending.is(ordinal);
            if is_in && pending.read_ns == 0 {
                pending.read_ns = time_ns;
            }
            reached = at.wrapping_add(pending.bytes as u32);
            i += 1;
        }
        if reached <= len {
            self.read_begun(from, len, time_ns);
        }
    }

    /// The same for the request whose head is not complete, and which does not wait yet.
    #[inline(always)]
    fn read_begun(&mut self, from: u32, len: u32, time_ns: u64) {
        let start = self.request.message_start;
        let at = self.request.seq_of(start).wrapping_sub(from);
        if self.request.anchored == 0 || at > len || self.message_read_ns != 0 {
            return;
        }
        self.message_read_ns = time_ns;
        if self.request.message_start != start {
            // Another CPU has just begun the next request, which is not meant.
            self.message_read_ns = 0;
        }
    }
}

/// How long a request waited until the application read its first byte, ns; 0 = not known.
#[inline(always)]
pub(in crate::framing) fn queue_ns(started_ns: u64, read_ns: u64) -> u64 {
    if started_ns == 0 {
        return 0;
    }
    read_ns.saturating_sub(started_ns)
}
