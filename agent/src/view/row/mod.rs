//! How each kind of item is written: its table columns, its cells, its CSV columns.

use serde::Serialize;

use super::{
    table::{Cell, Column, Tone},
    unit,
};
use crate::observe::model::{Endpoint, WorkloadKind};

mod doctor;
mod edge;
mod exchange;
mod flow;
mod policy;
mod service;
mod setting;
mod status;
mod tcp;
mod verdict;

#[cfg(test)]
mod tests;

pub use policy::{explanation, refusal};
pub use setting::SettingItem;
pub use status::status;

/// An item that can stand in a table.
pub trait Row: Serialize {
    /// All columns, those for `-o wide` included.
    const COLUMNS: &'static [Column];
    /// CSV columns: dotted paths into the item's JSON.
    const PATHS: &'static [&'static str];
    /// One cell per column; `now` is the Unix time of printing, seconds.
    fn cells(&self, now: f64) -> Vec<Cell>;
}

/// `namespace/service`, or the service alone.
fn name(endpoint: &Endpoint) -> Cell {
    let tone = match endpoint.kind {
        WorkloadKind::Unknown => Tone::Dim,
        _ => Tone::Plain,
    };
    Cell::toned(
        qualified(endpoint.namespace.as_deref(), &endpoint.service),
        tone,
    )
}

/// `namespace/service`, or the service alone.
pub fn qualified(namespace: Option<&str>, service: &str) -> String {
    match namespace {
        Some(namespace) => format!("{namespace}/{service}"),
        None => service.to_owned(),
    }
}

/// Lower-case name of a kind.
pub const fn kind(kind: WorkloadKind) -> &'static str {
    match kind {
        WorkloadKind::Unit => "unit",
        WorkloadKind::Container => "container",
        WorkloadKind::Pod => "pod",
        WorkloadKind::Process => "process",
        WorkloadKind::Remote => "remote",
        WorkloadKind::Unknown => "unknown",
    }
}

fn instance(endpoint: &Endpoint) -> Cell {
    dash(endpoint.instance.as_deref())
}

fn dash(text: Option<&str>) -> Cell {
    text.map_or_else(|| Cell::toned("-", Tone::Dim), Cell::from)
}

fn duration(ns: Option<u64>) -> Cell {
    dash(ns.map(unit::duration).as_deref())
}

/// `12 (0.3 %)`, or a faint 0.
fn errors(errors: u64, calls: u64) -> Cell {
    if errors == 0 {
        return Cell::toned("0", Tone::Dim);
    }
    let share = unit::share(errors, calls);
    Cell::toned(
        format!("{errors} ({})", unit::percent(share)),
        Tone::of_errors(share),
    )
}

/// A count that is worth a look when it is not zero.
fn trouble(count: u64) -> Cell {
    let tone = if count == 0 { Tone::Dim } else { Tone::Warn };
    Cell::toned(count.to_string(), tone)
}

fn yes(value: bool) -> Cell {
    if value {
        "yes".into()
    } else {
        Cell::toned("no", Tone::Dim)
    }
}

fn verdict(verdict: &str) -> Cell {
    let tone = match verdict {
        "deny" => Tone::Bad,
        "audit" => Tone::Warn,
        _ => Tone::Good,
    };
    Cell::toned(verdict, tone)
}

fn age(now: f64, then: f64) -> Cell {
    Cell::toned(unit::age(now - then), Tone::Dim)
}
