//! HTTP/2 and gRPC: paths as they were sent, outcomes by name.

use weir_common::framing::{
    http1::op_hash,
    http2::outcome::{GRPC, GRPC_MAX, RESET, RESET_MAX, UNTOLD},
};

use super::Meaning;
use crate::observe::head::parse_head;

/// Names of gRPC's status codes, by code (gRPC, "Status codes and their use in gRPC").
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Names of HTTP/2's error codes, by code (RFC 9113, section 7).
const RESETS: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// Name of an outcome that is no status of HTTP; `None` for others.
pub fn failure(outcome: u16) -> Option<&'static str> {
    let (names, code): (&[&str], u16) = match outcome {
        GRPC..=GRPC_MAX => (&CODES, outcome - GRPC),
        RESET..=RESET_MAX => (&RESETS, outcome - RESET),
        _ => return None,
    };
    Some(names.get(usize::from(code)).copied().unwrap_or("_OTHER"))
}

/// The code of HTTP or gRPC in an outcome, if it was told.
pub fn status(outcome: u16) -> Option<u16> {
    match outcome {
        GRPC..=GRPC_MAX => Some(outcome - GRPC),
        0 | UNTOLD | RESET..=RESET_MAX => None,
        status => Some(status),
    }
}

/// What the head of a gRPC request tells, if it is there: in a replay it has the form of HTTP/1.
pub fn read(op: u64, head: &[u8]) -> Meaning {
    let target = parse_head(head).map(|head| head.target).unwrap_or_default();
    let text = String::from_utf8_lossy(target);
    Meaning {
        op,
        operation: method_of(&text).to_owned(),
        ..Meaning::default()
    }
}

/// Full name of a gRPC method: its path without the first slash.
pub fn method_of(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

/// The path of an operation whose path is never sent as text: it has a fixed number in HPACK.
pub fn fixed_path(op: u64) -> Option<&'static str> {
    let paths = ["/", "/index.html"];
    paths
        .into_iter()
        .find(|path| op_hash(path.as_bytes()) == op)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_by_name_and_number() {
        for (outcome, name, code) in [
            (GRPC, Some("OK"), Some(0)),
            (GRPC + 14, Some("UNAVAILABLE"), Some(14)),
            (GRPC + 99, Some("_OTHER"), Some(99)),
            (RESET + 8, Some("CANCEL"), None),
            (200, None, Some(200)),
            (503, None, Some(503)),
            (UNTOLD, None, None),
            (0, None, None),
        ] {
            assert_eq!(
                (failure(outcome), status(outcome)),
                (name, code),
                "{outcome}"
            );
        }
    }

    #[test]
    fn a_method_from_the_head_of_a_replay() {
        let meaning = read(7, b"POST /pkg.Service/Do HTTP/2\r\n\r\n");
        assert_eq!(
            (meaning.op, meaning.operation.as_str()),
            (7, "pkg.Service/Do")
        );
        assert_eq!(read(7, b"").operation, "");
    }
}
