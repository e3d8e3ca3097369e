//! The dashboards against a real Prometheus that scrapes weir's endpoint: every query of every
//! panel must answer with numbers.

mod support;

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use support::{
    answers::{Fixed, edge},
    eventually,
    tools::{self, Folder},
};
use weir::export::{ExportConfig, ExportHandle, otlp::OtlpConfig, start};

fn dashboards() -> PathBuf {
    let agent = Path::new(env!("CARGO_MANIFEST_DIR"));
    agent.parent().expect("a workspace").join("dashboards")
}

/// A query with the dashboard and panel that it belongs to.
struct Query {
    place: String,
    text: String,
}

fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for file in fs::read_dir(dashboards()).expect("dashboards/").flatten() {
        let path = file.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let text = fs::read_to_string(&path).expect("a dashboard");
            let dashboard: Value = serde_json::from_str(&text).expect("JSON");
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            collect(&name, &dashboard["panels"], &mut queries);
        }
    }
    assert!(queries.len() > 40, "only {} queries found", queries.len());
    queries
}

fn collect(dashboard: &str, panels: &Value, queries: &mut Vec<Query>) {
    for panel in panels.as_array().into_iter().flatten() {
        collect(dashboard, &panel["panels"], queries);
        let title = panel["title"].as_str().expect("a title");
        for target in panel["targets"].as_array().into_iter().flatten() {
            queries.push(Query {
                place: format!("{dashboard} / {title} / {}", target["refId"]),
                text: filled_in(target["expr"].as_str().expect("a query")),
            });
        }
    }
}

/// The query with Grafana's variables replaced as Grafana would.
fn filled_in(query: &str) -> String {
    let replaced = query
        .replace("$__rate_interval", "10s")
        .replace("$service", ".*");
    // What is left may only be a group of label_replace.
    let unknown = replaced
        .split('$')
        .skip(1)
        .any(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
    assert!(!unknown, "a variable that this test does not know: {query}");
    replaced
}

/// Edges whose counters stand at `step`: a local pair, a stranger's and an outgoing one.
fn edges(step: u64) -> Vec<weir::observe::model::EdgeState> {
    let mut edges = vec![
        edge("203.0.113.7", "web", 80, 100 * step, 2 * step),
        edge("web", "api", 8080, 80 * step, 3 * step),
        edge("api", "db.example", 443, 7 * step, step),
    ];
    for edge in &mut edges {
        let tcp = &mut edge.tcp;
        for counter in [
            &mut tcp.opened,
            &mut tcp.connect_failures,
            &mut tcp.resets,
            &mut tcp.segments,
            &mut tcp.retransmits,
            &mut tcp.timeouts,
        ] {
            *counter *= step;
        }
        for histogram in [&mut tcp.rtt, &mut tcp.connect] {
            histogram
                .buckets
                .iter_mut()
                .for_each(|count| *count *= step);
            histogram.sum_ns *= step;
        }
    }
    edges
}

async fn endpoint(fixed: Arc<Fixed>) -> (ExportHandle, SocketAddr) {
    let config = ExportConfig {
        otlp: OtlpConfig::default(),
        prometheus: Some(([127, 0, 0, 1], 0).into()),
        host_name: "node-1".into(),
        ..ExportConfig::default()
    };
    let handle = start(fixed, config).await.expect("it starts");
    let address = handle.prometheus().expect("an address");
    (handle, address)
}

fn prometheus(program: &Path, scraped: SocketAddr, port: u16) -> tools::Server {
    let folder = Folder::new("prometheus");
    let rules = dashboards().join("prometheus/weir.rules.yaml");
    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
         rule_files: ['{}']\n\
         scrape_configs: [{{job_name: weir, static_configs: [{{targets: ['{scraped}']}}]}}]\n",
        rules.display()
    );
    let file = folder.0.join("prometheus.yaml");
    fs::write(&file, config).expect("a configuration");
    let config = format!("--config.file={}", file.display());
    let storage = format!("--storage.tsdb.path={}", folder.0.join("data").display());
    let listen = format!("--web.listen-address=127.0.0.1:{port}");
    tools::Server::start(program, folder, &[&config, &storage, &listen])
}

/// Why a query does not answer with numbers; `None` if it does.
fn complaint(port: u16, query: &str) -> Option<String> {
    match tools::promql(port, query) {
        Err(error) => Some(error),
        Ok(series) if series.is_empty() => Some("no data".to_owned()),
        Ok(series) if series.iter().all(|(_, value)| value.is_nan()) => {
            Some("nothing but NaN".to_owned())
        }
        Ok(_) => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_query_answers_on_a_real_prometheus() {
    let queries = queries();
    let Some(program) = tools::find("prometheus") else {
        return;
    };
    let fixed = Fixed::new(edges(1));
    let (handle, scraped) = endpoint(fixed.clone()).await;
    let port = tools::free_port();
    let server = prometheus(&program, scraped, port);
    let traffic = tokio::spawn(async move {
        for step in 2.. {
            tokio::time::sleep(Duration::from_millis(500)).await;
            *fixed.edges.lock().expect("ok") = edges(step);
        }
    });
    let ready = r#"count_over_time(up{job="weir"}[1m]) > 5"#;
    eventually("six scrapes", || complaint(port, ready).is_none()).await;
    let failures: Vec<String> = queries
        .iter()
        .filter_map(|query| {
            let complaint = complaint(port, &query.text)?;
            Some(format!("{}: {complaint}\n    {}", query.place, query.text))
        })
        .collect();
    assert!(
        failures.is_empty(),
        "{}\n{}",
        failures.join("\n"),
        server.log()
    );
    eprintln!("{} panel queries answered", queries.len());

    for recorded in [
        "weir:service_requests:rate5m",
        "weir:edge_retransmits:ratio_rate5m",
    ] {
        eventually(recorded, || complaint(port, recorded).is_none()).await;
    }
    assert_eq!(complaint(port, r#"up{job="weir"} == 1"#), None);
    let warnings: Vec<String> = server
        .log()
        .lines()
        .filter(|line| line.contains("level=warn") || line.contains("level=error"))
        .map(str::to_owned)
        .collect();
    assert!(warnings.is_empty(), "{warnings:#?}");
    assert!(handle.state()["prometheus"].starts_with("ok; sent "));
    traffic.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_speaks_plain_http() {
    let (handle, address) = endpoint(Fixed::new(edges(1))).await;
    let get = async |path: &'static str| {
        let port = address.port();
        let got = tokio::task::spawn_blocking(move || tools::get(port, path)).await;
        got.expect("no panic")
    };
    assert_eq!(get("/healthz").await.as_deref(), Ok("ok\n"));
    assert!(
        get("/")
            .await
            .is_err_and(|error| error.starts_with("status 404"))
    );
    let text = get("/metrics").await.expect("metrics");
    let wanted = [
        r#"traces_service_graph_request_total{client="web",server="api",connection_type=""} 83"#,
        r#"weir_policy_verdicts_total{weir_policy_name="web-to-api",weir_policy_action="deny",weir_policy_mode="enforce",weir_verdict="deny"} 17"#,
        r#"weir_agent_lost_total{weir_reason="ring_full"} 4"#,
    ];
    for line in wanted {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
    let taken = endpoint_at(address).await;
    assert!(taken.contains("choose another with --metrics"), "{taken}");
    handle.shutdown(Duration::from_secs(1)).await;
    assert!(get("/healthz").await.is_err(), "it still answers");
}

async fn endpoint_at(address: SocketAddr) -> String {
    let config = ExportConfig {
        prometheus: Some(address),
        ..ExportConfig::default()
    };
    match start(Fixed::new(Vec::new()), config).await {
        Ok(_) => "it started".to_owned(),
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn rules_pass_promtool() {
    let Some(promtool) = tools::find("promtool") else {
        return;
    };
    for arguments in [
        ["check", "rules", "weir.rules.yaml"],
        ["test", "rules", "weir.rules.test.yaml"],
    ] {
        let output = Command::new(&promtool)
            .args(arguments)
            .current_dir(dashboards().join("prometheus"))
            .output()
            .expect("promtool runs");
        let words =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}");
    }
}

#[test]
fn panels_are_well_formed() {
    for file in ["overview.json", "service-map.json"] {
        let text = fs::read_to_string(dashboards().join(file)).expect("a dashboard");
        let dashboard: Value = serde_json::from_str(&text).expect("JSON");
        let panels = dashboard["panels"].as_array().expect("panels");
        let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
        assert_eq!(ids.len(), panels.len(), "{file}: ids repeat");
        let wide = |panel: &Value| {
            let place = &panel["gridPos"];
            place["x"].as_u64().unwrap_or(99) + place["w"].as_u64().unwrap_or(99)
        };
        assert!(
            panels.iter().all(|panel| wide(panel) <= 24),
            "{file}: too wide"
        );
        let uid = &dashboard["uid"];
        assert!(
            uid.as_str().is_some_and(|uid| uid.starts_with("weir-")),
            "{file}: {uid}"
        );
    }
    let text = fs::read_to_string(dashboards().join("service-map.json")).expect("a dashboard");
    let map: Value = serde_json::from_str(&text).expect("JSON");
    let graph = &map["panels"][0];
    assert_eq!(graph["type"], "nodeGraph");
    // Grafana knows the two frames by these names.
    let names = [&graph["targets"][0]["refId"], &graph["targets"][1]["refId"]];
    assert_eq!(names, ["nodes", "edges"]);
}
