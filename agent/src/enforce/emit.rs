//! Policies → YAML that reads back as the same policies.

use std::fmt::Write;

use super::{
    parse::API_VERSION,
    policy::{Mode, OnFailure, Policy, Selector, Spec, Target, Transport},
    rate,
};

/// Writes policies as one multi-document file.
pub fn yaml(policies: &[Policy]) -> String {
    let documents: Vec<String> = policies.iter().map(document).collect();
    documents.join("---\n")
}

fn document(policy: &Policy) -> String {
    let mut out = format!(
        "apiVersion: {API_VERSION}\nkind: {}\nmetadata:\n  name: {}\n",
        policy.spec.kind(),
        text(&policy.name)
    );
    if let Some(namespace) = &policy.namespace {
        line(&mut out, 2, "namespace", &text(namespace));
    }
    out.push_str("spec:\n");
    match &policy.spec {
        Spec::Traffic(spec) => {
            line(&mut out, 2, "from", &braces(selector(&spec.from)));
            line(&mut out, 2, "to", &braces(target(&spec.to)));
            line(&mut out, 2, "mode", spec.mode.word());
            if let Some(on_failure) = spec.on_failure {
                let word = match on_failure {
                    OnFailure::Open => "open",
                    OnFailure::Closed => "closed",
                };
                line(&mut out, 2, "onFailure", word);
            }
            if let Some(action) = spec.action {
                line(&mut out, 2, "action", action.word());
            }
            if spec.bandwidth.is_some() || spec.connections.is_some() {
                out.push_str("  limits:\n");
            }
            if let Some(bandwidth) = spec.bandwidth {
                line(&mut out, 4, "bandwidth", &rate::words(bandwidth));
            }
            if let Some(rate) = spec.connections {
                let (per_second, burst) = (rate.per_second, rate.burst);
                let fields = vec![
                    format!("perSecond: {per_second}"),
                    format!("burst: {burst}"),
                ];
                line(&mut out, 4, "connections", &braces(fields));
            }
        }
        Spec::Default(spec) => {
            line(&mut out, 2, "action", spec.action.word());
            if spec.mode != Mode::default() {
                line(&mut out, 2, "mode", spec.mode.word());
            }
            line(&mut out, 2, "direction", spec.direction.word());
            line(&mut out, 2, "from", &braces(selector(&spec.from)));
        }
    }
    out
}

fn line(out: &mut String, indent: usize, name: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{:indent$}{name}: {value}", "");
}

fn braces(fields: Vec<String>) -> String {
    format!("{{ {} }}", fields.join(", "))
}

fn selector(selector: &Selector) -> Vec<String> {
    match selector {
        Selector::Any => vec!["any: true".to_owned()],
        Selector::Cidrs(cidrs) => {
            let ranges: Vec<String> = cidrs.iter().map(|cidr| format!("\"{cidr}\"")).collect();
            vec![match ranges.as_slice() {
                [only] => format!("cidr: {only}"),
                several => format!("cidr: [{}]", several.join(", ")),
            }]
        }
        Selector::Workloads(wanted) => wanted
            .fields()
            .iter()
            .filter_map(|(name, value)| Some(format!("{name}: {}", text(value.as_ref()?))))
            .collect(),
    }
}

fn target(target: &Target) -> Vec<String> {
    let mut fields = selector(&target.selector);
    let ports: Vec<String> = target.ports.iter().map(u16::to_string).collect();
    match ports.as_slice() {
        [] => {}
        [only] => fields.push(format!("port: {only}")),
        several => fields.push(format!("ports: [{}]", several.join(", "))),
    }
    match target.transport {
        Some(Transport::Tcp) => fields.push("protocol: tcp".to_owned()),
        Some(Transport::Udp) => fields.push("protocol: udp".to_owned()),
        None => {}
    }
    fields
}

/// A scalar: plain when it cannot be taken for anything but text, else in double quotes.
fn text(value: &str) -> String {
    let plain = value
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic())
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_./@".contains(&b))
        && !matches!(
            value.to_ascii_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if plain {
        return value.to_owned();
    }
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() || c == '\u{2028}' || c == '\u{2029}' || c == '\u{feff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
