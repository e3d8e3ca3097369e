//! `weir policy check`.

use std::path::{Path, PathBuf};

use super::files;
use crate::{
    cli::{Failure, out, rooms},
    control::{
        client::{Client, ClientError},
        wire::{Ask, Request},
    },
};

/// Checks policy files without applying them
///
/// The daemon knows which services and hooks there are; without it only what stands in the files
/// can be checked.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Files or folders; `-` reads stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: Args, socket: &Path) -> Result<(), Failure> {
    let mut request = Request::new(Ask::PolicyCheck);
    request.files = files::read(&args.files)?;
    let client = match Client::connect(socket) {
        Ok(client) => client,
        Err(error @ ClientError::Unreachable { .. }) => {
            let names = match rooms::check_policies(&request.files) {
                None => return Err(error.into()),
                Some(checked) => checked.map_err(|refusals| {
                    Failure::refused("the policies would be refused", &refusals)
                })?,
            };
            let names = super::list::names(&names);
            out::say(&format!(
                "ok as far as the files tell (no daemon to ask): {names}"
            ));
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let names = client.ask::<String>(&request)?.items;
    out::say(&format!("ok: {}", super::list::names(&names)));
    Ok(())
}
