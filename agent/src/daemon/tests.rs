//! The daemon over a kernel that is not there: synthetic snapshots and records, real sockets.

use std::{
    collections::{BTreeMap, HashMap},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Result, bail};
use bytemuck::{Zeroable, bytes_of};
use weir_common::{
    counter::{EdgeStats, OpKey, OpValue},
    event::{
        ConnectionRecord, Control, ExchangeRecord, Header, ProcessRecord, VerdictRecord,
        connection_event, connection_flag, exchange_flag, kind, process_event, why,
    },
    flow::{AddressKey, EdgeKey, EdgeValue, Owner, Party, protocol, role, v4_mapped},
    framing::http1::op_hash,
    policy::{NO_RULE, RuleCounter, verdict},
};

use super::{
    Daemon, Settings,
    policy::{Active, Install, PolicyEngine},
    port::{KernelPort, OldConnection},
    time,
};
use crate::{
    control::api::{Answers, ExplainQuery, Explanation, PolicyFile, PolicyItem, Refusal},
    enforce::compiled::CompiledRules,
    observe::{
        model::{Filter, Workload},
        snapshot::KernelSnapshot,
    },
};

/// What the daemon has written, and what it will read.
#[derive(Default)]
struct FakeKernel {
    next: Mutex<KernelSnapshot>,
    fails: Mutex<bool>,
    control: Mutex<Option<Control>>,
    processes: Mutex<HashMap<u32, u64>>,
    addresses: Mutex<Vec<(AddressKey, u64)>>,
    remembered: Mutex<HashMap<u64, String>>,
    listeners: Mutex<Vec<(u32, i32, Owner)>>,
    connections: Mutex<Vec<(u32, i32, OldConnection)>>,
    forgotten: Mutex<Vec<EdgeKey>>,
    rules_installed: Mutex<u32>,
}

impl KernelPort for FakeKernel {
    fn snapshot(&self) -> Result<KernelSnapshot> {
        if *self.fails.lock().unwrap() {
            bail!("the map is gone");
        }
        let mut snapshot = self.next.lock().unwrap().clone();
        snapshot.unix_ns = time::unix_ns();
        if snapshot.monotonic_ns == 0 {
            snapshot.monotonic_ns = time::monotonic_ns();
        }
        Ok(snapshot)
    }

    fn set_control(&self, control: &Control) -> Result<()> {
        *self.control.lock().unwrap() = Some(*control);
        Ok(())
    }

    fn set_process(&self, tgid: u32, workload: u64) -> Result<()> {
        self.processes.lock().unwrap().insert(tgid, workload);
        Ok(())
    }

    fn remove_process(&self, tgid: u32) -> Result<()> {
        self.processes.lock().unwrap().remove(&tgid);
        Ok(())
    }

    fn set_cgroup(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }

    fn remove_cgroup(&self, _: u64) -> Result<()> {
        Ok(())
    }

    fn set_addresses(&self, addresses: &[(AddressKey, u64)]) -> Result<()> {
        *self.addresses.lock().unwrap() = addresses.to_vec();
        Ok(())
    }

    fn apply_rules(&self, _: &CompiledRules) -> Result<()> {
        *self.rules_installed.lock().unwrap() += 1;
        Ok(())
    }

    fn rule_slots(&self) -> BTreeMap<String, u32> {
        BTreeMap::new()
    }

    fn remember_workload(&self, id: u64, json: &str) -> Result<()> {
        self.remembered.lock().unwrap().insert(id, json.to_owned());
        Ok(())
    }

    fn workloads(&self) -> Vec<(u64, String)> {
        let remembered = self.remembered.lock().unwrap();
        remembered
            .iter()
            .map(|(id, json)| (*id, json.clone()))
            .collect()
    }

    fn adopt_listener(&self, pid: u32, fd: i32, owner: &Owner) -> Result<()> {
        self.listeners.lock().unwrap().push((pid, fd, *owner));
        Ok(())
    }

    fn adopt_connection(&self, pid: u32, fd: i32, facts: &OldConnection) -> Result<()> {
        self.connections.lock().unwrap().push((pid, fd, *facts));
        Ok(())
    }

    fn forget_edge(&self, key: &EdgeKey) -> Result<()> {
        self.forgotten.lock().unwrap().push(*key);
        Ok(())
    }

    fn missing(&self) -> Vec<String> {
        vec!["thread causality: needs Linux 6.3".into()]
    }

    fn hooks(&self) -> Vec<String> {
        vec!["sockops".into()]
    }
}

/// One policy in slot 3, named `no-web`.
#[derive(Default)]
struct FakePolicies {
    compiled_over: Mutex<Vec<String>>,
}

impl PolicyEngine for FakePolicies {
    fn apply(
        &self,
        files: &[PolicyFile],
        workloads: &[Workload],
        install: Install<'_>,
    ) -> Result<Vec<String>, Vec<Refusal>> {
        let names = self.check(files, workloads)?;
        install(&CompiledRules::default()).map_err(|_| Vec::new())?;
        Ok(names)
    }

    fn check(&self, files: &[PolicyFile], _: &[Workload]) -> Result<Vec<String>, Vec<Refusal>> {
        Ok(files.iter().map(|file| file.name.clone()).collect())
    }

    fn delete(&self, name: &str, _: &[Workload], _: Install<'_>) -> Result<bool> {
        Ok(name == "no-web")
    }

    fn recompile(&self, workloads: &[Workload], install: Install<'_>) -> Result<()> {
        let services = workloads.iter().map(|workload| workload.service.clone());
        *self.compiled_over.lock().unwrap() = services.collect();
        install(&CompiledRules::default())
    }

    fn active(&self) -> Active {
        Active {
            access: true,
            bandwidth: false,
        }
    }

    fn list(&self, counters: &[(u32, RuleCounter)]) -> Vec<PolicyItem> {
        let counter = counters.iter().find(|(slot, _)| *slot == 3);
        vec![PolicyItem {
            name: "no-web".into(),
            denied: counter.map_or(0, |(_, counter)| counter.denied),
            ..PolicyItem::default()
        }]
    }

    fn explain(&self, query: &ExplainQuery, _: &[Workload]) -> Result<Explanation> {
        bail!("nobody is called {}", query.to)
    }

    fn policy_of(&self, slot: u32) -> Option<String> {
        (slot == 3).then(|| "no-web".into())
    }
}

fn daemon() -> (Arc<Daemon>, Arc<FakeKernel>) {
    daemon_with(Settings::default())
}

fn daemon_with(settings: Settings) -> (Arc<Daemon>, Arc<FakeKernel>) {
    let kernel = Arc::new(FakeKernel::default());
    let daemon = Daemon::new(kernel.clone(), Arc::new(FakePolicies::default()), settings);
    (daemon, kernel)
}

const EDGE: u32 = 77;

/// An edge from 10.0.0.9 to this process, with `calls` answered and `failed` 500s.
fn snapshot(calls: u64, failed: u64) -> KernelSnapshot {
    let now = time::monotonic_ns();
    let key = EdgeKey {
        client: Party {
            addr: v4_mapped([10, 0, 0, 9]),
            ..Party::default()
        },
        server: Party {
            tgid: std::process::id(),
            ..Party::default()
        },
        port: 80,
        role: role::SERVER,
        ..EdgeKey::default()
    };
    let value = EdgeValue {
        id: EDGE,
        opened: 2,
        closed: 1,
        first_seen_ns: now,
        ..EdgeValue::default()
    };
    let stats = EdgeStats {
        last_seen_ns: now,
        ..EdgeStats::default()
    };
    let operation = |status, calls| {
        let mut value = OpValue {
            calls,
            last_seen_ns: now,
            ..OpValue::default()
        };
        value.buckets[20] = calls as u32;
        let key = OpKey {
            op: op_hash(b"/users/7"),
            edge_id: EDGE,
            status,
            protocol: protocol::HTTP1,
            method: 1,
        };
        (key, value)
    };
    KernelSnapshot {
        edges: vec![(key, value)],
        stats: vec![(EDGE, stats)],
        operations: vec![operation(200, calls), operation(500, failed)],
        rules: vec![(
            3,
            RuleCounter {
                denied: 9,
                ..RuleCounter::default()
            },
        )],
        map_fill: vec![("EDGES".into(), 1, 16_384)],
        ..KernelSnapshot::default()
    }
}

fn exchange(offset: u64, why: u8) -> ExchangeRecord {
    let head = b"GET /users/7?x=1 HTTP/1.1\r\n\r\n";
    let now = time::monotonic_ns();
    let mut record = ExchangeRecord {
        header: Header {
            kind: kind::EXCHANGE,
            cpu: 0,
            time_ns: now,
        },
        cookie: 5,
        op: op_hash(b"/users/7"),
        request_offset: offset,
        started_ns: now - 1_000_000,
        responded_ns: now - 500_000,
        ended_ns: now,
        client_isn: 1,
        server_isn: 2,
        edge_id: EDGE,
        probability: u32::MAX,
        client_addr: v4_mapped([10, 0, 0, 9]),
        server_addr: v4_mapped([10, 0, 0, 1]),
        server_port: 80,
        server_tgid: std::process::id(),
        status: 200,
        head_len: head.len() as u16,
        protocol: protocol::HTTP1,
        method: 1,
        role: role::SERVER,
        why,
        flags: exchange_flag::HAS_HEAD,
        ..Zeroable::zeroed()
    };
    record.head[..head.len()].copy_from_slice(head);
    record
}

/// The name that this test process gets.
fn own_name(daemon: &Daemon) -> String {
    let own = daemon
        .registry()
        .resolve(std::process::id(), &Default::default(), 1);
    own.expect("own process").service.clone()
}

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
    let mut tap = daemon.tap();
    assert_eq!(control(&kernel).skip_threshold, 0, "at once");
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
    drop(tap);
    daemon.tick_snapshot();
    assert!(control(&kernel).skip_threshold > 0, "closed again");
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
fn a_process_that_executes_is_named_anew() {
    let (daemon, kernel) = daemon();
    let mut child = std::process::Command::new("sleep")
        .arg("30")
        .spawn()
        .expect("sleep");
    std::thread::sleep(Duration::from_millis(50));
    let record = ProcessRecord {
        header: Header {
            kind: kind::PROCESS,
            cpu: 0,
            time_ns: 1,
        },
        tgid: child.id(),
        event: process_event::EXEC,
        ..Zeroable::zeroed()
    };
    daemon.ingest(bytes_of(&record));
    daemon.tick_identity();
    let id = kernel.processes.lock().unwrap().get(&child.id()).copied();
    child.kill().expect("kill");
    child.wait().expect("wait");
    let workload = daemon
        .registry()
        .workload(id.expect("named"))
        .expect("known");
    assert_eq!(workload.service, "sleep");
    assert!(kernel.remembered.lock().unwrap().contains_key(&workload.id));
    daemon.ingest(bytes_of(&ProcessRecord {
        event: process_event::EXIT,
        ..record
    }));
    assert!(!daemon.registry().knows(child.id()));
}

#[test]
fn listeners_and_connections_older_than_weir_are_taken_up() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let server = listener.local_addr().unwrap();
    let client = TcpStream::connect(server).expect("connect");
    let (_accepted, _) = listener.accept().expect("accept");
    let client_port = client.local_addr().unwrap().port();
    let (daemon, kernel) = daemon();
    let adopted = daemon.adopt();
    assert!(adopted.listeners >= 1 && adopted.connections >= 2);
    let connections = kernel.connections.lock().unwrap();
    let find = |port: u16| {
        let (_, _, facts) = connections
            .iter()
            .find(|(_, _, facts)| facts.local.1 == port)
            .expect("taken up");
        *facts
    };
    let (far, near) = (find(server.port()), find(client_port));
    assert_eq!((far.role, near.role), (role::SERVER, role::CLIENT));
    assert_eq!(far.peer_cookie, Some(near.cookie));
    assert_eq!(near.peer_cookie, Some(far.cookie));
    let own = daemon
        .registry()
        .resolve(std::process::id(), &Default::default(), 1);
    let own = own.expect("own process").id;
    assert_eq!(
        (near.owner.workload, near.owner.tgid),
        (own, std::process::id())
    );
    assert_eq!(far.peer.map(|owner| owner.workload), Some(own));
    assert!(
        kernel
            .listeners
            .lock()
            .unwrap()
            .iter()
            .any(|(pid, ..)| *pid == std::process::id())
    );
    drop(connections);
    daemon.tick_identity();
    let addresses = kernel.addresses.lock().unwrap();
    let listed = addresses.iter().find(|(key, _)| key.port == server.port());
    assert_eq!(
        listed.map(|(key, id)| (key.addr, *id)),
        Some((v4_mapped([127, 0, 0, 1]), own))
    );
}

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn history_goes_on_where_the_last_daemon_stopped() {
    let name = format!("weir-daemon-{}", std::process::id());
    let folder = Folder(std::env::temp_dir().join(name));
    let settings = || Settings {
        history: Some(folder.0.join("history.redb")),
        ..Settings::default()
    };
    let lately = Filter {
        since_seconds: Some(600.0),
        ..Filter::default()
    };
    let mut seen = snapshot(10, 0);
    {
        let (daemon, kernel) = daemon_with(settings());
        *kernel.next.lock().unwrap() = seen.clone();
        daemon.ingest(bytes_of(&exchange(0, why::NEW_OPERATION)));
        daemon.tick_snapshot();
        daemon.inherit_history();
        assert_eq!(daemon.edges(&lately).items[0].calls, 10, "not written yet");
        daemon.tick_history();
        assert_eq!(daemon.edges(&lately).items[0].calls, 10, "written");
        daemon.tick_history();
        assert_eq!(daemon.edges(&lately).items[0].calls, 10, "written once");
    }
    let (daemon, kernel) = daemon_with(settings());
    assert_eq!(
        daemon.exchanges(&lately).items.len(),
        1,
        "exchanges are remembered"
    );
    // The kernel's counters went on; what they had at the start is in history already.
    seen.edges[0].1.first_seen_ns = 1;
    *kernel.next.lock().unwrap() = seen.clone();
    daemon.tick_snapshot();
    daemon.inherit_history();
    assert_eq!(
        daemon.edges(&Filter::default()).items[0].calls,
        10,
        "named without a new head"
    );
    seen.operations[0].1.calls = 14;
    seen.operations[0].1.buckets[20] = 14;
    *kernel.next.lock().unwrap() = seen;
    daemon.tick_snapshot();
    daemon.tick_history();
    let edges = daemon.edges(&lately).items;
    assert_eq!((edges.len(), edges[0].calls), (1, 14));
    assert_eq!(daemon.edges(&Filter::default()).items[0].calls, 14);
}

#[test]
fn names_outlive_the_daemon_in_the_kernel() {
    let (first, kernel) = daemon();
    first.tick_identity();
    let own = first
        .registry()
        .resolve(std::process::id(), &Default::default(), 1)
        .unwrap();
    let second = Daemon::new(
        kernel,
        Arc::new(FakePolicies::default()),
        Settings::default(),
    );
    assert_eq!(
        second
            .registry()
            .workload(own.id)
            .map(|w| w.service.clone()),
        Some(own.service.clone())
    );
}

#[test]
fn threads_start_and_stop() {
    let (daemon, kernel) = daemon();
    *kernel.next.lock().unwrap() = snapshot(1, 0);
    let running = daemon.start().expect("threads");
    assert!(kernel.control.lock().unwrap().is_some());
    assert!(
        *kernel.rules_installed.lock().unwrap() > 0,
        "rules before the first look"
    );
    let begun = std::time::Instant::now();
    running.stop();
    assert!(begun.elapsed() < Duration::from_secs(3));
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
        daemon.policy_check(&[file.clone()]),
        Ok(vec!["a.yaml".to_owned()])
    );
    assert_eq!(*kernel.rules_installed.lock().unwrap(), 0);
    assert!(daemon.policy_apply(&[file]).is_ok());
    assert_eq!(*kernel.rules_installed.lock().unwrap(), 1);
    assert!(daemon.policy_delete("no-web").unwrap());
    assert!(!daemon.policy_delete("other").unwrap());
    assert!(daemon.policy_explain(&ExplainQuery::default()).is_err());
}
