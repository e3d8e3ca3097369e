//! GraphQL over HTTP/1: names of operations, and errors inside a 200.

use weir_common::framing::http1::graphql::{
    kind, nameless,
    outcome::{ERRORS, OK},
};

/// Words of the kinds, by code.
const WORDS: [(u8, &str); 7] = [
    (kind::QUERY, "query"),
    (kind::MUTATION, "mutation"),
    (kind::SUBSCRIPTION, "subscription"),
    (kind::OPERATION, "operation"),
    (kind::PERSISTED, "persisted"),
    (kind::BATCH, "batch"),
    (kind::OTHER, "_OTHER"),
];

/// What a name that was told says, e.g. `query GetUser`: its last byte is its kind.
pub fn told(text: &[u8]) -> Option<String> {
    let (code, name) = text.split_last()?;
    let (_, word) = WORDS.iter().find(|(kind, _)| kind == code)?;
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let is_name = !name.is_empty() && name.iter().all(fits);
    is_name.then(|| format!("{word} {}", String::from_utf8_lossy(name)))
}

/// The word of a key that has no name.
pub fn nameless_word(key: u64) -> Option<&'static str> {
    let word = WORDS.iter().find(|(kind, _)| nameless(*kind) == key)?;
    Some(word.1)
}

/// Name of an outcome that is no status of HTTP; `None` for others.
pub fn failure(outcome: u16) -> Option<&'static str> {
    (outcome == ERRORS + OK).then_some("graphql_errors")
}

/// The status of HTTP in an outcome.
pub fn status(outcome: u16) -> u16 {
    if failure(outcome).is_some() {
        OK
    } else {
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_their_kind() {
        for (text, expected) in [
            (&b"GetUser\x01"[..], Some("query GetUser")),
            (b"_a9\x02", Some("mutation _a9")),
            (b"X\x05", Some("persisted X")),
            (b"X\x08", None),
            (b"X", None),
            (b"\x01", None),
            (b"", None),
            (b"a b\x01", None),
            (b"/pkg.Service/Do", None),
        ] {
            assert_eq!(told(text).as_deref(), expected, "{text:?}");
        }
        assert_eq!(nameless_word(nameless(kind::BATCH)), Some("batch"));
        assert_eq!(nameless_word(nameless(kind::OTHER)), Some("_OTHER"));
        assert_eq!(nameless_word(7), None);
    }

    #[test]
    fn errors_are_told_apart_from_the_status() {
        for (outcome, name, code) in [
            (6_200, Some("graphql_errors"), 200),
            (200, None, 200),
            (500, None, 500),
        ] {
            assert_eq!((failure(outcome), status(outcome)), (name, code));
        }
    }
}
