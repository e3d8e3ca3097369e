//! Asks for a list and prints it, once or followed.

use std::{collections::BTreeMap, ops::ControlFlow, path::Path};

use serde::de::DeserializeOwned;

use super::{
    Failure,
    args::{Filters, Format, List, Output},
    follow::Printer,
    out::{self, Out},
    stop,
};
use crate::{
    control::{client::Client, wire::Request},
    observe::model::Answer,
    view::{csv, json, loss, row::Row, table},
};

/// How a followed list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// The whole list again and again.
    Repeat,
    /// New items as they happen.
    Stream,
}

/// Asks `request` (whose filter is set from `list`) and prints the answer.
pub fn run<R: Row + DeserializeOwned>(
    mut request: Request,
    list: List,
    follow: Follow,
    most: Option<u64>,
    socket: &Path,
) -> Result<(), Failure> {
    let output = list.output;
    known_fields::<R>(&list.filters)?;
    request.filter = list.filters.into();
    request.follow = list.follow || list.duration.is_some();
    if request.follow && output.output == Format::Json {
        let reason = "a followed list has no end, so it is no JSON document; use -o jsonl";
        return Err(Failure::usage(reason));
    }
    let client = Client::connect(socket)?;
    if !request.follow {
        let mut answer = client.ask::<R>(&request)?;
        // The latest stand last.
        let count = answer.items.len() as u64;
        let surplus = count.saturating_sub(most.unwrap_or(count));
        answer.items.drain(..surplus as usize);
        return print(&answer, output);
    }
    let past = request.filter.since_seconds.is_some();
    let stopper = client.stopper().map_err(anyhow::Error::from)?;
    let stop = stop::watch(stopper, list.duration)?;
    let mut printer = Printer::<R>::new(output, follow, most, past);
    let mut result = Ok(());
    client.follow::<R>(
        &request,
        || stop.is_asked(),
        |event| match printer.event(event) {
            Ok(true) => ControlFlow::Continue(()),
            Ok(false) => ControlFlow::Break(()),
            Err(failure) => {
                result = Err(failure);
                ControlFlow::Break(())
            }
        },
    )?;
    result?;
    printer.end()
}

/// Refuses conditions on fields that no such item has.
fn known_fields<R: Row>(filters: &Filters) -> Result<(), Failure> {
    for condition in &filters.conditions {
        let field = condition.field.as_str();
        if !R::PATHS.contains(&field) {
            let is_like = |path: &&str| path.contains(field);
            let like: Vec<&str> = R::PATHS.iter().copied().filter(is_like).collect();
            let hint = if like.is_empty() {
                format!("there are {}", R::PATHS.join(", "))
            } else {
                format!("there is {}", like.join(", "))
            };
            return Err(Failure::usage(format!(
                "--where '{condition}': there is no field `{field}`; {hint}"
            )));
        }
    }
    Ok(())
}

/// Prints a whole answer.
pub fn print<R: Row>(answer: &Answer<R>, output: Output) -> Result<(), Failure> {
    let mut out = Out::new();
    print_items(&mut out, answer, output)?;
    // The document says it itself.
    if output.output != Format::Json
        && let Some(sentence) = loss::sentence(answer.completeness, &answer.lost)
    {
        out.say(&sentence)?;
    }
    out.flush()
}

pub(super) fn print_items<R: Row>(
    out: &mut Out,
    answer: &Answer<R>,
    output: Output,
) -> Result<(), Failure> {
    let style = out::style(output.output == Format::Wide, output.no_headers);
    match output.output {
        Format::Table | Format::Wide => {
            out.text(&table::render(&answer.items, out::now(), style))?;
            if answer.items.is_empty() {
                out.say("nothing matches")?;
            }
        }
        Format::Json => out.text(&json::document(answer))?,
        Format::Jsonl => {
            for item in &answer.items {
                out.text(&json::line(item))?;
            }
        }
        Format::Csv => {
            if !output.no_headers {
                out.text(&csv::header(R::PATHS))?;
            }
            for item in &answer.items {
                out.text(&csv::record(item, R::PATHS))?;
            }
        }
    }
    out.flush()
}

/// An answer that loss cannot affect.
pub fn whole<T>(items: Vec<T>) -> Answer<T> {
    Answer {
        v: 1,
        completeness: 1.0,
        lost: BTreeMap::new(),
        items,
    }
}
