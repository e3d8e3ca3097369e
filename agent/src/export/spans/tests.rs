use opentelemetry_proto::tonic::common::v1::any_value::Value;

use super::*;
use crate::{
    export::{fixture::exchange, metrics::resource::tests::host},
    observe::model::RouteSource,
};

fn batch(exchange: Exchange) -> SpanBatch {
    span_batch(&[Arc::new(exchange)], &host())
}

/// The span of one service.
fn span<'a>(batch: &'a SpanBatch, service: &str) -> &'a Span {
    let of = |resource: &&ResourceSpans| {
        let attributes = &resource.resource.as_ref().expect("a resource").attributes;
        attributes.contains(&text(attr::SERVICE_NAME, service))
    };
    let resource = batch.request.resource_spans.iter().find(of);
    &resource.expect("spans of the service").scope_spans[0].spans[0]
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|pair| pair.key == name)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::BoolValue(flag) => flag.to_string(),
        other => format!("{other:?}"),
    })
}

#[test]
fn both_ends_name_each_other() {
    let batch = batch(exchange(Some(404)));
    assert_eq!((batch.spans, batch.without_ids), (2, 0));
    let (client, server) = (span(&batch, "web"), span(&batch, "api"));
    assert_eq!(client.trace_id, server.trace_id);
    assert_eq!(client.trace_id.len(), 16);
    assert_eq!(server.parent_span_id, client.span_id);
    assert_eq!(
        client.span_id,
        [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]
    );
    assert!(client.parent_span_id.is_empty());
    assert_eq!(client.kind, SpanKind::Client as i32);
    assert_eq!(server.kind, SpanKind::Server as i32);
    assert_eq!(client.name, "GET /users/*");
    assert_eq!(
        server.end_time_unix_nano - server.start_time_unix_nano,
        2_000_000
    );
    let queue = |span| attribute(span, "weir.queue_time_ns");
    assert_eq!(
        (queue(client), queue(server)),
        (None, Some("400000".into()))
    );
}

#[test]
fn a_4xx_is_an_error_on_the_client_only() {
    let check = |status: Option<u16>, client: Option<&str>, server: Option<&str>| {
        let batch = batch(exchange(status));
        for (service, error) in [("web", client), ("api", server)] {
            let span = span(&batch, service);
            let code = span.status.as_ref().expect("a status").code;
            let expected = if error.is_some() {
                StatusCode::Error
            } else {
                StatusCode::Unset
            };
            assert_eq!(code, expected as i32, "{status:?} {service}");
            assert_eq!(attribute(span, attr::ERROR_TYPE).as_deref(), error);
        }
    };
    check(Some(200), None, None);
    check(Some(404), Some("404"), None);
    check(Some(502), Some("502"), Some("502"));
    check(None, Some("unanswered"), Some("unanswered"));
}

#[test]
fn attributes_follow_the_conventions_and_label_what_is_guessed() {
    let batch = batch(exchange(Some(200)));
    let check = |service: &str, name: &str, expected: Option<&str>| {
        let found = attribute(span(&batch, service), name);
        assert_eq!(found.as_deref(), expected, "{service} {name}");
    };
    check("web", "http.request.method", Some("GET"));
    check("web", "url.full", Some("http://10.0.0.2:8080/users/7"));
    check("web", "url.path", None);
    check("web", "server.address", Some("10.0.0.2"));
    check("web", "service.peer.name", Some("api"));
    check("web", "peer.service", Some("api"));
    check("api", "url.path", Some("/users/7"));
    check("api", "client.address", Some("10.0.0.1"));
    check("api", "server.port", Some("8080"));
    check("api", "service.peer.name", Some("web"));
    check("api", "http.route", None);
    check("api", "weir.operation", Some("GET /users/*"));
    check("api", "weir.operation.source", Some("heuristic"));
    check("api", "weir.sample_probability", Some("0.25"));
    check("api", "http.response.size", Some("4096"));
}

#[test]
fn routes_that_are_written_down_are_told_and_others_are_not() {
    for (source, operation, name, route) in [
        (
            Some(RouteSource::Config),
            "GET /users/{id}",
            "GET /users/{id}",
            Some("/users/{id}"),
        ),
        (
            Some(RouteSource::KnownApi),
            "GET /v1/kv/{key...} (watch)",
            "GET /v1/kv/{key...}",
            Some("/v1/kv/{key...}"),
        ),
        (
            Some(RouteSource::Learned),
            "GET /users/{…}",
            "GET /users/{…}",
            None,
        ),
        (None, "GET _UNNAMED", "GET", None),
    ] {
        let exchange = Exchange {
            operation: operation.into(),
            route_source: source,
            ..exchange(Some(200))
        };
        let batch = batch(exchange);
        let (server, client) = (span(&batch, "api"), span(&batch, "web"));
        assert_eq!(server.name, name);
        assert_eq!(attribute(server, "http.route").as_deref(), route);
        assert_eq!(attribute(client, "url.template").as_deref(), route);
        let source = source.map(RouteSource::name);
        let told = attribute(server, "weir.operation.source");
        assert_eq!(told.as_deref(), source);
    }
}

#[test]
fn only_ends_seen_here_become_spans() {
    let check = |client_here: bool, server_here: bool, spans: u64| {
        let mut exchange = exchange(Some(200));
        (exchange.client_here, exchange.server_here) = (client_here, server_here);
        assert_eq!(batch(exchange).spans, spans);
    };
    check(true, false, 1);
    check(false, true, 1);
    check(false, false, 0);
}

#[test]
fn bad_ids_are_counted_not_invented() {
    let check = |trace_id: Option<&str>, expected: (u64, u64)| {
        let mut exchange = exchange(Some(200));
        exchange.trace_id = trace_id.map(str::to_owned);
        let batch = batch(exchange);
        assert_eq!((batch.spans, batch.without_ids), expected);
    };
    check(None, (0, 2));
    check(Some("00000000000000000000000000000000"), (0, 2));
    check(Some("xyz7651916cd43dd8448eb211c80319c"), (0, 2));
    check(Some("0af7"), (0, 2));
    check(Some("0af7651916cd43dd8448eb211c80319c"), (2, 0));
}
