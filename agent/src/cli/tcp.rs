//! `weir tcp`.

use std::path::Path;

use super::{
    Failure, args,
    list::{self, Follow},
};
use crate::{
    control::wire::{Ask, Request},
    observe::model::TcpItem,
};

const EXAMPLES: &str = "\
Examples:
  weir tcp                          all edges
  weir tcp --to db -o wide          one server";

/// TCP under the edges: connects, resets, retransmits, round-trip times
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    list: args::List,
}

pub(super) fn run(args: Args, socket: &Path) -> Result<(), Failure> {
    let request = Request::new(Ask::Tcp);
    list::run::<TcpItem>(request, args.list, Follow::Repeat, None, socket)
}
