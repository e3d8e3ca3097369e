//! The exact lane: what the programs counted of operations.
//!
//! A new operation goes to `OPS_SPARE` while there is no memory at hand for an entry of `OPS`. Its
//! next exchange is tried in `OPS` again, so one operation may be in both, and they are added up. What
//! is left in `OPS_SPARE` is moved into `OPS` to make room for the next burst.

use std::collections::HashMap;

use aya::maps::{MapData, MapError, PerCpuHashMap, PerCpuValues};
use weir_common::counter::{OpKey, OpValue};

use super::Maps;
use crate::kernel::wire::Wire;

/// `BPF_NOEXIST` of linux/bpf.h.
const ONLY_NEW: u64 = 1;

/// A map of operations: one value per possible CPU.
pub type Table = PerCpuHashMap<MapData, Wire<OpKey>, Wire<OpValue>>;

type Values = PerCpuValues<Wire<OpValue>>;

impl Maps {
    /// The exact lane, all CPUs and both tables added up.
    pub fn operations(&self) -> Vec<(OpKey, OpValue)> {
        let mut whole = Vec::new();
        let mut parts: HashMap<OpKey, OpValue> = HashMap::new();
        for (Wire(key), values) in self.operations.iter().filter_map(Result::ok) {
            let value = sum(&values);
            if key == key.plain() {
                whole.push((key, value));
            } else {
                add(parts.entry(key.plain()).or_default(), &value);
            }
        }
        for (Wire(key), values) in self.spare_operations.iter().filter_map(Result::ok) {
            add(parts.entry(key).or_default(), &sum(&values));
        }
        if parts.is_empty() {
            return whole;
        }
        for (key, value) in &mut whole {
            if let Some(part) = parts.remove(key) {
                add(value, &part);
            }
        }
        whole.extend(parts);
        whole
    }

    /// Moves what is in the spare table into the large one.
    ///
    /// A program looks for an operation there first, so one that has been there since the last call
    /// is not added to in the spare table any more.
    pub fn empty_spare_operations(&mut self) {
        let keys = self.spare_operations.keys().filter_map(Result::ok);
        let keys: Vec<OpKey> = keys.map(|key| key.0).collect();
        let settled = std::mem::take(&mut self.settled);
        for key in keys {
            let stays = if settled.contains(&key) {
                self.move_operation(key).is_err()
            } else {
                self.place_operation(key).is_ok()
            };
            if stays {
                self.settled.insert(key);
            }
        }
    }

    /// Sees to it that an operation is in the large table.
    fn place_operation(&mut self, key: OpKey) -> Result<(), MapError> {
        match self.operations.get(&Wire(key), 0) {
            Err(MapError::KeyNotFound) => self.operations.insert(Wire(key), zeroes()?, ONLY_NEW),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    /// Moves the counters of an operation that no program adds to any more.
    fn move_operation(&mut self, key: OpKey) -> Result<(), MapError> {
        let moved = Wire(key.moved());
        let mut values: Vec<_> = match self.operations.get(&moved, 0) {
            Err(MapError::KeyNotFound) => zeroes()?.to_vec(),
            before => before?.to_vec(),
        };
        let counted = self.spare_operations.get(&Wire(key), 0)?;
        for (total, value) in values.iter_mut().zip(counted.iter()) {
            add(&mut total.0, &value.0);
        }
        self.operations
            .insert(moved, Values::try_from(values)?, 0)?;
        self.spare_operations.remove(&Wire(key))
    }

    /// Removes all operations of an edge.
    pub(super) fn forget_operations(&mut self, edge_id: u32) {
        for table in [&mut self.operations, &mut self.spare_operations] {
            let keys = table.keys().filter_map(Result::ok);
            let keys: Vec<_> = keys.filter(|key| key.0.edge_id == edge_id).collect();
            for key in keys {
                let _ = table.remove(&key);
            }
        }
        // Its number may be another edge's before the next look.
        self.settled.retain(|key| key.edge_id != edge_id);
    }
}

fn zeroes() -> Result<Values, MapError> {
    let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)?;
    Ok(Values::try_from(vec![Wire(OpValue::default()); cpus])?)
}

fn sum(values: &Values) -> OpValue {
    let mut total = OpValue::default();
    for value in values.iter() {
        add(&mut total, &value.0);
    }
    total
}

fn add(total: &mut OpValue, value: &OpValue) {
    total.queued += value.queued;
    total.unqueued += value.unqueued;
    total.untimed += value.untimed;
    total.request_bytes += value.request_bytes;
    total.response_bytes += value.response_bytes;
    total.duration_sum_ns += value.duration_sum_ns;
    total.queue_sum_ns += value.queue_sum_ns;
    total.last_seen_ns = total.last_seen_ns.max(value.last_seen_ns);
    total.named |= value.named;
    for (bucket, count) in total.buckets.iter_mut().zip(value.buckets) {
        *bucket = bucket.wrapping_add(count);
    }
}
