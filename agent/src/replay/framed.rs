//! The framing of one connection, fed with captured segments.

use bytemuck::Zeroable;
use weir_common::{
    counter::Loss,
    event::{ExchangeRecord, exchange_flag, why},
    flow::protocol,
    framing::{
        advance,
        conversation::{Conversation, Finished, step},
        detect::is_framed,
        frames::begins,
        http2,
        stream::phase,
    },
};

use super::{
    http2::Http2State,
    packet::Segment,
    record::{Facts, Heads, keep_head, keep_name, record},
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

impl Output<'_> {
    fn emit(&mut self, record: &ExchangeRecord) {
        if record.flags & exchange_flag::UNTIMED != 0 {
            self.lost.add(Loss::PipelineDepth, 1);
        }
        (self.sink)(record);
    }
}

/// The state of common's framing with what only a replay has room for.
pub(super) struct Framed {
    conversation: Conversation,
    heads: Heads,
    http2: Option<Box<Http2State>>,
    began: Began,
    /// True while what was seen of the server's stream ends in a hole.
    hole: bool,
    /// Requests that begin before this offset were answered by a response that came too early.
    answered_until: u64,
}

/// What is known of the current response's beginning.
#[derive(Clone, Copy, Default)]
struct Began {
    /// Offset up to which the server had acknowledged the client's stream.
    acknowledged: Option<u64>,
    /// More than was seen of the client's stream.
    unseen_request: bool,
    /// It was found behind a hole.
    after_hole: bool,
}

impl Framed {
    /// Framing from the first byte on, or of a connection that is older than what was captured.
    pub fn new(isns: Option<(u32, u32)>) -> Box<Self> {
        let mut framed = Box::new(Self {
            conversation: Conversation::zeroed(),
            heads: Heads::new(),
            http2: None,
            began: Began::default(),
            hole: isns.is_none(),
            answered_until: 0,
        });
        match isns {
            Some((client, server)) => framed.conversation.start(client, server),
            None => framed.conversation.start_midstream(),
        }
        framed
    }

    /// True while the connection speaks a protocol that is followed.
    pub fn is_followed(&self) -> bool {
        let protocol = self.conversation.protocol;
        self.conversation.opaque == 0 && (protocol == protocol::HTTP1 || is_framed(protocol))
    }

    /// Sequence numbers behind what was seen of the client and of the server.
    pub fn seen(&self) -> [u32; 2] {
        [&self.conversation.request, &self.conversation.response]
            .map(|direction| direction.base_seq.wrapping_add(direction.highest as u32))
    }

    /// True if every byte of the server before `seq` was seen, as far as that can be told.
    pub fn heard_all_before(&self, seq: u32) -> bool {
        let response = &self.conversation.response;
        let offset = response.offset_of(seq);
        response.anchored == 0 || offset.is_none_or(|offset| offset <= response.highest)
    }

    /// Takes a segment with payload.
    pub fn take(
        &mut self,
        segment: &Segment<'_>,
        is_request: bool,
        time_ns: u64,
        facts: &Facts,
        output: &mut Output<'_>,
    ) {
        let captured = segment.captured.len() as u32;
        // What the snap length cut off can be a body, which needs no bytes; a head there is lost.
        let lengths = [captured, segment.payload_len];
        let lengths = if captured < segment.payload_len {
            &lengths[..]
        } else {
            &lengths[..1]
        };
        for len in lengths.iter().filter(|len| **len != 0) {
            self.walk(segment, *len, is_request, time_ns, facts, output);
        }
    }

    /// Runs the framing over the first `len` bytes of a segment.
    fn walk(
        &mut self,
        segment: &Segment<'_>,
        len: u32,
        is_request: bool,
        time_ns: u64,
        facts: &Facts,
        output: &mut Output<'_>,
    ) {
        let seq = segment.seq;
        if !self.conversation.locate(is_request, seq, len, time_ns) {
            return;
        }
        let mut source = segment.captured;
        for _ in 0..MAX_STEPS {
            self.before_step(is_request, segment.ack);
            let asked = self.conversation.asked;
            if self.conversation.protocol == protocol::HTTP2 {
                self.walk_http2(is_request, source, facts, output);
                return;
            }
            let code = advance(&mut self.conversation, is_request, &mut source);
            if self.conversation.asked != asked {
                self.asked(segment.ack);
            }
            match code {
                step::DONE => {
                    if !is_request && self.begins_in_a_hole() {
                        self.look_again(output);
                    }
                    return;
                }
                step::MORE => {}
                step::NAMED => keep_name(&mut self.heads, &self.conversation),
                step::EXCHANGE => {
                    let finished = self.conversation.finished;
                    self.exchange(&finished, facts, output);
                }
                lost => {
                    let missed = self.conversation.missed(is_request);
                    if let Some(reason) = Loss::ALL.get((lost - step::LOST) as usize) {
                        self.lost(*reason, missed, is_request, output);
                    }
                }
            }
        }
        let missed = self.conversation.give_up(is_request);
        output.lost.add(Loss::TooManyMessages, missed);
    }

    /// True if the server's first bytes say nothing, and answer what the capture does not show.
    fn begins_in_a_hole(&self) -> bool {
        let conversation = &self.conversation;
        let unknown = conversation.opaque != 0 && conversation.protocol == protocol::TCP;
        unknown && conversation.request.highest == 0 && self.began.unseen_request
    }

    /// Takes the connection for one that is older than the capture.
    fn look_again(&mut self, output: &mut Output<'_>) {
        let conversation = &mut self.conversation;
        conversation.opaque = 0;
        conversation.protocol = protocol::UNKNOWN;
        conversation.response.next = conversation.response.segment.end;
        conversation.start_midstream();
        self.hole = true;
        output.lost.add(Loss::SegmentGap, 1);
    }

    /// The same of HTTP/2, whose streams pair their requests and responses themselves.
    fn walk_http2(
        &mut self,
        is_request: bool,
        mut source: &[u8],
        facts: &Facts,
        output: &mut Output<'_>,
    ) {
        let state = self.http2.get_or_insert_with(Http2State::new);
        for _ in 0..MAX_STEPS {
            let conversation = &mut self.conversation;
            let (http2, spill) = (&mut state.http2, &mut state.streams);
            match http2::walk(conversation, http2, spill, is_request, &mut source) {
                step::DONE => return,
                step::MORE => {}
                step::NAMED => state.keep_path(),
                step::EXCHANGE => {
                    conversation.finished = state.finished(is_request);
                    let mut record = record(facts, &mut self.heads, conversation);
                    state.write_head(&mut record);
                    state.write_trace(&conversation.finished, &mut record);
                    output.emit(&record);
                }
                lost => {
                    let missed = conversation.missed(is_request);
                    if let Some(reason) = Loss::ALL.get((lost - step::LOST) as usize) {
                        output.lost.add(*reason, missed);
                    }
                }
            }
        }
        let missed = self.conversation.give_up(is_request);
        output.lost.add(Loss::TooManyMessages, missed);
    }

    fn before_step(&mut self, is_request: bool, ack: Option<u32>) {
        let conversation = &mut self.conversation;
        if is_request {
            let upgraded = conversation.protocol == protocol::UPGRADED;
            let request = &conversation.request;
            if request.phase == phase::START_LINE && begins(request) && !upgraded {
                // This head is wanted whatever is outstanding: here is room for all of them.
                conversation.head_ordinal = 0;
            }
            return;
        }
        let (request, response) = (&conversation.request, &conversation.response);
        let lost = response.phase == phase::RESYNC;
        self.hole |= lost;
        // Behind a hole a step may find a response and read all of it.
        if lost || response.phase == phase::START_LINE && response.carry_len == 0 {
            let acknowledged = ack.and_then(|ack| request.offset_of(ack));
            self.began = Began {
                acknowledged: acknowledged.filter(|_| request.anchored != 0),
                // A FIN takes one number of its own.
                unseen_request: acknowledged.is_some_and(|offset| offset > request.highest + 1),
                after_hole: self.hole,
            };
        }
    }

    /// A request's head is complete.
    fn asked(&mut self, ack: Option<u32>) {
        let conversation = &mut self.conversation;
        if conversation.outstanding() == 1
            && conversation.request.message_start < self.answered_until
        {
            // Its response came first, and was counted as one without a request.
            conversation.answered = conversation.asked;
            return;
        }
        keep_head(&mut self.heads, conversation, ack);
    }

    fn lost(&mut self, reason: Loss, n: u64, is_request: bool, output: &mut Output<'_>) {
        output.lost.add(reason, n);
        if reason == Loss::OrphanResponse
            && !is_request
            && let Some(offset) = self.began.acknowledged
        {
            self.answered_until = offset;
            self.hole = false;
        }
    }

    fn exchange(&mut self, finished: &Finished, facts: &Facts, output: &mut Output<'_>) {
        // Both sides of a WebSocket speak when they like.
        let either = self.conversation.protocol == protocol::WEBSOCKET;
        if either || self.is_answer(finished) {
            self.hole = false;
            output.emit(&record(facts, &mut self.heads, &self.conversation));
            return;
        }
        // Which response belongs to which request is not known any more.
        let missed = self.conversation.outstanding() + 1;
        self.conversation.answered = self.conversation.asked;
        output.lost.add(Loss::OrphanResponse, missed);
    }

    /// False if packets are missing or out of order, and the two may not belong together: the
    /// server had not seen the request yet, or had seen more than the capture shows, or the
    /// response is not at the place in its stream where the client expected it.
    fn is_answer(&self, finished: &Finished) -> bool {
        if finished.started_ns == 0 {
            return true;
        }
        let began = &self.began;
        let asked_at = self.conversation.request_offset(finished);
        let too_early = began.acknowledged.is_some_and(|offset| offset <= asked_at);
        let head = self.heads.iter().find(|head| head.offset == asked_at);
        let response = &self.conversation.response;
        let expected = head.and_then(|head| head.ack);
        let misplaced = began.after_hole
            && expected.is_some_and(|ack| response.offset_of(ack) != Some(response.message_start));
        !too_early && !began.unseen_request && !misplaced
    }

    /// The connection ended: what lasts until then is complete, what waits is unanswered.
    pub fn finish(mut self, time_ns: u64, facts: &Facts, output: &mut Output<'_>) {
        if self.conversation.protocol == protocol::HTTP2 {
            return self.abandon(output);
        }
        self.count_open_response(output);
        if self.conversation.close(time_ns) {
            let finished = self.conversation.finished;
            self.exchange(&finished, facts, output);
        }
        while self.conversation.take_unanswered(time_ns) {
            let mut record = record(facts, &mut self.heads, &self.conversation);
            if record.status == 0 {
                record.flags |= exchange_flag::UNANSWERED;
                record.why |= why::ERROR;
            }
            output.emit(&record);
        }
    }

    /// The capture ends, or the connection is forgotten: what was under way will not be known.
    pub fn abandon(self, output: &mut Output<'_>) {
        if self.conversation.opaque == 0 {
            let outstanding = self.conversation.outstanding();
            output.lost.add(Loss::Unanswered, outstanding);
            let unknown = u64::from(self.conversation.ends_in_a_hole());
            output.lost.add(Loss::SegmentGap, unknown);
            if self.conversation.protocol != protocol::HTTP2 {
                self.count_open_response(output);
            }
        }
    }

    /// A response whose request was not seen, and that did not come to its end.
    fn count_open_response(&self, output: &mut Output<'_>) {
        let conversation = &self.conversation;
        if conversation.opaque == 0
            && conversation.outstanding() == 0
            && conversation.response.in_message()
        {
            output.lost.add(Loss::OrphanResponse, 1);
        }
    }
}
