//! What is wrong with a configuration file, where, and what to do about it.

use std::{fmt, path::PathBuf};

use super::file::KEYS;

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// File, as opened.
    pub file: PathBuf,
    /// Line, from 1; 0 if it concerns the file as a whole.
    pub line: usize,
    /// Key with its table, e.g. `otlp.endpoint`; empty if none is concerned.
    pub key: String,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}\n  remedy: {}", self.reason, self.remedy)
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    /// An error of the file as a whole.
    pub(super) fn of_file(file: PathBuf, reason: String, remedy: &str) -> Self {
        Self {
            file,
            line: 0,
            key: String::new(),
            reason,
            remedy: remedy.into(),
        }
    }

    /// Turns the parser's error into place, key and remedy.
    pub(super) fn of_toml(file: PathBuf, text: &str, error: &toml::de::Error) -> Self {
        let offset = error.span().map_or(0, |span| span.start).min(text.len());
        let line = text[..offset].matches('\n').count() + 1;
        let key = key_at(text, line);
        let reason = error.message().trim_end().to_owned();
        let remedy = remedy(&key, &reason);
        Self {
            file,
            line,
            key,
            reason,
            remedy,
        }
    }
}

/// The dotted key that stands on a line, with the table it stands in; empty if there is none.
fn key_at(text: &str, line: usize) -> String {
    let mut table = String::new();
    let mut found = String::new();
    for (index, content) in text.lines().take(line).enumerate() {
        let content = content.trim();
        if content.starts_with('[') {
            table = content
                .split(']')
                .next()
                .unwrap_or_default()
                .trim_matches(['[', ' '])
                .to_owned();
            found.clear();
        }
        if index + 1 < line {
            continue;
        }
        if let Some((name, _)) = content.split_once('=')
            && !content.starts_with(['#', '['])
        {
            found = name.trim().trim_matches('"').to_owned();
        }
    }
    match (table.is_empty(), found.is_empty()) {
        (true, _) => found,
        (false, true) => table,
        (false, false) => format!("{table}.{found}"),
    }
}

fn remedy(key: &str, reason: &str) -> String {
    if reason.starts_with("unknown field") {
        return match nearest(key) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("remove it; known keys are {}", known_keys()),
        };
    }
    if reason.starts_with("missing field") {
        return "add it, or remove the whole table".into();
    }
    KEYS.iter().find(|(name, _)| *name == key).map_or_else(
        || "see `weir check-config --help`".into(),
        |(_, form)| format!("write it like `{form}`"),
    )
}

fn known_keys() -> String {
    let names: Vec<&str> = KEYS.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// The known key that differs least from `key`, if it differs by few letters.
fn nearest(key: &str) -> Option<&'static str> {
    let table = key.rsplit_once('.').map_or("", |(table, _)| table);
    KEYS.iter()
        .map(|(name, _)| *name)
        .filter(|name| name.rsplit_once('.').map_or("", |(t, _)| t) == table)
        .map(|name| (distance(key, name), name))
        .filter(|(changes, name)| *changes <= 1 + name.len() / 4)
        .min()
        .map(|(_, name)| name)
}

/// Letters to change, add or remove to get from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_with_their_table() {
        let text = "socket = 1\n# a = b\n[otlp]\nendpoint = 3\n\n[[service]]\nname = \"x\"\n";
        for (line, expected) in [
            (1, "socket"),
            (2, ""),
            (3, "otlp"),
            (4, "otlp.endpoint"),
            (6, "service"),
            (7, "service.name"),
        ] {
            assert_eq!(key_at(text, line), expected, "line {line}");
        }
    }

    #[test]
    fn a_misspelt_key_is_answered_with_the_right_one() {
        for (written, expected) in [
            ("sockt", Some("socket")),
            ("otlp.endpiont", Some("otlp.endpoint")),
            ("otlp.socket", None),
            ("colour", None),
        ] {
            assert_eq!(nearest(written), expected, "{written}");
        }
    }
}
