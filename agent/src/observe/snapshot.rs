//! What the kernel room hands over each second: plain values, no aya.

use weir_common::{
    counter::{EdgeStats, Loss, OpKey, OpValue},
    flow::{EdgeKey, EdgeValue},
    policy::RuleCounter,
};

/// The exact lane, read from the maps, per-CPU values added up.
#[derive(Clone, Debug, Default)]
pub struct KernelSnapshot {
    /// Monotonic time of reading, ns.
    pub monotonic_ns: u64,
    /// Unix time of reading, ns.
    pub unix_ns: u64,
    /// Edges with their dense ids.
    pub edges: Vec<(EdgeKey, EdgeValue)>,
    /// Per-edge TCP facts and losses, by edge id.
    pub stats: Vec<(u32, EdgeStats)>,
    /// Operations with counts.
    pub operations: Vec<(OpKey, OpValue)>,
    /// Losses that belong to no edge, by reason.
    pub lost: [u64; Loss::COUNT],
    /// Per rule slot, only slots in use.
    pub rules: Vec<(u32, RuleCounter)>,
    /// Fill of each map: name, entries, capacity.
    pub map_fill: Vec<(String, u64, u64)>,
    /// Per program: name, runs, ns (only while kernel stats are on).
    pub program_stats: Vec<(String, u64, u64)>,
}
