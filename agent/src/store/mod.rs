//! Embedded history: what outlives the daemon, in bounded space.
//!
//! One file in the state folder. Edges are written once a minute as what was added in it, so
//! that any stretch of time is a sum of minutes; beside them the recent exchanges, the workloads
//! and the names of operations.

mod file;
mod history;
mod record;

use std::{collections::HashMap, path::Path};

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, WriteTransaction};

pub use self::{file::StoreError, history::History};
use self::{
    file::{EXCHANGES, META, MINUTES, OPERATIONS, WORKLOADS},
    record::{EdgeRecord, pack, unpack},
};
use crate::observe::{
    edges::EdgeName,
    model::{EdgeState, Exchange, Workload},
    operations::OperationKey,
};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Minutes of edges.
    pub minutes: u64,
    /// Bytes of edges and exchanges, as stored.
    pub bytes: u64,
    /// Batches of exchanges.
    pub exchange_batches: u64,
    /// Workloads, and names of operations, each.
    pub names: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            minutes: 7 * 24 * 60,
            bytes: 256 << 20,
            exchange_batches: 20,
            names: 50_000,
        }
    }
}

/// What is written at once.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// What was added to each edge since the last batch.
    pub edges: Vec<EdgeState>,
    /// Exchanges since the last batch.
    pub exchanges: Vec<Exchange>,
    /// Workloads that are new.
    pub workloads: Vec<Workload>,
    /// Names of operations that are new.
    pub operations: Vec<(OperationKey, String)>,
}

/// The open history.
pub struct Store {
    database: Database,
    limits: Limits,
}

impl Store {
    /// Opens or makes the history at `path`. The second value says where a damaged file was
    /// moved and what was wrong with it.
    pub fn open(
        path: &Path,
        limits: Limits,
        now_seconds: u64,
    ) -> Result<(Self, Option<String>), StoreError> {
        let opened = file::open(path, now_seconds)?;
        let store = Self {
            database: opened.database,
            limits,
        };
        let notice = opened.moved_aside.map(|(aside, reason)| {
            format!(
                "{} could not be used ({reason}); moved to {}, a new history begins",
                path.display(),
                aside.display()
            )
        });
        Ok((store, notice))
    }

    /// Writes a batch and prunes what is beyond the limits; all or nothing.
    pub fn append(&self, now_seconds: u64, batch: &Batch) -> Result<(), StoreError> {
        self.write(now_seconds, batch).map_err(StoreError::Database)
    }

    fn write(&self, now_seconds: u64, batch: &Batch) -> Result<(), redb::Error> {
        let write = self.database.begin_write()?;
        {
            let mut meta = write.open_table(META)?;
            let mut rows = Rows {
                bytes: meta.get("bytes")?.map_or(0, |bytes| bytes.value()),
                minutes: write.open_table(MINUTES)?,
                exchanges: write.open_table(EXCHANGES)?,
            };
            rows.add(now_seconds, batch)?;
            rows.prune(now_seconds / 60, &self.limits)?;
            meta.insert("bytes", rows.bytes)?;
        }
        self.write_names(&write, batch)?;
        write.commit()?;
        Ok(())
    }

    fn write_names(&self, write: &WriteTransaction, batch: &Batch) -> Result<(), redb::Error> {
        let mut workloads = write.open_table(WORKLOADS)?;
        for workload in &batch.workloads {
            let bytes = serde_json::to_vec(workload).map_err(|error| io(error.into()))?;
            workloads.insert(workload.id, bytes.as_slice())?;
        }
        while workloads.len()? > self.limits.names {
            workloads.pop_first()?;
        }
        let mut operations = write.open_table(OPERATIONS)?;
        for (key, name) in &batch.operations {
            operations.insert((code_of(key), key.op), name.as_str())?;
        }
        while operations.len()? > self.limits.names {
            operations.pop_first()?;
        }
        Ok(())
    }

    /// What was added to each edge since `unix_seconds`, to the whole minute, as one value per
    /// edge. Minutes that are damaged are left out.
    pub fn edges_since(&self, unix_seconds: u64) -> Result<Vec<EdgeState>, StoreError> {
        let mut edges: HashMap<EdgeName, EdgeState> = HashMap::new();
        self.each_minute(unix_seconds / 60, |record| {
            let edge = EdgeState::from(record);
            match edges.get_mut(&edge.same_edge()) {
                Some(known) => known.add(&edge),
                None => {
                    edges.insert(edge.same_edge(), edge);
                }
            }
        })
        .map_err(StoreError::Database)?;
        Ok(edges.into_values().collect())
    }

    fn each_minute(&self, from: u64, mut take: impl FnMut(EdgeRecord)) -> Result<(), redb::Error> {
        let read = self.database.begin_read()?;
        for entry in read.open_table(MINUTES)?.range(from..)? {
            let (_, bytes) = entry?;
            let records: Vec<EdgeRecord> = unpack(bytes.value()).unwrap_or_default();
            records.into_iter().for_each(&mut take);
        }
        Ok(())
    }

    /// The exchanges that are kept, oldest first.
    pub fn exchanges(&self) -> Result<Vec<Exchange>, StoreError> {
        let all = || -> Result<Vec<Exchange>, redb::Error> {
            let read = self.database.begin_read()?;
            let mut all = Vec::new();
            for entry in read.open_table(EXCHANGES)?.iter()? {
                let (_, bytes) = entry?;
                all.extend(unpack::<Vec<Exchange>>(bytes.value()).unwrap_or_default());
            }
            Ok(all)
        };
        Ok(all()?)
    }

    /// The workloads that are known.
    pub fn workloads(&self) -> Result<Vec<Workload>, StoreError> {
        let all = || -> Result<Vec<Workload>, redb::Error> {
            let read = self.database.begin_read()?;
            let mut all = Vec::new();
            for entry in read.open_table(WORKLOADS)?.iter()? {
                let (_, bytes) = entry?;
                all.extend(serde_json::from_slice::<Workload>(bytes.value()).ok());
            }
            Ok(all)
        };
        Ok(all()?)
    }

    /// The names of operations that are known.
    pub fn operations(&self) -> Result<Vec<(OperationKey, String)>, StoreError> {
        let all = || -> Result<Vec<(OperationKey, String)>, redb::Error> {
            let read = self.database.begin_read()?;
            let mut all = Vec::new();
            for entry in read.open_table(OPERATIONS)?.iter()? {
                let (key, name) = entry?;
                let (code, op) = key.value();
                let key = OperationKey {
                    protocol: (code >> 8) as u8,
                    method: code as u8,
                    op,
                };
                all.push((key, name.value().to_owned()));
            }
            Ok(all)
        };
        Ok(all()?)
    }
}

fn code_of(key: &OperationKey) -> u32 {
    u32::from(key.protocol) << 8 | u32::from(key.method)
}

fn io(error: std::io::Error) -> redb::Error {
    redb::Error::Io(error)
}

/// The tables that grow with time, and how many bytes their values hold.
struct Rows<'a> {
    minutes: redb::Table<'a, u64, &'static [u8]>,
    exchanges: redb::Table<'a, u64, &'static [u8]>,
    bytes: u64,
}

impl Rows<'_> {
    fn add(&mut self, now_seconds: u64, batch: &Batch) -> Result<(), redb::Error> {
        let minute = now_seconds / 60;
        if !batch.edges.is_empty() {
            // A daemon that restarts within a minute adds to what its predecessor wrote.
            let mut records: Vec<EdgeRecord> = match self.minutes.get(minute)? {
                Some(bytes) => unpack(bytes.value()).unwrap_or_default(),
                None => Vec::new(),
            };
            records.extend(batch.edges.iter().map(EdgeRecord::from));
            let bytes = pack(&records).map_err(io)?;
            self.bytes += bytes.len() as u64;
            let former = self.minutes.insert(minute, bytes.as_slice())?;
            self.bytes = self.bytes.saturating_sub(length(former));
        }
        if !batch.exchanges.is_empty() {
            let bytes = pack(&batch.exchanges).map_err(io)?;
            self.bytes += bytes.len() as u64;
            let former = self.exchanges.insert(now_seconds, bytes.as_slice())?;
            self.bytes = self.bytes.saturating_sub(length(former));
        }
        Ok(())
    }

    /// Drops what is too old or too much: exchanges first, then the oldest minutes.
    fn prune(&mut self, minute: u64, limits: &Limits) -> Result<(), redb::Error> {
        while self.exchanges.len()? > limits.exchange_batches {
            self.drop_exchanges()?;
        }
        while self
            .oldest_minute()?
            .is_some_and(|oldest| oldest + limits.minutes <= minute)
        {
            self.drop_minute()?;
        }
        while self.bytes > limits.bytes && (self.drop_exchanges()? || self.drop_minute()?) {}
        Ok(())
    }

    fn oldest_minute(&self) -> Result<Option<u64>, redb::Error> {
        let first = self.minutes.first()?;
        Ok(first.map(|(minute, _)| minute.value()))
    }

    fn drop_exchanges(&mut self) -> Result<bool, redb::Error> {
        let dropped = self
            .exchanges
            .pop_first()?
            .map(|(_, bytes)| bytes.value().len());
        self.bytes = self.bytes.saturating_sub(dropped.unwrap_or(0) as u64);
        Ok(dropped.is_some())
    }

    fn drop_minute(&mut self) -> Result<bool, redb::Error> {
        let dropped = self
            .minutes
            .pop_first()?
            .map(|(_, bytes)| bytes.value().len());
        self.bytes = self.bytes.saturating_sub(dropped.unwrap_or(0) as u64);
        Ok(dropped.is_some())
    }
}

fn length(value: Option<redb::AccessGuard<'_, &'static [u8]>>) -> u64 {
    value.map_or(0, |bytes| bytes.value().len() as u64)
}

#[cfg(test)]
mod tests;
