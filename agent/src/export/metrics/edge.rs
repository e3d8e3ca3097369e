//! One edge → its points: HTTP durations per workload, service graph, span metrics, edge and TCP
//! facts. Counts are exact; histograms hold the exchanges that could be timed.

use std::net::IpAddr;

use weir_common::{counter::Loss, framing::websocket};

use super::{
    Attributes, Durations, Measures, Point, Resource, Resources, Sample,
    measures::Value,
    outcome::{Side, edge_failed, failure},
};
use crate::{
    export::names::{self, MetricName, UNKNOWN_CLIENT, attr},
    observe::{
        model::{
            EdgeState, Endpoint, Histogram, OperationCounts, OperationId, QueueTimes, RouteSource,
            WorkloadKind,
        },
        operations::{WATCH, path_in},
        protocol::http_status,
    },
};

/// Adds everything that is known of `edge`.
pub fn add_edge<'a>(
    measures: &mut Measures,
    edge: &'a EdgeState,
    resources: &mut Resources<'a>,
    agent: &Resource,
) {
    let mut writer = Writer {
        measures,
        edge,
        agent,
        start_unix_ns: edge.first_seen_ns,
        ends: ends(edge),
        sides: sides(edge, resources),
    };
    for (id, counts) in &edge.operations {
        writer.operation(id, counts);
    }
    writer.totals();
    writer.tcp();
}

/// Name of the caller as the graph shows it: `user` when nobody knows it.
pub fn client_name(client: &Endpoint) -> &str {
    let nameless = client.service.is_empty() || client.service.parse::<IpAddr>().is_ok();
    match client.kind {
        WorkloadKind::Remote | WorkloadKind::Unknown if nameless => UNKNOWN_CLIENT,
        _ => &client.service,
    }
}

/// Address and port of `address:port`, brackets of IPv6 taken off.
pub fn split_address(addr: &str) -> (&str, Option<u16>) {
    if addr.parse::<IpAddr>().is_ok() {
        return (addr, None);
    }
    match addr.rsplit_once(':') {
        Some((host, port)) => (host.trim_matches(['[', ']']), port.parse().ok()),
        None => (addr, None),
    }
}

/// Name of a method as the conventions want it: a known one or `_OTHER`.
pub fn known_method(method: Option<&str>) -> &str {
    const KNOWN: [&str; 10] = [
        "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE",
    ];
    method
        .filter(|method| KNOWN.contains(method))
        .unwrap_or("_OTHER")
}

/// Version of the protocol where it is certain: an edge of `http` may speak 1.0 and 1.1.
pub fn protocol_version(protocol: &str) -> Option<&'static str> {
    match protocol {
        "http2" => Some("2"),
        "http3" => Some("3"),
        _ => None,
    }
}

/// True for every version of HTTP.
pub fn is_http(protocol: &str) -> bool {
    protocol.starts_with("http")
}

/// The route in an operation's name, if somebody has written it down.
pub fn certain_route<'a>(
    source: Option<RouteSource>,
    method: Option<&str>,
    operation: &'a str,
) -> Option<&'a str> {
    source.filter(|source| source.is_certain())?;
    path_in(operation, method)
}

/// Attribute that holds the route at either side.
pub fn route_name(side: Side) -> &'static str {
    match side {
        Side::Server => attr::HTTP_ROUTE,
        Side::Client => attr::URL_TEMPLATE,
    }
}

/// Span name of an operation: the method alone unless a low-cardinality name is known.
pub fn span_name(method: Option<&str>, operation: &str) -> String {
    let method = match known_method(method) {
        "_OTHER" => "HTTP",
        known => known,
    };
    let name = operation.strip_suffix(WATCH).unwrap_or(operation);
    let name = name.strip_prefix(method).map_or(name, str::trim_start);
    match name {
        "" | "_OTHER" | "_UNNAMED" => method.to_owned(),
        name => format!("{method} {name}"),
    }
}

fn connection_type(edge: &EdgeState) -> &'static str {
    match edge.protocol.as_str() {
        "postgresql" | "mysql" | "redis" | "mongodb" | "memcached" => "database",
        "kafka" | "amqp" | "nats" | "mqtt" => "messaging_system",
        _ if client_name(&edge.client) == UNKNOWN_CLIENT => "virtual_node",
        _ if edge.server_workload.is_none() => "virtual_node",
        _ => "",
    }
}

/// Labels that say which edge, as Tempo names them.
fn ends(edge: &EdgeState) -> Attributes {
    let mut ends: Attributes = vec![
        (attr::CLIENT, client_name(&edge.client).into()),
        (attr::SERVER, edge.server.service.as_str().into()),
    ];
    let spaces = [
        (attr::CLIENT_NAMESPACE, &edge.client.namespace),
        (attr::SERVER_NAMESPACE, &edge.server.namespace),
    ];
    for (name, namespace) in spaces {
        if let Some(namespace) = namespace {
            ends.push((name, namespace.as_str().into()));
        }
    }
    ends
}

/// The ends that are on this host, each with its resource.
fn sides<'a>(edge: &'a EdgeState, resources: &mut Resources<'a>) -> Vec<(Side, Resource)> {
    let sides = [
        (Side::Server, &edge.server_workload),
        (Side::Client, &edge.client_workload),
    ];
    let here = sides.into_iter();
    here.filter_map(|(side, workload)| Some((side, resources.of(workload.as_ref()?))))
        .collect()
}

struct Writer<'a> {
    measures: &'a mut Measures,
    edge: &'a EdgeState,
    agent: &'a Resource,
    start_unix_ns: u64,
    ends: Attributes,
    sides: Vec<(Side, Resource)>,
}

impl Writer<'_> {
    fn add(
        &mut self,
        name: &'static MetricName,
        resource: Resource,
        attributes: Attributes,
        sample: Sample,
    ) {
        let start_unix_ns = self.start_unix_ns;
        let point = Point {
            start_unix_ns,
            sample,
        };
        self.measures.add(name, (resource, attributes), point);
    }

    /// Adds a point of the edge as a whole, under weir's own resource.
    fn observe(&mut self, name: &'static MetricName, extra: Attributes, sample: Sample) {
        let mut attributes = self.ends.clone();
        attributes.extend(extra);
        let agent = self.agent.clone();
        self.add(name, agent, attributes, sample);
    }

    fn operation(&mut self, id: &OperationId, counts: &OperationCounts) {
        for (side, resource) in self.sides.clone() {
            self.exchange_side(side, resource, id, counts);
        }
        self.graph(id.status, counts);
    }

    fn exchange_side(
        &mut self,
        side: Side,
        resource: Resource,
        id: &OperationId,
        counts: &OperationCounts,
    ) {
        let service = resource.get(attr::SERVICE_NAME).unwrap_or_default();
        let service = Value::from(service);
        if self.is_http(id) {
            let name = match side {
                Side::Server => &names::HTTP_SERVER_DURATION,
                Side::Client => &names::HTTP_CLIENT_DURATION,
            };
            let durations = Durations::fold(&counts.duration, name.bounds());
            let attributes = http_attributes(self.edge, side, id);
            let resource = resource.clone();
            self.add(name, resource, attributes, Sample::Seconds(durations));
        }
        if side == Side::Server && counts.queue.count != 0 {
            self.queue(&resource, id, &counts.queue);
        }
        let failed = failure(id.status, side).is_some();
        let status = ["STATUS_CODE_UNSET", "STATUS_CODE_ERROR"][usize::from(failed)];
        let attributes: Attributes = vec![
            (attr::SERVICE, service),
            (attr::SPAN_NAME, self.span_name(id)),
            (attr::SPAN_KIND, side.span_kind().into()),
            (attr::STATUS_CODE, status.into()),
        ];
        let agent = self.agent.clone();
        let calls = Sample::Count(counts.calls);
        self.add(&names::SPANMETRICS_CALLS, agent, attributes.clone(), calls);
        let name = &names::SPANMETRICS_LATENCY;
        let durations = Sample::Seconds(Durations::fold(&counts.duration, name.bounds()));
        self.add(name, self.agent.clone(), attributes, durations);
    }

    fn queue(&mut self, resource: &Resource, id: &OperationId, times: &QueueTimes) {
        let mut attributes = self.place();
        attributes.push((attr::OPERATION, id.operation.as_str().into()));
        let durations = Durations {
            counts: vec![times.count],
            sum_ns: times.sum_ns,
        };
        let sample = Sample::Seconds(durations);
        self.add(&names::SERVER_QUEUE, resource.clone(), attributes, sample);
    }

    /// True for requests of HTTP; the connections that some of them upgraded are of the same edge.
    fn is_http(&self, id: &OperationId) -> bool {
        is_http(&self.edge.protocol) && websocket::outcome::code(id.status).is_none()
    }

    fn span_name(&self, id: &OperationId) -> Value {
        if self.is_http(id) {
            Value::Text(span_name(id.method.as_deref(), &id.operation))
        } else {
            id.operation.as_str().into()
        }
    }

    fn graph(&mut self, status: u16, counts: &OperationCounts) {
        let kind: Attributes = vec![(attr::CONNECTION_TYPE, connection_type(self.edge).into())];
        let failed = if edge_failed(status) { counts.calls } else { 0 };
        let seconds = if self.edge.counted_at_server {
            &names::GRAPH_SERVER_SECONDS
        } else {
            &names::GRAPH_CLIENT_SECONDS
        };
        let durations = Sample::Seconds(Durations::fold(&counts.duration, seconds.bounds()));
        self.observe(
            &names::GRAPH_REQUESTS,
            kind.clone(),
            Sample::Count(counts.calls),
        );
        self.observe(&names::GRAPH_FAILED, kind.clone(), Sample::Count(failed));
        self.observe(seconds, kind, durations);
    }

    /// Labels of `weir.edge.*` and `weir.tcp.*` beside the two ends.
    fn place(&self) -> Attributes {
        vec![
            (attr::PROTOCOL, self.edge.protocol.as_str().into()),
            (attr::SERVER_PORT, self.edge.port.into()),
        ]
    }

    fn totals(&mut self) {
        let edge = self.edge;
        let calls: u64 = edge.operations.values().map(|counts| counts.calls).sum();
        let failed = edge
            .operations
            .iter()
            .filter(|(id, _)| edge_failed(id.status));
        let errors = failed.map(|(_, counts)| counts.calls).sum();
        self.observe(&names::EDGE_CALLS, self.place(), Sample::Count(calls));
        self.observe(&names::EDGE_ERRORS, self.place(), Sample::Count(errors));
        for (direction, bytes) in [("out", edge.bytes_out), ("in", edge.bytes_in)] {
            let mut place = self.place();
            place.push((attr::DIRECTION, direction.into()));
            self.observe(&names::EDGE_IO, place, Sample::Count(bytes));
        }
        for (reason, lost) in &edge.lost {
            let mut place = self.place();
            place.push((attr::REASON, reason.as_str().into()));
            self.observe(&names::EDGE_LOST, place, Sample::Count(*lost));
        }
        let whole = calls + hidden_exchanges(edge);
        let completeness = Sample::Ratio { part: calls, whole };
        self.observe(&names::EDGE_COMPLETENESS, self.place(), completeness);
    }

    fn tcp(&mut self) {
        let tcp = &self.edge.tcp;
        let counters = [
            (&names::TCP_OPENED, tcp.opened),
            (&names::TCP_CONNECT_FAILURES, tcp.connect_failures),
            (&names::TCP_RESETS, tcp.resets),
            (&names::TCP_SEGMENTS, tcp.segments),
            (&names::TCP_RETRANSMITS, tcp.retransmits),
            (&names::TCP_TIMEOUTS, tcp.timeouts),
        ];
        for (name, value) in counters {
            self.observe(name, self.place(), Sample::Count(value));
        }
        let open = Sample::Level(tcp.open as f64);
        self.observe(&names::TCP_OPEN, self.place(), open);
        self.sampled(&names::TCP_RTT, &tcp.rtt);
        self.sampled(&names::TCP_CONNECT, &tcp.connect);
    }

    fn sampled(&mut self, name: &'static MetricName, histogram: &Histogram) {
        if histogram.buckets.iter().any(|count| *count > 0) {
            let durations = Durations::fold(histogram, name.bounds());
            self.observe(name, self.place(), Sample::Seconds(durations));
        }
    }
}

fn hidden_exchanges(edge: &EdgeState) -> u64 {
    Loss::ALL
        .iter()
        .filter(|reason| reason.hides_exchanges())
        .filter_map(|reason| edge.lost.get(reason.name()))
        .sum()
}

fn http_attributes(edge: &EdgeState, side: Side, id: &OperationId) -> Attributes {
    let method = known_method(id.method.as_deref());
    let scheme = if edge.tls { "https" } else { "http" };
    let mut attributes: Attributes = vec![
        (attr::HTTP_METHOD, method.into()),
        (attr::URL_SCHEME, scheme.into()),
        (attr::NETWORK_PROTOCOL_NAME, "http".into()),
        (attr::SERVER_PORT, edge.port.into()),
        (attr::OPERATION, id.operation.as_str().into()),
    ];
    if let Some(source) = id.route_source {
        attributes.push((attr::OPERATION_SOURCE, source.name().into()));
    }
    if let Some(route) = certain_route(id.route_source, id.method.as_deref(), &id.operation) {
        attributes.push((route_name(side), route.into()));
    }
    if let Some(version) = protocol_version(&edge.protocol) {
        attributes.push((attr::NETWORK_PROTOCOL_VERSION, version.into()));
    }
    if let Some(status) = http_status(id.status) {
        attributes.push((attr::HTTP_STATUS, status.into()));
    }
    if let Some(failure) = failure(id.status, side) {
        attributes.push((attr::ERROR_TYPE, Value::Text(failure.to_string())));
    }
    let peer = match side {
        Side::Client => edge.server.service.as_str(),
        Side::Server => client_name(&edge.client),
    };
    if side == Side::Client {
        let (address, _) = split_address(&edge.server.addr);
        attributes.push((attr::SERVER_ADDRESS, address.into()));
        if edge.local_pair {
            // Both ends are here and the exchange was timed once, at the server's socket.
            attributes.push((attr::MEASURED_AT, "server".into()));
        }
    }
    attributes.push((attr::SERVICE_PEER_NAME, peer.into()));
    attributes.push((attr::PEER_SERVICE, peer.into()));
    attributes
}

#[cfg(test)]
mod tests;
