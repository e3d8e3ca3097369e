//! What each exporter has sent and lost: for `weir status`, and as metrics of its own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Why items were not delivered.
pub mod reason {
    /// The buffer had no room: the receiver was away too long.
    pub const BUFFER_FULL: &str = "buffer_full";
    /// weir itself fell behind the daemon: counted in exchanges, each of up to two spans.
    pub const LAGGED: &str = "lagged";
    /// An exchange without trace ids.
    pub const NO_IDS: &str = "no_ids";
    /// The receiver refused the request for good.
    pub const REFUSED: &str = "refused";
    /// The receiver took the request but not all of its items.
    pub const PARTIAL: &str = "partial";
    /// Still buffered when the daemon had to stop.
    pub const SHUTDOWN: &str = "shutdown";
}

/// Counters of one exporter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExporterCounts {
    /// `otlp_traces`, `otlp_metrics`, `prometheus`.
    pub name: &'static str,
    /// Spans or data points that the receiver took.
    pub sent: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Cumulative points replaced by newer ones before they were sent.
    pub superseded: u64,
    /// Items not delivered, by reason.
    pub lost: BTreeMap<&'static str, u64>,
    /// Bytes waiting.
    pub buffered_bytes: u64,
    /// Items waiting.
    pub buffered_items: u64,
    /// The latest error, until something succeeds again.
    pub error: Option<String>,
}

impl ExporterCounts {
    /// One line: `ok` or the error, then what waits and what was lost.
    fn summary(&self) -> String {
        let mut words = self.error.clone().unwrap_or_else(|| "ok".to_owned());
        words += &format!("; sent {}", self.sent);
        if self.buffered_items > 0 {
            words += &format!(", waiting {}", self.buffered_items);
        }
        for (reason, count) in &self.lost {
            words += &format!(", lost {count} ({reason})");
        }
        words
    }
}

/// Handle on the counters of one exporter; clones share them.
#[derive(Clone, Debug)]
pub struct ExporterStats(Arc<Mutex<ExporterCounts>>);

impl ExporterStats {
    fn lock(&self) -> MutexGuard<'_, ExporterCounts> {
        // The counters stay meaningful even if a holder panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts `items` as taken and forgets the latest error.
    pub fn sent(&self, items: u64) {
        let mut counts = self.lock();
        counts.sent += items;
        counts.error = None;
    }

    /// Counts a request that will be sent again because of `error`.
    pub fn retry(&self, error: &str) {
        let mut counts = self.lock();
        counts.retries += 1;
        counts.error = Some(error.to_owned());
    }

    /// Counts `items` as lost for one of [`reason`].
    pub fn lost(&self, reason: &'static str, items: u64) {
        if items > 0 {
            *self.lock().lost.entry(reason).or_default() += items;
        }
    }

    /// Remembers `error` as the state until something succeeds.
    pub fn error(&self, error: String) {
        self.lock().error = Some(error);
    }

    /// Counts points replaced by newer ones.
    pub fn superseded(&self, items: u64) {
        self.lock().superseded += items;
    }

    /// Notes what waits now.
    pub fn buffered(&self, items: u64, bytes: u64) {
        let mut counts = self.lock();
        counts.buffered_items = items;
        counts.buffered_bytes = bytes;
    }

    /// The counters now.
    pub fn counts(&self) -> ExporterCounts {
        self.lock().clone()
    }
}

/// All exporters of the daemon; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Exporters(Arc<Mutex<Vec<ExporterStats>>>);

impl Exporters {
    /// Adds an exporter.
    pub fn register(&self, name: &'static str) -> ExporterStats {
        let stats = ExporterStats(Arc::new(Mutex::new(ExporterCounts {
            name,
            ..ExporterCounts::default()
        })));
        self.lock().push(stats.clone());
        stats
    }

    /// Counters of every exporter.
    pub fn counts(&self) -> Vec<ExporterCounts> {
        self.lock().iter().map(ExporterStats::counts).collect()
    }

    /// Exporter → one line, for `Status.exporters`.
    pub fn state(&self) -> BTreeMap<String, String> {
        let counts = self.counts();
        counts
            .iter()
            .map(|counts| (counts.name.to_owned(), counts.summary()))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ExporterStats>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_tells_error_waiting_and_loss() {
        let exporters = Exporters::default();
        let traces = exporters.register("otlp_traces");
        let check = |expected: &str| assert_eq!(exporters.state()["otlp_traces"], expected);
        check("ok; sent 0");
        traces.retry("connection refused");
        traces.buffered(7, 700);
        traces.lost(reason::BUFFER_FULL, 3);
        traces.lost(reason::LAGGED, 0);
        check("connection refused; sent 0, waiting 7, lost 3 (buffer_full)");
        traces.sent(7);
        traces.buffered(0, 0);
        check("ok; sent 7, lost 3 (buffer_full)");
    }
}
