//! Redis: the command is the operation, the first word of an error its kind.

mod commands;

use weir_common::framing::redis::{MAX_COMMAND_BYTES, op_hash};

pub use self::commands::name_of;
use super::{Meaning, word};

/// Reads a command and the error it met.
pub fn read(head: &[u8], answer: &[u8]) -> Meaning {
    let name = command(head).unwrap_or_default();
    let operation = word(name).to_ascii_uppercase();
    Meaning {
        op: op_hash(name),
        operation,
        error: error(answer),
        others: Vec::new(),
    }
}

/// Name of a command: the first bulk string of an array, or the first word of a line.
fn command(head: &[u8]) -> Option<&[u8]> {
    if head.first()? != &b'*' {
        let end = head.iter().position(|byte| byte.is_ascii_whitespace())?;
        return Some(&head[..end]);
    }
    let mut lines = head.split(|byte| *byte == b'\n').skip(1);
    let length = lines.next()?.strip_prefix(b"$")?.trim_ascii_end();
    let length: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
    lines.next()?.get(..length.min(MAX_COMMAND_BYTES))
}

/// `WRONGTYPE` of `-WRONGTYPE Operation against …`; `-ERR` says no more than that.
fn error(answer: &[u8]) -> Option<String> {
    let text = match answer.first()? {
        b'-' => &answer[1..],
        // A bulk error: its length stands before it.
        b'!' => answer.split(|byte| *byte == b'\n').nth(1)?,
        _ => return None,
    };
    let kind = word(text);
    (!kind.is_empty()).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_errors_have_their_names() {
        for (head, operation) in [
            ("*2\r\n$3\r\nget\r\n$1\r\nk\r\n", "GET"),
            ("*3\r\n$7\r\nHINCRBY\r\n$1\r\n", "HINCRBY"),
            ("ping\r\n", "PING"),
            ("*1\r\n$9\r\nFT.SEARCH\r\n", "FT.SEARCH"),
            ("*1\r\n$x\r\nGET\r\n", ""),
            ("", ""),
        ] {
            let meaning = read(head.as_bytes(), b"");
            assert_eq!(meaning.operation, operation, "{head:?}");
        }
        for (answer, error) in [
            ("-WRONGTYPE Operation against a key", Some("WRONGTYPE")),
            ("-ERR unknown command 'secret'", Some("ERR")),
            ("!21\r\nSYNTAX invalid syntax\r\n", Some("SYNTAX")),
            ("+OK\r\n", None),
            ("", None),
        ] {
            assert_eq!(
                read(b"", answer.as_bytes()).error.as_deref(),
                error,
                "{answer:?}"
            );
        }
    }
}
