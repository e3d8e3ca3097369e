//! `weir policy explain`.

use std::path::Path;

use clap::ValueEnum;

use crate::{
    cli::{Failure, list, out::Out},
    control::{
        api::{ExplainQuery, Explanation},
        client::Client,
        wire::{Ask, Request},
    },
    view::{json, row},
};

const EXAMPLES: &str = "\
Examples:
  weir policy explain --from web --to payments --port 8080
  weir policy explain --from 10.0.0.7 --to db --port 5432
  weir policy explain --from web --to 8.8.8.8 --port 53 --udp";

/// Says what would be decided for a flow, by which policy, and why
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Caller: a service or an address
    #[arg(long, value_name = "WHO")]
    from: String,
    /// Callee: a service or an address
    #[arg(long, value_name = "WHOM")]
    to: String,
    /// Destination port
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// UDP instead of TCP
    #[arg(long)]
    udp: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Form,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Form {
    /// Sentences
    #[default]
    Table,
    /// {v, completeness, lost, items}
    Json,
}

pub(super) fn run(args: Args, socket: &Path) -> Result<(), Failure> {
    let mut request = Request::new(Ask::PolicyExplain);
    request.explain = Some(ExplainQuery {
        from: args.from,
        to: args.to,
        port: args.port,
        udp: args.udp,
    });
    let items = Client::connect(socket)?.ask::<Explanation>(&request)?.items;
    let mut out = Out::new();
    match args.output {
        Form::Json => out.text(&json::document(&list::whole(items)))?,
        Form::Table => {
            for item in &items {
                out.text(&row::explanation(item))?;
            }
        }
    }
    out.flush()
}
