//! The settings of every connection.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use crate::error::Result;

/// How long a connection waits for another process's write.
const BUSY: Duration = Duration::from_secs(5);

/// For the one writer of this process.
pub(crate) fn writing(file: &Path) -> Result<Connection> {
    let connection = open(file)?;
    // Has to come before the first table; lets a later version give space back.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // Acknowledged is durable, even when the power fails: every commit is synced.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    // Pages; 16 MiB of log between checkpoints.
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    Ok(connection)
}

pub(crate) fn reading(file: &Path) -> Result<Connection> {
    let connection = open(file)?;
    connection.pragma_update(None, "query_only", "ON")?;
    Ok(connection)
}

fn open(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // No temporary files: they would outlive a delete.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Sets how long the connection waits for another process; `None` is the usual time.
pub(crate) fn wait_at_most(connection: &Connection, time: Option<Duration>) -> Result<()> {
    Ok(connection.busy_timeout(time.unwrap_or(BUSY))?)
}
