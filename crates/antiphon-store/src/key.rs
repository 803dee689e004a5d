//! Projects and the API's keys.

use antiphon_engine::{KeyRecord, ProjectId, StoreError};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::error::Result;
use crate::run::time;

const COLUMNS: &str = "SELECT api_key.id, api_key.project_id, project.name, api_key.name, hash, created_at, revoked_at
     FROM api_key JOIN project ON project.id = api_key.project_id";

/// The project of this name, made when it is new.
pub(crate) fn project(connection: &Connection, name: &str) -> Result<ProjectId> {
    connection
        .prepare_cached("INSERT INTO project (name) VALUES (?1) ON CONFLICT (name) DO NOTHING")?
        .execute([name])?;
    let id =
        connection.prepare_cached("SELECT id FROM project WHERE name = ?1")?.query_row([name], |row| row.get(0))?;
    Ok(ProjectId(id))
}

/// # Errors
/// `NotFound` for an unknown project, `Conflict` when the key's id is taken.
pub(crate) fn add(connection: &Connection, key: &KeyRecord) -> Result<()> {
    let known = connection.prepare_cached("SELECT 1 FROM project WHERE id = ?1")?.exists([key.project.0])?;
    if !known {
        return Err(StoreError::NotFound.into());
    }
    let added = connection
        .prepare_cached(
            "INSERT INTO api_key (id, project_id, name, hash, created_at, revoked_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING",
        )?
        .execute((
            &key.id,
            key.project.0,
            &key.name,
            key.hash,
            key.created.as_millisecond(),
            key.revoked.map(Timestamp::as_millisecond),
        ))?;
    if added == 0 {
        return Err(StoreError::Conflict(format!("key `{}` exists already", key.id)).into());
    }
    Ok(())
}

pub(crate) fn find(connection: &Connection, id: &str) -> Result<KeyRecord> {
    let found = connection
        .prepare_cached(&format!("{COLUMNS} WHERE api_key.id = ?1"))?
        .query_row([id], |row| Ok(record(row)))
        .optional()?;
    found.unwrap_or_else(|| Err(StoreError::NotFound.into()))
}

/// All keys, oldest first.
pub(crate) fn all(connection: &Connection) -> Result<Vec<KeyRecord>> {
    connection
        .prepare_cached(&format!("{COLUMNS} ORDER BY created_at, api_key.rowid"))?
        .query_map([], |row| Ok(record(row)))?
        .map(|row| row?)
        .collect()
}

/// # Errors
/// `NotFound` for an unknown key.
pub(crate) fn revoke(connection: &Connection, id: &str, at: Timestamp) -> Result<()> {
    let found = connection
        .prepare_cached("UPDATE api_key SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1")?
        .execute((id, at.as_millisecond()))?;
    if found == 0 { Err(StoreError::NotFound.into()) } else { Ok(()) }
}

fn record(row: &Row<'_>) -> Result<KeyRecord> {
    Ok(KeyRecord {
        id: row.get(0)?,
        project: ProjectId(row.get(1)?),
        project_name: row.get(2)?,
        name: row.get(3)?,
        hash: row.get(4)?,
        created: time(row.get(5)?)?,
        revoked: row.get::<_, Option<i64>>(6)?.map(time).transpose()?,
    })
}
