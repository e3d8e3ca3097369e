//! OTLP end to end: spans and metrics at rotel over both protocols, true counts in PromQL.

use std::{net::SocketAddr, time::Duration};

use weir_tests::{
    agent::{Agent, Options},
    client::Client,
    gate::live,
    netns::Namespace,
    server::{
        Place,
        collector::{Rotel, VictoriaMetrics},
        nginx::Nginx,
        python::PythonService,
    },
    wait_for,
};

const CALLS: u64 = 40;
/// Batches and metric intervals pass before everything is there.
const EXPORTED: Duration = Duration::from_secs(90);
const GRAPH: &str = r#"traces_service_graph_request_total{client="nginx",server="catalogue"}"#;

/// nginx in front of a Python service `catalogue`, in a namespace of their own.
struct Shop {
    host: Namespace,
    nginx: Nginx,
    _catalogue: PythonService,
}

impl Shop {
    fn open() -> Self {
        let host = Namespace::new();
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let catalogue = PythonService::start(Place::In(&host), "catalogue", address(8095), &[]);
        let nginx = Nginx::proxy(Place::In(&host), address(8094), catalogue.address);
        Self {
            host,
            nginx,
            _catalogue: catalogue,
        }
    }

    fn visit(&self, times: u64) {
        let mut client = self.host.run(|| Client::connect(self.nginx.address));
        for _ in 0..times {
            client.send("GET /items/7?secret=1 HTTP/1.1\r\nHost: shop\r\n\r\n");
            assert_eq!(client.response(false).status, 200);
        }
    }
}

fn exporting(endpoint: &str, protocol: &str) -> Agent {
    Agent::with(Options {
        config: format!("[otlp]\nendpoint = \"{endpoint}\"\nprotocol = \"{protocol}\"\n"),
        environment: vec![("OTEL_METRIC_EXPORT_INTERVAL".into(), "2000".into())],
        ..Options::default()
    })
}

/// Both protocols carry metrics, client spans and server spans, and no query of a URL.
fn check_rotel(protocol: &str, endpoint: impl Fn(&Rotel) -> String) {
    if !live() {
        return;
    }
    let rotel = Rotel::start();
    let shop = Shop::open();
    let agent = exporting(&endpoint(&rotel), protocol);
    shop.visit(CALLS);
    agent.expect_calls(&[8095], CALLS);
    for sign in [
        "http.server.request.duration",
        "http.client.request.duration",
        "traces_service_graph_request_total",
        "service.name: Str(catalogue)",
        "Kind : SPAN_KIND_SERVER",
        "Kind : SPAN_KIND_CLIENT",
    ] {
        let plain: String = sign.split_whitespace().collect();
        wait_for(&format!("{sign} at rotel"), EXPORTED, || {
            let log: String = rotel.log().split_whitespace().collect();
            log.contains(&plain).then_some(())
        });
    }
    assert!(
        !rotel.log().contains("secret"),
        "query values stay on the host"
    );
}

#[test]
fn rotel_receives_over_grpc() {
    check_rotel("grpc", |rotel| format!("http://{}", rotel.grpc));
}

#[test]
fn rotel_receives_over_http() {
    check_rotel("http/protobuf", |rotel| format!("http://{}", rotel.http));
}

#[test]
fn victoria_metrics_answers_with_the_true_counts() {
    if !live() {
        return;
    }
    let store = VictoriaMetrics::start();
    let shop = Shop::open();
    let agent = exporting(&store.otlp(), "http/protobuf");
    shop.visit(CALLS);
    agent.expect_calls(&[8095], CALLS);
    expect_graph(&store, CALLS);
}

#[test]
fn a_receiver_that_is_away_loses_nothing_that_adds_up() {
    if !live() {
        return;
    }
    let mut store = VictoriaMetrics::start();
    let shop = Shop::open();
    let agent = exporting(&store.otlp(), "http/protobuf");
    shop.visit(CALLS);
    expect_graph(&store, CALLS);
    store.away(Duration::from_secs(60), || {
        shop.visit(CALLS);
        agent.expect_calls(&[8095], 2 * CALLS);
        let exporters = wait_for("a told failure", EXPORTED, || {
            let exporters = agent.status().exporters;
            exporters
                .values()
                .any(|state| state != "ok")
                .then_some(exporters)
        });
        assert!(!exporters.is_empty());
    });
    expect_graph(&store, 2 * CALLS);
}

fn expect_graph(store: &VictoriaMetrics, calls: u64) {
    let mut last = None;
    let start = std::time::Instant::now();
    while start.elapsed() < EXPORTED {
        last = store.query(GRAPH);
        if last == Some(calls as f64) {
            return;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    panic!("{GRAPH} is {last:?}, not {calls}");
}
