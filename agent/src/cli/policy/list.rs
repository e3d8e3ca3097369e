//! `weir policy list`.

use std::path::Path;

use clap::ValueEnum;

use crate::{
    cli::{
        Failure,
        args::{Format, Output},
        list,
        out::Out,
    },
    control::{
        api::PolicyItem,
        client::Client,
        wire::{Ask, Request},
    },
};

/// Policies in force, with what each let through and refused
#[derive(clap::Args)]
pub(super) struct Args {
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Form,
    /// Leave out the heading of tables and CSV
    #[arg(long)]
    no_headers: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Form {
    /// Columns for people
    #[default]
    Table,
    /// The same with every column
    Wide,
    /// One document: {v, completeness, lost, items}
    Json,
    /// One item a line
    Jsonl,
    /// Comma-separated
    Csv,
    /// The items as YAML
    Yaml,
}

pub(super) fn run(args: Args, socket: &Path) -> Result<(), Failure> {
    let answer = Client::connect(socket)?.ask::<PolicyItem>(&Request::new(Ask::Policies))?;
    let output = match args.output {
        Form::Table => Format::Table,
        Form::Wide => Format::Wide,
        Form::Json => Format::Json,
        Form::Jsonl => Format::Jsonl,
        Form::Csv => Format::Csv,
        Form::Yaml => {
            let text = serde_norway::to_string(&answer.items).map_err(anyhow::Error::from)?;
            let mut out = Out::new();
            out.text(&text)?;
            return out.flush();
        }
    };
    let no_headers = args.no_headers;
    list::print(&answer, Output { output, no_headers })
}

/// `a, b and 3 more`.
pub(super) fn names(names: &[String]) -> String {
    match names.len() {
        0 => "no policies".into(),
        1..=8 => names.join(", "),
        n => format!("{} and {} more", names[..8].join(", "), n - 8),
    }
}
