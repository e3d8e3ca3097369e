//! OTLP over gRPC and http/protobuf: settings, transports, the bounded buffer, retries.
//!
//! # Layout
//! - [`config`]: explicit values and `OTEL_EXPORTER_OTLP_*` → where and how to send
//! - [`tls`], [`grpc`], [`http`]: the two transports behind [`Transport`]
//! - [`queue`]: what waits to be sent, bounded by bytes and items (pure)
//! - [`retry`]: how long to wait before the next attempt
//! - [`sender`]: the task that empties a queue into a transport

pub mod config;
pub mod grpc;
pub mod http;
pub mod queue;
pub mod retry;
pub mod sender;
pub mod tls;
mod transport;

pub use config::{OtlpConfig, Protocol, Signal, Target, Targets};
pub use queue::{Batch, Queue};
pub use sender::Outbox;
pub use transport::{Accepted, SendError, Transport};
