//! Edges.

use super::{Row, age, dash, duration, errors, instance, name, yes};
use crate::{
    observe::model::EdgeItem,
    view::{
        table::{Cell, Column, Tone},
        unit,
    },
};

impl Row for EdgeItem {
    const COLUMNS: &'static [Column] = &[
        Column::left("CLIENT", 12),
        Column::left("SERVER", 12),
        Column::left("PROTOCOL", 8),
        Column::right("PORT", 5),
        Column::right("RATE", 8),
        Column::right("CALLS", 8),
        Column::right("ERRORS", 8),
        Column::right("P50", 7),
        Column::right("P95", 7),
        Column::right("P99", 7),
        Column::right("QUEUE", 7).wide(),
        Column::right("OUT", 8).wide(),
        Column::right("IN", 8).wide(),
        Column::right("CONNS", 5).wide(),
        Column::left("TLS", 3).wide(),
        Column::left("DESTINATION", 11).wide(),
        Column::right("COMPLETE", 8).wide(),
        Column::left("CLIENT-INSTANCE", 12).wide(),
        Column::left("SERVER-INSTANCE", 12).wide(),
        Column::left("SERVER-ADDR", 12).wide(),
        Column::right("SEEN", 4),
    ];

    const PATHS: &'static [&'static str] = &[
        "client.service",
        "client.namespace",
        "client.kind",
        "client.instance",
        "client.addr",
        "server.service",
        "server.namespace",
        "server.kind",
        "server.instance",
        "server.addr",
        "protocol",
        "port",
        "destination",
        "calls",
        "errors",
        "rate",
        "p50_ns",
        "p95_ns",
        "p99_ns",
        "queue_mean_ns",
        "bytes_out",
        "bytes_in",
        "connections",
        "tls",
        "completeness",
        "last_seen",
    ];

    fn cells(&self, now: f64) -> Vec<Cell> {
        let complete = match self.completeness {
            c if c < 1.0 => Tone::Warn,
            _ => Tone::Dim,
        };
        vec![
            name(&self.client),
            name(&self.server),
            (&self.protocol).into(),
            self.port.to_string().into(),
            unit::rate(self.rate).into(),
            self.calls.to_string().into(),
            errors(self.errors, self.calls),
            duration(self.p50_ns),
            duration(self.p95_ns),
            duration(self.p99_ns),
            duration(self.queue_mean_ns),
            unit::bytes(self.bytes_out).into(),
            unit::bytes(self.bytes_in).into(),
            self.connections.to_string().into(),
            yes(self.tls),
            dash(self.destination.as_deref()),
            Cell::toned(unit::percent(self.completeness), complete),
            instance(&self.client),
            instance(&self.server),
            (&self.server.addr).into(),
            age(now, self.last_seen),
        ]
    }
}
