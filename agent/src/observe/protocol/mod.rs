//! What the first bytes of a request and of a failing answer tell, by protocol.
//!
//! The kernel knows an operation by a hash; here it gets its name. Only what names the operation
//! and the kind of failure is taken: no key, value or literal leaves this module.

pub mod dns;
mod graphql;
mod http2;
mod memcached;
mod mongodb;
mod mysql;
mod postgres;
mod redis;
mod sql;
mod tls;
mod websocket;
mod zookeeper;

pub use graphql::{nameless_word as graphql_word, status as shown_status, told as graphql_name};
pub use http2::{fixed_path, method_of as grpc_method};
use weir_common::{
    event::{ExchangeRecord, exchange_flag},
    flow::protocol,
    framing::{conversation::MESSAGES_UNKNOWN, detect::is_framed},
};

use super::{
    model::TlsHandshake,
    trace::{TraceParent, parse_traceparent},
};

/// What the bytes of an exchange tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    /// Operation hash that the name below belongs to.
    pub op: u64,
    /// Low-cardinality name of the operation; empty if it cannot be told.
    pub operation: String,
    /// Kind of failure, as the server says it.
    pub error: Option<String>,
    /// Hashes and names of operations that are known by something else from here on (a prepared
    /// statement's requests say only a number), or whose own first bytes may never be at hand.
    pub others: Vec<(u64, String)>,
}

/// Reads the bytes of an exchange; `None` for HTTP, whose head has its own reader.
///
/// See [`has_http_head`] for the others that begin with one.
pub fn read(record: &ExchangeRecord) -> Option<Meaning> {
    match record.protocol {
        protocol::DNS => Some(dns::read(record)),
        protocol::GRPC => Some(http2::read(record.op, record.head())),
        protocol::MEMCACHED => Some(memcached::read(record.op, record.answer())),
        protocol::MONGODB => Some(mongodb::read(record.head(), record.answer())),
        protocol::MYSQL => Some(mysql::read(record.head(), record.answer())),
        protocol::POSTGRES => Some(postgres::read(record.op, record.head(), record.answer())),
        protocol::REDIS => Some(redis::read(record.head(), record.answer())),
        protocol::TLS => Some(tls::read(record.op)),
        protocol::WEBSOCKET => Some(websocket::read(record.head())),
        protocol::ZOOKEEPER => Some(zookeeper::read(record.head(), record.answer())),
        _ => None,
    }
}

/// What a request is about, for protocols where that is no secret: the name in a DNS query.
pub fn path_of(record: &ExchangeRecord) -> Option<String> {
    match record.protocol {
        protocol::DNS => dns::path_of(record),
        _ => None,
    }
}

/// Name of an operation whose key tells it, so that no head is needed.
pub fn operation_of_key(code: u8, op: u64) -> Option<String> {
    match code {
        protocol::DNS => dns::name_of(op),
        protocol::MEMCACHED => memcached::name_of(op),
        protocol::REDIS => redis::name_of(op),
        protocol::TLS => Some(tls::operation(op)),
        protocol::ZOOKEEPER => zookeeper::name_of(op),
        _ => None,
    }
}

/// What a TLS handshake told; `None` for other exchanges.
pub fn handshake(record: &ExchangeRecord) -> Option<TlsHandshake> {
    (record.protocol == protocol::TLS).then(|| tls::handshake(record.op, record.head()))
}

/// True if the exchanges of the protocol begin with a head of HTTP/1.
pub fn has_http_head(code: u8) -> bool {
    !is_framed(code) || code == protocol::WEBSOCKET
}

/// Name of an outcome that is no status code; `None` for others.
pub fn failure(outcome: u16) -> Option<&'static str> {
    let own = http2::failure(outcome).or_else(|| tls::alert(outcome));
    own.or_else(|| websocket::failure(outcome))
        .or_else(|| graphql::failure(outcome))
}

/// True if the status of the protocol's exchanges is a status code that people know.
pub fn shows_status(code: u8) -> bool {
    let known = [protocol::HTTP2, protocol::GRPC, protocol::WEBSOCKET];
    !is_framed(code) || known.contains(&code)
}

/// The status code that people know an outcome by: of HTTP, of gRPC, or of a Close frame.
///
/// [`failure`] names outcomes that have none.
pub fn status(code: u8, outcome: u16) -> Option<u16> {
    match code {
        protocol::GRPC | protocol::HTTP2 => http2::status(outcome),
        protocol::WEBSOCKET => websocket::status(outcome),
        protocol::HTTP1 => Some(graphql::status(outcome)),
        _ => shows_status(code).then_some(outcome),
    }
}

/// The status code of HTTP in an outcome of whatever protocol, if it is one.
pub fn http_status(outcome: u16) -> Option<u16> {
    let status = graphql::status(outcome);
    (100..600).contains(&status).then_some(status)
}

/// Messages of the client and of the server within an exchange, where it consists of them, and all
/// of them were seen.
pub fn messages(record: &ExchangeRecord) -> (Option<u32>, Option<u32>) {
    let known = |count: u32| (count != MESSAGES_UNKNOWN).then_some(count);
    let answered = known(record.response_messages);
    match record.protocol {
        protocol::GRPC | protocol::WEBSOCKET => (known(record.request_messages), answered),
        _ if record.flags & exchange_flag::EVENTS != 0 => (None, answered),
        _ => (None, None),
    }
}

/// The trace context of a request that has no head to stand in.
pub fn traceparent(record: &ExchangeRecord) -> Option<TraceParent> {
    match record.protocol {
        protocol::GRPC | protocol::HTTP2 => parse_traceparent(record.answer()),
        _ => None,
    }
}

/// Name of a protocol in answers.
pub fn name(code: u8) -> &'static str {
    match code {
        protocol::HTTP1 => "http",
        protocol::HTTP2 => "http2",
        protocol::TLS => "tls",
        protocol::UPGRADED => "upgraded",
        protocol::REDIS => "redis",
        protocol::POSTGRES => "postgresql",
        protocol::MYSQL => "mysql",
        protocol::MONGODB => "mongodb",
        protocol::MEMCACHED => "memcached",
        protocol::ZOOKEEPER => "zookeeper",
        protocol::DNS => "dns",
        protocol::GRPC => "grpc",
        protocol::WEBSOCKET => "websocket",
        _ => "tcp",
    }
}

/// The word before the first byte that cannot be in one, in a form fit for names.
fn word(bytes: &[u8]) -> String {
    let fits = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    bytes
        .iter()
        .take_while(fits)
        .map(|byte| char::from(*byte))
        .collect()
}
