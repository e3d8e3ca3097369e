//! Connections.

use super::{Row, duration, name, trouble, yes};
use crate::{
    observe::model::FlowItem,
    view::{
        table::{Cell, Column, Tone},
        unit,
    },
};

impl Row for FlowItem {
    const COLUMNS: &'static [Column] = &[
        Column::time("TIME").wide(),
        Column::left("EVENT", 6),
        Column::left("CLIENT", 12),
        Column::left("SERVER", 12),
        Column::left("PROTOCOL", 8),
        Column::left("CLIENT-ADDR", 20),
        Column::left("SERVER-ADDR", 20),
        Column::right("AGE", 5),
        Column::right("OUT", 9),
        Column::right("IN", 9),
        Column::right("EXCHANGES", 9),
        Column::right("RTT", 7),
        Column::right("RTT-MIN", 7).wide(),
        Column::right("CONNECT", 7).wide(),
        Column::right("RETRANS", 7),
        Column::left("TLS", 3).wide(),
        Column::left("ADOPTED", 7).wide(),
    ];

    const PATHS: &'static [&'static str] = &[
        "ts",
        "event",
        "client.service",
        "client.namespace",
        "client.kind",
        "client.instance",
        "server.service",
        "server.namespace",
        "server.kind",
        "server.instance",
        "protocol",
        "client_addr",
        "server_addr",
        "age_seconds",
        "bytes_out",
        "bytes_in",
        "exchanges",
        "srtt_ns",
        "rtt_min_ns",
        "connect_ns",
        "retransmits",
        "reset",
        "tls",
        "adopted",
    ];

    fn cells(&self, _now: f64) -> Vec<Cell> {
        let event = match (self.event.as_str(), self.reset) {
            ("failed", _) => Cell::toned("failed", Tone::Bad),
            (_, true) => Cell::toned("reset", Tone::Warn),
            (event, false) => event.into(),
        };
        vec![
            Cell::toned(unit::time(self.ts), Tone::Dim),
            event,
            name(&self.client),
            name(&self.server),
            (&self.protocol).into(),
            (&self.client_addr).into(),
            (&self.server_addr).into(),
            unit::age(self.age_seconds).into(),
            unit::bytes(self.bytes_out).into(),
            unit::bytes(self.bytes_in).into(),
            self.exchanges.to_string().into(),
            duration((self.srtt_ns > 0).then_some(self.srtt_ns)),
            duration((self.rtt_min_ns > 0).then_some(self.rtt_min_ns)),
            duration(self.connect_ns),
            trouble(self.retransmits.into()),
            yes(self.tls),
            yes(self.adopted),
        ]
    }
}
