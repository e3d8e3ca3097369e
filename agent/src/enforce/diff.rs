//! Old and new rules → map updates in an order that no flow can notice.
//!
//! While the steps are taken one by one, every flow is decided either as by the old rules or as
//! by the new ones, never in a third way:
//! - entries are written the most specific first and removed the least specific first, so that
//!   what decides a flow changes exactly once;
//! - a range enters the trie only when it has the entries of the old range around it, and leaves
//!   only when it has those of the new one, so that the change of class decides nothing.
//!
//! (The order among several workloads of one socket is not known here; only flows whose process
//! and cgroup have rules of their own for the same callee can pass through a mixture.)

use std::collections::{BTreeMap, BTreeSet};

use weir_common::{
    flow::Addr,
    policy::{ANY, PolicyKey, PolicyValue, UNRESOLVED, direction, kind, mode},
};

use super::{compiled::CompiledRules, policy::ConnectionRate};

/// One update of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Zero `RULE_COUNTERS` of a slot: another rule takes it.
    ResetCounter {
        /// The slot.
        slot: u32,
    },
    /// Write the rate into `BANDWIDTH`, leaving its flow counts.
    SetBudget {
        /// The slot.
        slot: u32,
        /// Payload bytes per second.
        bytes_per_second: u64,
    },
    /// Zero the rate in `BANDWIDTH`.
    RemoveBudget {
        /// The slot.
        slot: u32,
    },
    /// Write the rate into `LIMITS`.
    SetRate {
        /// The slot.
        slot: u32,
        /// Connections that may begin.
        rate: ConnectionRate,
    },
    /// Zero the rate in `LIMITS`.
    RemoveRate {
        /// The slot.
        slot: u32,
    },
    /// Insert or replace an entry of `POLICY`.
    SetEntry {
        /// Its key.
        key: PolicyKey,
        /// Its value.
        value: PolicyValue,
    },
    /// Delete an entry of `POLICY`.
    RemoveEntry {
        /// Its key.
        key: PolicyKey,
    },
    /// Insert or replace a range of `CIDRS`.
    SetRange {
        /// Prefix length, 0–128.
        prefix: u8,
        /// Network address.
        network: Addr,
        /// Class; 0 = in no rule.
        class: u64,
    },
    /// Delete a range of `CIDRS`.
    RemoveRange {
        /// Prefix length, 0–128.
        prefix: u8,
        /// Network address.
        network: Addr,
    },
}

type Entries = BTreeMap<PolicyKey, PolicyValue>;
type Range = (u8, Addr);

/// The steps from `old` to `new`; empty when they are the same.
pub fn diff(old: &CompiledRules, new: &CompiledRules) -> Vec<Step> {
    let entering = ranges_that_enter(old, new);
    let leaving = ranges_that_enter(new, old);
    let before = with_ranges(old, &entering);
    let after = with_ranges(new, &leaving);

    let mut steps = first_budgets(old, new);
    steps.extend(missing(&old.entries, &before));
    steps.extend(entering.iter().map(|(range, class)| Step::SetRange {
        prefix: range.0,
        network: range.1,
        class: *class,
    }));
    steps.extend(change(&before, &after, &Specificity::new(old, new)));
    steps.extend(leaving.iter().map(|((prefix, network), _)| {
        match new.cidrs.get(&(*prefix, *network)) {
            Some(class) => Step::SetRange {
                prefix: *prefix,
                network: *network,
                class: *class,
            },
            None => Step::RemoveRange {
                prefix: *prefix,
                network: *network,
            },
        }
    }));
    let gone = after.keys().filter(|key| !new.entries.contains_key(key));
    steps.extend(gone.map(|key| Step::RemoveEntry { key: *key }));
    let idle = old
        .budgets
        .keys()
        .filter(|slot| !new.budgets.contains_key(slot));
    steps.extend(idle.map(|slot| Step::RemoveBudget { slot: *slot }));
    let idle = old
        .rates
        .keys()
        .filter(|slot| !new.rates.contains_key(slot));
    steps.extend(idle.map(|slot| Step::RemoveRate { slot: *slot }));
    steps
}

fn first_budgets(old: &CompiledRules, new: &CompiledRules) -> Vec<Step> {
    let mut steps = Vec::new();
    for (name, slot) in &new.slots {
        if old.slots.get(name) != Some(slot) {
            steps.push(Step::ResetCounter { slot: *slot });
        }
    }
    for (slot, rate) in &new.rates {
        if old.rates.get(slot) != Some(rate) {
            steps.push(Step::SetRate {
                slot: *slot,
                rate: *rate,
            });
        }
    }
    for (slot, rate) in &new.budgets {
        if old.budgets.get(slot) != Some(rate) {
            steps.push(Step::SetBudget {
                slot: *slot,
                bytes_per_second: *rate,
            });
        }
    }
    steps
}

/// Ranges with their class that `new` has and `old` has not. A range that turns into one of class
/// 0 does not enter but leave.
fn ranges_that_enter(old: &CompiledRules, new: &CompiledRules) -> BTreeMap<Range, u64> {
    new.cidrs
        .iter()
        .filter(|(range, class)| match old.cidrs.get(range) {
            None => true,
            Some(had) => had != *class && **class != 0,
        })
        .map(|(range, class)| (*range, *class))
        .collect()
}

/// The entries of `rules`, and for each of `ranges` a copy of those of the range around it.
fn with_ranges(rules: &CompiledRules, ranges: &BTreeMap<Range, u64>) -> Entries {
    let mut entries = rules.entries.clone();
    if ranges.is_empty() {
        return entries;
    }
    let mut by_class: BTreeMap<u64, Vec<(PolicyKey, PolicyValue)>> = BTreeMap::new();
    for (key, value) in &rules.entries {
        by_class
            .entry(class_side(key))
            .or_default()
            .push((*key, *value));
    }
    for ((prefix, network), class) in ranges {
        let around = rules.class_around(network, *prefix);
        if around == 0 || *class == 0 {
            continue;
        }
        for (key, value) in by_class.get(&around).into_iter().flatten() {
            let copy = match key.direction {
                direction::OUTBOUND => PolicyKey { to: *class, ..*key },
                _ => PolicyKey {
                    from: *class,
                    ..*key
                },
            };
            entries.entry(copy).or_insert(*value);
        }
    }
    entries
}

/// The side of a key where a class can stand: addresses are callees outbound, callers inbound.
fn class_side(key: &PolicyKey) -> u64 {
    match key.direction {
        direction::OUTBOUND => key.to,
        _ => key.from,
    }
}

fn missing(has: &Entries, wanted: &Entries) -> Vec<Step> {
    wanted
        .iter()
        .filter(|(key, _)| !has.contains_key(key))
        .map(|(key, value)| Step::SetEntry {
            key: *key,
            value: *value,
        })
        .collect()
}

/// From `before` to `after` over ranges that all are in the trie.
fn change(before: &Entries, after: &Entries, specificity: &Specificity) -> Vec<Step> {
    let mut first = Vec::new();
    let mut last = Vec::new();
    for (key, value) in after {
        let set = Step::SetEntry {
            key: *key,
            value: *value,
        };
        match before.get(key) {
            Some(had) if had == value => {}
            // An entry that only audits from now on is, for what is enforced, removed.
            Some(had) if had.mode == mode::ENFORCE && value.mode != mode::ENFORCE => {
                last.push((specificity.of(key), set));
            }
            _ => first.push((specificity.of(key), set)),
        }
    }
    for key in before.keys().filter(|key| !after.contains_key(key)) {
        last.push((specificity.of(key), Step::RemoveEntry { key: *key }));
    }
    first.sort_by_key(|(rank, _)| *rank);
    last.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
    first
        .into_iter()
        .chain(last)
        .map(|(_, step)| step)
        .collect()
}

/// Knows which keys are looked up before which.
struct Specificity {
    classes: BTreeSet<u64>,
    commands: BTreeSet<u64>,
}

impl Specificity {
    fn new(old: &CompiledRules, new: &CompiledRules) -> Self {
        Self {
            classes: old
                .cidrs
                .values()
                .chain(new.cidrs.values())
                .copied()
                .collect(),
            commands: old.commands.union(&new.commands).copied().collect(),
        }
    }

    /// Smaller is looked up earlier.
    fn of(&self, key: &PolicyKey) -> (bool, u8, u8, bool) {
        (
            key.kind == kind::DEFAULT,
            self.party(key.to),
            self.party(key.from),
            key.port == 0,
        )
    }

    fn party(&self, id: u64) -> u8 {
        match id {
            ANY => 3,
            UNRESOLVED => 2,
            id if self.classes.contains(&id) => 2,
            id if self.commands.contains(&id) => 1,
            _ => 0,
        }
    }
}
