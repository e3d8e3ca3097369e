//! Receivers that others wrote.

use weir::export::start;

use crate::{
    config, counts, run,
    support::{
        answers::{Fixed, edge},
        eventually,
        tools::{self, Folder},
    },
};

async fn rotel(protocol: &str) {
    let Some(program) = tools::find("rotel-agent") else {
        return;
    };
    let folder = Folder::new(&format!("rotel-{}", protocol.replace('/', "-")));
    let (grpc, http) = (tools::free_port(), tools::free_port());
    let grpc_at = format!("127.0.0.1:{grpc}");
    let http_at = format!("127.0.0.1:{http}");
    let pid_file = folder.0.join("pid").display().to_string();
    let arguments = [
        "start",
        "--otlp-grpc-endpoint",
        &grpc_at,
        "--otlp-http-endpoint",
        &http_at,
        "--exporter",
        "blackhole",
        "--debug-log",
        "traces",
        "--debug-log",
        "metrics",
        "--debug-log-verbosity",
        "detailed",
        "--pid-file",
        &pid_file,
    ];
    let server = tools::Server::start(&program, folder, &arguments);
    let at = if protocol == "grpc" { grpc_at } else { http_at };
    let mut config = config(format!("http://{at}"));
    config.otlp.protocol = Some(protocol.into());
    config.otlp.compression = Some("gzip".into());
    let (fixed, handle) = run(config).await;
    fixed.publish(0..3);
    let wanted = [
        "http.server.request.duration",
        "traces_service_graph_request_total",
        "weir.tcp.rtt",
        "weir.agent.lost",
        "GET /items/*",
        "service.peer.name",
        // Server span of exchange 2, whose parent is its client span.
        "0000000000000003",
        "8000000000000003",
    ];
    eventually("all names in rotel's log", || {
        let log = server.log();
        wanted.iter().all(|name| log.contains(name))
    })
    .await;
    eventually("receipts", || {
        counts(&handle, "otlp_traces").sent == 6 && counts(&handle, "otlp_metrics").sent > 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotel_takes_grpc() {
    rotel("grpc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotel_takes_http_protobuf() {
    rotel("http/protobuf").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn victoria_metrics_answers_with_the_true_counts() {
    let Some(program) = tools::find("victoria-metrics") else {
        return;
    };
    let folder = Folder::new("victoria");
    let port = tools::free_port();
    let data = format!("-storageDataPath={}", folder.0.join("data").display());
    let listen = format!("-httpListenAddr=127.0.0.1:{port}");
    // What was written can be asked for at once.
    let arguments = [
        data.as_str(),
        &listen,
        "-search.latencyOffset=0s",
        "-loggerLevel=WARN",
    ];
    let server = tools::Server::start(&program, folder, &arguments);
    eventually("VictoriaMetrics", || tools::get(port, "/health").is_ok()).await;
    let fixed = Fixed::new(vec![
        edge("203.0.113.7", "web", 80, 5_000, 0),
        edge("web", "api", 8080, 4_321, 21),
        edge("api", "db.example", 443, 7, 0),
    ]);
    let base = format!("http://127.0.0.1:{port}/opentelemetry");
    let _handle = start(fixed.clone(), config(base)).await.expect("it starts");
    let ask = async |query: &str, expected: f64| {
        eventually(&format!("{query} = {expected}\n{}", server.log()), || {
            let series = tools::promql(port, query).unwrap_or_default();
            matches!(series.as_slice(), [(_, value)] if (value - expected).abs() < 1e-9)
        })
        .await;
    };
    let total = "traces_service_graph_request_total";
    ask(&format!(r#"{total}{{client="web",server="api"}}"#), 4_342.0).await;
    ask(
        &format!(r#"{total}{{client="user",server="web",connection_type="virtual_node"}}"#),
        5_000.0,
    )
    .await;
    ask(
        &format!(r#"{total}{{client="api",server="db.example"}}"#),
        7.0,
    )
    .await;
    ask(&format!("count({total})"), 3.0).await;
    ask(
        r#"traces_service_graph_request_failed_total{client="web",server="api"}"#,
        21.0,
    )
    .await;
    ask(
        r#"sum({__name__="http.server.request.duration_count","service.name"="api"})"#,
        4_342.0,
    )
    .await;
    // One more call is one more, not a new series.
    fixed.edges.lock().expect("ok")[1] = edge("web", "api", 8080, 4_322, 21);
    ask(&format!(r#"{total}{{client="web",server="api"}}"#), 4_343.0).await;
}
