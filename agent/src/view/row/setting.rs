//! Settings with where they came from, as `weir check-config` prints them.

use serde::Serialize;

use super::Row;
use crate::view::table::{Cell, Column, Tone};

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingItem {
    /// Key in the file.
    pub key: String,
    /// Value in words.
    pub value: String,
    /// `default`, a file, or `flag`.
    pub source: String,
}

impl Row for SettingItem {
    const COLUMNS: &'static [Column] = &[
        Column::left("KEY", 18),
        Column::left("VALUE", 24),
        Column::left("FROM", 12),
    ];
    const PATHS: &'static [&'static str] = &["key", "value", "source"];

    fn cells(&self, _now: f64) -> Vec<Cell> {
        vec![
            (&self.key).into(),
            (&self.value).into(),
            Cell::toned(&self.source, Tone::Dim),
        ]
    }
}
