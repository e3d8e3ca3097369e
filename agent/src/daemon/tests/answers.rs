//! From records and snapshots to answers.

use std::sync::Arc;

use bytemuck::{Zeroable, bytes_of};
use weir_common::{
    event::{
        ConnectionRecord, Header, VerdictRecord, connection_event, connection_flag, kind, why,
    },
    flow::{Owner, role, v4_mapped},
    policy::{NO_RULE, verdict},
};

use crate::{
    control::api::{Answers, ExplainQuery, PolicyFile},
    daemon::{Settings, time},
    observe::model::Filter,
};

use super::{
    fakes::{FakeKernel, daemon, daemon_with},
    records::{exchange, own_name, snapshot},
};

#[test]
fn snapshots_and_records_become_edges_and_exchanges() {
    let (daemon, kernel) = daemon();
    daemon.ingest(bytes_of(&exchange(0, why::NEW_OPERATION)));
    *kernel.next.lock().unwrap() = snapshot(10, 2);
    daemon.tick_snapshot();
    let own = own_name(&daemon);
    let edges = daemon.edges(&Filter::default());
    assert_eq!(edges.items.len(), 1);
    let edge = &edges.items[0];
    assert_eq!(
        (edge.client.service.as_str(), edge.server.service.as_str()),
        ("10.0.0.9", &*own)
    );
    assert_eq!((edge.calls, edge.errors, edge.connections), (12, 2, 1));
    assert!(edge.p50_ns.is_some());
    let states = daemon.edge_states();
    assert!(
        states[0]
            .operations
            .keys()
            .all(|id| id.operation == "GET /users/*")
    );
    let exchanges = daemon.exchanges(&Filter::default());
    assert_eq!(exchanges.items[0].operation, "GET /users/*");
    assert_eq!(exchanges.items[0].path.as_deref(), Some("/users/7"));
    assert_eq!(exchanges.items[0].server.service, own);
    let services = daemon.services(&Filter {
        to: Some(own),
        ..Filter::default()
    });
    assert_eq!(services.items[0].calls, 12);
    // The process that the kernel knew by number only is named there too.
    assert!(
        kernel
            .processes
            .lock()
            .unwrap()
            .contains_key(&std::process::id())
    );
}

#[test]
fn status_tells_how_it_is() {
    let (daemon, kernel) = daemon();
    *kernel.next.lock().unwrap() = snapshot(10, 0);
    daemon.ingest(bytes_of(&exchange(0, why::NEW_OPERATION)));
    daemon.tick_snapshot();
    daemon.ingest(b"nonsense");
    daemon.set_exporters(|| [("otlp".to_owned(), "ok".to_owned())].into());
    let status = daemon.status();
    assert_eq!(
        (status.exchanges, status.edges, status.connections),
        (10, 1, 1)
    );
    assert_eq!(status.policies, 1);
    assert_eq!(status.lost.get("unreadable_records"), Some(&1));
    assert_eq!(status.map_fill.get("EDGES"), Some(&(1, 16_384)));
    assert!(status.map_fill.contains_key("agent_flows"));
    assert_eq!(status.missing.len(), 1);
    assert_eq!(status.hooks, ["sockops"]);
    assert_eq!(status.exporters.get("otlp").map(String::as_str), Some("ok"));
    assert!((status.completeness - 1.0).abs() < f64::EPSILON);
    assert!(!status.kernel.is_empty() && status.pid == std::process::id());
}

#[test]
fn a_kernel_that_cannot_be_read_is_counted_and_the_graph_stays() {
    let (daemon, kernel) = daemon();
    *kernel.next.lock().unwrap() = snapshot(10, 0);
    daemon.ingest(bytes_of(&exchange(0, why::NEW_OPERATION)));
    daemon.tick_snapshot();
    *kernel.fails.lock().unwrap() = true;
    daemon.tick_snapshot();
    daemon.tick_snapshot();
    assert_eq!(daemon.status().lost.get("snapshot_failures"), Some(&2));
    assert_eq!(daemon.edges(&Filter::default()).items[0].calls, 10);
}

#[test]
fn a_tap_opens_the_lane_and_others_keep_their_share() {
    let settings = Settings {
        detail_per_second: 10,
        ..Settings::default()
    };
    let (daemon, kernel) = daemon_with(settings);
    daemon.ingest(bytes_of(&exchange(0, why::NEW_OPERATION)));
    for (second, calls) in [(1, 1_000), (2, 2_000), (3, 3_000)] {
        let mut snapshot = snapshot(calls, 0);
        snapshot.edges[0].1.first_seen_ns = 1;
        snapshot.monotonic_ns = time::monotonic_ns() + second * 1_000_000_000;
        *kernel.next.lock().unwrap() = snapshot;
        daemon.tick_snapshot();
    }
    let control = |kernel: &FakeKernel| kernel.control.lock().unwrap().expect("steered");
    assert!(control(&kernel).skip_threshold > u32::MAX / 2, "sampled");
    assert!(control(&kernel).slow_ns > 0);
    assert_eq!(
        (
            control(&kernel).policy_active,
            control(&kernel).bandwidth_active
        ),
        (1, 0)
    );
    let mut details = daemon.follow_details();
    let closed = control(&kernel);
    let mut tap = daemon.tap();
    let open = control(&kernel);
    assert_eq!((open.skip_threshold, open.records_per_epoch), (0, 0));
    for offset in 0..2_000 {
        daemon.ingest(bytes_of(&exchange(offset, why::SAMPLED)));
    }
    daemon.ingest(bytes_of(&exchange(9_999, why::SAMPLED | why::ERROR)));
    let drain = |receiver: &mut tokio::sync::broadcast::Receiver<_>| {
        std::iter::from_fn(|| receiver.try_recv().ok()).collect::<Vec<Arc<_>>>()
    };
    assert_eq!(drain(&mut tap).len(), 2_001);
    let thinned: Vec<Arc<crate::observe::model::Exchange>> = drain(&mut details);
    assert!(
        (4..60).contains(&thinned.len()),
        "{} of 2,000",
        thinned.len()
    );
    let (last, sampled) = thinned.split_last().expect("the error comes always");
    assert!((last.sample_probability - 1.0).abs() < f64::EPSILON);
    assert!(
        sampled
            .iter()
            .all(|e| (e.sample_probability - 0.0075).abs() < 0.001)
    );
    let other = daemon.tap();
    for (tap, expected) in [(tap, open), (other, closed)] {
        drop(tap);
        daemon.tap_ended();
        assert_eq!(control(&kernel), expected, "while one taps, and at once");
    }
}

#[test]
fn connections_and_verdicts_are_listed_and_followed() {
    let (daemon, _) = daemon();
    let (mut flows, mut verdicts) = (daemon.follow_flows(), daemon.follow_verdicts());
    let now = time::monotonic_ns();
    let connection = ConnectionRecord {
        header: Header {
            kind: kind::CONNECTION,
            cpu: 0,
            time_ns: now,
        },
        cookie: 1,
        opened_ns: now,
        owner: Owner {
            tgid: std::process::id(),
            ..Owner::default()
        },
        local_addr: v4_mapped([10, 0, 0, 1]),
        remote_addr: v4_mapped([10, 0, 0, 9]),
        local_port: 80,
        remote_port: 4_000,
        role: role::SERVER,
        event: connection_event::OPEN,
        flags: connection_flag::COUNTS,
        ..Zeroable::zeroed()
    };
    daemon.ingest(bytes_of(&connection));
    let refused = VerdictRecord {
        header: Header {
            kind: kind::VERDICT,
            cpu: 0,
            time_ns: now,
        },
        from: connection.owner,
        remote_addr: v4_mapped([10, 0, 0, 9]),
        port: 80,
        verdict: verdict::DENY,
        rule: 3,
        ..Zeroable::zeroed()
    };
    daemon.ingest(bytes_of(&refused));
    daemon.ingest(bytes_of(&VerdictRecord {
        rule: NO_RULE,
        ..refused
    }));
    assert_eq!(daemon.flows(&Filter::default()).items.len(), 1);
    assert_eq!(
        flows.try_recv().expect("followed").server_addr,
        "10.0.0.1:80"
    );
    let listed = daemon.verdicts(&Filter::default()).items;
    assert_eq!(
        (listed[0].policy.as_str(), listed[1].policy.as_str()),
        ("no-web", "default")
    );
    assert_eq!(verdicts.try_recv().expect("followed").verdict, "deny");
    let closed = ConnectionRecord {
        event: connection_event::CLOSE,
        ..connection
    };
    daemon.ingest(bytes_of(&closed));
    assert!(daemon.flows(&Filter::default()).items.is_empty());
    let lately = Filter {
        since_seconds: Some(60.0),
        ..Filter::default()
    };
    assert_eq!(daemon.flows(&lately).items[0].event, "close");
}

#[test]
fn policies_go_through_the_engine() {
    let (daemon, kernel) = daemon();
    *kernel.next.lock().unwrap() = snapshot(0, 0);
    daemon.tick_snapshot();
    assert_eq!(daemon.policies()[0].denied, 9);
    let file = PolicyFile {
        name: "a.yaml".into(),
        text: String::new(),
    };
    assert_eq!(
        daemon.policy_check(std::slice::from_ref(&file)),
        Ok(vec!["a.yaml".to_owned()])
    );
    assert_eq!(*kernel.rules_installed.lock().unwrap(), 0);
    assert!(daemon.policy_apply(&[file]).is_ok());
    assert_eq!(*kernel.rules_installed.lock().unwrap(), 1);
    assert!(daemon.policy_delete("no-web").unwrap());
    assert!(!daemon.policy_delete("other").unwrap());
    assert!(daemon.policy_explain(&ExplainQuery::default()).is_err());
}
