//! `weir graph`.

use std::path::Path;

use super::{Failure, args};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    filters: args::Filters,
}

pub fn run(args: Args, socket: &Path) -> Result<(), Failure> {
    let _ = (args.filters, socket);
    Ok(())
}
