//! Which protocol a connection speaks, by evidence: its first message must be complete and valid.

use super::{
    conversation::Conversation,
    dns, http2, line, memcached, mongodb, mysql, postgres, redis,
    stream::{Direction, phase},
    websocket,
    window::Window,
    zookeeper,
};
use crate::flow::protocol;

/// The protocol of a connection whose bytes are no HTTP/1: [`protocol::UNKNOWN`] if more
/// bytes may tell, [`protocol::TCP`] if nothing is known of them.
#[inline(always)]
pub(super) fn detect(
    conversation: &mut Conversation,
    is_request: bool,
    from: usize,
    to: usize,
) -> u8 {
    if conversation.protocol == protocol::UPGRADED {
        return upgraded(conversation, is_request, from, to);
    }
    let direction = conversation.direction_mut(is_request);
    let resumed = direction.phase == phase::RESYNC;
    let segment = direction.segment;
    let whole = segment.end.wrapping_sub(segment.offset) == to.wrapping_sub(from) as u64;
    let window = &mut direction.window;
    // First, because a length may look like the first byte of anything.
    let code = if is_request {
        mongodb::evidence(window, from, to)
    } else {
        protocol::TCP
    };
    let code = window.forget(code as usize) as u8;
    if is_request && code != protocol::TCP {
        return code;
    }
    if line::is_tls_handshake(window, from) {
        return protocol::TLS;
    }
    if !is_request {
        return greeting(conversation, from, to);
    }
    let preface = http2::preface_evidence(window, from, to);
    let preface = window.forget(preface as usize) as u8;
    if preface != protocol::TCP {
        return preface;
    }
    let code = request(direction, from, to);
    let window = &mut direction.window;
    // What was compared on the way is of no matter to the verifier.
    let code = window.forget(code as usize) as u8;
    let (from, to) = (window.forget(from), window.forget(to));
    if code == protocol::TCP && resumed {
        // On a connection that is older than its observer.
        if http2::resumes(window, from, to, whole) {
            return protocol::HTTP2;
        }
        if postgres::resumed_evidence(window, from, to) == protocol::POSTGRES {
            return protocol::POSTGRES;
        }
        return mysql::evidence(window, from, to);
    }
    code
}

/// The same behind an upgrade of HTTP/1: only a few protocols are begun in this way.
#[inline(always)]
fn upgraded(conversation: &mut Conversation, is_request: bool, from: usize, to: usize) -> u8 {
    let code = websocket::evidence(conversation, is_request, from, to);
    if code != protocol::TCP {
        return code;
    }
    let window = &mut conversation.direction_mut(is_request).window;
    let code = if is_request {
        http2::preface_evidence(window, from, to)
    } else {
        http2::server_evidence(window, from, to)
    };
    let code = window.forget(code as usize) as u8;
    if code != protocol::TCP {
        code
    } else if line::is_tls_handshake(window, from) {
        protocol::TLS
    } else {
        protocol::TCP
    }
}

/// The same of a server's first bytes, where its client waits for them.
#[inline(always)]
fn greeting(conversation: &mut Conversation, from: usize, to: usize) -> u8 {
    let window = &mut conversation.response.window;
    let code = http2::server_evidence(window, from, to);
    let code = window.forget(code as usize) as u8;
    if code != protocol::TCP {
        return code;
    }
    if conversation.request.highest != 0 {
        return protocol::TCP;
    }
    let window = &conversation.response.window;
    let code = mysql::greeting_evidence(window, from, to);
    if code != protocol::TCP {
        return code;
    }
    match mongodb::answer_evidence(window, from, to) {
        protocol::TCP => memcached::answer_evidence(window, from, to),
        code => code,
    }
}

/// The same of a client's bytes alone, by what cannot be HTTP or TLS.
#[inline(always)]
fn request(direction: &mut Direction, from: usize, to: usize) -> u8 {
    if is_word(direction, from, to) {
        return protocol::ZOOKEEPER;
    }
    let window = &mut direction.window;
    if window.byte(from) == b'*' {
        return redis::evidence(window, from, to);
    }
    if window.byte(from) == 0 {
        return lengths_first(window, from, to);
    }
    memcached::evidence(window, from, to)
}

/// The same of bytes that may be a length: the first that knows them, or that may come to.
#[inline(always)]
fn lengths_first(window: &mut Window, from: usize, to: usize) -> u8 {
    let postgres = postgres::startup_evidence(window, from, to);
    let postgres = window.forget(postgres as usize) as u8;
    if is_framed(postgres) {
        return postgres;
    }
    let zookeeper = zookeeper::evidence(window, from, to);
    let zookeeper = window.forget(zookeeper as usize) as u8;
    if is_framed(zookeeper) {
        return zookeeper;
    }
    let dns = dns::evidence(window, from, to);
    let any_may = [postgres, zookeeper].contains(&protocol::UNKNOWN);
    if dns == protocol::TCP && any_may {
        return protocol::UNKNOWN;
    }
    dns
}

/// True if these bytes, the whole segment, begin a connection with a word that is no HTTP, though
/// its letters could become that.
#[inline(always)]
pub(super) fn is_word(direction: &Direction, from: usize, to: usize) -> bool {
    // In mid-stream, or as the end of a cut word, such letters mean nothing.
    let begins = direction.segment.offset == 0 && direction.phase == phase::START_LINE;
    begins && zookeeper::is_word(&direction.window, from, to)
}

/// Protocols whose exchanges are read.
pub const READ: [u8; 10] = [
    protocol::DNS,
    protocol::HTTP1,
    protocol::HTTP2,
    protocol::MEMCACHED,
    protocol::MONGODB,
    protocol::MYSQL,
    protocol::POSTGRES,
    protocol::REDIS,
    protocol::TLS,
    protocol::ZOOKEEPER,
];

/// True for protocols that a reader of frames follows.
#[inline(always)]
pub fn is_framed(code: u8) -> bool {
    matches!(code, protocol::HTTP2 | protocol::TLS) || code >= protocol::REDIS
}
