//! Findings of `weir doctor`.

use super::Row;
use crate::{
    control::api::DoctorItem,
    view::table::{Cell, Column, Tone},
};

impl Row for DoctorItem {
    const COLUMNS: &'static [Column] = &[
        Column::left("", 2),
        Column::left("CAPABILITY", 24),
        Column::left("FOUND", 24),
        Column::left("SINCE", 5),
        Column::left("WITHOUT IT", 24),
    ];

    const PATHS: &'static [&'static str] = &["name", "ok", "detail", "lost_without", "min_kernel"];

    fn cells(&self, _now: f64) -> Vec<Cell> {
        let (sign, tone, lost) = match self.ok {
            true => ("✓", Tone::Good, Tone::Dim),
            false => ("✗", Tone::Bad, Tone::Warn),
        };
        vec![
            Cell::toned(sign, tone),
            (&self.name).into(),
            (&self.detail).into(),
            Cell::toned(&self.min_kernel, Tone::Dim),
            Cell::toned(&self.lost_without, lost),
        ]
    }
}
