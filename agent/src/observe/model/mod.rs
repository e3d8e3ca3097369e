//! The values that the agent speaks in: workloads, edges, exchanges, connections.
//!
//! The JSON shape of each item is fixed (README, "JSON"); `None` fields are left out.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};
use weir_common::counter::BUCKETS;

mod items;

pub use items::{EdgeItem, Exchange, FlowItem, ServiceItem, TcpItem, TlsHandshake, VerdictItem};

use super::condition::Condition;
pub use super::routes::RouteSource;

/// What kind of thing a workload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkloadKind {
    /// A systemd unit.
    Unit,
    /// A container outside Kubernetes.
    Container,
    /// A Kubernetes pod.
    Pod,
    /// A process group known by its program or script.
    Process,
    /// A peer that is not on this host.
    Remote,
    /// Not named yet, or folded away.
    Unknown,
}

/// Who: a systemd unit, container, pod or process group with a service name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Workload {
    /// Stable id: [`weir_common::stable_hash`] of `kind/namespace/service`.
    pub id: u64,
    /// Service name.
    pub service: String,
    /// Kubernetes namespace or `OTEL_RESOURCE_ATTRIBUTES` `service.namespace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What it is.
    pub kind: WorkloadKind,
    /// systemd unit, e.g. `nginx.service`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Container id (64 hex digits or its first 12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Pod uid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// Command name of the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// Further resource attributes (`OTEL_RESOURCE_ATTRIBUTES`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// One end of an edge or exchange, as answers show it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// Service name; an address for an unnamed remote peer.
    pub service: String,
    /// Namespace, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What it is.
    pub kind: WorkloadKind,
    /// Which of several: unit, container id, or pid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// `address:port` as the counting socket sees it (the client's without its ephemeral port).
    pub addr: String,
}

/// Durations in the buckets of [`weir_common::counter::bucket_of`]; merging is addition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Count per bucket; always [`BUCKETS`] long.
    pub buckets: Vec<u64>,
    /// Sum of all values, ns.
    pub sum_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: vec![0; BUCKETS],
            sum_ns: 0,
        }
    }
}

/// How long requests waited in the socket until the server's application read them. Only of those
/// of which it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueTimes {
    /// Requests.
    pub count: u64,
    /// Sum of their times, ns.
    pub sum_ns: u64,
}

/// Counts of one operation with one outcome on one edge, since the edge was first seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationCounts {
    /// Exchanges.
    pub calls: u64,
    /// Request bytes, heads and bodies.
    pub request_bytes: u64,
    /// Response bytes, heads and bodies.
    pub response_bytes: u64,
    /// Durations.
    pub duration: Histogram,
    /// Queue times.
    #[serde(default)]
    pub queue: QueueTimes,
}

/// Identifies an operation with its outcome on an edge.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OperationId {
    /// Low-cardinality name, e.g. `GET /users/*`; `_OTHER` when folded, `GET _UNNAMED` before
    /// its first detail record came.
    pub operation: String,
    /// Request method, if the protocol has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Status code; 0 = no response.
    pub status: u16,
    /// Where the path in `operation` comes from; only of HTTP, once named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_source: Option<RouteSource>,
}

/// TCP facts of an edge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpCounts {
    /// Connections opened.
    pub opened: u64,
    /// Connections open now.
    pub open: u64,
    /// Attempts that failed.
    pub connect_failures: u64,
    /// Connections that ended by RST.
    pub resets: u64,
    /// Segments seen by the counting socket.
    pub segments: u64,
    /// Segments sent again.
    pub retransmits: u64,
    /// Retransmission timeouts.
    pub timeouts: u64,
    /// Sampled smoothed round-trip times.
    pub rtt: Histogram,
    /// SYN to ESTABLISHED.
    pub connect: Histogram,
}

/// Everything known of one edge: the value that exporters and views read. Monotonic counters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgeState {
    /// Calling side.
    pub client: Endpoint,
    /// Called side.
    pub server: Endpoint,
    /// Workload of the client when it is on this host.
    pub client_workload: Option<Arc<Workload>>,
    /// Workload of the server when it is on this host.
    pub server_workload: Option<Arc<Workload>>,
    /// `http`, `http2`, `tls`, `tcp`, …
    pub protocol: String,
    /// Server port.
    pub port: u16,
    /// True when this host's end is the server (it owns counts and server latency) or both ends
    /// are here; false when only the client is here.
    pub counted_at_server: bool,
    /// True when both ends are on this host.
    pub local_pair: bool,
    /// Counts per operation and outcome.
    pub operations: BTreeMap<OperationId, OperationCounts>,
    /// TCP facts.
    pub tcp: TcpCounts,
    /// Payload bytes client → server.
    pub bytes_out: u64,
    /// Payload bytes server → client.
    pub bytes_in: u64,
    /// True when its connections are TLS.
    pub tls: bool,
    /// Losses by reason name.
    pub lost: BTreeMap<String, u64>,
    /// Unix time of first sight, ns.
    pub first_seen_ns: u64,
    /// Unix time of the latest traffic, ns.
    pub last_seen_ns: u64,
    /// Calls per second over the latest window.
    pub rate: f64,
}

/// What `-o json` prints: items with what loss may hide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer<T> {
    /// Version of the shape: 1.
    pub v: u32,
    /// seen / (seen + lost) over what the items stand on.
    pub completeness: f64,
    /// Losses by reason that could affect the items.
    pub lost: BTreeMap<String, u64>,
    /// The items.
    pub items: Vec<T>,
}

/// Which items an answer holds; every field that is set must match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Only what was seen in the last so many seconds.
    pub since_seconds: Option<f64>,
    /// Client service.
    pub from: Option<String>,
    /// Server service.
    pub to: Option<String>,
    /// Client or server service.
    pub service: Option<String>,
    /// Protocol.
    pub protocol: Option<String>,
    /// Status: exact (`404`) or class (`5xx`).
    pub status: Option<String>,
    /// Verdict.
    pub verdict: Option<String>,
    /// Conditions on any field of an item; all must hold.
    #[serde(rename = "where")]
    pub conditions: Vec<Condition>,
}

/// Turns an address of the kernel's form into the usual type (v4-mapped becomes IPv4).
pub fn ip_of(addr: &weir_common::flow::Addr) -> IpAddr {
    std::net::Ipv6Addr::from(*addr).to_canonical()
}
