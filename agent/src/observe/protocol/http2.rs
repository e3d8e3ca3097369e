//! HTTP/2 and gRPC: paths as they were sent, outcomes by name.

use httlib_huffman::DecoderSpeed;
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

/// A path as text; `None` if its codes are broken.
pub fn path_text(bytes: &[u8], huffman: bool) -> Option<Vec<u8>> {
    if !huffman {
        return Some(bytes.to_vec());
    }
    let mut text = Vec::with_capacity(bytes.len() * 2);
    // What is cut off in mid-code does not matter: the hash tells whether enough is there.
    match httlib_huffman::decode(bytes, &mut text, DecoderSpeed::FourBits) {
        Ok(()) => Some(text),
        Err(_) if text.is_empty() => None,
        Err(_) => Some(text),
    }
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
    fn paths_raw_and_by_huffman_codes() {
        assert_eq!(path_text(b"/a", false).as_deref(), Some(&b"/a"[..]));
        // RFC 7541, appendix C.4.1.
        let codes = [
            0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
        ];
        let text = path_text(&codes, true);
        assert_eq!(text.as_deref(), Some(&b"www.example.com"[..]));
        assert_eq!(path_text(&[0xff, 0xff, 0xff, 0xff], true), None);
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
