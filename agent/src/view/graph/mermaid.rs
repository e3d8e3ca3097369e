//! The graph as a Mermaid flowchart, for Markdown.

use std::{collections::BTreeMap, fmt::Write};

use super::{Graph, Heat, Node};
use crate::view::{row, unit};

/// A flowchart from left to right, one subgraph per namespace, colour by errors.
pub fn draw(graph: &Graph) -> String {
    let mut out = String::from("flowchart LR\n");
    let _ = writeln!(out, "  %% {}: {}", unit::time(graph.time), graph.summary());
    let mut spaces: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        spaces
            .entry(node.namespace.as_deref())
            .or_default()
            .push(index);
    }
    for (number, (space, members)) in spaces.iter().enumerate() {
        if let Some(space) = space {
            let _ = writeln!(out, "  subgraph s{number}[\"{}\"]", escape(space));
        }
        for index in members {
            node(&mut out, *index, &graph.nodes[*index]);
        }
        if space.is_some() {
            out.push_str("  end\n");
        }
    }
    let mut colors = Vec::new();
    for link in &graph.links {
        let label = format!("{}<br/>{}", escape(&link.what()), escape(&link.measures()));
        let _ = writeln!(out, "  n{} -->|\"{label}\"| n{}", link.from, link.to);
        colors.push(link.heat());
    }
    for (index, heat) in colors.into_iter().enumerate() {
        let width = if graph.links[index].rate() >= 100.0 {
            3
        } else {
            2
        };
        let _ = writeln!(
            out,
            "  linkStyle {index} stroke:{},stroke-width:{width}px",
            heat.color()
        );
    }
    for heat in Heat::ALL {
        let _ = writeln!(
            out,
            "  classDef {} stroke:{},stroke-width:2px",
            class(heat),
            heat.color()
        );
    }
    out
}

fn node(out: &mut String, index: usize, node: &Node) {
    let mut label = format!("{}<br/>{}", escape(&node.service), row::kind(node.kind));
    if node.calls > 0 {
        let _ = write!(label, " {}", escape(&unit::rate(node.rate)));
    }
    let _ = writeln!(out, "  n{index}(\"{label}\"):::{}", class(node.heat()));
}

const fn class(heat: Heat) -> &'static str {
    match heat {
        Heat::None => "fine",
        Heat::Low => "low",
        Heat::Some => "some",
        Heat::High => "high",
    }
}

/// Text for the inside of a quoted label: Mermaid's own entities for everything that it or its
/// HTML could take for something else.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in unit::printable(text).chars() {
        match c {
            '"' | '#' | '<' | '>' | '&' | ';' | '\\' | '`' | '|' | '[' | ']' | '{' | '}' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}
