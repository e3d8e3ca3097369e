//! Prints what a followed list brings: new items, or the whole list again.

use super::{
    Failure,
    args::{Format, Output},
    items::Items,
    list::{self, Follow},
    out,
};
use crate::{
    control::{
        client::Event,
        wire::{Head, Notice},
    },
    observe::model::Answer,
    view::{loss, row::Row},
};

/// Prints what a followed list brings.
pub(super) struct Printer<R: Row> {
    items: Items<R>,
    output: Output,
    follow: Follow,
    /// The stream begins with the past.
    past: bool,
    /// Items still wanted.
    left: u64,
    /// A list was printed already.
    printed: bool,
    /// A repeated list is printed when it is whole.
    answer: Option<(Answer<R>, u64)>,
    notice: Notice,
    /// What was last said about the loss of a repeated list.
    told: Option<String>,
}

impl<R: Row> Printer<R> {
    /// `most` items of a stream are printed at most; `past` tells that it begins with the past.
    pub fn new(output: Output, follow: Follow, most: Option<u64>, past: bool) -> Self {
        Self {
            items: if past {
                Items::new(output)
            } else {
                Items::live(output)
            },
            output,
            follow,
            past,
            left: most.unwrap_or(u64::MAX),
            printed: false,
            answer: None,
            notice: Notice::default(),
            told: None,
        }
    }

    /// Prints an event; false when no more is wanted.
    pub fn event(&mut self, event: Event<R>) -> Result<bool, Failure> {
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
                    self.items
                        .out
                        .say(&format!("before this stream began: {sentence}"))?;
                }
            }
            (Event::Item(item), Follow::Stream) => {
                self.items.item(&item)?;
                self.items.out.flush()?;
                self.left -= 1;
                return Ok(self.left > 0);
            }
        }
        Ok(true)
    }

    fn repeat_when_whole(&mut self) -> Result<(), Failure> {
        let whole = self
            .answer
            .take_if(|(answer, count)| answer.items.len() as u64 == *count);
        let Some((answer, _)) = whole else {
            return Ok(());
        };
        if !matches!(self.output.output, Format::Table | Format::Wide) {
            answer
                .items
                .iter()
                .try_for_each(|item| self.items.item(item))?;
            return self.loss(&answer, false);
        }
        // On a terminal the list is redrawn in place; in a file one stands below the other.
        let before = match (out::is_terminal(), self.printed) {
            (true, _) => "\u{1b}[H\u{1b}[2J",
            (false, true) => "\n",
            (false, false) => "",
        };
        self.printed = true;
        self.items.out.text(before)?;
        list::print_items(&mut self.items.out, &answer, self.output)?;
        self.loss(&answer, out::is_terminal())
    }

    /// Says what an answer lacks, where that is new or what was said is not on the screen any
    /// more.
    fn loss(&mut self, answer: &Answer<R>, again: bool) -> Result<(), Failure> {
        let sentence = loss::sentence(answer.completeness, &answer.lost);
        let news = again || sentence != self.told;
        self.told = sentence;
        match &self.told {
            Some(sentence) if news => self.items.out.say(sentence),
            _ => Ok(()),
        }
    }

    fn notice(&mut self, notice: Notice) -> Result<(), Failure> {
        let changed = notice != self.notice;
        self.notice = notice;
        match changed && !self.notice.is_clean() {
            true => self.items.out.say(&missed(&self.notice)),
            false => Ok(()),
        }
    }

    /// Hands over what is left.
    pub fn end(mut self) -> Result<(), Failure> {
        self.items.out.flush()
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
