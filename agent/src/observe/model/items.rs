//! Items of answers, as the commands print them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Endpoint, RouteSource, Workload, WorkloadKind};

/// What a TLS handshake tells. Names as in OpenTelemetry's `tls.*` attributes and IANA's registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsHandshake {
    /// Version that was agreed on, e.g. `TLSv1.3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Cipher suite that was agreed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    /// Host name that the client asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Application protocols that the client offered, as far as they were seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<String>,
}

/// One exchange, as `weir tap` prints it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// Unix time of the first request byte, seconds with fraction (RFC 3339 in tables).
    pub ts: f64,
    /// First request byte to last response byte, ns.
    pub duration_ns: u64,
    /// Caller.
    pub client: Endpoint,
    /// Callee.
    pub server: Endpoint,
    /// `http`, …
    pub protocol: String,
    /// Low-cardinality name.
    pub operation: String,
    /// Where the path in `operation` comes from; only of HTTP, once named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_source: Option<RouteSource>,
    /// Request method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Path as sent, query cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Status code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it failed, if it did: `5xx`, `unanswered`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Head and body.
    pub request_bytes: u64,
    /// Head and body.
    pub response_bytes: u64,
    /// Messages of the client within the exchange, where it consists of them (WebSocket).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_messages: Option<u32>,
    /// Messages of the server within the exchange, or events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_messages: Option<u32>,
    /// Topic or queue between the two, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// 32 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Server span, 16 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// The client span: parent of the server span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<String>,
    /// Parent of the client span (from a `traceparent` header), if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_parent_span_id: Option<String>,
    /// How sure the inferred parts are, 0 to 1; absent when nothing is inferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// TLS.
    pub tls: bool,
    /// What a TLS handshake told; `None` for other exchanges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_handshake: Option<TlsHandshake>,
    /// `allow`, `deny`, `audit`.
    pub verdict: String,
    /// Unix time of the first request byte, ns (exporters need the precision).
    #[serde(skip)]
    pub started_unix_ns: u64,
    /// First response byte after the first request byte, ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_first_byte_ns: Option<u64>,
    /// First request byte's arrival at the server's socket until its application read it, ns;
    /// `None` if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_ns: Option<u64>,
    /// Workload of the client when it is on this host.
    #[serde(skip)]
    pub client_workload: Option<Arc<Workload>>,
    /// Workload of the server when it is on this host.
    #[serde(skip)]
    pub server_workload: Option<Arc<Workload>>,
    /// Server port.
    #[serde(skip)]
    pub server_port: u16,
    /// True if this host's weir saw the client end, so it owns the client span.
    #[serde(skip)]
    pub client_here: bool,
    /// True if this host's weir saw the server end, so it owns the server span.
    #[serde(skip)]
    pub server_here: bool,
    /// Probability with which it was drawn for the detail lane, 0 to 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub sample_probability: f64,
}

fn one() -> f64 {
    1.0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_one(value: &f64) -> bool {
    (*value - 1.0).abs() < f64::EPSILON
}

/// A connection, as `weir flows` prints it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlowItem {
    /// Unix time of the record, seconds.
    pub ts: f64,
    /// `open`, `report`, `close`, `failed`.
    pub event: String,
    /// Caller.
    pub client: Endpoint,
    /// Callee.
    pub server: Endpoint,
    /// `http`, `tls`, `tcp`, …
    pub protocol: String,
    /// `address:port` of the client end.
    pub client_addr: String,
    /// `address:port` of the server end.
    pub server_addr: String,
    /// Seconds since it was opened.
    pub age_seconds: f64,
    /// Payload bytes client → server.
    pub bytes_out: u64,
    /// Payload bytes server → client.
    pub bytes_in: u64,
    /// Exchanges counted on it.
    pub exchanges: u64,
    /// Smoothed round-trip time, ns.
    pub srtt_ns: u64,
    /// Lowest round-trip time, ns.
    pub rtt_min_ns: u64,
    /// SYN to ESTABLISHED, ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_ns: Option<u64>,
    /// Segments sent again.
    pub retransmits: u32,
    /// Ended by RST.
    pub reset: bool,
    /// TLS.
    pub tls: bool,
    /// Older than weir.
    pub adopted: bool,
}

/// An edge, as `weir edges` prints it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgeItem {
    /// Caller.
    pub client: Endpoint,
    /// Callee.
    pub server: Endpoint,
    /// `http`, …
    pub protocol: String,
    /// Server port.
    pub port: u16,
    /// Topic or queue between the two, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Exchanges.
    pub calls: u64,
    /// Exchanges that failed.
    pub errors: u64,
    /// Calls per second over the latest window.
    pub rate: f64,
    /// Median duration, ns; absent when nothing was timed.
    pub p50_ns: Option<u64>,
    /// 95th percentile, ns.
    pub p95_ns: Option<u64>,
    /// 99th percentile, ns.
    pub p99_ns: Option<u64>,
    /// Mean time that requests waited in the socket until the server's application read them, ns;
    /// absent when it is known of none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_mean_ns: Option<u64>,
    /// Payload bytes client → server.
    pub bytes_out: u64,
    /// Payload bytes server → client.
    pub bytes_in: u64,
    /// Connections open now.
    pub connections: u64,
    /// TLS.
    pub tls: bool,
    /// seen / (seen + lost).
    pub completeness: f64,
    /// Unix time of the latest traffic, seconds.
    pub last_seen: f64,
}

/// A workload with its rates, as `weir services` prints it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceItem {
    /// Service name.
    pub service: String,
    /// Namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What it is.
    pub kind: WorkloadKind,
    /// Instances seen.
    pub instances: u64,
    /// Ports it serves.
    pub ports: Vec<u16>,
    /// Calls it served.
    pub calls: u64,
    /// Of these, failed.
    pub errors: u64,
    /// Calls per second.
    pub rate: f64,
    /// Percentiles of what it served.
    pub p50_ns: Option<u64>,
    /// 95th percentile, ns.
    pub p95_ns: Option<u64>,
    /// 99th percentile, ns.
    pub p99_ns: Option<u64>,
    /// Services that call it.
    pub callers: u64,
    /// Services that it calls.
    pub callees: u64,
    /// Unix time of the latest traffic, seconds.
    pub last_seen: f64,
}

/// TCP facts of an edge, as `weir tcp` prints them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TcpItem {
    /// Caller.
    pub client: Endpoint,
    /// Callee.
    pub server: Endpoint,
    /// Server port.
    pub port: u16,
    /// Connections opened.
    pub opened: u64,
    /// Connections open now.
    pub open: u64,
    /// Attempts that failed.
    pub connect_failures: u64,
    /// Connections that ended by RST.
    pub resets: u64,
    /// Segments sent again.
    pub retransmits: u64,
    /// Share of segments sent again.
    pub retransmit_ratio: f64,
    /// Retransmission timeouts.
    pub timeouts: u64,
    /// Median of the sampled smoothed round-trip time, ns.
    pub rtt_p50_ns: Option<u64>,
    /// 95th percentile, ns.
    pub rtt_p95_ns: Option<u64>,
    /// Median connect time, ns.
    pub connect_p50_ns: Option<u64>,
    /// Payload bytes client → server.
    pub bytes_out: u64,
    /// Payload bytes server → client.
    pub bytes_in: u64,
}

/// A policy decision, as `weir verdicts` prints it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerdictItem {
    /// Unix time, seconds.
    pub ts: f64,
    /// `allow`, `deny`, `audit`.
    pub verdict: String,
    /// Policy that decided, or `default`.
    pub policy: String,
    /// `enforce` or `audit`.
    pub mode: String,
    /// `connect`, `sendmsg`, `ingress`.
    pub hook: String,
    /// `rule`, `default`, `unresolved`.
    pub reason: String,
    /// Who asked.
    pub client: Endpoint,
    /// Whom.
    pub server: Endpoint,
    /// Destination port.
    pub port: u16,
    /// `tcp` or `udp`.
    pub transport: String,
}
