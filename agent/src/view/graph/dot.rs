//! The graph for Graphviz: `weir graph -o dot | dot -Tsvg`.

use std::{collections::BTreeMap, fmt::Write};

use super::{Graph, Heat, Node};
use crate::view::{row, unit};

/// A digraph from left to right, one cluster per namespace, colour by errors, with a legend.
pub fn draw(graph: &Graph) -> String {
    let mut out = String::from("digraph weir {\n");
    let title = format!(
        "{}\\n{}",
        quote_inner(&unit::time(graph.time)),
        quote_inner(&graph.summary())
    );
    let _ = writeln!(
        out,
        "  graph [rankdir=LR, label=\"{title}\", labelloc=t, fontname=\"Helvetica\", fontsize=12, nodesep=0.35, ranksep=0.9];"
    );
    out.push_str("  node [shape=box, style=\"rounded,filled\", fillcolor=\"#ffffff\", fontname=\"Helvetica\", fontsize=11];\n");
    out.push_str("  edge [fontname=\"Helvetica\", fontsize=9];\n");
    let mut spaces: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        spaces
            .entry(node.namespace.as_deref())
            .or_default()
            .push(index);
    }
    for (number, (space, members)) in spaces.iter().enumerate() {
        let inside = space.map(|space| {
            let name = quote_inner(space);
            format!("  subgraph cluster_{number} {{\n  label=\"{name}\"; color=\"#b8c1cc\"; style=rounded;\n")
        });
        out.push_str(inside.as_deref().unwrap_or(""));
        for index in members {
            node(&mut out, *index, &graph.nodes[*index]);
        }
        out.push_str(inside.map_or("", |_| "  }\n"));
    }
    for link in &graph.links {
        for edge in &link.edges {
            let mut label = format!(
                "{} :{}\\n{}",
                quote_inner(&edge.protocol),
                edge.port,
                unit::rate(edge.rate)
            );
            if let Some(p95) = edge.p95_ns {
                let _ = write!(label, "  p95 {}", unit::duration(p95));
            }
            if edge.errors > 0 {
                let share = unit::share(edge.errors, edge.calls);
                let _ = write!(label, "\\n{} errors", unit::percent(share));
            }
            let color = Heat::of(edge.errors, edge.calls).color();
            let width = 1.0 + (1.0 + edge.rate.max(0.0)).log10();
            let _ = writeln!(
                out,
                "  n{} -> n{} [label=\"{label}\", color=\"{color}\", fontcolor=\"{color}\", penwidth={width:.1}];",
                link.from, link.to
            );
        }
    }
    legend(&mut out);
    out.push_str("}\n");
    out
}

fn node(out: &mut String, index: usize, node: &Node) {
    let mut label = quote_inner(&node.service);
    let _ = write!(label, "\\n{}", row::kind(node.kind));
    if node.calls > 0 {
        let _ = write!(label, "  {}", unit::rate(node.rate));
        if let Some(p95) = node.p95_ns {
            let _ = write!(label, "  p95 {}", unit::duration(p95));
        }
    }
    let color = node.heat().color();
    let _ = writeln!(out, "  n{index} [label=\"{label}\", color=\"{color}\"];");
}

fn legend(out: &mut String) {
    out.push_str("  legend [shape=plaintext, style=\"\", label=<<table border=\"0\" cellspacing=\"4\"><tr><td>errors:</td>");
    for heat in Heat::ALL {
        let (color, words) = (heat.color(), heat.words());
        let _ = write!(
            out,
            "<td><font color=\"{color}\">&#9632;</font> {words}</td>"
        );
    }
    out.push_str("</tr></table>>];\n");
}

/// Text for the inside of a quoted string.
fn quote_inner(text: &str) -> String {
    unit::printable(text)
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
}
