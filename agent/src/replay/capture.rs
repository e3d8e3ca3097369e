//! A capture file as a stream of frames: pcap (both byte orders, µs and ns) and pcapng.
//!
//! Memory is bounded by [`MAX_BLOCK`], whatever the file's size or its length fields say.

use std::io::Read;

use anyhow::{Result, bail};
use pcap_parser::{
    Block, InterfaceDescriptionBlock, PcapBlockOwned, PcapError, create_reader,
    traits::PcapReaderIterator,
};

/// Room for blocks at the start.
const FIRST_ROOM: usize = 256 << 10;

/// Longest block that is believed; tcpdump's largest packet is 256 KiB.
const MAX_BLOCK: usize = 16 << 20;

/// A captured frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Unix time, ns.
    pub unix_ns: u64,
    /// Link type (tcpdump's LINKTYPE_ numbers).
    pub link: i32,
    /// What was captured.
    pub bytes: &'a [u8],
    /// Length on the wire, bytes.
    pub wire_len: usize,
}

/// What comes next in a capture.
#[derive(Debug)]
pub enum Item<'a> {
    /// A frame.
    Frame(Frame<'a>),
    /// A record that cannot be read, passed over; why, in one word.
    Skipped(&'static str),
}

/// What a packet's interface says of it.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: i32,
    /// `if_tsresol`: power of ten, or of two with the top bit set.
    resolution: u8,
    offset_seconds: i64,
}

impl Interface {
    fn unix_ns(&self, units: u64) -> u64 {
        let exponent = u32::from(self.resolution & 0x7f);
        let scaled = u128::from(units) * 1_000_000_000;
        let ns = if self.resolution & 0x80 != 0 {
            scaled >> exponent
        } else {
            10u128.checked_pow(exponent).map_or(0, |unit| scaled / unit)
        };
        let ns = ns as i128 + i128::from(self.offset_seconds) * 1_000_000_000;
        ns.clamp(1, i128::from(u64::MAX)) as u64
    }
}

/// State that the records before have set.
#[derive(Debug)]
struct Section {
    interfaces: Vec<Interface>,
    big_endian: bool,
    ng: bool,
    latest_ns: u64,
}

/// Where a record's bytes stand, found before the reader's buffer is lent out.
enum Found {
    Frame { caplen: usize, frame: FrameHead },
    Skipped(&'static str),
    Nothing,
}

struct FrameHead {
    unix_ns: u64,
    link: i32,
    wire_len: usize,
    /// Where the packet begins in the record.
    at: usize,
}

/// Reads a capture frame by frame.
pub struct Capture<'r> {
    reader: Box<dyn PcapReaderIterator + Send + 'r>,
    section: Section,
    room: usize,
    /// Length of the record last handed out, which is given back on the next call.
    held: usize,
    damaged: Option<String>,
    unread_bytes: u64,
}

impl<'r> Capture<'r> {
    /// Opens a capture; an error if it is neither pcap nor pcapng.
    pub fn open<R: Read + Send + 'r>(input: R) -> Result<Self> {
        let reader = match create_reader(FIRST_ROOM, WholeReads(input)) {
            Ok(reader) => reader,
            Err(PcapError::Eof) => bail!("the file is empty"),
            Err(PcapError::ReadError) => bail!("the file cannot be read"),
            Err(PcapError::Incomplete(_)) => bail!("the file ends within the capture's header"),
            Err(_) => bail!("neither pcap nor pcapng"),
        };
        Ok(Self {
            reader,
            section: Section {
                interfaces: Vec::new(),
                big_endian: false,
                ng: false,
                latest_ns: 1,
            },
            room: FIRST_ROOM,
            held: 0,
            damaged: None,
            unread_bytes: 0,
        })
    }

    /// Why reading stopped before the end, if it did.
    pub fn damaged(&self) -> Option<&str> {
        self.damaged.as_deref()
    }

    /// The next frame or unreadable record; `None` at the end or where the damage begins.
    pub fn next_item(&mut self) -> Option<Item<'_>> {
        loop {
            let held = std::mem::take(&mut self.held);
            self.reader.consume(held);
            if self.damaged.is_some() {
                return None;
            }
            let (len, found) = match self.reader.next() {
                Ok((len, block)) => (len, self.section.take(&block, len)),
                Err(PcapError::Eof) => return None,
                Err(error) => {
                    let trouble = Trouble::of(&error);
                    match self.section.block_len(self.reader.data()) {
                        Some(len) => (len, Found::Skipped("block")),
                        None => {
                            self.overcome(trouble);
                            continue;
                        }
                    }
                }
            };
            self.held = len;
            match found {
                Found::Nothing => {}
                Found::Skipped(why) => return Some(Item::Skipped(why)),
                Found::Frame { caplen, frame } => return Some(self.lend(frame, caplen)),
            }
        }
    }

    fn lend(&self, frame: FrameHead, caplen: usize) -> Item<'_> {
        let bytes = self.reader.data().get(frame.at..frame.at + caplen);
        bytes.map_or(Item::Skipped("block"), |bytes| {
            Item::Frame(Frame {
                unix_ns: frame.unix_ns,
                link: frame.link,
                bytes,
                wire_len: frame.wire_len.max(caplen),
            })
        })
    }

    fn overcome(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::NeedsMore => self.read_more(),
            Trouble::NeedsRoom => self.grow(),
            Trouble::Fatal(why) => self.stop(why),
        }
    }

    fn read_more(&mut self) {
        let before = self.reader.data().len();
        if self.reader.refill().is_err() {
            self.stop("the file cannot be read");
            return;
        }
        if self.reader.data().len() == before && !self.reader.reader_exhausted() {
            self.grow();
        }
    }

    fn grow(&mut self) {
        if self.room >= MAX_BLOCK {
            self.stop("a record claims an impossible length");
            return;
        }
        self.room *= 4;
        self.reader.grow(self.room);
        if self.reader.refill().is_err() {
            self.stop("the file cannot be read");
        }
    }

    /// Gives up here, and counts what is left.
    fn stop(&mut self, why: &str) {
        let at = self.reader.consumed();
        loop {
            let rest = self.reader.data().len();
            self.unread_bytes += rest as u64;
            self.reader.consume(rest);
            if self.reader.refill().is_err() || self.reader.data().is_empty() {
                break;
            }
        }
        let rest = self.unread_bytes;
        self.damaged = Some(format!("{why}, at byte {at}; {rest} bytes not read"));
    }
}

impl Section {
    fn take(&mut self, block: &PcapBlockOwned<'_>, len: usize) -> Found {
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                self.interfaces = vec![Interface {
                    // The upper bits hold the length of the frame check sequence.
                    link: header.network.0 & 0xffff,
                    resolution: if header.is_nanosecond_precision() {
                        9
                    } else {
                        6
                    },
                    offset_seconds: 0,
                }];
                Found::Nothing
            }
            PcapBlockOwned::Legacy(packet) => {
                let nanoseconds = self.interfaces.first().is_some_and(|i| i.resolution == 9);
                let fraction = u64::from(packet.ts_usec) * if nanoseconds { 1 } else { 1_000 };
                let unix_ns = u64::from(packet.ts_sec) * 1_000_000_000 + fraction;
                let link = self.interfaces.first().map_or(-1, |i| i.link);
                let caplen = packet.data.len();
                self.frame(unix_ns, link, caplen, packet.origlen, len - caplen)
            }
            PcapBlockOwned::NG(block) => self.take_ng(block),
        }
    }

    fn take_ng(&mut self, block: &Block<'_>) -> Found {
        match block {
            Block::SectionHeader(header) => {
                self.ng = true;
                self.big_endian = header.big_endian();
                self.interfaces.clear();
                Found::Nothing
            }
            Block::InterfaceDescription(description) => {
                self.add_interface(description);
                Found::Nothing
            }
            Block::EnhancedPacket(packet) => {
                let Some(interface) = self.interfaces.get(packet.if_id as usize) else {
                    return Found::Skipped("interface");
                };
                let units = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                let (unix_ns, link) = (interface.unix_ns(units), interface.link);
                let caplen = packet.caplen as usize;
                if caplen > packet.data.len() {
                    return Found::Skipped("block");
                }
                self.frame(unix_ns, link, caplen, packet.origlen, 28)
            }
            Block::SimplePacket(packet) => {
                let Some(interface) = self.interfaces.first() else {
                    return Found::Skipped("interface");
                };
                let caplen = packet.data.len().min(packet.origlen as usize);
                let (unix_ns, link) = (self.latest_ns, interface.link);
                self.frame(unix_ns, link, caplen, packet.origlen, 12)
            }
            // The obsolete Packet Block, which the reader does not know.
            Block::Unknown(block) if block.block_type == 2 => Found::Skipped("block"),
            _ => Found::Nothing,
        }
    }

    fn frame(&mut self, ns: u64, link: i32, caplen: usize, wire: u32, at: usize) -> Found {
        self.latest_ns = ns.max(1);
        Found::Frame {
            caplen,
            frame: FrameHead {
                unix_ns: ns.max(1),
                link,
                wire_len: wire as usize,
                at,
            },
        }
    }

    fn add_interface(&mut self, description: &InterfaceDescriptionBlock<'_>) {
        let offset = description.if_tsoffset;
        self.interfaces.push(Interface {
            link: description.linktype.0,
            resolution: description.if_tsresol,
            // The reader takes it for little-endian always.
            offset_seconds: if self.big_endian {
                offset.swap_bytes()
            } else {
                offset
            },
        });
    }

    /// Length of a pcapng block whose content is damaged but whose two length fields agree.
    fn block_len(&self, data: &[u8]) -> Option<usize> {
        if !self.ng {
            return None;
        }
        let len_at = |at: usize| -> Option<usize> {
            let bytes: [u8; 4] = data.get(at..at.checked_add(4)?)?.try_into().ok()?;
            Some(if self.big_endian {
                u32::from_be_bytes(bytes) as usize
            } else {
                u32::from_le_bytes(bytes) as usize
            })
        };
        let len = len_at(4)?;
        (len >= 12 && len % 4 == 0 && len_at(len - 4)? == len).then_some(len)
    }
}

/// What an error of the reader asks for.
#[derive(Clone, Copy)]
enum Trouble {
    NeedsMore,
    NeedsRoom,
    Fatal(&'static str),
}

impl Trouble {
    fn of<I>(error: &PcapError<I>) -> Self {
        match error {
            PcapError::Incomplete(_) => Self::NeedsMore,
            PcapError::BufferTooSmall => Self::NeedsRoom,
            PcapError::UnexpectedEof => Self::Fatal("the file ends within a record"),
            PcapError::ReadError => Self::Fatal("the file cannot be read"),
            _ => Self::Fatal("a record makes no sense"),
        }
    }
}

/// Fills the buffer as far as it can, because the header is looked for in one read only.
struct WholeReads<R>(R);

impl<R: Read> Read for WholeReads<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if filled == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(filled)
    }
}
