//! Why a flow is decided as it is, in sentences.

use weir_common::policy::{
    ANY, Decision, Flow, NO_RULE, PolicyKey, direction, find, kind, mode, reason, transport,
    verdict,
};

use super::{
    claims::Claim,
    compile::Compiled,
    policy::{Policy, Spec},
    rate,
};

/// Most losing policies that are told one by one.
const MOST_LOSERS: usize = 8;

/// A claim that matches a flow, where it stands in the order of lookup.
struct Match {
    key: PolicyKey,
    claim: Claim,
}

/// The sentences: who decides, what the caller would see, who else matched, what holds it.
pub fn because(
    policies: &[Policy],
    compiled: &Compiled,
    flow: &Flow,
    decision: &Decision,
) -> Vec<String> {
    let matches = matches(compiled, flow);
    let decider = matches
        .iter()
        .position(|found| found.claim.slot == decision.rule && fits(found, decision));
    let mut sentences = vec![who_decides(
        policies,
        decision,
        decider.map(|at| &matches[at]),
    )];
    sentences.push(what_the_caller_sees(flow, decision).to_owned());
    if let Some(at) = decider {
        sentences.extend(losers(policies, &matches, at));
    }
    sentences.extend(bandwidth(compiled, flow));
    sentences.extend(connections(compiled, flow, decision));
    if decision.rule != NO_RULE {
        sentences.push(
            "Held in the kernel, also while the daemon is down; connections that are already \
             established stay."
                .to_owned(),
        );
    }
    sentences
}

/// All claims on the keys of `flow`, in the order in which `decide` looks them up.
fn matches(compiled: &Compiled, flow: &Flow) -> Vec<Match> {
    keys(flow)
        .into_iter()
        .filter_map(|key| Some((key, compiled.claims.by_key.get(&key)?)))
        .flat_map(|(key, claims)| claims.iter().map(move |claim| Match { key, claim: *claim }))
        .collect()
}

fn keys(flow: &Flow) -> Vec<PolicyKey> {
    let mut keys = Vec::new();
    for (kind, callees) in [(kind::ACCESS, &flow.to[..]), (kind::DEFAULT, &flow.to[2..])] {
        for to in callees.iter().filter(|to| **to != 0) {
            for from in flow.from.iter().filter(|from| **from != 0) {
                for port in [flow.port, 0] {
                    keys.push(PolicyKey {
                        from: *from,
                        to: *to,
                        port,
                        transport: flow.transport,
                        direction: flow.direction,
                        kind,
                        _pad: [0; 3],
                    });
                }
            }
        }
    }
    keys.dedup();
    keys
}

/// True when `found` may be the one that `decision` speaks of.
fn fits(found: &Match, decision: &Decision) -> bool {
    let wanted = match decision.verdict {
        verdict::ALLOW => verdict::ALLOW,
        _ => verdict::DENY,
    };
    found.claim.verdict == wanted && found.claim.mode == decision.mode
}

fn who_decides(policies: &[Policy], decision: &Decision, found: Option<&Match>) -> String {
    let Some(policy) = found.map(|found| &policies[found.claim.policy]) else {
        return "No policy matches, and what no policy denies is allowed.".to_owned();
    };
    let place = format!("{} ({}:{})", policy.key(), policy.source, policy.line);
    let would = match decision.verdict {
        verdict::AUDIT_DENY => "would refuse, but is in audit mode",
        verdict::DENY => "refuses",
        _ => "allows",
    };
    match (decision.reason, &policy.spec) {
        (reason::UNRESOLVED, _) => format!(
            "weir cannot name the caller yet; {place} {would} by what its `onFailure` says."
        ),
        (_, Spec::Default(spec)) => format!(
            "No TrafficPolicy matches; the DefaultPolicy {place} {would}: from {}, {}.",
            spec.from,
            spec.direction.word()
        ),
        (_, Spec::Traffic(spec)) => format!(
            "The TrafficPolicy {place} {would}: from {}, to {}.",
            spec.from, spec.to
        ),
    }
}

fn what_the_caller_sees(flow: &Flow, decision: &Decision) -> &'static str {
    match (decision.verdict, flow.direction, flow.transport) {
        (verdict::AUDIT_DENY, ..) => {
            "The caller sees nothing of it: the flow passes and the verdict is recorded."
        }
        (verdict::DENY, direction::INBOUND, transport::UDP) => {
            "The caller sees nothing: the datagram is dropped on arrival."
        }
        (verdict::DENY, direction::INBOUND, _) => {
            "The caller sees a timeout: its SYN is dropped on arrival."
        }
        (verdict::DENY, _, transport::UDP) => {
            "The caller sees EPERM (operation not permitted) from sendmsg, or ECONNREFUSED from \
             connect (EPERM on kernels before 5.18)."
        }
        (verdict::DENY, ..) => {
            "The caller sees ECONNREFUSED (connection refused) at once from connect; EPERM on \
             kernels before 5.18."
        }
        _ => "The caller connects as if weir were not there.",
    }
}

fn losers(policies: &[Policy], matches: &[Match], at: usize) -> Vec<String> {
    let decider = &matches[at];
    let mut told = vec![decider.claim.policy];
    let mut sentences = Vec::new();
    let mut more = 0;
    for (place, other) in matches.iter().enumerate() {
        if told.contains(&other.claim.policy) {
            continue;
        }
        told.push(other.claim.policy);
        if sentences.len() == MOST_LOSERS {
            more += 1;
            continue;
        }
        let why = if place < at {
            "is more specific, but is in audit mode"
        } else {
            why_it_lost(decider, other)
        };
        sentences.push(format!(
            "{} also matches and does not decide: it {why}.",
            policies[other.claim.policy].key()
        ));
    }
    if more > 0 {
        sentences.push(format!(
            "{more} more policies also match and do not decide."
        ));
    }
    sentences
}

fn why_it_lost(decider: &Match, other: &Match) -> &'static str {
    let (a, b) = (&decider.key, &other.key);
    if a.kind != b.kind {
        return "is a default policy, and those come last";
    }
    if a.to != b.to {
        return "names the callee less exactly";
    }
    if a.from != b.from {
        return if b.from == ANY {
            "names any caller"
        } else {
            "names the caller less exactly"
        };
    }
    if a.port != b.port {
        return "names no port";
    }
    if decider.claim.prefix != other.claim.prefix {
        return "names a wider range of addresses";
    }
    if decider.claim.verdict != other.claim.verdict {
        return match other.claim.verdict {
            verdict::DENY => "denies, but only in audit mode",
            _ => "allows, and deny wins",
        };
    }
    if decider.claim.mode != other.claim.mode && other.claim.mode == mode::AUDIT {
        return "is in audit mode";
    }
    "says the same, and comes later by name"
}

fn connections(compiled: &Compiled, flow: &Flow, decision: &Decision) -> Option<String> {
    if flow.transport != transport::TCP || decision.verdict == verdict::DENY {
        return None;
    }
    let value = find(flow, kind::CONNECTIONS, &compiled.rules)?;
    let rate = compiled.rules.rates.get(&value.rule)?;
    let name = compiled.rules.name_of(value.rule)?;
    let beyond = match flow.direction {
        direction::INBOUND => "the SYNs of others are dropped, and sent again by their callers",
        _ => "others are refused at connect (ECONNREFUSED; EPERM on kernels before 5.18)",
    };
    Some(format!(
        "{name} limits it to {rate}, all callers that it matches together; {beyond}."
    ))
}

fn bandwidth(compiled: &Compiled, flow: &Flow) -> Option<String> {
    if flow.transport != transport::TCP {
        return None;
    }
    let value = find(flow, kind::BANDWIDTH, &compiled.rules)?;
    let rate = compiled.rules.budgets.get(&value.rule)?;
    let name = compiled.rules.name_of(value.rule)?;
    Some(format!(
        "{name} limits it to {}, shared by all flows that it matches, by pacing the sockets that \
         send on this host.",
        rate::words(*rate)
    ))
}
