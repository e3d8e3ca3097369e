//! How wide text will be, without a font at hand, and how it is escaped.

use unicode_width::UnicodeWidthChar;

use crate::view::unit;

/// Width of `text` in a usual sans-serif font of `size` px; rather too wide than too narrow.
pub fn text(text: &str, size: f64) -> f64 {
    text.chars().map(char_width).sum::<f64>() * size
}

fn char_width(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '|' | '\'' | '!' | 'I' => 0.32,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '-' | ' ' => 0.40,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' => 0.95,
        c if c.is_ascii_uppercase() => 0.70,
        c if c.is_ascii() => 0.62,
        c => match c.width() {
            Some(2) => 1.05,
            Some(0) | None => 0.0,
            Some(_) => 0.66,
        },
    }
}

/// `text` cut so that it is at most `width` px wide.
pub fn fit(text_: &str, size: f64, width: f64) -> String {
    if text(text_, size) <= width {
        return text_.to_owned();
    }
    let room = width - char_width('…') * size;
    let mut used = 0.0;
    let mut out: String = text_
        .chars()
        .take_while(|c| {
            used += char_width(*c) * size;
            used <= room
        })
        .collect();
    out.push('…');
    out
}

/// Text for XML.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in unit::printable(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            // Not allowed in XML 1.0, even escaped.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
