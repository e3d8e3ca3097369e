//! Which protocol a connection speaks, by evidence: its first message must be complete and valid.

use super::{
    conversation::Conversation, dns, line, redis, stream::Direction, window::Window, zookeeper,
};
use crate::flow::protocol;

/// The protocol of a connection whose first bytes are no HTTP/1: [`protocol::UNKNOWN`] if more
/// bytes may tell, [`protocol::TCP`] if nothing is known of them.
#[inline(always)]
pub(super) fn detect(
    conversation: &mut Conversation,
    is_request: bool,
    from: usize,
    to: usize,
) -> u8 {
    let window = &mut conversation.direction_mut(is_request).window;
    if line::is_tls_handshake(window, from) {
        return protocol::TLS;
    }
    if !is_request {
        return protocol::TCP;
    }
    if to >= from + 8 && line::is_http2_preface(window, from) {
        return protocol::HTTP2;
    }
    request(window, from, to)
}

/// The same of a client's bytes alone, by what cannot be HTTP or TLS.
#[inline(always)]
pub(super) fn request(window: &mut Window, from: usize, to: usize) -> u8 {
    if window.byte(from) == b'*' {
        return redis::evidence(window, from, to);
    }
    if window.byte(from) == 0 {
        return lengths_first(window, from, to);
    }
    if zookeeper::is_word(window, from, to) {
        return protocol::ZOOKEEPER;
    }
    protocol::TCP
}

/// The same of bytes that may be a length.
#[inline(always)]
fn lengths_first(window: &Window, from: usize, to: usize) -> u8 {
    let found = zookeeper::evidence(window, from, to);
    if found == protocol::ZOOKEEPER {
        return found;
    }
    match dns::evidence(window, from, to) {
        protocol::TCP => found,
        other => other,
    }
}

/// True if a connection begins with a word that is no HTTP, though its letters could become that.
#[inline(always)]
pub(super) fn is_word(direction: &Direction, from: usize, to: usize) -> bool {
    let whole = direction.segment.offset == 0 && direction.segment.end == direction.next;
    whole && zookeeper::is_word(&direction.window, from, to)
}

/// True for protocols that a reader of frames follows.
#[inline(always)]
pub fn is_framed(code: u8) -> bool {
    code >= protocol::REDIS
}
