//! Edge states → the items of `weir edges`, `services` and `tcp`, with what loss may hide.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    edges::{add_losses, completeness},
    exchange::is_error,
    model::{
        Answer, EdgeItem, EdgeState, Endpoint, Filter, Histogram, QueueTimes, ServiceItem, TcpItem,
        WorkloadKind,
    },
    protocol::shown_status,
};

/// Version of the JSON shape.
pub const SHAPE: u32 = 1;

/// An answer over items that stand on these many exchanges and losses.
pub fn answer<T>(items: Vec<T>, seen: u64, lost: BTreeMap<String, u64>) -> Answer<T> {
    Answer {
        v: SHAPE,
        completeness: completeness(seen, &lost),
        lost,
        items,
    }
}

/// Calls, failures and durations of the operations that a filter's status selects.
struct Selected {
    calls: u64,
    errors: u64,
    durations: Histogram,
    queue: QueueTimes,
}

fn select(edge: &EdgeState, filter: &Filter) -> Selected {
    let mut selected = Selected {
        calls: 0,
        errors: 0,
        durations: Histogram::default(),
        queue: QueueTimes::default(),
    };
    for (id, counts) in &edge.operations {
        if filter.matches_status(shown_status(id.status)) {
            selected.calls += counts.calls;
            selected.errors += u64::from(is_error(id.status)) * counts.calls;
            selected.durations.merge(&counts.duration);
            selected.queue.add(&counts.queue);
        }
    }
    selected
}

/// One edge as `weir edges` prints it; `None` if a status was asked for that it never gave.
pub fn edge_item(edge: &EdgeState, filter: &Filter) -> Option<EdgeItem> {
    let selected = select(edge, filter);
    if filter.status.is_some() && selected.calls == 0 {
        return None;
    }
    Some(EdgeItem {
        client: edge.client.clone(),
        server: edge.server.clone(),
        protocol: edge.protocol.clone(),
        port: edge.port,
        destination: None,
        calls: selected.calls,
        errors: selected.errors,
        rate: edge.rate,
        p50_ns: selected.durations.percentile(0.5),
        p95_ns: selected.durations.percentile(0.95),
        p99_ns: selected.durations.percentile(0.99),
        queue_mean_ns: selected.queue.mean_ns(),
        bytes_out: edge.bytes_out,
        bytes_in: edge.bytes_in,
        connections: edge.tcp.open,
        tls: edge.tls,
        completeness: completeness(edge.calls(), &edge.lost),
        last_seen: edge.last_seen_ns as f64 / 1e9,
    })
}

/// The matching edges, busiest first. `unbound` are losses that belong to no edge.
pub fn edges<'a>(
    states: impl Iterator<Item = &'a EdgeState>,
    filter: &Filter,
    now: f64,
    unbound: BTreeMap<String, u64>,
) -> Answer<EdgeItem> {
    let mut items = Vec::new();
    let (mut seen, mut lost) = (0, unbound);
    for edge in states.filter(|edge| filter.matches_edge(edge, now)) {
        if let Some(item) = edge_item(edge, filter) {
            seen += edge.calls();
            add_losses(&mut lost, &edge.lost);
            items.push(item);
        }
    }
    items.sort_by(|a, b| {
        (b.calls, b.bytes_in + b.bytes_out)
            .cmp(&(a.calls, a.bytes_in + a.bytes_out))
            .then_with(|| (&a.client, &a.server, a.port).cmp(&(&b.client, &b.server, b.port)))
    });
    answer(items, seen, lost)
}

/// TCP facts of the matching edges, most segments sent again first.
pub fn tcp<'a>(
    states: impl Iterator<Item = &'a EdgeState>,
    filter: &Filter,
    now: f64,
    unbound: BTreeMap<String, u64>,
) -> Answer<TcpItem> {
    let mut items = Vec::new();
    let (mut seen, mut lost) = (0, unbound);
    for edge in states.filter(|edge| filter.matches_edge(edge, now)) {
        seen += edge.calls();
        add_losses(&mut lost, &edge.lost);
        items.push(tcp_item(edge));
    }
    items.sort_by(|a, b| {
        b.retransmits
            .cmp(&a.retransmits)
            .then_with(|| b.opened.cmp(&a.opened))
            .then_with(|| (&a.client, &a.server, a.port).cmp(&(&b.client, &b.server, b.port)))
    });
    answer(items, seen, lost)
}

fn tcp_item(edge: &EdgeState) -> TcpItem {
    let tcp = &edge.tcp;
    TcpItem {
        client: edge.client.clone(),
        server: edge.server.clone(),
        port: edge.port,
        opened: tcp.opened,
        open: tcp.open,
        connect_failures: tcp.connect_failures,
        resets: tcp.resets,
        retransmits: tcp.retransmits,
        retransmit_ratio: if tcp.segments == 0 {
            0.0
        } else {
            tcp.retransmits as f64 / tcp.segments as f64
        },
        timeouts: tcp.timeouts,
        rtt_p50_ns: tcp.rtt.percentile(0.5),
        rtt_p95_ns: tcp.rtt.percentile(0.95),
        connect_p50_ns: tcp.connect.percentile(0.5),
        bytes_out: edge.bytes_out,
        bytes_in: edge.bytes_in,
    }
}

/// What a service has in all the edges that it stands on.
#[derive(Default)]
struct Gathered {
    instances: BTreeSet<String>,
    ports: BTreeSet<u16>,
    calls: u64,
    errors: u64,
    rate: f64,
    durations: Histogram,
    callers: BTreeSet<ServiceKey>,
    callees: BTreeSet<ServiceKey>,
    last_seen: f64,
}

type ServiceKey = (WorkloadKind, Option<String>, String);

fn service_key(end: &Endpoint) -> ServiceKey {
    (end.kind, end.namespace.clone(), end.service.clone())
}

/// Workloads on the matching edges, busiest first: as servers with their calls, as clients with
/// whom they call.
pub fn services<'a>(
    states: impl Iterator<Item = &'a EdgeState>,
    filter: &Filter,
    now: f64,
    unbound: BTreeMap<String, u64>,
) -> Answer<ServiceItem> {
    let mut gathered: BTreeMap<ServiceKey, Gathered> = BTreeMap::new();
    let (mut seen, mut lost) = (0, unbound);
    for edge in states.filter(|edge| filter.matches_edge(edge, now)) {
        seen += edge.calls();
        add_losses(&mut lost, &edge.lost);
        gather(&mut gathered, edge, filter);
    }
    let mut items: Vec<ServiceItem> = gathered
        .into_iter()
        .filter(|((_, _, service), _)| filter.service.as_ref().is_none_or(|s| s == service))
        .map(service_item)
        .collect();
    items.sort_by(|a, b| {
        b.calls
            .cmp(&a.calls)
            .then_with(|| (a.kind, &a.service).cmp(&(b.kind, &b.service)))
    });
    answer(items, seen, lost)
}

fn gather(gathered: &mut BTreeMap<ServiceKey, Gathered>, edge: &EdgeState, filter: &Filter) {
    let (client, server) = (service_key(&edge.client), service_key(&edge.server));
    let last_seen = edge.last_seen_ns as f64 / 1e9;
    let selected = select(edge, filter);
    let callee = gathered.entry(server.clone()).or_default();
    callee.meet(&edge.server, last_seen);
    callee.ports.insert(edge.port);
    callee.calls += selected.calls;
    callee.errors += selected.errors;
    callee.rate += edge.rate;
    callee.durations.merge(&selected.durations);
    callee.callers.insert(client.clone());
    let caller = gathered.entry(client).or_default();
    caller.meet(&edge.client, last_seen);
    caller.callees.insert(server);
}

impl Gathered {
    fn meet(&mut self, end: &Endpoint, last_seen: f64) {
        let instance = end.instance.clone().unwrap_or_else(|| end.service.clone());
        self.instances.insert(instance);
        self.last_seen = self.last_seen.max(last_seen);
    }
}

fn service_item(((kind, namespace, service), gathered): (ServiceKey, Gathered)) -> ServiceItem {
    ServiceItem {
        service,
        namespace,
        kind,
        instances: gathered.instances.len() as u64,
        ports: gathered.ports.into_iter().collect(),
        calls: gathered.calls,
        errors: gathered.errors,
        rate: gathered.rate,
        p50_ns: gathered.durations.percentile(0.5),
        p95_ns: gathered.durations.percentile(0.95),
        p99_ns: gathered.durations.percentile(0.99),
        callers: gathered.callers.len() as u64,
        callees: gathered.callees.len() as u64,
        last_seen: gathered.last_seen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::model::{OperationCounts, OperationId, RouteSource, TcpCounts};

    fn end(service: &str) -> Endpoint {
        Endpoint {
            service: service.into(),
            namespace: None,
            kind: WorkloadKind::Unit,
            instance: None,
            addr: String::new(),
        }
    }

    fn edge(client: &str, server: &str, statuses: &[(u16, u64)]) -> EdgeState {
        let operations = statuses
            .iter()
            .map(|(status, calls)| {
                let id = OperationId {
                    operation: "GET /".into(),
                    method: Some("GET".into()),
                    status: *status,
                    route_source: Some(RouteSource::Heuristic),
                };
                let mut counts = OperationCounts {
                    calls: *calls,
                    ..OperationCounts::default()
                };
                (0..*calls).for_each(|_| counts.duration.record(1_000_000));
                (id, counts)
            })
            .collect();
        EdgeState {
            client: end(client),
            server: end(server),
            client_workload: None,
            server_workload: None,
            protocol: "http".into(),
            port: 80,
            counted_at_server: true,
            local_pair: true,
            operations,
            tcp: TcpCounts {
                segments: 100,
                retransmits: 5,
                ..TcpCounts::default()
            },
            bytes_out: 1,
            bytes_in: 2,
            tls: false,
            lost: BTreeMap::new(),
            first_seen_ns: 0,
            last_seen_ns: 1_000_000_000,
            rate: 1.0,
        }
    }

    #[test]
    fn a_status_selects_operations_and_edges() {
        let states = [
            edge("a", "b", &[(200, 8), (503, 2)]),
            edge("a", "c", &[(200, 9)]),
        ];
        for (status, expected) in [
            (None, vec![("b", 10, 2), ("c", 9, 0)]),
            (Some("5xx"), vec![("b", 2, 2)]),
            (Some("200"), vec![("c", 9, 0), ("b", 8, 0)]),
            (Some("404"), vec![]),
        ] {
            let filter = Filter {
                status: status.map(Into::into),
                ..Filter::default()
            };
            let answer = edges(states.iter(), &filter, 1.0, BTreeMap::new());
            let got: Vec<_> = answer
                .items
                .iter()
                .map(|item| (item.server.service.as_str(), item.calls, item.errors))
                .collect();
            assert_eq!(got, expected);
            assert!((answer.completeness - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn losses_of_edges_and_of_none_lower_the_completeness() {
        let mut state = edge("a", "b", &[(200, 80)]);
        state.lost.insert("segment_gap".into(), 10);
        let unbound = BTreeMap::from([("unreadable".to_owned(), 10)]);
        let answer = edges([state].iter(), &Filter::default(), 1.0, unbound);
        assert!((answer.completeness - 0.8).abs() < 1e-9);
        assert!((answer.items[0].completeness - 80.0 / 90.0).abs() < 1e-9);
        assert_eq!(answer.lost.len(), 2);
    }

    #[test]
    fn a_service_is_what_it_serves_and_whom_it_calls() {
        let states = [
            edge("a", "b", &[(200, 8), (500, 2)]),
            edge("c", "b", &[(200, 5)]),
            edge("b", "d", &[(200, 1)]),
        ];
        let answer = services(states.iter(), &Filter::default(), 1.0, BTreeMap::new());
        let b = &answer.items[0];
        assert_eq!((b.service.as_str(), b.calls, b.errors), ("b", 15, 2));
        assert_eq!(
            (b.callers, b.callees, b.ports.as_slice()),
            (2, 1, &[80][..])
        );
        assert_eq!(answer.items.len(), 4);
        let filter = Filter {
            service: Some("a".into()),
            ..Filter::default()
        };
        let answer = services(states.iter(), &filter, 1.0, BTreeMap::new());
        assert_eq!(answer.items.len(), 1);
        assert_eq!((answer.items[0].calls, answer.items[0].callees), (0, 1));
    }

    #[test]
    fn tcp_facts_have_a_ratio() {
        let answer = tcp(
            [edge("a", "b", &[])].iter(),
            &Filter::default(),
            1.0,
            BTreeMap::new(),
        );
        assert!((answer.items[0].retransmit_ratio - 0.05).abs() < 1e-9);
        assert_eq!(answer.items[0].rtt_p50_ns, None);
    }
}
