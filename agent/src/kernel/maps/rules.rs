//! Rules in force: their entries, matches, names and budgets.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use aya::{
    maps::{PerCpuValues, lpm_trie::Key},
    util::nr_cpus,
};
use weir_common::{
    limit::{Limit, Rate},
    policy::{PolicyKey, PolicyValue, RuleCounter},
};

use super::{Maps, padded, unpadded};
use crate::kernel::wire::Wire;

/// `BPF_F_LOCK` of linux/bpf.h: with the lock of the value held.
const BPF_F_LOCK: u64 = 4;

impl Maps {
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

    /// Sets how many connections a rule slot lets begin. Under the same rate what was taken out of
    /// it stays taken; another one begins anew.
    pub fn set_rate(&mut self, slot: u32, rate: Rate) -> Result<()> {
        let old = self.limits.get(&slot, BPF_F_LOCK).context("read LIMITS")?.0;
        if (old.rate.interval, old.rate.tolerance) == (rate.interval, rate.tolerance) {
            return Ok(());
        }
        self.limits
            .set(slot, Wire(Limit { rate, ..old }), BPF_F_LOCK)
            .context("write LIMITS")
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
}
