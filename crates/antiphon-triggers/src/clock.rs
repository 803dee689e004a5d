//! Looks what is due, and waits until something is. The time is the engine's.

use std::time::Duration;

use antiphon_engine::ProjectId;
use antiphon_wire::TriggerId;
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::failure::Outcome;
use crate::{Triggers, next_run};

/// The longest wait: clocks are set, and machines sleep.
const LONGEST: Duration = Duration::from_secs(30);

/// Until what could not be done, or is not done yet, is looked at again.
const AGAIN: Duration = Duration::from_secs(1);

impl Triggers {
    /// Begins executions when it is time, until it is told to stop. What was missed while nobody
    /// kept the time comes first, once for each trigger.
    pub async fn keep_time(self, stop: CancellationToken) {
        loop {
            // Who is slow to begin holds up nobody else.
            drop(self.begin_due().await);
            drop(self.end_overdue().await);
            let changed = tokio::time::timeout(self.pause().await, self.inner.changed.notified());
            if stop.run_until_cancelled(changed).await.is_none() {
                return;
            }
        }
    }

    /// Does what is due now, and waits until all that was to begin has begun, and all that had
    /// taken too long was cancelled.
    pub async fn tick(&self) {
        let mut done = self.begin_due().await;
        done.extend(self.end_overdue().await);
        join_all(done).await;
    }

    /// Begins the executions whose time has come.
    async fn begin_due(&self) -> Vec<JoinHandle<()>> {
        let now = self.now();
        let due = self.with(move |inner| inner.rows.due(now)).await.unwrap_or_else(|failure| {
            error!(?failure, "Triggers that are due cannot be read");
            Vec::new()
        });
        let mut begun = Vec::new();
        for (project, id) in due {
            match self.begin_one(project, id.clone(), now).await {
                Ok(beginning) => begun.extend(beginning),
                Err(failure) => error!(?failure, trigger.id = %id, "A trigger cannot be begun"),
            }
        }
        begun
    }

    /// Moves a trigger on to its next time, and begins the one that has come.
    async fn begin_one(&self, project: ProjectId, id: TriggerId, now: Timestamp) -> Outcome<Option<JoinHandle<()>>> {
        let (execution, interaction) = self.mint();
        let begun = self.with(move |inner| {
            inner.rows.change(|change| {
                let mut row = change.find(project, &id)?;
                let next = next_run(&row, now);
                // Paused, perhaps, since it was found.
                let Some(due) = row.course.take_due(now, next) else { return Ok(None) };
                Self::begin(change, row, execution, interaction, due, now).map(Some)
            })
        });
        Ok(begun.await?.and_then(|(row, execution)| self.start(row, execution)))
    }

    /// Cancels what has taken too long.
    async fn end_overdue(&self) -> Vec<JoinHandle<()>> {
        let running = self.with(|inner| inner.rows.in_progress()).await.unwrap_or_else(|failure| {
            error!(?failure, "Executions that are in progress cannot be read");
            Vec::new()
        });
        let now = self.now();
        let overdue = running.into_iter().filter(|(row, execution)| row.deadline(execution.start) <= now);
        overdue.filter_map(|(row, execution)| Some(self.cancel(row.project, execution.interaction?))).collect()
    }

    async fn pause(&self) -> Duration {
        let next = self.with(|inner| inner.rows.next()).await.ok().flatten();
        let Some(next) = next else { return LONGEST };
        let ahead = next.duration_since(self.now());
        Duration::try_from(ahead).ok().filter(|ahead| !ahead.is_zero()).map_or(AGAIN, |ahead| ahead.min(LONGEST))
    }
}
