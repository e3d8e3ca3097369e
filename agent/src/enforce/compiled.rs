//! What policy compilation hands to the kernel room: plain values.

use std::collections::{BTreeMap, BTreeSet};

use weir_common::{
    flow::Addr,
    policy::{PolicyKey, PolicyValue, Rules},
};

use super::{cidr::Cidr, policy::ConnectionRate};

/// A compiled set of policies, ready for the maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompiledRules {
    /// Entries of `POLICY`.
    pub entries: BTreeMap<PolicyKey, PolicyValue>,
    /// Entries of `CIDRS`: (prefix length 0–128 over the v4-mapped form, network) → class;
    /// class 0 marks a range that is in no rule.
    pub cidrs: BTreeMap<(u8, Addr), u64>,
    /// Payload bytes per second by rule slot (`BANDWIDTH`).
    pub budgets: BTreeMap<u32, u64>,
    /// Connections that may begin, by rule slot (`LIMITS`).
    pub rates: BTreeMap<u32, ConnectionRate>,
    /// Rule slot by rule name: kept across restarts so that counters continue.
    pub slots: BTreeMap<String, u32>,
    /// Those selector keys of `entries` that are commands: less specific than workloads. Not in
    /// any map; a set read back from the kernel may leave it empty.
    pub commands: BTreeSet<u64>,
}

impl CompiledRules {
    /// Class of an address, as the LPM trie finds it: of the longest range that contains it, 0 if
    /// there is none.
    pub fn class_of(&self, addr: &Addr) -> u64 {
        self.class_around(addr, 128)
    }

    /// Class of the longest range of at most `prefix` bits that contains `addr`, 0 if there is
    /// none.
    pub fn class_around(&self, addr: &Addr, prefix: u8) -> u64 {
        (0..=prefix)
            .rev()
            .find_map(|prefix| {
                let range = Cidr::containing(addr, prefix);
                self.cidrs.get(&(prefix, range.network)).copied()
            })
            .unwrap_or(0)
    }

    /// True when a rule may refuse something (`CONTROL.policy_active`).
    pub fn has_access_rules(&self) -> bool {
        use weir_common::policy::kind;
        self.entries.keys().any(|key| key.kind != kind::BANDWIDTH)
    }

    /// True when a rule limits connections (`CONTROL.limits_active`).
    pub fn has_connection_limits(&self) -> bool {
        !self.rates.is_empty()
    }

    /// True when a rule limits bandwidth (`CONTROL.bandwidth_active`).
    pub fn has_bandwidth_rules(&self) -> bool {
        !self.budgets.is_empty()
    }

    /// Name of the rule in a slot.
    pub fn name_of(&self, slot: u32) -> Option<&str> {
        self.slots
            .iter()
            .find(|(_, has)| **has == slot)
            .map(|(name, _)| name.as_str())
    }
}

impl Rules for CompiledRules {
    fn get(&self, key: &PolicyKey) -> Option<PolicyValue> {
        self.entries.get(key).copied()
    }
}
