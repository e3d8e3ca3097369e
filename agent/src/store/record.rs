//! How edges are written down: the counts without the empty buckets, compressed.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use weir_common::counter::BUCKETS;

use crate::observe::model::{
    EdgeState, Endpoint, Histogram, OperationCounts, OperationId, QueueTimes, TcpCounts, Workload,
};

/// Largest value that is unpacked, bytes: a damaged length must not take all memory.
const MAX_UNPACKED: u64 = 256 << 20;

/// One edge's counts over a stretch of time.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EdgeRecord {
    client: Endpoint,
    server: Endpoint,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_workload: Option<std::sync::Arc<Workload>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server_workload: Option<std::sync::Arc<Workload>>,
    protocol: String,
    port: u16,
    at_server: bool,
    pair: bool,
    ops: Vec<(OperationId, CountsRecord)>,
    opened: u64,
    open: u64,
    failures: u64,
    resets: u64,
    segments: u64,
    retransmits: u64,
    timeouts: u64,
    rtt: HistogramRecord,
    connect: HistogramRecord,
    out: u64,
    into: u64,
    tls: bool,
    lost: BTreeMap<String, u64>,
    first: u64,
    last: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct CountsRecord {
    n: u64,
    req: u64,
    res: u64,
    d: HistogramRecord,
    /// Queue times; records of older releases have none.
    #[serde(default)]
    q: QueueTimes,
}

/// Bucket counts as pairs of bucket and count, and the sum in ns.
#[derive(Debug, Serialize, Deserialize)]
struct HistogramRecord(Vec<(u8, u64)>, u64);

impl From<&Histogram> for HistogramRecord {
    fn from(histogram: &Histogram) -> Self {
        let buckets = histogram.buckets.iter().enumerate();
        Self(
            buckets
                .filter(|(_, count)| **count > 0)
                .map(|(bucket, count)| (bucket as u8, *count))
                .collect(),
            histogram.sum_ns,
        )
    }
}

impl From<HistogramRecord> for Histogram {
    fn from(record: HistogramRecord) -> Self {
        let mut histogram = Self {
            sum_ns: record.1,
            ..Self::default()
        };
        for (bucket, count) in record.0 {
            histogram.buckets[usize::from(bucket).min(BUCKETS - 1)] += count;
        }
        histogram
    }
}

impl From<&EdgeState> for EdgeRecord {
    fn from(edge: &EdgeState) -> Self {
        Self {
            client: edge.client.clone(),
            server: edge.server.clone(),
            client_workload: edge.client_workload.clone(),
            server_workload: edge.server_workload.clone(),
            protocol: edge.protocol.clone(),
            port: edge.port,
            at_server: edge.counted_at_server,
            pair: edge.local_pair,
            ops: edge
                .operations
                .iter()
                .map(|(id, counts)| (id.clone(), CountsRecord::from(counts)))
                .collect(),
            opened: edge.tcp.opened,
            open: edge.tcp.open,
            failures: edge.tcp.connect_failures,
            resets: edge.tcp.resets,
            segments: edge.tcp.segments,
            retransmits: edge.tcp.retransmits,
            timeouts: edge.tcp.timeouts,
            rtt: (&edge.tcp.rtt).into(),
            connect: (&edge.tcp.connect).into(),
            out: edge.bytes_out,
            into: edge.bytes_in,
            tls: edge.tls,
            lost: edge.lost.clone(),
            first: edge.first_seen_ns,
            last: edge.last_seen_ns,
        }
    }
}

impl From<&OperationCounts> for CountsRecord {
    fn from(counts: &OperationCounts) -> Self {
        Self {
            n: counts.calls,
            req: counts.request_bytes,
            res: counts.response_bytes,
            d: (&counts.duration).into(),
            q: counts.queue,
        }
    }
}

impl From<CountsRecord> for OperationCounts {
    fn from(record: CountsRecord) -> Self {
        Self {
            calls: record.n,
            request_bytes: record.req,
            response_bytes: record.res,
            duration: record.d.into(),
            queue: record.q,
        }
    }
}

impl From<EdgeRecord> for EdgeState {
    fn from(record: EdgeRecord) -> Self {
        Self {
            client: record.client,
            server: record.server,
            client_workload: record.client_workload,
            server_workload: record.server_workload,
            protocol: record.protocol,
            port: record.port,
            counted_at_server: record.at_server,
            local_pair: record.pair,
            operations: record
                .ops
                .into_iter()
                .map(|(id, counts)| (id, counts.into()))
                .collect(),
            tcp: TcpCounts {
                opened: record.opened,
                open: record.open,
                connect_failures: record.failures,
                resets: record.resets,
                segments: record.segments,
                retransmits: record.retransmits,
                timeouts: record.timeouts,
                rtt: record.rtt.into(),
                connect: record.connect.into(),
            },
            bytes_out: record.out,
            bytes_in: record.into,
            tls: record.tls,
            lost: record.lost,
            first_seen_ns: record.first,
            last_seen_ns: record.last,
            rate: 0.0,
        }
    }
}

/// Packs a value: JSON, deflated.
pub(super) fn pack<T: Serialize>(value: &T) -> std::io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&serde_json::to_vec(value)?)?;
    encoder.finish()
}

/// Unpacks a value; `None` if it is damaged.
pub(super) fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let mut text = Vec::new();
    ZlibDecoder::new(bytes)
        .take(MAX_UNPACKED)
        .read_to_end(&mut text)
        .ok()?;
    serde_json::from_slice(&text).ok()
}
