//! The history as the daemon uses it: a failure is counted and told once, never an end.

use std::path::{Path, PathBuf};

use tracing::{info, warn};

use super::{Batch, Limits, Store, StoreError};
use crate::observe::{
    model::{EdgeState, Exchange, Workload},
    operations::OperationKey,
};

/// A history that may be away for a while (disk full, folder read-only) and comes back.
pub struct History {
    path: PathBuf,
    limits: Limits,
    store: Option<Store>,
    failures: u64,
    /// The failure that was told; `None` while all is well.
    told: Option<String>,
}

/// What an earlier run left.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// Recent exchanges, oldest first.
    pub exchanges: Vec<Exchange>,
    /// Workloads.
    pub workloads: Vec<Workload>,
    /// Names of operations.
    pub operations: Vec<(OperationKey, String)>,
}

impl History {
    /// Opens the history at `path`; if that fails, tries again at each write.
    pub fn open(path: &Path, limits: Limits, now_seconds: u64) -> Self {
        let mut history = Self {
            path: path.into(),
            limits,
            store: None,
            failures: 0,
            told: None,
        };
        if let Err(error) = history.reopen(now_seconds) {
            history.failed(&error);
        }
        history
    }

    fn reopen(&mut self, now_seconds: u64) -> Result<(), StoreError> {
        if self.store.is_some() {
            return Ok(());
        }
        let (store, notice) = Store::open(&self.path, self.limits, now_seconds)?;
        if let Some(notice) = notice {
            warn!("{notice}");
        }
        self.store = Some(store);
        Ok(())
    }

    /// Writes a batch. What cannot be written is lost from history, counted, and told once.
    pub fn append(&mut self, now_seconds: u64, batch: &Batch) -> bool {
        let result = self.reopen(now_seconds).and_then(|()| match &self.store {
            Some(store) => store.append(now_seconds, batch),
            None => Ok(()),
        });
        match result {
            Ok(()) => {
                self.recovered();
                true
            }
            Err(error) => {
                // After an I/O error the database refuses everything until it is opened anew.
                self.store = None;
                self.failed(&error);
                false
            }
        }
    }

    fn failed(&mut self, error: &StoreError) {
        self.failures += 1;
        let text = error.to_string();
        if self.told.is_none() {
            warn!("history is not written: {text}; the daemon goes on without it");
        }
        self.told = Some(text);
    }

    fn recovered(&mut self) {
        if self.told.take().is_some() {
            info!("history is written again after {} failures", self.failures);
        }
    }

    /// What was added to each edge since `unix_seconds`; empty while the history is away.
    pub fn edges_since(&self, unix_seconds: u64) -> Vec<EdgeState> {
        let edges = self
            .store
            .as_ref()
            .map(|store| store.edges_since(unix_seconds));
        read("edges", edges)
    }

    /// What an earlier run left.
    pub fn remembered(&self) -> Remembered {
        let store = self.store.as_ref();
        Remembered {
            exchanges: read("exchanges", store.map(Store::exchanges)),
            workloads: read("workloads", store.map(Store::workloads)),
            operations: read("operations", store.map(Store::operations)),
        }
    }

    /// Failures so far.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// Why it is not written now.
    pub fn trouble(&self) -> Option<&str> {
        self.told.as_deref()
    }
}

fn read<T>(what: &str, result: Option<Result<Vec<T>, StoreError>>) -> Vec<T> {
    match result {
        Some(Ok(items)) => items,
        Some(Err(error)) => {
            warn!("history of {what} cannot be read: {error}");
            Vec::new()
        }
        None => Vec::new(),
    }
}
