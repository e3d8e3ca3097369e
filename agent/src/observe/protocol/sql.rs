//! SQL: what a statement does and to which table, without its literals.

/// Words behind which a table's name stands.
const BEFORE_NAME: [&str; 5] = ["FROM", "INTO", "UPDATE", "TABLE", "JOIN"];

/// Words that may stand between those and the name.
const PASSED: [&str; 8] = [
    "IF",
    "NOT",
    "EXISTS",
    "IGNORE",
    "LOW_PRIORITY",
    "ONLY",
    "LATERAL",
    "TABLE",
];

/// Statements that make, change or remove things of these kinds.
const DEFINING: [&str; 4] = ["CREATE", "ALTER", "DROP", "TRUNCATE"];
const DEFINED: [&str; 11] = [
    "TABLE",
    "VIEW",
    "INDEX",
    "DATABASE",
    "SCHEMA",
    "USER",
    "ROLE",
    "TRIGGER",
    "PROCEDURE",
    "FUNCTION",
    "SEQUENCE",
];

/// Verb and first table of a statement: `SELECT orders`, `CREATE TABLE orders`; empty if there is
/// no word in it.
pub fn summary(text: &[u8]) -> String {
    let words = words(text);
    let upper: Vec<String> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
    let Some(verb) = upper.first() else {
        return String::new();
    };
    let is_known = |word: &String, list: &[&str]| list.contains(&word.as_str());
    let mut summary = verb.clone();
    let mut begin = 0;
    if is_known(verb, &DEFINING) {
        let kind = upper.iter().position(|word| is_known(word, &DEFINED));
        let Some(kind) = kind else {
            return summary;
        };
        summary = format!("{verb} {}", upper[kind]);
        if !matches!(upper[kind].as_str(), "TABLE" | "VIEW") {
            return summary;
        }
        begin = kind + 1;
    } else if let Some(at) = upper.iter().position(|word| is_known(word, &BEFORE_NAME)) {
        begin = at + 1;
    }
    let name = (begin..words.len()).find(|at| !is_known(&upper[*at], &PASSED));
    match name {
        Some(name) if begin != 0 && !is_known(&upper[name], &["SELECT"]) => {
            format!("{summary} {}", words[name])
        }
        _ => summary,
    }
}

/// Words of a text outside its literals and comments, of its first statement.
fn words(text: &[u8]) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        let skipped = match byte {
            b'\'' | b'"' => literal_len(*byte, behind),
            b'/' if behind.starts_with(b"*") => behind_first(behind, b"*/"),
            b'-' if behind.starts_with(b"-") => behind_first(behind, b"\n"),
            b';' if !words.is_empty() => break,
            _ => 0,
        };
        let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.$`".contains(byte);
        let len = rest.iter().take_while(|byte| is_of_word(byte)).count();
        if len == 0 {
            rest = &behind[skipped..];
            continue;
        }
        let word = rest[..len].iter().filter(|byte| **byte != b'`');
        let word: String = word.map(|byte| char::from(*byte)).collect();
        if word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
            words.push(word);
        }
        rest = &rest[len..];
    }
    words
}

/// Length of a literal whose opening quote was read, with its closing one.
fn literal_len(quote: u8, text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += if *byte == b'\\' { 2 } else { 1 };
        if *byte == quote {
            break;
        }
    }
    at.min(text.len())
}

/// Length of a text up to the end of what is looked for, or of all of it.
fn behind_first(text: &[u8], end: &[u8]) -> usize {
    let found = text.windows(end.len()).position(|window| window == end);
    found.map_or(text.len(), |at| at + end.len())
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn statements_have_summaries_without_literals() {
        for (text, expected) in [
            (
                "SELECT name FROM orders WHERE id = 'FROM secret'",
                "SELECT orders",
            ),
            (
                "select * from `shop`.`orders` o join items",
                "SELECT shop.orders",
            ),
            ("insert ignore into orders values ('a', 1)", "INSERT orders"),
            (
                "UPDATE LOW_PRIORITY orders SET a = 'it''s'",
                "UPDATE orders",
            ),
            ("DELETE FROM orders", "DELETE orders"),
            ("REPLACE INTO t SELECT * FROM u", "REPLACE t"),
            ("SELECT a FROM (SELECT b FROM inner_table) x", "SELECT"),
            ("/* FROM hint */ SELECT -- FROM c\n 1 FROM t", "SELECT t"),
            ("SELECT 'a\\'b FROM c' FROM d", "SELECT d"),
            ("SELECT 1; DELETE FROM orders", "SELECT"),
            (
                "CREATE TABLE IF NOT EXISTS orders (id INT)",
                "CREATE TABLE orders",
            ),
            ("CREATE UNIQUE INDEX i ON t (a)", "CREATE INDEX"),
            ("DROP DATABASE shop", "DROP DATABASE"),
            ("TRUNCATE orders", "TRUNCATE"),
            (
                "LOAD DATA LOCAL INFILE 'f' INTO TABLE orders",
                "LOAD orders",
            ),
            ("PREPARE p FROM 'SELECT secret FROM t'", "PREPARE"),
            ("BEGIN", "BEGIN"),
            ("SET NAMES utf8mb4", "SET"),
            ("'secret' 12", ""),
            ("'never closed FROM t", ""),
            ("", ""),
        ] {
            assert_eq!(summary(text.as_bytes()), expected, "{text}");
        }
    }
}
