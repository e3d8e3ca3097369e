//! When an exchange counts as failed, and for whom.

use std::fmt;

use weir_common::framing::{
    frames::outcome::is_error,
    http2::outcome::GRPC,
    websocket::outcome::{CLOSED, code},
};

use crate::observe::protocol;

/// Side of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The caller: 4xx and 5xx are its errors.
    Client,
    /// The callee: only 5xx are its errors.
    Server,
}

impl Side {
    /// Span kind as Tempo's span metrics write it.
    pub const fn span_kind(self) -> &'static str {
        match self {
            Self::Client => "SPAN_KIND_CLIENT",
            Self::Server => "SPAN_KIND_SERVER",
        }
    }
}

/// Why an exchange failed, as `error.type` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A status code that is an error on this side.
    Status(u16),
    /// No response came.
    Unanswered,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => match protocol::failure(*status) {
                Some(name) => f.write_str(name),
                None => write!(f, "{}", code(*status).unwrap_or(*status)),
            },
            Self::Unanswered => f.write_str("unanswered"),
        }
    }
}

/// How `side` judges an outcome; 0 means that no response came. Of gRPC every code but OK is an
/// error of the client, of WebSocket the same codes are errors of both.
pub fn failure(status: u16, side: Side) -> Option<Failure> {
    let ok_of_client = status < 400 || status == GRPC || status >= CLOSED;
    let failed = match side {
        Side::Client => !ok_of_client,
        Side::Server => is_error(status),
    };
    match status {
        0 => Some(Failure::Unanswered),
        _ => failed.then_some(Failure::Status(status)),
    }
}

/// Whether an edge counts the exchange as failed: the server's judgement, whoever measured it,
/// so that an edge's error rate does not change when the other host gets a weir.
pub fn edge_failed(status: u16) -> bool {
    failure(status, Side::Server).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_4xx_is_an_error_of_the_client_only() {
        let check = |status: u16, client: &str, server: &str| {
            let said = |side| failure(status, side).map_or(String::new(), |f| f.to_string());
            assert_eq!(
                (said(Side::Client).as_str(), said(Side::Server).as_str()),
                (client, server)
            );
        };
        check(200, "", "");
        check(302, "", "");
        check(404, "404", "");
        check(499, "499", "");
        check(503, "503", "503");
        check(0, "unanswered", "unanswered");
        check(3000, "", "");
        check(3005, "NOT_FOUND", "");
        check(3014, "UNAVAILABLE", "UNAVAILABLE");
        check(2008, "CANCEL", "");
        check(2007, "REFUSED_STREAM", "REFUSED_STREAM");
        check(CLOSED + 1000, "", "");
        check(CLOSED + 4000, "", "");
        check(11_011, "1011", "1011");
        check(11_006, "abnormal_closure", "abnormal_closure");
        assert!(!edge_failed(429) && edge_failed(500) && edge_failed(0));
    }
}
