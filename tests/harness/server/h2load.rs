//! h2load: load that ends when every request has its answer, so counts can be compared exactly.

use std::net::SocketAddr;

use super::{Place, wrk::SERVICE};
use crate::process::must;

/// Sends `requests` requests over 64 keep-alive connections and returns how many were answered.
pub fn http1(place: Place, address: SocketAddr, path: &str, requests: u64) -> u64 {
    let mut command = place.command("h2load", SERVICE);
    command
        .args(["--h1", "-t1", "-c64"])
        .arg(format!("-n{requests}"))
        .arg(format!("http://{address}{path}"));
    succeeded(&must(&mut command))
}

/// Sends `requests` requests of HTTP/2, 32 at a time on each of 8 connections, and returns how many
/// were answered.
pub fn http2(place: Place, address: SocketAddr, path: &str, requests: u64) -> u64 {
    let mut command = place.command("h2load", SERVICE);
    command
        .args(["-t1", "-c8", "-m32"])
        .arg(format!("-n{requests}"))
        .arg(format!("http://{address}{path}"));
    succeeded(&must(&mut command))
}

/// The count in `requests: 10 total, 10 started, 10 done, 10 succeeded, 0 failed, …`.
fn succeeded(text: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix("requests: "))
        .and_then(|counts| {
            counts
                .split(", ")
                .find_map(|one| one.strip_suffix(" succeeded"))
        })
        .and_then(|count| count.parse().ok())
        .unwrap_or_else(|| panic!("no request count in {text}"))
}
