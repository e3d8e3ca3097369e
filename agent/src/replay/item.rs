//! A replayed exchange as the item that `weir tap` would print.

use weir_common::{
    event::{ExchangeRecord, exchange_flag},
    flow::{
        Addr,
        protocol::{HTTP1, TLS},
    },
    framing::http1::method,
    stable_hash,
};

use crate::observe::{
    exchange::{FAILED, is_error, operation_of as operation_key, shown_name},
    model::{Endpoint, Exchange, WorkloadKind},
    operations::{Operation, OperationNames},
    parties::address_text,
    protocol,
};

/// Turns a record into an item. Record times are Unix ns here, the capture's.
///
/// A prepared statement has its name from the request that prepared it.
pub fn exchange(record: &ExchangeRecord, names: &mut OperationNames) -> Exchange {
    let meaning = protocol::read(record);
    let key = operation_key(record);
    if let Some(meaning) = &meaning {
        names.learn_meaning(key, meaning);
    }
    let is_http = meaning.is_none();
    let status = protocol::status(record.protocol, record.status);
    let path = path_of(record).filter(|_| protocol::has_http_head(record.protocol) || is_http);
    let started = if record.started_ns != 0 {
        record.started_ns
    } else {
        record.responded_ns
    };
    let method = method_of(record).filter(|_| is_http);
    let server = endpoint(&record.server_addr, record.server_port);
    let named = is_http
        .then(|| operation_of(record, &server.service, path.as_deref(), names))
        .flatten();
    let (request_messages, response_messages) = protocol::messages(record);
    Exchange {
        ts: started as f64 / 1e9,
        duration_ns: if record.started_ns == 0 {
            0
        } else {
            record.ended_ns.saturating_sub(record.started_ns)
        },
        client: endpoint(&record.client_addr, 0),
        server,
        protocol: protocol::name(record.protocol).into(),
        operation: match &meaning {
            Some(meaning) if names.is_named(&key) || meaning.operation.is_empty() => {
                names.name(&key).as_ref().into()
            }
            Some(meaning) => meaning.operation.clone(),
            None => match &named {
                Some(operation) => {
                    shown_name(operation, record, target_of(record).unwrap_or_default())
                }
                None => unnamed(record),
            },
        },
        route_source: named.and_then(|operation| operation.route_source),
        method: method.map(str::to_owned),
        // Of HTTP/2 only what operations have in common is kept.
        path: path
            .filter(|_| protocol::has_http_head(record.protocol))
            .or_else(|| protocol::path_of(record)),
        status: status.filter(|_| record.status != 0),
        error: meaning
            .and_then(|meaning| meaning.error)
            .or_else(|| error_of(record, is_http)),
        request_bytes: record.request_bytes,
        response_bytes: record.response_bytes,
        request_messages,
        response_messages,
        destination: None,
        trace_id: None,
        span_id: None,
        parent_span_id: None,
        client_parent_span_id: None,
        confidence: None,
        tls: record.protocol == TLS,
        tls_handshake: protocol::handshake(record),
        verdict: "allow".into(),
        started_unix_ns: started,
        time_to_first_byte_ns: (record.started_ns != 0 && record.responded_ns != 0)
            .then(|| record.responded_ns.saturating_sub(record.started_ns)),
        queue_ns: (record.queue_ns != 0).then_some(record.queue_ns),
        client_workload: None,
        server_workload: None,
        server_port: record.server_port,
        client_here: false,
        server_here: false,
        sample_probability: 1.0,
    }
}

fn method_of(record: &ExchangeRecord) -> Option<&'static str> {
    (record.method != method::NONE).then(|| method::name(record.method))
}

fn error_of(record: &ExchangeRecord, is_http: bool) -> Option<String> {
    if record.flags & exchange_flag::UNANSWERED != 0 {
        return Some("unanswered".into());
    }
    is_error(record.status).then(|| {
        let code = protocol::status(record.protocol, record.status);
        match (protocol::failure(record.status), code) {
            (Some(name), _) => name.into(),
            _ if is_http => "5xx".into(),
            (None, Some(code)) => code.to_string(),
            (None, None) => FAILED.into(),
        }
    })
}

fn target_of(record: &ExchangeRecord) -> Option<&[u8]> {
    let line = record.head().trim_ascii_start();
    let start = line.iter().position(|byte| *byte == b' ')? + 1;
    let target = &line[start..];
    let len = target
        .iter()
        .position(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
    Some(&target[..len.unwrap_or(target.len())])
}

/// Path as sent, without its query.
fn path_of(record: &ExchangeRecord) -> Option<String> {
    let target = target_of(record)?;
    let len = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let path = &target[..len.unwrap_or(target.len())];
    Some(String::from_utf8_lossy(path).into_owned())
}

/// The operation, if the path at hand is the one that was counted.
fn operation_of(
    record: &ExchangeRecord,
    server: &str,
    path: Option<&str>,
    names: &mut OperationNames,
) -> Option<Operation> {
    if record.protocol == HTTP1 {
        names.learn_path(stable_hash(record.answer()), record.answer());
    }
    let path = path.filter(|path| names.is_of(record.op, path.as_bytes()))?;
    let key = operation_key(record);
    match key.protocol {
        _ if names.is_named(&key) => {}
        HTTP1 => drop(names.learn(key, path.as_bytes())),
        _ => names.learn_path(key.op, path.as_bytes()),
    }
    Some(names.operation(&key, server))
}

fn unnamed(record: &ExchangeRecord) -> String {
    match method_of(record) {
        Some(method) => format!("{method} _UNNAMED"),
        None => "_UNNAMED".to_owned(),
    }
}

/// A peer known by its address alone.
fn endpoint(addr: &Addr, port: u16) -> Endpoint {
    let addr = address_text(addr, port);
    Endpoint {
        service: addr.clone(),
        namespace: None,
        kind: WorkloadKind::Remote,
        instance: None,
        addr,
    }
}
