//! `weir doctor`.

use super::{Failure, args::Output, list, out, rooms};

const EXAMPLES: &str = "\
Needs no daemon. A capability that is missing removes exactly what is named beside it.

Examples:
  sudo weir doctor
  sudo weir doctor -o json | jq '.items[] | select(.ok | not)'";

/// What this host and kernel can do for weir, and what is lost where they cannot
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let items = rooms::doctor()?;
    let missing = items.iter().filter(|item| !item.ok).count();
    let total = items.len();
    list::print(&list::whole(items), args.output)?;
    match missing {
        0 => out::say(&format!("all {total} capabilities are there")),
        n => out::say(&format!("{n} of {total} capabilities are missing")),
    }
    Ok(())
}
