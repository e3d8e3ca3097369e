//! The same traffic in other containers and under other link layers gives the same exchanges.

use weir::observe::model::Exchange;

use crate::{
    capture,
    pcapfile::{Big, Interface, Little, Packet, Packets, pcap, pcapng, pcapng_simple, read},
    replay,
};

/// Captures on Ethernet that the tests rewrap.
const SAMPLES: [&str; 4] = [
    "keepalive.pcap",
    "ipv6.pcap",
    "odd-answers.pcap",
    "snaplen.pcap",
];

fn exchanges(file: &[u8], what: &str) -> Vec<Exchange> {
    let (exchanges, report) = replay(file);
    assert_eq!(report.damaged, None, "{what}");
    assert!(report.unreadable.is_empty(), "{what}: {report:?}");
    assert!(report.lost.is_empty(), "{what}: {report:?}");
    exchanges
}

#[test]
fn every_container_holds_the_same() {
    for name in SAMPLES {
        let original = capture(name);
        let expected = exchanges(&original, name);
        let packets = read(&original);
        for order in [Little, Big] {
            let what = format!("{name}, {order:?}");
            assert_eq!(exchanges(&pcap(&packets, order, true), &what), expected);
            for (resolution, offset_seconds) in
                [(9, 0), (6, 0), (10, 0), (0x80 | 33, 0), (9, 1_000_000)]
            {
                let interface = Interface {
                    link: packets.link,
                    resolution,
                    offset_seconds,
                };
                let file = pcapng(&[(interface, &packets)], order, |_| 0);
                let found = exchanges(&file, &what);
                assert_same_but_rounded(&found, &expected, &format!("{what}, {interface:?}"));
            }
        }
    }
}

/// Equal, with times that may differ by a microsecond.
fn assert_same_but_rounded(found: &[Exchange], expected: &[Exchange], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (a, b) in found.iter().zip(expected) {
        assert!((a.ts - b.ts).abs() < 2e-6, "{what}: {} {}", a.ts, b.ts);
        assert!(a.duration_ns.abs_diff(b.duration_ns) < 2_000, "{what}");
        assert_eq!(untimed(a), untimed(b), "{what}");
    }
}

fn untimed(exchange: &Exchange) -> Exchange {
    Exchange {
        ts: 0.0,
        started_unix_ns: 0,
        duration_ns: 0,
        time_to_first_byte_ns: None,
        queue_ns: None,
        ..exchange.clone()
    }
}

#[test]
fn packets_without_times_are_read() {
    for name in SAMPLES.iter().filter(|name| !name.starts_with("snaplen")) {
        let packets = read(&capture(name));
        let found = exchanges(&pcapng_simple(&packets), name);
        let expected = exchanges(&capture(name), name);
        let untimed = |all: &[Exchange]| all.iter().map(untimed).collect::<Vec<_>>();
        assert_eq!(untimed(&found), untimed(&expected), "{name}");
    }
}

/// Changes the link layer of Ethernet frames: what stands before the IP header.
fn rewrap(packets: &Packets, link: u32, header: impl Fn(u16) -> Vec<u8>) -> Packets {
    let rewrap = |packet: &Packet| {
        let kind = u16::from_be_bytes([packet.bytes[12], packet.bytes[13]]);
        let mut bytes = header(kind);
        let wire_len = packet.wire_len - 14 + bytes.len() as u32;
        bytes.extend_from_slice(&packet.bytes[14..]);
        Packet {
            unix_ns: packet.unix_ns,
            wire_len,
            bytes,
        }
    };
    Packets {
        link,
        packets: packets.packets.iter().map(rewrap).collect(),
    }
}

/// A link type with the header that stands before a packet of an EtherType.
type LinkLayer = (u32, &'static str, fn(u16) -> Vec<u8>);

const LINK_LAYERS: [LinkLayer; 12] = [
    (1, "802.1Q", |kind| ethernet(&[0x8100, 0x0007, kind])),
    (1, "802.1ad", |kind| {
        ethernet(&[0x88a8, 0x0007, 0x8100, 0x0123, kind])
    }),
    (1, "802.1Q twice", |kind| {
        ethernet(&[0x8100, 0x0007, 0x8100, 0x0123, kind])
    }),
    (0, "BSD loopback", |kind| {
        let family: u32 = if kind == 0x0800 { 2 } else { 30 };
        family.to_le_bytes().to_vec()
    }),
    (108, "OpenBSD loopback", |kind| {
        let family: u32 = if kind == 0x0800 { 2 } else { 24 };
        family.to_be_bytes().to_vec()
    }),
    (101, "raw IP", |_| Vec::new()),
    (12, "raw IP, OpenBSD's number", |_| Vec::new()),
    (14, "raw IP, another number", |_| Vec::new()),
    (113, "cooked", |kind| {
        let mut header = vec![0, 0, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0];
        header.extend(kind.to_be_bytes());
        header
    }),
    (276, "cooked, second version", |kind| {
        let mut header = kind.to_be_bytes().to_vec();
        header.extend([0, 0, 0, 0, 0, 1, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0]);
        header
    }),
    (113, "cooked with a VLAN", |kind| {
        let mut header = vec![0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0];
        header.extend([0x81, 0, 0, 5]);
        header.extend(kind.to_be_bytes());
        header
    }),
    (
        1 | 0x1400_0000,
        "Ethernet with FCS bits in the link type",
        |kind| ethernet(&[kind]),
    ),
];

fn ethernet(kinds: &[u16]) -> Vec<u8> {
    let mut header = vec![2; 12];
    header.extend(kinds.iter().flat_map(|kind| kind.to_be_bytes()));
    header
}

#[test]
fn every_link_layer_carries_the_same() {
    for name in SAMPLES {
        let original = capture(name);
        let expected = exchanges(&original, name);
        let packets = read(&original);
        for (link, what, header) in LINK_LAYERS {
            let file = pcap(&rewrap(&packets, link, header), Little, true);
            assert_eq!(exchanges(&file, what), expected, "{name} as {what}");
        }
    }
}

#[test]
fn interfaces_of_one_file_are_told_apart() {
    let ethernet = read(&capture("keepalive.pcap"));
    let raw = rewrap(&ethernet, 101, |_| Vec::new());
    let cooked = rewrap(&ethernet, 276, LINK_LAYERS[9].2);
    let parts = [
        (
            Interface {
                link: 1,
                resolution: 9,
                offset_seconds: 0,
            },
            &ethernet,
        ),
        (
            Interface {
                link: 101,
                resolution: 0x80 | 33,
                offset_seconds: 0,
            },
            &raw,
        ),
        (
            Interface {
                link: 276,
                resolution: 6,
                offset_seconds: 5,
            },
            &cooked,
        ),
    ];
    let expected = exchanges(&capture("keepalive.pcap"), "original");
    let found = exchanges(
        &pcapng(&parts, Little, |index| index % 3),
        "three interfaces",
    );
    assert_same_but_rounded(&found, &expected, "three interfaces");
    // An interface that the file never describes.
    let mut file = pcapng(&parts[..1], Little, |_| 0);
    let last = file.len() - 4;
    let len = u32::from_le_bytes(file[last..].try_into().unwrap()) as usize;
    let start = file.len() - len;
    file[start + 8] = 9;
    let (_, report) = replay(&file);
    assert_eq!(report.unreadable["interface"], 1);
}

#[test]
fn offloaded_packets_without_a_length_are_measured_by_the_frame() {
    let mut packets = read(&capture("snaplen.pcap"));
    for packet in &mut packets.packets {
        // Big TCP leaves the total length at 0 when it does not fit into 16 bits.
        packet.bytes[16..18].copy_from_slice(&[0, 0]);
    }
    let expected = exchanges(&capture("snaplen.pcap"), "original");
    assert_eq!(
        exchanges(&pcap(&packets, Little, true), "zero lengths"),
        expected
    );
    let mut packets = read(&capture("ipv6.pcap"));
    for packet in &mut packets.packets {
        packet.bytes[18..20].copy_from_slice(&[0, 0]);
    }
    let expected = exchanges(&capture("ipv6.pcap"), "original");
    assert_eq!(
        exchanges(&pcap(&packets, Little, true), "zero lengths"),
        expected
    );
}

#[test]
fn padding_and_options_are_no_payload() {
    let mut packets = read(&capture("keepalive.pcap"));
    for packet in &mut packets.packets {
        packet.bytes.extend([0xee; 24]);
        packet.wire_len += 24;
    }
    let expected = exchanges(&capture("keepalive.pcap"), "original");
    assert_eq!(
        exchanges(&pcap(&packets, Little, true), "padding"),
        expected
    );
    for packet in &mut packets.packets {
        // Eight bytes of IPv4 options (no operation).
        packet.bytes.splice(34..34, [1; 8]);
        packet.bytes[14] = 0x47;
        let len = u16::from_be_bytes([packet.bytes[16], packet.bytes[17]]) + 8;
        packet.bytes[16..18].copy_from_slice(&len.to_be_bytes());
        packet.wire_len += 8;
    }
    assert_eq!(
        exchanges(&pcap(&packets, Little, true), "options"),
        expected
    );
}

#[test]
fn ipv6_extension_headers_are_passed_over() {
    let mut packets = read(&capture("ipv6.pcap"));
    for packet in &mut packets.packets {
        // Hop-by-hop options, then destination options, 8 bytes each.
        packet
            .bytes
            .splice(54..54, [60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0]);
        packet.bytes[20] = 0;
        let len = u16::from_be_bytes([packet.bytes[18], packet.bytes[19]]) + 16;
        packet.bytes[18..20].copy_from_slice(&len.to_be_bytes());
        packet.wire_len += 16;
    }
    let expected = exchanges(&capture("ipv6.pcap"), "original");
    assert_eq!(
        exchanges(&pcap(&packets, Little, true), "extensions"),
        expected
    );
}

#[test]
fn fragments_are_counted_as_unreadable() {
    let mut packets = read(&capture("keepalive.pcap"));
    let count = packets.packets.len() as u64;
    for packet in &mut packets.packets {
        packet.bytes[20] = 0x20; // more fragments
    }
    let (exchanges, report) = replay(&pcap(&packets, Little, true));
    assert!(exchanges.is_empty());
    assert_eq!(report.unreadable["fragment"], count);
    assert!(!report.is_whole());
}

#[test]
fn unknown_link_types_are_counted_as_unreadable() {
    let mut packets = read(&capture("keepalive.pcap"));
    packets.link = 147;
    let (exchanges, report) = replay(&pcap(&packets, Little, true));
    assert!(exchanges.is_empty());
    assert_eq!(report.unreadable["link_type"], report.packets);
}

#[test]
fn a_connection_seen_at_two_places_counts_once() {
    let mut packets = read(&capture("keepalive.pcap"));
    let translated: Vec<Packet> = packets.packets.iter().map(translate).collect();
    packets.packets = packets
        .packets
        .iter()
        .cloned()
        .zip(translated)
        .flat_map(|(before, after)| [before, after])
        .collect();
    let (found, report) = replay(&pcap(&packets, Little, true));
    assert_eq!(found, exchanges(&capture("keepalive.pcap"), "original"));
    assert_eq!(report.mirrored, 1);
    assert!(report.lost.is_empty());
}

/// The packet behind an address translation: other addresses, same sequence numbers.
fn translate(packet: &Packet) -> Packet {
    let mut packet = packet.clone();
    let from_server = packet.bytes[34..36] == 8080u16.to_be_bytes();
    let (client, server) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let (from, to) = if from_server {
        (server, client)
    } else {
        (client, server)
    };
    packet.bytes[26..30].copy_from_slice(&from);
    packet.bytes[30..34].copy_from_slice(&to);
    packet
}
