//! From kernel records to the graph: decode, pairing, naming, edges. Pure: time is an argument.
#![forbid(unsafe_code)]

pub mod answer;
pub mod clock;
pub mod condition;
pub mod decode;
pub mod edges;
pub mod exchange;
pub mod filter;
pub mod flows;
pub mod graph;
pub mod head;
pub mod histogram;
pub mod model;
pub mod operations;
pub mod parties;
pub mod protocol;
pub mod recent;
pub mod routes;
pub mod snapshot;
pub mod trace;
pub mod verdicts;
