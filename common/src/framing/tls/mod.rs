//! TLS (RFC 8446, RFC 5246): the handshake as one exchange, what it agreed on, how it failed.
//!
//! The exchange begins with the ClientHello and ends when the client and the server have both
//! finished, or one of them gave up. Behind it everything is encrypted: the connection turns
//! opaque and costs nothing more.
//!
//! Where a handshake ends depends on the version. TLS 1.3 encrypts all but the hellos; the client's
//! first encrypted record is its Finished. Before it, each side sends ChangeCipherSpec and one
//! encrypted handshake record, in either order.

mod hello;
mod record;

use bytemuck::{Pod, Zeroable};

use super::{
    conversation::Conversation,
    frames::{Frame, Protocol, means, outcome},
    stream::phase,
    window::{DATA_BYTES, Window},
};
use crate::flow::protocol;

/// Status of a handshake that was ended by an alert: this plus its description (RFC 8446, 6).
pub const ALERT: u16 = 5000;

/// Greatest status of an alert.
pub const ALERT_MAX: u16 = ALERT + 255;

/// Version 1.3 as it stands in records.
pub const TLS13: u16 = 0x0304;

/// Bytes of a record's type, version and length.
const HEADER_BYTES: usize = 5;

/// Most bytes of a record (RFC 5246, section 6.2.3).
const MAX_RECORD_BYTES: u64 = (1 << 14) + 2048;

/// Operation key of handshakes that agreed on a version and a cipher suite, both as they stand in
/// the ServerHello; without either, of those that came to no agreement.
pub const fn op(version: u16, cipher: u16) -> u64 {
    1 << 63 | (version as u64) << 16 | cipher as u64
}

/// Version and cipher suite of an operation; `None` if nothing was agreed on.
pub const fn agreed(op: u64) -> Option<(u16, u16)> {
    let (version, cipher) = ((op >> 16) as u16, op as u16);
    if version == 0 {
        None
    } else {
        Some((version, cipher))
    }
}

/// What the reader of handshakes remembers. Each direction writes its own half.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Memory {
    /// Client to server.
    client: Half,
    /// Server to client.
    server: Half,
}

/// See [`Memory`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
struct Half {
    /// Bytes behind the extensions up to the end of their record.
    rest: u32,
    /// Cipher suite of the server's hello.
    cipher: u16,
    /// Version of the hello.
    version: u16,
    /// Bits of [`fact`].
    facts: u8,
    /// Explicit padding.
    _pad: [u8; 3],
}

/// Bits of [`Half::facts`].
mod fact {
    /// The hello is being read, or was.
    pub const HELLO: u8 = 1;
    /// The reader stands at an extension of the hello.
    pub const IN_EXTENSIONS: u8 = 2;
    /// ChangeCipherSpec was sent.
    pub const ENCRYPTED: u8 = 4;
    /// Finished was sent, before version 1.3.
    pub const FINISHED: u8 = 8;
    /// The version is 1.3.
    pub const IS_13: u8 = 16;
}

impl Memory {
    #[inline(always)]
    fn half_mut(&mut self, is_request: bool) -> &mut Half {
        if is_request {
            &mut self.client
        } else {
            &mut self.server
        }
    }
}

/// TLS up to the end of its handshake.
pub struct Tls;

impl Protocol for Tls {
    const CODE: u8 = protocol::TLS;
    const LOOK_BYTES: usize = DATA_BYTES;

    #[inline(always)]
    fn read(conversation: &mut Conversation, is_request: bool, from: usize, to: usize) -> Frame {
        if conversation.direction_mut(is_request).phase == phase::RESYNC {
            // Nobody can tell any more where the handshake ends.
            return OPAQUE;
        }
        let facts = conversation.tls.half_mut(is_request).facts;
        if facts & fact::IN_EXTENSIONS != 0 {
            return hello::extension(conversation, is_request, from, to);
        }
        let known = to.wrapping_sub(from);
        let window = &conversation.direction_mut(is_request).window;
        if known < HEADER_BYTES {
            return Frame::CUT;
        }
        let header = Header::at(window, from);
        if !header.is_possible() {
            return Frame::BAD;
        }
        if facts & fact::HELLO == 0 && header.kind == kind::HANDSHAKE {
            return hello::begin(conversation, is_request, from, to);
        }
        record::read(conversation, is_request, &header, from, to)
    }

    #[inline(always)]
    fn is_sure(conversation: &Conversation) -> bool {
        let memory = &conversation.tls;
        (memory.client.facts | memory.server.facts) & fact::HELLO != 0
    }
}

const OPAQUE: Frame = Frame {
    len: 0,
    means: means::OPAQUE,
};

/// Types of records.
mod kind {
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    pub const ALERT: u8 = 21;
    pub const HANDSHAKE: u8 = 22;
    pub const APPLICATION_DATA: u8 = 23;
    pub const HEARTBEAT: u8 = 24;
}

/// The header of a record.
#[derive(Clone, Copy)]
struct Header {
    kind: u8,
    major: u8,
    /// With the header, bytes.
    len: u64,
}

impl Header {
    #[inline(always)]
    fn at(window: &Window, at: usize) -> Self {
        let word = window.u64_at(at);
        let len = (word >> 24 & 0xff) << 8 | (word >> 32 & 0xff);
        Self {
            kind: word as u8,
            major: (word >> 8) as u8,
            len: len + HEADER_BYTES as u64,
        }
    }

    #[inline(always)]
    fn is_possible(&self) -> bool {
        let is_kind = self.kind >= kind::CHANGE_CIPHER_SPEC && self.kind <= kind::HEARTBEAT;
        is_kind && self.major == 3 && self.len <= MAX_RECORD_BYTES + HEADER_BYTES as u64
    }

    #[inline(always)]
    fn frame(&self, means: u32) -> Frame {
        Frame {
            len: self.len,
            means,
        }
    }
}

/// Two bytes, the first one higher.
#[inline(always)]
fn u16_at(window: &Window, at: usize) -> u16 {
    (window.u64_at(at) as u16).swap_bytes()
}

/// The handshake ended like this.
#[inline(always)]
fn finish(conversation: &mut Conversation, header: &Header, status: u16) -> Frame {
    conversation.response.status = status;
    header.frame(means::PART | means::FINISH)
}

/// It ended by an alert that is encrypted.
#[inline(always)]
fn fail(conversation: &mut Conversation, header: &Header) -> Frame {
    finish(conversation, header, outcome::FAILED)
}
