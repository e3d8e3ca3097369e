//! Test hosts, real servers and a handle on the agent, for the live tests.
//!
//! # Layout
//! - [`gate`]: may this test run here, and one at a time
//! - [`netns`]: network namespaces joined by veth pairs
//! - [`process`], [`scratch`]: children and folders that vanish with their handle
//! - [`server`]: nginx, Redis, MariaDB, HTTP services in Python, Consul, Prometheus, OTLP receivers
//! - [`agent`], [`answer`]: the `weir` under test and the shapes that its answers promise
//! - [`metrics`]: the operations that its Prometheus endpoint tells of
//! - [`deeds`]: what clients say that they did, against what weir tells
//! - [`times`]: how long clients waited, against how long weir says
//! - [`client`], [`bulk`]: what plain clients cannot do: split heads, steady streams, exact windows
#![forbid(unsafe_code)]

pub mod agent;
pub mod answer;
pub mod bulk;
pub mod client;
pub mod deeds;
pub mod gate;
pub mod kernel;
pub mod memory;
pub mod metrics;
pub mod netns;
pub mod process;
pub mod scratch;
pub mod server;
pub mod times;

use std::{
    thread,
    time::{Duration, Instant},
};

/// Asks `question` every 50 ms until it answers, or panics after `limit` with what was awaited.
pub fn wait_for<T>(what: &str, limit: Duration, mut question: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}
