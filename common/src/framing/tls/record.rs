//! Records behind the hellos: who has finished, who gave up.

use super::{ALERT, HEADER_BYTES, Header, fact, fail, finish, kind};
use crate::framing::{
    conversation::Conversation,
    frames::{Frame, means, outcome},
};

/// Bytes of a record with an alert in the clear.
const ALERT_BYTES: u64 = HEADER_BYTES as u64 + 2;

/// An alert of TLS 1.3, with type and tag.
const ENCRYPTED_ALERT_BYTES: u64 = HEADER_BYTES as u64 + 2 + 1 + 16;

/// A Finished of TLS 1.3 is longer than this, with type and tag. What is shorter stands before it: the
/// end of early data, or the certificate of a client that was asked for one and has none.
const SHORT_BYTES: u64 = HEADER_BYTES as u64 + 40;

/// Level of an alert that ends nothing (RFC 5246, section 7.2).
const WARNING: u8 = 1;

/// Description of the alert that ends a connection in good order.
const CLOSE_NOTIFY: u8 = 0;

#[inline(always)]
pub(super) fn read(
    conversation: &mut Conversation,
    is_request: bool,
    header: &Header,
    from: usize,
    to: usize,
) -> Frame {
    let is_alert = header.kind == kind::ALERT;
    let has_answer = conversation.tls.server.facts & fact::HELLO != 0;
    if conversation.asked == conversation.answered || is_request && is_alert && !has_answer {
        // Nothing can come before the client's hello, nor can that give a reason to give up.
        return Frame::BAD;
    }
    if is_alert {
        return alert(conversation, is_request, header, from, to);
    }
    if is_request {
        of_client(conversation, header)
    } else {
        of_server(conversation, header)
    }
}

#[inline(always)]
fn alert(
    conversation: &mut Conversation,
    is_request: bool,
    header: &Header,
    from: usize,
    to: usize,
) -> Frame {
    if header.len != ALERT_BYTES {
        return fail(conversation, header);
    }
    if (to.wrapping_sub(from) as u64) < ALERT_BYTES {
        return Frame::CUT;
    }
    let window = &conversation.direction_mut(is_request).window;
    let level = window.byte(from + HEADER_BYTES);
    let description = window.byte(from + HEADER_BYTES + 1);
    if level == WARNING && description != CLOSE_NOTIFY {
        return header.frame(means::ASIDE);
    }
    finish(conversation, header, ALERT + description as u16)
}

#[inline(always)]
fn of_client(conversation: &mut Conversation, header: &Header) -> Frame {
    let server = conversation.tls.server.facts;
    let is_13 = server & fact::IS_13 != 0;
    let client = &mut conversation.tls.client;
    match header.kind {
        kind::CHANGE_CIPHER_SPEC => client.facts |= fact::ENCRYPTED,
        kind::APPLICATION_DATA if is_13 && header.len <= ENCRYPTED_ALERT_BYTES => {
            return fail(conversation, header);
        }
        kind::APPLICATION_DATA if is_13 && header.len >= SHORT_BYTES => {
            return finish(conversation, header, outcome::OK);
        }
        kind::HANDSHAKE if !is_13 && client.facts & fact::ENCRYPTED != 0 => {
            if server & fact::FINISHED != 0 {
                return finish(conversation, header, outcome::OK);
            }
            client.facts |= fact::FINISHED;
        }
        _ => {}
    }
    header.frame(means::ASIDE)
}

#[inline(always)]
fn of_server(conversation: &mut Conversation, header: &Header) -> Frame {
    let client = conversation.tls.client.facts;
    let server = &mut conversation.tls.server;
    if server.facts & fact::HELLO == 0 {
        return Frame::BAD;
    }
    let is_13 = server.facts & fact::IS_13 != 0;
    match header.kind {
        kind::CHANGE_CIPHER_SPEC => server.facts |= fact::ENCRYPTED,
        kind::HANDSHAKE if !is_13 && server.facts & fact::ENCRYPTED != 0 => {
            if client & fact::FINISHED != 0 {
                return finish(conversation, header, outcome::OK);
            }
            server.facts |= fact::FINISHED;
        }
        _ => {}
    }
    header.frame(means::PART)
}
