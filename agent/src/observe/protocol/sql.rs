//! SQL: what a statement does and to which table, without its literals.

/// Words behind which a table's name stands.
const BEFORE_TABLE: [&str; 6] = ["FROM", "INTO", "UPDATE", "TABLE", "JOIN", "TRUNCATE"];

/// Verb and first table of a statement: `SELECT orders`.
pub fn summary(text: &[u8]) -> String {
    let mut words = words(text);
    let Some(verb) = words.next() else {
        return String::new();
    };
    let verb = verb.to_ascii_uppercase();
    let mut is_next = BEFORE_TABLE.contains(&verb.as_str());
    for word in words {
        let upper = word.to_ascii_uppercase();
        if BEFORE_TABLE.contains(&upper.as_str()) {
            is_next = true;
        } else if is_next && !matches!(upper.as_str(), "IF" | "NOT" | "EXISTS" | "IGNORE") {
            return format!("{verb} {word}");
        }
    }
    verb
}

/// Words of a text outside its literals.
fn words(text: &[u8]) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for byte in text.iter().chain(b" ") {
        match quote {
            Some(end) => {
                if *byte == end {
                    quote = None;
                }
                continue;
            }
            None if matches!(byte, b'\'' | b'"') => quote = Some(*byte),
            None => {}
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$') {
            word.push(char::from(*byte));
        } else if *byte != b'`' && !word.is_empty() {
            let is_number = word.starts_with(|c: char| c.is_ascii_digit());
            let whole = std::mem::take(&mut word);
            if !is_number {
                found.push(whole);
            }
        }
    }
    found.into_iter()
}
