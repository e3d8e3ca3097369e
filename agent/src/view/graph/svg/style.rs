//! Colours and fonts, light and dark.

use std::fmt::Write;

use crate::view::graph::Heat;

const BASE: &str = "
svg{font-family:ui-sans-serif,system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue','DejaVu Sans',sans-serif}
text{fill:#1b2430}
.title{font-size:19px;font-weight:650;letter-spacing:-.2px}
.sub{font-size:12px;fill:#5c6877}
.warn{fill:#a8610b}
.faint{fill:#7d8896}
.middle{text-anchor:middle}
.end{text-anchor:end}
.page{fill:#f7f8fa}
.card{fill:#ffffff;stroke:#d3dae3;stroke-width:1}
.shade{fill:#1b2430;opacity:.05}
.name{font-size:14px;font-weight:600}
.meta{font-size:11px;fill:#6a7685}
.fig{font-size:12px;fill:#35404d}
.badge{fill:#eef1f5}
.icon{fill:none;stroke:#5c6877;stroke-width:1.4;stroke-linecap:round;stroke-linejoin:round}
.dot{fill:#5c6877}
.tag{fill:#f7f8fa}
.tag1{font-size:10px;fill:#7d8896;text-anchor:middle}
.tag2{font-size:11px;fill:#35404d;text-anchor:middle}
.calm{fill:#c3ccd6}
.rule{stroke:#dfe4ea;stroke-width:1}
.way{fill:none;stroke-linecap:round;opacity:.8}
.back{stroke-dasharray:7 5}
.quiet{opacity:.45}
.l:hover .way{opacity:1}
";

const DARK: &str = "
text{fill:#e6ebf1}
.sub{fill:#98a4b3}
.warn{fill:#e8a548}
.faint{fill:#7f8b9a}
.page{fill:#0f141a}
.card{fill:#1a212a;stroke:#313c49}
.shade{opacity:0}
.meta{fill:#8e9aa9}
.fig{fill:#c6d0db}
.badge{fill:#27313d}
.icon{stroke:#a3afbd}
.dot{fill:#a3afbd}
.tag{fill:#0f141a}
.tag1{fill:#7f8b9a}
.tag2{fill:#c6d0db}
.calm{fill:#475362}
.rule{stroke:#27313d}
";

/// Name of the class of a heat.
pub const fn heat(heat: Heat) -> &'static str {
    match heat {
        Heat::None => "h0",
        Heat::Low => "h1",
        Heat::Some => "h2",
        Heat::High => "h3",
    }
}

/// Colour on a dark ground.
const fn dark(heat: Heat) -> &'static str {
    match heat {
        Heat::None => "#4fb3a1",
        Heat::Low => "#d9c04a",
        Heat::Some => "#f09a3e",
        Heat::High => "#f05a66",
    }
}

/// The style sheet of every drawing.
pub fn sheet() -> String {
    let mut sheet = BASE.to_owned();
    colors(&mut sheet, Heat::color);
    let mut night = DARK.to_owned();
    colors(&mut night, dark);
    let _ = writeln!(sheet, "@media (prefers-color-scheme:dark){{{night}}}");
    sheet
}

fn colors(sheet: &mut String, color: fn(Heat) -> &'static str) {
    for class in Heat::ALL {
        let (name, color) = (heat(class), color(class));
        // As a line, as an area, as text.
        let _ = writeln!(sheet, ".s{name}{{stroke:{color}}}.f{name}{{fill:{color}}}");
    }
}
