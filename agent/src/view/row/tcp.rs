//! TCP facts of edges.

use super::{Row, duration, name, trouble};
use crate::{
    observe::model::TcpItem,
    view::{
        table::{Cell, Column, Tone},
        unit,
    },
};

impl Row for TcpItem {
    const COLUMNS: &'static [Column] = &[
        Column::left("CLIENT", 12),
        Column::left("SERVER", 12),
        Column::right("PORT", 5),
        Column::right("OPEN", 5),
        Column::right("OPENED", 6),
        Column::right("FAILED", 6),
        Column::right("RESETS", 6),
        Column::right("RETRANS", 8),
        Column::right("TIMEOUTS", 8),
        Column::right("RTT-P50", 7),
        Column::right("RTT-P95", 7),
        Column::right("CONNECT", 7),
        Column::right("OUT", 8),
        Column::right("IN", 8),
        Column::right("RETRANSMITS", 11).wide(),
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
        "port",
        "opened",
        "open",
        "connect_failures",
        "resets",
        "retransmits",
        "retransmit_ratio",
        "timeouts",
        "rtt_p50_ns",
        "rtt_p95_ns",
        "connect_p50_ns",
        "bytes_out",
        "bytes_in",
    ];

    fn cells(&self, _now: f64) -> Vec<Cell> {
        let retransmitted = match self.retransmit_ratio {
            r if r <= 0.0 => Tone::Dim,
            r if r < 0.01 => Tone::Plain,
            _ => Tone::Warn,
        };
        vec![
            name(&self.client),
            name(&self.server),
            self.port.to_string().into(),
            self.open.to_string().into(),
            self.opened.to_string().into(),
            trouble(self.connect_failures),
            trouble(self.resets),
            Cell::toned(unit::percent(self.retransmit_ratio), retransmitted),
            trouble(self.timeouts),
            duration(self.rtt_p50_ns),
            duration(self.rtt_p95_ns),
            duration(self.connect_p50_ns),
            unit::bytes(self.bytes_out).into(),
            unit::bytes(self.bytes_in).into(),
            self.retransmits.to_string().into(),
        ]
    }
}
