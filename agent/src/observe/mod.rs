//! From kernel records to the graph: decode, pairing, naming, edges. Pure: time is an argument.
#![forbid(unsafe_code)]

pub mod model;
pub mod snapshot;
