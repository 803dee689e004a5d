//! Triggers: agents' interactions that begin by themselves, at times of a schedule (spec 06,
//! "Triggers").
//!
//! * `schedule`: when it is time; `course`: what becomes of a trigger (both pure).
//! * `rows`: what is kept of triggers and their executions.
//! * `clock`: looks what is due, and waits.
//! * `execution`: one execution, from its row to its end.
//!
//! An execution begins with its row, which has the id of its interaction before there is such an
//! interaction. No id is accepted twice, so that after a crash the interaction is either found by
//! its id, or begun under it: an execution never runs twice. One server has the data folder, and
//! therefore one clock is at work.

mod clock;
mod course;
mod execution;
mod failure;
mod rows;
mod schedule;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use antiphon_engine::{Caller, Engine, ProjectId};
use antiphon_environments::Environments;
use antiphon_wire::{
    CreateTrigger, Environment, EnvironmentId, EnvironmentStatus, Error, Trigger, TriggerExecutionId,
    TriggerExecutionList, TriggerId, TriggerList, TriggerStatus, UpdateTrigger,
};
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::course::Course;
use crate::failure::{Failure, Outcome, blocking};
use crate::rows::{Execution, Row, Rows};
use crate::schedule::Schedule;

pub struct TriggersOptions {
    /// Where they are kept; made when it is not there.
    pub folder: PathBuf,
    /// How many one project may have.
    pub most: usize,
    /// What runs them, and tells the time.
    pub engine: Engine,
    /// Where they work.
    pub environments: Environments,
}

impl TriggersOptions {
    pub const MOST: usize = 100;
}

/// A handle to all triggers; its clones are handles to the same.
#[derive(Clone)]
pub struct Triggers {
    inner: Arc<Inner>,
}

struct Inner {
    rows: Rows,
    most: usize,
    engine: Engine,
    environments: Environments,
    /// Something may be due earlier than the clock has heard.
    changed: Notify,
}

impl std::fmt::Debug for Triggers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Triggers").finish_non_exhaustive()
    }
}

impl Triggers {
    /// Nothing begins before [`Triggers::recover`] and [`Triggers::keep_time`].
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub async fn open(options: TriggersOptions) -> io::Result<Self> {
        let TriggersOptions { folder, most, engine, environments } = options;
        let opening = blocking(move || {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            Rows::open(&folder.join("triggers.sqlite"))
        });
        let rows = opening.await.map_err(|failure| match failure {
            Failure::Broken(cause) => io::Error::other(cause),
            Failure::Refused(error) => io::Error::other(error),
        })?;
        Ok(Self { inner: Arc::new(Inner { rows, most, engine, environments, changed: Notify::new() }) })
    }

    /// Keeps a trigger. It is durable when this returns.
    ///
    /// # Errors
    /// What keeps its interaction from being accepted now, led by `interaction`; `not_found` for
    /// an environment that is not the project's; `failed_precondition` when the project has as
    /// many triggers as it may.
    pub async fn create(&self, project: ProjectId, request: CreateTrigger) -> Result<Trigger, Error> {
        let schedule = Schedule::read(&request.schedule, &request.time_zone)?;
        let now = self.now();
        // Where there is none it looks through centuries.
        let next = blocking(move || Ok(schedule.after(now))).await?;
        let next = next.ok_or_else(|| Error::invalid("schedule", "its time never comes"))?;
        let checked = self.inner.engine.check(Caller { project }, &request.interaction).await;
        checked.map_err(|error| error.within("interaction"))?;
        if let Some(id) = request.interaction.environment.as_ref().and_then(|choice| choice.existing()) {
            self.usable(project, id).await?;
        }
        let row = Row {
            id: TriggerId::from_bytes(&self.random()),
            project,
            created: now,
            updated: now,
            display_name: request.display_name,
            schedule: request.schedule,
            time_zone: request.time_zone,
            request: request.interaction,
            environment: None,
            timeout_seconds: request.execution_timeout_seconds,
            most_failures: request.max_consecutive_failures,
            course: Course::new(Some(next)),
            previous: None,
        };
        let created = self.with(move |inner| {
            inner.rows.change(|change| {
                change.check_room(project, inner.most)?;
                change.put(&row)
            })?;
            Ok(row.shown())
        });
        let created = created.await?;
        self.inner.changed.notify_one();
        Ok(created)
    }

    /// # Errors
    /// `not_found`, as for all triggers of other projects.
    pub async fn get(&self, project: ProjectId, id: &TriggerId) -> Result<Trigger, Error> {
        let id = id.clone();
        Ok(self.with(move |inner| Ok(inner.rows.find(project, &id)?.shown())).await?)
    }

    /// The triggers of a project, the latest first; `after`: those behind a page. `filter` is
    /// empty or `status = "…"`.
    ///
    /// # Errors
    /// `invalid_request` for a token or a filter that is none.
    pub async fn list(
        &self,
        project: ProjectId,
        filter: Option<&str>,
        after: Option<&str>,
        most: usize,
    ) -> Result<TriggerList, Error> {
        let status = filter.filter(|filter| !filter.trim().is_empty()).map(read_filter).transpose()?;
        let before = after.map(|token| read_token(token, TriggerId::parse)).transpose()?;
        let listed = self.with(move |inner| {
            let before = before.as_ref().map(|(created, id)| (*created, id.as_str()));
            let mut rows = inner.rows.list(project, status, before, most + 1)?;
            let more = rows.len() > most;
            rows.truncate(most);
            let last = rows.last().filter(|_| more);
            let next_page_token = last.map(|row| format!("{}.{}", row.created.as_millisecond(), row.id));
            Ok(TriggerList { triggers: rows.into_iter().map(Row::shown).collect(), next_page_token })
        });
        Ok(listed.await?)
    }

    /// Renames, pauses or resumes a trigger. A run that is in progress goes on.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn update(&self, project: ProjectId, id: &TriggerId, changes: UpdateTrigger) -> Result<Trigger, Error> {
        let (id, now) = (id.clone(), self.now());
        let updated = self.with(move |inner| {
            inner.rows.change(|change| {
                let mut row = change.find(project, &id)?;
                match changes.paused {
                    None => {}
                    Some(true) => row.course.pause(now),
                    Some(false) => row.course.resume(now, next_run(&row, now)),
                }
                if let Some(name) = changes.display_name {
                    row.display_name = Some(name).filter(|name| !name.is_empty());
                }
                row.updated = now;
                change.put(&row)?;
                Ok(row.shown())
            })
        });
        let updated = updated.await?;
        self.inner.changed.notify_one();
        Ok(updated)
    }

    /// Removes a trigger and its executions, and cancels the run that is in progress. The
    /// interactions stay, and so does the environment.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn delete(&self, project: ProjectId, id: &TriggerId) -> Result<(), Error> {
        let id = id.clone();
        let deleted = self.with(move |inner| {
            let running = inner.rows.change(|change| change.delete(project, &id))?;
            inner.rows.forget()?;
            Ok(running)
        });
        if let Some(interaction) = deleted.await?.and_then(|running| running.interaction) {
            self.cancel(project, interaction);
        }
        Ok(())
    }

    /// The executions of a trigger, the latest first; `after`: those behind a page.
    ///
    /// # Errors
    /// `not_found`, and `invalid_request` for a token that is none.
    pub async fn executions(
        &self,
        project: ProjectId,
        id: &TriggerId,
        after: Option<&str>,
        most: usize,
    ) -> Result<TriggerExecutionList, Error> {
        let before = after.map(|token| read_token(token, TriggerExecutionId::parse)).transpose()?;
        let id = id.clone();
        let listed = self.with(move |inner| {
            let trigger = inner.rows.find(project, &id)?.id;
            let before = before.as_ref().map(|(start, id)| (*start, id.as_str()));
            let mut executions = inner.rows.executions(&trigger, before, most + 1)?;
            let more = executions.len() > most;
            executions.truncate(most);
            let last = executions.last().filter(|_| more);
            let next_page_token = last.map(|last| format!("{}.{}", last.start.as_millisecond(), last.id));
            let trigger_executions = executions.into_iter().map(Execution::shown).collect();
            Ok(TriggerExecutionList { trigger_executions, next_page_token })
        });
        Ok(listed.await?)
    }

    /// # Errors
    /// `not_found` for an environment that is not there, is another project's or has expired.
    async fn usable(&self, project: ProjectId, id: &EnvironmentId) -> Result<Environment, Error> {
        let found = self.inner.environments.get(project, id).await?;
        match found.status {
            EnvironmentStatus::Active => Ok(found),
            EnvironmentStatus::Expired => Err(Error::not_found(format!("`environments/{id}` has expired"))),
        }
    }

    async fn with<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> Outcome<T> + Send + 'static) -> Outcome<T> {
        let inner = Arc::clone(&self.inner);
        blocking(move || work(&inner)).await
    }

    fn now(&self) -> Timestamp {
        self.inner.engine.ambient().now()
    }

    fn random(&self) -> [u8; 18] {
        let mut bytes = [0; 18];
        self.inner.engine.ambient().fill_random(&mut bytes);
        bytes
    }
}

/// When a trigger runs next if it runs by itself.
fn next_run(row: &Row, now: Timestamp) -> Option<Timestamp> {
    Schedule::read(&row.schedule, &row.time_zone).ok()?.after(now)
}

fn read_token<T>(token: &str, parse: impl Fn(&str) -> Option<T>) -> Result<(i64, T), Error> {
    let parts = token.split_once('.').and_then(|(time, id)| Some((time.parse().ok()?, parse(id)?)));
    parts.ok_or_else(|| Error::invalid("page_token", "expected a `next_page_token` of this list"))
}

/// `status = "paused"`, with or without quotes and spaces; `state` says the same.
fn read_filter(filter: &str) -> Result<TriggerStatus, Error> {
    let parts = filter.split_once('=').map(|(name, value)| (name.trim(), value.trim().trim_matches(['"', '\''])));
    let status = match parts {
        Some(("status" | "state", value)) => match value.to_ascii_lowercase().as_str() {
            "active" => Some(TriggerStatus::Active),
            "paused" => Some(TriggerStatus::Paused),
            "error" => Some(TriggerStatus::Error),
            _ => None,
        },
        Some(_) | None => None,
    };
    status.ok_or_else(|| Error::invalid("filter", "expected `status = \"active\"`, `\"paused\"` or `\"error\"`"))
}
