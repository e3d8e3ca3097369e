//! Edges, policies and status → measures: the one model that OTLP and Prometheus both encode. Pure.
#![forbid(unsafe_code)]

pub mod agent;
pub mod durations;
pub mod edge;
pub mod ledger;
pub mod measures;
pub mod outcome;
pub mod policy;
pub mod resource;

pub use durations::Durations;
pub use ledger::Ledger;
pub use measures::{Attributes, Family, Measures, Point, Sample, Value};
pub use resource::{Host, Resource, Resources};
