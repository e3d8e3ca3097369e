//! The pinned maps as typed values.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use aya::{
    maps::{
        Array, HashMap, Map, MapData, PerCpuArray, PerCpuHashMap, PerCpuValues,
        lpm_trie::{Key, LpmTrie},
    },
    util::nr_cpus,
};
use weir_common::{
    ABI_VERSION,
    counter::{EdgeStats, Loss, OpKey, OpValue},
    datagram::{ANSWER_WITHIN_NS, MAX_QUERIES, QueryKey, QueryState},
    event::Control,
    flow::{AddressKey, EdgeKey, EdgeValue, MAX_EDGES},
    pacing::Budget,
    policy::{PolicyKey, PolicyValue, RuleCounter},
};

use super::{bpffs::Pins, wire::Wire};

/// Every map of the kernel object, by name; all are pinned.
pub const MAPS: &[&str] = &[
    "CONTROL",
    "EVENTS",
    "LOST",
    "DRAWN",
    "EDGES",
    "EDGE_STATS",
    "OPS",
    "ZERO_STATS",
    "ZERO_OP",
    "PAIRS",
    "CALLS",
    "QUERIES",
    "ZERO_QUERY",
    "QUERY_ALIASES",
    "QUERY_PAIRS",
    "TOLD_ANSWERS",
    "READERS",
    "PORTS",
    "PROCESSES",
    "CGROUPS",
    "ADDRESSES",
    "CIDRS",
    "POLICY",
    "RULE_COUNTERS",
    "BANDWIDTH",
    "WORKLOADS",
    "RULE_NAMES",
    "OWNERS",
    "CONNECTIONS",
];

type Plain<K, V> = HashMap<MapData, Wire<K>, Wire<V>>;

/// Handles of the pinned maps. All methods are system calls.
pub struct Maps {
    control: Array<MapData, Wire<Control>>,
    lost: PerCpuArray<MapData, u64>,
    edges: Plain<EdgeKey, EdgeValue>,
    stats: HashMap<MapData, u32, Wire<EdgeStats>>,
    operations: PerCpuHashMap<MapData, Wire<OpKey>, Wire<OpValue>>,
    queries: Plain<QueryKey, QueryState>,
    ports: HashMap<MapData, u16, u8>,
    processes: HashMap<MapData, u32, u64>,
    cgroups: HashMap<MapData, u64, u64>,
    addresses: HashMap<MapData, Wire<AddressKey>, u64>,
    cidrs: LpmTrie<MapData, [u8; 16], u64>,
    policy: Plain<PolicyKey, PolicyValue>,
    rule_counters: PerCpuArray<MapData, Wire<RuleCounter>>,
    bandwidth: Array<MapData, Wire<Budget>>,
    workloads: HashMap<MapData, u64, [u8; 512]>,
    rule_names: HashMap<MapData, u32, [u8; 256]>,
    /// Socket storage of owners.
    pub(super) owners: MapData,
    /// Socket storage of connections.
    pub(super) connections: MapData,
    object_hash: u64,
}

fn data(pins: &Pins, name: &str) -> Result<MapData> {
    let path = pins.map(name);
    MapData::from_pin(&path).with_context(|| {
        format!(
            "open {}: run `weir off` and start again if pins are damaged",
            path.display()
        )
    })
}

macro_rules! open {
    ($pins:expr, $name:literal, $kind:ident) => {
        Map::$kind(data($pins, $name)?)
            .try_into()
            .with_context(|| format!("map {}", $name))?
    };
}

impl Maps {
    /// Opens the maps that are pinned.
    pub fn open(pins: &Pins) -> Result<Self> {
        Ok(Self {
            control: open!(pins, "CONTROL", Array),
            lost: open!(pins, "LOST", PerCpuArray),
            edges: open!(pins, "EDGES", HashMap),
            stats: open!(pins, "EDGE_STATS", HashMap),
            operations: open!(pins, "OPS", PerCpuHashMap),
            queries: open!(pins, "QUERIES", HashMap),
            ports: open!(pins, "PORTS", HashMap),
            processes: open!(pins, "PROCESSES", LruHashMap),
            cgroups: open!(pins, "CGROUPS", HashMap),
            addresses: open!(pins, "ADDRESSES", HashMap),
            cidrs: open!(pins, "CIDRS", LpmTrie),
            policy: open!(pins, "POLICY", HashMap),
            rule_counters: open!(pins, "RULE_COUNTERS", PerCpuArray),
            bandwidth: open!(pins, "BANDWIDTH", Array),
            workloads: open!(pins, "WORKLOADS", HashMap),
            rule_names: open!(pins, "RULE_NAMES", HashMap),
            owners: data(pins, "OWNERS")?,
            connections: data(pins, "CONNECTIONS")?,
            object_hash: 0,
        }
        .with_hash())
    }

    fn with_hash(mut self) -> Self {
        self.object_hash = self.control().map_or(0, |control| control.object_hash);
        self
    }

    /// What steers the programs now.
    pub fn control(&self) -> Result<Control> {
        Ok(self.control.get(&0, 0).context("read CONTROL")?.0)
    }

    /// Steers the programs. Version and object are kept as they are.
    pub fn set_control(&mut self, control: &Control) -> Result<()> {
        let control = Control {
            abi_version: ABI_VERSION,
            object_hash: self.object_hash,
            ..*control
        };
        self.control
            .set(0, Wire(control), 0)
            .context("write CONTROL")
    }

    /// Notes which object's programs are attached.
    pub(super) fn stamp(&mut self, object_hash: u64) -> Result<()> {
        let mut control = self.control()?;
        if control.abi_version == 0 {
            control = Control::initial();
        }
        self.object_hash = object_hash;
        self.set_control(&control)
    }

    /// Edges with what was first seen of them.
    pub fn edges(&self) -> Vec<(EdgeKey, EdgeValue)> {
        self.edges
            .iter()
            .filter_map(Result::ok)
            .map(|(key, value)| (key.0, value.0))
            .collect()
    }

    /// Totals by edge id.
    pub fn stats(&self) -> Vec<(u32, EdgeStats)> {
        self.stats
            .iter()
            .filter_map(Result::ok)
            .map(|(id, value)| (id, value.0))
            .collect()
    }

    /// The exact lane, all CPUs added up.
    pub fn operations(&self) -> Vec<(OpKey, OpValue)> {
        self.operations
            .iter()
            .filter_map(Result::ok)
            .map(|(key, values)| (key.0, sum(values.iter().map(|value| &value.0))))
            .collect()
    }

    /// Queries in datagrams whose answer is overdue.
    pub fn overdue_queries(&self, now_ns: u64) -> Vec<QueryKey> {
        self.queries
            .iter()
            .filter_map(Result::ok)
            .filter(|(_, state)| {
                now_ns.saturating_sub(state.0.finished.started_ns) > ANSWER_WITHIN_NS
            })
            .map(|(key, _)| key.0)
            .collect()
    }

    /// Losses that belong to no edge.
    pub fn lost(&self) -> [u64; Loss::COUNT] {
        std::array::from_fn(|reason| {
            self.lost
                .get(&(reason as u32), 0)
                .map_or(0, |values| values.iter().sum())
        })
    }

    /// Matches of one rule, all CPUs added up.
    pub fn rule(&self, slot: u32) -> Result<RuleCounter> {
        let values = self
            .rule_counters
            .get(&slot, 0)
            .context("read RULE_COUNTERS")?;
        Ok(values
            .iter()
            .fold(RuleCounter::default(), |total, value| RuleCounter {
                allowed: total.allowed + value.0.allowed,
                denied: total.denied + value.0.denied,
                audited: total.audited + value.0.audited,
                last_ns: total.last_ns.max(value.0.last_ns),
            }))
    }

    /// Clears the matches of a rule slot before another rule takes it.
    pub fn clear_rule(&mut self, slot: u32) -> Result<()> {
        let cpus = nr_cpus().map_err(|(path, error)| anyhow::anyhow!("{path}: {error}"))?;
        let zero = PerCpuValues::try_from(vec![Wire(RuleCounter::default()); cpus])?;
        self.rule_counters
            .set(slot, zero, 0)
            .context("write RULE_COUNTERS")
    }

    /// Names a process.
    pub fn set_process(&mut self, tgid: u32, workload: u64) -> Result<()> {
        self.processes
            .insert(tgid, workload, 0)
            .context("write PROCESSES")
    }

    /// Forgets a process.
    pub fn remove_process(&mut self, tgid: u32) {
        // It may be gone already: the exit hook removes it too.
        let _ = self.processes.remove(&tgid);
    }

    /// Names a cgroup.
    pub fn set_cgroup(&mut self, cgroup_id: u64, workload: u64) -> Result<()> {
        self.cgroups
            .insert(cgroup_id, workload, 0)
            .context("write CGROUPS")
    }

    /// Makes the protocols that are given by server port exactly these.
    pub(super) fn set_ports(&mut self, wanted: &BTreeMap<u16, u8>) -> Result<()> {
        let there: Vec<u16> = self.ports.keys().filter_map(Result::ok).collect();
        for port in there.iter().filter(|port| !wanted.contains_key(port)) {
            self.ports.remove(port).context("clear PORTS")?;
        }
        for (port, protocol) in wanted {
            self.ports
                .insert(port, protocol, 0)
                .context("write PORTS")?;
        }
        Ok(())
    }

    /// The protocol that is given for a server port.
    pub(super) fn given_protocol(&self, port: u16) -> Option<u8> {
        self.ports.get(&port, 0).ok()
    }

    /// Makes the listening addresses exactly `wanted`.
    pub fn set_addresses(&mut self, wanted: &[(AddressKey, u64)]) -> Result<()> {
        let wanted: BTreeMap<AddressKey, u64> = wanted.iter().copied().collect();
        let there: BTreeMap<AddressKey, u64> = self
            .addresses
            .iter()
            .filter_map(Result::ok)
            .map(|(key, id)| (key.0, id))
            .collect();
        for (key, workload) in wanted.iter().filter(|(key, id)| there.get(key) != Some(id)) {
            self.addresses
                .insert(Wire(*key), workload, 0)
                .context("write ADDRESSES")?;
        }
        for key in there.keys().filter(|key| !wanted.contains_key(key)) {
            let _ = self.addresses.remove(&Wire(*key));
        }
        Ok(())
    }

    /// Makes the CIDR classes and rules exactly those given: what is new or changed is written
    /// before what is gone is removed, so that no flow finds a laxer set in between.
    pub fn set_rules(
        &mut self,
        cidrs: &BTreeMap<(u8, [u8; 16]), u64>,
        entries: &BTreeMap<PolicyKey, PolicyValue>,
    ) -> Result<()> {
        let old_cidrs: BTreeMap<(u8, [u8; 16]), u64> = self
            .cidrs
            .iter()
            .filter_map(Result::ok)
            .map(|(key, class)| ((key.prefix_len() as u8, key.data()), class))
            .collect();
        let old: BTreeMap<PolicyKey, PolicyValue> = self
            .policy
            .iter()
            .filter_map(Result::ok)
            .map(|(key, value)| (key.0, value.0))
            .collect();
        for (key, value) in entries
            .iter()
            .filter(|(key, value)| old.get(key) != Some(value))
        {
            self.policy
                .insert(Wire(*key), Wire(*value), 0)
                .context("write POLICY")?;
        }
        for ((len, addr), class) in cidrs
            .iter()
            .filter(|(key, id)| old_cidrs.get(key) != Some(id))
        {
            self.cidrs
                .insert(&Key::new(u32::from(*len), *addr), class, 0)
                .context("write CIDRS")?;
        }
        for key in old.keys().filter(|key| !entries.contains_key(key)) {
            let _ = self.policy.remove(&Wire(*key));
        }
        for (len, addr) in old_cidrs.keys().filter(|key| !cidrs.contains_key(key)) {
            let _ = self.cidrs.remove(&Key::new(u32::from(*len), *addr));
        }
        Ok(())
    }

    /// Sets the budget of a rule slot, payload bytes per second; its flows stay counted.
    pub fn set_budget(&mut self, slot: u32, rate_bytes_per_second: u64) -> Result<()> {
        let mut budget = self.bandwidth.get(&slot, 0).context("read BANDWIDTH")?.0;
        if budget.rate_bytes_per_second == rate_bytes_per_second {
            return Ok(());
        }
        budget.rate_bytes_per_second = rate_bytes_per_second;
        self.bandwidth
            .set(slot, Wire(budget), 0)
            .context("write BANDWIDTH")
    }

    /// Lifts every bandwidth limit; true if connections were under one.
    pub fn lift_budgets(&mut self) -> Result<bool> {
        let mut paced = false;
        for slot in 0..self.bandwidth.len() {
            let budget = self.bandwidth.get(&slot, 0).context("read BANDWIDTH")?.0;
            if budget.rate_bytes_per_second != 0 {
                paced |= budget.flows != [0; 2];
                self.set_budget(slot, 0)?;
            }
        }
        Ok(paced)
    }

    /// Remembers what a workload id stands for, beyond this process (JSON, up to 512 bytes).
    pub fn remember_workload(&mut self, id: u64, json: &str) -> Result<()> {
        self.workloads
            .insert(id, padded::<512>(json), 0)
            .context("write WORKLOADS")
    }

    /// What was remembered.
    pub fn workloads(&self) -> Vec<(u64, String)> {
        self.workloads
            .iter()
            .filter_map(Result::ok)
            .map(|(id, text)| (id, unpadded(&text)))
            .collect()
    }

    /// Remembers which rule has which slot, beyond this process.
    pub fn set_rule_names(&mut self, slots: &BTreeMap<String, u32>) -> Result<()> {
        let old: BTreeMap<u32, String> =
            self.rule_names().into_iter().map(|(n, s)| (s, n)).collect();
        for (name, slot) in slots {
            if old.get(slot) == Some(name) {
                continue;
            }
            self.clear_rule(*slot)?;
            self.rule_names
                .insert(slot, padded::<256>(name), 0)
                .context("write RULE_NAMES")?;
        }
        let used: Vec<u32> = slots.values().copied().collect();
        for slot in old.keys().filter(|slot| !used.contains(slot)) {
            let _ = self.rule_names.remove(slot);
        }
        Ok(())
    }

    /// Slot by rule name, as remembered.
    pub fn rule_names(&self) -> BTreeMap<String, u32> {
        self.rule_names
            .iter()
            .filter_map(Result::ok)
            .map(|(slot, text)| (unpadded(&text), slot))
            .collect()
    }

    /// Removes an edge without live connections, and all that was counted for it.
    pub fn forget_edge(&mut self, key: &EdgeKey) {
        let Ok(value) = self.edges.get(&Wire(*key), 0) else {
            return;
        };
        let id = value.0.id;
        let _ = self.edges.remove(&Wire(*key));
        let _ = self.stats.remove(&id);
        let operations: Vec<_> = self
            .operations
            .keys()
            .filter_map(Result::ok)
            .filter(|key| key.0.edge_id == id)
            .collect();
        for key in operations {
            let _ = self.operations.remove(&key);
        }
    }

    /// Forgets a cgroup.
    pub fn remove_cgroup(&mut self, cgroup_id: u64) {
        let _ = self.cgroups.remove(&cgroup_id);
    }

    /// Inserts or replaces a rule entry.
    pub fn set_entry(&mut self, key: &PolicyKey, value: &PolicyValue) -> Result<()> {
        self.policy
            .insert(Wire(*key), Wire(*value), 0)
            .context("write POLICY")
    }

    /// Deletes a rule entry.
    pub fn remove_entry(&mut self, key: &PolicyKey) -> Result<()> {
        self.policy.remove(&Wire(*key)).context("write POLICY")
    }

    /// Inserts or replaces a CIDR range.
    pub fn set_range(&mut self, prefix: u8, network: &[u8; 16], class: u64) -> Result<()> {
        self.cidrs
            .insert(&Key::new(u32::from(prefix), *network), class, 0)
            .context("write CIDRS")
    }

    /// Deletes a CIDR range.
    pub fn remove_range(&mut self, prefix: u8, network: &[u8; 16]) -> Result<()> {
        self.cidrs
            .remove(&Key::new(u32::from(prefix), *network))
            .context("write CIDRS")
    }

    /// Fill of the maps that can run full: name, entries, capacity.
    pub fn fill(&self, edges: u64, operations: u64) -> Vec<(String, u64, u64)> {
        let count = |entries: usize| entries as u64;
        vec![
            ("EDGES".into(), edges, u64::from(MAX_EDGES)),
            ("OPS".into(), operations, 65_536),
            (
                "ADDRESSES".into(),
                count(self.addresses.keys().count()),
                65_536,
            ),
            ("CGROUPS".into(), count(self.cgroups.keys().count()), 16_384),
            (
                "QUERIES".into(),
                count(self.queries.keys().count()),
                u64::from(MAX_QUERIES),
            ),
        ]
    }
}

fn sum<'a>(values: impl Iterator<Item = &'a OpValue>) -> OpValue {
    values.fold(OpValue::default(), |mut total, value| {
        total.calls += value.calls;
        total.untimed += value.untimed;
        total.request_bytes += value.request_bytes;
        total.response_bytes += value.response_bytes;
        total.duration_sum_ns += value.duration_sum_ns;
        total.queued += value.queued;
        total.queue_sum_ns += value.queue_sum_ns;
        total.last_seen_ns = total.last_seen_ns.max(value.last_seen_ns);
        total.named |= value.named;
        for (bucket, count) in total.buckets.iter_mut().zip(value.buckets) {
            *bucket = bucket.wrapping_add(count);
        }
        total
    })
}

fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let len = text.len().min(N);
    bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
    bytes
}

fn unpadded(bytes: &[u8]) -> String {
    let len = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}
