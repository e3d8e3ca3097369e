//! A bounded ring: the newest values, and a count of those that had to go.

use std::collections::VecDeque;

/// Keeps the newest `capacity` values.
#[derive(Clone, Debug)]
pub struct Recent<T> {
    values: VecDeque<T>,
    capacity: usize,
    dropped: u64,
}

impl<T> Recent<T> {
    /// An empty ring of `capacity` values, at least one.
    pub fn new(capacity: usize) -> Self {
        Self {
            values: VecDeque::new(),
            capacity: capacity.max(1),
            dropped: 0,
        }
    }

    /// Adds a value; the oldest goes when the ring is full.
    pub fn push(&mut self, value: T) {
        if self.values.len() == self.capacity {
            self.values.pop_front();
            self.dropped += 1;
        }
        self.values.push_back(value);
    }

    /// The values, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.values.iter()
    }

    /// Number of values held.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// True if nothing is held.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Values that had to go since the ring was made.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Greatest number of values held.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first_and_is_counted() {
        for (capacity, pushed, expected, dropped) in [
            (3, 2, vec![0, 1], 0),
            (3, 5, vec![2, 3, 4], 2),
            (0, 2, vec![1], 1),
        ] {
            let mut recent = Recent::new(capacity);
            for value in 0..pushed {
                recent.push(value);
            }
            assert_eq!(recent.iter().copied().collect::<Vec<_>>(), expected);
            assert_eq!(recent.dropped(), dropped);
        }
    }
}
