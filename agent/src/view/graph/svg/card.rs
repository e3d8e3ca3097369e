//! The card of a service.

use std::fmt::Write;

use super::{icon, measure, style};
use crate::view::{
    graph::{
        Graph, Heat, Node,
        layout::{Point, Size},
    },
    row, unit,
};

/// Height of every card, px.
const HEIGHT: f64 = 78.0;

/// Width of cards, px: as their longest text needs, within these bounds.
const WIDTHS: (f64, f64) = (178.0, 280.0);

/// Left border of the text.
const TEXT: f64 = 50.0;

/// Size that all cards of a graph have.
pub fn size(graph: &Graph) -> Size {
    let needed = graph.nodes.iter().map(|node| {
        let figures: String = figures(node)
            .into_iter()
            .map(|(text, _)| text + "   ")
            .collect();
        let name = TEXT + measure::text(&unit::printable(&node.service), 14.5);
        let meta = TEXT + measure::text(&meta(node), 11.0);
        name.max(meta).max(16.0 + measure::text(&figures, 12.0)) + 14.0
    });
    let widest = needed.fold(0.0, f64::max);
    Size {
        width: widest.clamp(WIDTHS.0, WIDTHS.1).ceil(),
        height: HEIGHT,
    }
}

/// Draws the card of `node` with its top left corner `at`.
pub fn draw(out: &mut String, node: &Node, at: Point, size: Size) {
    let (w, h) = (size.width, size.height);
    let _ = writeln!(out, "<g transform=\"translate({:.1} {:.1})\">", at.x, at.y);
    let _ = writeln!(out, "<title>{}</title>", measure::escape(&tooltip(node)));
    let _ = writeln!(
        out,
        "<rect class=\"shade\" x=\"0\" y=\"3\" width=\"{w}\" height=\"{h}\" rx=\"11\"/>"
    );
    let _ = writeln!(
        out,
        "<rect class=\"card\" width=\"{w}\" height=\"{h}\" rx=\"11\"/>"
    );
    // The stripe says at a glance whether the service is well; it keeps inside the round corner.
    let stripe = match node.calls {
        0 => "calm".into(),
        _ => format!("f{}", style::heat(node.heat())),
    };
    let _ = writeln!(
        out,
        "<path class=\"{stripe}\" d=\"M.5 11a10.500 10.500 0 0 1 4-8.200V{:.1}a10.500 10.500 0 0 1-4-8.200z\"/>",
        h - 2.8
    );
    let _ = writeln!(
        out,
        "<rect class=\"badge\" x=\"14\" y=\"12\" width=\"28\" height=\"28\" rx=\"8\"/>"
    );
    let _ = writeln!(
        out,
        "<path class=\"icon\" transform=\"translate(20 18)\" d=\"{}\"/>",
        icon::path(node.kind)
    );
    text(
        out,
        "name",
        TEXT,
        25.0,
        &measure::fit(&unit::printable(&node.service), 14.5, w - TEXT - 12.0),
    );
    text(
        out,
        "meta",
        TEXT,
        40.0,
        &measure::fit(&meta(node), 11.0, w - TEXT - 12.0),
    );
    let mut x = 16.0;
    for (figure, heat) in figures(node) {
        let class = match heat {
            Some(heat) => format!("fig f{}", style::heat(heat)),
            None => "fig".into(),
        };
        text(out, &class, x, 64.0, &figure);
        x += measure::text(&figure, 12.0) + 13.0;
    }
    out.push_str("</g>\n");
}

fn text(out: &mut String, class: &str, x: f64, y: f64, text: &str) {
    let text = measure::escape(text);
    let _ = writeln!(
        out,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"
    );
}

/// `shop · unit · :8080 :9090`.
fn meta(node: &Node) -> String {
    let mut parts = Vec::new();
    parts.extend(node.namespace.as_deref().map(unit::printable));
    parts.push(row::kind(node.kind).to_owned());
    let ports: Vec<String> = node
        .ports
        .iter()
        .take(3)
        .map(|port| format!(":{port}"))
        .collect();
    if !ports.is_empty() {
        let more = if node.ports.len() > 3 { " …" } else { "" };
        parts.push(ports.join(" ") + more);
    }
    parts.join(" · ")
}

/// The last line: what the service serves, with a colour where it fails.
fn figures(node: &Node) -> Vec<(String, Option<Heat>)> {
    if node.calls == 0 && node.rate <= 0.0 {
        let words = if node.ports.is_empty() {
            "calls only"
        } else {
            "not called yet"
        };
        return vec![(words.into(), None)];
    }
    let mut figures = vec![(unit::rate(node.rate), None)];
    if let Some(p95) = node.p95_ns {
        figures.push((format!("p95 {}", unit::duration(p95)), None));
    }
    if node.errors > 0 {
        let share = unit::percent(unit::share(node.errors, node.calls));
        figures.push((format!("{share} errors"), Some(node.heat())));
    }
    figures
}

fn tooltip(node: &Node) -> String {
    let mut text = format!("{}\n{}", node.name(), meta(node));
    let _ = write!(
        text,
        "\n{} calls served, {} failed",
        node.calls, node.errors
    );
    if !node.folded.is_empty() {
        let _ = write!(text, "\n{}", node.folded.join("\n"));
    }
    text
}
