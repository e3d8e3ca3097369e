//! Fuzzes the HTTP/1.1 framing of connections that are known to speak it, with the bodies that are
//! read; see [`talk`]. `cargo xtask fuzz http1` runs it.
#![no_main]

mod talk;

use libfuzzer_sys::{Corpus, fuzz_target};
use weir_common::flow::protocol;

fuzz_target!(|data: &[u8]| -> Corpus { talk::run(protocol::HTTP1, data) });
