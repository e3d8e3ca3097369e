//! `spec.limits` of a document, refusing what cannot be held.

use weir_common::limit::{MOST_BURST, MOST_PER_SECOND};

use super::{
    fields::{Fields, Problems, text_of},
    policy::{Action, ConnectionRate, Mode, Target, TrafficSpec, Transport},
    rate,
    yaml::Entry,
};

/// What a policy limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Payload bytes per second.
    pub bandwidth: Option<u64>,
    /// Connections that begin.
    pub connections: Option<ConnectionRate>,
}

/// Reads `spec.limits`; what was refused in it is left out.
pub fn parse(entry: &Entry, problems: &mut Problems) -> Limits {
    let before = problems.len();
    let mut limits = Limits::default();
    let Some(mut fields) = Fields::open(&entry.node, entry.line, "spec.limits", problems) else {
        return limits;
    };
    let bandwidth = fields.take("bandwidth");
    let connections = fields.take("connections");
    if let Some(entry) = fields.take_unlisted("requests") {
        problems.refuse(
            entry.line,
            &fields.path_of("requests"),
            "not enforceable yet: requests are not counted against a limit",
            "remove `requests`; `bandwidth` and `connections` can be limited",
        );
    }
    fields.finish(problems);
    if let Some(entry) = bandwidth {
        limits.bandwidth = parse_bandwidth(entry, problems);
    }
    if let Some(entry) = connections {
        limits.connections = parse_connections(entry, problems);
    }
    if limits == Limits::default() && problems.len() == before {
        problems.refuse(
            entry.line,
            "spec.limits",
            "holds no limit",
            "write `limits: { bandwidth: 100Mbit/s }` or `limits: { connections: { perSecond: 50 } }`",
        );
    }
    limits
}

fn parse_bandwidth(entry: &Entry, problems: &mut Problems) -> Option<u64> {
    const PATH: &str = "spec.limits.bandwidth";
    let text = text_of(&entry.node, PATH, problems)?;
    rate::parse(&text)
        .map_err(|error| problems.refuse(entry.node.line, PATH, error.reason, error.remedy))
        .ok()
}

fn parse_connections(entry: &Entry, problems: &mut Problems) -> Option<ConnectionRate> {
    const PATH: &str = "spec.limits.connections";
    let before = problems.len();
    let mut fields = Fields::open(&entry.node, entry.line, PATH, problems)?;
    let per_second = number(&mut fields, "perSecond", MOST_PER_SECOND, problems);
    let burst = number(&mut fields, "burst", MOST_BURST, problems);
    if let Some(entry) = fields.take_unlisted("max") {
        problems.refuse(
            entry.line,
            &fields.path_of("max"),
            "not enforceable yet: open connections are not counted against a limit",
            "remove `max`; `perSecond` limits how many begin",
        );
    }
    if per_second.is_none() && problems.len() == before && !fields.has_left() {
        problems.refuse(
            entry.line,
            &fields.path_of("perSecond"),
            "is missing",
            "say how many connections may begin: `connections: { perSecond: 50 }`",
        );
    }
    fields.finish(problems);
    let per_second = per_second?;
    Some(ConnectionRate {
        per_second,
        burst: burst.unwrap_or(ConnectionRate::usual_burst(per_second)),
    })
}

/// A whole number from 1 to `most`.
fn number(
    fields: &mut Fields<'_>,
    name: &'static str,
    most: u32,
    problems: &mut Problems,
) -> Option<u32> {
    let (text, line) = fields.text(name, problems)?;
    match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Some(number),
        _ => {
            problems.refuse(
                line,
                &fields.path_of(name),
                format!("`{text}` is no whole number from 1 to {most}"),
                format!(
                    "write a number, as in `{name}: 50`; to stop the traffic use `action: deny`"
                ),
            );
            None
        }
    }
}

/// Limits that contradict the rest of the rule.
pub fn check(spec: &TrafficSpec, limits: &Entry, problems: &mut Problems) {
    if spec.action == Some(Action::Deny) {
        problems.refuse(
            limits.line,
            "spec.limits",
            "nothing is left to limit where `action` is `deny`",
            "remove `limits`, or write `action: allow`",
        );
    }
    let held = [
        (
            spec.bandwidth.is_some(),
            "spec.limits.bandwidth",
            "only TCP sockets are paced",
        ),
        (
            spec.connections.is_some(),
            "spec.limits.connections",
            "datagrams begin no connection",
        ),
    ];
    for (_, path, of_udp) in held.into_iter().filter(|(is_there, ..)| *is_there) {
        if spec.mode == Mode::Audit {
            problems.refuse(
                limits.line,
                path,
                "cannot be audited: what a limit would have held back is not measured",
                "remove `mode: audit`, or move `limits` to a policy of its own",
            );
        }
        if let Target {
            transport: Some(Transport::Udp),
            ..
        } = spec.to
        {
            problems.refuse(
                limits.line,
                path,
                format!("not enforceable for UDP: {of_udp}"),
                "remove `protocol: udp` or `limits`",
            );
        }
    }
}
