//! Fuzzes the DNS framing: connections as [`talk`] does, and the question of a datagram.
//! `cargo xtask fuzz dns` runs it.
#![no_main]

mod talk;

use bytemuck::Zeroable;
use libfuzzer_sys::{Corpus, fuzz_target};
use weir_common::{
    flow::protocol,
    framing::{
        dns::{HEADER_BYTES, SHORTEST_BYTES, question},
        window::{CARRY_BYTES, DATA_BYTES, Window},
    },
};

fuzz_target!(|data: &[u8]| -> Corpus {
    check_question(data);
    talk::run(protocol::DNS, data)
});

/// A question that is found lies within the datagram, is the shortest that there is or longer, and
/// does not depend on what stands behind it.
fn check_question(data: &[u8]) {
    let len = data.len().min(DATA_BYTES);
    let read = |len: usize| {
        let mut window = Window::zeroed();
        window.data_mut()[..len].copy_from_slice(&data[..len]);
        question(&mut window, CARRY_BYTES + HEADER_BYTES, CARRY_BYTES + len)
    };
    let found = read(len);
    if found.end == 0 {
        return;
    }
    let end = found.end - CARRY_BYTES;
    assert!((SHORTEST_BYTES..=len).contains(&end));
    assert_eq!(read(end), found);
    assert_eq!(read(end - 1).end, 0);
}
