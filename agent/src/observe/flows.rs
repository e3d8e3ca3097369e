//! The table of live connections, from connection records.

use std::collections::{HashMap, HashSet, VecDeque};

use weir_common::{
    event::{ConnectionRecord, connection_event, connection_flag},
    flow::{PairKey, role},
};

use super::{
    clock::Clock,
    model::FlowItem,
    operations::protocol_name,
    parties::{Ends, address_text},
};

/// A connection is not asked for until it was silent for so long, ns: it may be newer than the
/// list of sockets that it would be missing from.
const SILENT_NS: u64 = 60_000_000_000;

/// Live connections by socket cookie, bounded.
#[derive(Debug)]
pub struct FlowTable {
    live: HashMap<u64, Live>,
    connects: Connects,
    capacity: usize,
    evicted: u64,
}

#[derive(Debug)]
struct Live {
    item: FlowItem,
    opened_ns: u64,
    heard_ns: u64,
}

impl FlowTable {
    /// An empty table of at most `capacity` connections.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self {
            live: HashMap::new(),
            connects: Connects::default(),
            capacity,
            evicted: 0,
        }
    }

    /// Takes a record and returns the item to show; `None` for the end of a local pair that the
    /// other end speaks for, so that each connection is shown once.
    pub fn take(
        &mut self,
        record: &ConnectionRecord,
        ends: &Ends,
        clock: &Clock,
    ) -> Option<FlowItem> {
        let is_pair = record.flags & connection_flag::LOCAL_PAIR != 0;
        if is_pair && record.flags & connection_flag::COUNTS == 0 {
            self.connects.remember(record);
            self.live.remove(&record.cookie);
            return None;
        }
        let mut item = item_of(record, ends, clock);
        if item.connect_ns.is_none() {
            let before = self.live.get(&record.cookie);
            item.connect_ns = before
                .and_then(|live| live.item.connect_ns)
                .or_else(|| self.connects.of(record));
        }
        if matches!(
            record.event,
            connection_event::CLOSE | connection_event::FAILED
        ) {
            self.live.remove(&record.cookie);
        } else {
            self.insert(record, item.clone());
        }
        Some(item)
    }

    fn insert(&mut self, record: &ConnectionRecord, item: FlowItem) {
        if self.live.len() >= self.capacity && !self.live.contains_key(&record.cookie) {
            self.evict();
        }
        let live = Live {
            item,
            opened_ns: record.opened_ns,
            heard_ns: record.header.time_ns,
        };
        self.live.insert(record.cookie, live);
    }

    /// Drops the sixteenth of the table that was silent longest: one pass for many insertions.
    fn evict(&mut self) {
        let mut heard: Vec<u64> = self.live.values().map(|live| live.heard_ns).collect();
        let surplus = (self.capacity / 16).clamp(1, heard.len());
        let (_, bound, _) = heard.select_nth_unstable(surplus - 1);
        let bound = *bound;
        let before = self.live.len();
        self.live.retain(|_, live| live.heard_ns > bound);
        self.evicted += (before - self.live.len()) as u64;
    }

    /// Drops connections whose end was never reported (a record lost to a full ring): silent for
    /// a while, and not among the sockets that are open.
    pub fn expire(&mut self, now_ns: u64, open_cookies: &HashSet<u64>) {
        self.live.retain(|cookie, live| {
            now_ns.saturating_sub(live.heard_ns) < SILENT_NS || open_cookies.contains(cookie)
        });
    }

    /// Live connections with their age at `now_ns` (monotonic), in no order.
    pub fn items(&self, now_ns: u64) -> impl Iterator<Item = FlowItem> {
        self.live.values().map(move |live| FlowItem {
            age_seconds: now_ns.saturating_sub(live.opened_ns) as f64 / 1e9,
            ..live.item.clone()
        })
    }

    /// Connections held.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// True if no connection is held.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Greatest number of connections held.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Live connections that had to go from the table (they are still counted on their edges).
    pub fn evicted(&self) -> u64 {
        self.evicted
    }
}

/// Connect times of client ends, for the server end of the same connection, which cannot know.
#[derive(Debug, Default)]
struct Connects {
    by_pair: HashMap<PairKey, u64>,
    order: VecDeque<PairKey>,
}

impl Connects {
    const CAPACITY: usize = 4096;

    fn remember(&mut self, record: &ConnectionRecord) {
        let Some(pair) = pair_of(record).filter(|_| record.connect_ns != 0) else {
            return;
        };
        if self.order.len() >= Self::CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_pair.remove(&oldest);
        }
        if self.by_pair.insert(pair, record.connect_ns).is_none() {
            self.order.push_back(pair);
        }
    }

    fn of(&self, record: &ConnectionRecord) -> Option<u64> {
        self.by_pair.get(&pair_of(record)?).copied()
    }
}

fn pair_of(record: &ConnectionRecord) -> Option<PairKey> {
    (record.client_isn != 0 || record.server_isn != 0).then_some(PairKey {
        client_isn: record.client_isn,
        server_isn: record.server_isn,
    })
}

fn event_name(event: u8) -> &'static str {
    match event {
        connection_event::OPEN => "open",
        connection_event::CLOSE => "close",
        connection_event::FAILED => "failed",
        _ => "report",
    }
}

fn item_of(record: &ConnectionRecord, ends: &Ends, clock: &Clock) -> FlowItem {
    let local = address_text(&record.local_addr, record.local_port);
    let remote = address_text(&record.remote_addr, record.remote_port);
    let is_server = record.role == role::SERVER;
    let (client_addr, server_addr) = if is_server {
        (remote, local)
    } else {
        (local, remote)
    };
    let (bytes_out, bytes_in) = if is_server {
        (record.bytes_received, record.bytes_sent)
    } else {
        (record.bytes_sent, record.bytes_received)
    };
    let has = |flag| record.flags & flag != 0;
    FlowItem {
        ts: clock.unix_seconds(record.header.time_ns),
        event: event_name(record.event).into(),
        client: ends.client.endpoint.clone(),
        server: ends.server.endpoint.clone(),
        protocol: protocol_name(record.protocol).into(),
        client_addr,
        server_addr,
        age_seconds: record.header.time_ns.saturating_sub(record.opened_ns) as f64 / 1e9,
        bytes_out,
        bytes_in,
        exchanges: record.exchanges,
        srtt_ns: u64::from(record.srtt_us) * 1_000,
        rtt_min_ns: u64::from(record.rtt_min_us) * 1_000,
        connect_ns: (record.connect_ns != 0).then_some(record.connect_ns),
        retransmits: record.retransmits,
        reset: has(connection_flag::RESET),
        tls: has(connection_flag::TLS),
        adopted: has(connection_flag::ADOPTED),
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;
    use weir_common::{event::Header, flow::v4_mapped};

    use super::*;
    use crate::observe::parties::{Named, remote_endpoint};

    const SECOND: u64 = 1_000_000_000;

    fn ends() -> Ends {
        let named = |last, port| Named {
            endpoint: remote_endpoint(&v4_mapped([10, 0, 0, last]), port),
            workload: None,
            settled: true,
        };
        Ends {
            client: named(1, 0),
            server: named(2, 80),
        }
    }

    fn record(cookie: u64, event: u8, role: u8, second: u64) -> ConnectionRecord {
        ConnectionRecord {
            header: Header {
                time_ns: second * SECOND,
                ..Header::default()
            },
            cookie,
            event,
            role,
            opened_ns: SECOND,
            bytes_sent: 10,
            bytes_received: 20,
            srtt_us: 5,
            local_addr: v4_mapped([10, 0, 0, 1]),
            remote_addr: v4_mapped([10, 0, 0, 2]),
            local_port: 4_000,
            remote_port: 80,
            ..Zeroable::zeroed()
        }
    }

    fn take(table: &mut FlowTable, record: &ConnectionRecord) -> Option<FlowItem> {
        table.take(record, &ends(), &Clock::new(0, 0))
    }

    #[test]
    fn a_life_of_a_connection() {
        let mut table = FlowTable::new(8);
        for (event, second, name, live) in [
            (connection_event::OPEN, 1, "open", 1),
            (connection_event::REPORT, 4, "report", 1),
            (connection_event::CLOSE, 9, "close", 0),
            (connection_event::FAILED, 9, "failed", 0),
        ] {
            let item = take(&mut table, &record(1, event, role::CLIENT, second)).expect(name);
            assert_eq!(item.event, name);
            assert_eq!(table.len(), live, "{name}");
            assert!((item.age_seconds - (second - 1) as f64).abs() < 1e-9);
        }
    }

    #[test]
    fn directions_follow_the_role() {
        let mut table = FlowTable::new(8);
        for (role, client_addr, out) in [
            (role::CLIENT, "10.0.0.1:4000", 10),
            (role::SERVER, "10.0.0.2:80", 20),
        ] {
            let item = take(&mut table, &record(1, connection_event::OPEN, role, 1)).unwrap();
            assert_eq!(
                (item.client_addr.as_str(), item.bytes_out),
                (client_addr, out)
            );
            assert_eq!(item.srtt_ns, 5_000);
        }
    }

    #[test]
    fn a_local_pair_is_shown_once_with_the_clients_connect_time() {
        let mut table = FlowTable::new(8);
        let mut client = record(1, connection_event::OPEN, role::CLIENT, 1);
        client.flags = connection_flag::LOCAL_PAIR;
        (client.client_isn, client.server_isn, client.connect_ns) = (7, 9, 55);
        let mut server = record(2, connection_event::OPEN, role::SERVER, 1);
        server.flags = connection_flag::LOCAL_PAIR | connection_flag::COUNTS;
        (server.client_isn, server.server_isn) = (7, 9);
        assert_eq!(take(&mut table, &client), None);
        let item = take(&mut table, &server).expect("the counting end");
        assert_eq!(item.connect_ns, Some(55));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_full_table_drops_the_most_silent_and_counts_it() {
        let mut table = FlowTable::new(32);
        for cookie in 1..=100 {
            let record = record(cookie, connection_event::OPEN, role::CLIENT, cookie);
            take(&mut table, &record);
            assert!(table.len() <= 32);
        }
        assert_eq!(table.evicted() + table.len() as u64, 100);
        let newest = table.items(100 * SECOND).any(|item| item.ts > 99.5);
        assert!(newest);
        table.expire(100 * SECOND + SILENT_NS, &HashSet::from([100]));
        assert_eq!(table.len(), 1, "idle, but open");
    }
}
