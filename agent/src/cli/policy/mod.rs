//! `weir policy`: one file per verb.

use std::path::Path;

use clap::Subcommand;

use super::Failure;

mod apply;
mod check;
mod delete;
mod explain;
mod files;
mod list;

const EXAMPLES: &str = "\
Examples:
  weir policy check policies/            refuses with file, line, reason and remedy
  weir policy apply deny.yaml            all or nothing
  weir policy list                       with what each let through and refused
  weir policy explain --from web --to payments --port 8080
  weir policy delete no-egress";

/// Policies: check, apply, list, delete, explain
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Check(check::Args),
    Apply(apply::Args),
    List(list::Args),
    Delete(delete::Args),
    Explain(explain::Args),
}

pub(super) fn run(args: Args, socket: &Path) -> Result<(), Failure> {
    match args.verb {
        Verb::Check(args) => check::run(args, socket),
        Verb::Apply(args) => apply::run(args, socket),
        Verb::List(args) => list::run(args, socket),
        Verb::Delete(args) => delete::run(args, socket),
        Verb::Explain(args) => explain::run(args, socket),
    }
}
