//! Real captures, the same in other containers, and the same damaged, through `weir replay`.
//!
//! `record.sh` made the captures with tcpdump, real servers and clients, and small Python programs.

mod captures;
mod connections;
mod containers;
mod damage;
mod databases;
mod pcapfile;
mod upgrades;

use std::path::{Path, PathBuf};

use weir::{
    observe::model::Exchange,
    replay::{self, ReplayReport},
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("replay/captures")
}

/// Bytes of a recorded capture.
fn capture(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

/// Names of all recorded captures.
fn all_captures() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= 15, "captures are missing: {names:?}");
    names
}

/// Replays bytes that are a capture.
fn replay(bytes: &[u8]) -> (Vec<Exchange>, ReplayReport) {
    let mut exchanges = Vec::new();
    let report = replay::run_reader(bytes, &mut |exchange| exchanges.push(exchange)).unwrap();
    assert_eq!(report.exchanges, exchanges.len() as u64);
    (exchanges, report)
}

/// `METHOD path status`, or `METHOD path error`; of protocols without methods `operation - error`.
fn words(exchange: &Exchange) -> String {
    let status = exchange.status.map(|status| status.to_string());
    if exchange.protocol == "websocket" {
        let ended = status.or(exchange.error.clone()).unwrap_or_default();
        return format!("websocket {} {ended}", exchange.operation);
    }
    if exchange.protocol == "http2" {
        let status = status.or(exchange.error.clone()).unwrap_or_default();
        return format!("{} {status}", exchange.operation);
    }
    format!(
        "{} {} {}",
        exchange.method.as_deref().unwrap_or(&exchange.operation),
        exchange.path.as_deref().unwrap_or("-"),
        status.or(exchange.error.clone()).unwrap_or_default()
    )
}
