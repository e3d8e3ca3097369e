//! Records and snapshots as the kernel programs would write them.

use bytemuck::Zeroable;
use weir_common::{
    counter::{EdgeStats, OpKey, OpValue},
    event::{ExchangeRecord, Header, exchange_flag, kind},
    flow::{EdgeKey, EdgeValue, Party, protocol, role, v4_mapped},
    framing::http1::op_hash,
    policy::RuleCounter,
};

use crate::daemon::{Daemon, time};
use crate::observe::snapshot::KernelSnapshot;

pub(super) const EDGE: u32 = 77;

/// An edge from 10.0.0.9 to this process, with `calls` answered and `failed` 500s.
pub(super) fn snapshot(calls: u64, failed: u64) -> KernelSnapshot {
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
            unqueued: calls,
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

pub(super) fn exchange(offset: u64, why: u8) -> ExchangeRecord {
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
pub(super) fn own_name(daemon: &Daemon) -> String {
    let own = daemon
        .registry()
        .resolve(std::process::id(), &Default::default(), 1);
    own.expect("own process").service.clone()
}
