//! The compiled rules decide as a naive reading of the rules does: thousands of random sets.
//!
//! The reference knows no keys, classes or maps: it asks every rule whether it matches, tier by
//! tier, once for the rules in force and once as if the audited ones were too.

use std::net::IpAddr;

use weir_common::policy::{Decision, Flow, Limits, admit, decide, find, kind, reason, verdict};

use super::{
    super::{compile::compile, compiled::CompiledRules, parse::parse},
    file,
    world::{Caller, Random, Rule, Scene, Who, rules, scene, workloads},
};
use crate::observe::model::{Workload, WorkloadKind};

/// What a side of a flow is called at one tier.
#[derive(Clone, Copy)]
enum Tier {
    Workload(u64),
    Command(&'static str),
    Address(&'static str),
    Unnamed,
    Anybody,
}

struct Reference<'a> {
    rules: Vec<&'a Rule>,
    workloads: &'a [Workload],
}

impl Reference<'_> {
    /// Verdict and the name of the rule that decides.
    fn decide(&self, scene: &Scene) -> (u8, Option<&str>) {
        let enforced = self.strongest(scene, |rule| !rule.audit);
        let expected = self.strongest(scene, |_| true);
        match (enforced, expected) {
            (Some((rule, true)), _) => (verdict::DENY, Some(&rule.name)),
            (_, Some((rule, true))) => (verdict::AUDIT_DENY, Some(&rule.name)),
            (Some((rule, _)), _) | (None, Some((rule, _))) => (verdict::ALLOW, Some(&rule.name)),
            (None, None) => (verdict::ALLOW, None),
        }
    }

    /// The rule that decides among those that `counts`, and whether it denies.
    fn strongest(&self, scene: &Scene, counts: impl Fn(&Rule) -> bool) -> Option<(&Rule, bool)> {
        for (from, to, exact) in tiers(scene) {
            let matching = self
                .rules
                .iter()
                .filter(|rule| !rule.default && counts(rule));
            let best = matching
                .filter_map(|rule| {
                    let denies = self.denies(rule, scene, from)?;
                    let prefix = self.matches(rule, scene, from, to, exact)?;
                    Some((rule, denies, prefix))
                })
                .min_by_key(|(rule, denies, prefix)| {
                    (u8::MAX - prefix, !denies, rule.audit, rule.name.as_str())
                });
            if let Some((rule, denies, _)) = best {
                return Some((*rule, denies));
            }
        }
        self.strongest_default(scene, counts)
    }

    fn strongest_default(
        &self,
        scene: &Scene,
        counts: impl Fn(&Rule) -> bool,
    ) -> Option<(&Rule, bool)> {
        let inbound = matches!(scene.caller, Caller::Remote(_));
        let applies = |rule: &&&Rule| {
            rule.default && counts(rule) && if inbound { rule.inbound } else { rule.outbound }
        };
        let loopback: IpAddr = scene.callee_address.parse().expect("an address");
        let lookup = !inbound && scene.port == 53 && loopback.is_loopback();
        for spared in [true, false] {
            if spared && !lookup {
                continue;
            }
            for from in callers(scene) {
                let best = self
                    .rules
                    .iter()
                    .filter(applies)
                    .filter(|rule| !spared || rule.deny == Some(true))
                    .filter_map(|rule| Some((rule, self.calls(rule, from)?)))
                    .min_by_key(|(rule, prefix)| {
                        let denies = rule.deny == Some(true);
                        (u8::MAX - prefix, !denies, rule.audit, rule.name.as_str())
                    });
                if let Some((rule, _)) = best {
                    return Some((*rule, rule.deny == Some(true) && !spared));
                }
            }
        }
        None
    }

    /// Name and rate of the limit that holds.
    fn limit(&self, scene: &Scene) -> Option<(&str, u64)> {
        for (from, to, exact) in tiers(scene) {
            let best = self
                .rules
                .iter()
                .filter(|rule| !matches!((from, rule.closed), (Tier::Unnamed, Some(false))))
                .filter_map(|rule| {
                    let rate = rule.megabits?;
                    let prefix = self.matches(rule, scene, from, to, exact)?;
                    Some((u8::MAX - prefix, rate, rule.name.as_str()))
                })
                .min();
            if let Some((_, rate, name)) = best {
                return Some((name, rate * 125_000));
            }
        }
        None
    }

    /// Whether the rule denies a caller of this tier; `None` if it says nothing of it.
    fn denies(&self, rule: &Rule, _scene: &Scene, from: Tier) -> Option<bool> {
        let deny = rule.deny?;
        match (from, rule.closed) {
            (Tier::Unnamed, Some(true)) => Some(true),
            (Tier::Unnamed, Some(false)) => (!deny).then_some(false),
            (Tier::Unnamed, None) => None,
            _ => Some(deny),
        }
    }

    /// Prefix length of the range that matches (0 if none is named); `None` if the rule does not
    /// match at this tier.
    fn matches(&self, rule: &Rule, scene: &Scene, from: Tier, to: Tier, exact: bool) -> Option<u8> {
        let inbound = matches!(scene.caller, Caller::Remote(_));
        if rule.default
            || rule
                .transport
                .is_some_and(|wanted| wanted != scene.transport)
        {
            return None;
        }
        let port = if exact {
            rule.ports.contains(&scene.port)
        } else {
            rule.ports.is_empty()
        };
        let caller = self.calls(rule, from)?;
        let callee = match (to, &rule.to) {
            (Tier::Anybody, Who::Any) => 0,
            (Tier::Workload(id), Who::Fields(fields)) if self.has(id, fields) => 0,
            (Tier::Address(address), Who::Ranges(ranges)) if !inbound => longest(ranges, address)?,
            _ => return None,
        };
        port.then_some(caller.max(callee))
    }

    /// As [`Self::matches`], for the caller's side alone.
    fn calls(&self, rule: &Rule, from: Tier) -> Option<u8> {
        match (from, &rule.from) {
            (Tier::Anybody, Who::Any) => Some(0),
            (Tier::Workload(id), Who::Fields(fields)) => self.has(id, fields).then_some(0),
            (Tier::Command(command), Who::Fields(fields)) => {
                self.runs_as(command, fields).then_some(0)
            }
            (Tier::Unnamed, Who::Fields(_)) => rule.closed.map(|_| 0),
            (Tier::Address(address), Who::Ranges(ranges)) => longest(ranges, address),
            _ => None,
        }
    }

    fn has(&self, id: u64, fields: &[(&str, &str)]) -> bool {
        let workload = self
            .workloads
            .iter()
            .find(|w| w.id == id)
            .expect("a workload");
        workload.kind != WorkloadKind::Remote
            && fields.iter().all(|(name, value)| {
                let field = match *name {
                    "service" => Some(&workload.service),
                    "namespace" => workload.namespace.as_ref(),
                    "unit" => workload.unit.as_ref(),
                    "pod" => workload.pod.as_ref(),
                    "process" => workload.process.as_ref(),
                    _ => {
                        return workload
                            .container
                            .as_ref()
                            .is_some_and(|c| c.starts_with(value));
                    }
                };
                field.is_some_and(|field| field == value)
            })
    }

    /// A command names a rule's caller when the rule names nothing else, and, for services, when
    /// the command is no other service's.
    fn runs_as(&self, command: &str, fields: &[(&str, &str)]) -> bool {
        match fields {
            [("process", name)] => *name == command,
            [("service", name)] => {
                let others = |w: &&Workload| w.service != *name;
                let taken = self
                    .workloads
                    .iter()
                    .filter(others)
                    .any(|w| w.process.as_deref() == Some(*name));
                *name == command && !taken
            }
            _ => false,
        }
    }
}

/// All combinations in the order of precedence: callee, then caller, then port.
fn tiers(scene: &Scene) -> Vec<(Tier, Tier, bool)> {
    let mut callees: Vec<Tier> = [scene.callee_process, scene.callee_cgroup]
        .into_iter()
        .flatten()
        .map(Tier::Workload)
        .collect();
    callees.push(Tier::Address(scene.callee_address));
    callees.push(Tier::Anybody);
    let mut tiers = Vec::new();
    for to in callees {
        for from in callers(scene) {
            tiers.push((from, to, true));
            tiers.push((from, to, false));
        }
    }
    tiers
}

fn callers(scene: &Scene) -> Vec<Tier> {
    match scene.caller {
        Caller::Remote(address) => vec![Tier::Address(address), Tier::Anybody],
        Caller::Local {
            process: None,
            cgroup: None,
            command,
        } => vec![Tier::Command(command), Tier::Unnamed, Tier::Anybody],
        Caller::Local {
            process,
            cgroup,
            command,
        } => {
            let named = [process, cgroup].into_iter().flatten().map(Tier::Workload);
            named
                .chain([Tier::Command(command), Tier::Anybody])
                .collect()
        }
    }
}

/// Length of the longest range that holds the address, counted over 128 bits.
fn longest(ranges: &[&str], address: &str) -> Option<u8> {
    // The bits from the left, and how many there are.
    let bits = |ip: IpAddr| -> (u128, u32) {
        match ip {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 32),
            IpAddr::V6(v6) => (u128::from(v6), 128),
        }
    };
    let (address, width) = bits(address.parse().expect("an address"));
    ranges
        .iter()
        .filter_map(|range| {
            let (network, length) = range.split_once('/').expect("a range");
            let (network, network_width) = bits(network.parse().expect("an address"));
            let length: u32 = length.parse().expect("a number");
            let differing = (network ^ address).checked_shr(128 - length).unwrap_or(0);
            (width == network_width && differing == 0).then_some((length + 128 - width) as u8)
        })
        .max()
}

/// A limit that has nothing left, or has.
struct Left(bool);

impl Limits for Left {
    fn admits(&self, _: u32) -> bool {
        self.0
    }
}

/// What is let through is refused by its limit, and only by that, when nothing is left of it.
fn check_admission(
    flow: &Flow,
    decision: Decision,
    compiled: &CompiledRules,
    limiting: Option<u32>,
) {
    let refused = admit(flow, decision, compiled, &Left(false));
    let admitted = admit(flow, decision, compiled, &Left(true));
    let Some(slot) = limiting.filter(|_| decision.verdict != verdict::DENY) else {
        assert_eq!((refused, admitted), (decision, decision));
        return;
    };
    let told = (refused.verdict, refused.reason, refused.rule);
    assert_eq!(told, (verdict::DENY, reason::LIMIT, slot));
    assert_eq!(
        (admitted.verdict, admitted.rule),
        (decision.verdict, decision.rule)
    );
    let counted = [admitted.rule, admitted.in_force].contains(&slot);
    assert!(counted || decision.verdict != verdict::ALLOW);
}

#[test]
fn random_sets_decide_as_the_reference_does() {
    let mut random = Random(2);
    let workloads = workloads();
    let mut seen = [0u32; 3];
    for round in 0..3_000 {
        let rules = rules(&mut random, 12);
        let text: Vec<String> = rules.iter().map(Rule::yaml).collect();
        let text = text.join("---\n");
        let mut policies = parse(&file(&text)).unwrap_or_else(|e| panic!("{e:#?}\n{text}"));
        policies.sort_by_key(|policy| policy.key());
        let compiled = compile(&policies, &workloads, &Default::default())
            .expect("compiles")
            .rules;
        let reference = Reference {
            rules: rules.iter().collect(),
            workloads: &workloads,
        };
        for _ in 0..25 {
            let scene = scene(&mut random);
            let flow = scene.flow(&compiled);
            let decision = decide(&flow, &compiled);
            let found = (decision.verdict, compiled.name_of(decision.rule));
            assert_eq!(
                found,
                reference.decide(&scene),
                "round {round}: {scene:?}\n{text}"
            );
            seen[usize::from(decision.verdict)] += 1;
            if scene.transport == weir_common::policy::transport::TCP {
                let limit = find(&flow, kind::BANDWIDTH, &compiled).and_then(|value| {
                    Some((
                        compiled.name_of(value.rule)?,
                        *compiled.budgets.get(&value.rule)?,
                    ))
                });
                let expected = reference.limit(&scene);
                assert_eq!(limit, expected, "round {round}: {scene:?}\n{text}");
                let limiting = expected.map(|(name, _)| compiled.slots[name]);
                check_admission(&flow, decision, &compiled, limiting);
            }
        }
    }
    assert!(
        seen.iter().all(|count| *count > 5_000),
        "one-sided cases: {seen:?}"
    );
}
