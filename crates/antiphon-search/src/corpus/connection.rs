//! The connections to the corpus's file: one that writes, and a few that read.
//!
//! All of SQLite's work is done on the blocking threads of the runtime.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::Semaphore;
use tracing::warn;

use super::{CorpusError, Result};

/// How long a connection waits for another process's write.
const BUSY: Duration = Duration::from_secs(5);
/// More would wait for the same cores.
const READERS: usize = 4;
const VERSION: i64 = 3;
/// From version 1.
const ABOUT: &str = "ALTER TABLE collection ADD COLUMN about TEXT NOT NULL DEFAULT '';
     ALTER TABLE document ADD COLUMN about TEXT NOT NULL DEFAULT '';";
/// From version 2.
const REBUILD_DUE: &str = "CREATE TABLE IF NOT EXISTS rebuild_due(one INTEGER PRIMARY KEY CHECK(one = 1)) STRICT;";

#[derive(Clone)]
pub(super) struct Connections {
    writer: Arc<Mutex<Connection>>,
    readers: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Connections {
    pub(super) async fn open(file: PathBuf) -> Result<Self> {
        blocking(move || {
            let writer = writing(&file)?;
            // Another process may hold it up; then the next deletion or opening does it.
            if let Err(error) = finish_rebuild(&writer) {
                warn!(%error, "What was deleted from the corpus is not erased yet");
            }
            let readers = (0..READERS).map(|_| reading(&file)).collect::<Result<Vec<_>>>()?;
            Ok(Self {
                writer: Arc::new(Mutex::new(writer)),
                readers: Arc::new(Mutex::new(readers)),
                permits: Arc::new(Semaphore::new(READERS)),
            })
        })
        .await
    }

    /// One transaction; when this returns it is durable, or undone.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        blocking(move || this.write_now(work)).await
    }

    /// As [`Connections::write`], for those who are on a blocking thread already.
    pub(super) fn write_now<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    /// One transaction that deletes, and then what is left of that in the file. Once the
    /// transaction is durable this succeeds: what is left is erased now, with the next
    /// deletion, or when the file is opened again.
    pub(super) async fn erase<T: Send + 'static>(
        &self,
        rebuilds: bool,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        blocking(move || {
            let done = this.write_now(|connection| {
                if rebuilds {
                    connection.execute("INSERT INTO rebuild_due(one) VALUES(1) ON CONFLICT DO NOTHING", [])?;
                }
                work(connection)
            })?;
            let erased = if rebuilds { this.rebuild() } else { this.empty_log() };
            if let Err(error) = erased {
                warn!(%error, "What was deleted from the corpus is not erased yet");
            }
            Ok(done)
        })
        .await
    }

    /// Takes what was deleted out of the log, too. Readers may hold it up; then it happens
    /// with the next checkpoint.
    pub(super) fn empty_log(&self) -> Result<()> {
        empty_log(&self.writer.lock().unwrap_or_else(PoisonError::into_inner)).map(|_| ())
    }

    fn rebuild(&self) -> Result<()> {
        finish_rebuild(&self.writer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One transaction that sees every write that was answered before.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let gone = || CorpusError::Unavailable("the connections for reading are gone".to_owned());
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| gone())?;
        let readers = Arc::clone(&self.readers);
        blocking(move || {
            let _permit = permit;
            let reader = readers.lock().unwrap_or_else(PoisonError::into_inner).pop().ok_or_else(gone)?;
            let result = reader.unchecked_transaction().map_err(CorpusError::from).and_then(|read| work(&read));
            readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
            result
        })
        .await
    }
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| CorpusError::Unavailable(format!("the work was broken off: {error}")))?
}

/// Whether nothing is left in the log.
fn empty_log(writer: &Connection) -> Result<bool> {
    Ok(writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))? == 0)
}

/// Writes the whole file anew if that is due. Where rows were deleted, pages that were rebuilt
/// meanwhile may keep copies of them in their unused part, out of reach of `secure_delete`.
fn finish_rebuild(writer: &Connection) -> Result<()> {
    let is_due: bool = writer.query_row("SELECT EXISTS(SELECT 1 FROM rebuild_due)", [], |row| row.get(0))?;
    if !is_due {
        return Ok(());
    }
    // The copy is as large as the file; it holds what is kept and has no name.
    writer.pragma_update(None, "temp_store", "FILE")?;
    let rebuilt = writer.execute_batch("VACUUM");
    writer.pragma_update(None, "temp_store", "MEMORY")?;
    rebuilt?;
    // Until then the old pages are in the file.
    if empty_log(writer)? {
        writer.execute("DELETE FROM rebuild_due", [])?;
    }
    Ok(())
}

fn writing(file: &Path) -> Result<Connection> {
    let mut connection = open(file)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match version {
        0 if tables == 0 => {
            transaction.execute_batch(include_str!("schema.sql"))?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        1 | 2 => {
            if version == 1 {
                transaction.execute_batch(ABOUT)?;
            }
            transaction.execute_batch(REBUILD_DUE)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        VERSION => {}
        _ => {
            let why = format!("`{}` is not a corpus that this version can read", file.display());
            return Err(CorpusError::Unavailable(why));
        }
    }
    transaction.commit()?;
    Ok(connection)
}

fn reading(file: &Path) -> Result<Connection> {
    let connection = open(file)?;
    connection.pragma_update(None, "query_only", "ON")?;
    Ok(connection)
}

fn open(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}
