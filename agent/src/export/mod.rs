//! Edges, exchanges and status → OTLP and Prometheus.
//!
//! # Layout, in the order data passes
//! - [`names`]: every metric and attribute name (pure)
//! - [`metrics`]: edges, policies, status → [`metrics::Measures`] (pure)
//! - [`spans`]: exchanges → client and server spans (pure)
//! - [`encode`]: measures → OTLP requests (pure)

pub mod encode;
#[cfg(test)]
mod fixture;
pub mod metrics;
pub mod names;
pub mod spans;
pub mod stats;
