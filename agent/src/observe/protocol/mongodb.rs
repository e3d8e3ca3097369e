//! MongoDB: the command and its collection are the operation, `codeName` or the number of the code
//! the kind of failure.

use weir_common::framing::mongodb::{NAMING_BYTES, op_of, opcode};

use super::{Meaning, word};

/// Commands whose first value is the name of a collection. Others may have a user's name there, or
/// anything.
const OF_COLLECTIONS: &[&str] = &[
    "aggregate",
    "clone",
    "collMod",
    "collStats",
    "compact",
    "convertToCapped",
    "count",
    "create",
    "createIndexes",
    "createSearchIndexes",
    "delete",
    "deleteIndexes",
    "distinct",
    "drop",
    "dropIndexes",
    "dropSearchIndex",
    "find",
    "findAndModify",
    "findandmodify",
    "getMore",
    "insert",
    "killCursors",
    "listIndexes",
    "mapReduce",
    "mapreduce",
    "planCacheClear",
    "reIndex",
    "update",
    "updateSearchIndex",
    "validate",
];

/// Codes that come without a name (`error_codes.yml` of MongoDB).
const CODES: &[(i32, &str)] = &[
    (64, "WriteConcernTimeout"),
    (79, "UnknownReplWriteConcern"),
    (91, "ShutdownInProgress"),
    (100, "UnsatisfiableWriteConcern"),
    (112, "WriteConflict"),
    (121, "DocumentValidationFailure"),
    (10107, "NotWritablePrimary"),
    (11000, "DuplicateKey"),
    (11600, "InterruptedAtShutdown"),
];

/// Reads a command and the error it met.
pub fn read(head: &[u8], answer: &[u8]) -> Meaning {
    Meaning {
        op: op_of(head),
        operation: operation(head).unwrap_or_default(),
        error: error(answer),
        others: Vec::new(),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// `find orders`, `hello`.
fn operation(head: &[u8]) -> Option<String> {
    let named = &head[..head.len().min(NAMING_BYTES)];
    let first = match u32_at(head, 12)? {
        opcode::MSG if *head.get(20)? == 1 => {
            // Only the name of a sequence of documents is there.
            return Some(sequence(&text(named.get(25..)?)).into());
        }
        opcode::MSG => named.get(25..)?,
        opcode::QUERY => {
            let name_end = named.get(20..)?.iter().position(|byte| *byte == 0)? + 20;
            if !named[..name_end].ends_with(b".$cmd") {
                return Some("query".into());
            }
            named.get(name_end + 13..)?
        }
        opcode::GET_MORE => return Some("getMore".into()),
        opcode::COMPRESSED => return Some("compressed".into()),
        _ => return None,
    };
    let (name, value) = cut_at_nul(first.get(1..)?);
    let value = match (first[0], value.get(8)) {
        (0x02, _) => value,
        (0x12, Some(0x02)) => value[9..].strip_prefix(b"collection\0").unwrap_or_default(),
        _ => &[],
    };
    let command = word(name);
    let collection = text(value.get(4..).unwrap_or_default());
    if collection.is_empty() || !OF_COLLECTIONS.contains(&command.as_str()) {
        return Some(command);
    }
    Some(format!("{command} {collection}"))
}

/// Command that has a sequence of documents of this name.
fn sequence(name: &str) -> &'static str {
    match name {
        "documents" => "insert",
        "updates" => "update",
        "deletes" => "delete",
        _ => "",
    }
}

/// The text up to a NUL or to the first byte that is not fit for names.
fn text(bytes: &[u8]) -> String {
    word(cut_at_nul(bytes).0)
}

/// What stands before a NUL and behind it.
fn cut_at_nul(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0);
    let end = end.unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

/// Kind of a failure, from the element that tells it.
fn error(answer: &[u8]) -> Option<String> {
    if let Some(rest) = answer.strip_prefix(b"\x10code\0") {
        let name = rest.get(4..).and_then(code_name);
        return name.or_else(|| code(rest).map(known));
    }
    if let Some(name) = code_name(answer) {
        return Some(name);
    }
    let is_write = answer.starts_with(b"\x04writeErrors\0");
    if !is_write && !answer.starts_with(b"\x03writeConcernError\0") {
        return None;
    }
    let unnamed = if is_write {
        "WriteError"
    } else {
        "WriteConcernFailed"
    };
    let at = answer.windows(6).position(|bytes| bytes == b"\x10code\0");
    let code = at.and_then(|at| code(&answer[at + 6..]));
    Some(code.map_or(unnamed.into(), known))
}

fn code(bytes: &[u8]) -> Option<i32> {
    Some(u32_at(bytes, 0)?.cast_signed())
}

/// Name of a code, or its number.
fn known(code: i32) -> String {
    let known = CODES.iter().find(|(number, _)| *number == code);
    known.map_or_else(|| code.to_string(), |(_, name)| (*name).to_owned())
}

/// Value of the element `codeName` at the beginning of `bytes`.
fn code_name(bytes: &[u8]) -> Option<String> {
    let value = bytes.strip_prefix(b"\x02codeName\0")?.get(4..)?;
    let name = text(value);
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of this kind whose first byte behind its header is that of `body`.
    fn message(code: u32, body: &[u8]) -> Vec<u8> {
        let mut out = (body.len() as u32 + 16).to_le_bytes().to_vec();
        out.extend([0; 8]);
        out.extend(code.to_le_bytes());
        out.extend(body);
        out
    }

    /// An `OP_MSG` whose document has these elements.
    fn msg(elements: &[u8]) -> Vec<u8> {
        let mut body = vec![0; 5];
        body.extend((elements.len() as u32 + 5).to_le_bytes());
        body.extend(elements);
        body.push(0);
        message(opcode::MSG, &body)
    }

    fn check(head: &[u8], operation: &str) {
        let meaning = read(head, b"");
        assert_eq!(meaning.operation, operation, "{}", head.escape_ascii());
        assert!(operation.is_empty() || meaning.op != 0, "{operation}");
    }

    #[test]
    fn commands_have_their_collections() {
        for (elements, operation) in [
            (
                &b"\x02find\0\x07\0\0\0orders\0\x03filter\0\x05\0\0\0\0"[..],
                "find orders",
            ),
            (b"\x10hello\0\x01\0\0\0", "hello"),
            (
                b"\x12getMore\0\x07\0\0\0\0\0\0\0\x02collection\0\x07\0\0\0orders\0",
                "getMore orders",
            ),
            (
                b"\x12getMore\0\x07\0\0\0\0\0\0\0\x10batchSize\0\x07\0\0\0",
                "getMore",
            ),
            (b"\x02insert\0\x09\0\0\0fs.files\0", "insert fs.files"),
            // What may be a person's name stays here.
            (b"\x02createUser\0\x06\0\0\0alice\0", "createUser"),
            (b"\x02usersInfo\0\x06\0\0\0alice\0", "usersInfo"),
            (b"\x02find\0\x07\0\0\0", "find"),
            (b"", ""),
        ] {
            check(&msg(elements), operation);
        }
        let long = [b"\x02aggregate\0\x64\0\0\0", &[b'c'; 99][..], b"\0"].concat();
        check(&msg(&long), &format!("aggregate {}", "c".repeat(95 - 40)));
    }

    #[test]
    fn other_messages_have_names_too() {
        let query = |collection: &str, elements: &[u8]| {
            let body = [&[0; 4], collection.as_bytes(), &[0; 13], elements].concat();
            message(opcode::QUERY, &body)
        };
        check(
            &query("admin.$cmd", b"\x10isMaster\0\x01\0\0\0"),
            "isMaster",
        );
        check(
            &query("shop.orders", b"\x02name\0\x06\0\0\0alice\0"),
            "query",
        );
        check(&message(opcode::GET_MORE, &[0; 30]), "getMore");
        check(&message(opcode::COMPRESSED, &[0; 30]), "compressed");
        let sequence = [&[0; 4][..], &[1], &[30, 0, 0, 0], b"updates\0", &[0; 30]].concat();
        check(&message(opcode::MSG, &sequence), "update");
        check(b"", "");
        check(&[0xff; 40], "");
    }

    #[test]
    fn failures_have_their_code() {
        for (answer, error) in [
            (&b"\x10code\0\x1a\0\0\0\x02codeName\0\x12\0\0\0NamespaceNotFound\0"[..], Some("NamespaceNotFound")),
            (b"\x10code\0\xf8\x2a\0\0\0", Some("DuplicateKey")),
            (b"\x10code\0\x84\x9d\0\0\x03x\0", Some("40324")),
            (b"\x02codeName\0\x09\0\0\0BadValue\0", Some("BadValue")),
            (
                b"\x04writeErrors\0\xb3\0\0\0\x030\0\xab\0\0\0\x10index\0\0\0\0\0\x10code\0\xf8\x2a\0\0\x02",
                Some("DuplicateKey"),
            ),
            (b"\x03writeConcernError\0\x30\0\0\0\x10code\0\x40\0\0\0", Some("WriteConcernTimeout")),
            (b"\x04writeErrors\0\xb3", Some("WriteError")),
            (b"\x02errmsg\0\x09\0\0\0secret", None),
            (b"", None),
        ] {
            let told = read(b"", answer).error;
            assert_eq!(told.as_deref(), error, "{}", answer.escape_ascii());
        }
    }
}
