//! Exchanges.

use super::{Row, dash, duration, name, verdict};
use crate::{
    observe::model::Exchange,
    view::{
        table::{Cell, Column, Tone},
        unit,
    },
};

impl Row for Exchange {
    const COLUMNS: &'static [Column] = &[
        Column::time("TIME"),
        Column::left("CLIENT", 12),
        Column::left("SERVER", 12),
        Column::left("PROTOCOL", 8).wide(),
        Column::right("STATUS", 6),
        Column::right("DURATION", 8),
        Column::right("FIRST-BYTE", 10).wide(),
        Column::right("QUEUE", 8).wide(),
        Column::right("REQUEST", 8).wide(),
        Column::right("RESPONSE", 8).wide(),
        Column::right("MESSAGES", 8).wide(),
        Column::left("VERDICT", 7).wide(),
        Column::left("TRACE", 32).wide(),
        Column::left("OPERATION", 16),
        Column::left("PATH", 16).wide(),
    ];

    const PATHS: &'static [&'static str] = &[
        "ts",
        "duration_ns",
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
        "operation",
        "method",
        "path",
        "status",
        "error",
        "request_bytes",
        "response_bytes",
        "request_messages",
        "response_messages",
        "time_to_first_byte_ns",
        "queue_ns",
        "destination",
        "trace_id",
        "span_id",
        "parent_span_id",
        "confidence",
        "tls",
        "tls_handshake.version",
        "tls_handshake.cipher",
        "tls_handshake.server_name",
        "tls_handshake.alpn",
        "verdict",
    ];

    fn cells(&self, _now: f64) -> Vec<Cell> {
        let status = match (self.status, &self.error) {
            (Some(code), _) => code.to_string(),
            (None, Some(error)) => error.clone(),
            (None, None) => "-".into(),
        };
        let tone = match self.status {
            Some(400..500) => Tone::Warn,
            _ if self.error.is_some() => Tone::Bad,
            _ => Tone::Plain,
        };
        vec![
            Cell::toned(unit::time(self.ts), Tone::Dim),
            name(&self.client),
            name(&self.server),
            (&self.protocol).into(),
            Cell::toned(status, tone),
            unit::duration(self.duration_ns).into(),
            duration(self.time_to_first_byte_ns),
            duration(self.queue_ns),
            unit::bytes(self.request_bytes).into(),
            unit::bytes(self.response_bytes).into(),
            messages(self).into(),
            verdict(&self.verdict),
            dash(self.trace_id.as_deref()),
            (&self.operation).into(),
            dash(self.path.as_deref()),
        ]
    }
}

/// `3/12`: messages of the client and of the server; `12` where only the server sends any, `3/-`
/// where not all of one side were seen.
fn messages(exchange: &Exchange) -> String {
    match (exchange.request_messages, exchange.response_messages) {
        (Some(request), Some(response)) => format!("{request}/{response}"),
        (None, Some(response)) if exchange.protocol == "grpc" => format!("-/{response}"),
        (None, Some(response)) => response.to_string(),
        (Some(request), None) => format!("{request}/-"),
        (None, None) => "-".into(),
    }
}
