//! What a replay keeps of a connection of HTTP/2.

use std::{collections::HashMap, io::Write};

use bytemuck::Zeroable;
use weir_common::{
    event::{ExchangeRecord, HEAD_BYTES, exchange_flag},
    framing::{
        conversation::Finished,
        http1::{MAX_TARGET_BYTES, method, normalise},
        http2::{
            Http2, Spill, Stream,
            trace::{self, Trace},
        },
    },
    stable_hash,
};

use crate::observe::protocol::fixed_path;

/// Trace contexts that are kept of a connection at a time.
const TRACES: usize = 4_096;

/// Streams that found their slot taken, by number, and trace contexts, by where their request begins.
#[derive(Default)]
pub(super) struct Streams(HashMap<u32, Stream>, HashMap<u32, Trace>);

impl Spill for Streams {
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
        if self.1.len() >= TRACES {
            self.1.clear();
        }
        self.1.insert(offset as u32, *text);
    }

    fn copy_trace(&mut self, from: u64, to: u64) {
        if let Some(text) = self.1.get(&(from as u32)) {
            let text = *text;
            self.keep_trace(to, &text);
        }
    }
}

/// The framing's state, and the paths that later requests refer to.
pub(super) struct Http2State {
    pub http2: Http2,
    pub streams: Streams,
    paths: HashMap<u64, Vec<u8>>,
}

impl Http2State {
    pub fn new() -> Box<Self> {
        Box::new(Self {
            http2: Http2::zeroed(),
            streams: Streams::default(),
            paths: HashMap::new(),
        })
    }

    /// The exchange that a direction has completed last.
    pub fn finished(&self, is_request: bool) -> Finished {
        match is_request {
            true => self.http2.request.finished,
            false => self.http2.response.finished,
        }
    }

    /// Keeps the path of the request that has just begun.
    pub fn keep_path(&mut self) {
        let http2 = &self.http2;
        let bytes: &[u8] = bytemuck::cast_slice(&http2.path);
        let Some(path) = bytes.get(..http2.path_len as usize) else {
            return;
        };
        let mut out = [0; MAX_TARGET_BYTES + 1];
        let len = normalise(path, &mut out);
        // A method of gRPC counts as a whole.
        let whole = stable_hash(path) == http2.path_op;
        let path = if whole { path } else { &out[..len] };
        self.paths.insert(http2.path_op, path.to_vec());
    }

    /// Writes the request's trace context into its record, as the kernel does.
    pub fn write_trace(&self, finished: &Finished, record: &mut ExchangeRecord) {
        if finished.traced == 0 {
            return;
        }
        if let Some(trace) = self.streams.1.get(&finished.seq) {
            let text = trace::text(trace);
            record.answer[..text.len()].copy_from_slice(text);
            record.answer_len = text.len() as u8;
            record.answer_skip = 0;
        }
    }

    /// Writes what is known of the request into its record, in the form of HTTP/1.
    pub fn write_head(&self, record: &mut ExchangeRecord) {
        let told = self.paths.get(&record.op).map(Vec::as_slice);
        let Some(path) = told.or_else(|| fixed_path(record.op).map(str::as_bytes)) else {
            return;
        };
        let mut room = &mut record.head[..HEAD_BYTES];
        let method = match record.method {
            method::NONE => "POST",
            code => method::name(code),
        };
        let written = write!(room, "{method} ")
            .and_then(|()| room.write_all(path))
            .and_then(|()| room.write_all(b" HTTP/2\r\n\r\n"));
        if written.is_ok() {
            record.head_len = (HEAD_BYTES - room.len()) as u16;
            record.flags |= exchange_flag::HAS_HEAD;
        }
    }
}
