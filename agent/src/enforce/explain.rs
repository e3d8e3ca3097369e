//! A question → the decision that the kernel would take, with [`super::reasons`] for it.

use std::net::IpAddr;

use weir_common::{
    flow::{Addr, v4_mapped},
    policy::{
        ANY, Decision, Flow, callee, decide, direction, hook, local_caller, remote_caller,
        transport, verdict,
    },
};

use super::{compile::Compiled, policy::Policy, reasons, resolve};
use crate::{
    control::api::{ExplainQuery, Explanation},
    observe::model::{Workload, WorkloadKind, ip_of},
};

/// Most caller-callee pairs that one question looks at.
const MOST_PAIRS: usize = 1_024;

/// A question that has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// The callee is neither a workload nor an address.
    #[error(
        "no workload of this host is called `{0}`; name one that `weir services` shows, or give \
         an address"
    )]
    UnknownCallee(String),
    /// Both ends are addresses.
    #[error(
        "`{0}` and `{1}` are both addresses: nothing on this host decides between them; name the \
         end on this host by its service"
    )]
    Elsewhere(String, String),
}

/// One end, as the question names it.
enum Party<'a> {
    Any,
    Address(Addr),
    Workloads(Vec<&'a Workload>),
    Command(u64),
}

/// What is known of the host when a question is asked.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// Its workloads.
    pub workloads: &'a [Workload],
    /// Id of the workload that listens on an address and port, if one is known.
    pub listener: &'a dyn Fn(IpAddr, u16) -> Option<u64>,
}

/// Answers `query` from the rules that are compiled: the same [`decide`] as in the kernel.
pub fn explain(
    policies: &[Policy],
    compiled: &Compiled,
    host: Host<'_>,
    query: &ExplainQuery,
) -> Result<Explanation, ExplainError> {
    let workloads = host.workloads;
    let from = party(&query.from, workloads)
        .unwrap_or_else(|| Party::Command(resolve::key_of_command(&query.from)));
    let to =
        party(&query.to, workloads).ok_or_else(|| ExplainError::UnknownCallee(query.to.clone()))?;
    if let (Party::Address(_), Party::Address(_)) = (&from, &to) {
        return Err(ExplainError::Elsewhere(
            query.from.clone(),
            query.to.clone(),
        ));
    }
    let flows = flows(&from, &to, compiled, host, query);
    let decided: Vec<(Flow, Decision)> = flows
        .iter()
        .map(|flow| (*flow, decide(flow, &compiled.rules)))
        .collect();
    // The strictest first: it is what the operator has to know.
    let strictest = decided
        .iter()
        .min_by_key(|(_, decision)| severity(decision.verdict));
    let Some((flow, decision)) = strictest else {
        return Err(ExplainError::UnknownCallee(query.to.clone()));
    };
    let mut because = reasons::because(policies, compiled, flow, decision);
    let differing = decided
        .iter()
        .filter(|(_, other)| other.verdict != decision.verdict)
        .count();
    if differing > 0 {
        because.push(format!(
            "The names stand for several workloads: {differing} of {} pairs are decided \
             otherwise; this is the strictest.",
            decided.len()
        ));
    }
    because.extend(caveats(&from, &to, query));
    Ok(Explanation {
        verdict: verdict_word(decision.verdict).to_owned(),
        policy: compiled
            .rules
            .name_of(decision.rule)
            .unwrap_or("default")
            .to_owned(),
        hook: hook_word(hook_of(flow)).to_owned(),
        because,
    })
}

fn severity(verdict: u8) -> u8 {
    match verdict {
        verdict::DENY => 0,
        verdict::AUDIT_DENY => 1,
        _ => 2,
    }
}

/// `allow`, `deny` or `audit`.
pub fn verdict_word(verdict: u8) -> &'static str {
    match verdict {
        verdict::DENY => "deny",
        verdict::AUDIT_DENY => "audit",
        _ => "allow",
    }
}

/// Where the kernel decides a flow: one of [`hook`].
pub fn hook_of(flow: &Flow) -> u8 {
    match (flow.direction, flow.transport) {
        (direction::INBOUND, _) => hook::INGRESS,
        (_, transport::UDP) => hook::SENDMSG,
        _ => hook::CONNECT,
    }
}

/// `connect`, `sendmsg` or `ingress`.
pub fn hook_word(hook: u8) -> &'static str {
    match hook {
        hook::SENDMSG => "sendmsg",
        hook::INGRESS => "ingress",
        _ => "connect",
    }
}

/// Reads a name of a question; `None` if it is neither an address nor a workload of this host.
fn party<'a>(name: &str, workloads: &'a [Workload]) -> Option<Party<'a>> {
    if matches!(name, "" | "*" | "any") {
        return Some(Party::Any);
    }
    if let Ok(address) = name.parse::<IpAddr>() {
        return Some(Party::Address(match address {
            IpAddr::V4(v4) => v4_mapped(v4.octets()),
            IpAddr::V6(v6) => v6.octets(),
        }));
    }
    let named = |workload: &&Workload| {
        let is = |field: &Option<String>| field.as_deref() == Some(name);
        let local = !matches!(workload.kind, WorkloadKind::Remote | WorkloadKind::Unknown);
        local
            && (workload.service == name
                || is(&workload.unit)
                || is(&workload.container)
                || is(&workload.pod)
                || is(&workload.process))
    };
    let found: Vec<&Workload> = workloads.iter().filter(named).collect();
    (!found.is_empty()).then_some(Party::Workloads(found))
}

/// The flows that the question may mean.
fn flows(
    from: &Party<'_>,
    to: &Party<'_>,
    compiled: &Compiled,
    host: Host<'_>,
    query: &ExplainQuery,
) -> Vec<Flow> {
    let workloads = host.workloads;
    let inbound = matches!(from, Party::Address(_));
    let callers: Vec<[u64; 4]> = match from {
        Party::Any => vec![[0, 0, 0, ANY]],
        Party::Address(addr) => vec![remote_caller(compiled.rules.class_of(addr))],
        Party::Command(command) => vec![local_caller(0, 0, *command)],
        Party::Workloads(found) => found
            .iter()
            .map(|workload| {
                let (process, cgroup) = ids(workload, workloads);
                let command = workload.process.as_deref();
                local_caller(process, cgroup, command.map_or(0, resolve::key_of_command))
            })
            .collect(),
    };
    let callees: Vec<[u64; 4]> = match to {
        Party::Address(addr) => {
            // The kernel knows a callee on this host by the address it listens on.
            let listener = (host.listener)(ip_of(addr), query.port).unwrap_or(0);
            vec![callee(listener, 0, compiled.rules.class_of(addr))]
        }
        Party::Workloads(found) => found
            .iter()
            .map(|workload| {
                let (process, cgroup) = ids(workload, workloads);
                callee(process, cgroup, 0)
            })
            .collect(),
        Party::Any | Party::Command(_) => vec![callee(0, 0, 0)],
    };
    let flow = |from: [u64; 4], to: [u64; 4]| Flow {
        from,
        to,
        port: query.port,
        transport: if query.udp {
            transport::UDP
        } else {
            transport::TCP
        },
        direction: if inbound {
            direction::INBOUND
        } else {
            direction::OUTBOUND
        },
    };
    callers
        .iter()
        .flat_map(|from| callees.iter().map(|to| flow(*from, *to)))
        .take(MOST_PAIRS)
        .collect()
}

/// Workload ids by process and by cgroup, as a socket of `workload` would have them.
fn ids(workload: &Workload, workloads: &[Workload]) -> (u64, u64) {
    if workload.kind != WorkloadKind::Process {
        return (0, workload.id);
    }
    let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    let cgroup = workloads.iter().find(|other| {
        matches!(
            other.kind,
            WorkloadKind::Unit | WorkloadKind::Container | WorkloadKind::Pod
        ) && (same(&other.container, &workload.container) || same(&other.unit, &workload.unit))
    });
    (workload.id, cgroup.map_or(0, |other| other.id))
}

/// What the question leaves open.
fn caveats(from: &Party<'_>, to: &Party<'_>, query: &ExplainQuery) -> Vec<String> {
    let mut caveats = Vec::new();
    if matches!(from, Party::Command(_)) {
        caveats.push(format!(
            "No workload is called `{}`: it is taken for the command of a process that has no \
             name yet.",
            query.from
        ));
    }
    if query.port == 0 {
        caveats.push("No port is given: rules for single ports were left out.".to_owned());
    }
    if matches!(to, Party::Workloads(_)) && matches!(from, Party::Workloads(_) | Party::Any) {
        caveats.push(
            "Rules by CIDR need the callee's address: give it in place of the name to see them."
                .to_owned(),
        );
    }
    caveats
}
