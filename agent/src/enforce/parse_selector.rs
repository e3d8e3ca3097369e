//! `from` and `to` of a policy → [`Selector`] and [`Target`].

use super::{
    cidr::Cidr,
    fields::{Fields, Problems, text_of},
    policy::{Match, Selector, Target, Transport},
    yaml::{Entry, Node, Value},
};

/// Most ports that one target may list: each is an entry of its own in the kernel's map.
const MOST_PORTS: usize = 256;

const SELECTORS: &str = "any, service, namespace, unit, container, pod, process or cidr";

/// Reads `from`.
pub fn parse_caller(entry: &Entry, path: &str, problems: &mut Problems) -> Option<Selector> {
    let mut fields = Fields::open(&entry.node, entry.line, path, problems)?;
    for name in ["port", "ports", "protocol"] {
        if let Some(entry) = fields.take_unlisted(name) {
            problems.refuse(
                entry.line,
                &fields.path_of(name),
                "belongs to the callee: a caller's port says nothing",
                format!("move `{name}` to `to`"),
            );
        }
    }
    let selector = parse_selector(&mut fields, problems);
    fields.finish(problems);
    selector
}

/// Reads `to`.
pub fn parse_target(entry: &Entry, path: &str, problems: &mut Problems) -> Option<Target> {
    let mut fields = Fields::open(&entry.node, entry.line, path, problems)?;
    let ports = parse_ports(&mut fields, problems);
    let transport = parse_protocol(&mut fields, problems);
    let selector = parse_selector(&mut fields, problems);
    fields.finish(problems);
    Some(Target {
        selector: selector?,
        ports: ports?,
        transport,
    })
}

fn parse_selector(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Selector> {
    let before = problems.len();
    let any = fields.flag("any", problems);
    let cidr = fields.take("cidr");
    let dns = fields.take_unlisted("dns");
    let matched = parse_match(fields, problems);
    if let Some(entry) = dns {
        problems.refuse(
            entry.line,
            &fields.path_of("dns"),
            "not enforceable yet: use cidr",
            "write the addresses: `cidr: [203.0.113.7, 2001:db8::/32]`",
        );
    }
    let cidrs = cidr.map(|entry| parse_cidrs(&entry.node, &fields.path_of("cidr"), problems));
    if problems.len() > before {
        return None;
    }
    let named = matched != Match::default();
    match (any, cidrs, named) {
        (Some((true, _)), None, false) => Some(Selector::Any),
        (None, Some(cidrs), false) => Some(Selector::Cidrs(cidrs)),
        (None, None, true) => Some(Selector::Workloads(matched)),
        (None, None, false) if fields.has_left() => None,
        (any, cidrs, named) => {
            let (reason, remedy) = contradiction(any, cidrs.is_some(), named);
            let line = any.map_or(fields.line, |(_, line)| line);
            problems.refuse(line, &fields.path, reason, remedy);
            None
        }
    }
}

/// Why these selectors do not go together, and what to do.
fn contradiction(any: Option<(bool, u32)>, cidr: bool, named: bool) -> (&'static str, String) {
    match any {
        Some((false, _)) => (
            "`any: false` selects nobody",
            format!("remove `any` and name somebody: {SELECTORS}"),
        ),
        Some((true, _)) => (
            "`any: true` together with another selector",
            "keep `any: true` or the others".to_owned(),
        ),
        None if cidr && named => (
            "`cidr` together with a workload: a party is known by one or the other",
            "keep `cidr`, or the workload; or write two policies".to_owned(),
        ),
        None => (
            "selects nobody",
            format!("name somebody: {SELECTORS}; everybody is `any: true`"),
        ),
    }
}

fn parse_match(fields: &mut Fields<'_>, problems: &mut Problems) -> Match {
    let mut text = |name| fields.text(name, problems);
    let service = text("service").map(|(text, _)| text);
    let namespace = text("namespace").map(|(text, _)| text);
    let unit = text("unit").map(|(text, _)| text);
    let container = text("container");
    let pod = text("pod").map(|(text, _)| text);
    let process = text("process");
    if let Some((id, line)) = &container
        && !is_container_id(id)
    {
        problems.refuse(
            *line,
            &fields.path_of("container"),
            format!("`{id}` is not a container id"),
            "write 12 to 64 hex digits, as `weir services -o wide` shows them",
        );
    }
    if let Some((command, line)) = &process
        && command.contains('/')
    {
        let name = command.rsplit('/').next().unwrap_or_default();
        problems.refuse(
            *line,
            &fields.path_of("process"),
            format!("`{command}` is a path, not a command name"),
            format!("write `process: {name}`"),
        );
    }
    Match {
        service,
        namespace,
        unit,
        container: container.map(|(text, _)| text),
        pod,
        process: process.map(|(text, _)| text),
    }
}

fn is_container_id(text: &str) -> bool {
    (12..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn parse_cidrs(node: &Node, path: &str, problems: &mut Problems) -> Vec<Cidr> {
    let nodes = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    if nodes.is_empty() {
        problems.refuse(
            node.line,
            path,
            "the list is empty",
            "write at least one range: `cidr: 10.0.0.0/8`",
        );
    }
    let mut cidrs: Vec<Cidr> = nodes
        .iter()
        .filter_map(|node| {
            let text = text_of(node, path, problems)?;
            Cidr::parse(&text)
                .map_err(|error| {
                    problems.refuse(node.line, path, error.to_string(), error.remedy())
                })
                .ok()
        })
        .collect();
    cidrs.sort_unstable();
    cidrs.dedup();
    cidrs
}

/// The ports of a target, sorted; empty when none is given.
fn parse_ports(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Vec<u16>> {
    let one = fields.take("port");
    let several = fields.take("ports");
    let path = fields.path_of(if several.is_some() { "ports" } else { "port" });
    let nodes: Vec<&Node> = match (one, several) {
        (None, None) => return Some(Vec::new()),
        (Some(_), Some(several)) => {
            problems.refuse(
                several.line,
                &path,
                "`port` and `ports` are both given",
                "put all of them into `ports`",
            );
            return None;
        }
        (Some(one), None) => vec![&one.node],
        (None, Some(several)) => match &several.node.value {
            Value::List(items) if (1..=MOST_PORTS).contains(&items.len()) => items.iter().collect(),
            _ => {
                problems.refuse(
                    several.line,
                    &path,
                    format!("needs a list of 1 to {MOST_PORTS} ports"),
                    "write `ports: [80, 443]`; every port is meant when `ports` is left out",
                );
                return None;
            }
        },
    };
    let ports: Vec<Option<u16>> = nodes
        .into_iter()
        .map(|node| parse_port(node, &path, problems))
        .collect();
    let mut ports: Vec<u16> = ports.into_iter().collect::<Option<_>>()?;
    ports.sort_unstable();
    ports.dedup();
    Some(ports)
}

fn parse_port(node: &Node, path: &str, problems: &mut Problems) -> Option<u16> {
    let text = match &node.value {
        Value::Scalar { text, .. } => text.as_str(),
        _ => "",
    };
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let quoted = matches!(node.value, Value::Scalar { plain: false, .. });
    let port = text.parse::<u16>().ok().filter(|port| *port != 0);
    if let (Some(port), true, false) = (port, digits, quoted) {
        return Some(port);
    }
    let (reason, remedy) = match (digits, quoted) {
        (true, true) => (
            format!("\"{text}\" is a text"),
            format!("write {text} without quotes"),
        ),
        (true, false) => (
            format!("{text} is out of range"),
            "ports go from 1 to 65535; every port is meant when `port` is left out".to_owned(),
        ),
        _ if node.kind() == "a list" => (
            "needs one port, this is a list".to_owned(),
            "write `ports:` for several".to_owned(),
        ),
        _ => (
            format!("`{text}` is not a port number"),
            "write a number from 1 to 65535; ranges and names have to be written out".to_owned(),
        ),
    };
    problems.refuse(node.line, path, reason, remedy);
    None
}

fn parse_protocol(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Transport> {
    let (text, line) = fields.text("protocol", problems)?;
    match text.to_ascii_lowercase().as_str() {
        "tcp" => return Some(Transport::Tcp),
        "udp" => return Some(Transport::Udp),
        _ => {}
    }
    problems.refuse(
        line,
        &fields.path_of("protocol"),
        format!(
            "`{text}` is not enforceable yet: when a connection begins, only its transport is known"
        ),
        "write `protocol: tcp` or `protocol: udp`, and the port",
    );
    None
}
