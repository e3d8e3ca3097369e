//! JSON forms: one document, or one item a line.

use serde::Serialize;

/// An answer as one document, indented for people and still one value for programs.
pub fn document<T: Serialize>(value: &T) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_else(|error| failed(&error));
    text.push('\n');
    text
}

/// One item as one line.
pub fn line<T: Serialize>(item: &T) -> String {
    let mut text = serde_json::to_string(item).unwrap_or_else(|error| failed(&error));
    text.push('\n');
    text
}

/// Items of the contract have string keys only, so this is not reached; it never panics.
fn failed(error: &serde_json::Error) -> String {
    format!("{{\"error\":{:?}}}", error.to_string())
}
