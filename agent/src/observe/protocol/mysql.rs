//! MySQL and MariaDB: the statement's summary is the operation, or the command's name; the
//! server's number of an error is its kind.

use weir_common::framing::{
    mysql::{HEADER_BYTES, TEXT_END, command, command_op, prepare_op},
    sql::op_hash_of,
};

use super::{Meaning, sql::summary};

/// Reads a command and the error it met.
pub fn read(head: &[u8], answer: &[u8]) -> Meaning {
    Meaning {
        error: error(answer),
        ..request(head).unwrap_or_default()
    }
}

fn request(head: &[u8]) -> Option<Meaning> {
    let kind = match head.get(3)? {
        0 => *head.get(HEADER_BYTES)?,
        // An answer to the server's greeting.
        _ => command::CONNECT,
    };
    let whole = usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16;
    let packet = &head[..head.len().min(whole + HEADER_BYTES)];
    match kind {
        command::QUERY | command::PREPARE => {
            let is_cut = packet.len() < whole + HEADER_BYTES;
            Some(statement(kind, packet, is_cut))
        }
        _ => Some(named(kind)),
    }
}

fn named(kind: u8) -> Meaning {
    Meaning {
        op: command_op(kind),
        operation: name(kind),
        ..Meaning::default()
    }
}

/// A statement with its text.
fn statement(kind: u8, packet: &[u8], is_cut: bool) -> Meaning {
    let begin = HEADER_BYTES + 1;
    let skip = match packet.get(begin..begin + 2) {
        Some([0, _]) if kind == command::QUERY => 2,
        // Attributes with names and values: the text is somewhere behind them.
        Some([_, 1]) if kind == command::QUERY => return named(kind),
        _ => 0,
    };
    let op = op_hash_of(&packet[begin + skip..packet.len().min(TEXT_END)]);
    let summary = Some(summary(whole_words(&packet[begin + skip..], is_cut)))
        .filter(|summary| !summary.is_empty());
    let executed = summary.unwrap_or_else(|| name(command::QUERY));
    if kind == command::QUERY {
        return Meaning {
            op,
            operation: executed,
            ..Meaning::default()
        };
    }
    Meaning {
        op: prepare_op(op),
        operation: format!("PREPARE {executed}"),
        others: vec![(op, executed)],
        ..Meaning::default()
    }
}

/// A text up to its last space: where it was cut, half a name may stand behind that.
fn whole_words(text: &[u8], is_cut: bool) -> &[u8] {
    let space = text.iter().rposition(u8::is_ascii_whitespace);
    match space {
        Some(space) if is_cut => &text[..space],
        _ => text,
    }
}

/// Name of a command, as the servers' documentation has it.
fn name(kind: u8) -> String {
    let name = match kind {
        0x02 => "INIT_DB",
        command::QUERY => "QUERY",
        command::FIELD_LIST => "FIELD_LIST",
        0x05 => "CREATE_DB",
        0x06 => "DROP_DB",
        0x07 => "REFRESH",
        0x08 => "SHUTDOWN",
        command::STATISTICS => "STATISTICS",
        command::PROCESS_INFO => "PROCESS_INFO",
        command::CONNECT => "CONNECT",
        0x0c => "PROCESS_KILL",
        0x0d => "DEBUG",
        0x0e => "PING",
        command::CHANGE_USER => "CHANGE_USER",
        0x15 => "REGISTER_SLAVE",
        command::PREPARE => "PREPARE",
        command::EXECUTE => "EXECUTE",
        0x1a => "RESET",
        0x1b => "SET_OPTION",
        command::FETCH => "FETCH",
        0x1f => "RESET_CONNECTION",
        command::BULK_EXECUTE => "BULK_EXECUTE",
        _ => return format!("COMMAND_{kind}"),
    };
    name.to_owned()
}

/// `1064` of an error packet.
fn error(answer: &[u8]) -> Option<String> {
    let code = answer.get(HEADER_BYTES + 1..HEADER_BYTES + 3)?;
    (answer[HEADER_BYTES] == 0xff).then(|| u16::from_le_bytes([code[0], code[1]]).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
        [&[payload.len() as u8, 0, 0, sequence], payload].concat()
    }

    #[test]
    fn commands_have_their_names() {
        for (payload, operation) in [
            (
                &b"\x03SELECT name FROM orders WHERE id = 7"[..],
                "SELECT orders",
            ),
            (b"\x03insert into orders values ('secret')", "INSERT orders"),
            (b"\x03\0\x01SELECT 1", "SELECT"),
            (b"\x03\x01\x01\0\x01\xfe\0\x01k\x01vSELECT 1", "QUERY"),
            (b"\x03", "QUERY"),
            (
                b"\x16SELECT * FROM orders WHERE id = ?",
                "PREPARE SELECT orders",
            ),
            (b"\x17\x01\0\0\0\0\x01\0\0\0", "EXECUTE"),
            (b"\x0e", "PING"),
            (b"\x02shop", "INIT_DB"),
            (b"\x20", "COMMAND_32"),
            (b"", ""),
        ] {
            let meaning = read(&packet(0, payload), b"");
            assert_eq!(meaning.operation, operation, "{payload:?}");
            assert_eq!(meaning.error, None);
        }
        assert_eq!(read(&packet(1, &[0; 40]), b"").operation, "CONNECT");
        assert_eq!(read(b"", b"").operation, "");
    }

    #[test]
    fn half_a_name_is_none() {
        let whole = packet(0, b"\x03SELECT a FROM orders, items");
        for (text_len, operation) in [(17, "SELECT"), (20, "SELECT"), (22, "SELECT orders")] {
            let meaning = read(&whole[..HEADER_BYTES + 1 + text_len], b"");
            assert_eq!(meaning.operation, operation, "{text_len}");
        }
    }

    #[test]
    fn what_is_prepared_has_the_name_of_what_is_executed() {
        let text = b"SELECT * FROM orders WHERE id = ?";
        let meaning = read(&packet(0, &[b"\x16", &text[..]].concat()), b"");
        let executed = (op_hash_of(text), "SELECT orders".to_owned());
        assert_eq!(meaning.others, [executed]);
        let direct = read(&packet(0, &[b"\x03", &text[..]].concat()), b"");
        assert_eq!((direct.op, direct.others), (op_hash_of(text), Vec::new()));
        assert_ne!(direct.op, meaning.op);
    }

    #[test]
    fn errors_are_known_by_their_numbers() {
        for (payload, error) in [
            (&b"\xff\x28\x04#42000You have an error"[..], Some("1064")),
            (b"\xff\x15\x04Access denied for user 'secret'", Some("1045")),
            (b"\xff\x15", None),
            (b"\0\0\0\x02\0\0\0", None),
            (b"", None),
        ] {
            let meaning = read(b"", &packet(1, payload));
            assert_eq!(meaning.error.as_deref(), error, "{payload:?}");
        }
    }
}
