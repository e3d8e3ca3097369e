//! Policies + the workloads of now → [`CompiledRules`].

use std::collections::{BTreeMap, BTreeSet};

use weir_common::{
    flow::v4_mapped,
    policy::{MAX_CIDRS, MAX_ENTRIES, MAX_RULES, PolicyKey, PolicyValue, kind, mode, verdict},
};

use super::{
    cidr::{Cidr, MAPPED_PREFIX},
    claims::{self, Claim, Claims},
    compiled::CompiledRules,
    policy::{Action, Mode, Policy, Selector, Spec, TrafficSpec},
    resolve::{command_key, workload_ids},
};
use crate::{control::api::Refusal, observe::model::Workload};

/// What compilation gives.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    /// For the maps.
    pub rules: CompiledRules,
    /// Who asked what of each key, for `explain`.
    pub claims: Claims,
    /// What the operator should know.
    pub warnings: Vec<Warning>,
}

/// Something that holds as written but may not be what was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// File of the policy.
    pub file: String,
    /// Line of its name.
    pub line: u32,
    /// [`Policy::key`].
    pub policy: String,
    /// What, and what to do.
    pub text: String,
}

/// Compiles a whole set. `policies` are sorted by [`Policy::key`], each key once; `previous` is
/// the slot table of the set that this one replaces (empty at first).
///
/// Refuses a set that does not fit the maps.
pub fn compile(
    policies: &[Policy],
    workloads: &[Workload],
    previous: &BTreeMap<String, u32>,
) -> Result<Compiled, Vec<Refusal>> {
    let slots = assign_slots(policies, previous)?;
    let by_policy: Vec<u32> = policies.iter().map(|policy| slots[&policy.key()]).collect();
    let claims = claims::collect(policies, &by_policy, workloads);
    refuse_what_does_not_fit(policies, &claims)?;
    let rules = CompiledRules {
        entries: claims
            .by_key
            .iter()
            .filter_map(|(key, claims)| Some((*key, settle(key, claims)?)))
            .collect(),
        cidrs: trie(&claims.cidrs),
        budgets: limits(policies, &by_policy, |spec| spec.bandwidth),
        rates: limits(policies, &by_policy, |spec| spec.connections),
        slots,
        commands: claims.commands.clone(),
    };
    let mut warnings = warn_of_selectors(policies, workloads);
    warnings.extend(warn_of_defaults(policies));
    warnings.extend(warn_of_shadowed(policies, &claims));
    Ok(Compiled {
        rules,
        claims,
        warnings,
    })
}

/// Every policy keeps its slot; a new one gets the lowest that is neither in use nor was in use
/// in the previous set, so that late counts of a removed rule are never taken for a new one's.
fn assign_slots(
    policies: &[Policy],
    previous: &BTreeMap<String, u32>,
) -> Result<BTreeMap<String, u32>, Vec<Refusal>> {
    let taken: BTreeSet<u32> = previous.values().copied().collect();
    let mut free = (0..MAX_RULES).filter(|slot| !taken.contains(slot));
    let mut slots = BTreeMap::new();
    let mut used = BTreeSet::new();
    for policy in policies {
        let key = policy.key();
        // A table from disk may be damaged: a slot is honoured once and only within the map.
        let slot = match previous.get(&key) {
            Some(slot) if *slot < MAX_RULES && used.insert(*slot) => *slot,
            _ => free.next().ok_or_else(|| {
                vec![refusal(
                    policy,
                    format!("more than {MAX_RULES} policies"),
                    "merge policies: a target may list ports and ranges",
                )]
            })?,
        };
        slots.insert(key, slot);
    }
    Ok(slots)
}

fn refuse_what_does_not_fit(policies: &[Policy], claims: &Claims) -> Result<(), Vec<Refusal>> {
    let Some(last) = policies.last() else {
        return Ok(());
    };
    if claims.overflowed {
        return Err(vec![refusal(
            last,
            format!("the set needs more than {MAX_ENTRIES} map entries"),
            "use fewer ports, fewer nested ranges, or `any` in place of many workloads",
        )]);
    }
    if claims.cidrs.len() >= MAX_CIDRS as usize {
        return Err(vec![refusal(
            last,
            format!("the set names more than {MAX_CIDRS} address ranges"),
            "join neighbouring ranges",
        )]);
    }
    Ok(())
}

fn refusal(policy: &Policy, reason: String, remedy: &str) -> Refusal {
    Refusal {
        file: policy.source.clone(),
        line: policy.line,
        reason: format!("{}: {reason}", policy.key()),
        remedy: remedy.to_owned(),
    }
}

/// Settles the claims (strongest first) on one key.
fn settle(key: &PolicyKey, claims: &[Claim]) -> Option<PolicyValue> {
    let expected = claims.first()?;
    let enforced = claims.iter().find(|claim| claim.mode == mode::ENFORCE);
    let Some(enforced) = enforced else {
        return Some(PolicyValue {
            rule: expected.slot,
            verdict: expected.verdict,
            mode: mode::AUDIT,
            audit_rule: 0,
        });
    };
    let told = !matches!(key.kind, kind::BANDWIDTH | kind::CONNECTIONS)
        && enforced.verdict == verdict::ALLOW
        && expected.verdict == verdict::DENY;
    Some(PolicyValue {
        rule: enforced.slot,
        verdict: enforced.verdict,
        mode: mode::ENFORCE,
        // Slots are below MAX_RULES, which fits.
        audit_rule: if told { expected.slot as u16 + 1 } else { 0 },
    })
}

/// The LPM trie. IPv4 addresses stand inside `::/0` in their mapped form; a range of class 0
/// keeps them out of IPv6 ranges unless a policy names all of IPv4.
fn trie(cidrs: &BTreeSet<Cidr>) -> BTreeMap<(u8, [u8; 16]), u64> {
    let mut trie: BTreeMap<_, _> = cidrs
        .iter()
        .map(|cidr| ((cidr.prefix, cidr.network), cidr.class()))
        .collect();
    let all_v4 = Cidr::containing(&v4_mapped([0; 4]), MAPPED_PREFIX);
    let around = cidrs
        .iter()
        .any(|cidr| !cidr.is_v4() && Cidr::containing(&all_v4.network, cidr.prefix) == *cidr);
    if around {
        trie.entry((all_v4.prefix, all_v4.network)).or_insert(0);
    }
    trie
}

/// What policies limit, by slot.
fn limits<T>(
    policies: &[Policy],
    slots: &[u32],
    limit: impl Fn(&TrafficSpec) -> Option<T>,
) -> BTreeMap<u32, T> {
    policies
        .iter()
        .zip(slots)
        .filter_map(|(policy, slot)| match &policy.spec {
            Spec::Traffic(spec) => Some((*slot, limit(spec)?)),
            Spec::Default(_) => None,
        })
        .collect()
}

fn warning(policy: &Policy, text: impl Into<String>) -> Warning {
    Warning {
        file: policy.source.clone(),
        line: policy.line,
        policy: policy.key(),
        text: text.into(),
    }
}

/// Selectors that match nothing now, and limits that hold one way only.
fn warn_of_selectors(policies: &[Policy], workloads: &[Workload]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for policy in policies {
        let (from, to, limited) = match &policy.spec {
            Spec::Traffic(spec) => (
                &spec.from,
                Some(&spec.to.selector),
                spec.bandwidth.is_some(),
            ),
            Spec::Default(spec) => (&spec.from, None, false),
        };
        if let Selector::Workloads(wanted) = from
            && workload_ids(wanted, workloads).is_empty()
            && command_key(wanted, workloads).is_none()
        {
            warnings.push(warning(
                policy,
                format!(
                    "`from` ({from}) matches no workload of this host now; it will hold as soon \
                     as one appears (callers on other hosts are named by `cidr`)"
                ),
            ));
        }
        if let Some(to @ Selector::Workloads(wanted)) = to
            && workload_ids(wanted, workloads).is_empty()
        {
            warnings.push(warning(
                policy,
                format!(
                    "`to` ({to}) matches no workload of this host now; it will hold as soon as \
                     one appears (callees on other hosts are named by `cidr`)"
                ),
            ));
        }
        let remote = matches!(from, Selector::Cidrs(_)) || matches!(to, Some(Selector::Cidrs(_)));
        if limited && remote {
            warnings.push(warning(
                policy,
                "the limit holds for what this host sends; what the other host sends is not paced",
            ));
        }
    }
    warnings
}

/// Default policies that may lock their operator out.
fn warn_of_defaults(policies: &[Policy]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for policy in policies {
        let Spec::Default(spec) = &policy.spec else {
            continue;
        };
        if spec.action != Action::Deny || spec.mode != Mode::Enforce {
            continue;
        }
        if spec.direction.outbound() && !allows_port(policies, 53) {
            warnings.push(warning(
                policy,
                "no policy allows port 53: name lookups will be refused, except at a loopback \
                 resolver; add a TrafficPolicy that allows `to: { any: true, port: 53 }`",
            ));
        }
        if spec.direction.inbound() && !allows_port(policies, 22) {
            warnings.push(warning(
                policy,
                "no policy allows port 22: new SSH sessions will be refused (those open now stay); \
                 add a TrafficPolicy that allows `to: { any: true, port: 22 }` if you need them",
            ));
        }
    }
    warnings
}

fn allows_port(policies: &[Policy], port: u16) -> bool {
    policies.iter().any(|policy| match &policy.spec {
        Spec::Traffic(spec) => {
            spec.action == Some(Action::Allow)
                && spec.mode == Mode::Enforce
                && (spec.to.ports.is_empty() || spec.to.ports.contains(&port))
        }
        Spec::Default(_) => false,
    })
}

/// Policies that lose every key they ask for.
fn warn_of_shadowed(policies: &[Policy], claims: &Claims) -> Vec<Warning> {
    let mut asked: BTreeMap<usize, usize> = BTreeMap::new();
    let mut winners: BTreeSet<usize> = BTreeSet::new();
    for claims in claims.by_key.values() {
        winners.extend(claims.first().map(|claim| claim.policy));
        let enforced = claims.iter().find(|claim| claim.mode == mode::ENFORCE);
        winners.extend(enforced.map(|claim| claim.policy));
        for claim in &claims[1..] {
            asked.insert(claim.policy, claims[0].policy);
        }
    }
    asked
        .into_iter()
        .filter(|(loser, _)| !winners.contains(loser))
        .map(|(loser, winner)| {
            warning(
                &policies[loser],
                format!(
                    "never decides: `{}` and others stand on the same caller, callee and port and \
                     win (deny before allow, longer prefix before shorter, lower limit first)",
                    policies[winner].key()
                ),
            )
        })
        .collect()
}
