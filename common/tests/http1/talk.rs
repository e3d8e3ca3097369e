//! Feeds segments to the framing and writes down what comes out, as short words.

use std::collections::HashMap;

use bytemuck::Zeroable;
use weir_common::{
    counter::Loss,
    flow::protocol,
    framing::{
        advance,
        http1::{Conversation, Finished, HEAD_WORDS, graphql::told, method, step},
        http2::{Http2, Spill, Stream, trace::Trace, walk},
    },
};

/// Client's initial sequence number: its stream wraps around after 20 bytes.
pub const CLIENT_ISN: u32 = u32::MAX - 20;

/// Server's initial sequence number: its stream wraps around after 100 bytes.
pub const SERVER_ISN: u32 = u32::MAX - 100;

/// Steps that no honest segment needs; reaching them is a bug.
const MAX_STEPS: u32 = 100_000;

/// Who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

pub use Side::{Client, Server};

/// One connection under test.
pub struct Talk {
    pub conversation: Box<Conversation>,
    /// Where each side's stream goes on by default.
    at: [u64; 2],
    time_ns: u64,
    /// What came out.
    pub out: Vec<String>,
    /// The exchanges in full.
    pub finished: Vec<Finished>,
    /// Where the request of each begins in the client's stream.
    pub offsets: Vec<u64>,
    /// Exchanges that may have been lost.
    pub lost: u64,
    /// The heads that were at hand when their exchanges were complete.
    pub heads: Vec<(u64, String)>,
    /// What only HTTP/2 needs.
    pub http2: Box<Http2>,
    /// Its streams that found their slot taken.
    pub spill: Table,
    /// Paths of HTTP/2 that came as text, and names of GraphQL, with their keys.
    pub paths: Vec<(u64, Vec<u8>)>,
}

/// Streams of one connection.
#[derive(Default)]
pub struct Table(pub HashMap<u32, Stream>, pub HashMap<u64, Trace>);

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

    fn keep_trace(&mut self, offset: u64, text: &Trace) {
        self.1.insert(offset, *text);
    }

    fn copy_trace(&mut self, from: u64, to: u64) {
        if let Some(text) = self.1.get(&from) {
            self.1.insert(to, *text);
        }
    }
}

impl Talk {
    /// A connection seen from its SYN on.
    pub fn new() -> Self {
        let mut talk = Self::midstream();
        talk.conversation = Box::new(Conversation::zeroed());
        talk.conversation.start(CLIENT_ISN, SERVER_ISN);
        talk
    }

    /// A connection that is older than its observer.
    pub fn midstream() -> Self {
        let mut conversation = Box::new(Conversation::zeroed());
        conversation.start_midstream();
        Self {
            conversation,
            at: [0; 2],
            time_ns: 0,
            out: Vec::new(),
            finished: Vec::new(),
            offsets: Vec::new(),
            lost: 0,
            heads: Vec::new(),
            http2: Box::new(Http2::zeroed()),
            spill: Table::default(),
            paths: Vec::new(),
        }
    }

    /// The next bytes of a side.
    pub fn say(&mut self, side: Side, bytes: &[u8]) {
        let at = self.at[side as usize];
        self.say_at(side, at, bytes);
        self.at[side as usize] = at + bytes.len() as u64;
    }

    /// So many bytes that are never looked at (a test fails if they are).
    pub fn say_unseen(&mut self, side: Side, len: u32) {
        let at = self.at[side as usize];
        self.segment(side, at, &[], len);
        self.at[side as usize] = at + u64::from(len);
    }

    /// Moves on without a segment: it was never seen.
    pub fn miss(&mut self, side: Side, len: u64) {
        self.at[side as usize] += len;
    }

    /// Bytes at a place of a side's stream, whatever came before.
    pub fn say_at(&mut self, side: Side, at: u64, bytes: &[u8]) {
        self.segment(side, at, bytes, bytes.len() as u32);
    }

    /// The server's application reads the client's bytes from one place to another.
    pub fn read(&mut self, from: u64, to: u64) {
        self.time_ns += 10;
        let seq = CLIENT_ISN.wrapping_add(1).wrapping_add(to as u32);
        let len = (to - from) as u32;
        if self.conversation.protocol != protocol::HTTP2 {
            self.conversation.was_read(seq, len, self.time_ns);
        } else if let Some((from, to)) = self.conversation.taken(seq, len) {
            self.http2.was_read(from, to, self.time_ns);
        }
    }

    fn segment(&mut self, side: Side, at: u64, bytes: &[u8], len: u32) {
        self.time_ns += 1;
        let isn = [CLIENT_ISN, SERVER_ISN][side as usize];
        let seq = isn.wrapping_add(1).wrapping_add(at as u32);
        let is_request = side == Client;
        if self.conversation.locate(is_request, seq, len, self.time_ns) {
            self.walk(is_request, bytes);
        }
    }

    fn walk(&mut self, is_request: bool, bytes: &[u8]) {
        for _ in 0..MAX_STEPS {
            match self.step(is_request, bytes) {
                step::DONE => return,
                step::MORE => {}
                step::EXCHANGE => {
                    if self.conversation.protocol == protocol::HTTP2 {
                        let http2 = &self.http2;
                        let half = if is_request {
                            &http2.request
                        } else {
                            &http2.response
                        };
                        self.conversation.finished = half.finished;
                    }
                    self.note();
                }
                step::NAMED => self.note_path(),
                code => {
                    let reason = Loss::ALL[(code - step::LOST) as usize];
                    let missed = self.conversation.missed(is_request);
                    self.lost += missed;
                    self.out.push(format!("lost {} {missed}", reason.name()));
                }
            }
        }
        panic!("no end after {MAX_STEPS} steps over one segment");
    }

    fn step(&mut self, is_request: bool, mut bytes: &[u8]) -> u32 {
        let conversation = &mut self.conversation;
        if conversation.protocol != protocol::HTTP2 {
            return advance(conversation, is_request, &mut bytes);
        }
        let (http2, spill) = (&mut self.http2, &mut self.spill);
        walk(conversation, http2, spill, is_request, &mut bytes)
    }

    fn note_path(&mut self) {
        if self.conversation.protocol == protocol::HTTP1 {
            let (key, len, name) = told(&self.conversation);
            let name: &[u8] = bytemuck::cast_slice(name);
            self.paths.push((key, name[..len as usize].to_vec()));
            return;
        }
        let http2 = &self.http2;
        let bytes: &[u8] = bytemuck::cast_slice(&http2.path);
        let path = &bytes[..http2.path_len as usize];
        self.paths.push((http2.path_op, path.to_vec()));
    }

    fn head(&self) -> String {
        let mut words = [0; HEAD_WORDS];
        self.conversation.copy_head(&mut words);
        let bytes: &[u8] = bytemuck::cast_slice(&words);
        let from = usize::from(self.conversation.head_skip());
        let len = usize::from(self.conversation.head_len);
        String::from_utf8_lossy(&bytes[from..from + len]).into_owned()
    }

    fn note(&mut self) {
        let f = self.conversation.finished;
        self.offsets.push(self.conversation.request_offset(&f));
        self.finished.push(f);
        if self.conversation.head_ordinal == f.ordinal {
            let head = self.head();
            self.heads.push((f.ordinal, head));
        }
        let name = method::name(f.method);
        let (asked, answered) = (f.request_bytes, f.response_bytes);
        let until_close = if f.until_close != 0 {
            " until close"
        } else {
            ""
        };
        self.out.push(match f.status {
            0 => format!("{name} unanswered {asked}"),
            status => format!("{name} {status} {asked}+{answered}{until_close}"),
        });
    }

    /// The connection ends.
    pub fn end(mut self) -> Self {
        self.time_ns += 1;
        if self.conversation.close(self.time_ns) {
            self.note();
        }
        while self.conversation.take_unanswered(self.time_ns) {
            self.note();
        }
        if self.conversation.opaque != 0 {
            self.out
                .push(format!("opaque {}", self.conversation.protocol));
        }
        self
    }
}

/// What comes out of parts said in order.
pub fn run(parts: &[(Side, &[u8])]) -> Vec<String> {
    let mut talk = Talk::new();
    for (side, bytes) in parts {
        talk.say(*side, bytes);
    }
    talk.end().out
}

/// Parts of a table row: `>` client, `<` server.
pub fn parts<'a>(row: &'a [(char, &'a str)]) -> Vec<(Side, &'a [u8])> {
    row.iter()
        .map(|(side, text)| {
            let side = if *side == '>' { Client } else { Server };
            (side, text.as_bytes())
        })
        .collect()
}

/// Numbers that look random and are the same in every run (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// True in one of `n` cases.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}
