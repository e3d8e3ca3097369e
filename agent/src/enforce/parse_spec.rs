//! `spec` of a document → [`Spec`], refusing what cannot be held.

use super::{
    fields::{Fields, Problems},
    parse::Kind,
    parse_limits::{self, Limits},
    parse_selector::{parse_caller, parse_target},
    policy::{Action, DefaultDirection, DefaultSpec, Mode, OnFailure, Selector, Spec, TrafficSpec},
    yaml::Entry,
};

const ACTIONS: [(&str, Action); 2] = [("allow", Action::Allow), ("deny", Action::Deny)];
const MODES: [(&str, Mode); 2] = [("enforce", Mode::Enforce), ("audit", Mode::Audit)];
const ON_FAILURE: [(&str, OnFailure); 2] =
    [("open", OnFailure::Open), ("closed", OnFailure::Closed)];
const DIRECTIONS: [(&str, DefaultDirection); 3] = [
    ("outbound", DefaultDirection::Outbound),
    ("inbound", DefaultDirection::Inbound),
    ("both", DefaultDirection::Both),
];

/// Reads a `spec`; `None` when something in it was refused.
pub fn parse(kind: Kind, entry: &Entry, problems: &mut Problems) -> Option<Spec> {
    let before = problems.len();
    let mut fields = Fields::open(&entry.node, entry.line, "spec", problems)?;
    let spec = match kind {
        Kind::Traffic => parse_traffic(&mut fields, problems).map(Spec::Traffic),
        Kind::Default => parse_default(&mut fields, problems).map(Spec::Default),
    };
    fields.finish(problems);
    spec.filter(|_| problems.len() == before)
}

fn parse_traffic(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<TrafficSpec> {
    let before = problems.len();
    let from = fields.take("from");
    let from_line = from.map_or(fields.line, |entry| entry.line);
    let from = match from {
        Some(entry) => parse_caller(entry, "spec.from", problems),
        None => Some(Selector::Any),
    };
    let to = match fields.take("to") {
        Some(entry) => parse_target(entry, "spec.to", problems),
        None => {
            problems.refuse(
                fields.line,
                "spec.to",
                "is missing",
                "say who is called: `to: { service: payments }`, or `to: { any: true }`",
            );
            None
        }
    };
    let mode = fields.choice("mode", &MODES, problems).unwrap_or_default();
    let on_failure = fields.choice("onFailure", &ON_FAILURE, problems);
    let action = fields.choice("action", &ACTIONS, problems);
    let limits = fields.take("limits");
    let Limits {
        bandwidth,
        connections,
    } = limits.map_or_else(Limits::default, |entry| {
        parse_limits::parse(entry, problems)
    });
    refuse_what_waits(fields, problems);
    if action.is_none() && limits.is_none() && problems.len() == before && !fields.has_left() {
        problems.refuse(
            fields.line,
            "spec",
            "neither `action` nor `limits`: the policy asks for nothing",
            "add `action: allow`, `action: deny` or `limits: { bandwidth: 100Mbit/s }`",
        );
    }
    let spec = TrafficSpec {
        from: from?,
        to: to?,
        mode,
        on_failure,
        action,
        bandwidth,
        connections,
    };
    if let (Selector::Cidrs(_), Selector::Cidrs(_)) = (&spec.from, &spec.to.selector) {
        problems.refuse(
            from_line,
            "spec.from.cidr",
            "`from` and `to` are both CIDRs, but one end has to be on this host",
            "name the end on this host by service, unit, container, pod or process, or `any: true`",
        );
    }
    if let Some(limits) = limits {
        parse_limits::check(&spec, limits, problems);
    }
    Some(spec)
}

/// Fields of the language that this version cannot hold: refused, never ignored.
fn refuse_what_waits(fields: &mut Fields<'_>, problems: &mut Problems) {
    if let Some(entry) = fields.take_unlisted("tls") {
        problems.refuse(
            entry.line,
            "spec.tls",
            "not enforceable yet: the first bytes of a connection are not judged",
            "remove `tls`; `action: deny` on the plaintext port keeps callers off it",
        );
    }
    if let Some(entry) = fields.take_unlisted("circuitBreaker") {
        problems.refuse(
            entry.line,
            "spec.circuitBreaker",
            "not enforceable yet: failures of an edge do not open a breaker",
            "remove `circuitBreaker`",
        );
    }
}

fn parse_default(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<DefaultSpec> {
    let before = problems.len();
    let action = fields.choice("action", &ACTIONS, problems);
    if action.is_none() && problems.len() == before {
        problems.refuse(
            fields.line,
            "spec.action",
            "is missing",
            "write `action: deny` or `action: allow`",
        );
    }
    let mode = fields.choice("mode", &MODES, problems).unwrap_or_default();
    let direction = fields
        .choice("direction", &DIRECTIONS, problems)
        .unwrap_or_default();
    let entry = fields.take("from");
    let from = match entry {
        Some(entry) => parse_caller(entry, "spec.from", problems)?,
        None => Selector::Any,
    };
    let line = entry.map_or(fields.line, |entry| entry.line);
    match (&from, direction.outbound(), direction.inbound()) {
        (Selector::Cidrs(_), true, _) => problems.refuse(
            line,
            "spec.from.cidr",
            "callers on this host are known by workload, not by address",
            "write `direction: inbound`, or name the callers by service, unit or process",
        ),
        (Selector::Workloads(_), _, true) => problems.refuse(
            line,
            "spec.from",
            "callers on other hosts are known by address, not by workload",
            "write `direction: outbound`, or name the callers by `cidr`",
        ),
        _ => {}
    }
    Some(DefaultSpec {
        action: action?,
        mode,
        direction,
        from,
    })
}
