//! The agents that projects define (spec 06, "Custom agents"), in a database of their own.
//!
//! A definition is kept as it came and read anew each time, by the reader that accepted it. A run
//! takes what it needs when it is accepted, so that nothing depends on a definition for longer.

use std::io;
use std::path::Path;
use std::sync::Arc;

use antiphon_database::Database;
use antiphon_engine::ProjectId;
use antiphon_wire::{Agent, Code, Error};
use rusqlite::{OptionalExtension as _, params};
use serde_json::Value;

/// The longest definition, in bytes of JSON: all sources that an environment takes, and as much again.
const MOST_BYTES: usize = 6 << 20;

/// A page ends once it has more bytes than this.
const PAGE_BYTES: usize = 8 << 20;

/// A handle to the agents of all projects; its clones are handles to the same.
#[derive(Clone)]
pub struct Agents {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    /// How many a project may have.
    most: usize,
}

impl std::fmt::Debug for Agents {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Agents").field("most", &self.inner.most).finish_non_exhaustive()
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    pub items: Vec<Agent>,
    /// Asks for what follows; none when nothing does.
    pub next: Option<String>,
}

impl Agents {
    /// Opens the database, which is made when it is not there. A project may have `most` agents.
    ///
    /// # Errors
    /// When it cannot be read or written, or is another version's.
    pub async fn open(file: &Path, most: usize) -> io::Result<Self> {
        let file = file.to_owned();
        let opened = tokio::task::spawn_blocking(move || Database::open(&file, &[include_str!("schema.sql")])).await;
        let database = opened.map_err(io::Error::other)??;
        Ok(Self { inner: Arc::new(Inner { database, most }) })
    }

    /// Keeps a new agent. It is durable when this returns.
    ///
    /// # Errors
    /// `already_exists`; `failed_precondition` when the project has as many as it may;
    /// `content_too_large`.
    pub async fn create(&self, project: ProjectId, agent: &Agent) -> Result<(), Error> {
        let definition = serde_json::to_string(agent.definition()).map_err(|error| broken(&error))?;
        if definition.len() > MOST_BYTES {
            let message = format!("a definition may have {MOST_BYTES} bytes at most, got {}", definition.len());
            return Err(Error::new(Code::ContentTooLarge, message));
        }
        let (id, most) = (agent.id.clone(), self.inner.most);
        self.with(move |database| {
            database.change(|change| {
                let find = "SELECT count(*) FROM agent WHERE project = ? AND id = ?";
                if change.query_row(find, params![project.0, id], |row| row.get::<_, i64>(0))? > 0 {
                    let message =
                        format!("`id`: the agent `{id}` is there already; delete it first, or choose another id");
                    return Ok(Err(Error::new(Code::AlreadyExists, message)));
                }
                let count = "SELECT count(*) FROM agent WHERE project = ?";
                let count: i64 = change.query_row(count, [project.0], |row| row.get(0))?;
                if usize::try_from(count).is_ok_and(|count| count >= most) {
                    let message = format!("the project has {count} agents, the most there may be; delete one");
                    return Ok(Err(Error::precondition(message)));
                }
                let add = "INSERT INTO agent(project, id, definition) VALUES(?, ?, ?)";
                change.execute(add, params![project.0, id, definition]).map(|_| Ok(()))
            })
        })
        .await?
    }

    /// # Errors
    /// `not_found`, as for all agents of other projects.
    pub async fn get(&self, project: ProjectId, id: &str) -> Result<Agent, Error> {
        let wanted = id.to_owned();
        let found = self.with(move |database| {
            let find = "SELECT definition FROM agent WHERE project = ? AND id = ?";
            database.lock().query_row(find, params![project.0, wanted], |row| row.get::<_, String>(0)).optional()
        });
        found.await?.map_or_else(|| Err(absent(id)), |definition| read(&definition))
    }

    /// The agents of a project in the order of their ids; `after`: those behind a page.
    ///
    /// # Errors
    /// `invalid_request` for a token that is none.
    pub async fn list(&self, project: ProjectId, after: Option<&str>, most: usize) -> Result<Listing, Error> {
        let is_id = |id: &&str| id.len() <= 63 && id.bytes().all(|byte| byte.is_ascii_graphic());
        if after.is_some_and(|id| !is_id(&id)) {
            return Err(Error::invalid("page_token", "expected a `next_page_token` of this list"));
        }
        let after = after.unwrap_or_default().to_owned();
        let found = self.with(move |database| {
            let connection = database.lock();
            let list = "SELECT definition FROM agent WHERE project = ? AND id > ? ORDER BY id";
            let mut statement = connection.prepare(list)?;
            let mut rows = statement.query(params![project.0, after])?;
            let (mut page, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                if page.len() == most || bytes > PAGE_BYTES {
                    return Ok((page, true));
                }
                let definition: String = row.get(0)?;
                bytes += definition.len();
                page.push(definition);
            }
            Ok((page, false))
        });
        let (page, more) = found.await?;
        let items = page.iter().map(|text| read(text)).collect::<Result<Vec<_>, _>>()?;
        let next = items.last().filter(|_| more).map(|agent| agent.id.clone());
        Ok(Listing { items, next })
    }

    /// Removes an agent and its bytes. Its interactions and their environments stay.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn delete(&self, project: ProjectId, id: &str) -> Result<(), Error> {
        let deleted = id.to_owned();
        let count = self.with(move |database| {
            let delete = "DELETE FROM agent WHERE project = ? AND id = ?";
            let count = database.lock().execute(delete, params![project.0, deleted])?;
            database.forget()?;
            Ok(count)
        });
        if count.await? == 0 { Err(absent(id)) } else { Ok(()) }
    }

    /// Does what the disk may hold up away from the threads that serve everybody.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.inner);
        let done = tokio::task::spawn_blocking(move || work(&inner.database)).await;
        done.map_err(|error| broken(&error))?.map_err(|error| broken(&error))
    }
}

fn read(definition: &str) -> Result<Agent, Error> {
    let value: Value = serde_json::from_str(definition).map_err(|error| broken(&error.classify()))?;
    Agent::read(value)
}

fn absent(id: &str) -> Error {
    Error::not_found(format!("agent `{}` not found", id.chars().take(64).collect::<String>()))
}

fn broken(cause: &(impl std::fmt::Debug + ?Sized)) -> Error {
    tracing::error!(?cause, "Agents cannot be read or written");
    Error::new(Code::ServiceUnavailable, "the server cannot read or write its agents now; its log has the cause")
}
