//! ZooKeeper: the operation by its code, the exception by its code; paths are never taken.

use weir_common::framing::zookeeper::{OP_CONNECT, op_of, op_of_word};

use super::Meaning;

/// `ZooDefs.OpCode`: what the client API calls each operation.
const OPERATIONS: [(i32, &str); 31] = [
    (-11, "closeSession"),
    (-10, "createSession"),
    (1, "create"),
    (2, "delete"),
    (3, "exists"),
    (4, "getData"),
    (5, "setData"),
    (6, "getACL"),
    (7, "setACL"),
    (8, "getChildren"),
    (9, "sync"),
    (11, "ping"),
    (12, "getChildren2"),
    (13, "check"),
    (14, "multi"),
    (15, "create2"),
    (16, "reconfig"),
    (17, "checkWatches"),
    (18, "removeWatches"),
    (19, "createContainer"),
    (20, "deleteContainer"),
    (21, "createTTL"),
    (22, "multiRead"),
    (100, "auth"),
    (101, "setWatches"),
    (102, "sasl"),
    (103, "getEphemerals"),
    (104, "getAllChildrenNumber"),
    (105, "setWatches2"),
    (106, "addWatch"),
    (107, "whoAmI"),
];

/// `KeeperException.Code`, as its exceptions are called without their ending.
const ERRORS: [(i32, &str); 29] = [
    (-1, "SystemError"),
    (-2, "RuntimeInconsistency"),
    (-3, "DataInconsistency"),
    (-4, "ConnectionLoss"),
    (-5, "MarshallingError"),
    (-6, "Unimplemented"),
    (-7, "OperationTimeout"),
    (-8, "BadArguments"),
    (-12, "UnknownSession"),
    (-13, "NewConfigNoQuorum"),
    (-14, "ReconfigInProgress"),
    (-100, "APIError"),
    (-101, "NoNode"),
    (-102, "NoAuth"),
    (-103, "BadVersion"),
    (-108, "NoChildrenForEphemerals"),
    (-110, "NodeExists"),
    (-111, "NotEmpty"),
    (-112, "SessionExpired"),
    (-113, "InvalidCallback"),
    (-114, "InvalidACL"),
    (-115, "AuthFailed"),
    (-118, "SessionMoved"),
    (-119, "NotReadOnly"),
    (-120, "EphemeralOnLocalSession"),
    (-121, "NoWatcher"),
    (-122, "RequestTimeout"),
    (-123, "ReconfigDisabled"),
    (-125, "QuotaExceeded"),
];

/// Where the error stands in an answer, and where what follows its header begins.
const ERROR_AT: usize = 16;
const BODY_AT: usize = 20;

/// A result of a transaction that failed: type, done, error, and the error again.
const ERROR_RESULT_BYTES: usize = 13;

/// Reads the operation of a request and the error of its answer.
pub fn read(head: &[u8], answer: &[u8]) -> Meaning {
    let (op, operation) = operation(head).unwrap_or_default();
    Meaning {
        op,
        operation,
        error: error(answer),
        others: Vec::new(),
    }
}

/// Name of an operation by its key; `None` for keys of another kind.
pub fn name_of(op: u64) -> Option<String> {
    if op == OP_CONNECT {
        return Some("connect".into());
    }
    if op > OP_CONNECT {
        let word = u32::try_from(op).ok()?.to_be_bytes();
        return Some(
            word.map(|byte| char::from(byte.to_ascii_lowercase()))
                .iter()
                .collect(),
        );
    }
    let known = OPERATIONS.iter().find(|(code, _)| op_of(*code) == op);
    match known {
        Some((_, name)) => Some((*name).into()),
        None if op == 0 => None,
        None => Some(format!("op{}", op - 1)),
    }
}

fn operation(head: &[u8]) -> Option<(u64, String)> {
    let first = head.first_chunk::<4>()?;
    // A frame that long is a word: see the kernel's reading.
    let op = if first[0].is_ascii_lowercase() {
        op_of_word(*first)
    } else if int_at(head, 4)? == 0 {
        OP_CONNECT
    } else {
        op_of(int_at(head, 8)?)
    };
    Some((op, name_of(op)?))
}

fn int_at(bytes: &[u8], at: usize) -> Option<i32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(i32::from_be_bytes(*bytes))
}

fn error(answer: &[u8]) -> Option<String> {
    if int_at(answer, 4)? == 0 {
        // Only the answer to a connect request begins with a 0: its version.
        return Some("SessionExpired".into());
    }
    let code = match int_at(answer, ERROR_AT)? {
        0 => failed_part(answer).unwrap_or_default(),
        code => code,
    };
    let known = ERRORS.iter().find(|(known, _)| *known == code);
    Some(match (known, code) {
        (Some((_, name)), _) => (*name).to_owned(),
        // The part that failed lies behind what travels with an exchange.
        (None, 0) => "RolledBack".to_owned(),
        (None, code) => code.to_string(),
    })
}

/// The error of the part that made a transaction fail: those before it have none, those behind it
/// only say that the transaction was given up.
fn failed_part(answer: &[u8]) -> Option<i32> {
    (0..)
        .map_while(|part| int_at(answer, BODY_AT + part * ERROR_RESULT_BYTES + 5))
        .find(|code| !matches!(code, 0 | -2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(xid: i32, code: i32) -> Vec<u8> {
        [8, xid, code].map(i32::to_be_bytes).concat()
    }

    #[test]
    fn operations_have_the_names_of_the_client_api() {
        for (head, operation) in [
            (head(1, 4), "getData"),
            (head(-2, 11), "ping"),
            (head(7, 12), "getChildren2"),
            (head(7, 14), "multi"),
            (head(7, -11), "closeSession"),
            (head(7, 110), "op110"),
            (head(0, 0), "connect"),
            (b"ruok".to_vec(), "ruok"),
            (b"mntr\n".to_vec(), "mntr"),
            (head(1, 4)[..9].to_vec(), ""),
            (Vec::new(), ""),
        ] {
            let meaning = read(&head, b"");
            assert_eq!(meaning.operation, operation, "{head:?}");
            if !operation.is_empty() {
                assert_eq!(name_of(meaning.op).as_deref(), Some(operation));
            }
        }
    }

    #[test]
    fn errors_have_the_names_of_their_exceptions() {
        let answer = |xid: i32, error: i32, body: &[u8]| {
            let header = [99, xid, 0, 0, error].map(i32::to_be_bytes).concat();
            [&header, body].concat()
        };
        let part = |code: i32| {
            let code = code.to_be_bytes();
            [&[0xff, 0xff, 0xff, 0xff, 0][..], &code, &code].concat()
        };
        let transaction = [part(0), part(-103), part(-2)].concat();
        for (answer, error) in [
            (answer(1, -101, b""), Some("NoNode")),
            (answer(1, -110, b""), Some("NodeExists")),
            (answer(-4, -115, b""), Some("AuthFailed")),
            (answer(1, -999, b""), Some("-999")),
            (answer(3, 0, &transaction), Some("BadVersion")),
            (answer(3, 0, &part(0)), Some("RolledBack")),
            (answer(0, 0, b""), Some("SessionExpired")),
            (b"".to_vec(), None),
        ] {
            assert_eq!(read(b"", &answer).error.as_deref(), error, "{answer:?}");
        }
    }
}
