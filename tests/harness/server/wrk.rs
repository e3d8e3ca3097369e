//! wrk: saturating keep-alive load.

use std::{net::SocketAddr, time::Duration};

use super::Place;
use crate::process::must;

/// Name under which the load runs.
pub const SERVICE: &str = "load";

/// Loads `http://address/path` and returns the requests that wrk saw answered.
pub fn load(place: Place, address: SocketAddr, path: &str, how: Load) -> u64 {
    let mut command = place.command("wrk", SERVICE);
    command
        .arg(format!("-t{}", how.threads))
        .arg(format!("-c{}", how.connections))
        .arg(format!("-d{}s", how.duration.as_secs()))
        .arg(format!("http://{address}{path}"));
    let text = must(&mut command);
    text.lines()
        .find_map(|line| line.trim().split_once(" requests in "))
        .and_then(|(count, _)| count.parse().ok())
        .unwrap_or_else(|| panic!("no request count in {text}"))
}

/// How wrk loads.
#[derive(Clone, Copy)]
pub struct Load {
    /// Threads.
    pub threads: u32,
    /// Connections over all threads.
    pub connections: u32,
    /// For how long, whole seconds.
    pub duration: Duration,
}

impl Load {
    /// 64 connections by one thread: what saturates a host of two cores.
    pub fn saturating(seconds: u64) -> Self {
        Self {
            threads: 1,
            connections: 64,
            duration: Duration::from_secs(seconds),
        }
    }
}
