//! Exchanges that one run of a program completes, added up before they are counted.
//!
//! Each addition to the exact lane is atomic, because programs interrupt each other on one CPU, and
//! needs its operation looked up. Pipelines and multiplexed streams complete many equal exchanges in
//! one segment: those are counted at once.

use bytemuck::{Pod, Zeroable};

use crate::{
    counter::{BUCKETS, OpKey, bucket_of},
    framing::{conversation::Finished, window::blank},
};

/// [`Batch::bucket`] of exchanges whose duration is not known.
pub const UNTIMED: u32 = BUCKETS as u32;

/// What a direction of a connection has completed in the segment under the reader and is not counted
/// yet. Only the program that reads this direction touches it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Batch {
    /// The operation.
    pub key: OpKey,
    /// Monotonic time of the segment, ns.
    pub ended_ns: u64,
    /// See [`Sums`].
    pub sums: Sums,
    /// Exchanges.
    pub calls: u32,
    /// Their common bucket of the latency histogram, or [`UNTIMED`].
    pub bucket: u32,
    /// Not 0 if the operation had its name when it was looked up.
    pub named: u64,
}

/// What the exchanges of a batch add up to.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Sums {
    /// Bytes of requests.
    pub request_bytes: u64,
    /// Bytes of responses.
    pub response_bytes: u64,
    /// Sum of durations, ns.
    pub duration_ns: u64,
    /// Sum of known queue times, ns.
    pub queue_ns: u64,
    /// Exchanges whose queue time is known.
    pub queued: u64,
}

impl Batch {
    /// True if exchanges of this kind are added up here: those of the same segment, with the same
    /// key and bucket. If not, what is here must be counted, and [`Self::begin`] comes next.
    #[inline(always)]
    pub fn takes(&self, key: &OpKey, ended_ns: u64, bucket: u32) -> bool {
        let (held, wanted) = (
            bytemuck::cast_ref::<OpKey, [u64; 2]>(&self.key),
            key.words(),
        );
        let of_key = (held[0] ^ wanted[0]) | (held[1] ^ wanted[1]);
        let of_run = (self.ended_ns ^ ended_ns) | (self.bucket ^ bucket) as u64;
        of_key | of_run == 0
    }

    /// Begins with exchanges of a kind.
    #[inline(always)]
    pub fn begin(&mut self, key: &OpKey, ended_ns: u64, bucket: u32) {
        *bytemuck::cast_mut::<OpKey, [u64; 2]>(&mut self.key) = key.words();
        self.ended_ns = ended_ns;
        self.bucket = bucket;
        self.clear();
    }

    /// Adds an exchange.
    #[inline(always)]
    pub fn add(&mut self, finished: &Finished, duration_ns: u64) {
        self.calls += 1;
        let sums = &mut self.sums;
        sums.request_bytes += finished.request_bytes;
        sums.response_bytes += finished.response_bytes;
        sums.duration_ns += duration_ns;
        sums.queue_ns += finished.queue_ns;
        // Without a branch: what is not known adds nothing.
        sums.queued += (finished.queue_ns != 0) as u64;
    }

    /// What is here was counted. More of the same kind may come.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.calls = 0;
        blank(bytemuck::cast_mut::<Sums, [u64; 5]>(&mut self.sums));
    }
}

/// [`Batch::bucket`] of an exchange.
#[inline(always)]
pub fn bucket_for(finished: &Finished, duration_ns: u64) -> u32 {
    if finished.started_ns == 0 {
        UNTIMED
    } else {
        bucket_of(duration_ns) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(op: u64, status: u16) -> OpKey {
        OpKey {
            op,
            edge_id: 7,
            status,
            protocol: 2,
            method: 1,
        }
    }

    fn finished(request_bytes: u64, queue_ns: u64) -> Finished {
        Finished {
            started_ns: 1,
            request_bytes,
            response_bytes: 10,
            queue_ns,
            ..Finished::zeroed()
        }
    }

    #[test]
    fn adds_up_what_is_equal_and_takes_nothing_else() {
        let mut batch = Batch::default();
        assert!(!batch.takes(&key(3, 200), 50, 4));
        batch.begin(&key(3, 200), 50, 4);
        batch.add(&finished(5, 0), 2_000);
        batch.add(&finished(6, 9), 2_100);
        assert!(batch.takes(&key(3, 200), 50, 4));
        for (other, ended_ns, bucket) in [
            (key(4, 200), 50, 4),
            (key(3, 500), 50, 4),
            (
                OpKey {
                    edge_id: 8,
                    ..key(3, 200)
                },
                50,
                4,
            ),
            (
                OpKey {
                    protocol: 3,
                    ..key(3, 200)
                },
                50,
                4,
            ),
            (
                OpKey {
                    method: 2,
                    ..key(3, 200)
                },
                50,
                4,
            ),
            (key(3, 200), 51, 4),
            (key(3, 200), 50, 5),
        ] {
            assert!(!batch.takes(&other, ended_ns, bucket), "{other:?}");
        }
        assert_eq!(batch.calls, 2);
        let sums = Sums {
            request_bytes: 11,
            response_bytes: 20,
            duration_ns: 4_100,
            queue_ns: 9,
            queued: 1,
        };
        assert_eq!(batch.sums, sums);
    }

    #[test]
    fn what_was_counted_is_not_counted_again() {
        let mut batch = Batch::default();
        batch.begin(&key(3, 200), 50, 4);
        batch.add(&finished(5, 3), 2_000);
        batch.clear();
        assert!(batch.takes(&key(3, 200), 50, 4), "more of it may come");
        batch.add(&finished(6, 0), 2_100);
        assert_eq!((batch.calls, batch.sums.request_bytes), (1, 6));
        assert_eq!((batch.sums.queued, batch.sums.queue_ns), (0, 0));
    }

    #[test]
    fn what_has_no_time_has_no_bucket() {
        let untimed = Finished {
            started_ns: 0,
            ..finished(1, 0)
        };
        assert_eq!(bucket_for(&untimed, 0), UNTIMED);
        assert_eq!(bucket_for(&finished(1, 0), 0), 0);
        assert_eq!(bucket_for(&finished(1, 0), u64::MAX), UNTIMED - 1);
    }
}
