//! `weir replay`.

use std::path::PathBuf;

use super::{
    Failure,
    args::{Format, Output},
    items::Items,
    list,
    rooms::{self, Replayed},
};
use crate::{
    observe::model::{Answer, Exchange},
    view::loss,
};

const EXAMPLES: &str = "\
Runs the very code of the kernel programs on captured packets. Needs no daemon and no rights.
A damaged file gives what can be read, a count of what cannot, and exit code 1.

Examples:
  weir replay capture.pcap
  weir replay capture.pcapng -o jsonl | jq .operation";

/// Prints the exchanges in a packet capture (pcap or pcapng)
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Capture file
    file: PathBuf,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let replayed = match args.output.output {
        Format::Json => document(&args)?,
        _ => stream(&args)?,
    };
    if replayed.unreadable == 0 && replayed.damaged.is_none() {
        return Ok(());
    }
    let mut reason = format!("{}: ", args.file.display());
    if replayed.unreadable > 0 {
        reason.push_str(&format!(
            "{} packets could not be read",
            replayed.unreadable
        ));
    }
    if let Some(damage) = &replayed.damaged {
        let comma = if replayed.unreadable > 0 { "; " } else { "" };
        reason.push_str(&format!("{comma}reading ended early: {damage}"));
    }
    Err(Failure::failed(reason))
}

/// One document, which must be known as a whole.
fn document(args: &Args) -> Result<Replayed, Failure> {
    let mut items: Vec<Exchange> = Vec::new();
    let replayed = rooms::replay(&args.file, &mut |exchange| items.push(exchange))?;
    let answer = Answer {
        v: 1,
        completeness: replayed.completeness,
        lost: replayed.lost.clone(),
        items,
    };
    list::print(&answer, args.output)?;
    Ok(replayed)
}

/// Item by item: captures may be larger than memory.
fn stream(args: &Args) -> Result<Replayed, Failure> {
    let mut items = Items::new(args.output);
    let mut written = Ok(());
    let replayed = rooms::replay(&args.file, &mut |exchange: Exchange| {
        if written.is_ok() {
            written = items.item(&exchange);
        }
    })?;
    written?;
    items.out.flush()?;
    if let Some(sentence) = loss::sentence(replayed.completeness, &replayed.lost) {
        items.out.say(&sentence)?;
    }
    Ok(replayed)
}
