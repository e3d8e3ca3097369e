//! Fuzzes `weir replay` with damaged captures.
//!
//! `cargo xtask fuzz replay` runs it, with the recorded captures as the beginning.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut exchanges = 0;
    let Ok(report) = weir::replay::run_reader(data, &mut |_| exchanges += 1) else {
        return;
    };
    assert_eq!(report.exchanges, exchanges);
    let unreadable: u64 = report.unreadable.values().sum();
    assert!(report.segments + unreadable <= report.packets);
    // A request of 16 bytes needs a packet's headers beside it, unless they are pipelined.
    assert!(exchanges <= data.len() as u64 / 14);
});
