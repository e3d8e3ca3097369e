//! `weir check-config`.

use std::path::PathBuf;

use super::{Failure, args::Output, list, out};
use crate::{
    config::{self, Overrides},
    view::row::SettingItem,
};

const EXAMPLES: &str = "\
Prints each setting with where it came from; the first thing that is wrong with file, line, key
and remedy. Needs no daemon and no rights beyond reading the files.

A whole file:
  socket = \"/run/weir/weir.sock\"
  state = \"/var/lib/weir\"
  policies = \"/etc/weir/policies\"
  metrics = \"127.0.0.1:9464\"          # or \"off\"
  detail_per_second = 2000
  ring_bytes = 16777216
  [otlp]
  endpoint = \"http://127.0.0.1:4317\"
  protocol = \"grpc\"                   # or \"http/protobuf\"
  headers = { authorization = \"Bearer …\" }
  [[service]]                         # names for processes on this host
  unit = \"shop-*.service\"             # and, or: process, exe
  name = \"shop\"
  [[name]]                            # names for peers elsewhere
  cidr = \"10.1.0.0/16\"
  service = \"payments\"
  [[routes]]                          # names for requests of HTTP
  service = \"shop\"                  # left out: of all services
  templates = [\"/users/{id}\", \"/files/{path...}\"]
  [[ports]]                           # what a server's port speaks, where weir is not to find out
  port = 9000
  protocol = \"redis\"                # or opaque: counted, never read";

/// Checks the configuration files and shows the settings in force
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Configuration file; conf.d/*.toml beside it are read, too [default: /etc/weir/weir.toml]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The same
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let file = args.file.or(args.config);
    let loaded = config::load(file.as_deref(), Overrides::default())
        .map_err(|error| Failure::failed(error.to_string()))?;
    let rows = loaded.describe().into_iter();
    let items = rows.map(|(key, value, source)| SettingItem {
        key: key.into(),
        value,
        source: source.to_string(),
    });
    list::print(&list::whole(items.collect()), args.output)?;
    match loaded.files.len() {
        0 => out::say(&format!(
            "ok: {} does not exist, defaults hold",
            config::DEFAULT_FILE
        )),
        1 => out::say(&format!("ok: {}", loaded.files[0].display())),
        n => out::say(&format!("ok: {n} files, later ones win")),
    }
    Ok(())
}
