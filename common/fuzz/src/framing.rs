//! Fuzzes the HTTP/1.1 framing, and what its first bytes lead to; see [`talk`]. `cargo xtask fuzz framing` runs it.
#![no_main]

mod talk;

use libfuzzer_sys::{Corpus, fuzz_target};
use weir_common::flow::protocol;

fuzz_target!(|data: &[u8]| -> Corpus { talk::run(protocol::UNKNOWN, data) });
