//! `weir policy apply`.

use std::path::{Path, PathBuf};

use super::files;
use crate::{
    cli::{Failure, out},
    control::{
        client::Client,
        wire::{Ask, Request},
    },
};

/// Adds or replaces policies, all or nothing
///
/// When one is refused nothing changes, and the old set stays in force.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Files or folders; `-` reads stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: Args, socket: &Path) -> Result<(), Failure> {
    let mut request = Request::new(Ask::PolicyApply);
    request.files = files::read(&args.files)?;
    let names = Client::connect(socket)?.ask::<String>(&request)?.items;
    out::say(&format!("applied {}", super::list::names(&names)));
    Ok(())
}
