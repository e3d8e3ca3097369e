//! Fuzzes the WebSocket framing; see [`talk`]. `cargo xtask fuzz websocket` runs it.
#![no_main]

mod talk;

use libfuzzer_sys::{Corpus, fuzz_target};
use weir_common::flow::protocol;

fuzz_target!(|data: &[u8]| -> Corpus { talk::run(protocol::WEBSOCKET, data) });
