//! h2load: load that ends when every request has its answer, so counts can be compared exactly.

use std::net::SocketAddr;

use super::{Place, wrk::SERVICE};
use crate::{process::must, scratch::Scratch};

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

/// Sends `requests` requests of HTTP/2 to `paths` in turn, eight at a time on one connection, and
/// returns how many were answered with a status of 2xx and how many with one of 4xx.
pub fn http2_one(place: Place, address: SocketAddr, paths: &[&str], requests: u64) -> (u64, u64) {
    let mut command = place.command("h2load", SERVICE);
    command
        .args(["-t1", "-c1", "-m8"])
        .arg(format!("-n{requests}"))
        .args(paths.iter().map(|path| format!("http://{address}{path}")));
    let text = must(&mut command);
    let answered = |class| count(&text, "status codes: ", class);
    (answered("2xx"), answered("4xx"))
}

/// Sends `requests` requests of HTTP/2, ten at a time on each of 32 connections, and returns how
/// many a second were answered. All of them must be.
pub fn http2_rate(place: Place, address: SocketAddr, path: &str, requests: u64) -> f64 {
    let mut command = place.command("h2load", SERVICE);
    command
        .args(["-t1", "-c32", "-m10"])
        .arg(format!("-n{requests}"))
        .arg(format!("http://{address}{path}"));
    let text = must(&mut command);
    assert_eq!(succeeded(&text), requests, "{text}");
    rate(&text)
}

/// Calls a unary method of gRPC `calls` times, ten at a time on each of 8 connections, with the bytes
/// `hello` as message. All of them must be answered.
pub fn grpc(place: Place, address: SocketAddr, method: &str, calls: u64) {
    let folder = Scratch::new();
    let message = folder.write("message", "\0\0\0\0\u{5}hello");
    let mut command = place.command("h2load", SERVICE);
    command
        .args(["-t1", "-c8", "-m10", "-H", "content-type: application/grpc"])
        .args(["-H", "te: trailers"])
        .arg(format!("-d{}", message.display()))
        .arg(format!("-n{calls}"))
        .arg(format!("http://{address}{method}"));
    let text = must(&mut command);
    assert_eq!(succeeded(&text), calls, "{text}");
}

/// The rate in `finished in 1.61s, 62112.37 req/s, 2.20MB/s`.
fn rate(text: &str) -> f64 {
    text.lines()
        .find_map(|line| line.strip_prefix("finished in ")?.split(", ").nth(1))
        .and_then(|rate| rate.strip_suffix(" req/s")?.parse().ok())
        .unwrap_or_else(|| panic!("no rate in {text}"))
}

/// Requests that were answered with a status of 2xx or 3xx.
fn succeeded(text: &str) -> u64 {
    count(text, "requests: ", "succeeded")
}

/// The count of `what` in the line that begins with `line`, e.g. of `done` in
/// `requests: 10 total, 10 started, 10 done, …`.
fn count(text: &str, line: &str, what: &str) -> u64 {
    text.lines()
        .find_map(|found| found.strip_prefix(line))
        .and_then(|counts| {
            let mut words = counts.split(", ").filter_map(|one| one.split_once(' '));
            words.find(|(_, of)| *of == what)
        })
        .and_then(|(count, _)| count.parse().ok())
        .unwrap_or_else(|| panic!("no count of {what} in {text}"))
}
