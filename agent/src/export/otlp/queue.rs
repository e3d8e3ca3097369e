//! What waits to be sent: bounded by bytes and items, oldest first. Pure.
#![forbid(unsafe_code)]

use std::collections::VecDeque;

use bytes::Bytes;

/// An encoded request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Protobuf of the export request; clones share it.
    pub body: Bytes,
    /// Spans or data points in it.
    pub items: u64,
}

/// The queue. Its front stays in it while it is being sent, so it counts against the bounds.
#[derive(Debug)]
pub struct Queue {
    waiting: VecDeque<(u64, Batch)>,
    generation: u64,
    bytes: usize,
    items: u64,
    max_bytes: usize,
    max_items: u64,
    sending: bool,
}

impl Queue {
    /// An empty queue.
    pub fn new(max_bytes: usize, max_items: u64) -> Self {
        Self {
            waiting: VecDeque::new(),
            generation: 0,
            bytes: 0,
            items: 0,
            max_bytes,
            max_items,
            sending: false,
        }
    }

    /// Appends `batch`; false, and nothing changed, when it does not fit. What is already
    /// buffered is never given up for something newer.
    pub fn push(&mut self, batch: Batch) -> bool {
        let bytes = self.bytes + batch.body.len();
        let items = self.items + batch.items;
        if bytes > self.max_bytes || items > self.max_items {
            return false;
        }
        (self.bytes, self.items) = (bytes, items);
        self.waiting.push_back((self.generation, batch));
        true
    }

    /// Makes `batches` the newest generation: all older ones that are not being sent are given
    /// up for them. Returns (items superseded, items that did not fit).
    pub fn supersede(&mut self, batches: Vec<Batch>) -> (u64, u64) {
        self.generation += 1;
        let before = self.items;
        let sending = usize::from(self.sending);
        for (_, batch) in self.waiting.drain(sending.min(self.waiting.len())..) {
            self.bytes -= batch.body.len();
            self.items -= batch.items;
        }
        let superseded = before - self.items;
        let mut unfit = 0;
        for batch in batches {
            let items = batch.items;
            if !self.push(batch) {
                unfit += items;
            }
        }
        (superseded, unfit)
    }

    /// The oldest batch, now being sent.
    pub fn start(&mut self) -> Option<Batch> {
        let (_, front) = self.waiting.front()?;
        self.sending = true;
        Some(front.clone())
    }

    /// The batch being sent is done with, delivered or not.
    pub fn finish(&mut self) {
        self.sending = false;
        if let Some((_, batch)) = self.waiting.pop_front() {
            self.bytes -= batch.body.len();
            self.items -= batch.items;
        }
    }

    /// The batch being sent has to be sent again. When a newer generation waits it is given up
    /// instead; returns the items superseded by that.
    pub fn again(&mut self) -> u64 {
        self.sending = false;
        let Some((oldest, front)) = self.waiting.front() else {
            return 0;
        };
        if *oldest == self.generation {
            return 0;
        }
        let items = front.items;
        self.finish();
        items
    }

    /// Gives up everything; returns its items.
    pub fn clear(&mut self) -> u64 {
        let items = self.items;
        self.waiting.clear();
        (self.bytes, self.items, self.sending) = (0, 0, false);
        items
    }

    /// Bytes waiting.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Items waiting.
    pub fn items(&self) -> u64 {
        self.items
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(name: &'static str, items: u64) -> Batch {
        Batch {
            body: Bytes::from_static(name.as_bytes()),
            items,
        }
    }

    fn start(queue: &mut Queue) -> Option<String> {
        let batch = queue.start()?;
        Some(String::from_utf8_lossy(&batch.body).into_owned())
    }

    #[test]
    fn what_is_buffered_stays_and_what_does_not_fit_is_refused() {
        let mut queue = Queue::new(10, 100);
        assert!(queue.push(batch("aaaa", 40)));
        assert!(queue.push(batch("bbbb", 40)));
        assert!(!queue.push(batch("ccc", 1)), "too many bytes");
        assert!(!queue.push(batch("c", 21)), "too many items");
        assert_eq!((queue.bytes(), queue.items()), (8, 80));
        assert_eq!(start(&mut queue).as_deref(), Some("aaaa"));
        assert_eq!(queue.again(), 0);
        assert_eq!(start(&mut queue).as_deref(), Some("aaaa"));
        queue.finish();
        assert_eq!(start(&mut queue).as_deref(), Some("bbbb"));
        queue.finish();
        assert!(queue.is_empty());
        assert_eq!((queue.bytes(), queue.items(), queue.start()), (0, 0, None));
    }

    #[test]
    fn newer_cumulative_points_replace_older_ones() {
        let mut queue = Queue::new(100, 100);
        assert_eq!(
            queue.supersede(vec![batch("a1", 5), batch("a2", 5)]),
            (0, 0)
        );
        assert_eq!(start(&mut queue).as_deref(), Some("a1"));
        // a1 is on its way; a2 is not and goes.
        assert_eq!(queue.supersede(vec![batch("b1", 7)]), (5, 0));
        // a1 failed: it need not be sent again.
        assert_eq!(queue.again(), 5);
        assert_eq!(start(&mut queue).as_deref(), Some("b1"));
        assert_eq!(queue.again(), 0);
        assert_eq!(
            queue.supersede(vec![batch("c1", 3), batch("big", 98)]),
            (7, 98)
        );
        assert_eq!(queue.clear(), 3);
        assert_eq!((queue.bytes(), queue.items()), (0, 0));
    }
}
