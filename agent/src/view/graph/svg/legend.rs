//! What colours, widths and dashes mean.

use std::fmt::Write;

use super::{MARGIN, link, measure, style};
use crate::view::graph::{Heat, layout::Size};

/// Height, px.
pub const HEIGHT: f64 = 46.0;

/// Width that the legend needs, px.
pub fn width(labelled: bool) -> f64 {
    row(0.0, labelled).1
}

/// Draws the legend at the foot of the page.
pub fn draw(out: &mut String, page: Size, labelled: bool) {
    let line = page.height - MARGIN - HEIGHT + 22.0;
    let right = page.width - MARGIN;
    let _ = writeln!(
        out,
        "<path class=\"rule\" d=\"M{MARGIN} {line:.1}H{right:.1}\"/>"
    );
    let y = page.height - MARGIN;
    let (row, _) = row(y, labelled);
    let _ = writeln!(out, "<g transform=\"translate({MARGIN} 0)\">\n{row}</g>");
}

/// The signs on the base line `y`, and how wide they are.
fn row(y: f64, labelled: bool) -> (String, f64) {
    let mut row = Row {
        out: String::new(),
        x: 0.0,
        y,
    };
    row.words("errors");
    for heat in Heat::ALL {
        row.square(heat);
        row.words(heat.words());
    }
    row.x += 8.0;
    row.words("calls");
    for (rate, name) in [(0.0, "0/s"), (99.0, "100/s"), (9_999.0, "10k/s")] {
        row.sample(link::width(rate), "");
        row.words(name);
    }
    row.sample(2.0, " back");
    row.words("closes a cycle");
    row.x += 8.0;
    row.words(match labelled {
        true => "on links: calls · 95th percentile · errors",
        false => "hover over a link for its figures",
    });
    (row.out, row.x)
}

struct Row {
    out: String,
    x: f64,
    y: f64,
}

impl Row {
    fn words(&mut self, words: &str) {
        let (x, y) = (self.x, self.y);
        let _ = writeln!(
            self.out,
            "<text class=\"meta\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>"
        );
        self.x += measure::text(words, 11.0) + 12.0;
    }

    fn square(&mut self, heat: Heat) {
        let (class, x, y) = (style::heat(heat), self.x, self.y - 9.5);
        let _ = writeln!(
            self.out,
            "<rect class=\"f{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"11\" height=\"11\" rx=\"3\"/>"
        );
        self.x += 16.0;
    }

    fn sample(&mut self, width: f64, class: &str) {
        let heat = style::heat(Heat::None);
        let (x, y, end) = (self.x, self.y - 4.0, self.x + 22.0);
        let _ = writeln!(
            self.out,
            "<path class=\"way s{heat}{class}\" stroke-width=\"{width:.1}\" d=\"M{x:.1} {y:.1}H{end:.1}\"/>"
        );
        self.x += 29.0;
    }
}
