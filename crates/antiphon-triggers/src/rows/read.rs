//! Rows as the database has them, and words for what is no text in it.

use antiphon_engine::ProjectId;
use antiphon_wire::{EnvironmentId, ExecutionStatus, InteractionId, TriggerExecutionId, TriggerId, TriggerStatus};
use jiff::Timestamp;
use rusqlite::types::Type;

use super::{Execution, Row};
use crate::course::Course;

pub(super) fn status_word(status: TriggerStatus) -> &'static str {
    match status {
        TriggerStatus::Active => "active",
        TriggerStatus::Paused => "paused",
        TriggerStatus::Error => "error",
    }
}

pub(super) fn execution_word(status: ExecutionStatus) -> &'static str {
    match status {
        ExecutionStatus::InProgress => "in_progress",
        ExecutionStatus::Completed => "completed",
        ExecutionStatus::Failed => "failed",
        ExecutionStatus::Skipped => "skipped",
        ExecutionStatus::TimedOut => "timed_out",
    }
}

pub(super) fn trigger_id(text: &str) -> rusqlite::Result<TriggerId> {
    TriggerId::parse(text).ok_or_else(|| unreadable(format!("`{text}` is no trigger's id")))
}

fn unreadable(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, why.into())
}

fn time(row: &rusqlite::Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(row.get(column)?).map_err(unreadable)
}

fn time_if_any(row: &rusqlite::Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    let time: Option<i64> = row.get(column)?;
    time.map(Timestamp::from_millisecond).transpose().map_err(unreadable)
}

fn environment(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<EnvironmentId>> {
    let id: Option<String> = row.get("environment")?;
    id.map(EnvironmentId::try_from).transpose().map_err(unreadable)
}

fn interaction(row: &rusqlite::Row<'_>, column: &str) -> rusqlite::Result<Option<InteractionId>> {
    let id: Option<String> = row.get(column)?;
    id.map(InteractionId::try_from).transpose().map_err(unreadable)
}

/// What one of our enums is called in a column.
fn word<T: serde::de::DeserializeOwned>(row: &rusqlite::Row<'_>, column: &str) -> rusqlite::Result<T> {
    serde_json::from_value(row.get::<_, String>(column)?.into()).map_err(unreadable)
}

impl Row {
    pub(super) fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let request: String = row.get("request")?;
        Ok(Self {
            id: trigger_id(&row.get::<_, String>("id")?)?,
            project: ProjectId(row.get("project")?),
            created: time(row, "created")?,
            updated: time(row, "updated")?,
            display_name: row.get("display_name")?,
            schedule: row.get("schedule")?,
            time_zone: row.get("time_zone")?,
            // The error's own words could hold what was kept.
            request: serde_json::from_str(&request).map_err(|_| unreadable("a request that is none"))?,
            environment: environment(row)?,
            timeout_seconds: row.get("timeout")?,
            most_failures: row.get("most_failures")?,
            course: Course {
                status: word(row, "status")?,
                failures: row.get("failures")?,
                next_run: time_if_any(row, "next_run")?,
                last_run: time_if_any(row, "last_run")?,
                last_pause: time_if_any(row, "last_pause")?,
                last_resume: time_if_any(row, "last_resume")?,
            },
            previous: interaction(row, "previous_interaction")?,
        })
    }
}

impl Execution {
    pub(super) fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let id: String = row.get("id")?;
        Ok(Self {
            id: TriggerExecutionId::parse(&id).ok_or_else(|| unreadable(format!("`{id}` is no execution's id")))?,
            trigger: trigger_id(&row.get::<_, String>("trigger")?)?,
            status: word(row, "status")?,
            interaction: interaction(row, "interaction")?,
            environment: environment(row)?,
            scheduled: time(row, "scheduled")?,
            start: time(row, "start")?,
            ended: time_if_any(row, "ended")?,
            error: row.get("error")?,
        })
    }
}
