//! Every metric and attribute name that weir exports, with units and bucket bounds.
//!
//! OpenTelemetry names follow the semantic conventions at [`SCHEMA_URL`]; service-graph and
//! span-metric names follow Grafana Tempo's metrics generator, so that its dashboards read them.
//! Names under `weir.` are weir's own.

/// Schema that the attribute and metric names are pinned to.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.42.0";

/// Instrumentation scope of everything weir exports.
pub const SCOPE: &str = "weir";

/// What Tempo and Grafana call a caller that nobody knows.
pub const UNKNOWN_CLIENT: &str = "user";

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Monotonic sum of integers.
    Counter,
    /// Level at one time.
    Gauge,
    /// Durations in seconds with these upper bounds.
    Seconds(&'static [f64]),
}

/// Whose resource a metric's points stand under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The workload that served or called.
    Workload,
    /// weir as the observer of the graph.
    Observer,
    /// weir speaking of itself.
    Agent,
}

/// One metric with its name in both worlds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricName {
    /// OpenTelemetry name.
    pub otlp: &'static str,
    /// Prometheus family name, with unit but without `_total`.
    pub prometheus: &'static str,
    /// UCUM unit; empty for Tempo's names, so that translators add no suffix.
    pub unit: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Whose resource its points stand under.
    pub owner: Owner,
}

impl MetricName {
    /// Upper bucket bounds in seconds; empty unless it is a histogram.
    pub const fn bounds(&self) -> &'static [f64] {
        match self.kind {
            Kind::Seconds(bounds) => bounds,
            Kind::Counter | Kind::Gauge => &[],
        }
    }
}

/// Bounds that the HTTP conventions recommend, seconds.
pub const SEMCONV_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Powers of two that include Tempo's span-metric bounds (2 ms to 16.4 s) and begin at 125 µs,
/// because calls on one host are quicker than what Tempo was made for.
pub const GRAPH_SECONDS: &[f64] = &[
    0.000_125, 0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256,
    0.512, 1.024, 2.048, 4.096, 8.192, 16.384,
];

/// Round trips and connects: 16 µs to 2.1 s.
pub const TCP_SECONDS: &[f64] = &[
    0.000_016, 0.000_032, 0.000_064, 0.000_128, 0.000_256, 0.000_512, 0.001_024, 0.002_048,
    0.004_096, 0.008_192, 0.016_384, 0.032_768, 0.065_536, 0.131_072, 0.262_144, 0.524_288,
    1.048_576, 2.097_152,
];

macro_rules! metrics {
    ($($id:ident = $owner:ident, $kind:expr, $otlp:literal, $prometheus:literal, $unit:literal, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $id: MetricName = MetricName {
                otlp: $otlp, prometheus: $prometheus, unit: $unit, help: $help, kind: $kind,
                owner: Owner::$owner,
            };
        )*
        /// All of them, in the order in which they are exported.
        pub static ALL: &[&MetricName] = &[$(&$id),*];
    };
}

metrics! {
    HTTP_SERVER_DURATION = Workload, Kind::Seconds(SEMCONV_SECONDS), "http.server.request.duration", "http_server_request_duration_seconds", "s", "Duration of HTTP server requests, measured in the kernel.";
    HTTP_CLIENT_DURATION = Workload, Kind::Seconds(SEMCONV_SECONDS), "http.client.request.duration", "http_client_request_duration_seconds", "s", "Duration of HTTP client requests, measured in the kernel.";
    SERVER_QUEUE = Workload, Kind::Seconds(&[]), "weir.server.queue.duration", "weir_server_queue_duration_seconds", "s", "Time that requests waited in the socket until the server's application read them: their number and sum.";
    GRAPH_REQUESTS = Observer, Kind::Counter, "traces_service_graph_request_total", "traces_service_graph_request", "", "Requests between two services, each counted once.";
    GRAPH_FAILED = Observer, Kind::Counter, "traces_service_graph_request_failed_total", "traces_service_graph_request_failed", "", "Failed requests (5xx or unanswered) between two services, each counted once.";
    GRAPH_SERVER_SECONDS = Observer, Kind::Seconds(GRAPH_SECONDS), "traces_service_graph_request_server_seconds", "traces_service_graph_request_server_seconds", "s", "Duration of requests between two services as the server saw them.";
    GRAPH_CLIENT_SECONDS = Observer, Kind::Seconds(GRAPH_SECONDS), "traces_service_graph_request_client_seconds", "traces_service_graph_request_client_seconds", "s", "Duration of requests between two services as the client saw them.";
    SPANMETRICS_CALLS = Observer, Kind::Counter, "traces_spanmetrics_calls_total", "traces_spanmetrics_calls", "", "Calls per service, span name, kind and status.";
    SPANMETRICS_LATENCY = Observer, Kind::Seconds(GRAPH_SECONDS), "traces_spanmetrics_latency", "traces_spanmetrics_latency", "", "Latency in seconds per service, span name, kind and status.";
    EDGE_CALLS = Observer, Kind::Counter, "weir.edge.calls", "weir_edge_calls", "{call}", "Exchanges on an edge, exact.";
    EDGE_ERRORS = Observer, Kind::Counter, "weir.edge.errors", "weir_edge_errors", "{call}", "Exchanges that failed (5xx or unanswered) on an edge, exact.";
    EDGE_IO = Observer, Kind::Counter, "weir.edge.io", "weir_edge_io_bytes", "By", "Payload bytes on an edge per direction: out is client to server.";
    EDGE_LOST = Observer, Kind::Counter, "weir.edge.lost", "weir_edge_lost", "{event}", "What could not be seen on an edge, by reason.";
    EDGE_COMPLETENESS = Observer, Kind::Gauge, "weir.edge.completeness", "weir_edge_completeness_ratio", "1", "Seen exchanges over seen and lost ones on an edge.";
    TCP_OPENED = Observer, Kind::Counter, "weir.tcp.connections.opened", "weir_tcp_connections_opened", "{connection}", "Connections opened on an edge.";
    TCP_OPEN = Observer, Kind::Gauge, "weir.tcp.connections.open", "weir_tcp_connections_open", "{connection}", "Connections open now on an edge.";
    TCP_CONNECT_FAILURES = Observer, Kind::Counter, "weir.tcp.connect.failures", "weir_tcp_connect_failures", "{connection}", "Connection attempts that never were established.";
    TCP_RESETS = Observer, Kind::Counter, "weir.tcp.resets", "weir_tcp_resets", "{connection}", "Connections that ended by RST.";
    TCP_SEGMENTS = Observer, Kind::Counter, "weir.tcp.segments", "weir_tcp_segments", "{segment}", "Segments seen by the counting socket.";
    TCP_RETRANSMITS = Observer, Kind::Counter, "weir.tcp.retransmits", "weir_tcp_retransmits", "{segment}", "Segments sent again.";
    TCP_TIMEOUTS = Observer, Kind::Counter, "weir.tcp.timeouts", "weir_tcp_timeouts", "{timeout}", "Retransmission timeouts.";
    TCP_RTT = Observer, Kind::Seconds(TCP_SECONDS), "weir.tcp.rtt", "weir_tcp_rtt_seconds", "s", "Sampled smoothed round-trip times.";
    TCP_CONNECT = Observer, Kind::Seconds(TCP_SECONDS), "weir.tcp.connect.duration", "weir_tcp_connect_duration_seconds", "s", "Time from SYN to established, as clients saw it.";
    POLICY_VERDICTS = Observer, Kind::Counter, "weir.policy.verdicts", "weir_policy_verdicts", "{flow}", "Flows that a policy decided, by verdict.";
    AGENT_INFO = Agent, Kind::Gauge, "weir.agent.info", "weir_agent_info", "", "Always 1; its labels say which weir on which kernel.";
    AGENT_UPTIME = Agent, Kind::Gauge, "weir.agent.uptime", "weir_agent_uptime_seconds", "s", "Time since the daemon started.";
    AGENT_EXCHANGES = Agent, Kind::Counter, "weir.agent.exchanges", "weir_agent_exchanges", "{call}", "Exchanges counted since the maps exist.";
    AGENT_LOST = Agent, Kind::Counter, "weir.agent.lost", "weir_agent_lost", "{event}", "What could not be seen on this host, by reason.";
    AGENT_COMPLETENESS = Agent, Kind::Gauge, "weir.agent.completeness", "weir_agent_completeness_ratio", "1", "Seen exchanges over seen and lost ones on this host.";
    AGENT_EDGES = Agent, Kind::Gauge, "weir.agent.edges", "weir_agent_edges", "{edge}", "Edges known.";
    AGENT_CONNECTIONS = Agent, Kind::Gauge, "weir.agent.connections", "weir_agent_connections", "{connection}", "Connections open now on this host.";
    AGENT_POLICIES = Agent, Kind::Gauge, "weir.agent.policies", "weir_agent_policies", "{policy}", "Policies loaded.";
    AGENT_MAP_ENTRIES = Agent, Kind::Gauge, "weir.agent.map.entries", "weir_agent_map_entries", "{entry}", "Entries in a kernel map.";
    AGENT_MAP_CAPACITY = Agent, Kind::Gauge, "weir.agent.map.capacity", "weir_agent_map_capacity", "{entry}", "Entries that a kernel map can hold.";
    AGENT_SERIES_FOLDED = Agent, Kind::Gauge, "weir.agent.series.folded", "weir_agent_series_folded", "{series}", "Series folded into one marked otel.metric.overflow, because a metric had too many.";
    EXPORT_SENT = Agent, Kind::Counter, "weir.agent.export.sent", "weir_agent_export_sent", "{item}", "Spans and data points that the receiver took.";
    EXPORT_LOST = Agent, Kind::Counter, "weir.agent.export.lost", "weir_agent_export_lost", "{item}", "Spans and data points that were not delivered, by reason.";
    EXPORT_SUPERSEDED = Agent, Kind::Counter, "weir.agent.export.superseded", "weir_agent_export_superseded", "{item}", "Cumulative data points replaced by newer ones before they could be sent; nothing is lost by it.";
    EXPORT_RETRIES = Agent, Kind::Counter, "weir.agent.export.retries", "weir_agent_export_retries", "{request}", "Requests that had to be sent again.";
    EXPORT_BUFFER = Agent, Kind::Gauge, "weir.agent.export.buffer", "weir_agent_export_buffer_bytes", "By", "Bytes waiting to be sent.";
}

/// Attribute names: semantic conventions first, then Tempo's, then weir's own.
pub mod attr {
    #![allow(
        missing_docs,
        reason = "the constant repeats the name, which the conventions define"
    )]
    pub const CLIENT_ADDRESS: &str = "client.address";
    pub const CONTAINER_ID: &str = "container.id";
    pub const ERROR_TYPE: &str = "error.type";
    pub const HOST_NAME: &str = "host.name";
    pub const HTTP_METHOD: &str = "http.request.method";
    pub const HTTP_REQUEST_SIZE: &str = "http.request.size";
    pub const HTTP_RESPONSE_SIZE: &str = "http.response.size";
    pub const HTTP_ROUTE: &str = "http.route";
    pub const HTTP_STATUS: &str = "http.response.status_code";
    pub const K8S_NAMESPACE: &str = "k8s.namespace.name";
    pub const K8S_POD_UID: &str = "k8s.pod.uid";
    pub const MESSAGING_DESTINATION: &str = "messaging.destination.name";
    pub const NETWORK_PROTOCOL_NAME: &str = "network.protocol.name";
    pub const NETWORK_PROTOCOL_VERSION: &str = "network.protocol.version";
    pub const OVERFLOW: &str = "otel.metric.overflow";
    pub const PROCESS_EXECUTABLE: &str = "process.executable.name";
    pub const SERVER_ADDRESS: &str = "server.address";
    pub const SERVER_PORT: &str = "server.port";
    pub const SERVICE_INSTANCE: &str = "service.instance.id";
    pub const SERVICE_NAME: &str = "service.name";
    pub const SERVICE_NAMESPACE: &str = "service.namespace";
    pub const SERVICE_PEER_NAME: &str = "service.peer.name";
    pub const SERVICE_PEER_NAMESPACE: &str = "service.peer.namespace";
    pub const SERVICE_VERSION: &str = "service.version";
    pub const URL_FULL: &str = "url.full";
    pub const URL_PATH: &str = "url.path";
    pub const URL_SCHEME: &str = "url.scheme";
    /// What `http.route` is at the server, as the client names it.
    pub const URL_TEMPLATE: &str = "url.template";

    /// The older name of `service.peer.name`, which many back ends still read.
    pub const PEER_SERVICE: &str = "peer.service";

    pub const CLIENT: &str = "client";
    pub const CLIENT_NAMESPACE: &str = "client_service_namespace";
    pub const CONNECTION_TYPE: &str = "connection_type";
    pub const SERVER: &str = "server";
    pub const SERVER_NAMESPACE: &str = "server_service_namespace";
    pub const SERVICE: &str = "service";
    pub const SPAN_KIND: &str = "span_kind";
    pub const SPAN_NAME: &str = "span_name";
    pub const STATUS_CODE: &str = "status_code";

    pub const ACTION: &str = "weir.policy.action";
    pub const CONFIDENCE: &str = "weir.confidence";
    pub const DIRECTION: &str = "weir.direction";
    pub const EXPORTER: &str = "weir.exporter";
    pub const KERNEL: &str = "weir.kernel";
    pub const MAP: &str = "weir.map";
    /// `server` where a client metric repeats what the server end of a local pair measured.
    pub const MEASURED_AT: &str = "weir.measured_at";
    pub const MODE: &str = "weir.policy.mode";
    /// The low-cardinality name that an exchange is counted under.
    pub const OPERATION: &str = "weir.operation";
    /// Where the path in it comes from; what weir guessed is not `http.route`.
    pub const OPERATION_SOURCE: &str = "weir.operation.source";
    pub const POLICY: &str = "weir.policy.name";
    pub const PROTOCOL: &str = "weir.protocol";
    pub const QUEUE_TIME: &str = "weir.queue_time_ns";
    pub const REASON: &str = "weir.reason";
    pub const SAMPLE_PROBABILITY: &str = "weir.sample_probability";
    pub const TIME_TO_FIRST_BYTE: &str = "weir.time_to_first_byte_ns";
    pub const TLS: &str = "weir.tls";
    pub const TLS_PROTOCOL_NAME: &str = "tls.protocol.name";
    pub const TLS_PROTOCOL_VERSION: &str = "tls.protocol.version";
    pub const TLS_CIPHER: &str = "tls.cipher";
    pub const TLS_SERVER_NAME: &str = "tls.client.server_name";
    pub const TLS_ESTABLISHED: &str = "tls.established";
    pub const UNIT: &str = "weir.unit";
    pub const VERDICT: &str = "weir.verdict";
    pub const VERSION: &str = "weir.version";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_bounds_ascend() {
        for (index, name) in ALL.iter().enumerate() {
            assert!(ALL[..index].iter().all(|other| other.otlp != name.otlp));
            assert!(
                ALL[..index]
                    .iter()
                    .all(|other| other.prometheus != name.prometheus)
            );
            // Folding stays monotone in time only while no source bucket (25 % wide) holds two.
            assert!(
                name.bounds()
                    .windows(2)
                    .all(|pair| pair[1] >= pair[0] * 1.3)
            );
        }
    }

    #[test]
    fn prometheus_names_are_legal_and_leave_total_to_the_encoder() {
        for name in ALL {
            let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(name.prometheus.chars().all(legal), "{}", name.prometheus);
            assert!(!name.prometheus.ends_with("_total"), "{}", name.prometheus);
        }
    }
}
