//! `weir status`.

use std::path::Path;

use super::{
    Failure,
    args::{Format, Output},
    list,
    out::Out,
};
use crate::{
    control::{
        api::Status,
        client::Client,
        wire::{Ask, Request},
    },
    view::row,
};

const EXAMPLES: &str = "\
Answers 0 as soon as the daemon is ready, 3 while it is not.

Examples:
  weir status                            one page
  weir status -o wide                    with every map and hook
  until weir status >/dev/null 2>&1; do sleep 0.2; done";

/// How the daemon is: traffic, completeness, hooks, exporters
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(args: Args, socket: &Path) -> Result<(), Failure> {
    let answer = Client::connect(socket)?.ask::<Status>(&Request::new(Ask::Status))?;
    let wide = match args.output.output {
        Format::Table => false,
        Format::Wide => true,
        _ => return list::print(&answer, args.output),
    };
    let mut out = Out::new();
    for status in &answer.items {
        out.text(&row::status(status, wide))?;
    }
    out.flush()
}
