//! What weir's Prometheus endpoint says of the operations of HTTP that a service serves.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use crate::{agent::SETTLED, server::get};

/// Calls of an operation with one status, by operation and status.
pub type Operations = BTreeMap<(String, u16), Served>;

/// What is told of an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Exchanges.
    pub calls: u64,
    /// `http.route`.
    pub route: Option<String>,
    /// Where the name comes from.
    pub source: Option<String>,
}

/// Waits until `service` served as many calls as are expected, or long enough, and tells which.
pub fn settled(metrics: SocketAddr, service: &str, calls: u64) -> Operations {
    let start = Instant::now();
    loop {
        let operations = served(metrics, service);
        let counted: u64 = operations.values().map(|served| served.calls).sum();
        if counted >= calls || start.elapsed() > SETTLED {
            return operations;
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// What `service` served, as the endpoint at `metrics` counts it now.
pub fn served(metrics: SocketAddr, service: &str) -> Operations {
    let (status, text) = get(metrics, "/metrics");
    assert_eq!(status, 200);
    let mut operations = Operations::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("http_server_request_duration_seconds_count{") else {
            continue;
        };
        let (labels, value) = rest.rsplit_once("} ").expect("labels and a value");
        let labels = labels_of(labels);
        let label = |name: &str| labels.get(name).cloned();
        if label("service_name").as_deref() != Some(service) {
            continue;
        }
        let status = label("http_response_status_code").and_then(|code| code.parse().ok());
        let operation = label("weir_operation").unwrap_or_default();
        let served = operations
            .entry((operation, status.unwrap_or(0)))
            .or_default();
        served.calls += value.parse::<f64>().expect("a number") as u64;
        served.route = label("http_route");
        served.source = label("weir_operation_source");
    }
    operations
}

/// How many of the requests that `service` served have a queue time.
pub fn queued(metrics: SocketAddr, service: &str) -> u64 {
    let (status, text) = get(metrics, "/metrics");
    assert_eq!(status, 200);
    let lines = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("weir_server_queue_duration_seconds_count{")?;
        let (labels, value) = rest.rsplit_once("} ")?;
        let is_of = labels_of(labels).get("service_name").map(String::as_str) == Some(service);
        is_of.then(|| value.parse::<f64>().expect("a number") as u64)
    });
    lines.sum()
}

/// Labels of a line; none of those looked at holds a quotation mark.
fn labels_of(text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        let (value, next) = after.split_once('"').unwrap_or((after, ""));
        labels.insert(name.trim_start_matches(',').to_owned(), value.to_owned());
        rest = next;
    }
    labels
}
