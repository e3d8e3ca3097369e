//! The reader of HTTP/2: its parts are global functions, see [`super::cgroup_skb`].

use aya_ebpf::{bindings::__sk_buff, macros::cgroup_skb, programs::SkBuffContext};
use weir_common::{
    connection::ConnectionState,
    counter::Loss,
    framing::{
        conversation::step,
        http2::{
            self, Http2, Spill, Stream, StreamKey,
            trace::{Trace, TraceKey},
        },
    },
};

use super::readers::handed;
use crate::{
    emit::{lost_on, tell_path},
    exchange,
    maps::{STREAMS, TRACES},
    storage::{CONNECTIONS, HTTP2},
    walk::{Payload, STEPS, UNCOUNTED, full_socket, weir_flush, weir_missed},
};

const PASS: i32 = 1;

/// What a step answers where the connection has no [`Http2`] yet, beside [`step`].
const NO_ROOM: u32 = step::LOST - 3;

/// How many parts of steps a run makes: small frames of many streams fill large segments.
const PARTS: u32 = 4 * STEPS;

/// The streams of one connection in the map of all.
struct Of {
    cookie: u64,
}

impl Of {
    #[inline(always)]
    fn key(&self, id: u32) -> StreamKey {
        StreamKey {
            cookie: self.cookie,
            id,
            _pad: 0,
        }
    }
}

impl Spill for Of {
    #[inline(always)]
    fn get(&mut self, id: u32) -> Option<&mut Stream> {
        let value = STREAMS.get_ptr_mut(self.key(id))?;
        // SAFETY: the pointer is a live map value, and only its own connection uses it.
        Some(unsafe { &mut *value })
    }

    #[inline(always)]
    fn insert(&mut self, value: &Stream) {
        let _ = STREAMS.insert(self.key(value.id), value, 0);
    }

    #[inline(always)]
    fn remove(&mut self, id: u32) {
        let _ = STREAMS.remove(self.key(id));
    }

    #[inline(always)]
    fn keep_trace(&mut self, offset: u64, text: &Trace) {
        let _ = TRACES.insert(TraceKey::new(self.cookie, offset as u32), text, 0);
    }

    #[inline(always)]
    fn copy_trace(&mut self, from: u64, to: u64) {
        if let Some(text) = TRACES.get_ptr(TraceKey::new(self.cookie, from as u32)) {
            // SAFETY: the pointer is a live map value of plain words.
            self.keep_trace(to, unsafe { &*text });
        }
    }
}

/// What is kept of the connection of an skb.
#[inline(always)]
fn states(skb: *mut __sk_buff) -> Option<(&'static mut ConnectionState, &'static mut Http2)> {
    let socket = full_socket(skb)?;
    Some((CONNECTIONS.get(socket)?, HTTP2.get(socket)?))
}

/// What a step answers.
#[inline(always)]
fn counted(state: &mut ConnectionState, is_request: bool, code: u32) -> u32 {
    // The ways that led here are of no matter to the verifier.
    let code = state.conversation.forget(is_request, code as usize) as u32;
    if code == step::DONE && exchange::is_pending(state, is_request) {
        return UNCOUNTED;
    }
    code
}

/// [`http2::advance`] on the connection of an skb.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_http2(skb: *mut __sk_buff, is_request: u32, payload_at: u32) -> u32 {
    let Some((state, http2)) = states(skb) else {
        return NO_ROOM;
    };
    let mut payload = Payload {
        skb,
        at: payload_at,
    };
    let mut spill = Of {
        cookie: state.cookie,
    };
    let is_request = is_request != 0;
    let code = http2::advance(
        &mut state.conversation,
        http2,
        &mut spill,
        is_request,
        &mut payload,
    );
    // The ways that led here are of no matter to the verifier.
    let code = state.conversation.forget(is_request, code as usize) as u32;
    if code != step::EXCHANGE {
        return counted(state, is_request, code);
    }
    exchange::note_stream(state, http2.finished(is_request), is_request);
    step::MORE
}

/// [`http2::compare`] on the connection of an skb.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_compare(skb: *mut __sk_buff, is_request: u32) -> u32 {
    let Some((state, http2)) = states(skb) else {
        return step::DONE;
    };
    http2::compare(&mut state.conversation, http2, is_request != 0)
}

/// [`http2::fields`] on the connection of an skb.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_fields(skb: *mut __sk_buff, is_request: u32) -> u32 {
    let Some((state, http2)) = states(skb) else {
        return step::DONE;
    };
    let mut spill = Of {
        cookie: state.cookie,
    };
    let is_request = is_request != 0;
    let code = http2::fields(&mut state.conversation, http2, &mut spill, is_request);
    counted(state, is_request, code)
}

/// [`http2::value`] on the connection of an skb.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_value(skb: *mut __sk_buff, is_request: u32) -> u32 {
    let Some((state, http2)) = states(skb) else {
        return step::DONE;
    };
    let mut spill = Of {
        cookie: state.cookie,
    };
    let is_request = is_request != 0;
    let code = http2::value(&mut state.conversation, http2, &mut spill, is_request);
    counted(state, is_request, code)
}

/// [`http2::messages()`] on the connection of an skb.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_messages(skb: *mut __sk_buff, is_request: u32) -> u32 {
    let Some((state, http2)) = states(skb) else {
        return step::DONE;
    };
    let mut spill = Of {
        cookie: state.cookie,
    };
    let is_request = is_request != 0;
    let code = http2::messages(&mut state.conversation, http2, &mut spill, is_request);
    counted(state, is_request, code)
}

/// Records the exchange that a direction has just completed.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_stream(skb: *mut __sk_buff, is_request: u32) -> u32 {
    let Some((state, http2)) = states(skb) else {
        return 0;
    };
    if is_request != 0 {
        exchange::note_stream(state, &http2.request.finished, true);
    } else {
        exchange::note_stream(state, &http2.response.finished, false);
    }
    0
}

/// Tells the agent the path of the request that has just begun, unless it was told.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_path(skb: *mut __sk_buff) -> u32 {
    let Some((_, http2)) = states(skb) else {
        return 0;
    };
    tell_path(http2.path_op, http2.path_len, &http2.path);
    0
}

/// Makes room for what only HTTP/2 needs. If there is none, nothing more can be read of this
/// connection. What comes next is one of [`step`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_room(skb: *mut __sk_buff) -> u32 {
    let Some(socket) = full_socket(skb) else {
        return step::DONE;
    };
    // Both directions may want it at the same moment, and one of them finds it made by the other.
    if HTTP2.get_or_create(socket).is_some() || HTTP2.get(socket).is_some() {
        return step::MORE;
    }
    if let Some(state) = CONNECTIONS.get(socket) {
        state.conversation.opaque = 1;
        lost_on(state.edge_id, Loss::StorageFailed as u32, 1);
    }
    step::DONE
}

#[inline(always)]
fn read(skb: *mut __sk_buff) -> i32 {
    let handed = handed(skb);
    let (is_request, payload_at) = (handed.is_request as u32, handed.payload_at);
    let mut code = step::MORE;
    let mut parts = 0;
    while parts < PARTS {
        code = match code {
            step::DONE => return PASS,
            UNCOUNTED => {
                weir_flush(skb, is_request);
                return PASS;
            }
            step::MORE => weir_http2(skb, is_request, payload_at),
            NO_ROOM => weir_room(skb),
            step::COMPARE => weir_compare(skb, is_request),
            step::FIELDS => weir_fields(skb, is_request),
            step::VALUE => weir_value(skb, is_request),
            step::MESSAGES => weir_messages(skb, is_request),
            step::NAMED => {
                weir_path(skb);
                step::MORE
            }
            step::EXCHANGE => {
                weir_stream(skb, is_request);
                step::MORE
            }
            lost => {
                weir_missed(skb, is_request, lost);
                step::MORE
            }
        };
        parts += 1;
    }
    weir_missed(skb, is_request, step::DONE);
    PASS
}

#[cgroup_skb]
pub fn weir_r_http2(ctx: SkBuffContext) -> i32 {
    read(ctx.skb.skb)
}
