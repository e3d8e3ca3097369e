//! Policies, explanations and refusals.

use super::{Row, dash, trouble};
use crate::{
    control::api::{Explanation, PolicyItem, Refusal},
    view::{
        table::{Cell, Column, Tone},
        unit,
    },
};

impl Row for PolicyItem {
    const COLUMNS: &'static [Column] = &[
        Column::left("NAME", 16),
        Column::left("KIND", 13),
        Column::left("ACTION", 10),
        Column::left("FROM", 12),
        Column::left("TO", 12),
        Column::left("MODE", 7),
        Column::right("ALLOWED", 8),
        Column::right("DENIED", 8),
        Column::right("AUDITED", 8),
        Column::left("HOOKS", 12).wide(),
        Column::left("SOURCE", 12).wide(),
    ];

    const PATHS: &'static [&'static str] = &[
        "name", "kind", "action", "from", "to", "mode", "hooks", "allowed", "denied", "audited",
        "source",
    ];

    fn cells(&self, _now: f64) -> Vec<Cell> {
        let action = match self.action.as_str() {
            "deny" => Tone::Bad,
            _ => Tone::Plain,
        };
        let mode = match self.mode.as_str() {
            "audit" => Tone::Warn,
            _ => Tone::Plain,
        };
        vec![
            (&self.name).into(),
            Cell::toned(&self.kind, Tone::Dim),
            Cell::toned(&self.action, action),
            (&self.from).into(),
            (&self.to).into(),
            Cell::toned(&self.mode, mode),
            self.allowed.to_string().into(),
            trouble(self.denied),
            trouble(self.audited),
            dash(
                (!self.hooks.is_empty())
                    .then(|| self.hooks.join(","))
                    .as_deref(),
            ),
            dash(self.source.as_deref()),
        ]
    }
}

/// The answer of `weir policy explain` in sentences.
pub fn explanation(explanation: &Explanation) -> String {
    let mut text = unit::printable(&explanation.verdict);
    text.push_str(&format!(" by {}", unit::printable(&explanation.policy)));
    if !explanation.hook.is_empty() {
        text.push_str(&format!(" at {}", unit::printable(&explanation.hook)));
    }
    text.push('\n');
    for sentence in &explanation.because {
        text.push_str(&format!("  {}\n", unit::printable(sentence)));
    }
    text
}

/// A refusal as `file:line: reason` with its remedy below.
pub fn refusal(refusal: &Refusal) -> String {
    let file = unit::printable(&refusal.file);
    let place = match refusal.line {
        0 => file,
        line => format!("{file}:{line}"),
    };
    let (reason, remedy) = (lines(&refusal.reason), lines(&refusal.remedy));
    if remedy.is_empty() {
        return format!("{place}: {reason}\n");
    }
    format!("{place}: {reason}\n  remedy: {remedy}\n")
}

/// Text of several lines made harmless for a terminal, later lines indented.
fn lines(text: &str) -> String {
    let lines: Vec<String> = text.trim_end().lines().map(unit::printable).collect();
    lines.join("\n    ")
}
