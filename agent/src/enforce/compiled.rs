//! What policy compilation hands to the kernel room: plain values.

use std::collections::BTreeMap;

use weir_common::{
    flow::Addr,
    policy::{PolicyKey, PolicyValue},
};

/// A compiled set of policies, ready for the maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompiledRules {
    /// Entries of `POLICY`.
    pub entries: BTreeMap<PolicyKey, PolicyValue>,
    /// Entries of `CIDRS`: (prefix length 0–128 over the v4-mapped form, network) → class.
    pub cidrs: BTreeMap<(u8, Addr), u64>,
    /// Payload bytes per second by rule slot (`BANDWIDTH`).
    pub budgets: BTreeMap<u32, u64>,
    /// Rule slot by rule name: kept across restarts so that counters continue.
    pub slots: BTreeMap<String, u32>,
}
