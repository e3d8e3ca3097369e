//! One captured connection: its handshake, its framing state, its end.

use std::collections::VecDeque;

use weir_common::{
    counter::Loss,
    event::{ExchangeRecord, HEAD_BYTES, Header, exchange_flag, kind, why},
    flow::{protocol, role},
    framing::{
        http1::{Conversation, Finished, MAX_PENDING, Step, step},
        stream::phase,
    },
};

use super::{
    packet::{End, Segment},
    report::Losses,
};

/// Steps over one segment that cannot be exceeded by honest traffic: a message has more bytes.
const MAX_STEPS: u32 = 1 << 16;

/// Takes what a connection yields.
pub(super) struct Output<'a> {
    /// Losses so far.
    pub lost: &'a mut Losses,
    /// Receives each exchange.
    pub sink: &'a mut dyn FnMut(&ExchangeRecord),
}

/// First bytes of a request, kept until its response is complete.
struct Head {
    ordinal: u64,
    bytes: [u8; HEAD_BYTES],
    len: u16,
}

/// A connection between two ends whose roles are known.
pub(super) struct Connection {
    /// Who sent the SYN, or the first request.
    pub client: End,
    /// The other end.
    pub server: End,
    /// Capture time of the latest segment, ns.
    pub latest_ns: u64,
    /// True while this very connection is followed at another place of the capture.
    pub mirrored: bool,
    client_isn: Option<u32>,
    server_isn: Option<u32>,
    conversation: Option<Box<Conversation>>,
    heads: VecDeque<Head>,
    /// Sequence number behind the server's last byte, once its FIN told it.
    fin: Option<u32>,
    ended: bool,
}

impl Connection {
    /// A connection whose SYN or SYN-ACK was captured.
    pub fn opened(client: End, server: End, client_isn: u32) -> Self {
        Self {
            client_isn: Some(client_isn),
            ..Self::taken_up(client, server)
        }
    }

    /// A connection that is older than the capture.
    pub fn taken_up(client: End, server: End) -> Self {
        Self {
            client,
            server,
            latest_ns: 0,
            mirrored: false,
            client_isn: None,
            server_isn: None,
            conversation: None,
            heads: VecDeque::new(),
            fin: None,
            ended: false,
        }
    }

    /// Both initial sequence numbers, once they are known: client's, server's.
    pub fn isns(&self) -> Option<(u32, u32)> {
        self.client_isn.zip(self.server_isn)
    }

    /// True if this SYN or SYN-ACK belongs to another life of the same addresses.
    pub fn is_older_than(&self, segment: &Segment<'_>) -> bool {
        let from_client = segment.source == self.client;
        match segment.ack {
            None => !from_client || self.client_isn != Some(segment.seq),
            Some(ack) => {
                from_client
                    || self.client_isn != Some(ack.wrapping_sub(1))
                    || self.server_isn.is_some_and(|isn| isn != segment.seq)
            }
        }
    }

    /// True if exchanges were seen or may come: its loss would hide something.
    pub fn is_of_interest(&self) -> bool {
        let http = |c: &Conversation| c.opaque == 0 && c.protocol == protocol::HTTP1;
        !self.ended && self.conversation.as_deref().is_some_and(http)
    }

    /// Takes a segment of this connection.
    pub fn take(&mut self, segment: &Segment<'_>, time_ns: u64, output: &mut Output<'_>) {
        self.latest_ns = time_ns;
        let is_request = segment.source == self.client;
        self.learn(segment, is_request);
        if self.ended || self.mirrored {
            return;
        }
        // Data on a SYN may be refused by the server; if it was accepted, the hole is counted.
        if segment.payload_len != 0 && !segment.syn {
            self.frame(segment, is_request, time_ns, output);
        }
        if segment.fin && !is_request {
            self.fin = Some(segment.seq.wrapping_add(segment.payload_len));
        }
        if segment.rst || self.all_was_said() {
            self.finish(time_ns, output);
        }
    }

    /// Learns the server's first sequence number from whoever tells it first.
    fn learn(&mut self, segment: &Segment<'_>, is_request: bool) {
        if self.server_isn.is_some() {
            return;
        }
        if segment.syn && !is_request && segment.ack.is_some() {
            self.server_isn = Some(segment.seq);
        } else if is_request && self.client_isn == Some(segment.seq.wrapping_sub(1)) {
            // The SYN-ACK was not captured, but the client's first segment acknowledges it.
            self.server_isn = segment.ack.map(|ack| ack.wrapping_sub(1));
        }
    }

    /// True once the server's FIN and everything before it were seen: no answer can follow.
    fn all_was_said(&self) -> bool {
        let Some(fin) = self.fin else {
            return false;
        };
        self.conversation.as_deref().is_none_or(|conversation| {
            let response = &conversation.response;
            let offset = response.offset_of(fin);
            response.anchored == 0 || offset.is_none_or(|offset| offset <= response.highest)
        })
    }

    fn frame(
        &mut self,
        segment: &Segment<'_>,
        is_request: bool,
        time_ns: u64,
        output: &mut Output<'_>,
    ) {
        if self.conversation.is_none() {
            self.conversation = Some(self.start(output));
        }
        let captured = segment.captured.len() as u32;
        if captured != 0 {
            self.walk(segment, captured, is_request, time_ns, output);
        }
        // What the snap length cut off can be a body, which needs no bytes; a head there is lost.
        if captured < segment.payload_len {
            self.walk(segment, segment.payload_len, is_request, time_ns, output);
        }
    }

    fn start(&self, output: &mut Output<'_>) -> Box<Conversation> {
        let mut conversation = Box::new(<Conversation as bytemuck::Zeroable>::zeroed());
        match self.isns() {
            Some((client, server)) => conversation.start(client, server),
            None => {
                if self.client_isn.is_some() {
                    // Its SYN was captured, but not what came next.
                    output.lost.add(Loss::AttachMidstream, 1);
                }
                conversation.start_midstream();
            }
        }
        conversation
    }

    /// Runs the framing over the first `len` bytes of a segment.
    fn walk(
        &mut self,
        segment: &Segment<'_>,
        len: u32,
        is_request: bool,
        time_ns: u64,
        output: &mut Output<'_>,
    ) {
        let Some(conversation) = self.conversation.as_deref_mut() else {
            return;
        };
        if conversation.opaque != 0 {
            return;
        }
        let Some(place) = conversation.locate(is_request, segment.seq, len, time_ns) else {
            return;
        };
        let mut source = segment.captured;
        for _ in 0..MAX_STEPS {
            if is_request && conversation.request.phase == phase::START_LINE {
                // This head is wanted whatever is outstanding: here is room for all of them.
                conversation.head_ordinal = 0;
            }
            let asked = conversation.asked;
            let step = step(conversation, is_request, &place, &mut source);
            if conversation.asked != asked {
                keep_head(&mut self.heads, conversation);
            }
            match step {
                Step::Done => return,
                Step::More => {}
                Step::Lost(reason, n) => output.lost.add(reason, n),
                Step::Exchange(finished) => {
                    let record = record(
                        (self.client, self.server),
                        self.client_isn.zip(self.server_isn),
                        &mut self.heads,
                        &finished,
                    );
                    emit(&record, output);
                }
            }
        }
        output.lost.add(Loss::TooManyMessages, 1);
    }

    /// The connection ended: what lasts until then is complete, what waits is unanswered.
    pub fn finish(&mut self, time_ns: u64, output: &mut Output<'_>) {
        self.ended = true;
        let Some(mut conversation) = self.conversation.take() else {
            return;
        };
        let isns = self.isns();
        let ends = (self.client, self.server);
        if let Some(finished) = conversation.close(time_ns) {
            let mut record = record(ends, isns, &mut self.heads, &finished);
            record.flags |= exchange_flag::UNTIL_CLOSE;
            emit(&record, output);
        }
        while let Some(finished) = conversation.take_unanswered(time_ns) {
            let mut record = record(ends, isns, &mut self.heads, &finished);
            record.flags |= exchange_flag::UNANSWERED;
            record.why |= why::ERROR;
            record.responded_ns = 0;
            emit(&record, output);
        }
    }

    /// The capture ends, or the connection is forgotten: what was under way will not be known.
    pub fn abandon(&mut self, output: &mut Output<'_>) {
        self.ended = true;
        if let Some(conversation) = self.conversation.take()
            && conversation.opaque == 0
        {
            output
                .lost
                .add(Loss::Unanswered, conversation.outstanding());
        }
    }
}

fn emit(record: &ExchangeRecord, output: &mut Output<'_>) {
    if record.flags & exchange_flag::UNTIMED != 0 {
        output.lost.add(Loss::PipelineDepth, 1);
    }
    (output.sink)(record);
}

/// Takes over the head of the request that was just read, up to its empty line.
fn keep_head(heads: &mut VecDeque<Head>, conversation: &Conversation) {
    if conversation.head_ordinal != conversation.asked || heads.len() >= MAX_PENDING {
        return;
    }
    let words: &[u8] = bytemuck::cast_slice(&conversation.head);
    let start = usize::from(conversation.head_skip);
    let end = start + usize::from(conversation.head_len);
    let kept = words.get(start..end).unwrap_or_default();
    let len = head_len(kept);
    let mut head = Head {
        ordinal: conversation.asked,
        bytes: [0; HEAD_BYTES],
        len: len as u16,
    };
    head.bytes[..len].copy_from_slice(&kept[..len]);
    heads.push_back(head);
}

/// Length of a head with its empty line, or all of it if that line is further on.
fn head_len(bytes: &[u8]) -> usize {
    let ends_at = |at: usize| {
        let rest = &bytes[at..];
        if rest.starts_with(b"\n\r\n") {
            Some(at + 3)
        } else {
            rest.starts_with(b"\n\n").then_some(at + 2)
        }
    };
    let end = (0..bytes.len()).find_map(ends_at);
    end.unwrap_or(bytes.len()).min(HEAD_BYTES)
}

/// The record that the kernel would write for this exchange.
fn record(
    (client, server): (End, End),
    isns: Option<(u32, u32)>,
    heads: &mut VecDeque<Head>,
    finished: &Finished,
) -> ExchangeRecord {
    let mut record = ExchangeRecord {
        header: Header {
            kind: kind::EXCHANGE,
            cpu: 0,
            time_ns: finished.ended_ns,
        },
        op: finished.op,
        request_offset: finished.offset,
        started_ns: finished.started_ns,
        responded_ns: finished.responded_ns,
        ended_ns: finished.ended_ns,
        request_bytes: finished.request_bytes,
        response_bytes: finished.response_bytes,
        client_addr: client.0,
        client_port: client.1,
        server_addr: server.0,
        server_port: server.1,
        status: finished.status,
        method: finished.method,
        protocol: protocol::HTTP1,
        role: role::UNKNOWN,
        probability: u32::MAX,
        ..bytemuck::Zeroable::zeroed()
    };
    match isns {
        Some((client_isn, server_isn)) => {
            record.client_isn = client_isn;
            record.server_isn = server_isn;
        }
        None => record.flags |= exchange_flag::NO_ISN,
    }
    if finished.started_ns == 0 {
        record.flags |= exchange_flag::UNTIMED;
    }
    while heads.front().is_some_and(|h| h.ordinal < finished.ordinal) {
        heads.pop_front();
    }
    if heads.front().is_some_and(|h| h.ordinal == finished.ordinal)
        && let Some(head) = heads.pop_front()
    {
        record.flags |= exchange_flag::HAS_HEAD;
        record.head[..HEAD_BYTES].copy_from_slice(&head.bytes);
        record.head_len = head.len;
    }
    record
}
