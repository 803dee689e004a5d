//! What is kept of triggers and of their executions, in one database.

mod read;

use std::path::Path;

use antiphon_database::Database;
use antiphon_engine::{ProjectId, wire_time};
use antiphon_wire::{
    CreateInteraction, EnvironmentId, Error, ExecutionStatus, InteractionId, Trigger, TriggerExecution,
    TriggerExecutionId, TriggerId, TriggerStatus, shown_interaction,
};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Transaction, named_params, params};

use crate::course::Course;
use crate::failure::{Failure, Outcome};

/// How many executions of one trigger are remembered.
const REMEMBERED: i64 = 1000;

/// A trigger as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) id: TriggerId,
    pub(crate) project: ProjectId,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) display_name: Option<String>,
    pub(crate) schedule: String,
    pub(crate) time_zone: String,
    /// What each execution asks for.
    pub(crate) request: CreateInteraction,
    /// Where the last one worked.
    pub(crate) environment: Option<EnvironmentId>,
    pub(crate) timeout_seconds: u32,
    pub(crate) most_failures: u32,
    pub(crate) course: Course,
    pub(crate) previous: Option<InteractionId>,
}

impl Row {
    pub(crate) fn shown(self) -> Trigger {
        let named = self.request.environment.as_ref().and_then(|choice| choice.existing().cloned());
        Trigger {
            interaction: shown_interaction(&self.request),
            id: self.id,
            schedule: self.schedule,
            time_zone: self.time_zone,
            display_name: self.display_name,
            environment_id: self.environment.or(named),
            execution_timeout_seconds: self.timeout_seconds,
            max_consecutive_failures: self.most_failures,
            status: self.course.status,
            consecutive_failure_count: self.course.failures,
            previous_interaction_id: self.previous,
            create_time: wire_time(self.created),
            update_time: wire_time(self.updated),
            last_run_time: self.course.last_run.map(wire_time),
            next_run_time: self.course.next_run.map(wire_time),
            last_pause_time: self.course.last_pause.map(wire_time),
            last_resume_time: self.course.last_resume.map(wire_time),
        }
    }

    /// When an execution that began then has taken too long.
    pub(crate) fn deadline(&self, start: Timestamp) -> Timestamp {
        start.saturating_add(SignedDuration::from_secs(i64::from(self.timeout_seconds))).unwrap_or(Timestamp::MAX)
    }
}

/// One execution as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Execution {
    pub(crate) id: TriggerExecutionId,
    pub(crate) trigger: TriggerId,
    pub(crate) status: ExecutionStatus,
    /// Known before there is such an interaction.
    pub(crate) interaction: Option<InteractionId>,
    pub(crate) environment: Option<EnvironmentId>,
    pub(crate) scheduled: Timestamp,
    pub(crate) start: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) error: Option<String>,
}

impl Execution {
    pub(crate) fn shown(self) -> TriggerExecution {
        TriggerExecution {
            id: self.id,
            trigger_id: self.trigger,
            status: self.status,
            interaction_id: self.interaction,
            environment_id: self.environment,
            scheduled_time: wire_time(self.scheduled),
            start_time: wire_time(self.start),
            end_time: self.ended.map(wire_time),
            error: self.error,
        }
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

    /// # Errors
    /// `not_found`, as for all triggers of other projects.
    pub(crate) fn find(&self, project: ProjectId, id: &TriggerId) -> Outcome<Row> {
        find(&self.database.lock(), project, id)
    }

    /// The triggers of a project, of one status if that is wanted, that were made before one; the
    /// latest first.
    pub(crate) fn list(
        &self,
        project: ProjectId,
        status: Option<TriggerStatus>,
        before: Option<(i64, &str)>,
        most: usize,
    ) -> Outcome<Vec<Row>> {
        let (created, id) = before.unwrap_or((i64::MAX, ""));
        let connection = self.database.lock();
        let mut statement = connection.prepare(
            "SELECT * FROM trigger WHERE project = ?1 AND (created, id) < (?2, ?3) AND (?4 IS NULL OR status = ?4)
             ORDER BY created DESC, id DESC LIMIT ?5",
        )?;
        let status = status.map(read::status_word);
        let found = statement.query_map(params![project.0, created, id, status, most as i64], Row::of)?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }

    /// The executions of a trigger that began before one, the latest first.
    pub(crate) fn executions(
        &self,
        trigger: &TriggerId,
        before: Option<(i64, &str)>,
        most: usize,
    ) -> Outcome<Vec<Execution>> {
        let (start, id) = before.unwrap_or((i64::MAX, ""));
        let connection = self.database.lock();
        let mut statement = connection.prepare(
            "SELECT * FROM execution WHERE trigger = ? AND (start, id) < (?, ?) ORDER BY start DESC, id DESC LIMIT ?",
        )?;
        let found = statement.query_map(params![trigger.as_str(), start, id, most as i64], Execution::of)?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }

    /// The triggers whose time has come.
    pub(crate) fn due(&self, now: Timestamp) -> Outcome<Vec<(ProjectId, TriggerId)>> {
        let connection = self.database.lock();
        let mut statement =
            connection.prepare("SELECT project, id FROM trigger WHERE next_run <= ? ORDER BY next_run, id")?;
        let found = statement.query_map([now.as_millisecond()], |row| {
            Ok((ProjectId(row.get(0)?), read::trigger_id(&row.get::<_, String>(1)?)?))
        })?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }

    /// When something is to be done next.
    pub(crate) fn next(&self) -> Outcome<Option<Timestamp>> {
        let next: Option<i64> = self.database.lock().query_row(
            "SELECT min(time) FROM (SELECT min(next_run) AS time FROM trigger UNION ALL
                 SELECT min(start + timeout * 1000) FROM execution JOIN trigger ON trigger.id = execution.trigger
                 WHERE execution.status = 'in_progress')",
            [],
            |row| row.get(0),
        )?;
        next.map(Timestamp::from_millisecond).transpose().map_err(Failure::broken)
    }

    /// All executions that are in progress, and what they are of.
    pub(crate) fn in_progress(&self) -> Outcome<Vec<(Row, Execution)>> {
        let connection = self.database.lock();
        let mut statement =
            connection.prepare("SELECT * FROM execution WHERE status = 'in_progress' ORDER BY start, id")?;
        let executions = statement.query_map([], Execution::of)?.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut statement = connection.prepare("SELECT * FROM trigger WHERE id = ?")?;
        let with_trigger = |execution: Execution| -> Outcome<_> {
            let row = statement.query_row([execution.trigger.as_str()], Row::of)?;
            Ok((row, execution))
        };
        executions.into_iter().map(with_trigger).collect()
    }
}

/// Rows that are being changed.
pub(crate) struct Change<'a>(&'a Transaction<'a>);

impl Change<'_> {
    /// # Errors
    /// As [`Rows::find`].
    pub(crate) fn find(&self, project: ProjectId, id: &TriggerId) -> Outcome<Row> {
        find(self.0, project, id)
    }

    /// # Errors
    /// `failed_precondition` when the project has `most` already.
    pub(crate) fn check_room(&self, project: ProjectId, most: usize) -> Outcome<()> {
        let count: i64 =
            self.0.query_row("SELECT count(*) FROM trigger WHERE project = ?", [project.0], |row| row.get(0))?;
        if usize::try_from(count).is_ok_and(|count| count < most) {
            return Ok(());
        }
        let message = format!("the project has {count} triggers, the most there may be; delete one");
        Err(Error::precondition(message).into())
    }

    /// Adds a trigger, or changes it.
    pub(crate) fn put(&self, row: &Row) -> Outcome<()> {
        let request =
            serde_json::to_string(&row.request).map_err(|_| Failure::broken("a request cannot be written"))?;
        let time = |time: Option<Timestamp>| time.map(Timestamp::as_millisecond);
        self.0.execute(
            "INSERT INTO trigger(id, project, created, updated, display_name, schedule, time_zone, request,
                 environment, timeout, most_failures, status, failures, next_run, last_run, last_pause, last_resume,
                 previous_interaction)
             VALUES(:id, :project, :created, :updated, :name, :schedule, :zone, :request, :environment, :timeout,
                 :most, :status, :failures, :next, :run, :pause, :resume, :previous)
             ON CONFLICT(id) DO UPDATE SET updated = :updated, display_name = :name, environment = :environment,
                 status = :status, failures = :failures, next_run = :next, last_run = :run, last_pause = :pause,
                 last_resume = :resume, previous_interaction = :previous",
            named_params! {
                ":id": row.id.as_str(),
                ":project": row.project.0,
                ":created": row.created.as_millisecond(),
                ":updated": row.updated.as_millisecond(),
                ":name": row.display_name,
                ":schedule": row.schedule,
                ":zone": row.time_zone,
                ":request": request,
                ":environment": row.environment.as_ref().map(EnvironmentId::as_str),
                ":timeout": row.timeout_seconds,
                ":most": row.most_failures,
                ":status": read::status_word(row.course.status),
                ":failures": row.course.failures,
                ":next": time(row.course.next_run),
                ":run": time(row.course.last_run),
                ":pause": time(row.course.last_pause),
                ":resume": time(row.course.last_resume),
                ":previous": row.previous.as_ref().map(InteractionId::as_str),
            },
        )?;
        Ok(())
    }

    /// Removes a trigger with its executions, and gives the one that is in progress.
    pub(crate) fn delete(&self, project: ProjectId, id: &TriggerId) -> Outcome<Option<Execution>> {
        find(self.0, project, id)?;
        let running = self.running(id)?;
        self.0.execute("DELETE FROM trigger WHERE id = ?", [id.as_str()])?;
        Ok(running)
    }

    /// The execution of a trigger that is in progress.
    pub(crate) fn running(&self, trigger: &TriggerId) -> Outcome<Option<Execution>> {
        let mut statement = self.0.prepare("SELECT * FROM execution WHERE trigger = ? AND status = 'in_progress'")?;
        Ok(statement.query_row([trigger.as_str()], Execution::of).optional()?)
    }

    pub(crate) fn execution(&self, id: &TriggerExecutionId) -> Outcome<Option<Execution>> {
        let mut statement = self.0.prepare("SELECT * FROM execution WHERE id = ?")?;
        Ok(statement.query_row([id.as_str()], Execution::of).optional()?)
    }

    /// Adds an execution, or changes it; the oldest are forgotten.
    pub(crate) fn put_execution(&self, execution: &Execution) -> Outcome<()> {
        self.0.execute(
            "INSERT INTO execution(id, trigger, status, interaction, environment, scheduled, start, ended, error)
             VALUES(:id, :trigger, :status, :interaction, :environment, :scheduled, :start, :ended, :error)
             ON CONFLICT(id) DO UPDATE SET status = :status, interaction = :interaction, environment = :environment,
                 ended = :ended, error = :error",
            named_params! {
                ":id": execution.id.as_str(),
                ":trigger": execution.trigger.as_str(),
                ":status": read::execution_word(execution.status),
                ":interaction": execution.interaction.as_ref().map(InteractionId::as_str),
                ":environment": execution.environment.as_ref().map(EnvironmentId::as_str),
                ":scheduled": execution.scheduled.as_millisecond(),
                ":start": execution.start.as_millisecond(),
                ":ended": execution.ended.map(Timestamp::as_millisecond),
                ":error": execution.error,
            },
        )?;
        self.0.execute(
            "DELETE FROM execution WHERE trigger = ?1 AND status <> 'in_progress' AND (start, id) <
                 (SELECT start, id FROM execution WHERE trigger = ?1 ORDER BY start DESC, id DESC LIMIT 1 OFFSET ?2)",
            params![execution.trigger.as_str(), REMEMBERED - 1],
        )?;
        Ok(())
    }
}

fn find(connection: &Connection, project: ProjectId, id: &TriggerId) -> Outcome<Row> {
    let mut statement = connection.prepare("SELECT * FROM trigger WHERE id = ? AND project = ?")?;
    let found = statement.query_row(params![id.as_str(), project.0], Row::of).optional()?;
    found.ok_or_else(|| Error::not_found(format!("`triggers/{id}` not found")).into())
}
