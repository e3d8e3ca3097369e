//! Items of fixed values for the tests of the views.

use std::collections::BTreeMap;

use crate::{
    control::api::{PolicyItem, Status},
    observe::model::{
        EdgeItem, Endpoint, FlowItem, ServiceItem, TcpItem, VerdictItem, WorkloadKind,
    },
};

/// Unix time of printing.
pub const NOW: f64 = 1_700_000_060.0;

pub fn endpoint(name: &str, port: u16) -> Endpoint {
    let (namespace, service) = match name.split_once('/') {
        Some((namespace, service)) => (Some(namespace.to_owned()), service),
        None => (None, name),
    };
    Endpoint {
        service: service.into(),
        namespace,
        kind: WorkloadKind::Unit,
        instance: Some(format!("{service}.service")),
        addr: format!("10.0.0.2:{port}"),
    }
}

pub fn edge(client: &str, server: &str, rate: f64, errors: u64) -> EdgeItem {
    EdgeItem {
        client: endpoint(client, 0),
        server: endpoint(server, 8080),
        protocol: "http".into(),
        port: 8080,
        destination: None,
        calls: 1000,
        errors,
        rate,
        p50_ns: Some(1_200_000),
        p95_ns: Some(4_300_000),
        p99_ns: None,
        queue_mean_ns: Some(40_000),
        bytes_out: 3_565_158,
        bytes_in: 900,
        connections: 3,
        tls: false,
        completeness: 0.992,
        last_seen: NOW - 5.0,
    }
}

pub fn service(name: &str, rate: f64, errors: u64) -> ServiceItem {
    let endpoint = endpoint(name, 0);
    ServiceItem {
        service: endpoint.service,
        namespace: endpoint.namespace,
        kind: WorkloadKind::Unit,
        instances: 2,
        ports: vec![8080, 9090],
        calls: 1000,
        errors,
        rate,
        p50_ns: Some(1_200_000),
        p95_ns: Some(4_300_000),
        p99_ns: Some(9_000_000),
        callers: 1,
        callees: 2,
        last_seen: NOW - 5.0,
    }
}

pub fn flow() -> FlowItem {
    FlowItem {
        ts: NOW - 1.0,
        event: "report".into(),
        client: endpoint("web", 0),
        server: endpoint("shop/api", 8080),
        protocol: "http".into(),
        client_addr: "10.0.0.1:40312".into(),
        server_addr: "10.0.0.2:8080".into(),
        age_seconds: 130.0,
        bytes_out: 120,
        bytes_in: 5_000_000,
        exchanges: 42,
        srtt_ns: 85_000,
        rtt_min_ns: 40_000,
        connect_ns: None,
        retransmits: 2,
        reset: false,
        tls: true,
        adopted: false,
    }
}

pub fn tcp() -> TcpItem {
    TcpItem {
        client: endpoint("web", 0),
        server: endpoint("shop/api", 8080),
        port: 8080,
        opened: 12,
        open: 3,
        connect_failures: 0,
        resets: 1,
        retransmits: 4,
        retransmit_ratio: 0.012,
        timeouts: 0,
        rtt_p50_ns: Some(85_000),
        rtt_p95_ns: Some(300_000),
        connect_p50_ns: Some(91_000),
        bytes_out: 1024,
        bytes_in: 0,
    }
}

pub fn verdict(verdict: &str) -> VerdictItem {
    VerdictItem {
        ts: NOW - 1.5,
        verdict: verdict.into(),
        policy: "no-egress".into(),
        mode: "enforce".into(),
        hook: "connect".into(),
        reason: "rule".into(),
        client: endpoint("web", 0),
        server: endpoint("shop/api", 8080),
        port: 8080,
        transport: "tcp".into(),
    }
}

pub fn policy() -> PolicyItem {
    PolicyItem {
        name: "no-egress".into(),
        kind: "TrafficPolicy".into(),
        action: "deny".into(),
        from: "service web".into(),
        to: "cidr 10.0.0.0/8".into(),
        mode: "audit".into(),
        hooks: vec!["connect".into(), "ingress".into()],
        allowed: 0,
        denied: 0,
        audited: 17,
        source: Some("/etc/weir/policies/a.yaml".into()),
    }
}

pub fn status() -> Status {
    Status {
        version: "0.1.0".into(),
        pid: 4711,
        uptime_seconds: 3725.0,
        kernel: "6.18.44".into(),
        exchanges: 123_456,
        rate: 71_500.0,
        edges: 12,
        connections: 64,
        policies: 2,
        completeness: 0.9999,
        lost: BTreeMap::from([("ring_full".into(), 10), ("malformed".into(), 2)]),
        map_fill: BTreeMap::from([("EDGES".into(), (12, 16_384)), ("OPS".into(), (60, 64))]),
        missing: vec!["tcp_sendmsg_locked (6.16): no sender plaintext".into()],
        hooks: vec!["sockops".into(), "cgroup_skb/ingress".into()],
        exporters: BTreeMap::from([("prometheus".into(), "ok".into())]),
    }
}
