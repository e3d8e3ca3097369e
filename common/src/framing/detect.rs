//! Which protocol a connection speaks, by evidence: its first message must be complete and valid.

use super::{conversation::Conversation, line, mysql, redis, window::Window};
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
        return greeting(conversation, from, to);
    }
    if to >= from + 8 && line::is_http2_preface(window, from) {
        return protocol::HTTP2;
    }
    request(window, from, to)
}

/// The same of a server's first bytes, where its client waits for them.
#[inline(always)]
fn greeting(conversation: &Conversation, from: usize, to: usize) -> u8 {
    if conversation.request.highest != 0 {
        return protocol::TCP;
    }
    mysql::greeting_evidence(&conversation.response.window, from, to)
}

/// The same of a client's bytes on a connection that is older than its observer.
#[inline(always)]
pub(super) fn resumed(window: &mut Window, from: usize, to: usize) -> u8 {
    let code = request(window, from, to);
    if code != protocol::TCP {
        return code;
    }
    mysql::evidence(window, from, to)
}

/// The same of a client's bytes alone, by what cannot be HTTP or TLS.
#[inline(always)]
pub(super) fn request(window: &mut Window, from: usize, to: usize) -> u8 {
    if window.byte(from) == b'*' {
        return redis::evidence(window, from, to);
    }
    protocol::TCP
}

/// True for protocols that a reader of frames follows.
#[inline(always)]
pub fn is_framed(code: u8) -> bool {
    code >= protocol::REDIS
}
