//! `weir replay`.

use std::path::PathBuf;

use super::{Failure, rooms};

const EXAMPLES: &str = "\
Runs the very code of the kernel programs on captured packets. Needs no daemon and no rights.
A damaged file gives what can be read, a count of what cannot, and exit code 1.

Examples:
  weir replay capture.pcap
  tcpdump -i any -s 0 -w - port 80 | weir replay - -o jsonl";

/// Prints the exchanges in a packet capture (pcap or pcapng)
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Capture file
    file: PathBuf,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    Ok(rooms::replay(&args.file)?)
}
