//! How the daemon is.

use super::Row;
use crate::{
    control::api::Status,
    view::{
        loss,
        table::{Cell, Column},
        unit,
    },
};

impl Row for Status {
    const COLUMNS: &'static [Column] = &[
        Column::left("VERSION", 8),
        Column::right("PID", 7),
        Column::right("UPTIME", 7),
        Column::right("EXCHANGES", 9),
        Column::right("RATE", 8),
        Column::right("EDGES", 5),
        Column::right("CONNECTIONS", 11),
        Column::right("COMPLETE", 8),
    ];

    const PATHS: &'static [&'static str] = &[
        "version",
        "pid",
        "uptime_seconds",
        "kernel",
        "exchanges",
        "rate",
        "edges",
        "connections",
        "policies",
        "completeness",
        "missing",
        "hooks",
    ];

    fn cells(&self, _now: f64) -> Vec<Cell> {
        vec![
            (&self.version).into(),
            self.pid.to_string().into(),
            unit::age(self.uptime_seconds).into(),
            self.exchanges.to_string().into(),
            unit::rate(self.rate).into(),
            self.edges.to_string().into(),
            self.connections.to_string().into(),
            unit::percent(self.completeness).into(),
        ]
    }
}

/// A page of `name  value` lines; `wide` adds how full each map is and every hook.
pub fn status(status: &Status, wide: bool) -> String {
    let mut page = Page(String::new());
    let uptime = unit::duration((status.uptime_seconds.max(0.0) * 1e9) as u64);
    page.line(
        "weir",
        &format!(
            "{}, pid {}, up {uptime}, Linux {}",
            status.version, status.pid, status.kernel
        ),
    );
    page.line(
        "traffic",
        &format!(
            "{}, {} exchanges, {} edges, {} connections open",
            unit::rate(status.rate),
            status.exchanges,
            status.edges,
            status.connections
        ),
    );
    page.line("complete", &completeness(status));
    page.line("policies", &status.policies.to_string());
    for (name, state) in &status.exporters {
        page.line("export", &format!("{name}: {state}"));
    }
    page.line("hooks", &format!("{} in force", status.hooks.len()));
    for missing in &status.missing {
        page.line("missing", missing);
    }
    for (name, (entries, capacity)) in &status.map_fill {
        let share = unit::share(*entries, *capacity);
        // A map that is nearly full will soon fold or lose: that is worth a line by itself.
        if wide || share > 0.8 {
            let fill = unit::percent(share);
            page.line("map", &format!("{name}: {entries} of {capacity} ({fill})"));
        }
    }
    if wide {
        page.line("hook", &status.hooks.join(", "));
    }
    page.0
}

fn completeness(status: &Status) -> String {
    let share = unit::percent(status.completeness);
    let total: u64 = status.lost.values().sum();
    match total {
        0 => format!("{share}, nothing lost"),
        total => format!("{share}, {total} lost ({})", loss::reasons(&status.lost)),
    }
}

struct Page(String);

impl Page {
    fn line(&mut self, name: &str, value: &str) {
        let value = unit::printable(value);
        self.0.push_str(&format!("{name:<10}{value}\n"));
    }
}
