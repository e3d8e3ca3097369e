//! `weir flows`.

use std::path::Path;

use super::{
    Failure, args,
    list::{self, Follow},
};
use crate::{
    control::wire::{Ask, Request},
    observe::model::FlowItem,
};

const EXAMPLES: &str = "\
Examples:
  weir flows                        connections open now
  weir flows -f --to db             connections to db as they come and go";

/// Live connections; with -f connections as they open, report and close
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    list: args::List,
}

pub(super) fn run(args: Args, socket: &Path) -> Result<(), Failure> {
    let request = Request::new(Ask::Flows);
    list::run::<FlowItem>(request, args.list, Follow::Stream, None, socket)
}
