//! A frame → its TCP segment: link layer, VLANs, IPv4, IPv6, TCP, in whatever state they are.

use etherparse::{
    EtherType, LaxNetSlice, LaxSlicedPacket, TransportSlice,
    err::{Layer, packet::SliceError},
    ether_type, ip_number,
};
use weir_common::flow::{Addr, v4_mapped};

use super::capture::Frame;

/// An address with a port.
pub type End = (Addr, u16);

/// A TCP segment as far as it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Sender.
    pub source: End,
    /// Receiver.
    pub destination: End,
    /// Sequence number of the segment (of its SYN, if it has one).
    pub seq: u32,
    /// Acknowledgment number, if the ACK flag is set.
    pub ack: Option<u32>,
    /// SYN flag.
    pub syn: bool,
    /// FIN flag.
    pub fin: bool,
    /// RST flag.
    pub rst: bool,
    /// Payload bytes that were captured, from the first one on.
    pub captured: &'a [u8],
    /// Length of the payload on the wire, bytes.
    pub payload_len: u32,
}

/// What a payload begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// A request line.
    Request,
    /// A status line.
    Response,
}

impl Segment<'_> {
    /// The HTTP message that the payload seems to begin with, by its first word.
    pub fn begins_message(&self) -> Option<Message> {
        const METHODS: [&[u8]; 9] = [
            b"GET ",
            b"HEAD ",
            b"POST ",
            b"PUT ",
            b"DELETE ",
            b"CONNECT ",
            b"OPTIONS ",
            b"TRACE ",
            b"PATCH ",
        ];
        if METHODS
            .iter()
            .any(|method| self.captured.starts_with(method))
        {
            return Some(Message::Request);
        }
        self.captured
            .starts_with(b"HTTP/1.")
            .then_some(Message::Response)
    }
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A TCP segment.
    Tcp(Segment<'a>),
    /// Something that is not TCP over IP.
    Other,
    /// Not readable; why, in one word.
    Unreadable(&'static str),
}

/// Link types (tcpdump's LINKTYPE_ numbers).
mod link {
    pub const NULL: i32 = 0;
    pub const ETHERNET: i32 = 1;
    /// Raw IP as OpenBSD and others number it.
    pub const RAW_BSD: [i32; 2] = [12, 14];
    pub const RAW: i32 = 101;
    pub const LOOP: i32 = 108;
    pub const LINUX_COOKED: i32 = 113;
    pub const IPV4: i32 = 228;
    pub const IPV6: i32 = 229;
    pub const LINUX_COOKED_2: i32 = 276;
}

/// Finds the TCP segment in a frame.
pub fn decode<'a>(frame: &Frame<'a>) -> Decoded<'a> {
    let bytes = frame.bytes;
    let sliced = match frame.link {
        link::ETHERNET => LaxSlicedPacket::from_ethernet(bytes).ok(),
        link::NULL | link::LOOP => bytes.get(4..).and_then(ip),
        link::RAW | link::IPV4 | link::IPV6 => ip(bytes),
        raw if link::RAW_BSD.contains(&raw) => ip(bytes),
        link::LINUX_COOKED => cooked(bytes),
        link::LINUX_COOKED_2 => cooked_2(bytes),
        _ => return Decoded::Unreadable("link_type"),
    };
    sliced.map_or(Decoded::Unreadable("truncated"), |sliced| {
        segment_of(&sliced, frame)
    })
}

/// A bare IP packet; anything else under this link type is not ours.
fn ip(bytes: &[u8]) -> Option<LaxSlicedPacket<'_>> {
    let kind = match bytes.first()? >> 4 {
        4 => ether_type::IPV4,
        6 => ether_type::IPV6,
        _ => EtherType(0),
    };
    Some(LaxSlicedPacket::from_ether_type(kind, bytes))
}

/// `tcpdump -i any`, first version: the protocol is the last field.
fn cooked(bytes: &[u8]) -> Option<LaxSlicedPacket<'_>> {
    const LEN: usize = 16;
    let header = bytes.get(..LEN)?;
    let kind = u16::from_be_bytes([header[14], header[15]]);
    Some(LaxSlicedPacket::from_ether_type(
        EtherType(kind),
        &bytes[LEN..],
    ))
}

/// `tcpdump -i any`, second version: the protocol is the first field.
fn cooked_2(bytes: &[u8]) -> Option<LaxSlicedPacket<'_>> {
    const LEN: usize = 20;
    let payload = bytes.get(LEN..)?;
    let kind = u16::from_be_bytes([bytes[0], bytes[1]]);
    Some(LaxSlicedPacket::from_ether_type(EtherType(kind), payload))
}

/// The facts of an IP header that TCP needs.
struct Network {
    source: Addr,
    destination: Addr,
    /// Bytes behind the header and its extensions on the wire; `None` if the header lies.
    payload_len: Option<usize>,
    is_tcp: bool,
    fragmented: bool,
}

fn segment_of<'a>(sliced: &LaxSlicedPacket<'a>, frame: &Frame<'a>) -> Decoded<'a> {
    let network = match &sliced.net {
        Some(net) => network_of(net, frame),
        None => return no_network(sliced),
    };
    let Some(network) = network else {
        return Decoded::Other;
    };
    if !network.is_tcp {
        return match &sliced.stop_err {
            // What the extension headers lead to could have been TCP.
            Some((_, layer)) if is_extension(*layer) => Decoded::Unreadable(why(&sliced.stop_err)),
            _ => Decoded::Other,
        };
    }
    if network.fragmented {
        return Decoded::Unreadable("fragment");
    }
    let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else {
        return Decoded::Unreadable(why(&sliced.stop_err));
    };
    let payload_len = network
        .payload_len
        .and_then(|len| len.checked_sub(tcp.header_slice().len()));
    let Some(payload_len) = payload_len else {
        return Decoded::Unreadable("malformed");
    };
    let captured = tcp.payload();
    Decoded::Tcp(Segment {
        source: (network.source, tcp.source_port()),
        destination: (network.destination, tcp.destination_port()),
        seq: tcp.sequence_number(),
        ack: tcp.ack().then(|| tcp.acknowledgment_number()),
        syn: tcp.syn(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        captured: &captured[..captured.len().min(payload_len)],
        payload_len: u32::try_from(payload_len).unwrap_or(u32::MAX),
    })
}

/// No IP header was found: either there is none, or it is damaged.
fn no_network<'a>(sliced: &LaxSlicedPacket<'_>) -> Decoded<'a> {
    match sliced.stop_err {
        Some(_) => Decoded::Unreadable(why(&sliced.stop_err)),
        None => Decoded::Other,
    }
}

fn is_extension(layer: Layer) -> bool {
    matches!(
        layer,
        Layer::IpAuthHeader
            | Layer::Ipv6ExtHeader
            | Layer::Ipv6HopByHopHeader
            | Layer::Ipv6DestOptionsHeader
            | Layer::Ipv6RouteHeader
            | Layer::Ipv6FragHeader
    )
}

fn why(stop: &Option<(SliceError, Layer)>) -> &'static str {
    match stop {
        Some((SliceError::Len(_), _)) => "truncated",
        _ => "malformed",
    }
}

fn network_of(net: &LaxNetSlice<'_>, frame: &Frame<'_>) -> Option<Network> {
    match net {
        LaxNetSlice::Ipv4(v4) => {
            let header = v4.header();
            let payload = v4.payload();
            let extensions = behind(frame, payload.payload)
                .checked_sub(behind(frame, header.slice()) + header.slice().len());
            // Offloaded packets over 64 KiB carry the length 0.
            let len = match usize::from(header.total_len()) {
                0 => frame.wire_len.checked_sub(behind(frame, header.slice())),
                len => Some(len),
            };
            Some(Network {
                source: v4_mapped(header.source()),
                destination: v4_mapped(header.destination()),
                payload_len: len
                    .and_then(|len| len.checked_sub(header.slice().len()))
                    .zip(extensions)
                    .and_then(|(len, extensions)| len.checked_sub(extensions)),
                is_tcp: payload.ip_number == ip_number::TCP,
                fragmented: payload.fragmented,
            })
        }
        LaxNetSlice::Ipv6(v6) => {
            let header = v6.header();
            let payload = v6.payload();
            let start = behind(frame, header.slice()) + header.slice().len();
            let extensions = behind(frame, payload.payload).checked_sub(start);
            let len = match usize::from(header.payload_length()) {
                0 => frame.wire_len.checked_sub(start),
                len => Some(len),
            };
            Some(Network {
                source: header.source(),
                destination: header.destination(),
                payload_len: len
                    .zip(extensions)
                    .and_then(|(len, extensions)| len.checked_sub(extensions)),
                is_tcp: payload.ip_number == ip_number::TCP,
                fragmented: payload.fragmented,
            })
        }
        LaxNetSlice::Arp(_) => None,
    }
}

/// Where `part` begins in the frame it is a part of, bytes.
fn behind(frame: &Frame<'_>, part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(frame.bytes.as_ptr() as usize)
}
