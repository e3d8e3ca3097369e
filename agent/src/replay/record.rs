//! Exchanges as the records that the kernel would write, with the heads of their requests.

use std::collections::VecDeque;

use weir_common::{
    event::{ExchangeRecord, HEAD_BYTES, Header, exchange_flag, kind},
    flow::{protocol, role},
    framing::{
        conversation::{Conversation, HEAD_WORDS, MAX_PENDING},
        detect::is_framed,
        frames::outcome,
        http1::graphql::told,
    },
};

use super::packet::End;

/// First bytes of a request.
pub(super) struct Head {
    /// Where it begins in the client's stream.
    pub offset: u64,
    /// Sequence number up to which the client had received the server's stream when it asked.
    pub ack: Option<u32>,
    bytes: [u8; HEAD_BYTES],
    len: u16,
    /// Name of its GraphQL operation, as the kernel would tell it; empty if there is none.
    name: Vec<u8>,
}

/// What every exchange of a connection shares.
#[derive(Clone, Copy)]
pub(super) struct Facts {
    /// Who sent the SYN, or the first request.
    pub client: End,
    /// The other end.
    pub server: End,
    /// Which connection of the capture this is, from 1; stands for the socket's cookie.
    pub number: u64,
    /// Initial sequence numbers of the client and of the server, if both are known.
    pub isns: Option<(u32, u32)>,
}

/// Heads that are kept until their responses are complete, oldest first.
pub(super) type Heads = VecDeque<Head>;

/// Takes over the head of the request that was just read, up to its empty line.
pub(super) fn keep_head(heads: &mut Heads, conversation: &Conversation, ack: Option<u32>) {
    heads.retain(|head| waits(conversation, head.offset));
    if conversation.head_ordinal != conversation.asked || heads.len() >= MAX_PENDING {
        return;
    }
    let mut words = [0; HEAD_WORDS];
    conversation.copy_head(&mut words);
    let words: &[u8] = bytemuck::cast_slice(&words);
    let start = usize::from(conversation.head_skip());
    let end = start + usize::from(conversation.head_len);
    let kept = words.get(start..end).unwrap_or_default();
    let len = if is_framed(conversation.protocol) {
        kept.len()
    } else {
        head_len(kept)
    };
    let mut head = Head {
        offset: conversation.request.message_start,
        ack,
        bytes: [0; HEAD_BYTES],
        len: len as u16,
        name: Vec::new(),
    };
    head.bytes[..len].copy_from_slice(&kept[..len]);
    heads.push_back(head);
}

/// Keeps the name that was found in the request read last.
pub(super) fn keep_name(heads: &mut Heads, conversation: &Conversation) {
    let (_, len, name) = told(conversation);
    let name: &[u8] = bytemuck::cast_slice(name);
    let offset = conversation.request.message_start;
    let head = heads.iter_mut().find(|head| head.offset == offset);
    if let (Some(head), Some(name)) = (head, name.get(..len as usize)) {
        head.name = name.to_vec();
    }
}

/// True if the request that begins at this offset is remembered and not answered.
fn waits(conversation: &Conversation, offset: u64) -> bool {
    let waiting = (conversation.answered + 1..=conversation.asked).take(MAX_PENDING);
    let mut pending = conversation.pending.iter();
    pending.any(|pending| {
        conversation.begun_at(pending.seq) == offset
            && waiting.clone().any(|ordinal| pending.is(ordinal))
    })
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

/// Protocol of an exchange: also of the one that ended HTTP on its connection.
fn spoken(conversation: &Conversation) -> u8 {
    if conversation.finished.protocol != 0 {
        conversation.finished.protocol
    } else if is_framed(conversation.protocol) {
        conversation.protocol
    } else {
        protocol::HTTP1
    }
}

/// The record that the kernel would write for this exchange.
pub(super) fn record(
    facts: &Facts,
    heads: &mut Heads,
    conversation: &Conversation,
) -> ExchangeRecord {
    let finished = &conversation.finished;
    let mut record = ExchangeRecord {
        header: Header {
            kind: kind::EXCHANGE,
            cpu: 0,
            time_ns: finished.ended_ns,
        },
        cookie: facts.number,
        op: finished.op,
        request_offset: conversation.request_offset(finished),
        started_ns: finished.started_ns,
        queue_ns: finished.queue_ns,
        responded_ns: finished.responded_ns,
        ended_ns: finished.ended_ns,
        request_bytes: finished.request_bytes,
        response_bytes: finished.response_bytes,
        request_messages: finished.request_messages,
        response_messages: finished.response_messages,
        client_addr: facts.client.0,
        client_port: facts.client.1,
        server_addr: facts.server.0,
        server_port: facts.server.1,
        status: finished.status,
        method: finished.method,
        protocol: spoken(conversation),
        role: role::UNKNOWN,
        flags: finished.events * exchange_flag::EVENTS,
        probability: u32::MAX,
        ..bytemuck::Zeroable::zeroed()
    };
    match facts.isns {
        Some((client_isn, server_isn)) => {
            record.client_isn = client_isn;
            record.server_isn = server_isn;
        }
        None => record.flags |= exchange_flag::NO_ISN,
    }
    if finished.started_ns == 0 {
        record.flags |= exchange_flag::UNTIMED;
    }
    if finished.until_close != 0 {
        record.flags |= exchange_flag::UNTIL_CLOSE;
    }
    if finished.status >= outcome::FAILED {
        let answer: &[u8] = bytemuck::cast_slice(&conversation.answer);
        record.answer.copy_from_slice(answer);
        record.answer_len = conversation.answer_len;
        record.answer_skip = conversation.answer_skip as u8;
    }
    if finished.started_ns != 0
        && let Some(at) = heads.iter().position(|h| h.offset == record.request_offset)
        && let Some(head) = heads.remove(at)
    {
        record.flags |= exchange_flag::HAS_HEAD;
        record.head[..HEAD_BYTES].copy_from_slice(&head.bytes);
        record.head_len = head.len;
        if record.protocol == protocol::HTTP1 {
            // No answer of HTTP travels, so here is room.
            record.answer[..head.name.len()].copy_from_slice(&head.name);
            record.answer_len = head.name.len() as u8;
            record.answer_skip = 0;
        }
    }
    record
}
