//! The history on real files.

use std::{fs, path::PathBuf};

use super::*;
use crate::observe::model::{
    Endpoint, Histogram, OperationCounts, OperationId, QueueTimes, RouteSource, TcpCounts,
    WorkloadKind,
};

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("weir-store-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("history.redb")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn end(service: &str) -> Endpoint {
    Endpoint {
        service: service.into(),
        namespace: None,
        kind: WorkloadKind::Process,
        instance: None,
        addr: "10.0.0.1".into(),
    }
}

fn edge(client: &str, calls: u64, last_seen_seconds: u64) -> EdgeState {
    let mut duration = Histogram::default();
    (0..calls).for_each(|call| duration.record(call * 100_000));
    let id = OperationId {
        operation: "GET /".into(),
        method: Some("GET".into()),
        status: 200,
        route_source: Some(RouteSource::Heuristic),
    };
    let counts = OperationCounts {
        calls,
        request_bytes: calls,
        response_bytes: calls * 2,
        duration,
        queue: QueueTimes {
            count: calls,
            sum_ns: calls * 7,
        },
    };
    EdgeState {
        client: end(client),
        server: end("web"),
        client_workload: None,
        server_workload: None,
        protocol: "http".into(),
        port: 80,
        counted_at_server: true,
        local_pair: true,
        operations: [(id, counts)].into(),
        tcp: TcpCounts {
            opened: 1,
            open: 1,
            ..TcpCounts::default()
        },
        bytes_out: 10,
        bytes_in: 20,
        tls: false,
        lost: [("segment_gap".to_owned(), 1)].into(),
        first_seen_ns: last_seen_seconds * 1_000_000_000,
        last_seen_ns: last_seen_seconds * 1_000_000_000,
        rate: 0.0,
    }
}

fn batch(edges: Vec<EdgeState>) -> Batch {
    Batch {
        edges,
        ..Batch::default()
    }
}

fn open(folder: &Folder, limits: Limits) -> Store {
    let (store, notice) = Store::open(&folder.file(), limits, 1).expect("open");
    assert_eq!(notice, None);
    store
}

#[test]
fn any_stretch_of_time_is_a_sum_of_minutes() {
    let folder = Folder::new("sum");
    let store = open(&folder, Limits::default());
    for (seconds, client, calls) in [(60, "a", 1), (119, "a", 2), (120, "b", 4), (300, "a", 8)] {
        let written = store.append(seconds, &batch(vec![edge(client, calls, seconds)]));
        written.expect("append");
    }
    drop(store);
    let store = open(&folder, Limits::default());
    for (since, a, b) in [
        (0, 11, 4),
        (60, 11, 4),
        (120, 8, 4),
        (299, 8, 0),
        (301, 8, 0),
        (360, 0, 0),
    ] {
        let edges = store.edges_since(since).expect("read");
        let calls = |client: &str| -> u64 {
            edges
                .iter()
                .filter(|edge| edge.client.service == client)
                .map(EdgeState::calls)
                .sum()
        };
        assert_eq!((calls("a"), calls("b")), (a, b), "since {since}");
    }
    let edges = store.edges_since(0).expect("read");
    let a = edges
        .iter()
        .find(|edge| edge.client.service == "a")
        .unwrap();
    assert_eq!(a.durations().count(), 11);
    assert_eq!((a.tcp.opened, a.tcp.open, a.bytes_in), (3, 1, 60));
    assert_eq!(a.lost.get("segment_gap"), Some(&3));
    assert_eq!(a.last_seen_ns, 300_000_000_000);
}

#[test]
fn names_and_exchanges_outlive_the_daemon() {
    let folder = Folder::new("names");
    let key = OperationKey {
        protocol: 2,
        method: 1,
        op: u64::MAX,
    };
    let written = Batch {
        workloads: vec![
            crate::identity::naming::name_by_comm("web")
                .as_ref()
                .clone(),
        ],
        operations: vec![(key, "GET /users/*".into())],
        ..Batch::default()
    };
    open(&folder, Limits::default())
        .append(60, &written)
        .expect("append");
    let store = open(&folder, Limits::default());
    assert_eq!(store.workloads().unwrap(), written.workloads);
    assert_eq!(store.operations().unwrap(), written.operations);
    assert!(store.exchanges().unwrap().is_empty());
}

#[test]
fn time_and_space_are_bounded() {
    let folder = Folder::new("bounds");
    let limits = Limits {
        minutes: 10,
        bytes: 4_000,
        names: 3,
        ..Limits::default()
    };
    let store = open(&folder, limits);
    for minute in 0..100 {
        let edges = (0..5)
            .map(|n| edge(&format!("c{n}"), minute, minute * 60))
            .collect();
        let mut batch = batch(edges);
        batch.workloads = vec![
            crate::identity::naming::name_by_comm(&format!("w{minute}"))
                .as_ref()
                .clone(),
        ];
        store.append(minute * 60, &batch).expect("append");
    }
    let read = store.database.begin_read().unwrap();
    let bytes = read
        .open_table(META)
        .unwrap()
        .get("bytes")
        .unwrap()
        .unwrap()
        .value();
    let mut there = 0;
    let mut oldest = u64::MAX;
    for entry in read.open_table(MINUTES).unwrap().iter().unwrap() {
        let (minute, value) = entry.unwrap();
        there += value.value().len() as u64;
        oldest = oldest.min(minute.value());
    }
    assert_eq!(bytes, there, "the account is true");
    assert!(
        bytes <= limits.bytes && oldest >= 90,
        "{bytes} bytes from {oldest}"
    );
    assert_eq!(store.workloads().unwrap().len(), 3);
}

#[test]
fn a_damaged_file_is_moved_aside_and_said_so() {
    for (name, content) in [
        (
            "text",
            b"this is not a database, but it is long enough to be one".repeat(100),
        ),
        ("short", b"redb".to_vec()),
    ] {
        let folder = Folder::new(name);
        fs::write(folder.file(), &content).unwrap();
        let (store, notice) = Store::open(&folder.file(), Limits::default(), 42).expect("open");
        let notice = notice.expect("a notice");
        assert!(notice.contains("damaged-42"), "{notice}");
        let aside = folder.0.join("history.redb.damaged-42");
        assert_eq!(fs::read(aside).unwrap(), content, "nothing is thrown away");
        store
            .append(60, &batch(vec![edge("a", 1, 60)]))
            .expect("append");
    }
}

#[test]
fn a_file_cut_off_in_the_middle_is_moved_aside() {
    let folder = Folder::new("cut");
    let store = open(&folder, Limits::default());
    store
        .append(60, &batch(vec![edge("a", 1, 60)]))
        .expect("append");
    drop(store);
    let length = fs::metadata(folder.file()).unwrap().len();
    let file = fs::OpenOptions::new()
        .write(true)
        .open(folder.file())
        .unwrap();
    file.set_len(length / 3).unwrap();
    drop(file);
    let (_, notice) = Store::open(&folder.file(), Limits::default(), 42).expect("open");
    assert!(notice.is_some());
}

#[test]
fn another_schema_is_moved_aside() {
    let folder = Folder::new("schema");
    let store = open(&folder, Limits::default());
    let write = store.database.begin_write().unwrap();
    write
        .open_table(META)
        .unwrap()
        .insert("schema", 99)
        .unwrap();
    write.commit().unwrap();
    drop(store);
    let (_, notice) = Store::open(&folder.file(), Limits::default(), 42).expect("open");
    assert!(notice.expect("a notice").contains("version 99"));
}

#[test]
fn a_second_daemon_is_refused() {
    let folder = Folder::new("twice");
    let _first = open(&folder, Limits::default());
    let second = Store::open(&folder.file(), Limits::default(), 42);
    assert!(matches!(second, Err(StoreError::InUse(_))));
    assert!(folder.file().exists(), "and the file is left alone");
}

#[test]
fn a_history_that_cannot_be_written_is_counted_and_comes_back() {
    let folder = Folder::new("away");
    // A file where the folder should be: works for root too, who may write anywhere.
    let state = folder.0.join("state");
    fs::write(&state, "in the way").unwrap();
    let path = state.join("history.redb");
    let mut history = History::open(&path, Limits::default(), 1);
    assert_eq!(history.failures(), 1);
    assert!(!history.append(60, &batch(vec![edge("a", 1, 60)])));
    assert_eq!(history.failures(), 2);
    assert!(history.trouble().is_some());
    assert!(history.edges_since(0).is_empty());
    fs::remove_file(&state).unwrap();
    assert!(history.append(120, &batch(vec![edge("a", 2, 120)])));
    assert_eq!(history.trouble(), None);
    assert_eq!(history.edges_since(0).len(), 1);
}

/// A disk that is full from a moment on.
#[derive(Debug)]
struct FullDisk {
    disk: redb::backends::InMemoryBackend,
    full: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl FullDisk {
    fn check(&self) -> std::io::Result<()> {
        match self.full.load(std::sync::atomic::Ordering::Relaxed) {
            true => Err(std::io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl redb::StorageBackend for FullDisk {
    fn len(&self) -> std::io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.check()?;
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.check()?;
        self.disk.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.check()?;
        self.disk.write(offset, data)
    }
}

#[test]
fn a_full_disk_is_an_error_not_an_end() {
    let full = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let backend = FullDisk {
        disk: redb::backends::InMemoryBackend::new(),
        full: std::sync::Arc::clone(&full),
    };
    let database = Database::builder().create_with_backend(backend).unwrap();
    let store = Store {
        database,
        limits: Limits::default(),
    };
    store
        .append(60, &batch(vec![edge("a", 1, 60)]))
        .expect("room");
    full.store(true, std::sync::atomic::Ordering::Relaxed);
    for _ in 0..3 {
        let refused = store.append(120, &batch(vec![edge("a", 1, 120)]));
        assert!(matches!(refused, Err(StoreError::Database(_))));
    }
    drop(store);
}
