//! `weir edges`.

use std::path::Path;

use super::{
    Failure, args,
    list::{self, Follow},
};
use crate::{
    control::wire::{Ask, Request},
    observe::model::EdgeItem,
};

const EXAMPLES: &str = "\
Examples:
  weir edges                        all edges
  weir edges --service payments     what payments calls and who calls it
  weir edges --since 1h -o wide     with bytes, connections, instances
  weir edges -o json | jq '.items[] | select(.errors > 0)'";

/// Edges: who calls whom, how often, how fast, with which errors
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    list: args::List,
}

pub(super) fn run(args: Args, socket: &Path) -> Result<(), Failure> {
    let request = Request::new(Ask::Edges);
    list::run::<EdgeItem>(request, args.list, Follow::Repeat, None, socket)
}
