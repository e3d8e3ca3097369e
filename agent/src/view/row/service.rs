//! Services.

use super::{Row, age, duration, errors, kind, qualified};
use crate::{
    observe::model::ServiceItem,
    view::{
        table::{Cell, Column, Tone},
        unit,
    },
};

impl Row for ServiceItem {
    const COLUMNS: &'static [Column] = &[
        Column::left("SERVICE", 12),
        Column::left("KIND", 9),
        Column::left("PORTS", 8),
        Column::right("RATE", 8),
        Column::right("CALLS", 8),
        Column::right("ERRORS", 8),
        Column::right("P50", 7),
        Column::right("P95", 7),
        Column::right("P99", 7),
        Column::right("CALLERS", 7),
        Column::right("CALLEES", 7),
        Column::right("INSTANCES", 9).wide(),
        Column::right("SEEN", 4),
    ];

    const PATHS: &'static [&'static str] = &[
        "service",
        "namespace",
        "kind",
        "instances",
        "ports",
        "calls",
        "errors",
        "rate",
        "p50_ns",
        "p95_ns",
        "p99_ns",
        "callers",
        "callees",
        "last_seen",
    ];

    fn cells(&self, now: f64) -> Vec<Cell> {
        let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
        vec![
            qualified(self.namespace.as_deref(), &self.service).into(),
            Cell::toned(kind(self.kind), Tone::Dim),
            super::dash((!ports.is_empty()).then(|| ports.join(",")).as_deref()),
            unit::rate(self.rate).into(),
            self.calls.to_string().into(),
            errors(self.errors, self.calls),
            duration(self.p50_ns),
            duration(self.p95_ns),
            duration(self.p99_ns),
            self.callers.to_string().into(),
            self.callees.to_string().into(),
            self.instances.to_string().into(),
            age(now, self.last_seen),
        ]
    }
}
