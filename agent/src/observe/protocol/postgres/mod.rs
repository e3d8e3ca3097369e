//! PostgreSQL: a statement's summary is the operation, the SQLSTATE of an error its kind.
//!
//! The key of a statement is a hash of its text without literals ([`text`]), and its summary is
//! made of exactly that: two summaries cannot share a key. No crate does that: the kernel has to
//! walk the text itself, the end of a text may be missing, and parsers fail there.

mod summary;

use summary::summary;
use weir_common::framing::postgres::{
    HEADER_BYTES, NAMES_BYTES, TEXT_END, client, named, prepare_op, text,
};

use super::Meaning;

/// Name of a statement without a word.
const QUERY: &str = "QUERY";

/// What is said of an Execute that the server skipped behind an error: libpq's word for it.
const ABORTED: &str = "pipeline_aborted";

/// Operations that are no SQL text.
const NAMED: [&str; 6] = [
    named::CONNECT,
    named::FUNCTION,
    named::DESCRIBE,
    named::CLOSE,
    named::SYNC,
    named::PREPARED,
];

/// Reads a request with this operation key, and the error that it met.
pub fn read(op: u64, head: &[u8], answer: &[u8]) -> Meaning {
    let others = statements(head);
    let stated = others.iter().find(|(key, _)| *key == op);
    let operation = match stated {
        Some((_, name)) => name.clone(),
        None => constant(op).unwrap_or_default(),
    };
    Meaning {
        op,
        operation,
        error: error(answer),
        others,
    }
}

/// Name of an operation that is no SQL text.
fn constant(op: u64) -> Option<String> {
    let name = NAMED.iter().find(|name| named::op(name) == op);
    if op == prepare_op(named::op(named::PREPARED)) {
        return Some("PREPARE".to_owned());
    }
    name.map(|name| (*name).to_owned())
}

/// Keys and names of all statements whose texts are in the first bytes of a request: to execute
/// them, and to prepare them. More than the first one, as a later one may never be a first.
fn statements(head: &[u8]) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    let mut rest = head;
    while let Some((kind, len)) = header(rest) {
        let message = &rest[..len.min(rest.len())];
        let begin = match kind {
            client::QUERY => Some(HEADER_BYTES),
            client::PARSE => behind_name(message),
            _ => None,
        };
        if let Some((op, name)) = begin.and_then(|begin| statement(message, begin, len)) {
            if kind == client::PARSE {
                found.push((prepare_op(op), format!("PREPARE {name}")));
            }
            found.push((op, name));
        }
        rest = rest.get(len..).unwrap_or_default();
    }
    found
}

/// Type of a message and its length with the type.
fn header(bytes: &[u8]) -> Option<(u8, usize)> {
    let (kind, rest) = bytes.split_first()?;
    let len = u32::from_be_bytes(*rest.first_chunk()?) as usize + 1;
    (len >= HEADER_BYTES && *kind != 0).then_some((*kind, len))
}

/// Where the text of a Parse begins.
fn behind_name(message: &[u8]) -> Option<usize> {
    let mut name = message.iter().skip(HEADER_BYTES).take(NAMES_BYTES);
    name.position(|byte| *byte == 0)
        .map(|at| HEADER_BYTES + at + 1)
}

/// Key and summary of a text that begins here in a message of so many bytes; `None` if some of
/// what counts is missing.
fn statement(message: &[u8], begin: usize, len: usize) -> Option<(u64, String)> {
    let counts = message.get(begin..message.len().min(TEXT_END))?;
    let end = counts.iter().position(|byte| *byte == 0);
    if end.is_none() && message.len() < len.min(TEXT_END) {
        return None;
    }
    let counts = &counts[..end.unwrap_or(counts.len())];
    let is_cut = end.is_none();
    let mut normal = Vec::new();
    text::normalise(counts, &mut |byte| normal.push(byte));
    let name = match summary(&normal, is_cut) {
        name if name.is_empty() => QUERY.to_owned(),
        name => name,
    };
    Some((text::op_hash_of(counts, is_cut), name))
}

/// The SQLSTATE among the fields of an ErrorResponse.
fn error(answer: &[u8]) -> Option<String> {
    match answer.first()? {
        b'Z' => return Some(ABORTED.to_owned()),
        b'E' => {}
        _ => return None,
    }
    let mut fields = answer.get(HEADER_BYTES..)?.split(|byte| *byte == 0);
    let code = fields.find_map(|field| field.strip_prefix(b"C"))?;
    let fits = code.len() == 5 && code.iter().all(u8::is_ascii_alphanumeric);
    fits.then(|| String::from_utf8_lossy(code).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let len = (body.len() as u32 + 4).to_be_bytes();
        [&[kind], &len[..], body].concat()
    }

    fn query(text: &str) -> Vec<u8> {
        message(b'Q', &[text.as_bytes(), &[0]].concat())
    }

    fn parse(name: &str, text: &str) -> Vec<u8> {
        let parts = [name.as_bytes(), &[0], text.as_bytes(), &[0, 0, 0]];
        message(b'P', &parts.concat())
    }

    fn key(text: &str) -> u64 {
        text::op_hash_of(text.as_bytes(), false)
    }

    fn name(op: u64, head: &[u8]) -> String {
        read(op, head, b"").operation
    }

    const SELECT: &str = "SELECT name FROM orders WHERE id = 7";
    const UPDATE: &str = "UPDATE items SET a = $1";

    #[test]
    fn requests_have_the_names_of_their_statements() {
        assert_eq!(name(key(SELECT), &query(SELECT)), "SELECT orders");
        assert_eq!(name(key("SELECT 1"), &query(SELECT)), "");
        assert_eq!(name(key(""), &query("")), "QUERY");
        let close = message(b'C', b"Ss0\0");
        let batch = [close, parse("s1", SELECT), message(b'B', b"\0s1\0\0\0")].concat();
        assert_eq!(name(key(SELECT), &batch), "SELECT orders");
        assert_eq!(
            name(prepare_op(key(SELECT)), &batch),
            "PREPARE SELECT orders"
        );
    }

    #[test]
    fn every_statement_of_a_pipeline_is_named() {
        let run = message(b'E', b"\0\0\0\0\0");
        let batch = [parse("", "BEGIN"), run.clone(), parse("", UPDATE), run].concat();
        let meaning = read(key("BEGIN"), &batch, b"");
        assert_eq!(meaning.operation, "BEGIN");
        let update = (key(UPDATE), "UPDATE items".to_owned());
        assert!(meaning.others.contains(&update), "{meaning:?}");
    }

    #[test]
    fn what_is_no_text_has_names_too() {
        for name in NAMED {
            assert_eq!(super::read(named::op(name), b"", b"").operation, name);
        }
        let prepared = prepare_op(named::op(named::PREPARED));
        assert_eq!(name(prepared, b""), "PREPARE");
        assert_eq!(name(5, b"\0\0\0\x08\x04\xd2\x16\x2f"), "");
    }

    #[test]
    fn a_text_whose_end_is_missing_is_named_only_if_what_counts_is_there() {
        let long = format!("SELECT {} FROM t", "a, ".repeat(200));
        let whole = query(&long);
        let counts = &long.as_bytes()[..TEXT_END - HEADER_BYTES];
        let op = text::op_hash_of(counts, true);
        assert_eq!(name(op, &whole[..256]), "SELECT");
        assert_eq!(name(op, &whole[..TEXT_END]), "SELECT");
        assert_eq!(name(op, &whole[..TEXT_END - 1]), "");
        let short = query(SELECT);
        assert_eq!(name(key(SELECT), &short[..short.len() - 2]), "");
    }

    #[test]
    fn errors_are_known_by_their_codes() {
        let fields = |text: &str| message(b'E', text.replace('|', "\0").as_bytes());
        for (answer, error) in [
            (
                fields("SERROR|VERROR|C22012|Mdivision by zero||"),
                Some("22012"),
            ),
            (fields("SFEHLER|VERROR|C42P01|Msecret||"), Some("42P01")),
            (fields("SERROR|C4200|Msecret||"), None),
            (fields("SERROR|"), None),
            (b"Z\0\0\0\x05E".to_vec(), Some(ABORTED)),
            (b"E\0\0".to_vec(), None),
            (Vec::new(), None),
        ] {
            let found = read(0, b"", &answer).error;
            assert_eq!(found.as_deref(), error, "{answer:?}");
        }
    }
}
