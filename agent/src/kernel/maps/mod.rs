//! The pinned maps as typed values.
//!
//! # Layout
//! - this file: which maps there are, and what steers the programs
//! - `names`: who is who
//! - `counts`: what the programs counted on edges, and lost
//! - `operations`: what they counted of operations
//! - `rules`: what they enforce

mod counts;
mod names;
mod operations;
mod rules;

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use aya::maps::{Array, HashMap, Map, MapData, PerCpuArray, lpm_trie::LpmTrie};
use weir_common::{
    ABI_VERSION,
    counter::{EdgeStats, OpKey},
    datagram::{QueryKey, QueryState},
    event::Control,
    flow::{AddressKey, EdgeKey, EdgeValue},
    limit::Limit,
    pacing::Budget,
    policy::{PolicyKey, PolicyValue, RuleCounter},
};

use self::operations::Table;
use super::{bpffs::Pins, wire::Wire};

/// Every map of the kernel object, by name; all are pinned.
pub const MAPS: &[&str] = &[
    "CONTROL",
    "EVENTS",
    "LOST",
    "DRAWN",
    "READS",
    "PASSED",
    "EDGES",
    "EDGE_STATS",
    "OPS",
    "OPS_SPARE",
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
    "LIMITS",
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
    operations: Table,
    spare_operations: Table,
    /// Operations in the spare table that were in the large one as well when it was looked at.
    settled: HashSet<OpKey>,
    queries: Plain<QueryKey, QueryState>,
    ports: HashMap<MapData, u16, u8>,
    processes: HashMap<MapData, u32, u64>,
    cgroups: HashMap<MapData, u64, u64>,
    addresses: HashMap<MapData, Wire<AddressKey>, u64>,
    cidrs: LpmTrie<MapData, [u8; 16], u64>,
    policy: Plain<PolicyKey, PolicyValue>,
    rule_counters: PerCpuArray<MapData, Wire<RuleCounter>>,
    bandwidth: Array<MapData, Wire<Budget>>,
    limits: Array<MapData, Wire<Limit>>,
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
            spare_operations: open!(pins, "OPS_SPARE", PerCpuHashMap),
            settled: HashSet::new(),
            queries: open!(pins, "QUERIES", HashMap),
            ports: open!(pins, "PORTS", HashMap),
            processes: open!(pins, "PROCESSES", LruHashMap),
            cgroups: open!(pins, "CGROUPS", HashMap),
            addresses: open!(pins, "ADDRESSES", HashMap),
            cidrs: open!(pins, "CIDRS", LpmTrie),
            policy: open!(pins, "POLICY", HashMap),
            rule_counters: open!(pins, "RULE_COUNTERS", PerCpuArray),
            bandwidth: open!(pins, "BANDWIDTH", Array),
            limits: open!(pins, "LIMITS", Array),
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
}

/// The text in a value of N bytes, cut off if it is longer, and zeros.
fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let len = text.len().min(N);
    bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
    bytes
}

/// The text before the first zero.
fn unpadded(bytes: &[u8]) -> String {
    let len = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}
