//! IP and TCP headers, by direct packet access.

use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_skb_load_bytes};
use network_types::{
    ip::{Ipv4Hdr, Ipv6Hdr},
    tcp::TcpHdr,
    udp::UdpHdr,
};
use weir_common::{flow::Addr, flow::v4_mapped, policy::transport};

/// TCP flag bits as they stand on the wire.
pub mod tcp_flag {
    /// FIN
    pub const FIN: u8 = 1;
    /// SYN
    pub const SYN: u8 = 2;
    /// RST
    pub const RST: u8 = 4;
    /// ACK
    pub const ACK: u8 = 16;
}

/// What is needed of a TCP segment or UDP datagram.
#[derive(Clone, Copy)]
pub struct Packet {
    /// Where the payload begins in the skb.
    pub payload_at: u32,
    /// Payload bytes, of a whole GSO aggregate.
    pub payload_len: u32,
    /// TCP sequence number.
    pub seq: u32,
    /// Bits of [`tcp_flag`].
    pub flags: u8,
    /// [`transport`]
    pub transport: u8,
    /// 4 or 6.
    pub version: u8,
    /// Source port, host order.
    pub source: u16,
    /// Destination port, host order.
    pub destination: u16,
}

#[inline(always)]
fn header<T>(skb: *mut __sk_buff, at: usize) -> Option<*const T> {
    // SAFETY: the context outlives the program; the verifier checks the bounds below.
    let (data, end) = unsafe { ((*skb).data as usize, (*skb).data_end as usize) };
    let start = data + at;
    if start + size_of::<T>() > end {
        return None;
    }
    Some(start as *const T)
}

/// Reads the headers; `None` for what is neither TCP nor UDP over IP.
#[inline(always)]
pub fn parse(skb: *mut __sk_buff) -> Option<Packet> {
    let ip: *const Ipv4Hdr = header(skb, 0)?;
    // SAFETY: `header` proved the bounds of each struct; fields are bytes.
    let (version, ihl, protocol) = unsafe { ((*ip).vihl >> 4, (*ip).vihl & 15, (*ip).proto) };
    let (l4_at, protocol) = if version == 4 {
        // SAFETY: as above.
        let fragment = unsafe { (((*ip).frags[0] & 0x1f) as u16) | (*ip).frags[1] as u16 };
        if fragment != 0 {
            return None;
        }
        ((ihl as usize) << 2, protocol)
    } else {
        let ip: *const Ipv6Hdr = header(skb, 0)?;
        // SAFETY: as above.
        (40, unsafe { (*ip).next_hdr })
    };
    if protocol == transport::UDP {
        return udp(skb, l4_at, version);
    }
    if protocol != transport::TCP {
        return None;
    }
    let tcp: *const TcpHdr = header(skb, l4_at)?;
    // SAFETY: as above; the data offset and flags are bytes 12 and 13 (RFC 9293, section 3.1).
    let (offset, flags, seq, source, destination) = unsafe {
        let bytes = tcp.cast::<u8>();
        (
            *bytes.add(12) >> 4,
            *bytes.add(13),
            u32::from_be_bytes((*tcp).seq),
            u16::from_be_bytes((*tcp).source),
            u16::from_be_bytes((*tcp).dest),
        )
    };
    let payload_at = l4_at as u32 + ((offset as u32) << 2);
    // SAFETY: the context outlives the program.
    let len = unsafe { (*skb).len };
    let payload_len = len.saturating_sub(payload_at);
    Some(Packet {
        payload_at,
        payload_len,
        seq,
        flags,
        transport: transport::TCP,
        version,
        source,
        destination,
    })
}

#[inline(always)]
fn udp(skb: *mut __sk_buff, l4_at: usize, version: u8) -> Option<Packet> {
    let udp: *const UdpHdr = header(skb, l4_at)?;
    // SAFETY: `header` proved the bounds.
    let (source, destination) = unsafe {
        (
            u16::from_be_bytes((*udp).src),
            u16::from_be_bytes((*udp).dst),
        )
    };
    let payload_at = l4_at as u32 + 8;
    // SAFETY: the context outlives the program.
    let len = unsafe { (*skb).len };
    Some(Packet {
        payload_at,
        payload_len: len.saturating_sub(payload_at),
        seq: 0,
        flags: 0,
        transport: transport::UDP,
        version,
        source,
        destination,
    })
}

/// False for datagrams whose first bytes cannot be DNS: quick, for every datagram of the host.
#[inline(always)]
pub fn may_be_dns(skb: *mut __sk_buff, packet: &Packet) -> bool {
    // A header of twelve bytes, one of seventeen with a question.
    if packet.payload_len < 12 {
        return false;
    }
    let Some(bytes) = header::<[u8; 6]>(skb, packet.payload_at as usize) else {
        // Not in the linear part: the reader loads it.
        return true;
    };
    // SAFETY: `header` proved the bounds.
    let (flags, questions) = unsafe { ((*bytes)[2], [(*bytes)[4], (*bytes)[5]]) };
    // A standard query or its answer, with one question.
    flags & 0x78 == 0 && questions[0] == 0 && questions[1] <= 1
}

/// Source and destination address of a parsed packet.
#[inline(always)]
pub fn addresses(skb: *mut __sk_buff, version: u8) -> Option<(Addr, Addr)> {
    if version == 4 {
        let ip: *const Ipv4Hdr = header(skb, 0)?;
        // SAFETY: `header` proved the bounds.
        return Some(unsafe { (v4_mapped((*ip).src_addr), v4_mapped((*ip).dst_addr)) });
    }
    let ip: *const Ipv6Hdr = header(skb, 0)?;
    // SAFETY: `header` proved the bounds.
    Some(unsafe { ((*ip).src_addr, (*ip).dst_addr) })
}

/// Writes an address of a parsed packet in place: copies would fill a program's stack.
///
/// By a helper rather than by direct access, because the compiler hands packet pointers to
/// functions as numbers.
#[inline(always)]
pub fn write_address(skb: *mut __sk_buff, version: u8, end: End, addr: &mut Addr) -> bool {
    let is_source = matches!(end, End::Source);
    let (at, from) = match version {
        4 if is_source => (12, 12),
        4 => (16, 12),
        _ if is_source => (8, 0),
        _ => (24, 0),
    };
    *addr = if version == 4 {
        v4_mapped([0; 4])
    } else {
        [0; 16]
    };
    // SAFETY: four bytes from the twelfth on, or all sixteen.
    let result = unsafe {
        bpf_skb_load_bytes(
            skb.cast(),
            at,
            addr.as_mut_ptr().add(from).cast(),
            16 - from as u32,
        )
    };
    result == 0
}

/// One end of a packet.
#[derive(Clone, Copy)]
pub enum End {
    /// Who sent it.
    Source,
    /// Who is to get it.
    Destination,
}
