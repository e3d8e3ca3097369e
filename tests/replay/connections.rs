//! Handshakes, ends and reuse of connections, from packets made by hand.

use weir::replay::{ReplayReport, run_records};
use weir_common::event::{ExchangeRecord, exchange_flag};

use crate::pcapfile::{Little, Packet, Packets, pcap};

const CLIENT: (u8, u16) = (1, 40_000);
const SERVER: (u8, u16) = (2, 80);
const GET: &[u8] = b"GET /a HTTP/1.1\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// A capture of raw IP packets under construction.
struct Wire {
    packets: Vec<Packet>,
    client: (u8, u16),
}

impl Wire {
    fn new() -> Self {
        Self {
            packets: Vec::new(),
            client: CLIENT,
        }
    }

    fn packet(&mut self, from_client: bool, flags: u8, seq: u32, ack: u32, payload: &[u8]) {
        let (from, to) = if from_client {
            (self.client, SERVER)
        } else {
            (SERVER, self.client)
        };
        let mut bytes = vec![0x45, 0];
        bytes.extend((40 + payload.len() as u16).to_be_bytes());
        bytes.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        bytes.extend([10, 0, 0, from.0, 10, 0, 0, to.0]);
        bytes.extend(from.1.to_be_bytes());
        bytes.extend(to.1.to_be_bytes());
        bytes.extend(seq.to_be_bytes());
        bytes.extend(ack.to_be_bytes());
        bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        bytes.extend(payload);
        self.packets.push(Packet {
            unix_ns: 1_790_000_000_000_000_000 + self.packets.len() as u64 * 1_000_000,
            wire_len: bytes.len() as u32,
            bytes,
        });
    }

    fn shake_hands(&mut self, client_isn: u32, server_isn: u32) {
        self.packet(true, SYN, client_isn, 0, b"");
        self.packet(
            false,
            SYN | ACK,
            server_isn,
            client_isn.wrapping_add(1),
            b"",
        );
        self.packet(
            true,
            ACK,
            client_isn.wrapping_add(1),
            server_isn.wrapping_add(1),
            b"",
        );
    }

    /// A request at an offset of the client's stream, and its response.
    fn exchange(&mut self, isns: (u32, u32), turn: u32) {
        let seq = isns.0.wrapping_add(1 + turn * GET.len() as u32);
        let answer = isns.1.wrapping_add(1 + turn * OK.len() as u32);
        self.packet(true, ACK, seq, answer, GET);
        self.packet(false, ACK, answer, seq.wrapping_add(GET.len() as u32), OK);
    }

    fn replay(self) -> (Vec<ExchangeRecord>, ReplayReport) {
        let packets = Packets {
            link: 101,
            packets: self.packets,
        };
        let mut records = Vec::new();
        let file = pcap(&packets, Little, true);
        let report = run_records(file.as_slice(), &mut |record| records.push(*record)).unwrap();
        (records, report)
    }
}

fn isns(record: &ExchangeRecord) -> (u32, u32) {
    (record.client_isn, record.server_isn)
}

#[test]
fn initial_sequence_numbers_come_from_whatever_tells_them() {
    let (client, server) = (u32::MAX - 3, 7_000);
    let handshakes: [&[usize]; 5] = [&[0, 1, 2], &[0, 1], &[1, 2], &[1], &[0, 2]];
    for kept in handshakes {
        let mut wire = Wire::new();
        wire.shake_hands(client, server);
        wire.packets = kept.iter().map(|at| wire.packets[*at].clone()).collect();
        wire.exchange((client, server), 0);
        let (records, report) = wire.replay();
        assert_eq!(records.len(), 1, "{kept:?}");
        assert_eq!(isns(&records[0]), (client, server), "{kept:?}");
        assert_eq!(records[0].flags & exchange_flag::NO_ISN, 0, "{kept:?}");
        assert_eq!(records[0].request_offset, 0, "{kept:?}");
        assert!(report.lost.is_empty(), "{kept:?}: {report:?}");
    }
}

#[test]
fn a_connection_without_handshake_has_no_initial_sequence_numbers() {
    let mut wire = Wire::new();
    wire.exchange((100, 200), 0);
    wire.exchange((100, 200), 1);
    let (records, report) = wire.replay();
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|r| r.flags & exchange_flag::NO_ISN != 0));
    assert!(
        records
            .iter()
            .all(|r| r.client_port == CLIENT.1 && r.server_port == SERVER.1)
    );
    assert_eq!(report.lost["attach_midstream"], 1);
}

#[test]
fn roles_come_from_the_payload_when_nothing_else_tells() {
    // The response is the first that is seen: its sender is the server.
    let mut wire = Wire::new();
    wire.packet(false, ACK, 201, 101, b"rest of something");
    wire.packet(false, ACK, 218, 101, OK);
    wire.packet(true, ACK, 101, 258, GET);
    wire.packet(false, ACK, 258, 120, OK);
    let (records, report) = wire.replay();
    assert_eq!(records.len(), 1);
    assert_eq!(
        (records[0].client_port, records[0].server_port),
        (CLIENT.1, SERVER.1)
    );
    assert_eq!(report.lost["orphan_response"], 1);
}

#[test]
fn reused_addresses_are_another_connection() {
    let mut wire = Wire::new();
    wire.shake_hands(1_000, 2_000);
    wire.exchange((1_000, 2_000), 0);
    let first = wire.packets[3].clone();
    wire.packet(
        true,
        ACK,
        1_001 + GET.len() as u32,
        2_001 + OK.len() as u32,
        GET,
    );
    // No FIN, no RST: the client has forgotten the connection.
    wire.shake_hands(9_000, 8_000);
    wire.exchange((9_000, 8_000), 0);
    // A stray segment of the first life.
    wire.packets.push(first);
    wire.exchange((9_000, 8_000), 1);
    let (records, report) = wire.replay();
    let found: Vec<_> = records.iter().map(|r| (isns(r), r.status)).collect();
    assert_eq!(
        found,
        [
            ((1_000, 2_000), 200),
            ((1_000, 2_000), 0),
            ((9_000, 8_000), 200),
            ((9_000, 8_000), 200)
        ]
    );
    assert!(records[0].cookie != records[2].cookie);
    assert!(report.lost.is_empty(), "{report:?}");
}

#[test]
fn repeated_handshakes_are_the_same_connection() {
    let mut wire = Wire::new();
    wire.shake_hands(1_000, 2_000);
    wire.shake_hands(1_000, 2_000);
    wire.exchange((1_000, 2_000), 0);
    wire.shake_hands(1_000, 2_000);
    wire.exchange((1_000, 2_000), 1);
    let (records, report) = wire.replay();
    assert_eq!(records.len(), 2);
    assert!(report.lost.is_empty(), "{report:?}");
}

#[test]
fn data_on_a_syn_is_not_followed_but_its_loss_is_counted() {
    let mut wire = Wire::new();
    wire.packet(true, SYN, 1_000, 0, GET);
    let after = 1_001 + GET.len() as u32;
    wire.packet(false, SYN | ACK, 2_000, after, b"");
    wire.packet(false, ACK, 2_001, after, OK);
    let seen = 2_001 + OK.len() as u32;
    wire.packet(true, ACK, after, seen, GET);
    wire.packet(false, ACK, seen, after + GET.len() as u32, OK);
    let (records, report) = wire.replay();
    assert!(records.len() <= 1, "{report:?}");
    assert!(!report.lost.is_empty(), "{report:?}");
}

#[test]
fn a_fin_before_the_last_data_waits_for_it() {
    let response = b"HTTP/1.0 200 OK\r\n\r\nuntil the end".as_slice();
    let (head, body) = response.split_at(25);
    let asked = 1_001 + GET.len() as u32;
    let mut wire = Wire::new();
    wire.shake_hands(1_000, 2_000);
    wire.packet(true, ACK, 1_001, 2_001, GET);
    wire.packet(false, ACK, 2_001, asked, head);
    wire.packet(false, FIN | ACK, 2_001 + response.len() as u32, asked, b"");
    wire.packet(false, ACK, 2_001 + 25, asked, body);
    let (records, report) = wire.replay();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].response_bytes, response.len() as u64);
    assert_ne!(records[0].flags & exchange_flag::UNTIL_CLOSE, 0);
    assert!(report.lost.is_empty(), "{report:?}");
}

#[test]
fn a_half_closed_connection_still_gets_its_answer() {
    let asked = 1_001 + GET.len() as u32;
    let mut wire = Wire::new();
    wire.shake_hands(1_000, 2_000);
    wire.packet(true, FIN | ACK, 1_001, 2_001, GET);
    wire.packet(false, ACK, 2_001, asked + 1, OK);
    wire.packet(false, FIN | ACK, 2_001 + OK.len() as u32, asked + 1, b"");
    let (records, report) = wire.replay();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].status, 200);
    assert!(report.lost.is_empty(), "{report:?}");
}

#[test]
fn a_reset_leaves_requests_unanswered() {
    let mut wire = Wire::new();
    wire.shake_hands(1_000, 2_000);
    wire.packet(true, ACK, 1_001, 2_001, GET);
    wire.packet(false, RST | ACK, 2_001, 1_001 + GET.len() as u32, b"");
    let (records, _) = wire.replay();
    assert_eq!(records.len(), 1);
    assert_ne!(records[0].flags & exchange_flag::UNANSWERED, 0);
    assert_eq!((records[0].status, records[0].responded_ns), (0, 0));
}

#[test]
fn other_protocols_yield_nothing() {
    let mut wire = Wire::new();
    wire.shake_hands(1_000, 2_000);
    wire.packet(true, ACK, 1_001, 2_001, b"HELO mail.test\r\n");
    wire.packet(false, ACK, 2_001, 1_017, b"250 ok\r\n");
    let (records, report) = wire.replay();
    assert!(records.is_empty() && report.lost.is_empty(), "{report:?}");
}

#[test]
fn floods_stay_bounded_and_what_is_forgotten_is_counted() {
    // More connections at once than are followed; each has asked, none was answered yet.
    let mut wire = Wire::new();
    for number in 0..20_000u32 {
        wire.client = ((number % 3) as u8 + 10, (number / 3) as u16 + 1_024);
        wire.packet(true, SYN, number, 0, b"");
        wire.packet(false, SYN | ACK, number, number + 1, b"");
        wire.packet(true, ACK, number + 1, number + 1, GET);
    }
    let (records, report) = wire.replay();
    assert!(records.is_empty());
    assert_eq!(report.lost["unanswered"], 20_000);
    assert_eq!(report.lost["storage_failed"], 4_096);
    // A flood of SYNs pushes out nothing that speaks HTTP.
    let mut wire = Wire::new();
    wire.shake_hands(1_000, 2_000);
    wire.exchange((1_000, 2_000), 0);
    for number in 0..40_000u32 {
        wire.client = ((number % 200) as u8 + 10, (number / 200) as u16 + 1_024);
        wire.packet(true, SYN, number, 0, b"");
    }
    wire.client = CLIENT;
    wire.exchange((1_000, 2_000), 1);
    let (records, report) = wire.replay();
    assert_eq!(records.len(), 2);
    assert!(report.lost.is_empty(), "{report:?}");
}
