//! Which protocol a connection speaks, by evidence: its first message must be complete and valid.

use super::{
    conversation::Conversation,
    http2::{self, FRAME_HEADER_BYTES},
    line, redis,
    window::Window,
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
        return answer(window, from, to);
    }
    if to >= from + 8 && http2::begins_connection(window, from) {
        return protocol::HTTP2;
    }
    request(window, from, to)
}

/// What a server says first: some protocols do not wait for the client.
#[inline(always)]
fn answer(window: &mut Window, from: usize, to: usize) -> u8 {
    if to >= from + FRAME_HEADER_BYTES && http2::begins_server(window, from) {
        return protocol::HTTP2;
    }
    protocol::TCP
}

/// The same of a client's bytes alone, by what cannot be HTTP or TLS.
#[inline(always)]
pub(super) fn request(window: &mut Window, from: usize, to: usize) -> u8 {
    if window.byte(from) == b'*' {
        return redis::evidence(window, from, to);
    }
    if to >= from + FRAME_HEADER_BYTES && http2::begins_request(window, from) {
        return protocol::HTTP2;
    }
    protocol::TCP
}

/// True for protocols that a reader of frames follows.
#[inline(always)]
pub fn is_framed(code: u8) -> bool {
    code == protocol::HTTP2 || code >= protocol::REDIS
}
