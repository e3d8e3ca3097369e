//! A real Prometheus scrapes weir and answers with the true counts.

use std::{net::SocketAddr, time::Duration};

use weir_tests::{
    agent::{Agent, Options},
    client::Client,
    gate::live,
    kernel,
    netns::Namespace,
    server::{Place, collector::Prometheus, free_port, get, nginx::Nginx, python::PythonService},
    wait_for,
};

const CALLS: u64 = 25;

/// Needs a hook of Linux 6.3.
const QUEUE: &str = r#"weir_server_queue_duration_seconds_count{service_name="ledger"}"#;

#[test]
fn prometheus_counts_what_was_called() {
    if !live() {
        return;
    }
    let metrics = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let agent = Agent::with(Options {
        config: format!("metrics = \"{metrics}\"\n"),
        ..Options::default()
    });
    let prometheus = Prometheus::scraping(metrics);
    let host = Namespace::new();
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let service = PythonService::start(Place::In(&host), "ledger", address(8097), &[]);
    let nginx = Nginx::proxy(Place::In(&host), address(8096), service.address);

    let mut client = host.run(|| Client::connect(nginx.address));
    for _ in 0..CALLS {
        client.send("GET /entries HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.response(false).status, 200);
    }
    agent.expect_calls(&[8097], CALLS);

    for query in [
        r#"traces_service_graph_request_total{client="nginx",server="ledger"}"#,
        r#"http_server_request_duration_seconds_count{service_name="ledger"}"#,
        QUEUE,
    ] {
        if query == QUEUE && !kernel::is_at_least(6, 3) {
            continue;
        }
        wait_for(query, Duration::from_secs(20), || {
            (prometheus.query(query) == Some(CALLS as f64)).then_some(())
        });
    }
    let (status, text) = get(metrics, "/metrics");
    assert_eq!(status, 200);
    assert!(text.contains("weir_"), "weir's own metrics are there too");
}
