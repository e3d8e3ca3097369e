//! stdout and stderr: what is written where, with which colours.

use std::{
    io::{self, BufWriter, IsTerminal, Stdout, Write},
    time::SystemTime,
};

use super::Failure;
use crate::view::table::Style;

/// Buffered stdout; writing to a pipe that nobody reads ends the command gracefully.
pub struct Out(BufWriter<Stdout>);

impl Out {
    /// The process's stdout.
    pub fn new() -> Self {
        Self(BufWriter::with_capacity(64 << 10, io::stdout()))
    }

    /// Writes text.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        Ok(self.0.write_all(text.as_bytes())?)
    }

    /// Hands over what is buffered.
    pub fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.0.flush()?)
    }

    /// A sentence on stderr, after what was written to stdout so far.
    pub fn say(&mut self, sentence: &str) -> Result<(), Failure> {
        self.flush()?;
        say(sentence);
        Ok(())
    }
}

/// A sentence on stderr. Nobody reading it is no failure.
pub fn say(sentence: &str) {
    let _ = writeln!(io::stderr(), "{sentence}");
}

/// True if stdout is a terminal.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Columns of the terminal that stdout is, as it is now.
pub fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col != 0).then_some(size.ws_col.into())
}

/// True if colours are wanted on a stream: a terminal, and neither `NO_COLOR` nor a dumb one.
pub fn color(terminal: bool) -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    terminal && set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb")
}

/// Style of tables on stdout.
pub fn style(wide: bool, no_headers: bool) -> Style {
    Style {
        wide,
        no_headers,
        color: color(is_terminal()),
    }
}

/// Unix time now, seconds.
pub fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}
