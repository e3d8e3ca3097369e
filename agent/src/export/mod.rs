//! Edges, exchanges and status → OTLP and Prometheus.
//!
//! # Layout, in the order data passes
//! - [`names`]: every metric and attribute name (pure)
//! - [`metrics`]: edges, policies, status → [`metrics::Measures`] (pure)
//! - [`spans`]: exchanges → client and server spans (pure)
//! - [`collect`]: asks the daemon and makes measures of the answers
//! - [`encode`]: measures → OTLP requests (pure)
//! - [`own`]: weir's own metrics through the OpenTelemetry SDK
//! - [`otlp`]: buffer, retry, gRPC and http/protobuf
//! - [`prometheus`]: measures → text, served on HTTP
//! - [`start()`]: all of it as tokio tasks; [`stats`]: what was sent and lost

pub mod collect;
pub mod encode;
#[cfg(test)]
mod fixture;
mod intake;
pub mod metrics;
pub mod names;
pub mod otlp;
pub mod own;
pub mod prometheus;
pub mod spans;
mod start;
pub mod stats;

pub use start::{ExportConfig, ExportHandle, start};
