//! Asks for a list and prints it, once or followed.

use std::{collections::BTreeMap, ops::ControlFlow, path::Path};

use serde::de::DeserializeOwned;

use super::{
    Failure,
    args::{Format, List, Output},
    out::{self, Out},
    stop,
};
use crate::{
    control::{
        client::{Client, Event},
        wire::{Head, Notice, Request},
    },
    observe::model::Answer,
    view::{
        csv, json, loss,
        row::Row,
        table::{self, StreamTable},
    },
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

fn print_items<R: Row>(out: &mut Out, answer: &Answer<R>, output: Output) -> Result<(), Failure> {
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

/// Prints what a followed list brings.
struct Printer<R: Row> {
    out: Out,
    output: Output,
    follow: Follow,
    table: StreamTable,
    /// The stream begins with the past.
    past: bool,
    /// Items still wanted.
    left: u64,
    headed: bool,
    /// A repeated list is printed when it is whole.
    answer: Option<(Answer<R>, u64)>,
    notice: Notice,
    /// What was last said about the loss of a repeated list.
    told: Option<String>,
}

impl<R: Row> Printer<R> {
    fn new(output: Output, follow: Follow, most: Option<u64>, past: bool) -> Self {
        let style = out::style(output.output == Format::Wide, output.no_headers);
        Self {
            out: Out::new(),
            output,
            follow,
            table: StreamTable::new::<R>(style),
            past,
            left: most.unwrap_or(u64::MAX),
            headed: output.no_headers,
            answer: None,
            notice: Notice::default(),
            told: None,
        }
    }

    /// Prints an event; false when no more is wanted.
    fn event(&mut self, event: Event<R>) -> Result<bool, Failure> {
        match (event, self.follow) {
            (Event::Notice(notice), _) => self.notice(notice)?,
            (Event::Head(head), Follow::Repeat) => {
                let count = head.items.unwrap_or(0);
                self.answer = Some((empty(head), count));
                self.repeat_when_whole()?;
            }
            (Event::Item(item), Follow::Repeat) => {
                if let Some((answer, _)) = &mut self.answer {
                    answer.items.push(item);
                }
                self.repeat_when_whole()?;
            }
            (Event::Head(head), Follow::Stream) => {
                // What was lost before the stream began concerns only the past.
                if self.past
                    && let Some(sentence) = loss::sentence(head.completeness, &head.lost)
                {
                    self.out
                        .say(&format!("before this stream began: {sentence}"))?;
                }
            }
            (Event::Item(item), Follow::Stream) => {
                self.item(&item)?;
                self.left -= 1;
                return Ok(self.left > 0);
            }
        }
        Ok(true)
    }

    fn item(&mut self, item: &R) -> Result<(), Failure> {
        match self.output.output {
            Format::Table | Format::Wide => {
                let row = self.table.row(item, out::now());
                self.out.text(&row)?;
            }
            Format::Json | Format::Jsonl => self.out.text(&json::line(item))?,
            Format::Csv => {
                if !std::mem::replace(&mut self.headed, true) {
                    self.out.text(&csv::header(R::PATHS))?;
                }
                self.out.text(&csv::record(item, R::PATHS))?;
            }
        }
        self.out.flush()
    }

    fn repeat_when_whole(&mut self) -> Result<(), Failure> {
        let whole = self
            .answer
            .take_if(|(answer, count)| answer.items.len() as u64 == *count);
        let Some((answer, _)) = whole else {
            return Ok(());
        };
        if !matches!(self.output.output, Format::Table | Format::Wide) {
            answer.items.iter().try_for_each(|item| self.item(item))?;
            return self.loss(&answer, false);
        }
        // On a terminal the list is redrawn in place; in a file one stands below the other.
        let before = match (out::is_terminal(), self.headed) {
            (true, _) => "\u{1b}[H\u{1b}[2J",
            (false, true) => "\n",
            (false, false) => "",
        };
        self.headed = true;
        self.out.text(before)?;
        print_items(&mut self.out, &answer, self.output)?;
        self.loss(&answer, out::is_terminal())
    }

    /// Says what an answer lacks, where that is new or what was said is not on the screen any
    /// more.
    fn loss(&mut self, answer: &Answer<R>, again: bool) -> Result<(), Failure> {
        let sentence = loss::sentence(answer.completeness, &answer.lost);
        let news = again || sentence != self.told;
        self.told = sentence;
        match &self.told {
            Some(sentence) if news => self.out.say(sentence),
            _ => Ok(()),
        }
    }

    fn notice(&mut self, notice: Notice) -> Result<(), Failure> {
        let changed = notice != self.notice;
        self.notice = notice;
        match changed && !self.notice.is_clean() {
            true => self.out.say(&missed(&self.notice)),
            false => Ok(()),
        }
    }

    fn end(mut self) -> Result<(), Failure> {
        self.out.flush()
    }
}

fn empty<R>(head: Head) -> Answer<R> {
    Answer {
        v: head.v,
        completeness: head.completeness,
        lost: head.lost,
        items: Vec::new(),
    }
}

/// What a stream lost so far, in words.
fn missed(notice: &Notice) -> String {
    let mut parts = Vec::new();
    let lost: u64 = notice.lost.values().sum();
    if lost > 0 {
        parts.push(format!(
            "{lost} lost in the kernel ({})",
            loss::reasons(&notice.lost)
        ));
    }
    if notice.dropped > 0 {
        let slow = "this reader was too slow";
        parts.push(format!("{} left out because {slow}", notice.dropped));
    }
    format!("since this stream began: {}", parts.join(", "))
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
