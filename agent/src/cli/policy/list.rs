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
    /// The policies themselves, as `weir policy apply` takes them
    Yaml,
}

pub(super) fn run(args: Args, socket: &Path) -> Result<(), Failure> {
    if matches!(args.output, Form::Yaml) {
        return yaml(socket);
    }
    let answer = Client::connect(socket)?.ask::<PolicyItem>(&Request::new(Ask::Policies))?;
    let output = match args.output {
        Form::Wide => Format::Wide,
        Form::Json => Format::Json,
        Form::Jsonl => Format::Jsonl,
        Form::Csv => Format::Csv,
        Form::Table | Form::Yaml => Format::Table,
    };
    let no_headers = args.no_headers;
    list::print(&answer, Output { output, no_headers })
}

fn yaml(socket: &Path) -> Result<(), Failure> {
    let request = Request::new(Ask::PoliciesYaml);
    let mut out = Out::new();
    for text in Client::connect(socket)?.ask::<String>(&request)?.items {
        out.text(&text)?;
    }
    out.flush()
}

/// `a, b and 3 more`.
pub(super) fn names(names: &[String]) -> String {
    match names.len() {
        0 => "no policies".into(),
        1..=8 => names.join(", "),
        n => format!("{} and {} more", names[..8].join(", "), n - 8),
    }
}
