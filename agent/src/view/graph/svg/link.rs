//! A link: its curve, its arrow, its label.

use std::fmt::Write;

use super::{measure, style};
use crate::view::{
    graph::{
        Graph, Link,
        layout::{Point, Route, Size},
    },
    unit,
};

/// Width of the line of a link with that many calls per second, px: 1.5 when quiet, one more
/// for about every factor of ten.
pub fn width(rate: f64) -> f64 {
    (1.5 + 1.15 * (1.0 + rate.max(0.0)).log10()).min(7.5)
}

/// Room for the label.
pub fn label_size(link: &Link, labelled: bool) -> Size {
    if !labelled {
        return Size {
            width: 0.0,
            height: 8.0,
        };
    }
    let what = measure::text(&link.what(), 10.0);
    let (figures, errors) = figures(link);
    let measures = measure::text(&figures, 11.0) + measure::text(&errors, 11.0);
    Size {
        width: what.max(measures) + 14.0,
        height: 32.0,
    }
}

/// Draws line and arrow. `caller` is the corner of the calling card of size `card`.
pub fn draw(
    out: &mut String,
    graph: &Graph,
    link: &Link,
    route: &Route,
    caller: &Point,
    card: Size,
) {
    let width = width(link.rate());
    let arrow = 6.0 + width * 1.3;
    let (path, tip, back) = match route.is_loop {
        true => circle(caller, card, arrow),
        false => curve(&route.points, arrow),
    };
    let heat = style::heat(link.heat());
    let mut class = format!("way s{heat}");
    if route.reversed {
        class.push_str(" back");
    }
    let quiet = if link.rate() > 0.0 { "" } else { " quiet" };
    let title = measure::escape(&tooltip(graph, link));
    let _ = writeln!(
        out,
        "<g class=\"l{quiet}\"><title>{title}</title>\
         <path class=\"{class}\" stroke-width=\"{width:.1}\" d=\"{path}\"/>\
         <path class=\"f{heat}\" d=\"{}\"/></g>",
        head(tip, back, arrow)
    );
}

/// Draws the label over the line.
pub fn label(out: &mut String, link: &Link, route: &Route) {
    let size = label_size(link, true);
    let Point { x, y } = route.label;
    let (w, h) = (size.width, size.height);
    let _ = writeln!(
        out,
        "<rect class=\"tag\" x=\"{:.1}\" y=\"{:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" rx=\"6\"/>",
        x - w / 2.0,
        y - h / 2.0
    );
    let what = measure::escape(&link.what());
    let _ = writeln!(
        out,
        "<text class=\"tag1\" x=\"{x:.1}\" y=\"{:.1}\">{what}</text>",
        y - 3.5
    );
    let (figures, errors) = figures(link);
    let heat = style::heat(link.heat());
    let _ = writeln!(
        out,
        "<text class=\"tag2\" x=\"{x:.1}\" y=\"{:.1}\">{figures}<tspan class=\"f{heat}\" dx=\"4\">{}</tspan></text>",
        y + 10.0,
        measure::escape(&errors)
    );
}

/// `12.3/s · 4.3ms`, and `· 0.3 %` where calls failed; the legend says what is what.
fn figures(link: &Link) -> (String, String) {
    let mut figures = unit::rate(link.rate());
    if let Some(p95) = link.p95_ns() {
        let _ = write!(figures, " · {}", unit::duration(p95));
    }
    let (calls, errors) = link.counts();
    let errors = match errors {
        0 => String::new(),
        n => format!("· {}", unit::percent(unit::share(n, calls))),
    };
    (figures, errors)
}

/// Curves from pair to pair of points, level at each; ends short of the last one, where the
/// arrow begins. Gives the path, the arrow's tip, and its direction (−1 = to the left).
fn curve(points: &[Point], arrow: f64) -> (String, Point, f64) {
    let (Some(first), Some(tip)) = (points.first(), points.last()) else {
        return (String::new(), Point::default(), 1.0);
    };
    let way = if tip.x >= first.x { 1.0 } else { -1.0 };
    let mut path = format!("M{:.1} {:.1}", first.x, first.y);
    let mut at = *first;
    for (index, point) in points.iter().enumerate().skip(1) {
        let mut to = *point;
        if index + 1 == points.len() {
            to.x -= way * arrow * 0.8;
        }
        // Points come in pairs: a curve leads to the first, a straight line to the second.
        if index % 2 == 0 {
            let _ = write!(path, "L{:.1} {:.1}", to.x, to.y);
        } else {
            let bend = (to.x - at.x) * 0.5;
            let (x1, x2) = (at.x + bend, to.x - bend);
            let _ = write!(
                path,
                "C{x1:.1} {:.1} {x2:.1} {:.1} {:.1} {:.1}",
                at.y, to.y, to.x, to.y
            );
        }
        at = to;
    }
    (path, *tip, way)
}

/// A loop above the right end of the card; the arrow points down.
fn circle(caller: &Point, card: Size, arrow: f64) -> (String, Point, f64) {
    let (start, end) = (caller.x + card.width - 46.0, caller.x + card.width - 18.0);
    let top = caller.y;
    let path = format!(
        "M{start:.1} {top:.1}C{start:.1} {high:.1} {end:.1} {high:.1} {end:.1} {:.1}",
        top - arrow * 0.8,
        high = top - 36.0
    );
    (path, Point { x: end, y: top }, 0.0)
}

/// An arrow head with its tip at `tip`: to the right (1), to the left (−1) or downwards (0).
fn head(tip: Point, way: f64, length: f64) -> String {
    let half = length * 0.45;
    let (x, y) = (tip.x, tip.y);
    if way == 0.0 {
        let top = y - length;
        return format!(
            "M{x:.1} {y:.1}L{:.1} {top:.1}L{:.1} {top:.1}Z",
            x - half,
            x + half
        );
    }
    let base = x - way * length;
    format!(
        "M{x:.1} {y:.1}L{base:.1} {:.1}L{base:.1} {:.1}Z",
        y - half,
        y + half
    )
}

fn tooltip(graph: &Graph, link: &Link) -> String {
    let (from, to) = (graph.nodes[link.from].name(), graph.nodes[link.to].name());
    let mut text = format!("{from} → {to}");
    for edge in link.edges.iter().take(12) {
        let _ = write!(
            text,
            "\n{} :{}  {}  {} calls, {} failed  p50 {}  p95 {}  p99 {}{}",
            edge.protocol,
            edge.port,
            unit::rate(edge.rate),
            edge.calls,
            edge.errors,
            unit::maybe_duration(edge.p50_ns),
            unit::maybe_duration(edge.p95_ns),
            unit::maybe_duration(edge.p99_ns),
            if edge.tls { "  TLS" } else { "" }
        );
    }
    if link.edges.len() > 12 {
        let _ = write!(text, "\nand {} more", link.edges.len() - 12);
    }
    text
}
