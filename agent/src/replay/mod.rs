//! `weir replay`: a capture file through the very framing that runs in the kernel.
//!
//! ```text
//!  file ─▶ capture ─▶ packet ─▶ table ─▶ connection ─▶ framed ─▶ record ─▶ item ─▶ sink
//!         (frames) (segments) (addresses) (handshake) (common's (as the  (as tap
//!                                                      framing)  kernel's) prints)
//! ```
//!
//! Connections are told apart by addresses and initial sequence numbers, as live ones are. What a
//! capture cannot tell is counted: frames that cannot be read by their reason, and exchanges that
//! went missing by the reasons of [`weir_common::counter::Loss`].
#![forbid(unsafe_code)]

mod capture;
mod connection;
mod framed;
mod http2;
mod item;
mod measure;
mod packet;
mod record;
mod report;
mod table;

use std::{fs::File, io::Read, path::Path};

use anyhow::{Context, Result};
pub use measure::{Measured, measure};
pub use report::ReplayReport;
use weir_common::event::ExchangeRecord;

use self::{
    capture::{Capture, Item},
    packet::{Decoded, decode},
    table::Connections,
};
use crate::observe::{model::Exchange, operations::OperationNames};

/// Names of operations that are kept for requests which do not say their own.
const MAX_NAMES: usize = 4_096;

/// Replays a pcap or pcapng file and hands each exchange to `sink`, in the order of their ends.
///
/// A damaged file is no error: what could be read is handed over and [`ReplayReport::damaged`]
/// tells where reading stopped. Errors: the file cannot be opened, or is no capture.
pub fn run(path: &Path, sink: &mut dyn FnMut(Exchange)) -> Result<ReplayReport> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    run_reader(file, sink).with_context(|| format!("read {}", path.display()))
}

/// As [`run`], from any source of bytes.
pub fn run_reader<R: Read + Send>(
    input: R,
    sink: &mut dyn FnMut(Exchange),
) -> Result<ReplayReport> {
    let mut names = OperationNames::new(MAX_NAMES);
    run_records(input, &mut |record| {
        sink(item::exchange(record, &mut names))
    })
}

/// As [`run_reader`], with the records that the kernel would have written; times are Unix ns.
pub fn run_records<R: Read + Send>(
    input: R,
    sink: &mut dyn FnMut(&ExchangeRecord),
) -> Result<ReplayReport> {
    let mut capture = Capture::open(input)?;
    let mut report = ReplayReport::default();
    let mut connections = Connections::default();
    let mut exchanges = 0;
    let mut counted = |record: &ExchangeRecord| {
        exchanges += 1;
        sink(record);
    };
    while let Some(item) = capture.next_item() {
        report.packets += 1;
        let unreadable = match item {
            Item::Skipped(why) => why,
            Item::Frame(frame) => match decode(&frame) {
                Decoded::Other => continue,
                Decoded::Tcp(segment) => {
                    report.segments += 1;
                    connections.take(&segment, frame.unix_ns, &mut counted);
                    continue;
                }
                Decoded::Unreadable(why) => why,
            },
        };
        *report.unreadable.entry(unreadable.to_owned()).or_default() += 1;
    }
    connections.finish(&mut counted);
    report.exchanges = exchanges;
    report.lost = connections.lost.by_name();
    report.mirrored = connections.mirrored;
    report.damaged = capture.damaged().map(str::to_owned);
    Ok(report)
}
