//! Memcached: the command is the operation; the kind of an error is its first word, or the name of
//! its status in the binary protocol.

use weir_common::framing::memcached::{binary_op_hash, op_hash};

use super::{Meaning, word};
use crate::observe::operations::OTHER;

/// First byte of an answer of the binary protocol.
const RESPONSE: u8 = 0x81;

/// Commands of the text protocol.
const COMMANDS: &[&str] = &[
    "get",
    "set",
    "gets",
    "delete",
    "mg",
    "ms",
    "md",
    "ma",
    "mn",
    "me",
    "add",
    "replace",
    "append",
    "prepend",
    "cas",
    "incr",
    "decr",
    "touch",
    "gat",
    "gats",
    "version",
    "stats",
    "flush_all",
    "verbosity",
    "config",
    "slabs",
    "lru",
    "lru_crawler",
    "watch",
    "cache_memlimit",
    "quit",
    "shutdown",
];

/// Names an operation by its key and reads the error it met: there are so few commands that no
/// bytes of the request are needed.
pub fn read(op: u64, answer: &[u8]) -> Meaning {
    Meaning {
        op,
        operation: name_of(op).unwrap_or_else(|| OTHER.into()),
        error: error(answer),
        others: Vec::new(),
    }
}

/// Name of an operation.
pub fn name_of(op: u64) -> Option<String> {
    let text = COMMANDS.iter().find(|name| op_hash(name.as_bytes()) == op);
    let binary = || (0..=u8::MAX).find(|opcode| binary_op_hash(*opcode) == op);
    text.map(|name| name.to_ascii_uppercase())
        .or_else(|| binary().map(opcode_name))
}

/// Name of an opcode as memcached's `protocol_binary.h` has it.
fn opcode_name(opcode: u8) -> String {
    const NAMES: [&str; 0x25] = [
        "GET",
        "SET",
        "ADD",
        "REPLACE",
        "DELETE",
        "INCREMENT",
        "DECREMENT",
        "QUIT",
        "FLUSH",
        "GETQ",
        "NOOP",
        "VERSION",
        "GETK",
        "GETKQ",
        "APPEND",
        "PREPEND",
        "STAT",
        "SETQ",
        "ADDQ",
        "REPLACEQ",
        "DELETEQ",
        "INCREMENTQ",
        "DECREMENTQ",
        "QUITQ",
        "FLUSHQ",
        "APPENDQ",
        "PREPENDQ",
        "VERBOSITY",
        "TOUCH",
        "GAT",
        "GATQ",
        "",
        "SASL_LIST_MECHS",
        "SASL_AUTH",
        "SASL_STEP",
        "GATK",
        "GATKQ",
    ];
    match NAMES.get(usize::from(opcode)) {
        Some(&name) if !name.is_empty() => name.to_owned(),
        _ => format!("0x{opcode:02x}"),
    }
}

/// `CLIENT_ERROR`, `SERVER_ERROR` or `ERROR`, or what the status of a binary answer says.
fn error(answer: &[u8]) -> Option<String> {
    if let [RESPONSE, _, _, _, _, _, high, low, ..] = answer {
        return Some(status_name(u16::from_be_bytes([*high, *low])));
    }
    let kind = word(answer);
    kind.ends_with("ERROR").then_some(kind)
}

fn status_name(status: u16) -> String {
    let name = match status {
        0x03 => "E2BIG",
        0x04 => "EINVAL",
        0x06 => "DELTA_BADVAL",
        0x07 => "NOT_MY_VBUCKET",
        0x20 => "AUTH_ERROR",
        0x81 => "UNKNOWN_COMMAND",
        0x82 => "ENOMEM",
        0x83 => "NOT_SUPPORTED",
        0x84 => "INTERNAL_ERROR",
        0x85 => "BUSY",
        0x86 => "TEMPORARY_FAILURE",
        _ => return format!("0x{status:02x}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use weir_common::framing::memcached::is_command;

    use super::*;

    #[test]
    fn commands_have_their_names() {
        for name in COMMANDS {
            assert!(is_command(name.as_bytes()), "{name}");
            let operation = read(op_hash(name.as_bytes()), b"").operation;
            assert_eq!(operation, name.to_ascii_uppercase());
        }
        for (opcode, operation) in [
            (0x00, "GET"),
            (0x01, "SET"),
            (0x0d, "GETKQ"),
            (0x21, "SASL_AUTH"),
            (0x1f, "0x1f"),
            (0xff, "0xff"),
        ] {
            assert_eq!(read(binary_op_hash(opcode), b"").operation, operation);
        }
        assert_eq!(read(0, b"").operation, OTHER);
    }

    #[test]
    fn errors_have_their_kind_and_no_more() {
        for (answer, error) in [
            (&b"ERROR\r\n"[..], Some("ERROR")),
            (b"CLIENT_ERROR bad data chunk\r\n", Some("CLIENT_ERROR")),
            (b"SERVER_ERROR out of memory\r\n", Some("SERVER_ERROR")),
            (b"\x81\x01\0\0\0\0\0\x03\0\0\0\x0a", Some("E2BIG")),
            (b"\x81\x01\0\0\0\0\0\x82", Some("ENOMEM")),
            (b"\x81\x01\0\0\0\0\0\x99", Some("0x99")),
            (b"STORED\r\n", None),
            (b"\x81\x01", None),
            (b"", None),
        ] {
            let told = read(0, answer).error;
            assert_eq!(told.as_deref(), error, "{}", answer.escape_ascii());
        }
    }
}
