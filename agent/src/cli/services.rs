//! `weir services`.

use std::path::Path;

use super::{
    Failure, args,
    list::{self, Follow},
};
use crate::{
    control::wire::{Ask, Request},
    observe::model::ServiceItem,
};

const EXAMPLES: &str = "\
Examples:
  weir services                     all that were seen
  weir services -f                  redrawn every two seconds
  weir services --since 24h -o csv  for a spreadsheet";

/// Services with what they serve: rate, errors, latency, callers
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    list: args::List,
}

pub(super) fn run(args: Args, socket: &Path) -> Result<(), Failure> {
    let request = Request::new(Ask::Services);
    list::run::<ServiceItem>(request, args.list, Follow::Repeat, None, socket)
}
