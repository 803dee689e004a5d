//! Deleting: the bytes go, a tombstone stays.
//!
//! What an interaction said is gone when its key is overwritten; its rows are removed
//! for their space. The writer then empties the write-ahead log (`Purpose::Erasure`), so
//! that no file holds the key or the content any more.

use antiphon_engine::{ProjectId, StoreError};
use antiphon_wire::InteractionId;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};

use crate::content::ERASED;
use crate::error::Result;

/// # Errors
/// `NotFound` when it is deleted already or another project's.
pub(crate) fn delete(connection: &Connection, project: ProjectId, id: &InteractionId) -> Result<()> {
    let number = connection
        .prepare_cached("SELECT number FROM interaction WHERE id = ?1 AND project_id = ?2 AND deleted_at IS NULL")?
        .query_row((id.as_str(), project.0), |row| row.get(0))
        .optional()?;
    match number {
        Some(number) => erase(connection, number),
        None => Err(StoreError::NotFound.into()),
    }
}

/// Whether there is anything to sweep.
pub(crate) fn any_expired(connection: &Connection, now: Timestamp) -> Result<bool> {
    Ok(!expired(connection, now, 1)?.is_empty())
}

/// Deletes up to `most` ended interactions that have expired; how many.
pub(crate) fn sweep(connection: &Connection, now: Timestamp, most: usize) -> Result<usize> {
    let numbers = expired(connection, now, most)?;
    numbers.iter().try_for_each(|number| erase(connection, *number))?;
    Ok(numbers.len())
}

fn expired(connection: &Connection, now: Timestamp, most: usize) -> Result<Vec<i64>> {
    Ok(connection
        .prepare_cached(
            "SELECT interaction.number FROM interaction JOIN run ON run.interaction = interaction.number
             WHERE interaction.expires_at <= ?1 AND interaction.deleted_at IS NULL AND run.state = 'ended'
             ORDER BY interaction.expires_at LIMIT ?2",
        )?
        .query_map((now.as_millisecond(), most), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?)
}

fn erase(connection: &Connection, interaction: i64) -> Result<()> {
    connection
        .prepare_cached("UPDATE content_key SET secret = ?2 WHERE interaction = ?1")?
        .execute((interaction, ERASED))?;
    for table in ["event", "step", "medium_piece", "effect", "blob_ref", "run"] {
        connection.prepare_cached(&format!("DELETE FROM {table} WHERE interaction = ?1"))?.execute([interaction])?;
    }
    // By the database's clock: nothing but a reader of the file looks at when it was.
    connection
        .prepare_cached(
            "UPDATE interaction SET request = NULL, usage = NULL, seed = NULL,
                    deleted_at = CAST(unixepoch('subsec') * 1000 AS INTEGER)
             WHERE number = ?1",
        )?
        .execute([interaction])?;
    Ok(())
}

#[cfg(test)]
mod tests;
