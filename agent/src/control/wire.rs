//! The lines that cross the control socket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::api::{ExplainQuery, PolicyFile, Refusal};
use crate::observe::model::Filter;

/// Version of the protocol.
pub const VERSION: u32 = 1;

/// Longest request line, bytes (policy files travel in it).
pub const MAX_REQUEST_BYTES: usize = 4 << 20;

/// Shortest and default time between two answers of a followed state, ms.
pub const MIN_INTERVAL_MS: u64 = 100;
/// Time between two answers of a followed state when none is given, ms.
pub const DEFAULT_INTERVAL_MS: u64 = 2000;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// One [`super::api::Status`].
    Status,
    /// Services.
    Services,
    /// Edges.
    Edges,
    /// TCP facts of edges.
    Tcp,
    /// Live connections; followed: connection events.
    Flows,
    /// Recent exchanges; followed: exchanges from now on.
    Exchanges,
    /// Recent verdicts; followed: verdicts from now on.
    Verdicts,
    /// Policies loaded.
    Policies,
    /// Policies loaded as YAML text: one item.
    PoliciesYaml,
    /// Adds or replaces `files`, all or nothing; items are the names.
    PolicyApply,
    /// Checks `files`; items are the names.
    PolicyCheck,
    /// Removes the policy `name`.
    PolicyDelete,
    /// Explains `explain`.
    PolicyExplain,
}

/// A question: one line from the client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`VERSION`].
    pub v: u32,
    /// What is asked.
    pub ask: Ask,
    /// Which items.
    #[serde(default)]
    pub filter: Filter,
    /// Goes on with what happens next (exchanges, flows, verdicts), or repeats the answer every
    /// `interval_ms` (all other items).
    #[serde(default)]
    pub follow: bool,
    /// Time between two answers of a followed state, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u64>,
    /// Policy files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PolicyFile>,
    /// Policy name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Flow to explain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<ExplainQuery>,
}

impl Request {
    /// A question with nothing but its kind.
    pub fn new(ask: Ask) -> Self {
        Self {
            v: VERSION,
            ask,
            filter: Filter::default(),
            follow: false,
            interval_ms: None,
            files: Vec::new(),
            name: None,
            explain: None,
        }
    }

    /// The same with a filter.
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }
}

/// First line of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// [`VERSION`].
    pub v: u32,
    /// seen / (seen + lost) over what the items stand on.
    pub completeness: f64,
    /// Losses by reason that could affect the items.
    pub lost: BTreeMap<String, u64>,
    /// How many item lines follow; absent in a stream without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
}

/// Line among the items of a stream: what the stream itself lost since it began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Items that this client was too slow to be given.
    pub dropped: u64,
    /// Losses in the kernel by reason.
    pub lost: BTreeMap<String, u64>,
}

impl Notice {
    /// True if nothing was lost.
    pub fn is_clean(&self) -> bool {
        self.dropped == 0 && self.lost.is_empty()
    }
}

/// Envelope of a [`Notice`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoticeLine {
    /// The notice.
    pub notice: Notice,
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Not a request of this protocol.
    BadRequest,
    /// Longer than [`MAX_REQUEST_BYTES`].
    TooLarge,
    /// Another version.
    UnsupportedVersion,
    /// The caller has no right.
    Permission,
    /// As many clients as the daemon serves at once are connected.
    Busy,
    /// No such policy.
    NotFound,
    /// Policies were refused; see `refusals`.
    Refused,
    /// The daemon could not do it.
    Failed,
}

/// An answer that is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WireError {
    /// Kind.
    pub code: Code,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub remedy: String,
    /// What policies were refused for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
}

impl WireError {
    /// An error without refusals.
    pub fn new(code: Code, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            remedy: remedy.into(),
            refusals: Vec::new(),
        }
    }
}

/// Envelope of a [`WireError`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorLine {
    /// The error.
    pub error: WireError,
}

/// Reads a request line. Hostile bytes are an error value.
pub fn parse_request(line: &[u8]) -> Result<Request, WireError> {
    let request: Request = serde_json::from_slice(line).map_err(|error| {
        WireError::new(
            Code::BadRequest,
            format!("not a request: {error}"),
            "send one JSON object a line, like {\"v\":1,\"ask\":\"edges\"}",
        )
    })?;
    if request.v != VERSION {
        return Err(WireError::new(
            Code::UnsupportedVersion,
            format!(
                "the daemon speaks version {VERSION}, the request version {}",
                request.v
            ),
            "use the weir binary that the daemon was started from",
        ));
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_or_refused() {
        let ok = |line: &str| parse_request(line.as_bytes()).map(|request| request.ask);
        assert_eq!(ok(r#"{"v":1,"ask":"edges"}"#), Ok(Ask::Edges));
        assert_eq!(
            ok(r#"{"v":1,"ask":"exchanges","filter":{"from":"a"},"follow":true}"#),
            Ok(Ask::Exchanges)
        );
        for (line, code) in [
            ("", Code::BadRequest),
            ("\0\u{1}GET / HTTP/1.1", Code::BadRequest),
            (r#"{"v":1,"ask":"everything"}"#, Code::BadRequest),
            (r#"{"v":1,"ask":"edges","foolow":true}"#, Code::BadRequest),
            (r#"{"v":2,"ask":"edges"}"#, Code::UnsupportedVersion),
            ("[[[[[[[[", Code::BadRequest),
        ] {
            assert_eq!(ok(line).unwrap_err().code, code, "{line}");
        }
        assert_eq!(
            parse_request(&[0xff, 0xfe]).unwrap_err().code,
            Code::BadRequest
        );
    }
}
