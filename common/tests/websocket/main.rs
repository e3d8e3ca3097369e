//! The WebSocket framing in tables: messages, fragments, control frames, closes, splits, garbage.

#[path = "../http1/talk.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod talk;

mod hostile;
mod messages;

use talk::{Client, Server, Side, Talk};
use weir_common::{
    flow::protocol,
    framing::http1::{Finished, op_hash},
};

/// The request of an upgrade.
pub const GET: &[u8] = b"GET /chat/7?token=x HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// The answer that grants it.
pub const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// First byte of a text message in one frame.
pub const TEXT: u8 = 0x81;
/// The same of a binary message.
pub const BINARY: u8 = 0x82;
/// First byte of a Close frame.
pub const CLOSE: u8 = 0x88;
/// First byte of a Ping.
pub const PING: u8 = 0x89;
/// First byte of a Pong.
pub const PONG: u8 = 0x8a;

/// A frame of one side; the client's are masked.
pub fn frame(side: Side, first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let masked = if side == Client { 0x80 } else { 0 };
    let mut out = vec![first];
    match payload.len() {
        len @ 0..126 => out.push(masked | len as u8),
        len @ 126..65_536 => {
            out.push(masked | 126);
            out.extend((len as u16).to_be_bytes());
        }
        len => {
            out.push(masked | 127);
            out.extend((len as u64).to_be_bytes());
        }
    }
    if side == Server {
        out.extend(payload);
        return out;
    }
    out.extend(MASK);
    let mask = MASK.iter().cycle();
    out.extend(payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    out
}

/// A Close frame with a code.
pub fn close(side: Side, code: u16) -> Vec<u8> {
    frame(side, CLOSE, &code.to_be_bytes())
}

/// A connection that was upgraded; its first exchange is taken off.
pub fn upgraded() -> Talk {
    let mut talk = Talk::new();
    talk.say(Client, GET);
    talk.say(Server, SWITCH);
    assert_eq!(talk.finished.len(), 1);
    assert_eq!(talk.finished[0].status, 101);
    talk
}

/// What is expected of the exchange of a connection.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    /// Outcome.
    pub status: u16,
    /// Of the client and of the server.
    pub messages: (u32, u32),
    /// Of the client and of the server.
    pub bytes: (u64, u64),
}

impl From<&Finished> for Told {
    fn from(finished: &Finished) -> Self {
        Self {
            status: finished.status,
            messages: (finished.request_messages, finished.response_messages),
            bytes: (finished.request_bytes, finished.response_bytes),
        }
    }
}

/// Says parts behind an upgrade, whole or cut into pieces of so many bytes, and ends the
/// connection.
pub fn run(parts: &[(Side, Vec<u8>)], piece: usize) -> Talk {
    let mut talk = upgraded();
    for (side, bytes) in parts {
        for piece in bytes.chunks(piece) {
            talk.say(*side, piece);
        }
    }
    talk.end()
}

/// Checks the exchange that the parts make, whole and by pieces of many sizes.
pub fn check(parts: &[(Side, Vec<u8>)], status: u16, messages: (u32, u32)) {
    let sum = |wanted: Side| {
        let of_side = parts.iter().filter(|(side, _)| *side == wanted);
        of_side.map(|(_, bytes)| bytes.len() as u64).sum::<u64>()
    };
    let bytes = (sum(Client), sum(Server));
    for piece in [1 << 20, 1, 2, 3, 5, 7, 11, 50, 97, 399, 401] {
        let talk = run(parts, piece);
        assert_eq!(talk.lost, 0, "{parts:?} by {piece}");
        assert_eq!(talk.conversation.protocol, protocol::WEBSOCKET);
        let told: Vec<Told> = talk.finished[1..].iter().map(Told::from).collect();
        let expected = Told {
            status,
            messages,
            bytes,
        };
        assert_eq!(told, [expected], "{parts:?} by {piece}");
        let finished = &talk.finished[1];
        assert_eq!(finished.op, op_hash(b"/chat/1"));
        assert_eq!((finished.ordinal, finished.method), (2, 0));
        assert_eq!(talk.offsets[1], GET.len() as u64);
        assert_eq!(finished.started_ns, talk.finished[0].ended_ns);
        let head = &talk.heads.last().expect("its head").1;
        assert!(
            head.starts_with("GET /chat/7?token=x HTTP/1.1\r\n"),
            "{head}"
        );
    }
}
