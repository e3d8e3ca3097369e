//! What the tests rely on in weir's JSON. Written apart from the agent's own types on purpose:
//! these shapes are promised to users, so a test must notice when they change.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `{"v":1,"completeness":…,"lost":{…},"items":[…]}`.
#[derive(Clone, Debug, Deserialize)]
pub struct Answer<T> {
    /// Version of the shape.
    pub v: u32,
    /// seen / (seen + lost).
    pub completeness: f64,
    /// Losses by reason.
    pub lost: BTreeMap<String, u64>,
    /// The items.
    pub items: Vec<T>,
}

/// One end of an edge or exchange.
#[derive(Clone, Debug, Deserialize)]
pub struct Endpoint {
    /// Service name.
    pub service: String,
    /// `unit`, `container`, `pod`, `process`, `remote`, `unknown`.
    pub kind: String,
    /// Address.
    pub addr: String,
}

/// An item of `weir edges`.
#[derive(Clone, Debug, Deserialize)]
pub struct Edge {
    /// Caller.
    pub client: Endpoint,
    /// Callee.
    pub server: Endpoint,
    /// `http`, `tcp`, …
    pub protocol: String,
    /// Server port.
    pub port: u16,
    /// Exchanges.
    pub calls: u64,
    /// Failed exchanges.
    pub errors: u64,
    /// Median duration, ns.
    pub p50_ns: Option<u64>,
    /// Mean time until the server read its requests, ns.
    pub queue_mean_ns: Option<u64>,
    /// Payload bytes client → server.
    pub bytes_out: u64,
    /// Payload bytes server → client.
    pub bytes_in: u64,
    /// seen / (seen + lost).
    pub completeness: f64,
}

impl Edge {
    /// `client → server:port protocol`.
    pub fn arrow(&self) -> String {
        format!(
            "{} → {}:{} {}",
            self.client.service, self.server.service, self.port, self.protocol
        )
    }

    /// Fails if any of its exchanges may be missing.
    #[track_caller]
    pub fn check_whole(&self) {
        assert!((self.completeness - 1.0).abs() < 1e-9, "{self:#?}");
    }
}

/// Failed exchanges of these edges together.
pub fn errors(edges: &[Edge]) -> u64 {
    edges.iter().map(|edge| edge.errors).sum()
}

/// What a TLS handshake told.
#[derive(Clone, Debug, Deserialize)]
pub struct TlsHandshake {
    /// Version that was agreed on.
    pub version: Option<String>,
    /// Host name that the client asked for.
    pub server_name: Option<String>,
    /// Application protocols that the client offered.
    #[serde(default)]
    pub alpn: Vec<String>,
}

/// An item of `weir tap`.
#[derive(Clone, Debug, Deserialize)]
pub struct Exchange {
    /// Unix time of the first request byte, seconds.
    pub ts: f64,
    /// Caller.
    pub client: Endpoint,
    /// Callee.
    pub server: Endpoint,
    /// `http`, `websocket`, …
    pub protocol: String,
    /// Low-cardinality name.
    pub operation: String,
    /// Method.
    pub method: Option<String>,
    /// Path, query cut off.
    pub path: Option<String>,
    /// Status code.
    pub status: Option<u16>,
    /// Kind of failure.
    pub error: Option<String>,
    /// Head and body.
    pub request_bytes: u64,
    /// Head and body.
    pub response_bytes: u64,
    /// Trace that it belongs to.
    pub trace_id: Option<String>,
    /// Messages of the client within the exchange.
    pub request_messages: Option<u32>,
    /// Messages of the server within the exchange, or events.
    pub response_messages: Option<u32>,
    /// First request byte to last response byte.
    pub duration_ns: u64,
    /// First request byte's arrival until the server's application read it.
    pub queue_ns: Option<u64>,
    /// Of TLS alone.
    pub tls_handshake: Option<TlsHandshake>,
}

impl Exchange {
    /// `GET /path 200`.
    pub fn line(&self) -> String {
        format!(
            "{} {} {}",
            self.method.as_deref().unwrap_or("-"),
            self.path.as_deref().unwrap_or("-"),
            self.status.map_or("-".into(), |status| status.to_string())
        )
    }
}

/// An item of `weir verdicts`.
#[derive(Clone, Debug, Deserialize)]
pub struct Verdict {
    /// `allow`, `deny`, `audit`.
    pub verdict: String,
    /// Policy that decided.
    pub policy: String,
    /// `connect`, `sendmsg`, `ingress`.
    pub hook: String,
    /// `rule`, `default`, `unresolved`, `limit`.
    pub reason: String,
    /// Destination port.
    pub port: u16,
    /// `tcp`, `udp`.
    pub transport: String,
}

/// An item of `weir policy list`.
#[derive(Clone, Debug, Deserialize)]
pub struct Policy {
    /// Name.
    pub name: String,
    /// Flows let through.
    pub allowed: u64,
    /// Flows refused.
    pub denied: u64,
    /// Flows that would have been refused.
    pub audited: u64,
}

/// The item of `weir status`.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    /// Process id of the daemon.
    pub pid: u32,
    /// Exchanges counted since the maps exist.
    pub exchanges: u64,
    /// Connections open now.
    pub connections: u64,
    /// Policies loaded.
    pub policies: u64,
    /// Losses by reason.
    pub lost: BTreeMap<String, u64>,
    /// Capabilities that this kernel lacks.
    pub missing: Vec<String>,
    /// Hooks in force.
    pub hooks: Vec<String>,
    /// Entries and capacity of the maps and tables that can run full.
    pub map_fill: BTreeMap<String, (u64, u64)>,
    /// Exporter states.
    pub exporters: BTreeMap<String, String>,
}
