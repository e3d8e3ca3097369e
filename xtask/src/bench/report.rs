//! What a benchmark found: tables for people, one JSON document for programs.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::stats::Spread;
use crate::sh;

/// weir against bare, beside bare against bare in the same run.
#[derive(Clone, Debug, Serialize)]
pub struct Ratio {
    /// What was run.
    pub name: String,
    /// What is hoped for: the median is to be at least this.
    pub goal: f64,
    /// weir / bare of each pair.
    pub weir: Spread,
    /// bare / bare of each null pair.
    pub null: Spread,
    /// Bare figures, in `unit`.
    pub bare: Spread,
    /// Unit of `bare`.
    pub unit: String,
    /// Pairs of each kind.
    pub pairs: usize,
    /// Exchanges that were served but not counted, over all windows; `None` if not compared.
    pub uncounted: Option<i64>,
}

/// Rows of text with a title.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    /// Title.
    pub title: String,
    /// One per column.
    pub head: Vec<String>,
    /// Cells.
    pub rows: Vec<Vec<String>>,
    /// A sentence below: how it was measured.
    pub note: String,
}

/// What one scenario found.
pub enum Outcome {
    /// A pairwise comparison.
    Ratio(Ratio),
    /// Anything else.
    Table(Table),
}

/// All of one run.
#[derive(Serialize)]
pub struct Report {
    /// Version of this shape.
    pub v: u32,
    /// Kernel release.
    pub kernel: String,
    /// Processor.
    pub cpu: String,
    /// Its count.
    pub cpus: usize,
    /// Commit measured.
    pub commit: String,
    /// Comparisons.
    pub ratios: Vec<Ratio>,
    /// Tables.
    pub tables: Vec<Table>,
}

impl Report {
    /// A report on this machine without findings.
    pub fn new() -> Self {
        let ask = |words: &[&str]| sh::capture(&mut sh::command(words)).unwrap_or_default();
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpu.lines().find(|line| line.starts_with("model name"));
        Self {
            v: 1,
            kernel: ask(&["uname", "-r"]),
            cpu: cpu
                .and_then(|line| line.split(": ").nth(1))
                .unwrap_or("unknown processor")
                .to_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            commit: ask(&["git", "rev-parse", "--short", "HEAD"]),
            ratios: Vec::new(),
            tables: Vec::new(),
        }
    }

    /// Adds a finding.
    pub fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Ratio(ratio) => self.ratios.push(ratio),
            Outcome::Table(table) => self.tables.push(table),
        }
    }

    /// Everything as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "Measured by `cargo xtask bench` at {} on Linux {}, {} × {}.\n",
            self.commit, self.kernel, self.cpus, self.cpu
        );
        if !self.ratios.is_empty() {
            text.push('\n');
            text.push_str(&markdown(&self.ratio_table()));
        }
        for table in &self.tables {
            text.push('\n');
            text.push_str(&markdown(table));
        }
        text
    }

    fn ratio_table(&self) -> Table {
        let rows = self.ratios.iter().map(|ratio| {
            let counted = match ratio.uncounted {
                None => "–".to_owned(),
                Some(0) => "all".to_owned(),
                Some(missing) => format!("{missing} missing"),
            };
            vec![
                ratio.name.clone(),
                ratio.weir.show(3),
                ratio.null.show(3),
                format!("≥ {}", ratio.goal),
                format!("{} {}", round(ratio.bare.median), ratio.unit),
                counted,
                ratio.pairs.to_string(),
            ]
        });
        Table {
            title: "weir against bare".into(),
            head: [
                "",
                "weir / bare",
                "bare / bare",
                "goal",
                "bare",
                "counted",
                "pairs",
            ]
            .map(str::to_owned)
            .to_vec(),
            rows: rows.collect(),
            note: "Medians with quartiles of alternating pairs; bare / bare is the noise of the \
                   same run."
                .into(),
        }
    }

    /// Writes the JSON document.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text + "\n").with_context(|| format!("write {}", path.display()))
    }
}

/// Three significant digits at least, no needless decimals.
pub fn round(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn markdown(table: &Table) -> String {
    let mut text = format!("**{}**\n\n", table.title);
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    text.push_str(&line(&table.head));
    text.push_str(&line(&vec!["---".to_owned(); table.head.len()]));
    for row in &table.rows {
        text.push_str(&line(row));
    }
    if !table.note.is_empty() {
        text.push_str(&format!("\n{}\n", table.note));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Table, markdown, round};

    #[test]
    fn tables_are_markdown() {
        let table = Table {
            title: "T".into(),
            head: vec!["a".into(), "b".into()],
            rows: vec![vec!["1".into(), "2".into()]],
            note: "N.".into(),
        };
        assert_eq!(
            markdown(&table),
            "**T**\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\nN.\n"
        );
    }

    #[test]
    fn figures_are_short() {
        for (value, expected) in [(71234.6, "71235"), (12.34, "12.3"), (0.987, "0.99")] {
            assert_eq!(round(value), expected);
        }
    }
}
