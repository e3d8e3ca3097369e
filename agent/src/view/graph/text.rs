//! The graph as lines for a terminal: each caller with whom it calls.

use unicode_width::UnicodeWidthStr;

use super::{Graph, Node};
use crate::view::{row, unit};

/// Callers in name order, their links busiest first; services without any at the end.
pub fn draw(graph: &Graph) -> String {
    if graph.nodes.is_empty() {
        return String::new();
    }
    let widths = Widths::of(graph);
    let mut out = String::new();
    let mut quiet = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let mut links: Vec<_> = graph
            .links
            .iter()
            .filter(|link| link.from == index)
            .collect();
        if links.is_empty() {
            if graph.links.iter().all(|link| link.to != index) {
                quiet.push(node.name());
            }
            continue;
        }
        links.sort_by(|a, b| b.rate().total_cmp(&a.rate()));
        out.push_str(&heading(node));
        let last = links.len() - 1;
        for (position, link) in links.into_iter().enumerate() {
            let branch = if position == last { "└" } else { "├" };
            let name = pad(&graph.nodes[link.to].name(), widths.name);
            let what = pad(&link.what(), widths.what);
            out.push_str(&format!("{branch}─▶ {name}  {what}  {}\n", link.measures()));
        }
    }
    if !quiet.is_empty() {
        out.push_str(&format!("without calls: {}\n", quiet.join(", ")));
    }
    out
}

fn heading(node: &Node) -> String {
    let mut line = format!("{}  {}", node.name(), row::kind(node.kind));
    if node.calls > 0 {
        line.push_str(&format!(", serves {}", unit::rate(node.rate)));
    }
    line.push('\n');
    line
}

struct Widths {
    name: usize,
    what: usize,
}

impl Widths {
    fn of(graph: &Graph) -> Self {
        let names = graph
            .links
            .iter()
            .map(|link| graph.nodes[link.to].name().width());
        let whats = graph.links.iter().map(|link| link.what().width());
        Self {
            name: names.max().unwrap_or(0),
            what: whats.max().unwrap_or(0),
        }
    }
}

fn pad(text: &str, width: usize) -> String {
    let blanks = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(blanks))
}
