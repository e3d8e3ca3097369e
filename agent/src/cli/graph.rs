//! `weir graph`.

use std::path::Path;

use clap::ValueEnum;
use serde::Serialize;

use super::{
    Failure,
    args::{self, Format, Output},
    list,
    out::{self, Out},
};
use crate::{
    control::{
        client::Client,
        wire::{Ask, Request},
    },
    observe::model::{Answer, EdgeItem, Filter, ServiceItem},
    view::{
        graph::{Graph, Node, dot, mermaid, svg, text},
        json, loss,
    },
};

const EXAMPLES: &str = "\
Examples:
  weir graph                             callers with whom they call, as text
  weir graph -o svg > graph.svg          a picture; follows light and dark
  weir graph --service payments -o svg > payments.svg
  weir graph --since 24h -o mermaid      for a Markdown file
  weir graph -o dot | dot -Tpdf > graph.pdf";

/// The dependency graph: as text, picture, DOT, Mermaid or data
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Form,
    /// Leave out the heading of CSV
    #[arg(long)]
    no_headers: bool,
    #[command(flatten)]
    filters: args::Filters,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Callers with whom they call
    #[default]
    Table,
    /// Edges with every column
    Wide,
    /// One document: {v, completeness, lost, items, nodes}
    Json,
    /// One edge a line
    Jsonl,
    /// Edges, comma-separated
    Csv,
    /// Graphviz
    Dot,
    /// A flowchart for Markdown
    Mermaid,
    /// A picture
    Svg,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    edges: &'a Answer<EdgeItem>,
    nodes: &'a [Node],
}

pub(super) fn run(args: Args, socket: &Path) -> Result<(), Failure> {
    let filter: Filter = args.filters.into();
    let edges = Request::new(Ask::Edges).with_filter(filter.clone());
    let edges = Client::connect(socket)?.ask::<EdgeItem>(&edges)?;
    let format = match args.output {
        Form::Wide => Some(Format::Wide),
        Form::Jsonl => Some(Format::Jsonl),
        Form::Csv => Some(Format::Csv),
        _ => None,
    };
    if let Some(output) = format {
        let no_headers = args.no_headers;
        return list::print(&edges, Output { output, no_headers });
    }
    let graph = build(&edges, filter, socket)?;
    let mut out = Out::new();
    match args.output {
        Form::Json => out.text(&json::document(&Document {
            edges: &edges,
            nodes: &graph.nodes,
        }))?,
        Form::Dot => out.text(&dot::draw(&graph))?,
        Form::Mermaid => out.text(&mermaid::draw(&graph))?,
        Form::Svg => out.text(&svg::draw(&graph))?,
        _ => {
            out.text(&text::draw(&graph))?;
            if graph.links.is_empty() {
                out.say("no calls seen yet; `weir tap` shows the first one as it happens")?;
            }
        }
    }
    if args.output != Form::Json
        && let Some(sentence) = loss::sentence(graph.completeness, &graph.lost)
    {
        out.say(&sentence)?;
    }
    out.flush()
}

fn build(edges: &Answer<EdgeItem>, filter: Filter, socket: &Path) -> Result<Graph, Failure> {
    // What a service serves is asked for as a whole: a filter of edges must not shrink it.
    let whole = Filter {
        since_seconds: filter.since_seconds,
        ..Filter::default()
    };
    let narrowed = filter != whole;
    let request = Request::new(Ask::Services).with_filter(whole);
    let mut services = Client::connect(socket)?.ask::<ServiceItem>(&request)?.items;
    if narrowed {
        services.retain(|service| {
            let is_it = |end: &crate::observe::model::Endpoint| {
                end.service == service.service && end.namespace == service.namespace
            };
            edges
                .items
                .iter()
                .any(|edge| is_it(&edge.client) || is_it(&edge.server))
        });
    }
    Ok(Graph::build(edges, &services, out::now()))
}
