//! WebSocket: the path that was upgraded is the operation, the close code its outcome.

use weir_common::framing::{
    http1::{MAX_TARGET_BYTES, normalise, op_hash},
    websocket::outcome::{ABNORMAL, FAILED, NO_CODE, code},
};

use super::Meaning;
use crate::observe::head::parse_head;

/// Reads the head of the request that opened the connection.
pub fn read(head: &[u8]) -> Meaning {
    let target = parse_head(head).map(|head| head.target).unwrap_or_default();
    if target.is_empty() {
        return Meaning::default();
    }
    let mut out = [0; MAX_TARGET_BYTES + 1];
    let len = normalise(target, &mut out);
    Meaning {
        op: op_hash(target),
        operation: String::from_utf8_lossy(&out[..len]).into_owned(),
        ..Meaning::default()
    }
}

/// The code of the Close frame, if there was one with a code.
pub fn status(outcome: u16) -> Option<u16> {
    code(outcome).filter(|code| !matches!(*code, ABNORMAL | NO_CODE))
}

/// Name of an outcome that has no code.
pub fn failure(outcome: u16) -> Option<&'static str> {
    (outcome == FAILED + ABNORMAL).then_some("abnormal_closure")
}

#[cfg(test)]
mod tests {
    use weir_common::framing::{frames::outcome::is_error, websocket::outcome::of_code};

    use super::*;

    #[test]
    fn close_codes_come_back_and_some_are_errors() {
        for (code, shown, error) in [
            (1000, Some(1000), false),
            (1001, Some(1001), false),
            (1002, Some(1002), true),
            (1005, None, false),
            (1006, None, true),
            (1008, Some(1008), false),
            (1009, Some(1009), false),
            (1011, Some(1011), true),
            (1012, Some(1012), true),
            (1015, Some(1015), true),
            (3000, Some(3000), false),
            (4999, Some(4999), false),
            (0, Some(1002), true),
            (999, Some(1002), true),
            (5000, Some(1002), true),
            (u16::MAX, Some(1002), true),
        ] {
            let outcome = of_code(code);
            assert_eq!(
                (status(outcome), is_error(outcome)),
                (shown, error),
                "{code}"
            );
        }
        assert_eq!(failure(of_code(1006)), Some("abnormal_closure"));
        assert_eq!(failure(of_code(1011)), None);
    }

    #[test]
    fn the_path_is_the_operation() {
        let meaning = read(b"GET /rooms/42/chat?token=x HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(meaning.operation, "/rooms/*/chat");
        assert_eq!(meaning.op, op_hash(b"/rooms/7/chat"));
        assert_eq!(read(b"").operation, "");
    }
}
