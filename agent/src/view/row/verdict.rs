//! Policy decisions.

use super::{Row, name, verdict};
use crate::{
    observe::model::VerdictItem,
    view::{
        table::{Cell, Column, Tone},
        unit,
    },
};

impl Row for VerdictItem {
    const COLUMNS: &'static [Column] = &[
        Column::time("TIME"),
        Column::left("VERDICT", 7),
        Column::left("CLIENT", 12),
        Column::left("SERVER", 12),
        Column::right("PORT", 5),
        Column::left("TRANSPORT", 9),
        Column::left("POLICY", 16),
        Column::left("MODE", 7),
        Column::left("HOOK", 8),
        Column::left("REASON", 10).wide(),
        Column::left("CLIENT-INSTANCE", 12).wide(),
        Column::left("SERVER-ADDR", 12).wide(),
    ];

    const PATHS: &'static [&'static str] = &[
        "ts",
        "verdict",
        "policy",
        "mode",
        "hook",
        "reason",
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
        "transport",
    ];

    fn cells(&self, _now: f64) -> Vec<Cell> {
        vec![
            Cell::toned(unit::time(self.ts), Tone::Dim),
            verdict(&self.verdict),
            name(&self.client),
            name(&self.server),
            self.port.to_string().into(),
            (&self.transport).into(),
            (&self.policy).into(),
            (&self.mode).into(),
            (&self.hook).into(),
            (&self.reason).into(),
            super::instance(&self.client),
            (&self.server.addr).into(),
        ]
    }
}
