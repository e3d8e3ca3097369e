//! What happens over time: processes, older sockets, restarts.

use std::{
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bytemuck::{Zeroable, bytes_of};
use weir_common::{
    event::{Header, ProcessRecord, kind, process_event, why},
    flow::{role, v4_mapped},
};

use crate::{
    control::api::Answers,
    daemon::{Daemon, Settings},
    observe::model::Filter,
};

use super::{
    fakes::{FakePolicies, daemon, daemon_with},
    records::{exchange, snapshot},
};

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
    seen.operations[0].1.unqueued = 14;
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
