//! `weir verdicts`.

use std::path::Path;

use super::{
    Failure, args,
    list::{self, Follow},
};
use crate::{
    control::wire::{Ask, Request},
    observe::model::VerdictItem,
};

const EXAMPLES: &str = "\
Examples:
  weir verdicts --verdict deny      what was refused
  weir verdicts -f -o jsonl         for a log shipper";

/// Recent policy decisions; with -f decisions as they are made
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    list: args::List,
}

pub(super) fn run(args: Args, socket: &Path) -> Result<(), Failure> {
    let request = Request::new(Ask::Verdicts);
    list::run::<VerdictItem>(request, args.list, Follow::Stream, None, socket)
}
