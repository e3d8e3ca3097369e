use super::*;
use crate::export::{
    metrics::{Value, resource::tests::host},
    names,
};

fn measures() -> Measures {
    let mut measures = Measures::new(9, 100);
    let mut add = |name: &'static MetricName, resource: &Resource, label: Option<&str>, sample| {
        let attributes: Attributes = label
            .map(|value| (attr::SERVICE_PEER_NAME, Value::from(value)))
            .into_iter()
            .collect();
        let start_unix_ns = 1;
        let point = Point {
            start_unix_ns,
            sample,
        };
        measures.add(name, (resource.clone(), attributes), point);
    };
    let agent = host().agent();
    let durations = Durations {
        counts: (0..15).collect(),
        sum_ns: 2_500_000_000,
    };
    add(
        &names::EDGE_CALLS,
        &agent,
        Some("a\"b\\c\nd"),
        Sample::Count(7),
    );
    add(&names::AGENT_UPTIME, &agent, None, Sample::Level(12.5));
    add(&names::AGENT_EDGES, &agent, None, Sample::Level(3.0));
    add(
        &names::HTTP_SERVER_DURATION,
        &agent,
        Some("x"),
        Sample::Seconds(durations),
    );
    let queue = Durations {
        counts: vec![4],
        sum_ns: 1_500_000_000,
    };
    add(&names::SERVER_QUEUE, &agent, None, Sample::Seconds(queue));
    measures
}

fn check(format: Format, expected: &[&str]) {
    let text = render(&measures(), format);
    for line in expected {
        assert!(
            text.lines().any(|found| found == *line),
            "no `{line}` in\n{text}"
        );
    }
}

#[test]
fn prometheus_text_has_suffixed_counters_and_cumulative_buckets() {
    check(
        Format::Prometheus,
        &[
            "# TYPE weir_edge_calls_total counter",
            "# HELP weir_edge_calls_total Exchanges on an edge, exact.",
            r#"weir_edge_calls_total{service_peer_name="a\"b\\c\nd"} 7"#,
            "weir_agent_uptime_seconds 12.5",
            "weir_agent_edges 3.0",
            "# TYPE http_server_request_duration_seconds histogram",
            r#"http_server_request_duration_seconds_bucket{service_name="weir",service_instance_id="weir@node-1",service_peer_name="x",le="0.005"} 0"#,
            r#"http_server_request_duration_seconds_bucket{service_name="weir",service_instance_id="weir@node-1",service_peer_name="x",le="1.0"} 45"#,
            r#"http_server_request_duration_seconds_bucket{service_name="weir",service_instance_id="weir@node-1",service_peer_name="x",le="+Inf"} 105"#,
            r#"http_server_request_duration_seconds_count{service_name="weir",service_instance_id="weir@node-1",service_peer_name="x"} 105"#,
            r#"http_server_request_duration_seconds_sum{service_name="weir",service_instance_id="weir@node-1",service_peer_name="x"} 2.5"#,
            r#"weir_server_queue_duration_seconds_bucket{service_name="weir",service_instance_id="weir@node-1",le="+Inf"} 4"#,
            r#"weir_server_queue_duration_seconds_sum{service_name="weir",service_instance_id="weir@node-1"} 1.5"#,
        ],
    );
    assert!(!render(&measures(), Format::Prometheus).contains("# EOF"));
}

#[test]
fn openmetrics_names_families_without_suffix_and_ends() {
    check(
        Format::OpenMetrics,
        &[
            "# TYPE weir_edge_calls counter",
            r#"weir_edge_calls_total{service_peer_name="a\"b\\c\nd"} 7"#,
        ],
    );
    assert!(render(&measures(), Format::OpenMetrics).ends_with("\n# EOF\n"));
}

#[test]
fn resources_that_look_alike_fall_together() {
    let mut measures = Measures::new(9, 100);
    for zone in ["a", "b"] {
        let mut attributes = host().agent().attributes().clone();
        attributes.insert("zone".into(), zone.into());
        let durations = Durations {
            counts: vec![1; 15],
            sum_ns: 1,
        };
        let start_unix_ns = 1;
        let sample = Sample::Seconds(durations);
        let point = Point {
            start_unix_ns,
            sample,
        };
        measures.add(
            &names::HTTP_SERVER_DURATION,
            (Resource::new(attributes), vec![]),
            point,
        );
    }
    let text = render(&measures, Format::Prometheus);
    let counts: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("_count{"))
        .collect();
    assert_eq!(counts.len(), 1, "{text}");
    assert!(counts[0].ends_with(" 30"), "{text}");
}

#[test]
fn the_accept_header_chooses() {
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    assert_eq!(Format::accepted(accept), Format::OpenMetrics);
    assert_eq!(Format::accepted("*/*"), Format::Prometheus);
}
