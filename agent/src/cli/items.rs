//! Writes items one by one, in the form that was asked for.

use std::marker::PhantomData;

use super::{
    Failure,
    args::{Format, Output},
    out::{self, Out},
};
use crate::view::{csv, json, row::Row, table::StreamTable};

/// Writer of a list that is not known as a whole.
pub(super) struct Items<R> {
    /// Where to.
    pub out: Out,
    form: Format,
    table: StreamTable,
    headed: bool,
    item: PhantomData<R>,
}

impl<R: Row> Items<R> {
    /// Writes to stdout.
    pub fn new(output: Output) -> Self {
        let style = out::style(output.output == Format::Wide, output.no_headers);
        Self {
            out: Out::new(),
            form: output.output,
            table: StreamTable::new::<R>(style),
            headed: output.no_headers,
            item: PhantomData,
        }
    }

    /// The same for items that happen while they are written. Who reads a file later may not know the
    /// day.
    pub fn live(output: Output) -> Self {
        let mut items = Self::new(output);
        if out::is_terminal() {
            items.table = items.table.live();
        }
        items
    }

    /// Writes an item, with the heading before the first one. `-o json` has no form for single
    /// items and is written like `-o jsonl`.
    pub fn item(&mut self, item: &R) -> Result<(), Failure> {
        match self.form {
            Format::Table | Format::Wide => {
                let row = self.table.row(item, out::now(), out::terminal_width());
                self.out.text(&row)
            }
            Format::Json | Format::Jsonl => self.out.text(&json::line(item)),
            Format::Csv => {
                if !std::mem::replace(&mut self.headed, true) {
                    self.out.text(&csv::header(R::PATHS))?;
                }
                self.out.text(&csv::record(item, R::PATHS))
            }
        }
    }
}
