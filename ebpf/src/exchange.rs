//! The two lanes: exact counts in maps, details in the ring buffer.

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::generated::bpf_get_prandom_u32};
use weir_common::{
    batch::{Batch, UNTIMED, bucket_for},
    connection::{ConnectionState, flag},
    counter::{Loss, OpKey, OpValue},
    draw::Drawn,
    event::{Control, ExchangeRecord, exchange_flag, kind, why},
    flow::{protocol, role},
    framing::{
        conversation::{ANSWER_WORDS, Conversation, Finished, HEAD_WORDS},
        frames::outcome,
        http2::trace::{TRACE_WORDS, Trace, TraceKey},
    },
};

use crate::{
    atomic,
    emit::{control, copy_addr, copy_words, header, lost_on, reserve_exchange, submit},
    maps::{DRAWN, OPS, OPS_SPARE, TRACES, ZERO_OP},
};

/// `-E2BIG`: what inserting into a map with [`BPF_NOEXIST`] says if it holds all that it may.
const IS_FULL: i32 = -7;

/// Counts the exchange that was just completed, and tells it if the detail lane wants it.
#[inline(never)]
pub fn record(state: &mut ConnectionState) {
    note(state, false);
    flush(state, false);
}

/// The same where one run may complete many: equal ones are counted together, and the run must end
/// with [`flush`].
#[inline(never)]
pub fn note(state: &mut ConnectionState, is_request: bool) {
    state.conversation.exchanges += 1;
    let protocol = spoken(state);
    let finished = &state.conversation.finished;
    let seen = Seen {
        finished,
        protocol,
        // Of these protocols no other status is an error, and each further branch counts: this
        // is verified once for every call.
        is_error: finished.status.wrapping_sub(1) >= 499,
    };
    let batch = if is_request {
        &mut state.conversation.request_batch
    } else {
        &mut state.conversation.response_batch
    };
    let Some(named) = count(state.edge_id, batch, &seen) else {
        return;
    };
    if consider::<false>(state, &seen, named) {
        named_now(batch_of(&mut state.conversation, is_request));
    }
}

/// The same of one that HTTP/2 has completed.
#[inline(never)]
pub fn note_stream(state: &mut ConnectionState, finished: &Finished, is_request: bool) {
    // Both directions complete some, at the same time on two CPUs: their sum, which the framer keeps.
    state.conversation.exchanges = state.conversation.answered;
    let seen = Seen {
        finished,
        protocol: finished.protocol,
        is_error: outcome::is_error(finished.status),
    };
    let batch = batch_of(&mut state.conversation, is_request);
    let Some(named) = count(state.edge_id, batch, &seen) else {
        return;
    };
    if consider::<true>(state, &seen, named) {
        named_now(batch_of(&mut state.conversation, is_request));
    }
}

/// Counts what a run has completed in a direction and not yet counted.
#[inline(always)]
pub fn flush(state: &mut ConnectionState, is_request: bool) {
    let batch = batch_of(&mut state.conversation, is_request);
    if batch.calls != 0 {
        commit(batch);
    }
}

/// True if there is something to [`flush`].
#[inline(always)]
pub fn is_pending(state: &mut ConnectionState, is_request: bool) -> bool {
    batch_of(&mut state.conversation, is_request).calls != 0
}

#[inline(always)]
fn batch_of(conversation: &mut Conversation, is_request: bool) -> &mut Batch {
    if is_request {
        &mut conversation.request_batch
    } else {
        &mut conversation.response_batch
    }
}

/// An exchange that was completed.
pub struct Seen<'a> {
    /// What is known of it.
    pub finished: &'a Finished,
    /// One of [`protocol`].
    pub protocol: u8,
    /// True if it failed at the server.
    pub is_error: bool,
}

impl Seen<'_> {
    /// From the request's first byte to the response's last one; 0 if it is not known.
    #[inline(always)]
    pub fn duration_ns(&self) -> u64 {
        if self.finished.started_ns == 0 {
            return 0;
        }
        let finished = self.finished;
        finished.ended_ns.saturating_sub(finished.started_ns)
    }
}

/// Tells of an exchange if the detail lane wants it; true if its name was told for the first time.
/// Only of a `STREAM` there may be a trace context to be looked up: its key does not fit into the
/// stack of all others.
#[inline(always)]
fn consider<const STREAM: bool>(state: &ConnectionState, seen: &Seen<'_>, named: bool) -> bool {
    let is_new = !named && has_head(state, seen);
    let (why, probability) = wanted(is_new, seen);
    why != 0 && tell::<STREAM>(state, seen, why, probability) && !named
}

/// True if the head of its request is at hand.
#[inline(always)]
fn has_head(state: &ConnectionState, seen: &Seen<'_>) -> bool {
    // The line belongs to the CPU that reads requests: the compiler must not fetch it for an exchange
    // that nobody asks about.
    // SAFETY: a live, aligned field.
    let ordinal = unsafe { core::ptr::read_volatile(&raw const state.conversation.head_ordinal) };
    ordinal == seen.finished.ordinal
}

/// Adds an exchange to its direction's batch, after counting what is there if that is of another
/// kind. The first of its kind in a run is counted at once: then it is known whether its operation
/// has a name, which is the answer. `None` if it could not be counted.
#[inline(always)]
pub fn count(edge_id: u32, batch: &mut Batch, seen: &Seen<'_>) -> Option<bool> {
    let finished = seen.finished;
    let key = OpKey {
        op: finished.op,
        edge_id,
        status: finished.status,
        protocol: seen.protocol,
        method: finished.method,
    };
    let duration_ns = seen.duration_ns();
    let bucket = bucket_for(finished, duration_ns);
    if batch.takes(&key, finished.ended_ns, bucket) {
        batch.add(finished, duration_ns);
        return Some(batch.named != 0);
    }
    if batch.calls != 0 {
        commit(batch);
    }
    batch.begin(&key, finished.ended_ns, bucket);
    batch.add(finished, duration_ns);
    if commit(batch) == 0 {
        return None;
    }
    Some(batch.named != 0)
}

/// Adds a batch to the counters of its operation; 0 if there is no room for them.
#[inline(never)]
fn commit(batch: &mut Batch) -> u32 {
    let calls = batch.calls as u64;
    let Some(value) = slot(batch) else {
        lost_on(batch.key.edge_id, Loss::StorageFailed as u32, calls);
        batch.clear();
        return 0;
    };
    let sums = &batch.sums;
    // How many they are comes last: user space takes what stands there when it sees more of them.
    atomic::add(&mut value.request_bytes, sums.request_bytes);
    atomic::add(&mut value.response_bytes, sums.response_bytes);
    value.last_seen_ns = batch.ended_ns;
    if batch.bucket == UNTIMED {
        lost_on(batch.key.edge_id, Loss::PipelineDepth as u32, calls);
        atomic::add(&mut value.untimed, calls);
    } else {
        atomic::add(&mut value.duration_sum_ns, sums.duration_ns);
        if let Some(bucket) = value.buckets.get_mut(batch.bucket as usize) {
            atomic::add_u32(bucket, batch.calls);
        }
        if sums.queued != 0 {
            atomic::add(&mut value.queue_sum_ns, sums.queue_ns);
            atomic::add(&mut value.queued, sums.queued);
        }
        let unqueued = calls.wrapping_sub(sums.queued);
        if unqueued != 0 {
            atomic::add(&mut value.unqueued, unqueued);
        }
    }
    batch.named = value.named;
    batch.clear();
    1
}

/// The counters of a batch's operation on this CPU; those of `_OTHER` if the table is full, and those
/// in [`OPS_SPARE`] while the kernel has no memory at hand for further ones.
#[inline(always)]
fn slot(batch: &mut Batch) -> Option<&'static mut OpValue> {
    if let Some(value) = lookup(&batch.key) {
        return Some(value);
    }
    new_slot(batch)
}

#[inline(always)]
fn new_slot(batch: &mut Batch) -> Option<&'static mut OpValue> {
    let zero = ZERO_OP.get(0)?;
    let made = OPS.insert(&batch.key, zero, BPF_NOEXIST as u64);
    // Also another CPU may have made it in the meantime.
    if let Some(value) = lookup(&batch.key) {
        return Some(value);
    }
    if made == Err(IS_FULL) {
        batch.key.op = 0;
        lost_on(
            batch.key.edge_id,
            Loss::OpTableFull as u32,
            batch.calls as u64,
        );
        if let Some(folded) = lookup(&batch.key) {
            return Some(folded);
        }
    }
    if let Some(value) = spare(&batch.key) {
        return Some(value);
    }
    let _ = OPS_SPARE.insert(&batch.key, zero, BPF_NOEXIST as u64);
    spare(&batch.key)
}

/// The operation of a batch was told with its name.
#[inline(never)]
pub fn named_now(batch: &mut Batch) {
    batch.named = 1;
    if let Some(value) = lookup(&batch.key) {
        value.named = 1;
    }
}

/// Protocol of an exchange: also of the one that ended HTTP on its connection.
#[inline(always)]
fn spoken(state: &ConnectionState) -> u8 {
    let code = state.conversation.protocol;
    if code >= protocol::REDIS || code == protocol::TLS {
        code
    } else {
        protocol::HTTP1
    }
}

#[inline(always)]
fn lookup(key: &OpKey) -> Option<&'static mut OpValue> {
    // SAFETY: counters are only added to atomically.
    OPS.get_ptr_mut(key).map(|value| unsafe { &mut *value })
}

#[inline(always)]
fn spare(key: &OpKey) -> Option<&'static mut OpValue> {
    let value = OPS_SPARE.get_ptr_mut(key)?;
    // SAFETY: a live map value; counters in it are only added to atomically.
    Some(unsafe { &mut *value })
}

/// Why the detail lane wants an exchange (`is_new`: its operation has no name yet), and with what
/// probability it was drawn.
#[inline(always)]
pub fn wanted(is_new: bool, seen: &Seen<'_>) -> (u8, u32) {
    let mut why = is_new as u32 * why::NEW_OPERATION as u32;
    why |= seen.is_error as u32 * why::ERROR as u32;
    let drawn = weir_wanted(why, seen.duration_ns(), seen.finished.ended_ns);
    ((drawn >> 32) as u8, drawn as u32)
}

/// The same as [`why`] above its probability, of an exchange of which `why` is known already. It is
/// global, so that it is verified once and not at every call.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_wanted(why: u32, duration_ns: u64, ended_ns: u64) -> u64 {
    let Some(control) = control() else {
        return 0;
    };
    let mut why = why as u8;
    if control.slow_ns != 0 && duration_ns > control.slow_ns {
        why |= why::SLOW;
    }
    let Some(drawn) = DRAWN.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: the pointer is this CPU's slot; an interrupt may draw a record too many.
    let drawn = unsafe { &mut *drawn };
    let probability = draw(control, drawn, ended_ns);
    // Failing or slow exchanges alone could be as many as all of them.
    if drawn.is_full(control.records_per_epoch) {
        why &= why::NEW_OPERATION;
    }
    if probability == 0 {
        drawn.records += (why != 0) as u64;
        return (why as u64) << 32 | u32::MAX as u64;
    }
    ((why | why::SAMPLED) as u64) << 32 | probability as u64
}

/// Draws: the probability with which it was drawn, 0 if it was not.
#[inline(always)]
fn draw(control: &Control, drawn: &mut Drawn, time_ns: u64) -> u32 {
    let keep = u32::MAX - control.skip_threshold;
    let probability = drawn.probability(keep, control.records_per_epoch, time_ns);
    // SAFETY: the helper has no arguments.
    let seed = || unsafe { bpf_get_prandom_u32() };
    if probability != u32::MAX && drawn.random(seed) >= probability {
        return 0;
    }
    drawn.records += 1;
    probability
}

/// True if it was told with the head of its request.
#[inline(always)]
fn tell<const STREAM: bool>(
    state: &ConnectionState,
    seen: &Seen<'_>,
    why: u8,
    probability: u32,
) -> bool {
    let Some(mut entry) = reserve_exchange() else {
        return false;
    };
    let has_head = has_head(state, seen);
    const {
        use core::mem::offset_of;
        assert!(offset_of!(ExchangeRecord, client_addr) % 8 == 0);
        assert!(offset_of!(ExchangeRecord, server_addr) % 8 == 0);
    }
    let finished = seen.finished;
    let is_server = state.role == role::SERVER;
    // SAFETY: every field is written before the record is submitted; the struct is plain bytes.
    let record = unsafe { &mut *entry.as_mut_ptr() };
    record.header = header(kind::EXCHANGE, finished.ended_ns);
    record.cookie = state.cookie;
    record.op = finished.op;
    record.request_offset = state.conversation.request_offset(finished);
    record.started_ns = finished.started_ns;
    record.queue_ns = finished.queue_ns;
    record.responded_ns = finished.responded_ns;
    record.ended_ns = finished.ended_ns;
    record.request_bytes = finished.request_bytes;
    record.response_bytes = finished.response_bytes;
    record.client_isn = state.client_isn;
    record.server_isn = state.server_isn;
    record.edge_id = state.edge_id;
    record.probability = probability;
    let (client_addr, server_addr) = if is_server {
        (&state.remote_addr, &state.local_addr)
    } else {
        (&state.local_addr, &state.remote_addr)
    };
    copy_addr(client_addr, &mut record.client_addr);
    copy_addr(server_addr, &mut record.server_addr);
    record.client_port = if is_server {
        state.remote_port
    } else {
        state.local_port
    };
    record.server_port = state.server_port();
    record.client_tgid = if is_server {
        state.peer.tgid
    } else {
        state.owner.tgid
    };
    record.server_tgid = if is_server {
        state.owner.tgid
    } else {
        state.peer.tgid
    };
    record.request_messages = finished.request_messages;
    record.response_messages = finished.response_messages;
    record.status = finished.status;
    record.protocol = seen.protocol;
    record.method = finished.method;
    record.role = state.role;
    record.why = why;
    record.flags = flags(state, finished);
    record.head_len = 0;
    record.head_skip = 0;
    if has_head {
        record.flags |= exchange_flag::HAS_HEAD;
        record.head_len = state.conversation.head_len;
        record.head_skip = state.conversation.head_skip() as u8;
    }
    copy_head(record, state);
    match trace_of::<STREAM>(state, finished) {
        Some(trace) => copy_trace(record, trace),
        None => copy_answer(record, state, finished),
    }
    submit(entry);
    has_head
}

#[inline(always)]
fn flags(state: &ConnectionState, finished: &Finished) -> u8 {
    let mut flags = finished.events * exchange_flag::EVENTS;
    if finished.started_ns == 0 {
        flags |= exchange_flag::UNTIMED;
    }
    if !state.has(flag::HAS_ISN) {
        flags |= exchange_flag::NO_ISN;
    }
    if state.has(flag::LOCAL_PAIR) {
        flags |= exchange_flag::LOCAL_PAIR;
    }
    if finished.until_close != 0 {
        flags |= exchange_flag::UNTIL_CLOSE;
    }
    if finished.status == 0 {
        flags |= exchange_flag::UNANSWERED;
    }
    flags
}

/// Copies the kept head by words; the ring buffer's memory must be written whole.
#[inline(always)]
fn copy_head(record: &mut ExchangeRecord, state: &ConnectionState) {
    const { assert!(core::mem::offset_of!(ExchangeRecord, head) % 8 == 0) };
    let head = record.head.as_mut_ptr().cast::<[u64; HEAD_WORDS]>();
    // SAFETY: `head` is 8-aligned within the record (asserted) and holds HEAD_WORDS words.
    state.conversation.copy_head(unsafe { &mut *head });
}

/// The trace context of a request, where that does not stand in its head.
#[inline(always)]
fn trace_of<const STREAM: bool>(
    state: &ConnectionState,
    finished: &Finished,
) -> Option<&'static Trace> {
    if !STREAM || finished.traced == 0 {
        return None;
    }
    // SAFETY: the map's value is plain words.
    unsafe { TRACES.get(TraceKey::new(state.cookie, finished.seq)) }
}

/// Puts a trace context where failing answers of other protocols begin.
#[inline(always)]
fn copy_trace(record: &mut ExchangeRecord, trace: &Trace) {
    const { assert!(TRACE_WORDS == ANSWER_WORDS) };
    record.answer_len = trace[TRACE_WORDS - 1] as u8;
    record.answer_skip = 0;
    let answer = record.answer.as_mut_ptr().cast::<[u64; ANSWER_WORDS]>();
    // SAFETY: as in `copy_answer`.
    copy_words(trace, unsafe { &mut *answer });
}

/// Copies the beginning of a failing answer, by words.
#[inline(always)]
fn copy_answer(record: &mut ExchangeRecord, state: &ConnectionState, finished: &Finished) {
    const { assert!(core::mem::offset_of!(ExchangeRecord, answer) % 8 == 0) };
    let failed = finished.status >= outcome::FAILED;
    record.answer_len = if failed {
        state.conversation.answer_len
    } else {
        0
    };
    record.answer_skip = state.conversation.answer_skip as u8;
    let answer = record.answer.as_mut_ptr().cast::<[u64; ANSWER_WORDS]>();
    // SAFETY: `answer` is 8-aligned within the record (asserted) and holds ANSWER_WORDS words.
    copy_words(&state.conversation.answer, unsafe { &mut *answer });
}
