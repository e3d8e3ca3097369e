//! The graph as a picture: cards from left to right, links as wide as they are busy and as hot
//! as they fail. One file without scripts, fonts or references; follows light and dark.

use std::fmt::Write;

use super::{
    Graph,
    layout::{self, Plan, Point, Size},
};
use crate::view::unit;

mod card;
mod icon;
mod legend;
mod link;
mod measure;
mod style;

/// Border around everything, px.
const MARGIN: f64 = 28.0;

/// Height of the title, px.
const TITLE: f64 = 62.0;

/// Above this many links their labels are left to the tooltips.
const LABELS_UP_TO: usize = 80;

/// Draws the graph.
pub fn draw(graph: &Graph) -> String {
    let labelled = graph.links.len() <= LABELS_UP_TO;
    let size = card::size(graph);
    let plan = Plan {
        cards: vec![size; graph.nodes.len()],
        links: graph
            .links
            .iter()
            .map(|link| (link.from, link.to, link::label_size(link, labelled)))
            .collect(),
    };
    let layout = layout::layout(&plan);
    let page = page(graph, layout.size, labelled);
    let origin = Point {
        x: (page.width - layout.size.width) / 2.0,
        y: MARGIN + TITLE,
    };
    let mut out = String::new();
    open(&mut out, graph, page);
    let _ = writeln!(
        out,
        "<g transform=\"translate({:.1} {:.1})\">",
        origin.x, origin.y
    );
    for (link, route) in graph.links.iter().zip(&layout.routes) {
        link::draw(&mut out, graph, link, route, &layout.cards[link.from], size);
    }
    for (node, at) in graph.nodes.iter().zip(&layout.cards) {
        card::draw(&mut out, node, *at, size);
    }
    if labelled {
        for (link, route) in graph.links.iter().zip(&layout.routes) {
            link::label(&mut out, link, route);
        }
    }
    out.push_str("</g>\n");
    if graph.nodes.is_empty() {
        nothing(&mut out, page);
    }
    legend::draw(&mut out, page, labelled);
    out.push_str("</svg>\n");
    out
}

/// `2026-11-22 23:05:12 UTC`.
fn clock(time: f64) -> String {
    let time = unit::time(time).replace('T', " ");
    let seconds = time.split('.').next().unwrap_or_default();
    format!("{seconds} UTC")
}

fn page(graph: &Graph, drawing: Size, labelled: bool) -> Size {
    let words =
        measure::text(&graph.summary(), 12.0) + measure::text(&unit::time(graph.time), 12.0);
    let drawing = match graph.nodes.is_empty() {
        true => Size {
            width: 420.0,
            height: 80.0,
        },
        false => drawing,
    };
    Size {
        width: drawing.width.max(words + 24.0).max(legend::width(labelled)) + 2.0 * MARGIN,
        height: drawing.height + TITLE + legend::HEIGHT + 2.0 * MARGIN,
    }
}

fn open(out: &mut String, graph: &Graph, page: Size) {
    let (width, height) = (page.width.ceil(), page.height.ceil());
    let summary = measure::escape(&graph.summary());
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"Who calls whom: {summary}\">"
    );
    let _ = writeln!(out, "<style>{}</style>", style::sheet());
    let _ = writeln!(
        out,
        "<rect class=\"page\" width=\"{width}\" height=\"{height}\" rx=\"14\"/>"
    );
    let time = clock(graph.time);
    let _ = writeln!(
        out,
        "<text class=\"title\" x=\"{MARGIN}\" y=\"{}\">Who calls whom</text>",
        MARGIN + 14.0
    );
    let class = if graph.completeness < 1.0 {
        "sub warn"
    } else {
        "sub"
    };
    let _ = writeln!(
        out,
        "<text class=\"{class}\" x=\"{MARGIN}\" y=\"{}\">{summary}<tspan class=\"faint\" dx=\"12\">{time}</tspan></text>",
        MARGIN + 36.0
    );
}

fn nothing(out: &mut String, page: Size) {
    let (x, y) = (page.width / 2.0, MARGIN + TITLE + 34.0);
    let _ = writeln!(
        out,
        "<text class=\"name middle\" x=\"{x}\" y=\"{y}\">No traffic seen yet</text>"
    );
    let hint = "`weir tap` shows the first exchange as it happens";
    let _ = writeln!(
        out,
        "<text class=\"sub middle\" x=\"{x}\" y=\"{}\">{hint}</text>",
        y + 22.0
    );
}
