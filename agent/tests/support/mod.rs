//! What the tests of the exporters share.
#![allow(
    dead_code,
    reason = "each test binary uses its own part of this module"
)]

pub mod answers;
pub mod http_receiver;
pub mod tonic_receiver;
pub mod tools;

use std::time::{Duration, Instant};

/// Waits until `condition` holds; panics with `what` after a minute.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "timed out: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
