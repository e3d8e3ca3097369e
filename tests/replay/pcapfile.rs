//! Takes captures apart and writes them in any container, so that tests can change both.

/// One captured packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub unix_ns: u64,
    pub wire_len: u32,
    pub bytes: Vec<u8>,
}

/// Packets of one link type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packets {
    pub link: u32,
    pub packets: Vec<Packet>,
}

/// Byte order of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Little,
    Big,
}

pub use Order::{Big, Little};

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Takes apart a little-endian pcap file, as tcpdump writes it here.
pub fn read(file: &[u8]) -> Packets {
    let nanoseconds = match u32_at(file, 0) {
        0xa1b2_c3d4 => false,
        0xa1b2_3c4d => true,
        other => panic!("not a recorded capture: {other:x}"),
    };
    let mut packets = Vec::new();
    let mut at = 24;
    while at < file.len() {
        let fraction = u64::from(u32_at(file, at + 4)) * if nanoseconds { 1 } else { 1_000 };
        let len = u32_at(file, at + 8) as usize;
        packets.push(Packet {
            unix_ns: u64::from(u32_at(file, at)) * 1_000_000_000 + fraction,
            wire_len: u32_at(file, at + 12),
            bytes: file[at + 16..at + 16 + len].to_vec(),
        });
        at += 16 + len;
    }
    Packets {
        link: u32_at(file, 20),
        packets,
    }
}

/// Appends numbers in a byte order.
struct Writer {
    order: Order,
    out: Vec<u8>,
}

impl Writer {
    fn u16(&mut self, value: u16) {
        self.out.extend(match self.order {
            Little => value.to_le_bytes(),
            Big => value.to_be_bytes(),
        });
    }

    fn u32(&mut self, value: u32) {
        self.out.extend(match self.order {
            Little => value.to_le_bytes(),
            Big => value.to_be_bytes(),
        });
    }

    fn u64(&mut self, value: u64) {
        self.out.extend(match self.order {
            Little => value.to_le_bytes(),
            Big => value.to_be_bytes(),
        });
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.out.resize(self.out.len().next_multiple_of(4), 0);
    }

    /// A pcapng block around what `body` writes.
    fn block(&mut self, kind: u32, body: impl FnOnce(&mut Self)) {
        self.u32(kind);
        let start = self.out.len();
        self.u32(0);
        body(self);
        let len = (self.out.len() - start + 8) as u32;
        self.u32(len);
        let bytes = match self.order {
            Little => len.to_le_bytes(),
            Big => len.to_be_bytes(),
        };
        self.out[start..start + 4].copy_from_slice(&bytes);
    }
}

/// Writes a pcap file.
pub fn pcap(packets: &Packets, order: Order, nanoseconds: bool) -> Vec<u8> {
    let mut file = Writer {
        order,
        out: Vec::new(),
    };
    file.u32(if nanoseconds {
        0xa1b2_3c4d
    } else {
        0xa1b2_c3d4
    });
    file.u16(2);
    file.u16(4);
    file.u32(0);
    file.u32(0);
    file.u32(262_144);
    file.u32(packets.link);
    for packet in &packets.packets {
        let fraction = packet.unix_ns % 1_000_000_000;
        file.u32((packet.unix_ns / 1_000_000_000) as u32);
        file.u32((fraction / if nanoseconds { 1 } else { 1_000 }) as u32);
        file.u32(packet.bytes.len() as u32);
        file.u32(packet.wire_len);
        file.out.extend_from_slice(&packet.bytes);
    }
    file.out
}

/// A pcapng interface.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    pub link: u32,
    /// `if_tsresol`.
    pub resolution: u8,
    /// `if_tsoffset`, seconds.
    pub offset_seconds: i64,
}

impl Interface {
    fn units(&self, unix_ns: u64) -> u64 {
        let ns = u128::from(unix_ns) - self.offset_seconds as u128 * 1_000_000_000;
        let exponent = u32::from(self.resolution & 0x7f);
        let per_second = if self.resolution & 0x80 == 0 {
            10u128.pow(exponent)
        } else {
            1 << exponent
        };
        (ns * per_second).div_ceil(1_000_000_000) as u64
    }
}

/// Writes a pcapng file; each packet stands under the interface that `which` names.
pub fn pcapng(
    parts: &[(Interface, &Packets)],
    order: Order,
    which: impl Fn(usize) -> usize,
) -> Vec<u8> {
    let mut file = Writer {
        order,
        out: Vec::new(),
    };
    file.block(0x0a0d_0d0a, |block| {
        block.u32(0x1a2b_3c4d);
        block.u16(1);
        block.u16(0);
        block.u64(u64::MAX);
    });
    for (interface, _) in parts {
        file.block(1, |block| {
            block.u16(interface.link as u16);
            block.u16(0);
            block.u32(0);
            block.u16(9);
            block.u16(1);
            block.padded(&[interface.resolution]);
            block.u16(14);
            block.u16(8);
            block.u64(interface.offset_seconds as u64);
            block.u32(0);
        });
    }
    // A block that nobody knows, and statistics: both are passed over.
    file.block(0x7777, |block| block.padded(b"anything"));
    for index in 0..parts[0].1.packets.len() {
        let which = which(index);
        let (interface, packets) = &parts[which];
        let packet = &packets.packets[index];
        let units = interface.units(packet.unix_ns);
        file.block(6, |block| {
            block.u32(which as u32);
            block.u32((units >> 32) as u32);
            block.u32(units as u32);
            block.u32(packet.bytes.len() as u32);
            block.u32(packet.wire_len);
            block.padded(&packet.bytes);
        });
    }
    file.out
}

/// Writes a pcapng file of Simple Packet Blocks, which have no times.
pub fn pcapng_simple(packets: &Packets) -> Vec<u8> {
    let interface = Interface {
        link: packets.link,
        resolution: 6,
        offset_seconds: 0,
    };
    let none = Packets {
        link: packets.link,
        packets: Vec::new(),
    };
    let mut file = Writer {
        order: Little,
        out: pcapng(&[(interface, &none)], Little, |_| 0),
    };
    for packet in &packets.packets {
        file.block(3, |block| {
            block.u32(packet.wire_len);
            block.padded(&packet.bytes);
        });
    }
    file.out
}
