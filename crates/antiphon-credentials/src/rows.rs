//! What is kept of each credential, in one database.

use std::path::Path;

use antiphon_database::Database;
use antiphon_engine::{ProjectId, wire_time};
use antiphon_wire::{Credential, CredentialId, CredentialKind, CredentialStatus, Error};
use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Transaction, named_params, params};
use serde_json::Value;

use crate::failure::Outcome;

/// A credential as it is kept.
pub(crate) struct Row {
    pub(crate) id: CredentialId,
    pub(crate) kind: CredentialKind,
    pub(crate) status: CredentialStatus,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) sealed: Vec<u8>,
}

impl Row {
    pub(crate) fn shown(&self) -> Credential {
        Credential {
            id: self.id.clone(),
            kind: self.kind,
            status: self.status,
            create_time: wire_time(self.created),
            update_time: wire_time(self.updated),
        }
    }

    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let time = |column: &str| Timestamp::from_millisecond(row.get(column)?).map_err(unreadable);
        let word = |column: &str| Ok::<_, rusqlite::Error>(Value::String(row.get(column)?));
        Ok(Self {
            id: CredentialId::try_from(row.get::<_, String>("id")?).map_err(unreadable)?,
            kind: serde_json::from_value(word("kind")?).map_err(unreadable)?,
            status: serde_json::from_value(word("status")?).map_err(unreadable)?,
            created: time("created")?,
            updated: time("updated")?,
            sealed: row.get("sealed")?,
        })
    }
}

fn unreadable(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, why.into())
}

fn word_of(status: CredentialStatus) -> &'static str {
    match status {
        CredentialStatus::Active => "active",
        CredentialStatus::Revoked => "revoked",
    }
}

/// The database. Every call may wait for the disk.
pub(crate) struct Rows {
    database: Database,
}

impl Rows {
    pub(crate) fn open(file: &Path) -> Outcome<Self> {
        Ok(Self { database: Database::open(file, &[include_str!("schema.sql")])? })
    }

    /// Changes rows: all of it, durably, or nothing.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&Change<'_>) -> Outcome<T>) -> Outcome<T> {
        self.database.change(|transaction| change(&Change(transaction)))
    }

    pub(crate) fn forget(&self) -> Outcome<()> {
        Ok(self.database.forget()?)
    }

    pub(crate) fn find(&self, project: ProjectId, id: &CredentialId) -> Outcome<Row> {
        find(&self.database.lock(), project, id)
    }

    /// What the key is known by.
    pub(crate) fn known_key(&self) -> Outcome<Option<Vec<u8>>> {
        known_key(&self.database.lock())
    }

    /// The credentials of a project that were made before one, the latest first.
    pub(crate) fn list(&self, project: ProjectId, before: Option<(i64, &str)>, most: usize) -> Outcome<Vec<Row>> {
        let (created, id) = before.unwrap_or((i64::MAX, ""));
        let connection = self.database.lock();
        let mut statement = connection.prepare(
            "SELECT * FROM credential WHERE project = ? AND (created, id) < (?, ?)
             ORDER BY created DESC, id DESC LIMIT ?",
        )?;
        let found = statement.query_map(params![project.0, created, id, most as i64], Row::of)?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }
}

/// Rows that are being changed.
pub(crate) struct Change<'a>(&'a Transaction<'a>);

impl Change<'_> {
    pub(crate) fn find(&self, project: ProjectId, id: &CredentialId) -> Outcome<Row> {
        find(self.0, project, id)
    }

    /// # Errors
    /// `failed_precondition` when the project has it, or `most`, already.
    pub(crate) fn check_room(&self, project: ProjectId, id: &CredentialId, most: usize) -> Outcome<()> {
        let (count, same): (i64, i64) = self.0.query_row(
            "SELECT count(*), coalesce(sum(id = ?2), 0) FROM credential WHERE project = ?1",
            params![project.0, id.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        if same > 0 {
            return Err(Error::precondition(format!("`id`: `credentials/{id}` exists already")).into());
        }
        if usize::try_from(count).is_ok_and(|count| count < most) {
            return Ok(());
        }
        let message = format!("the project has {count} credentials, the most there may be; delete one");
        Err(Error::precondition(message).into())
    }

    /// Adds a row, or replaces it.
    pub(crate) fn put(&self, project: ProjectId, row: &Row) -> Outcome<()> {
        self.0.execute(
            "INSERT OR REPLACE INTO credential(project, id, kind, status, created, updated, sealed)
             VALUES(:project, :id, :kind, :status, :created, :updated, :sealed)",
            named_params! {
                ":project": project.0,
                ":id": row.id.as_str(),
                ":kind": row.kind.as_str(),
                ":status": word_of(row.status),
                ":created": row.created.as_millisecond(),
                ":updated": row.updated.as_millisecond(),
                ":sealed": row.sealed,
            },
        )?;
        Ok(())
    }

    /// Whether there was one.
    pub(crate) fn delete(&self, project: ProjectId, id: &CredentialId) -> Outcome<bool> {
        let deleted =
            self.0.execute("DELETE FROM credential WHERE project = ? AND id = ?", params![project.0, id.as_str()])?;
        Ok(deleted > 0)
    }

    /// What the key is known by; none when nothing is sealed, so that any key will do.
    pub(crate) fn known_key(&self) -> Outcome<Option<Vec<u8>>> {
        let is_empty = self.0.query_row("SELECT NOT EXISTS(SELECT 1 FROM credential)", [], |row| row.get(0))?;
        if is_empty { Ok(None) } else { known_key(self.0) }
    }

    pub(crate) fn set_known_key(&self, sealed: &[u8]) -> Outcome<()> {
        self.0.execute("DELETE FROM known_key", [])?;
        self.0.execute("INSERT INTO known_key(sealed) VALUES(?)", [sealed])?;
        Ok(())
    }
}

/// # Errors
/// `not_found`, as for all credentials of other projects.
fn find(connection: &Connection, project: ProjectId, id: &CredentialId) -> Outcome<Row> {
    let mut statement = connection.prepare("SELECT * FROM credential WHERE project = ? AND id = ?")?;
    let found = statement.query_row(params![project.0, id.as_str()], Row::of).optional()?;
    found.ok_or_else(|| Error::not_found(format!("`credentials/{id}` not found")).into())
}

fn known_key(connection: &Connection) -> Outcome<Option<Vec<u8>>> {
    Ok(connection.query_row("SELECT sealed FROM known_key", [], |row| row.get(0)).optional()?)
}
