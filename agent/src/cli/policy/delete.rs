//! `weir policy delete`.

use std::path::Path;

use crate::{
    cli::{Failure, out},
    control::{
        client::Client,
        wire::{Ask, Request},
    },
};

/// Removes policies by name
#[derive(clap::Args)]
pub(super) struct Args {
    /// Names, as `weir policy list` shows them
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

pub(super) fn run(args: Args, socket: &Path) -> Result<(), Failure> {
    for name in args.names {
        let mut request = Request::new(Ask::PolicyDelete);
        request.name = Some(name.clone());
        Client::connect(socket)?.ask::<String>(&request)?;
        out::say(&format!("deleted {name}"));
    }
    Ok(())
}
