//! When a server's application read the requests of an HTTP/2 connection.

use super::{Http2, Stream};
use crate::framing::reads::queue_ns;

/// How many of the streams that began last a call may read. Of those before there is no time.
const READ_AT_ONCE: u32 = 64;

/// [`Stream::queue`] counts in units of 2 to the power of this, ns.
const UNIT_SHIFT: u32 = 8;

impl Http2 {
    /// The application read the bytes from one offset of the client's stream to another in one
    /// call: the streams that begin in them waited until now. One whose first block was not
    /// complete by then stays without a time.
    #[inline(always)]
    pub fn was_read(&mut self, from: u64, to: u64, time_ns: u64) {
        let latest = self.request.latest;
        let oldest = latest.saturating_sub(2 * (READ_AT_ONCE - 1));
        let len = to.wrapping_sub(from) as i32;
        // Numbers of streams are odd.
        let mut id = self.unread.max(oldest) | 1;
        let mut i = 0;
        while i < READ_AT_ONCE && id <= latest {
            let stream = self.slot_mut(id);
            if stream.id == id {
                let at = stream.offset_low.wrapping_sub(from as u32);
                if at as i32 >= len {
                    break;
                }
                if at as i32 >= 0 {
                    stream.note_read(time_ns);
                }
            }
            id += 2;
            i += 1;
        }
        self.unread = id;
    }
}

impl Stream {
    /// Notes when its request was read: rounded up, so that 0 stays for what is not known.
    #[inline(always)]
    fn note_read(&mut self, time_ns: u64) {
        let unit = 1 << UNIT_SHIFT;
        let units = (queue_ns(self.started_ns, time_ns) + unit - 1) >> UNIT_SHIFT;
        self.queue = units.min(u32::MAX as u64) as u32;
    }

    /// How long its request waited until the application read its first byte, ns; 0 = not known.
    #[inline(always)]
    pub fn queue_ns(&self) -> u64 {
        (self.queue as u64) << UNIT_SHIFT
    }
}
