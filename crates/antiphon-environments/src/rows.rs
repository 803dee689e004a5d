//! What is known of each environment, in one database. A row makes an environment: folders
//! without one are nobody's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use antiphon_database::Database;
use antiphon_engine::{ProjectId, wire_time};
use antiphon_wire::{
    Environment, EnvironmentId, EnvironmentStatus, Error, Network, RepositoryAddress, ShownSource, Source,
    WorkspacePath,
};
use jiff::{SignedDuration, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, named_params, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Outcome};
use crate::variables::Variables;

const MIGRATIONS: [&str; 2] = [
    include_str!("schema.sql"),
    // JSON, as requests write it.
    r#"ALTER TABLE environment ADD COLUMN network TEXT NOT NULL DEFAULT '"disabled"'"#,
];

/// Reads move the time of the last access on only when it is older than this: each costs a
/// durable write.
const ACCESS_SECONDS: i64 = 60;

/// An environment as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: EnvironmentId,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) last_accessed: Timestamp,
    is_expired: bool,
    is_leased: bool,
    /// Where they were placed, and from where they came if not from the request.
    pub(crate) sources: BTreeMap<WorkspacePath, Option<RepositoryAddress>>,
    pub(crate) variables: Variables,
    pub(crate) network: Network,
    pub(crate) contents: Contents,
}

/// How much there is in a workspace: files, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

impl Row {
    pub(crate) fn new(id: EnvironmentId, now: Timestamp) -> Self {
        Self {
            id,
            created: now,
            updated: now,
            last_accessed: now,
            is_expired: false,
            is_leased: false,
            sources: BTreeMap::new(),
            variables: Variables::default(),
            network: Network::Disabled,
            contents: Contents::default(),
        }
    }

    pub(crate) fn add_sources(&mut self, sources: &[Source]) {
        self.sources.extend(sources.iter().map(|source| (source.target.clone(), source.address().cloned())));
    }

    /// Whether it is used no more: by its own time, before somebody has swept it.
    pub(crate) fn is_expired(&self, now: Timestamp, expiry: SignedDuration) -> bool {
        self.is_expired || !self.is_leased && now.duration_since(self.last_accessed) >= expiry
    }

    pub(crate) fn shown(self, now: Timestamp, expiry: SignedDuration) -> Environment {
        let is_expired = self.is_expired(now, expiry);
        let contents = if is_expired { Contents::default() } else { self.contents };
        Environment {
            environment_id: self.id.clone(),
            id: self.id,
            kind: "remote",
            status: if is_expired { EnvironmentStatus::Expired } else { EnvironmentStatus::Active },
            created: wire_time(self.created),
            updated: wire_time(self.updated),
            last_accessed: wire_time(self.last_accessed),
            sources: self.sources.into_iter().map(|(target, source)| ShownSource::new(&target, source)).collect(),
            network: self.network,
            file_count: contents.files,
            size_bytes: contents.bytes,
        }
    }

    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let time = |column: &str| {
            Timestamp::from_millisecond(row.get(column)?)
                .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Integer, Box::new(error)))
        };
        let id: String = row.get("id")?;
        Ok(Self {
            id: EnvironmentId::try_from(id).map_err(unreadable)?,
            created: time("created")?,
            updated: time("updated")?,
            last_accessed: time("last_accessed")?,
            is_expired: row.get("is_expired")?,
            is_leased: row.get("is_leased")?,
            sources: from_json::<Sources>(&row.get::<_, String>("sources")?)?.into_map(),
            variables: from_json(&row.get::<_, String>("variables")?)?,
            network: Network::read(from_json(&row.get::<_, String>("network")?)?, "network").map_err(unreadable)?,
            contents: Contents {
                files: row.get::<_, i64>("file_count")?.cast_unsigned(),
                bytes: row.get::<_, i64>("size_bytes")?.cast_unsigned(),
            },
        })
    }
}

fn unreadable(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, why.into())
}

fn from_json<T: DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    // The error's own words could hold what was kept.
    serde_json::from_str(text).map_err(|error| unreadable(format!("not of its kind at column {}", error.column())))
}

fn to_json(value: &impl Serialize) -> Outcome<String> {
    serde_json::to_string(value).map_err(Failure::broken)
}

/// Sources as they are kept. Earlier versions knew targets alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Sources {
    Targets(BTreeSet<WorkspacePath>),
    Named(BTreeMap<WorkspacePath, Option<RepositoryAddress>>),
}

impl Sources {
    fn into_map(self) -> BTreeMap<WorkspacePath, Option<RepositoryAddress>> {
        match self {
            Self::Targets(targets) => targets.into_iter().map(|target| (target, None)).collect(),
            Self::Named(sources) => sources,
        }
    }
}

/// The database. Every call may wait for the disk.
pub(crate) struct Rows {
    database: Database,
}

impl Rows {
    pub(crate) fn open(file: &Path) -> Outcome<Self> {
        Ok(Self { database: Database::open(file, &MIGRATIONS)? })
    }

    /// # Errors
    /// `failed_precondition` when the project has `most` already that were used after `alive`.
    pub(crate) fn check_room(&self, project: ProjectId, most: usize, alive: Timestamp) -> Outcome<()> {
        room(&self.database.lock(), project, most, alive)
    }

    /// As [`Rows::check_room`], and then adds a row.
    pub(crate) fn add(&self, project: ProjectId, row: &Row, most: usize, alive: Timestamp) -> Outcome<()> {
        let (sources, variables) = (to_json(&row.sources)?, to_json(&row.variables)?);
        let network = to_json(&row.network.to_wire())?;
        self.database.change(|change| {
            room(change, project, most, alive)?;
            change.execute(
                "INSERT INTO environment(id, project, created, updated, last_accessed, sources, variables, network,
                 file_count, size_bytes)
             VALUES(:id, :project, :created, :updated, :accessed, :sources, :variables, :network, :files, :bytes)",
                named_params! {
                    ":id": row.id.as_str(),
                    ":project": project.0,
                    ":created": row.created.as_millisecond(),
                    ":updated": row.updated.as_millisecond(),
                    ":accessed": row.last_accessed.as_millisecond(),
                    ":sources": sources,
                    ":variables": variables,
                    ":network": network,
                    ":files": row.contents.files.cast_signed(),
                    ":bytes": row.contents.bytes.cast_signed(),
                },
            )?;
            Ok(())
        })
    }

    pub(crate) fn find(&self, project: ProjectId, id: &EnvironmentId) -> Outcome<Option<Row>> {
        let connection = self.database.lock();
        let mut statement = connection.prepare("SELECT * FROM environment WHERE id = ? AND project = ?")?;
        Ok(statement.query_row(params![id.as_str(), project.0], Row::of).optional()?)
    }

    /// The environments of a project that were made before one, the latest first.
    pub(crate) fn list(&self, project: ProjectId, before: Option<(i64, &str)>, most: usize) -> Outcome<Vec<Row>> {
        let (created, id) = before.unwrap_or((i64::MAX, ""));
        let connection = self.database.lock();
        let mut statement = connection.prepare(
            "SELECT * FROM environment WHERE project = ? AND (created, id) < (?, ?)
             ORDER BY created DESC, id DESC LIMIT ?",
        )?;
        let found = statement.query_map(params![project.0, created, id, most as i64], Row::of)?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }

    /// Notes that it was looked into.
    pub(crate) fn access(&self, id: &EnvironmentId, now: Timestamp) -> Outcome<()> {
        let now = now.as_millisecond();
        self.database.lock().execute(
            "UPDATE environment SET last_accessed = ?2 WHERE id = ?1 AND last_accessed < ?2 - ?3 AND NOT is_expired",
            params![id.as_str(), now, ACCESS_SECONDS * 1000],
        )?;
        Ok(())
    }

    /// Notes that somebody has its lease.
    pub(crate) fn begin_lease(&self, id: &EnvironmentId, now: Timestamp) -> Outcome<()> {
        self.database.lock().execute(
            "UPDATE environment SET is_leased = 1, last_accessed = ? WHERE id = ?",
            params![now.as_millisecond(), id.as_str()],
        )?;
        Ok(())
    }

    /// Notes that nobody has it any more, and what there is in it now.
    pub(crate) fn end_lease(&self, id: &EnvironmentId, now: Timestamp, contents: Contents) -> Outcome<()> {
        self.database.lock().execute(
            "UPDATE environment SET is_leased = 0, updated = ?2, last_accessed = ?2, file_count = ?3, size_bytes = ?4
             WHERE id = ?1",
            params![id.as_str(), now.as_millisecond(), contents.files.cast_signed(), contents.bytes.cast_signed()],
        )?;
        Ok(())
    }

    /// Keeps the row's sources, variables and network.
    pub(crate) fn describe(&self, row: &Row) -> Outcome<()> {
        let network = to_json(&row.network.to_wire())?;
        self.database.lock().execute(
            "UPDATE environment SET sources = ?, variables = ?, network = ? WHERE id = ?",
            params![to_json(&row.sources)?, to_json(&row.variables)?, network, row.id.as_str()],
        )?;
        Ok(())
    }

    /// Whether there was one.
    pub(crate) fn delete(&self, project: ProjectId, id: &EnvironmentId) -> Outcome<bool> {
        let connection = self.database.lock();
        let deleted = connection
            .execute("DELETE FROM environment WHERE id = ? AND project = ?", params![id.as_str(), project.0])?;
        // What was erased from the pages is not left in the log.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(deleted > 0)
    }

    /// Marks one as expired, and forgets its variables and its network; whether it was last used before `alive`.
    pub(crate) fn expire(&self, id: &EnvironmentId, alive: Timestamp) -> Outcome<bool> {
        let changed = self.database.lock().execute(
            "UPDATE environment SET is_expired = 1, variables = '{}', network = '\"disabled\"'
             WHERE id = ? AND last_accessed <= ?",
            params![id.as_str(), alive.as_millisecond()],
        )?;
        Ok(changed > 0)
    }

    /// Those that were last used before `alive` and are not marked yet.
    pub(crate) fn due(&self, alive: Timestamp) -> Outcome<Vec<EnvironmentId>> {
        self.ids("NOT is_expired AND last_accessed <= ?", alive)
    }

    /// Forgets what has expired and was last used before `remembered`.
    pub(crate) fn forget(&self, remembered: Timestamp) -> Outcome<()> {
        self.database.lock().execute(
            "DELETE FROM environment WHERE is_expired AND last_accessed <= ?",
            params![remembered.as_millisecond()],
        )?;
        Ok(())
    }

    /// Those that have files, and whether an earlier process had a lease of them.
    pub(crate) fn kept(&self) -> Outcome<BTreeMap<EnvironmentId, bool>> {
        let connection = self.database.lock();
        let mut statement = connection.prepare("SELECT id, is_leased FROM environment WHERE NOT is_expired")?;
        let found = statement.query_map([], |row| {
            Ok((EnvironmentId::try_from(row.get::<_, String>(0)?).map_err(unreadable)?, row.get(1)?))
        })?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }

    fn ids(&self, which: &str, time: Timestamp) -> Outcome<Vec<EnvironmentId>> {
        let connection = self.database.lock();
        let mut statement = connection.prepare(&format!("SELECT id FROM environment WHERE {which}"))?;
        let found = statement.query_map([time.as_millisecond()], |row| {
            EnvironmentId::try_from(row.get::<_, String>(0)?).map_err(unreadable)
        })?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }
}

fn room(connection: &Connection, project: ProjectId, most: usize, alive: Timestamp) -> Outcome<()> {
    let count: i64 = connection.query_row(
        "SELECT count(*) FROM environment WHERE project = ? AND NOT is_expired AND (is_leased OR last_accessed > ?)",
        params![project.0, alive.as_millisecond()],
        |row| row.get(0),
    )?;
    if usize::try_from(count).is_ok_and(|count| count < most) {
        return Ok(());
    }
    let message = format!("the project has {count} environments, the most there may be; delete one");
    Err(Error::precondition(message).into())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn sources_of_earlier_versions_are_read() {
        let read = |text: &str| from_json::<Sources>(text).unwrap().into_map();
        let path = |text: &str| WorkspacePath::parse(text).unwrap();
        assert_eq!(read(r#"["a/b","c"]"#), BTreeMap::from([(path("a/b"), None), (path("c"), None)]));
        let address = RepositoryAddress::parse("https://git.test/c").unwrap();
        let sources = BTreeMap::from([(path("a/b"), None), (path("c"), Some(address))]);
        assert_eq!(read(&to_json(&sources).unwrap()), sources);
        assert_eq!(read("[]"), BTreeMap::new());
    }
}
