//! `weir tap`.

use std::path::Path;

use super::{
    Failure,
    args::{self, Format},
    list::{self, Follow},
};
use crate::{
    control::wire::{Ask, Request},
    observe::model::Exchange,
};

const EXAMPLES: &str = "\
Live unless --since or -o json asks for the recent past; `--since 5m -f` gives both.

Examples:
  weir tap                               every exchange, as it happens
  weir tap --to payments --status 5xx    what fails at payments
  weir tap -n 10 -o jsonl                ten of them for a program
  weir tap --for 30s -o csv > tap.csv    half a minute
  weir tap --since 5m                    the last five minutes
  weir tap --where 'duration_ns>100ms' --where '!error'
                                         what succeeds, but slowly";

/// Exchanges (a request with its response), as they happen
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    list: args::List,
    /// End after so many exchanges
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

pub(super) fn run(args: Args, socket: &Path) -> Result<(), Failure> {
    let mut list = args.list;
    let past = list.filters.since.is_some() || list.output.output == Format::Json;
    list.follow |= !past;
    let request = Request::new(Ask::Exchanges);
    list::run::<Exchange>(request, list, Follow::Stream, args.count, socket)
}
