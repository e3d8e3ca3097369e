//! Every form of the graph, for the shapes that graphs have.

use std::collections::BTreeMap;

use super::{Graph, Heat, dot, mermaid, svg, text};
use crate::{
    observe::model::{Answer, EdgeItem, ServiceItem, WorkloadKind},
    view::fixture::{NOW, edge, endpoint, service},
};

fn graph(edges: Vec<EdgeItem>, services: &[ServiceItem]) -> Graph {
    let answer = Answer {
        v: 1,
        completeness: 0.992,
        lost: BTreeMap::from([("ring_full".into(), 10), ("segment_gap".into(), 2)]),
        items: edges,
    };
    Graph::build(&answer, services, NOW)
}

/// A web shop: five services, a database, a cron job, a cycle, a loop and an island.
fn shop() -> Graph {
    let mut db = edge("shop/orders", "db", 240.0, 0);
    (db.protocol, db.port) = ("tcp".into(), 5432);
    let mut tls = edge("shop/checkout", "payments.example.com", 3.2, 80);
    (tls.protocol, tls.port, tls.tls) = ("tls".into(), 443, true);
    tls.server.kind = WorkloadKind::Remote;
    let mut cron = edge("cron", "shop/orders", 0.0, 0);
    cron.client.kind = WorkloadKind::Process;
    let mut events = edge("shop/orders", "shop/checkout", 1.5, 12);
    events.port = 9000;
    let edges = vec![
        edge("web", "shop/catalog", 1200.0, 0),
        edge("web", "shop/checkout", 75.0, 4),
        edge("shop/checkout", "shop/orders", 60.0, 20),
        edge("shop/catalog", "shop/search", 900.0, 0),
        edge("shop/search", "shop/search", 2.0, 0),
        db,
        tls,
        cron,
        events,
    ];
    graph(
        edges,
        &[service("web", 1275.0, 4), service("backup", 0.0, 0)],
    )
}

/// Twenty-five services in the manner of real systems: gateways, a middle, stores.
fn city() -> Graph {
    let names: Vec<String> = (0..25)
        .map(|n| match n {
            0 | 1 => format!("gateway-{n}"),
            2..=17 => format!("team-{}/service-{n}", n % 4),
            18..=21 => format!("store-{n}"),
            _ => format!("batch-job-{n}"),
        })
        .collect();
    let mut state = 3u64;
    let mut next = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    let mut edges = Vec::new();
    for n in 2..18usize {
        let from = if n < 6 {
            n % 2
        } else {
            2 + next(if n < 12 { 4 } else { 10 }) as usize
        };
        edges.push(edge(
            &names[from],
            &names[n],
            next(900) as f64,
            next(9) * next(9),
        ));
        if next(3) == 0 {
            let to = 6 + next(12) as usize;
            edges.push(edge(&names[n], &names[to], next(20) as f64 / 4.0, 0));
        }
        let mut store = edge(&names[n], &names[18 + n % 4], next(4000) as f64, 0);
        (store.protocol, store.port) = ("tcp".into(), 5432 + n as u16 % 4);
        edges.push(store);
    }
    for n in 22..24 {
        edges.push(edge(&names[n], &names[18], 0.0, 0));
    }
    graph(edges, &[service(&names[24], 0.0, 0)])
}

fn long_names() -> Graph {
    let long =
        "the-service-with-the-longest-name-that-anybody-ever-thought-of.default.svc.cluster.local";
    graph(
        vec![
            edge("a <b> & \"c\"\\ ]]> \u{1b}[31m", long, 12.0, 700),
            edge(long, "サービス東京都渋谷区/データベース", 0.2, 1),
        ],
        &[],
    )
}

fn shapes() -> Vec<(&'static str, Graph)> {
    vec![
        ("empty", graph(Vec::new(), &[])),
        (
            "no-edges",
            graph(
                Vec::new(),
                &[service("web", 0.0, 0), service("shop/api", 0.0, 0)],
            ),
        ),
        ("pair", graph(vec![edge("web", "shop/api", 12.3, 3)], &[])),
        ("shop", shop()),
        ("city", city()),
        (
            "cycle",
            graph(
                vec![
                    edge("a", "b", 5.0, 0),
                    edge("b", "c", 5.0, 80),
                    edge("c", "a", 5.0, 0),
                    edge("b", "a", 1.0, 0),
                    edge("a", "a", 2.0, 0),
                ],
                &[],
            ),
        ),
        ("long-names", long_names()),
    ]
}

/// Writes every drawing into the folder that WEIR_DRAWINGS names, to be looked at.
#[test]
fn every_shape_is_drawn_well_formed() {
    let folder = std::env::var_os("WEIR_DRAWINGS").map(std::path::PathBuf::from);
    for (name, graph) in shapes() {
        let drawings = [
            ("svg", svg::draw(&graph)),
            ("dot", dot::draw(&graph)),
            ("mmd", mermaid::draw(&graph)),
            ("txt", text::draw(&graph)),
        ];
        well_formed(name, &drawings[0].1);
        for (end, drawing) in &drawings {
            assert!(
                !drawing.contains('\u{1b}'),
                "{name}.{end}: an escape sequence got through"
            );
            if let Some(folder) = &folder {
                std::fs::write(folder.join(format!("{name}.{end}")), drawing).unwrap();
            }
        }
    }
}

/// Tags are closed in order and no bare markup is in the text.
fn well_formed(name: &str, svg: &str) {
    let mut open = Vec::new();
    for piece in svg.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').expect("a tag ends");
        assert!(
            !tag.contains("NaN") && !tag.contains("inf"),
            "{name}: {tag}"
        );
        let word = tag
            .split(|c: char| !c.is_alphanumeric())
            .next()
            .unwrap_or("");
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "{name}");
        } else if !tag.ends_with('/') {
            open.push(word);
        }
        if word != "style" {
            let entities = text.matches('&').count();
            let known = ["&lt;", "&gt;", "&amp;", "&quot;"];
            let escaped: usize = known.iter().map(|e| text.matches(e).count()).sum();
            assert_eq!(entities, escaped, "{name}: {text}");
        }
    }
    assert!(open.is_empty(), "{name}: {open:?}");
}

#[test]
fn as_text() {
    let drawing = text::draw(&shop());
    let expected = "\
cron  process
└─▶ shop/orders           http :8080  0/s  p95 4.3ms
web  unit, serves 1275/s
├─▶ shop/catalog          http :8080  1200/s  p95 4.3ms
└─▶ shop/checkout         http :8080  75.0/s  p95 4.3ms  0.4 % errors
shop/catalog  unit, serves 1200/s
└─▶ shop/search           http :8080  900/s  p95 4.3ms
shop/checkout  unit, serves 76.5/s
├─▶ shop/orders           http :8080  60.0/s  p95 4.3ms  2.0 % errors
└─▶ payments.example.com  tls :443    3.2/s  p95 4.3ms  8.0 % errors
shop/orders  unit, serves 60.0/s
├─▶ db                    tcp :5432   240/s  p95 4.3ms
└─▶ shop/checkout         http :9000  1.5/s  p95 4.3ms  1.2 % errors
shop/search  unit, serves 902/s
└─▶ shop/search           http :8080  2.0/s  p95 4.3ms
without calls: backup
";
    assert!(drawing == expected, "{drawing}");
    assert_eq!(text::draw(&graph(Vec::new(), &[])), "");
}

#[test]
fn as_dot() {
    let drawing = dot::draw(&graph(vec![edge("web", "shop/api", 12.34, 3)], &[]));
    for part in [
        "digraph weir {",
        "subgraph cluster_1 {\n  label=\"shop\"",
        "n0 -> n1 [label=\"http :8080\\n12.3/s  p95 4.3ms\\n0.3 % errors\", color=\"#b59a1a\"",
        "completeness 99.2 %: 12 lost (ring_full 10, segment_gap 2)",
        "legend [",
    ] {
        assert!(drawing.contains(part), "{part}\n{drawing}");
    }
    let hostile = dot::draw(&long_names());
    assert!(
        hostile.contains(r#"a <b> & \"c\"\\ ]]> \\u{1b}[31m"#),
        "{hostile}"
    );
}

#[test]
fn as_mermaid() {
    let drawing = mermaid::draw(&graph(vec![edge("web", "shop/api", 12.34, 3)], &[]));
    for part in [
        "flowchart LR\n",
        "  subgraph s1[\"shop\"]\n  n1(\"api<br/>unit 12.3/s\"):::low\n  end\n",
        "n0 -->|\"http :8080<br/>12.3/s  p95 4.3ms  0.3 % errors\"| n1",
        "linkStyle 0 stroke:#b59a1a",
    ] {
        assert!(drawing.contains(part), "{part}\n{drawing}");
    }
    assert!(mermaid::draw(&long_names()).contains("a #60;b#62; #38; #34;c#34;"));
}

#[test]
fn nodes_add_up_and_services_know_better() {
    let graph = shop();
    let node = |name: &str| graph.nodes.iter().find(|node| node.name() == name).unwrap();
    assert_eq!(node("shop/checkout").calls, 2000);
    assert_eq!(node("shop/checkout").ports, [8080, 9000]);
    assert_eq!(node("shop/checkout").heat(), Heat::Low);
    assert_eq!(node("web").rate, 1275.0);
    assert_eq!(graph.nodes.len(), 9);
    assert_eq!(graph.links.len(), 9);
}

#[test]
fn remote_callers_with_the_same_neighbours_are_one_node() {
    let mut edges: Vec<EdgeItem> = (0..40u8)
        .map(|n| {
            let mut edge = edge("x", "web", 1.0, 0);
            edge.client = endpoint(&format!("203.0.113.{n}"), 0);
            edge.client.kind = WorkloadKind::Remote;
            edge
        })
        .collect();
    edges.push(edge("web", "api", 40.0, 0));
    let graph = graph(edges, &[]);
    let names: Vec<String> = graph.nodes.iter().map(super::Node::name).collect();
    assert_eq!(names, ["40 remote peers", "api", "web"]);
    assert_eq!(graph.nodes[0].folded.len(), 40);
    assert_eq!(graph.links.len(), 2);
    assert_eq!(graph.links[0].counts(), (40_000, 0));
}
