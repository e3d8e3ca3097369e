//! The comparisons as box plots in one SVG picture.

use std::fmt::Write as _;

use super::{report::Ratio, stats::Spread};

const ROW: f64 = 64.0;
const LEFT: f64 = 210.0;
const WIDTH: f64 = 520.0;
const TOP: f64 = 44.0;
/// Ratios that the axis shows.
const RANGE: (f64, f64) = (0.8, 1.2);

/// Draws one row per comparison: weir above, the null pairs of the same run below.
pub fn svg(ratios: &[Ratio]) -> String {
    let height = TOP + ROW * ratios.len() as f64 + 40.0;
    let width = LEFT + WIDTH + 30.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#fbfbfa\"/>\n\
         <text x=\"20\" y=\"26\" font-size=\"14\" font-weight=\"600\" fill=\"#1d2433\">\
         Throughput with weir, as a share of bare</text>\n"
    );
    axis(&mut out, height);
    for (index, ratio) in ratios.iter().enumerate() {
        row(&mut out, TOP + ROW * index as f64, ratio);
    }
    out.push_str("</svg>\n");
    out
}

fn x(value: f64) -> f64 {
    let (low, high) = RANGE;
    LEFT + WIDTH * ((value.clamp(low, high) - low) / (high - low))
}

fn axis(out: &mut String, height: f64) {
    let bottom = height - 30.0;
    for tenth in 16..=24 {
        let value = f64::from(tenth) / 20.0;
        let (at, ink) = (x(value), if tenth == 20 { "#8a93a6" } else { "#e3e6ec" });
        let _ = writeln!(
            out,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\" stroke=\"{ink}\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#5b6478\">{value:.2}\
             </text>",
            bottom + 16.0
        );
    }
}

fn row(out: &mut String, top: f64, ratio: &Ratio) {
    let _ = writeln!(
        out,
        "<text x=\"20\" y=\"{:.1}\" fill=\"#1d2433\">{}</text>\
         <text x=\"20\" y=\"{:.1}\" fill=\"#5b6478\">weir {:.3} · null {:.3} · goal ≥ {}</text>",
        top + 26.0,
        escape(&ratio.name),
        top + 42.0,
        ratio.weir.median,
        ratio.null.median,
        ratio.goal
    );
    boxed(out, top + 14.0, &ratio.weir, "#2563a8");
    boxed(out, top + 38.0, &ratio.null, "#a3abba");
    let goal = x(ratio.goal);
    let _ = writeln!(
        out,
        "<line x1=\"{goal:.1}\" x2=\"{goal:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"#c2410c\" \
         stroke-dasharray=\"3 2\"/>",
        top + 8.0,
        top + 56.0
    );
}

/// Whiskers to the extremes, a box over the middle half, a stroke at the median.
fn boxed(out: &mut String, top: f64, spread: &Spread, ink: &str) {
    let middle = top + 8.0;
    let (lower, upper, median) = (x(spread.lower), x(spread.upper), x(spread.median));
    let _ = writeln!(
        out,
        "<line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" stroke=\"{ink}\"/>\
         <rect x=\"{lower:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"16\" rx=\"2\" \
         fill=\"{ink}\" fill-opacity=\"0.25\" stroke=\"{ink}\"/>\
         <line x1=\"{median:.1}\" x2=\"{median:.1}\" y1=\"{top:.1}\" y2=\"{:.1}\" \
         stroke=\"{ink}\" stroke-width=\"2.5\"/>",
        x(spread.min),
        x(spread.max),
        (upper - lower).max(1.0),
        top + 16.0
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
