//! An exchange record with its names → the exchange that answers and exporters show.

use weir_common::{
    event::{ExchangeRecord, exchange_flag, why},
    flow::{protocol as code, role},
};

use super::{
    clock::Clock,
    head::{parse_head, path_of},
    model::{Exchange, RouteSource},
    operations::{
        Operation, OperationKey, OperationNames, WATCH, method_name, path_in, protocol_name,
    },
    parties::Ends,
    protocol,
    routes::is_blocking,
    trace::span_ids,
};

/// Error of an exchange without a response.
pub const UNANSWERED: &str = "unanswered";

/// Error of an exchange whose server told no kind of failure.
pub const FAILED: &str = "failed";

pub use weir_common::framing::frames::outcome::is_error;

/// Key of a record's operation.
pub fn operation_of(record: &ExchangeRecord) -> OperationKey {
    OperationKey::new(record.protocol, record.method, record.op)
}

/// Makes an exchange of a record: learns the operation's name from the head, reads path and
/// trace context, computes the span ids. The head itself is dropped.
pub fn exchange_of(
    record: &ExchangeRecord,
    ends: &Ends,
    names: &mut OperationNames,
    clock: &Clock,
) -> Exchange {
    let key = operation_of(record);
    let meaning = protocol::read(record);
    let head = match protocol::has_http_head(record.protocol) {
        true => parse_head(record.head()),
        false => None,
    };
    if let Some(head) = head.as_ref().filter(|_| meaning.is_none()) {
        names.learn(key, head.target);
    }
    if let Some(meaning) = &meaning {
        names.learn_meaning(key, meaning);
    }
    let parent = head.as_ref().and_then(|head| head.traceparent);
    let parent = parent.or_else(|| protocol::traceparent(record));
    let ids = span_ids(record);
    let trace_id = parent.map_or(ids.trace_id, |parent| parent.trace_id);
    let unanswered = record.flags & exchange_flag::UNANSWERED != 0 || record.status == 0;
    let started_unix_ns = clock.unix_ns(started_ns(record));
    let (request_messages, response_messages) = protocol::messages(record);
    let local = record.flags & exchange_flag::LOCAL_PAIR != 0;
    let operation = names.operation(&key, &ends.server.endpoint.service);
    let target = head.as_ref().map_or(&[][..], |head| head.target);
    Exchange {
        ts: started_unix_ns as f64 / 1e9,
        duration_ns: duration_ns(record),
        client: ends.client.endpoint.clone(),
        server: ends.server.endpoint.clone(),
        protocol: protocol_name(record.protocol).into(),
        operation: shown_name(&operation, record, target),
        route_source: operation.route_source,
        method: method_name(record.protocol, record.method).map(Into::into),
        path: head
            .filter(|head| !head.target.is_empty())
            .map(|head| path_of(head.target))
            .or_else(|| protocol::path_of(record)),
        status: protocol::status(record.protocol, record.status).filter(|_| !unanswered),
        error: meaning
            .and_then(|meaning| meaning.error)
            .or_else(|| error_of(unanswered, record)),
        request_bytes: record.request_bytes,
        response_bytes: record.response_bytes,
        request_messages,
        response_messages,
        destination: None,
        trace_id: Some(format!("{trace_id:032x}")),
        span_id: Some(format!("{:016x}", ids.server_span)),
        parent_span_id: Some(format!("{:016x}", ids.client_span)),
        client_parent_span_id: parent.map(|parent| format!("{:016x}", parent.parent_id)),
        confidence: None,
        tls: record.protocol == code::TLS,
        tls_handshake: protocol::handshake(record),
        verdict: "allow".into(),
        started_unix_ns,
        time_to_first_byte_ns: time_to_first_byte_ns(record),
        queue_ns: (record.queue_ns != 0).then_some(record.queue_ns),
        client_workload: ends.client.workload.clone(),
        server_workload: ends.server.workload.clone(),
        server_port: record.server_port,
        client_here: local || record.role == role::CLIENT,
        server_here: local || record.role == role::SERVER,
        sample_probability: sample_probability(record),
    }
}

/// The operation's name, which says of a blocking query that it is one. The kernel counts those with
/// the other requests of their route, so this is seen of single exchanges only.
pub fn shown_name(operation: &Operation, record: &ExchangeRecord, target: &[u8]) -> String {
    let method = method_name(record.protocol, record.method);
    let route = path_in(&operation.name, method).unwrap_or_default();
    let is_known = operation.route_source == Some(RouteSource::KnownApi);
    if is_known && is_blocking(method, route, target) {
        return format!("{}{WATCH}", operation.name);
    }
    operation.name.as_ref().into()
}

/// Probability with which such an exchange comes to the detail lane. Failed, slow and new ones
/// always come, also when they happened to be drawn; where they are too many, the kernel does not say
/// that they are.
fn sample_probability(record: &ExchangeRecord) -> f64 {
    if record.why & !why::SAMPLED != 0 {
        return 1.0;
    }
    (f64::from(record.probability) + 1.0) / 4_294_967_296.0
}

/// `500`, `503`, … or [`UNANSWERED`]; `None` for what did not fail at the server.
fn error_of(unanswered: bool, record: &ExchangeRecord) -> Option<String> {
    if unanswered {
        return Some(UNANSWERED.into());
    }
    let failed = is_error(record.status);
    failed.then(|| match protocol::failure(record.status) {
        Some(name) => name.into(),
        None => match protocol::status(record.protocol, record.status) {
            Some(status) => status.to_string(),
            None => FAILED.into(),
        },
    })
}

fn is_timed(record: &ExchangeRecord) -> bool {
    record.flags & exchange_flag::UNTIMED == 0 && record.started_ns != 0
}

/// When it began, monotonic; of an untimed one the end is the best that is known.
fn started_ns(record: &ExchangeRecord) -> u64 {
    match (is_timed(record), record.ended_ns) {
        (true, _) => record.started_ns,
        (false, 0) => record.header.time_ns,
        (false, ended) => ended,
    }
}

fn duration_ns(record: &ExchangeRecord) -> u64 {
    if is_timed(record) {
        record.ended_ns.saturating_sub(record.started_ns)
    } else {
        0
    }
}

fn time_to_first_byte_ns(record: &ExchangeRecord) -> Option<u64> {
    (is_timed(record) && record.responded_ns != 0)
        .then(|| record.responded_ns.saturating_sub(record.started_ns))
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;
    use weir_common::{
        flow::{protocol, v4_mapped},
        framing::http1::op_hash,
    };

    use super::*;
    use crate::observe::parties::{Named, remote_endpoint};

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn ends() -> Ends {
        let named = |last, port| Named {
            endpoint: remote_endpoint(&v4_mapped([10, 0, 0, last]), port),
            workload: None,
            settled: true,
        };
        Ends {
            client: named(1, 0),
            server: named(2, 80),
        }
    }

    fn record(head: &str, status: u16) -> ExchangeRecord {
        let mut record = ExchangeRecord {
            op: op_hash(b"/users/42"),
            started_ns: 1_000,
            queue_ns: 250,
            responded_ns: 1_400,
            ended_ns: 3_000,
            client_isn: 1,
            server_isn: 2,
            probability: u32::MAX,
            status,
            head_len: head.len() as u16,
            protocol: protocol::HTTP1,
            method: 1,
            role: role::SERVER,
            flags: exchange_flag::HAS_HEAD,
            ..Zeroable::zeroed()
        };
        record.head[..head.len()].copy_from_slice(head.as_bytes());
        record
    }

    fn convert(record: &ExchangeRecord) -> Exchange {
        let clock = Clock::new(1_000_000_000, 0);
        exchange_of(record, &ends(), &mut OperationNames::new(8), &clock)
    }

    #[test]
    fn a_request_that_waits_for_a_change_says_so() {
        for (target, operation, source) in [
            (
                "/v1/kv/a?index=7&wait=5s",
                "GET /v1/kv/{key...} (watch)",
                RouteSource::KnownApi,
            ),
            ("/v1/kv/a", "GET /v1/kv/{key...}", RouteSource::KnownApi),
            ("/pages?index=7", "GET /pages", RouteSource::Heuristic),
        ] {
            let mut record = record(&format!("GET {target} HTTP/1.1\r\n\r\n"), 200);
            record.op = op_hash(target.as_bytes());
            let exchange = convert(&record);
            assert_eq!(exchange.operation, operation);
            assert_eq!(exchange.route_source, Some(source));
        }
    }

    #[test]
    fn a_request_with_trace_context() {
        let head = format!("GET /users/42?q=1 HTTP/1.1\r\ntraceparent: {PARENT}\r\n\r\n");
        let exchange = convert(&record(&head, 200));
        assert_eq!(exchange.operation, "GET /users/*");
        assert_eq!(exchange.path.as_deref(), Some("/users/42"));
        assert_eq!(exchange.method.as_deref(), Some("GET"));
        assert_eq!(exchange.status, Some(200));
        assert_eq!(exchange.error, None);
        assert_eq!(exchange.duration_ns, 2_000);
        assert_eq!(exchange.time_to_first_byte_ns, Some(400));
        assert_eq!(exchange.queue_ns, Some(250));
        assert_eq!(exchange.started_unix_ns, 1_000_001_000);
        assert_eq!(
            exchange.trace_id.as_deref(),
            Some("0af7651916cd43dd8448eb211c80319c")
        );
        assert_eq!(
            exchange.client_parent_span_id.as_deref(),
            Some("b7ad6b7169203331")
        );
        assert_ne!(exchange.span_id, exchange.parent_span_id);
        assert!((exchange.sample_probability - 1.0).abs() < f64::EPSILON);
        assert!(exchange.server_here && !exchange.client_here);
    }

    #[test]
    fn without_a_header_both_hosts_still_agree() {
        let mut here = record("GET /users/42 HTTP/1.1\r\n\r\n", 200);
        let mut there = here;
        (here.cookie, there.cookie, there.role) = (1, 2, role::CLIENT);
        let (here, there) = (convert(&here), convert(&there));
        assert_eq!(here.trace_id, there.trace_id);
        assert_eq!(here.span_id, there.span_id);
        assert_eq!(here.parent_span_id, there.parent_span_id);
        assert_eq!(here.trace_id.map(|id| id.len()), Some(32));
        assert!(there.client_here && !there.server_here);
    }

    #[test]
    fn failures_are_told_apart() {
        for (status, flags, expected_status, expected_error) in [
            (200, 0, Some(200), None),
            (404, 0, Some(404), None),
            (500, 0, Some(500), Some("500")),
            (503, 0, Some(503), Some("503")),
            (0, exchange_flag::UNANSWERED, None, Some(UNANSWERED)),
            (0, 0, None, Some(UNANSWERED)),
        ] {
            let mut record = record("", status);
            record.flags = flags;
            let exchange = convert(&record);
            assert_eq!(exchange.status, expected_status);
            assert_eq!(exchange.error.as_deref(), expected_error);
            assert_eq!(exchange.path, None);
            assert_eq!(exchange.operation, "GET _UNNAMED");
        }
    }

    #[test]
    fn only_what_was_drawn_stands_for_others() {
        for (why, probability, expected) in [
            (why::SAMPLED, u32::MAX, 1.0),
            (why::SAMPLED, u32::MAX / 4, 0.25),
            (why::SAMPLED | why::ERROR, u32::MAX / 4, 1.0),
            (why::SLOW, u32::MAX, 1.0),
        ] {
            let mut record = record("", 200);
            (record.why, record.probability) = (why, probability);
            assert!((convert(&record).sample_probability - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn an_untimed_exchange_claims_no_duration() {
        let mut record = record("", 200);
        record.flags = exchange_flag::UNTIMED;
        record.queue_ns = 0;
        let exchange = convert(&record);
        assert_eq!(exchange.duration_ns, 0);
        assert_eq!(exchange.time_to_first_byte_ns, None);
        assert_eq!(exchange.queue_ns, None);
        assert_eq!(exchange.started_unix_ns, 1_000_003_000);
    }

    #[test]
    fn a_head_length_beyond_the_record_is_bounded() {
        let mut record = record("GET /users/42 HTTP/1.1\r\n\r\n", 200);
        record.head_len = u16::MAX;
        assert_eq!(convert(&record).path, None);
    }
}
