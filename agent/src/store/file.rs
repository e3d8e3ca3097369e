//! The database file: tables, schema version, what to do about a file that is no good.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use redb::{Database, DatabaseError, ReadableDatabase, StorageError, TableDefinition};

/// Version of the tables below.
pub(super) const SCHEMA: u64 = 1;

/// Memory that the database may use for its cache, bytes.
const CACHE_BYTES: usize = 8 << 20;

/// `schema` → [`SCHEMA`]; `bytes` → size of the values in [`MINUTES`] and [`EXCHANGES`].
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Unix minute → edges active in it.
pub(super) const MINUTES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("edges_by_minute");
/// Unix time of writing, s → exchanges.
pub(super) const EXCHANGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("exchanges");
/// Workload id → workload.
pub(super) const WORKLOADS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("workloads");
/// (protocol and method, operation hash) → name.
pub(super) const OPERATIONS: TableDefinition<'_, (u32, u64), &str> =
    TableDefinition::new("operations");

/// Why the history cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another daemon has it open.
    #[error("{0} is in use by another process; is another weir running with this state folder?")]
    InUse(PathBuf),
    /// The folder or file cannot be used.
    #[error("{0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// The database refuses.
    #[error("history: {0}")]
    Database(#[from] redb::Error),
}

/// An open database.
pub(super) struct Opened {
    pub(super) database: Database,
    /// Where a file that was no good was moved, and why.
    pub(super) moved_aside: Option<(PathBuf, String)>,
}

/// Opens or makes the database. A file that is damaged or of another version is moved aside and
/// a new one is begun: history must never keep the daemon from running.
pub(super) fn open(path: &Path, now_seconds: u64) -> Result<Opened, StoreError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| StoreError::Io(folder.into(), error))?;
    }
    let reason = match try_open(path) {
        Ok(database) => {
            return Ok(Opened {
                database,
                moved_aside: None,
            });
        }
        Err(Refusal::Final(error)) => return Err(error),
        Err(Refusal::Unusable(reason)) => reason,
    };
    let aside = aside(path, now_seconds);
    fs::rename(path, &aside).map_err(|error| StoreError::Io(path.into(), error))?;
    match try_open(path) {
        Ok(database) => Ok(Opened {
            database,
            moved_aside: Some((aside, reason)),
        }),
        Err(Refusal::Final(error)) => Err(error),
        Err(Refusal::Unusable(reason)) => {
            Err(StoreError::Io(path.into(), io::Error::other(reason)))
        }
    }
}

fn aside(path: &Path, now_seconds: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".damaged-{now_seconds}"));
    name.into()
}

enum Refusal {
    /// The file itself is no good.
    Unusable(String),
    /// Another file would fare no better.
    Final(StoreError),
}

fn try_open(path: &Path) -> Result<Database, Refusal> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    let database = builder.create(path).map_err(|error| refusal(path, error))?;
    match read_schema(&database) {
        Ok(Some(SCHEMA)) => Ok(database),
        Ok(Some(other)) => Err(Refusal::Unusable(format!(
            "its schema is version {other}, this weir writes {SCHEMA}"
        ))),
        Ok(None) => match write_schema(&database) {
            Ok(()) => Ok(database),
            Err(error) => Err(Refusal::Final(error.into())),
        },
        Err(error) => Err(Refusal::Unusable(error.to_string())),
    }
}

fn refusal(path: &Path, error: DatabaseError) -> Refusal {
    let is_damage = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
        )
    };
    match error {
        DatabaseError::DatabaseAlreadyOpen => Refusal::Final(StoreError::InUse(path.into())),
        DatabaseError::Storage(StorageError::Io(error)) if !is_damage(&error) => {
            Refusal::Final(StoreError::Io(path.into(), error))
        }
        damaged => Refusal::Unusable(damaged.to_string()),
    }
}

fn read_schema(database: &Database) -> Result<Option<u64>, redb::Error> {
    let read = database.begin_read()?;
    match read.open_table(META) {
        Ok(table) => Ok(table.get("schema")?.map(|version| version.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn write_schema(database: &Database) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    write.open_table(META)?.insert("schema", SCHEMA)?;
    // Made now, so that readers find them.
    write.open_table(MINUTES)?;
    write.open_table(EXCHANGES)?;
    write.open_table(WORKLOADS)?;
    write.open_table(OPERATIONS)?;
    write.commit()?;
    Ok(())
}
