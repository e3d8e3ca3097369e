//! When a server's application read its requests from the socket.

use super::conversation::{Conversation, MAX_PENDING};
use crate::flow::protocol;

impl Conversation {
    /// Where in the client's stream the `len` bytes before sequence number `seq` stand, from the
    /// first one to behind the last one; `None` if they can be in no request.
    #[inline(always)]
    pub fn taken(&self, seq: u32, len: u32) -> Option<(u64, u64)> {
        // The exchange of WebSocket begins with no byte of the client.
        let is_messages = self.protocol == protocol::WEBSOCKET;
        if self.opaque != 0 || self.request.anchored == 0 || is_messages {
            return None;
        }
        let to = self.request.offset_of(seq)?;
        // A FIN that was read with them has a sequence number, too, and stands behind all bytes.
        let to = to.min(self.request.highest);
        Some((to.saturating_sub(len as u64), to))
    }

    /// The application read the bytes from one offset to another in one call: the requests that
    /// begin in them waited until now.
    ///
    /// Bytes that it took in another way (splice, a mapping of pages, the kernel's own readers) are
    /// in no such call, so requests that begin in those stay without a time.
    #[inline(always)]
    pub fn was_read(&mut self, from: u64, to: u64, time_ns: u64) {
        self.read_begun(from, to, time_ns);
        let mut i = 0;
        while i < MAX_PENDING {
            let ordinal = self.answered.wrapping_add(i as u64 + 1);
            if ordinal > self.asked {
                break;
            }
            let pending = self.pending_mut(ordinal);
            if pending.ordinal == ordinal && pending.offset >= from && pending.offset < to {
                pending.read_ns = time_ns;
            }
            i += 1;
        }
    }

    /// The same for the request whose head is not complete, and which does not wait yet.
    #[inline(always)]
    fn read_begun(&mut self, from: u64, to: u64, time_ns: u64) {
        let start = self.request.message_start;
        if start < from || start >= to {
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
