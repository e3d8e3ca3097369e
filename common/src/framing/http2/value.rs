//! Values of the fields that matter, as text or by Huffman codes.

use super::{
    Half, Http2, PATH_WORDS,
    block::add,
    huffman,
    table::{Field, GRPC_TYPE, UNREAD, field},
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

/// Symbols of a path that count.
pub const MAX_PATH_SYMBOLS: usize = 128;

/// What stands in a value.
struct Text {
    /// Its first symbols, the first one lowest.
    first: u64,
    /// The next ones.
    second: u64,
    /// As an operation, see [`Hasher`].
    op: u64,
    /// FNV-1a of all its symbols up to the end of the path.
    exact: u64,
    /// False if it holds a symbol that is not told here, or too many.
    whole: bool,
}

/// Reads the value that waits.
#[inline(always)]
pub fn value(conversation: &mut Conversation, http2: &mut Http2, is_request: bool) -> Step {
    let direction = conversation.direction_mut(is_request);
    let kind = http2.half_mut(is_request).waiting.kind;
    if is_request && kind == field::PATH {
        keep_path(&direction.window, http2);
    }
    let half = http2.half_mut(is_request);
    let text = read(&mut direction.window, half);
    let value = meaning(half.waiting.kind, &text);
    let value = direction.window.forget(value as usize) as u64;
    let entry = Field {
        kind: half.waiting.kind,
        value,
        exact: if text.whole { text.exact } else { UNREAD },
    };
    let insert = half.waiting.insert;
    add(half, &entry, insert);
    half.waiting.kind = field::OTHER;
    if direction.scan_from < direction.scan_to && half.place == super::place::FRAGMENT {
        return step::FIELDS;
    }
    step::MORE
}

/// Keeps a path as it was sent.
#[inline(always)]
fn keep_path(window: &Window, http2: &mut Http2) {
    let waiting = &http2.request.waiting;
    let at = waiting.at as usize;
    http2.path_len = if waiting.len as usize <= MAX_PATH_SYMBOLS {
        waiting.len as u16
    } else {
        MAX_PATH_SYMBOLS as u16
    };
    http2.path_skip = (at & 7) as u8;
    http2.path_huffman = waiting.huffman;
    window.copy_words::<PATH_WORDS>(at, &mut http2.path);
}

/// Walks over the symbols of the value.
#[inline(always)]
fn read(window: &mut Window, half: &Half) -> Text {
    let waiting = &half.waiting;
    let (at, huffman) = (waiting.at as usize, waiting.huffman != 0);
    let bits = (waiting.len as usize).wrapping_mul(8);
    let mut hasher = Hasher::new();
    let mut op = 0;
    let mut exact = FNV_OFFSET;
    let mut words = [0_u64; 2];
    let mut whole = true;
    let mut bit = 0;
    let mut i = 0;
    while i <= MAX_PATH_SYMBOLS {
        if bit >= bits {
            break;
        }
        let (symbol, len) = next(window, at, bit, huffman);
        // The last code is filled up with ones.
        let fill = huffman && bits.wrapping_sub(bit) < 8;
        if len == 0 || bit.wrapping_add(len) > bits || i == MAX_PATH_SYMBOLS {
            whole = fill && i != MAX_PATH_SYMBOLS;
            break;
        }
        if i < 8 {
            words[0] |= (symbol as u64) << (i * 8);
        } else if i < 16 {
            words[1] |= (symbol as u64) << ((i - 8) * 8);
        }
        if i == MAX_TARGET_BYTES {
            op = hasher.finish(!ends_path(symbol));
        }
        if !hasher.push(symbol) {
            break;
        }
        hasher.segment = window.forget(hasher.segment as usize) as u64;
        exact = fnv1a_step(exact, symbol);
        bit = window.forget(bit.wrapping_add(len));
        i += 1;
    }
    if op == 0 && whole {
        op = hasher.finish(false);
    }
    Text {
        first: words[0],
        second: words[1],
        op,
        exact,
        whole,
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

/// [`Field::value`] of a text.
#[inline(always)]
fn meaning(kind: u8, value: &Text) -> u64 {
    let first = value.first;
    match kind {
        field::PATH if value.op != 0 => value.op,
        field::METHOD => method_of(first) as u64,
        field::STATUS => decimal(first, 3),
        field::GRPC_STATUS => match decimal(first, if first >> 8 == 0 { 1 } else { 2 }) {
            UNREAD => UNREAD,
            code => code + 1,
        },
        field::CONTENT_TYPE => {
            let grpc = first == text(b"applicat") && value.second == text(b"ion/grpc");
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
