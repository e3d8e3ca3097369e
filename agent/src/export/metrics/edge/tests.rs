use super::*;
use crate::export::{
    fixture::{edge, histogram, with_calls},
    metrics::resource::tests::host,
};

fn measure(edges: &[EdgeState]) -> Measures {
    let mut measures = Measures::new(5_000, 1_000);
    let host = host();
    let agent = host.agent();
    let mut resources = Resources::new(&host);
    for edge in edges {
        add_edge(&mut measures, edge, &mut resources, &agent);
    }
    measures
}

/// Lines `service{name=value,…} number` of one family; the number of a histogram is its count.
fn lines(measures: &Measures, name: &str, labels: &[&str]) -> Vec<String> {
    let Some(family) = measures.families.get(name) else {
        return Vec::new();
    };
    let line = |((resource, attributes), point): (&(Resource, Attributes), &Point)| {
        let chosen: Vec<String> = attributes
            .iter()
            .filter(|(name, _)| labels.contains(name))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let number = match &point.sample {
            Sample::Count(count) => count.to_string(),
            Sample::Seconds(durations) => durations.count().to_string(),
            gauge => gauge.level().unwrap_or_default().to_string(),
        };
        let service = resource.get(attr::SERVICE_NAME).unwrap_or_default();
        format!("{service}{{{}}} {number}", chosen.join(","))
    };
    let mut lines: Vec<String> = family.points.iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn a_local_pair_is_counted_once_and_seen_from_both_sides() {
    let local = edge(("web", true), ("api", true));
    let local = with_calls(
        with_calls(local, "GET /users/*", 200, 90),
        "GET /users/*",
        404,
        10,
    );
    let measures = measure(&[local]);
    let check = |name: &str, labels: &[&str], expected: &[&str]| {
        assert_eq!(lines(&measures, name, labels), expected, "{name}");
    };
    let graph = [attr::CLIENT, attr::SERVER, attr::CONNECTION_TYPE];
    check(
        "traces_service_graph_request_total",
        &graph,
        &["weir{client=web,server=api,connection_type=} 100"],
    );
    check(
        "traces_service_graph_request_failed_total",
        &graph[..2],
        &["weir{client=web,server=api} 0"],
    );
    check(
        "traces_service_graph_request_server_seconds",
        &graph[..2],
        &["weir{client=web,server=api} 100"],
    );
    check("traces_service_graph_request_client_seconds", &graph, &[]);
    let http = [
        attr::HTTP_STATUS,
        attr::ERROR_TYPE,
        attr::SERVICE_PEER_NAME,
        attr::MEASURED_AT,
    ];
    check(
        "http.server.request.duration",
        &http,
        &[
            "api{http.response.status_code=200,service.peer.name=web} 90",
            "api{http.response.status_code=404,service.peer.name=web} 10",
        ],
    );
    check(
        "http.client.request.duration",
        &http,
        &[
            "web{http.response.status_code=200,weir.measured_at=server,service.peer.name=api} 90",
            "web{http.response.status_code=404,error.type=404,weir.measured_at=server,service.peer.name=api} 10",
        ],
    );
    check(
        "weir.server.queue.duration",
        &[attr::PROTOCOL, attr::SERVER_PORT, attr::OPERATION],
        &["api{weir.protocol=http,server.port=8080,weir.operation=GET /users/*} 100"],
    );
    let spans = [
        attr::SERVICE,
        attr::SPAN_NAME,
        attr::SPAN_KIND,
        attr::STATUS_CODE,
    ];
    check(
        "traces_spanmetrics_calls_total",
        &spans,
        &[
            "weir{service=api,span_name=GET /users/*,span_kind=SPAN_KIND_SERVER,status_code=STATUS_CODE_UNSET} 100",
            "weir{service=web,span_name=GET /users/*,span_kind=SPAN_KIND_CLIENT,status_code=STATUS_CODE_ERROR} 10",
            "weir{service=web,span_name=GET /users/*,span_kind=SPAN_KIND_CLIENT,status_code=STATUS_CODE_UNSET} 90",
        ],
    );
}

#[test]
fn strangers_are_the_user_and_remote_servers_are_timed_by_the_client() {
    let inbound = with_calls(edge(("203.0.113.9", false), ("web", true)), "GET /", 503, 4);
    let outbound = with_calls(edge(("web", true), ("db.example", false)), "GET /", 0, 6);
    let measures = measure(&[inbound, outbound]);
    let labels = [attr::CLIENT, attr::SERVER, attr::CONNECTION_TYPE];
    let check = |name: &str, expected: &[&str]| {
        assert_eq!(lines(&measures, name, &labels), expected, "{name}");
    };
    check(
        "traces_service_graph_request_failed_total",
        &[
            "weir{client=user,server=web,connection_type=virtual_node} 4",
            "weir{client=web,server=db.example,connection_type=virtual_node} 6",
        ],
    );
    check(
        "traces_service_graph_request_client_seconds",
        &["weir{client=web,server=db.example,connection_type=virtual_node} 6"],
    );
    assert_eq!(
        lines(
            &measures,
            "http.client.request.duration",
            &[attr::ERROR_TYPE, attr::HTTP_STATUS]
        ),
        ["web{error.type=unanswered} 6"]
    );
}

#[test]
fn edges_that_look_alike_add_up() {
    let mut one = with_calls(edge(("10.0.0.8", false), ("web", true)), "GET /", 200, 30);
    one.lost = [
        ("segment_gap".to_owned(), 20),
        ("ring_full".to_owned(), 500),
    ]
    .into();
    one.first_seen_ns = 700;
    one.bytes_out = 11;
    one.tcp.rtt = histogram(3, 40_000);
    one.tcp.open = 2;
    let mut two = with_calls(edge(("10.0.0.9", false), ("web", true)), "GET /", 200, 30);
    two.tcp.retransmits = 5;
    two.tcp.open = 1;
    let measures = measure(&[two, one]);
    let check = |name: &str, expected: &[&str]| {
        assert_eq!(
            lines(&measures, name, &[attr::CLIENT, attr::REASON]),
            expected,
            "{name}"
        );
    };
    check("weir.edge.calls", &["weir{client=user} 60"]);
    check("weir.edge.completeness", &["weir{client=user} 0.75"]);
    check(
        "weir.edge.io",
        &["weir{client=user} 0", "weir{client=user} 11"],
    );
    check(
        "weir.edge.lost",
        &[
            "weir{client=user,weir.reason=ring_full} 500",
            "weir{client=user,weir.reason=segment_gap} 20",
        ],
    );
    check("weir.tcp.connections.open", &["weir{client=user} 3"]);
    check("weir.tcp.retransmits", &["weir{client=user} 5"]);
    check("weir.tcp.rtt", &["weir{client=user} 3"]);
    check("weir.tcp.connect.duration", &[]);
    let calls = &measures.families["weir.edge.calls"].points;
    assert!(calls.values().all(|point| point.start_unix_ns == 700));
}

#[test]
fn addresses_methods_and_span_names() {
    let address = |text: &str, host: &str, port: Option<u16>| {
        assert_eq!(split_address(text), (host, port));
    };
    address("10.0.0.2:80", "10.0.0.2", Some(80));
    address("10.0.0.2", "10.0.0.2", None);
    address("[2001:db8::1]:443", "2001:db8::1", Some(443));
    address("2001:db8::1", "2001:db8::1", None);
    let name = |method: Option<&str>, operation: &str, expected: &str| {
        assert_eq!(span_name(method, operation), expected);
    };
    name(Some("GET"), "GET /users/*", "GET /users/*");
    name(Some("GET"), "/users/*", "GET /users/*");
    name(Some("POST"), "_OTHER", "POST");
    name(Some("GET"), "GET _UNNAMED", "GET");
    name(Some("BREW"), "_OTHER", "HTTP");
    name(None, "", "HTTP");
}
