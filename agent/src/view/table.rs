//! Aligned tables for people: no frames, two spaces between columns, as wide as they must be.

use unicode_width::UnicodeWidthStr;

use super::{row::Row, unit};

/// Which side of its column a cell keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Heading, upper case.
    pub name: &'static str,
    /// Side.
    pub align: Align,
    /// Shown with `-o wide` only.
    pub wide: bool,
    /// Width to begin with in a stream, where later rows are not known yet.
    pub stream_width: usize,
    /// Times, which in a live stream are shown without their date.
    pub time: bool,
}

impl Column {
    /// A column of words.
    pub const fn left(name: &'static str, stream_width: usize) -> Self {
        Self {
            name,
            align: Align::Left,
            wide: false,
            stream_width,
            time: false,
        }
    }

    /// A column of times.
    pub const fn time(name: &'static str) -> Self {
        Self {
            time: true,
            ..Self::left(name, "2026-11-30T04:38:22.656Z".len())
        }
    }

    /// A column of numbers.
    pub const fn right(name: &'static str, stream_width: usize) -> Self {
        Self {
            align: Align::Right,
            ..Self::left(name, stream_width)
        }
    }

    /// The same, shown with `-o wide` only.
    pub const fn wide(self) -> Self {
        Self { wide: true, ..self }
    }
}

/// How a cell is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// Beside the point.
    Dim,
    /// Fine.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
}

impl Tone {
    /// Colour of a share of errors.
    pub fn of_errors(share: f64) -> Self {
        match share {
            s if s <= 0.0 => Self::Plain,
            s if s < 0.05 => Self::Warn,
            _ => Self::Bad,
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "\u{1b}[2m",
            Self::Good => "\u{1b}[32m",
            Self::Warn => "\u{1b}[33m",
            Self::Bad => "\u{1b}[31m",
        }
    }
}

/// A cell: text that holds no control characters, and how it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell with a tone.
    pub fn toned(text: impl AsRef<str>, tone: Tone) -> Self {
        Self {
            text: unit::printable(text.as_ref()),
            tone,
        }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

/// How tables are written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// All columns.
    pub wide: bool,
    /// Leave the heading out.
    pub no_headers: bool,
    /// ANSI colours.
    pub color: bool,
}

/// Bytes of a time's date, with the T behind it.
const DATE_LEN: usize = "2026-11-30T".len();

/// What of a terminal's width each column but the last may have at most, unless it begins wider.
const SHARE: usize = 6;

/// What the last column has at least, whatever the terminal's width.
const LEAST: usize = 16;

/// Longest cell of a table that is not wide, in columns of the terminal.
const LONGEST: usize = 64;

/// Items as a table; `now` is the Unix time that ages are told from.
pub fn render<R: Row>(items: &[R], now: f64, style: Style) -> String {
    let mut rows: Vec<Vec<Cell>> = Vec::with_capacity(items.len());
    rows.extend(items.iter().map(|item| shown::<R>(item, now, style)));
    let columns = columns::<R>(style);
    let mut widths: Vec<usize> = columns
        .iter()
        .map(|column| {
            if style.no_headers {
                0
            } else {
                column.name.width()
            }
        })
        .collect();
    for row in &rows {
        grow(&mut widths, row);
    }
    let mut out = heading(&columns, &widths, style);
    for row in &rows {
        line(&mut out, &columns, &widths, row, style);
    }
    out
}

/// A table whose rows come one by one.
#[derive(Debug)]
pub struct StreamTable {
    columns: Vec<Column>,
    widths: Vec<usize>,
    style: Style,
    headed: bool,
    is_live: bool,
}

impl StreamTable {
    /// A table for items of type `R`.
    pub fn new<R: Row>(style: Style) -> Self {
        let columns = columns::<R>(style);
        let widths = columns
            .iter()
            .map(|column| column.stream_width.max(column.name.width()))
            .collect();
        Self {
            columns,
            widths,
            style,
            headed: false,
            is_live: false,
        }
    }

    /// The same for somebody who watches: of times the date is known, and left out.
    pub fn live(mut self) -> Self {
        self.is_live = true;
        for column in self.columns.iter_mut().filter(|column| column.time) {
            column.stream_width -= DATE_LEN;
        }
        for (width, column) in self.widths.iter_mut().zip(&self.columns) {
            *width = column.stream_width.max(column.name.width());
        }
        self
    }

    /// The next row, with the heading before the first one. A cell that does not fit makes its
    /// column wider from there on; on a terminal of `room` columns only so far that rows fit.
    pub fn row<R: Row>(&mut self, item: &R, now: f64, room: Option<usize>) -> String {
        let mut cells = shown::<R>(item, now, self.style);
        if self.is_live {
            for (cell, column) in cells.iter_mut().zip(&self.columns) {
                if column.time {
                    cell.text = cell.text.split_off(DATE_LEN.min(cell.text.len()));
                }
            }
        }
        let room = room.filter(|_| !self.style.wide);
        if let Some(room) = room {
            self.narrow(&mut cells, room);
        }
        grow(&mut self.widths, &cells);
        let mut out = String::new();
        if !std::mem::replace(&mut self.headed, true) {
            out = heading(&self.columns, &self.widths, self.style);
        }
        line(&mut out, &self.columns, &self.widths, &cells, self.style);
        out
    }

    /// Cuts cells so that the row fits into a terminal.
    fn narrow(&self, cells: &mut [Cell], room: usize) {
        let Some((last, others)) = cells.split_last_mut() else {
            return;
        };
        let mut used = 0;
        for ((cell, column), width) in others.iter_mut().zip(&self.columns).zip(&self.widths) {
            let most = column.stream_width.max(room / SHARE);
            cell.text = ellipsis(&cell.text, most);
            used += cell.text.width().max(*width) + 2;
        }
        last.text = ellipsis(&last.text, room.saturating_sub(used).max(LEAST));
    }
}

fn columns<R: Row>(style: Style) -> Vec<Column> {
    let shown = R::COLUMNS
        .iter()
        .filter(|column| style.wide || !column.wide);
    shown.copied().collect()
}

fn shown<R: Row>(item: &R, now: f64, style: Style) -> Vec<Cell> {
    let cells = item.cells(now);
    debug_assert_eq!(cells.len(), R::COLUMNS.len());
    let pairs = cells.into_iter().zip(R::COLUMNS);
    pairs
        .filter(|(_, column)| style.wide || !column.wide)
        .map(|(cell, _)| if style.wide { cell } else { shorten(cell) })
        .collect()
}

fn shorten(mut cell: Cell) -> Cell {
    if cell.text.width() > LONGEST {
        cell.text = ellipsis(&cell.text, LONGEST);
    }
    cell
}

/// Text cut to at most `width` columns, with `…` at the end where something is missing.
pub fn ellipsis(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        let mut longer = out.clone();
        longer.push(c);
        if longer.width() + 1 > width {
            break;
        }
        out = longer;
    }
    out.push('…');
    out
}

fn grow(widths: &mut [usize], row: &[Cell]) {
    for (width, cell) in widths.iter_mut().zip(row) {
        *width = (*width).max(cell.text.width());
    }
}

fn heading(columns: &[Column], widths: &[usize], style: Style) -> String {
    let mut out = String::new();
    if !style.no_headers {
        let names = columns
            .iter()
            .map(|column| Cell::toned(column.name, Tone::Dim));
        let names: Vec<Cell> = names.collect();
        line(&mut out, columns, widths, &names, style);
    }
    out
}

fn line(out: &mut String, columns: &[Column], widths: &[usize], row: &[Cell], style: Style) {
    let last = row.len().saturating_sub(1);
    for (index, cell) in row.iter().enumerate() {
        let pad = widths[index].saturating_sub(cell.text.width());
        let (before, after) = match columns[index].align {
            Align::Right => (pad, 0),
            // Nothing follows the last column: no blanks at line ends.
            Align::Left => (0, if index == last { 0 } else { pad }),
        };
        out.extend(std::iter::repeat_n(' ', before));
        if style.color && cell.tone != Tone::Plain {
            out.push_str(cell.tone.code());
            out.push_str(&cell.text);
            out.push_str("\u{1b}[0m");
        } else {
            out.push_str(&cell.text);
        }
        out.extend(std::iter::repeat_n(
            ' ',
            after + if index == last { 0 } else { 2 },
        ));
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    struct Item(&'static str, u32);

    impl Row for Item {
        const COLUMNS: &'static [Column] = &[
            Column::left("NAME", 6),
            Column::right("N", 3),
            Column::left("MORE", 4).wide(),
        ];
        const PATHS: &'static [&'static str] = &[];
        fn cells(&self, _: f64) -> Vec<Cell> {
            let tone = if self.1 > 9 { Tone::Bad } else { Tone::Plain };
            vec![
                self.0.into(),
                Cell::toned(self.1.to_string(), tone),
                "m".into(),
            ]
        }
    }

    fn style(wide: bool, no_headers: bool, color: bool) -> Style {
        Style {
            wide,
            no_headers,
            color,
        }
    }

    #[test]
    fn tables_are_aligned_by_terminal_width() {
        let items = [Item("größe", 7), Item("東京", 123), Item("x", 1)];
        assert_eq!(
            render(&items, 0.0, style(false, false, false)),
            "NAME     N\ngröße    7\n東京   123\nx        1\n"
        );
        assert_eq!(
            render(&items[..1], 0.0, style(true, true, false)),
            "größe  7  m\n"
        );
        assert_eq!(
            render(&items[1..2], 0.0, style(false, true, true)),
            "東京  \u{1b}[31m123\u{1b}[0m\n"
        );
        assert_eq!(render::<Item>(&[], 0.0, Style::default()), "NAME  N\n");
    }

    #[test]
    fn streams_grow_and_are_headed_once() {
        let mut table = StreamTable::new::<Item>(Style::default());
        assert_eq!(
            table.row(&Item("a", 1), 0.0, None),
            "NAME      N\na         1\n"
        );
        assert_eq!(
            table.row(&Item("longer-name", 2), 0.0, None),
            "longer-name    2\n"
        );
        assert_eq!(table.row(&Item("b", 3), 0.0, None), "b              3\n");
    }

    #[derive(Serialize)]
    struct Event(&'static str, &'static str);

    impl Row for Event {
        const COLUMNS: &'static [Column] = &[
            Column::time("TIME"),
            Column::left("WHO", 4),
            Column::left("WHAT", 6),
        ];
        const PATHS: &'static [&'static str] = &[];
        fn cells(&self, _: f64) -> Vec<Cell> {
            vec![unit::time(1.5).into(), self.0.into(), self.1.into()]
        }
    }

    #[test]
    fn rows_of_a_live_stream_fit_into_the_terminal() {
        let long = Event("somebody-else", "does something that takes long to tell");
        let mut table = StreamTable::new::<Event>(style(false, true, false)).live();
        for (room, expected) in [
            (
                Some(48),
                "00:00:01.500Z  somebod…  does something that ta…\n",
            ),
            // The last column keeps something to show, and other ones do not shrink again.
            (Some(20), "00:00:01.500Z  som…      does something …\n"),
            (
                None,
                "00:00:01.500Z  somebody-else  does something that takes long to tell\n",
            ),
        ] {
            assert_eq!(table.row(&long, 0.0, room), expected);
        }
        let mut table = StreamTable::new::<Event>(style(true, true, false));
        assert_eq!(
            table.row(&Event("a", "b"), 0.0, Some(20)),
            "1970-01-01T00:00:01.500Z  a     b\n"
        );
    }

    #[test]
    fn long_cells_are_cut_unless_wide() {
        assert_eq!(ellipsis("abcdef", 4), "abc…");
        assert_eq!(ellipsis("東京都", 4), "東…");
        assert_eq!(ellipsis("abc", 3), "abc");
    }
}
