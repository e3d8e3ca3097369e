//! What a replay read, and what it could not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_common::counter::Loss;

/// Counts of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayReport {
    /// Frames in the capture, readable or not.
    pub packets: u64,
    /// Of these, TCP segments that were read.
    pub segments: u64,
    /// Frames and records that could not be read, by reason.
    pub unreadable: BTreeMap<String, u64>,
    /// Exchanges found.
    pub exchanges: u64,
    /// Losses by the names of [`Loss`].
    pub lost: BTreeMap<String, u64>,
    /// Connections that the capture shows a second time (before and after address translation).
    pub mirrored: u64,
    /// Where and why reading stopped before the end of the file.
    pub damaged: Option<String>,
}

impl ReplayReport {
    /// seen / (seen + lost), of exchanges.
    pub fn completeness(&self) -> f64 {
        let hidden: u64 = Loss::ALL
            .iter()
            .filter(|reason| reason.hides_exchanges() || **reason == Loss::Unanswered)
            .filter_map(|reason| self.lost.get(reason.name()))
            .sum();
        if hidden == 0 {
            return 1.0;
        }
        self.exchanges as f64 / (self.exchanges + hidden) as f64
    }

    /// True if everything in the file could be read.
    pub fn is_whole(&self) -> bool {
        self.damaged.is_none() && self.unreadable.is_empty()
    }
}

/// Losses while they add up.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses([u64; Loss::COUNT]);

impl Losses {
    pub fn add(&mut self, reason: Loss, n: u64) {
        self.0[reason as usize] += n;
    }

    /// By name, without the zeros.
    pub fn by_name(&self) -> BTreeMap<String, u64> {
        Loss::ALL
            .iter()
            .map(|reason| (reason.name().to_owned(), self.0[*reason as usize]))
            .filter(|(_, n)| *n != 0)
            .collect()
    }
}
