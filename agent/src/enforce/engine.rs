//! The loaded set of policies: load, apply, delete, list. All or nothing, no I/O.

use std::collections::{BTreeMap, BTreeSet};

use weir_common::policy::{RuleCounter, direction, kind, transport};

use super::{
    claims::Claims,
    compile::{Compiled, Warning, compile},
    compiled::CompiledRules,
    emit,
    explain::{ExplainError, Host, explain},
    parse::parse,
    policy::{Policy, Spec},
    rate,
};
use crate::{
    control::api::{ExplainQuery, Explanation, PolicyFile, PolicyItem, Refusal},
    observe::model::Workload,
};

/// The policies in force. Every change compiles the whole set first and takes effect only if that
/// succeeds.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    /// Sorted by [`Policy::key`], each key once.
    policies: Vec<Policy>,
    compiled: Compiled,
}

impl PolicySet {
    /// An empty set. `slots` is the slot table of an earlier run, so that its rules keep their
    /// slots and counters; empty if there was none.
    pub fn new(slots: BTreeMap<String, u32>) -> Self {
        let mut set = Self::default();
        set.compiled.rules.slots = slots;
        set
    }

    /// Replaces the whole set by what `files` (a directory) say.
    ///
    /// Returns the keys of the policies; on any refusal the old set stays.
    pub fn load(
        &mut self,
        files: &[PolicyFile],
        workloads: &[Workload],
    ) -> Result<Vec<String>, Vec<Refusal>> {
        let policies = parse_all(files)?;
        let keys = policies.keys().cloned().collect();
        self.take(policies.into_values().collect(), workloads)?;
        Ok(keys)
    }

    /// Adds or replaces the policies of `files`, all or nothing; returns their keys.
    pub fn apply(
        &mut self,
        files: &[PolicyFile],
        workloads: &[Workload],
    ) -> Result<Vec<String>, Vec<Refusal>> {
        let (policies, keys) = self.merged(files)?;
        self.take(policies, workloads)?;
        Ok(keys)
    }

    /// What [`Self::apply`] would answer, with the warnings it would give; changes nothing.
    pub fn check(
        &self,
        files: &[PolicyFile],
        workloads: &[Workload],
    ) -> Result<(Vec<String>, Vec<Warning>), Vec<Refusal>> {
        let (policies, keys) = self.merged(files)?;
        let compiled = compile(&policies, workloads, &self.compiled.rules.slots)?;
        Ok((keys, compiled.warnings))
    }

    /// Removes a policy by its key, or by its name if only one namespace has it; false if there is
    /// none.
    pub fn delete(&mut self, name: &str, workloads: &[Workload]) -> Result<bool, Vec<Refusal>> {
        let exact = self.policies.iter().position(|policy| policy.key() == name);
        let mut by_name = self
            .policies
            .iter()
            .enumerate()
            .filter(|(_, p)| p.name == name);
        let only = match (by_name.next(), by_name.next()) {
            (Some((at, _)), None) => Some(at),
            _ => None,
        };
        let Some(at) = exact.or(only) else {
            return Ok(false);
        };
        let mut policies = self.policies.clone();
        policies.remove(at);
        self.take(policies, workloads)?;
        Ok(true)
    }

    /// Compiles again for other workloads; true if the rules changed.
    pub fn recompile(&mut self, workloads: &[Workload]) -> Result<bool, Vec<Refusal>> {
        // An empty set has nothing to compile, and may still hold the slots for a load to come.
        if self.policies.is_empty() {
            return Ok(false);
        }
        let before = self.compiled.rules.clone();
        self.take(self.policies.clone(), workloads)?;
        Ok(before != self.compiled.rules)
    }

    /// For the maps; compare with what is there by [`super::diff::diff`].
    pub fn rules(&self) -> &CompiledRules {
        &self.compiled.rules
    }

    /// What the operator should know of the set.
    pub fn warnings(&self) -> &[Warning] {
        &self.compiled.warnings
    }

    /// The policies, sorted by key.
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// The set as YAML: `weir policy list -o yaml`, and what a daemon keeps over a restart.
    pub fn yaml(&self) -> String {
        emit::yaml(&self.policies)
    }

    /// Answers `weir policy explain`.
    pub fn explain(
        &self,
        query: &ExplainQuery,
        host: Host<'_>,
    ) -> Result<Explanation, ExplainError> {
        explain(&self.policies, &self.compiled, host, query)
    }

    /// One item per policy, with the counters of its slot.
    pub fn list(&self, counters: &[(u32, RuleCounter)]) -> Vec<PolicyItem> {
        let counters: BTreeMap<u32, &RuleCounter> = counters
            .iter()
            .map(|(slot, counter)| (*slot, counter))
            .collect();
        let hooks = hooks(&self.compiled.claims);
        self.policies
            .iter()
            .enumerate()
            .map(|(index, policy)| {
                let slot = self.compiled.rules.slots.get(&policy.key());
                let counter = slot.and_then(|slot| counters.get(slot).copied());
                let hooks = hooks.get(&index).into_iter().flatten();
                item(
                    policy,
                    hooks.map(|hook| (*hook).to_owned()).collect(),
                    counter.copied().unwrap_or_default(),
                )
            })
            .collect()
    }

    /// The set with `files` merged in, and their keys.
    fn merged(&self, files: &[PolicyFile]) -> Result<(Vec<Policy>, Vec<String>), Vec<Refusal>> {
        let new = parse_all(files)?;
        let keys = new.keys().cloned().collect();
        let mut policies: BTreeMap<String, Policy> = self
            .policies
            .iter()
            .map(|policy| (policy.key(), policy.clone()))
            .collect();
        policies.extend(new);
        Ok((policies.into_values().collect(), keys))
    }

    fn take(&mut self, policies: Vec<Policy>, workloads: &[Workload]) -> Result<(), Vec<Refusal>> {
        self.compiled = compile(&policies, workloads, &self.compiled.rules.slots)?;
        self.policies = policies;
        Ok(())
    }
}

/// Reads every file; refuses all of them if one thing in one of them is wrong.
fn parse_all(files: &[PolicyFile]) -> Result<BTreeMap<String, Policy>, Vec<Refusal>> {
    let mut policies: BTreeMap<String, Policy> = BTreeMap::new();
    let mut refusals = Vec::new();
    for file in files {
        let parsed = match parse(file) {
            Ok(parsed) => parsed,
            Err(mut more) => {
                refusals.append(&mut more);
                continue;
            }
        };
        for policy in parsed {
            match policies.get(&policy.key()) {
                Some(first) => refusals.push(Refusal {
                    file: policy.source.clone(),
                    line: policy.line,
                    reason: format!(
                        "metadata.name: `{}` is already the name of the policy at {}:{}",
                        policy.key(),
                        first.source,
                        first.line
                    ),
                    remedy: "give one of them another name, or remove it".to_owned(),
                }),
                None => {
                    policies.insert(policy.key(), policy);
                }
            }
        }
    }
    if refusals.is_empty() {
        Ok(policies)
    } else {
        Err(refusals)
    }
}

/// Which hooks hold each policy now, by its index.
fn hooks(claims: &Claims) -> BTreeMap<usize, BTreeSet<&'static str>> {
    let mut hooks: BTreeMap<usize, BTreeSet<&'static str>> = BTreeMap::new();
    for (key, claims) in &claims.by_key {
        let names: &[&'static str] = match (key.kind, key.direction, key.transport) {
            (kind::BANDWIDTH, ..) => &["sockops"],
            (_, direction::INBOUND, _) => &["ingress"],
            (_, _, transport::UDP) => &["connect", "sendmsg"],
            _ => &["connect"],
        };
        for claim in claims {
            hooks.entry(claim.policy).or_default().extend(names);
        }
    }
    hooks
}

fn item(policy: &Policy, hooks: Vec<String>, counter: RuleCounter) -> PolicyItem {
    let (action, from, to) = match &policy.spec {
        Spec::Traffic(spec) => {
            let bandwidth = spec.bandwidth.map(rate::words);
            let connections = spec.connections.map(|rate| rate.to_string());
            let limits = bandwidth.into_iter().chain(connections);
            let limits = limits.map(|limit| format!("limit {limit}"));
            let action = spec.action.map(|action| action.word().to_owned());
            let words: Vec<String> = action.into_iter().chain(limits).collect();
            (words.join(", "), spec.from.to_string(), spec.to.to_string())
        }
        Spec::Default(spec) => (
            spec.action.word().to_owned(),
            spec.from.to_string(),
            format!("any ({})", spec.direction.word()),
        ),
    };
    PolicyItem {
        name: policy.key(),
        kind: policy.spec.kind().to_owned(),
        action,
        from,
        to,
        mode: policy.spec.mode().word().to_owned(),
        hooks,
        allowed: counter.allowed,
        denied: counter.denied,
        audited: counter.audited,
        source: Some(policy.source.clone()),
    }
}
