//! Feeds segments of any side, place and bytes to the framing of one protocol.
//!
//! What is asserted of every input: no panic, an end to every segment, no more exchanges than
//! requests, each answered once and in order. Of inputs that are a stream without holes: cut
//! anywhere, they give the same exchanges.

use std::collections::{HashMap, HashSet};

use bytemuck::Zeroable;
use libfuzzer_sys::Corpus;
use weir_common::{
    counter::Loss,
    flow::protocol,
    framing::{
        advance,
        conversation::MESSAGES_UNKNOWN,
        http1::{Conversation, Finished, graphql::told, step},
        http2::{
            Http2, MAX_SYMBOLS, Spill, Stream,
            trace::{self, Trace},
            walk,
        },
        window::CARRY_BYTES,
    },
    stable_hash,
};

const CLIENT_ISN: u32 = u32::MAX - 300;
const SERVER_ISN: u32 = u32::MAX - 700;

const UPGRADE: &[u8] = b"GET /chat HTTP/1.1\r\n\r\n";
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";

/// Where a segment is put.
enum Place {
    Next,
    Back(u32),
    Ahead(u32),
    Anywhere(u32),
}

struct Piece<'a> {
    is_request: bool,
    place: Place,
    bytes: &'a [u8],
    /// Bytes behind `bytes` that were cut off by the capture.
    unseen: u32,
}

/// Reads segments from the fuzzer's bytes; whatever they are, they mean something.
struct Pieces<'a>(&'a [u8]);

impl<'a> Pieces<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn word(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*first))
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let kind = self.byte()?;
        let len = usize::from(self.byte()?) * if kind & 0x40 == 0 { 1 } else { 4 };
        let place = match kind >> 1 & 7 {
            1 => Place::Back(u32::from(self.byte()?)),
            2 => Place::Ahead(u32::from(self.byte()?)),
            3 => Place::Anywhere(self.word()?),
            _ => Place::Next,
        };
        let unseen = if kind & 0xb0 == 0xb0 {
            self.word()? >> 2 >> (kind & 8)
        } else {
            0
        };
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        Some(Piece {
            is_request: kind & 1 == 0,
            place,
            bytes,
            unseen,
        })
    }
}

/// Streams of HTTP/2 that found their slot taken.
#[derive(Default)]
struct Table(HashMap<u32, Stream>);

impl Spill for Table {
    fn get(&mut self, id: u32) -> Option<&mut Stream> {
        self.0.get_mut(&id)
    }

    fn insert(&mut self, value: &Stream) {
        self.0.insert(value.id, *value);
    }

    fn remove(&mut self, id: u32) {
        self.0.remove(&id);
    }

    fn keep_trace(&mut self, _offset: u64, text: &Trace) {
        assert!(trace::text(text).len() <= 64);
    }

    fn copy_trace(&mut self, _from: u64, _to: u64) {}
}

struct Run {
    conversation: Box<Conversation>,
    http2: Box<Http2>,
    spill: Table,
    at: [u32; 2],
    time_ns: u64,
    finished: Vec<Finished>,
    lost: u64,
}

impl Run {
    fn new(protocol: u8, midstream: bool) -> Self {
        let mut conversation = Box::new(Conversation::zeroed());
        conversation.protocol = protocol;
        if midstream {
            conversation.start_midstream();
        } else {
            conversation.start(CLIENT_ISN, SERVER_ISN);
        }
        Self {
            conversation,
            http2: Box::new(Http2::zeroed()),
            spill: Table::default(),
            at: [CLIENT_ISN.wrapping_add(1), SERVER_ISN.wrapping_add(1)],
            time_ns: 0,
            finished: Vec::new(),
            lost: 0,
        }
    }

    /// A connection of a protocol that begins behind an upgrade.
    fn upgraded(protocol: u8, midstream: bool) -> Self {
        if protocol != protocol::WEBSOCKET {
            return Self::new(protocol, midstream);
        }
        let mut run = Self::new(0, false);
        for (is_request, bytes) in [(true, UPGRADE), (false, SWITCH)] {
            let (place, unseen) = (Place::Next, 0);
            run.take(&Piece {
                is_request,
                place,
                bytes,
                unseen,
            });
        }
        run.finished.clear();
        run
    }

    fn take(&mut self, piece: &Piece<'_>) {
        let at = &mut self.at[usize::from(!piece.is_request)];
        let seq = match piece.place {
            Place::Next => *at,
            Place::Back(by) => at.wrapping_sub(by),
            Place::Ahead(by) => at.wrapping_add(by),
            Place::Anywhere(seq) => seq,
        };
        let len = piece.bytes.len() as u32 + piece.unseen;
        *at = seq.wrapping_add(len);
        self.segment(piece.is_request, seq, piece.bytes, len);
    }

    fn segment(&mut self, is_request: bool, seq: u32, bytes: &[u8], len: u32) {
        self.time_ns += 1;
        let conversation = &mut self.conversation;
        if !conversation.locate(is_request, seq, len, self.time_ns) {
            return;
        }
        let direction = if is_request {
            &conversation.request
        } else {
            &conversation.response
        };
        let segment = direction.segment;
        assert_eq!(segment.end - segment.offset, u64::from(len));
        // A frame of HTTP/2 may end all streams that wait, and GOAWAY in 17 bytes look for 1,024.
        let waiting = conversation.outstanding() as usize;
        for _ in 0..bytes.len() * 6 + waiting + 128 {
            let (http2, spill) = (&mut self.http2, &mut self.spill);
            let code = match conversation.protocol {
                protocol::HTTP2 => walk(conversation, http2, spill, is_request, &mut &*bytes),
                _ => advance(conversation, is_request, &mut &*bytes),
            };
            match code {
                step::DONE => return self.check(),
                step::MORE => {}
                step::NAMED if conversation.protocol == protocol::HTTP2 => {
                    assert!(http2.path_len as usize <= MAX_SYMBOLS);
                }
                step::NAMED => {
                    let (key, len, name) = told(conversation);
                    let name: &[u8] = bytemuck::cast_slice(name);
                    assert_eq!(stable_hash(&name[..len as usize]), key);
                }
                step::EXCHANGE if conversation.protocol == protocol::HTTP2 => {
                    let half = if is_request {
                        &http2.request
                    } else {
                        &http2.response
                    };
                    self.finished.push(half.finished);
                }
                step::EXCHANGE => self.finished.push(conversation.finished),
                code => {
                    assert!(Loss::ALL.get((code - step::LOST) as usize).is_some());
                    let missed = conversation.missed(is_request);
                    assert_ne!(missed, 0);
                    self.lost += missed;
                }
            }
        }
        panic!("no end over a segment of {len} bytes");
    }

    fn check(&self) {
        let conversation = &self.conversation;
        assert!(conversation.answered <= conversation.asked);
        for direction in [&conversation.request, &conversation.response] {
            assert!(usize::from(direction.carry_len) <= CARRY_BYTES);
        }
        assert!(conversation.head_skip() < 8 && conversation.head_len <= 256);
    }

    fn end(mut self) -> Self {
        if self.conversation.close(self.time_ns) {
            self.finished.push(self.conversation.finished);
        }
        while self.conversation.take_unanswered(self.time_ns) {
            self.finished.push(self.conversation.finished);
        }
        assert!(self.finished.len() as u64 <= self.conversation.asked);
        // Streams of HTTP/2 end in any order; each begins at its own place.
        let (streams, others): (Vec<&Finished>, Vec<&Finished>) =
            self.finished.iter().partition(|f| f.protocol != 0);
        let offsets: HashSet<u32> = streams.iter().map(|finished| finished.seq).collect();
        assert_eq!(offsets.len(), streams.len(), "answered twice");
        let ordinals = others.iter().map(|finished| finished.ordinal);
        assert!(ordinals.is_sorted_by(|a, b| a < b), "answered twice");
        self
    }
}

/// What must not depend on how a stream was cut. What a header block of HTTP/2 says may: a field
/// that is longer than what is carried over a cut is passed over.
fn facts(finished: &Finished) -> (u64, u64, u32, u64, u64, u16, u8, u8, u32, u32) {
    let mut f = *finished;
    if f.protocol != 0 {
        (f.op, f.status, f.method) = (0, 0, 0);
        (f.request_messages, f.response_messages) = (0, 0);
    } else {
        f.seq = 0;
    }
    (
        f.ordinal,
        f.op,
        f.seq,
        f.request_bytes,
        f.response_bytes,
        f.status,
        f.method,
        f.until_close,
        f.request_messages,
        f.response_messages,
    )
}

/// True for what a connection speaks behind an upgrade.
fn behind_upgrade(code: u8) -> bool {
    matches!(code, protocol::UPGRADED | protocol::WEBSOCKET)
}

/// True for protocols of lines; the others' heads are shorter than what is carried over a cut.
fn has_lines(code: u8) -> bool {
    !matches!(
        code,
        protocol::DNS
            | protocol::HTTP2
            | protocol::MEMCACHED
            | protocol::MONGODB
            | protocol::MYSQL
            | protocol::POSTGRES
            | protocol::TLS
            | protocol::WEBSOCKET
            | protocol::ZOOKEEPER
    )
}

/// True if no line is longer than what is carried over a cut: longer ones are only looked at as
/// far as they are seen.
fn lines_are_short(bytes: &[u8]) -> bool {
    bytes
        .split(|byte| *byte == b'\n')
        .all(|line| line.len() < 90)
}

fn text(pieces: &[Piece<'_>]) -> String {
    let side = |piece: &Piece<'_>| if piece.is_request { '>' } else { '<' };
    let line = |piece: &Piece<'_>| format!("\n{} {}", side(piece), piece.bytes.escape_ascii());
    pieces.iter().map(line).collect()
}

fn check_cuts(protocol: u8, pieces: &[Piece<'_>], size: usize) {
    let mut streams = [Vec::new(), Vec::new()];
    let (mut whole, mut cut) = (
        Run::upgraded(protocol, false),
        Run::upgraded(protocol, false),
    );
    for piece in pieces {
        streams[usize::from(!piece.is_request)].extend_from_slice(piece.bytes);
        for (run, size) in [(&mut whole, piece.bytes.len()), (&mut cut, size)] {
            for bytes in piece.bytes.chunks(size.max(1)) {
                let (is_request, place, unseen) = (piece.is_request, Place::Next, 0);
                run.take(&Piece {
                    is_request,
                    place,
                    bytes,
                    unseen,
                });
            }
        }
    }
    let are_short = streams.iter().all(|stream| lines_are_short(stream));
    if has_lines(protocol) && !are_short {
        return;
    }
    let spoken = [&whole, &cut].map(|run| run.conversation.protocol);
    let is_other = !spoken.contains(&protocol) || spoken != [protocol; 2] && !are_short;
    if protocol == protocol::WEBSOCKET && is_other {
        // Whatever it is behind its upgrade, it is another target's.
        return;
    }
    let of_http = matches!(protocol, protocol::UNKNOWN | protocol::HTTP1);
    if of_http && spoken.iter().any(|code| behind_upgrade(*code)) {
        // What stands there is read as segments come, until something is known of it.
        return;
    }
    if protocol == 0 && matches!(streams[0][..], [b'\n', ..] | [b'\r', b'\n', ..]) {
        // An empty line may be a length, which cannot be told from a part of it.
        return;
    }
    let is_word = |code: &u8| *code == protocol::ZOOKEEPER && streams[0].first() != Some(&0);
    if protocol == 0 && spoken.iter().any(is_word) {
        // A word of ZooKeeper's is one in a segment of its own.
        return;
    }
    let lost = [whole.lost, cut.lost].map(|lost| lost != 0);
    assert_eq!(
        lost[0],
        lost[1],
        "lost, whole and in pieces of {size}: {}",
        text(pieces)
    );
    if lost[0] {
        // A look for heads after a loss takes segments as they come.
        return;
    }
    let (whole, cut) = (whole.end(), cut.end());
    let [a, b] = [&whole, &cut].map(|run| run.finished.iter().map(facts).collect::<Vec<_>>());
    assert_eq!(a, b, "whole and in pieces of {size}: {}", text(pieces));
    let ends = whole.finished.iter().zip(&cut.finished);
    for [a, b] in ends.flat_map(|(a, b)| [[a, b].map(|f| f.request_messages), [a, b].map(|f| f.response_messages)]) {
        // A type that was passed over makes them unknown.
        let is_known = a != MESSAGES_UNKNOWN && b != MESSAGES_UNKNOWN;
        assert!(!is_known || a == b, "{a} and {b} messages: {}", text(pieces));
    }
}

/// Runs one input through the framing of a protocol (0: whatever its first bytes tell).
pub fn run(protocol: u8, data: &[u8]) -> Corpus {
    let Some((first, rest)) = data.split_first() else {
        return Corpus::Reject;
    };
    let pieces: Vec<Piece<'_>> = Pieces(rest).collect();
    let mut run = Run::upgraded(protocol, first & 1 == 1);
    for piece in &pieces {
        run.take(piece);
    }
    run.end();
    if pieces
        .iter()
        .all(|piece| matches!(piece.place, Place::Next) && piece.unseen == 0)
    {
        check_cuts(protocol, &pieces, 1 + usize::from(first >> 1));
    }
    Corpus::Keep
}
