//! YAML text → documents whose every node knows its line.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

/// Nesting beyond this is refused: no policy needs it, and hostile text shall not cost memory.
const MAX_DEPTH: usize = 24;

/// A node of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Line of its first character, from 1.
    pub line: u32,
    /// What it is.
    pub value: Value,
}

/// The kinds of nodes that policies are made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text as written; `plain` when it stands without quotes.
    Scalar {
        /// The text.
        text: String,
        /// False for quoted and block scalars, which are always strings.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<Entry>),
}

/// A field of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name.
    pub key: String,
    /// Line of the name, from 1.
    pub line: u32,
    /// Its value.
    pub node: Node,
}

/// Text that is not YAML, or not the part of it that policies use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Line, from 1.
    pub line: u32,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

impl SyntaxError {
    fn new(line: u32, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            line,
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }
}

impl Node {
    /// True for a field that is there but empty (`key:` or `key: null`).
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What the node is, in words for errors.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            _ if self.is_null() => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Reads every document of `text`; documents without content are left out.
///
/// Anchors, aliases, tags and repeated fields are refused: a policy has to say what it means where
/// it stands.
pub fn documents(text: &str) -> Result<Vec<Node>, SyntaxError> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| not_yaml(text, &error))?;
        builder.on_event(event, span)?;
    }
    Ok(builder.documents)
}

/// The scanner's complaint, at the line that a person would mend.
fn not_yaml(text: &str, error: &ScanError) -> SyntaxError {
    let line = error.marker().line().max(1);
    let reason = format!("this is not YAML: {}", error.info());
    // A scanner in mid-value names the line where the value began, not that of the tab.
    let tab = text.lines().enumerate().skip(line - 1).find(|(_, text)| {
        let indent = text.len() - text.trim_start().len();
        text[..indent].contains('\t')
    });
    match tab {
        Some((at, _)) if error.info().contains("tab") => {
            SyntaxError::new(line_of(at + 1), reason, "indent with spaces")
        }
        _ => SyntaxError::new(
            line_of(line),
            reason,
            "check the indentation, colons, quotes and brackets here and on the line above",
        ),
    }
}

fn line_of(line: usize) -> u32 {
    u32::try_from(line.max(1)).unwrap_or(u32::MAX)
}

/// A collection that is still open.
enum Open {
    List {
        line: u32,
        items: Vec<Node>,
    },
    Map {
        line: u32,
        entries: Vec<Entry>,
        key: Option<(String, u32)>,
    },
}

#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
}

impl Builder {
    fn on_event(&mut self, event: Event<'_>, span: Span) -> Result<(), SyntaxError> {
        let line = line_of(span.start.line());
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse_reference(anchor, tag.is_some(), line)?;
                let plain = style == ScalarStyle::Plain;
                self.on_scalar(text.into_owned(), plain, line)
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_reference(anchor, tag.is_some(), line)?;
                self.push(Open::List {
                    line,
                    items: Vec::new(),
                })
            }
            Event::MappingStart(anchor, tag) => {
                refuse_reference(anchor, tag.is_some(), line)?;
                self.push(Open::Map {
                    line,
                    entries: Vec::new(),
                    key: None,
                })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(_) => refuse_reference(1, false, line),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn push(&mut self, open: Open) -> Result<(), SyntaxError> {
        let line = match &open {
            Open::List { line, .. } | Open::Map { line, .. } => *line,
        };
        if self.open.len() >= MAX_DEPTH {
            return Err(SyntaxError::new(
                line,
                format!("nested deeper than {MAX_DEPTH} levels"),
                "a policy needs no more than six levels; check the brackets and the indentation",
            ));
        }
        if let Some(Open::Map { key: None, .. }) = self.open.last() {
            return Err(SyntaxError::new(
                line,
                "a field name has to be plain text",
                "write `name: value`",
            ));
        }
        self.open.push(open);
        Ok(())
    }

    fn on_scalar(&mut self, text: String, plain: bool, line: u32) -> Result<(), SyntaxError> {
        if let Some(Open::Map { key, entries, .. }) = self.open.last_mut()
            && key.is_none()
        {
            if let Some(first) = entries.iter().find(|entry| entry.key == text) {
                return Err(SyntaxError::new(
                    line,
                    format!(
                        "the field `{text}` stands here again (first on line {})",
                        first.line
                    ),
                    "keep one of the two",
                ));
            }
            *key = Some((text, line));
            return Ok(());
        }
        self.add(Node {
            line,
            value: Value::Scalar { text, plain },
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), SyntaxError> {
        let node = match self.open.pop() {
            Some(Open::List { line, items }) => Node {
                line,
                value: Value::List(items),
            },
            Some(Open::Map { line, entries, .. }) => Node {
                line,
                value: Value::Map(entries),
            },
            None => return Ok(()),
        };
        self.add(node);
        Ok(())
    }

    fn add(&mut self, mut node: Node) {
        match self.open.last_mut() {
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => {
                if let Some((key, line)) = key.take() {
                    // An absent value has no place of its own: it belongs to its field's line.
                    if node.is_null() {
                        node.line = line;
                    }
                    entries.push(Entry { key, line, node });
                }
            }
            None if node.is_null() => {}
            None => self.documents.push(node),
        }
    }
}

fn refuse_reference(anchor: usize, tagged: bool, line: u32) -> Result<(), SyntaxError> {
    if anchor != 0 {
        return Err(SyntaxError::new(
            line,
            "anchors and aliases (& and *) are not used in policies",
            "write the value out; quote it if it has to begin with & or *",
        ));
    }
    if tagged {
        return Err(SyntaxError::new(
            line,
            "tags (!) are not used in policies",
            "leave the tag out; quote the value if it has to begin with !",
        ));
    }
    Ok(())
}
