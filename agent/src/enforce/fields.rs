//! Reads the fields of a mapping by name, and collects what is wrong with them.

use super::yaml::{Entry, Node, Value};
use crate::control::api::Refusal;

/// Collects the refusals of one file.
#[derive(Debug)]
pub struct Problems {
    file: String,
    found: Vec<Refusal>,
}

impl Problems {
    /// Nothing found yet in `file`.
    pub fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            found: Vec::new(),
        }
    }

    /// Notes that `path` at `line` (from 1; 0 = the whole file) cannot stand.
    pub fn refuse(
        &mut self,
        line: u32,
        path: &str,
        reason: impl AsRef<str>,
        remedy: impl Into<String>,
    ) {
        let reason = reason.as_ref();
        let reason = if path.is_empty() {
            reason.to_owned()
        } else {
            format!("{path}: {reason}")
        };
        self.found.push(Refusal {
            file: self.file.clone(),
            line,
            reason,
            remedy: remedy.into(),
        });
    }

    /// True when nothing was refused so far.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many refusals there are.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// The refusals, in the order of the file.
    pub fn into_refusals(mut self) -> Vec<Refusal> {
        self.found.sort_by_key(|refusal| refusal.line);
        self.found
    }
}

/// A mapping whose fields are taken one by one; what is left in the end is unknown.
#[derive(Debug)]
pub struct Fields<'a> {
    /// Where the mapping stands, e.g. `spec.from`.
    pub path: String,
    /// Line of the field that holds it.
    pub line: u32,
    left: Vec<&'a Entry>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Opens `node`; refuses it when it is no mapping. An empty value counts as no fields.
    pub fn open(node: &'a Node, line: u32, path: &str, problems: &mut Problems) -> Option<Self> {
        let left = match &node.value {
            Value::Map(entries) => entries.iter().collect(),
            _ if node.is_null() => Vec::new(),
            _ => {
                problems.refuse(
                    node.line,
                    path,
                    format!("needs fields (`name: value`), this is {}", node.kind()),
                    "see the example in the documentation of this field",
                );
                return None;
            }
        };
        Some(Self {
            path: path.to_owned(),
            line,
            left,
            known: Vec::new(),
        })
    }

    /// Takes a field; `None` when it is not there.
    pub fn take(&mut self, name: &'static str) -> Option<&'a Entry> {
        self.known.push(name);
        self.take_unlisted(name)
    }

    /// Takes a field that is not offered to those who ask what is known here.
    pub fn take_unlisted(&mut self, name: &str) -> Option<&'a Entry> {
        let place = self.left.iter().position(|entry| entry.key == name)?;
        Some(self.left.remove(place))
    }

    /// Path of a field of this mapping.
    pub fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// Takes a field that holds one non-empty text.
    pub fn text(&mut self, name: &'static str, problems: &mut Problems) -> Option<(String, u32)> {
        let entry = self.take(name)?;
        text_of(&entry.node, &self.path_of(name), problems).map(|text| (text, entry.node.line))
    }

    /// Takes a field that holds one of a few words.
    pub fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&str, T)],
        problems: &mut Problems,
    ) -> Option<T> {
        let (text, line) = self.text(name, problems)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        problems.refuse(
            line,
            &self.path_of(name),
            format!("`{text}` is not known"),
            format!("write {}", listed(&words)),
        );
        None
    }

    /// Takes a field that holds `true` or `false`.
    pub fn flag(&mut self, name: &'static str, problems: &mut Problems) -> Option<(bool, u32)> {
        let entry = self.take(name)?;
        match &entry.node.value {
            Value::Scalar { text, plain: true } if matches!(text.as_str(), "true" | "True") => {
                return Some((true, entry.node.line));
            }
            Value::Scalar { text, plain: true } if matches!(text.as_str(), "false" | "False") => {
                return Some((false, entry.node.line));
            }
            _ => {}
        }
        problems.refuse(
            entry.node.line,
            &self.path_of(name),
            "has to be `true` or `false`",
            format!("write `{name}: true`"),
        );
        None
    }

    /// True while fields are left that nobody took: once all known ones are taken, they are
    /// unknown, and what seems to be missing may be one of them misspelt.
    pub fn has_left(&self) -> bool {
        !self.left.is_empty()
    }

    /// Refuses every field that nobody took.
    pub fn finish(self, problems: &mut Problems) {
        for entry in &self.left {
            let remedy = match nearest(&entry.key, &self.known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            problems.refuse(
                entry.line,
                &self.path_of(&entry.key),
                "unknown field",
                remedy,
            );
        }
    }
}

/// The text of a scalar that is not empty; refuses anything else.
pub fn text_of(node: &Node, path: &str, problems: &mut Problems) -> Option<String> {
    match &node.value {
        Value::Scalar { text, .. } if !node.is_null() && !text.trim().is_empty() => {
            Some(text.clone())
        }
        _ => {
            let found = match &node.value {
                Value::Scalar { .. } => "nothing",
                _ => node.kind(),
            };
            problems.refuse(
                node.line,
                path,
                format!("needs a text, this is {found}"),
                "write one value after the colon",
            );
            None
        }
    }
}

/// `a`, `b` or `c`.
pub fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|word| format!("`{word}`")).collect();
            format!("{} or `{last}`", first.join(", "))
        }
    }
}

/// The known name that `word` is most likely a slip of: at most two letters away, in any case.
fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    if word.len() > 64 {
        return None;
    }
    let word = word.to_ascii_lowercase();
    known
        .iter()
        .map(|name| (distance(&word, &name.to_ascii_lowercase()), *name))
        .filter(|(distance, name)| *distance <= 2 && *distance < name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein distance over bytes.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
