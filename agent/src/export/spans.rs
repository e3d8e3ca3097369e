//! Exchanges → OTLP spans: a client span and a server span that name each other. Pure.
#![forbid(unsafe_code)]

use std::{collections::BTreeMap, sync::Arc};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::KeyValue,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span::SpanKind, status::StatusCode},
};

use super::{
    encode::{self, float, number, text},
    metrics::{
        Host, Resource, Resources,
        edge::{
            certain_route, client_name, is_http, known_method, protocol_version, route_name,
            span_name, split_address,
        },
        outcome::{Failure, Side, failure},
    },
    names::{self, attr},
};
use crate::observe::model::{Exchange, TlsHandshake};

/// Trace flags of a sampled span, and "it is known whether the parent is remote" with the answer.
const SAMPLED: u32 = 0x01;
const PARENT_IS_REMOTE: u32 = 0x100 | 0x200;

/// The spans of `exchanges`, one resource per workload, with how many could not be made because
/// their exchange has no ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpanBatch {
    /// Ready to send.
    pub request: ExportTraceServiceRequest,
    /// Spans in it.
    pub spans: u64,
    /// Spans that could not be made.
    pub without_ids: u64,
}

/// Turns exchanges into spans of the ends that this host observed.
pub fn span_batch(exchanges: &[Arc<Exchange>], host: &Host) -> SpanBatch {
    let mut batch = SpanBatch::default();
    let mut by_resource: BTreeMap<Resource, Vec<Span>> = BTreeMap::new();
    let mut resources = Resources::new(host);
    for exchange in exchanges {
        for side in [Side::Client, Side::Server] {
            if !is_here(exchange, side) {
                continue;
            }
            let Some(span) = span_of(exchange, side) else {
                batch.without_ids += 1;
                continue;
            };
            batch.spans += 1;
            let resource = resource_of(exchange, side, &mut resources);
            by_resource.entry(resource).or_default().push(span);
        }
    }
    batch.request.resource_spans = by_resource
        .into_iter()
        .map(|(resource, spans)| resource_spans(&resource, spans))
        .collect();
    batch
}

fn is_here(exchange: &Exchange, side: Side) -> bool {
    match side {
        Side::Client => exchange.client_here,
        Side::Server => exchange.server_here,
    }
}

fn resource_of<'a>(exchange: &'a Exchange, side: Side, resources: &mut Resources<'a>) -> Resource {
    let (workload, end) = match side {
        Side::Client => (&exchange.client_workload, &exchange.client),
        Side::Server => (&exchange.server_workload, &exchange.server),
    };
    match workload {
        Some(workload) => resources.of(workload),
        None => resources.unnamed(end),
    }
}

fn resource_spans(resource: &Resource, spans: Vec<Span>) -> ResourceSpans {
    ResourceSpans {
        resource: Some(encode::resource(resource)),
        scope_spans: vec![ScopeSpans {
            scope: Some(encode::scope()),
            spans,
            schema_url: names::SCHEMA_URL.to_owned(),
        }],
        schema_url: names::SCHEMA_URL.to_owned(),
    }
}

fn span_of(exchange: &Exchange, side: Side) -> Option<Span> {
    let client_span = exchange.parent_span_id.as_deref().and_then(hex_bytes::<8>);
    let (id, parent, kind) = match side {
        Side::Client => {
            let parent = exchange.client_parent_span_id.as_deref();
            (
                client_span?,
                parent.and_then(hex_bytes::<8>),
                SpanKind::Client,
            )
        }
        Side::Server => {
            let id = exchange.span_id.as_deref().and_then(hex_bytes::<8>)?;
            (id, client_span, SpanKind::Server)
        }
    };
    let remote_parent = side == Side::Server && parent.is_some();
    Some(Span {
        trace_id: hex_bytes::<16>(exchange.trace_id.as_deref()?)?,
        span_id: id,
        parent_span_id: parent.unwrap_or_default(),
        flags: SAMPLED | if remote_parent { PARENT_IS_REMOTE } else { 0 },
        name: name_of(exchange),
        kind: kind.into(),
        start_time_unix_nano: exchange.started_unix_ns,
        end_time_unix_nano: exchange.started_unix_ns + exchange.duration_ns,
        attributes: attributes_of(exchange, side),
        status: Some(status_of(exchange, side)),
        ..Span::default()
    })
}

fn name_of(exchange: &Exchange) -> String {
    if is_http(&exchange.protocol) {
        span_name(exchange.method.as_deref(), &exchange.operation)
    } else {
        exchange.operation.clone()
    }
}

/// `error.type` of the exchange as `side` sees it.
fn error_of(exchange: &Exchange, side: Side) -> Option<String> {
    if !is_http(&exchange.protocol) {
        return exchange.error.clone();
    }
    match failure(exchange.status.unwrap_or(0), side) {
        Some(status @ Failure::Status(_)) => Some(status.to_string()),
        // The exchange may know more closely why no response came.
        Some(unanswered) => Some(exchange.error.clone().unwrap_or(unanswered.to_string())),
        // A good status may come with errors.
        None => exchange.error.clone(),
    }
}

fn status_of(exchange: &Exchange, side: Side) -> Status {
    let code = match error_of(exchange, side) {
        Some(_) => StatusCode::Error,
        None => StatusCode::Unset,
    };
    Status {
        code: code.into(),
        ..Status::default()
    }
}

fn attributes_of(exchange: &Exchange, side: Side) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(20);
    if is_http(&exchange.protocol) {
        http_attributes(exchange, side, &mut attributes);
    }
    let (server_address, _) = split_address(&exchange.server.addr);
    attributes.push(text(attr::SERVER_ADDRESS, server_address));
    attributes.push(number(attr::SERVER_PORT, exchange.server_port.into()));
    if side == Side::Server {
        let (client_address, _) = split_address(&exchange.client.addr);
        attributes.push(text(attr::CLIENT_ADDRESS, client_address));
    }
    peer_attributes(exchange, side, &mut attributes);
    if let Some(error) = error_of(exchange, side) {
        attributes.push(text(attr::ERROR_TYPE, &error));
    }
    if let Some(handshake) = &exchange.tls_handshake {
        tls_attributes(handshake, exchange.error.is_none(), &mut attributes);
    }
    own_attributes(exchange, side, &mut attributes);
    attributes
}

fn tls_attributes(handshake: &TlsHandshake, established: bool, attributes: &mut Vec<KeyValue>) {
    attributes.push(encode::flag(attr::TLS_ESTABLISHED, established));
    if let Some((name, version)) = handshake.version.as_ref().and_then(|v| v.split_once('v')) {
        attributes.push(text(attr::TLS_PROTOCOL_NAME, &name.to_ascii_lowercase()));
        attributes.push(text(attr::TLS_PROTOCOL_VERSION, version));
    }
    let texts = [
        (attr::TLS_CIPHER, &handshake.cipher),
        (attr::TLS_SERVER_NAME, &handshake.server_name),
    ];
    for (name, value) in texts {
        attributes.extend(value.as_ref().map(|value| text(name, value)));
    }
}

fn http_attributes(exchange: &Exchange, side: Side, attributes: &mut Vec<KeyValue>) {
    let scheme = if exchange.tls { "https" } else { "http" };
    let method = known_method(exchange.method.as_deref());
    attributes.push(text(attr::HTTP_METHOD, method));
    attributes.push(text(attr::URL_SCHEME, scheme));
    attributes.push(text(attr::NETWORK_PROTOCOL_NAME, "http"));
    if let Some(version) = protocol_version(&exchange.protocol) {
        attributes.push(text(attr::NETWORK_PROTOCOL_VERSION, version));
    }
    if let Some(status) = exchange.status {
        attributes.push(number(attr::HTTP_STATUS, status.into()));
    }
    let route = certain_route(
        exchange.route_source,
        exchange.method.as_deref(),
        &exchange.operation,
    );
    if let Some(route) = route {
        attributes.push(text(route_name(side), route));
    }
    let sizes = [
        (attr::HTTP_REQUEST_SIZE, exchange.request_bytes),
        (attr::HTTP_RESPONSE_SIZE, exchange.response_bytes),
    ];
    for (name, bytes) in sizes {
        attributes.push(number(name, i64::try_from(bytes).unwrap_or(i64::MAX)));
    }
    // The query was cut off before the exchange was made: its values never leave the host.
    let Some(path) = exchange.path.as_deref() else {
        return;
    };
    match side {
        Side::Server => attributes.push(text(attr::URL_PATH, path)),
        Side::Client => {
            let full = format!("{scheme}://{}{path}", exchange.server.addr);
            attributes.push(text(attr::URL_FULL, &full));
        }
    }
}

fn peer_attributes(exchange: &Exchange, side: Side, attributes: &mut Vec<KeyValue>) {
    let (service, end) = match side {
        Side::Client => (exchange.server.service.as_str(), &exchange.server),
        Side::Server => (client_name(&exchange.client), &exchange.client),
    };
    attributes.push(text(attr::SERVICE_PEER_NAME, service));
    attributes.push(text(attr::PEER_SERVICE, service));
    if let Some(namespace) = &end.namespace {
        attributes.push(text(attr::SERVICE_PEER_NAMESPACE, namespace));
    }
}

fn own_attributes(exchange: &Exchange, side: Side, attributes: &mut Vec<KeyValue>) {
    attributes.push(text(attr::OPERATION, &exchange.operation));
    if let Some(source) = exchange.route_source {
        attributes.push(text(attr::OPERATION_SOURCE, source.name()));
    }
    let probability = exchange.sample_probability;
    attributes.push(float(attr::SAMPLE_PROBABILITY, probability));
    attributes.push(text(attr::VERDICT, &exchange.verdict));
    attributes.push(encode::flag(attr::TLS, exchange.tls));
    if let Some(destination) = &exchange.destination {
        attributes.push(text(attr::MESSAGING_DESTINATION, destination));
    }
    if let Some(confidence) = exchange.confidence {
        attributes.push(float(attr::CONFIDENCE, confidence));
    }
    if let Some(ns) = exchange.time_to_first_byte_ns {
        let ns = i64::try_from(ns).unwrap_or(i64::MAX);
        attributes.push(number(attr::TIME_TO_FIRST_BYTE, ns));
    }
    // It is a part of the server's time.
    if let Some(ns) = exchange.queue_ns.filter(|_| side == Side::Server) {
        let ns = i64::try_from(ns).unwrap_or(i64::MAX);
        attributes.push(number(attr::QUEUE_TIME, ns));
    }
}

/// Bytes of exactly `2·N` hex digits; `None` for anything else and for all zeros, which the
/// trace format forbids.
fn hex_bytes<const N: usize>(digits: &str) -> Option<Vec<u8>> {
    if digits.len() != 2 * N || !digits.is_ascii() {
        return None;
    }
    let bytes: Option<Vec<u8>> = (0..N)
        .map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).ok())
        .collect();
    bytes.filter(|bytes| bytes.iter().any(|byte| *byte != 0))
}

#[cfg(test)]
mod tests;
