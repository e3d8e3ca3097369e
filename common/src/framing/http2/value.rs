//! Values of the fields that matter, as text or by Huffman codes.

use super::{
    Http2, Spill, Waiting,
    block::add,
    huffman, place,
    table::{Field, GRPC_TYPE, UNREAD, field},
    trace,
};
use crate::{
    FNV_OFFSET, fnv1a_step,
    framing::{
        conversation::{Conversation, Step, step},
        http1::method,
        operation::{Hasher, MAX_TARGET_BYTES, ends_path},
        window::Window,
    },
};

/// Symbols of a value that count.
pub const MAX_SYMBOLS: usize = 128;

/// Words that hold them.
pub const TEXT_WORDS: usize = MAX_SYMBOLS / 8;

/// Reads the value that waits.
#[inline(always)]
pub fn value<S: Spill>(
    conversation: &mut Conversation,
    http2: &mut Http2,
    spill: &mut S,
    is_request: bool,
) -> Step {
    let direction = conversation.direction_mut(is_request);
    let half = http2.half_mut(is_request);
    let waiting = half.waiting;
    let text = decode(&mut direction.window, &waiting, &mut half.text);
    let entry = if waiting.kind == field::PATH {
        let entry = path(&mut direction.window, &half.text, &text);
        if is_request {
            keep_path(http2, text.len);
        }
        entry
    } else if waiting.kind == field::TRACE {
        trace::keep(http2, spill, is_request, text.len)
    } else {
        Field {
            kind: waiting.kind,
            value: meaning(waiting.kind, half.text[0], half.text[1]),
            exact: 0,
        }
    };
    // The ways that led here are of no matter to the verifier.
    let entry = Field {
        kind: entry.kind,
        value: direction.window.forget(entry.value as usize) as u64,
        exact: direction.window.forget(entry.exact as usize) as u64,
    };
    let half = http2.half_mut(is_request);
    add(half, &entry, waiting.insert);
    half.waiting.kind = field::OTHER;
    if direction.scan_from < direction.scan_to && half.place == place::FRAGMENT {
        return step::FIELDS;
    }
    step::MORE
}

/// Keeps a path for user space.
#[inline(always)]
fn keep_path(http2: &mut Http2, len: usize) {
    http2.path_len = len as u32;
    let mut word = 0;
    while word < TEXT_WORDS {
        http2.path[word] = http2.request.text[word];
        word += 1;
    }
}

/// What was decoded.
struct Text {
    /// Symbols that are there.
    len: usize,
    /// 0 if there are more, or one that is not told here.
    whole: usize,
}

/// Decodes a value. In loops of its own, as all that follows: the verifier explores every path
/// through a loop in each of its rounds.
#[inline(always)]
fn decode(window: &mut Window, waiting: &Waiting, text: &mut [u64; TEXT_WORDS]) -> Text {
    let (at, huffman) = (waiting.at as usize, waiting.huffman != 0);
    let bits = window.forget((waiting.len as usize).wrapping_mul(8));
    text[0] = 0;
    text[1] = 0;
    let bytes: &mut [u8; MAX_SYMBOLS] = bytemuck::cast_mut(text);
    let mut bit = 0;
    let mut i = 0;
    while i < MAX_SYMBOLS {
        if bit >= bits {
            break;
        }
        let (symbol, len) = next(window, at, bit, huffman);
        if len == 0 || bit.wrapping_add(len) > bits {
            break;
        }
        bytes[i & (MAX_SYMBOLS - 1)] = symbol;
        bit = window.forget(bit.wrapping_add(len));
        i += 1;
    }
    // The last code is filled up with ones.
    let left = bits.wrapping_sub(bit);
    let whole = left == 0 || huffman && left < 8;
    Text {
        len: window.forget(i),
        whole: window.forget(whole as usize),
    }
}

/// What a path tells: its operation key as [`Hasher`] has it, and the hash of its whole text.
#[inline(always)]
fn path(window: &mut Window, text: &[u64; TEXT_WORDS], facts: &Text) -> Field {
    let bytes: &[u8; MAX_SYMBOLS] = bytemuck::cast_ref(text);
    let mut exact = FNV_OFFSET;
    let mut ended = 0;
    let mut i = 0;
    while i < MAX_SYMBOLS {
        if i >= facts.len {
            break;
        }
        let byte = bytes[i & (MAX_SYMBOLS - 1)];
        if ends_path(byte) {
            ended = 1;
            break;
        }
        exact = fnv1a_step(exact, byte);
        i += 1;
    }
    let len = window.forget(i);
    let whole = window.forget(facts.whole | ended);
    let mut hasher = Hasher::new();
    let mut i = 0;
    while i < MAX_TARGET_BYTES {
        if i >= len {
            break;
        }
        hasher.push(bytes[i & (MAX_SYMBOLS - 1)]);
        hasher.segment = window.forget(hasher.segment as usize) as u64;
        i += 1;
    }
    let op = hasher.finish(len > MAX_TARGET_BYTES);
    let whole = whole != 0;
    let is_read = whole || len > MAX_TARGET_BYTES;
    Field {
        kind: field::PATH,
        value: if is_read { op } else { UNREAD },
        exact: if whole { exact } else { UNREAD },
    }
}

/// The symbol at a bit of the value, and how many bits it takes; 0 = it is not told.
#[inline(always)]
fn next(window: &Window, at: usize, bit: usize, huffman: bool) -> (u8, usize) {
    let at = at.wrapping_add(bit >> 3);
    if !huffman {
        return (window.byte(at), 8);
    }
    // Codes that are told are at most 15 bits long, so 57 bits are enough.
    let word = window.u64_at(at).swap_bytes() << (bit & 7);
    let symbol = huffman::symbol(word);
    (symbol as u8, (symbol >> 8) as usize)
}

const fn text(bytes: &[u8]) -> u64 {
    let mut word = 0;
    let mut i = 0;
    while i < bytes.len() {
        word |= (bytes[i] as u64) << (i * 8);
        i += 1;
    }
    word
}

/// [`Field::value`] of a text, by its first symbols and the next ones.
#[inline(always)]
fn meaning(kind: u8, first: u64, second: u64) -> u64 {
    match kind {
        field::METHOD => method_of(first) as u64,
        field::STATUS => decimal(first, 3),
        field::GRPC_STATUS => match decimal(first, if first >> 8 == 0 { 1 } else { 2 }) {
            UNREAD => UNREAD,
            code => code + 1,
        },
        field::CONTENT_TYPE => {
            let grpc = first == text(b"applicat") && second == text(b"ion/grpc");
            if grpc { GRPC_TYPE } else { GRPC_TYPE + 1 }
        }
        _ => UNREAD,
    }
}

/// Code of a method's name.
#[inline(always)]
fn method_of(name: u64) -> u8 {
    const GET: u64 = text(b"GET");
    const HEAD: u64 = text(b"HEAD");
    const POST: u64 = text(b"POST");
    const PUT: u64 = text(b"PUT");
    const DELETE: u64 = text(b"DELETE");
    const CONNECT: u64 = text(b"CONNECT");
    const OPTIONS: u64 = text(b"OPTIONS");
    const TRACE: u64 = text(b"TRACE");
    const PATCH: u64 = text(b"PATCH");
    match name {
        GET => method::GET,
        HEAD => method::HEAD,
        POST => method::POST,
        PUT => method::PUT,
        DELETE => method::DELETE,
        CONNECT => method::CONNECT,
        OPTIONS => method::OPTIONS,
        TRACE => method::TRACE,
        PATCH => method::PATCH,
        _ => method::OTHER,
    }
}

/// The number of so many digits that a word holds and nothing else.
#[inline(always)]
fn decimal(word: u64, digits: u32) -> u64 {
    let mut value = 0;
    let mut i = 0;
    while i < digits {
        let digit = (word >> (i * 8) & 255).wrapping_sub(b'0' as u64);
        if digit > 9 {
            return UNREAD;
        }
        value = value * 10 + digit;
        i += 1;
    }
    if word >> (digits * 8) != 0 {
        return UNREAD;
    }
    value
}
