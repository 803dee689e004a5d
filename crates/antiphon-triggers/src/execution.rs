//! One execution, from its row to its end.
//!
//! | the process dies | what is there at the next start | what happens |
//! |---|---|---|
//! | before the row | a trigger whose time has come | it begins |
//! | before the acceptance | a row, and no interaction of its id | the interaction begins under that id |
//! | while it runs | the interaction, taken up by the engine | its end is waited for |
//! | before its end is in the row | the interaction, ended | its end is written |

use std::time::Duration;

use antiphon_engine::{Caller, Handle, ProjectId};
use antiphon_wire::{
    Code, CreateInteraction, EnvironmentChoice, Error, ExecutionStatus, Interaction, InteractionId, Status,
    TriggerExecution, TriggerExecutionId, TriggerId,
};
use jiff::Timestamp;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::Triggers;
use crate::failure::{Failure, Outcome};
use crate::rows::{Change, Execution, Row};

/// How long to wait before a full queue is tried again.
const AGAIN: Duration = Duration::from_secs(5);

impl Triggers {
    /// Begins an execution now, whatever the trigger's status. When this returns, its interaction
    /// has been accepted or refused.
    ///
    /// # Errors
    /// `not_found`; `service_unavailable` while the server shuts down.
    pub async fn run_now(&self, project: ProjectId, id: &TriggerId) -> Result<TriggerExecution, Error> {
        if self.inner.engine.closing().is_cancelled() {
            return Err(Error::new(Code::ServiceUnavailable, "The server is shutting down"));
        }
        let (id, now) = (id.clone(), self.now());
        let (execution, interaction) = self.mint();
        let begun = self.with(move |inner| {
            inner.rows.change(|change| {
                let row = change.find(project, &id)?;
                Self::begin(change, row, execution, interaction, now, now)
            })
        });
        let (row, execution) = begun.await?;
        if let Some(beginning) = self.start(row, execution.clone()) {
            // Should it have panicked, the row still says how it stands.
            let _ = beginning.await;
        }
        let id = execution.id.clone();
        let kept = self.with(move |inner| inner.rows.change(|change| change.execution(&id))).await?;
        Ok(kept.unwrap_or(execution).shown())
    }

    /// Takes up the executions that an earlier process left in progress. To be called once, after
    /// the engine has taken up its runs.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn recover(&self) -> Result<(), Error> {
        for (row, execution) in self.with(|inner| inner.rows.in_progress()).await? {
            info!(execution.id = %execution.id, "Taking up an execution of a trigger");
            self.start(row, execution);
        }
        Ok(())
    }

    pub(crate) fn mint(&self) -> (TriggerExecutionId, InteractionId) {
        (TriggerExecutionId::from_bytes(&self.random()), self.inner.engine.mint_id())
    }

    /// Writes the row of an execution: in progress, or skipped when another one is.
    pub(crate) fn begin(
        change: &Change<'_>,
        mut row: Row,
        id: TriggerExecutionId,
        interaction: InteractionId,
        scheduled: Timestamp,
        now: Timestamp,
    ) -> Outcome<(Row, Execution)> {
        let mut execution = Execution {
            id,
            trigger: row.id.clone(),
            status: ExecutionStatus::InProgress,
            interaction: Some(interaction),
            environment: None,
            scheduled,
            start: now,
            ended: None,
            error: None,
        };
        match change.running(&row.id)? {
            None => row.course.last_run = Some(now),
            Some(other) => {
                execution.status = ExecutionStatus::Skipped;
                execution.interaction = None;
                execution.ended = Some(now);
                execution.error = Some(format!("`{}` was still in progress", other.id));
            }
        }
        change.put(&row)?;
        change.put_execution(&execution)?;
        Ok((row, execution))
    }

    /// Has the interaction of an execution found or accepted, and then followed to its end.
    pub(crate) fn start(&self, row: Row, execution: Execution) -> Option<JoinHandle<()>> {
        self.inner.changed.notify_one();
        let interaction = match execution.status {
            ExecutionStatus::InProgress => execution.interaction.clone()?,
            ExecutionStatus::Completed
            | ExecutionStatus::Failed
            | ExecutionStatus::Skipped
            | ExecutionStatus::TimedOut => return None,
        };
        let (triggers, tasks) = (self.clone(), self.inner.engine.tasks());
        Some(tasks.spawn(async move {
            match triggers.accepted(&row, &execution, interaction).await {
                Ok(Some(handle)) => {
                    let tasks = triggers.inner.engine.tasks().clone();
                    tasks.spawn(async move { triggers.follow(row, execution, handle).await });
                }
                Ok(None) => {}
                Err(error) => {
                    let is_late = triggers.now() >= row.deadline(execution.start);
                    let status = if is_late { ExecutionStatus::TimedOut } else { ExecutionStatus::Failed };
                    triggers.end(row, execution, status, Some(error.message), None).await;
                }
            }
        }))
    }

    /// The interaction of an execution. None when the server stops, or the trigger is no more.
    async fn accepted(
        &self,
        row: &Row,
        execution: &Execution,
        interaction: InteractionId,
    ) -> Result<Option<Handle>, Error> {
        let (engine, caller) = (&self.inner.engine, Caller { project: row.project });
        let handle = match engine.get(caller, &interaction).await {
            Err(error) if error.code == Code::NotFound => self.accept(row, execution, &interaction).await,
            found => found.map(Some),
        };
        let handle = match handle {
            // The next start finds the row.
            Ok(None) => return Ok(None),
            Err(_) if engine.closing().is_cancelled() => return Ok(None),
            Ok(Some(handle)) => handle,
            Err(error) => return Err(error),
        };
        let environment = handle.accepted().environment_id;
        let (project, id, noted) = (row.project, row.id.clone(), execution.id.clone());
        let previous = interaction.clone();
        let noting = self.with(move |inner| {
            inner.rows.change(|change| {
                let mut row = change.find(project, &id)?;
                let Some(mut execution) = change.execution(&noted)? else { return Ok(()) };
                execution.environment.clone_from(&environment);
                row.environment = environment.or(row.environment);
                row.previous = Some(previous);
                change.put(&row)?;
                change.put_execution(&execution)
            })
        });
        match noting.await {
            Ok(()) => Ok(Some(handle)),
            // Deleted meanwhile, and with it what would end this run in time.
            Err(Failure::Refused(_)) => {
                self.cancel(project, interaction);
                Ok(None)
            }
            // It is said again with the end.
            Err(failure) => {
                error!(?failure, "What a trigger has begun cannot be noted");
                Ok(Some(handle))
            }
        }
    }

    async fn accept(
        &self,
        row: &Row,
        execution: &Execution,
        interaction: &InteractionId,
    ) -> Result<Option<Handle>, Error> {
        let engine = &self.inner.engine;
        loop {
            if self.now() >= row.deadline(execution.start) {
                return Err(Error::new(Code::DeadlineExceeded, "it could not begin in its time"));
            }
            let request = self.request(row).await;
            match engine.create_as(Caller { project: row.project }, interaction.clone(), request).await {
                Ok(created) => return Ok(Some(created.handle)),
                Err(error) if error.code == Code::RateLimitExceeded => {
                    let pause = tokio::time::sleep(AGAIN);
                    if engine.closing().run_until_cancelled(pause).await.is_none() {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What an execution asks for: what the trigger was made with, in the environment of the one
    /// before while there is one.
    async fn request(&self, row: &Row) -> CreateInteraction {
        let mut request = row.request.clone();
        let is_new = request.environment.as_ref().is_some_and(|choice| choice.existing().is_none());
        if let Some(id) = row.environment.as_ref().filter(|_| is_new)
            && self.usable(row.project, id).await.is_ok()
        {
            request.environment = Some(EnvironmentChoice::Existing(id.clone()));
        }
        request
    }

    async fn follow(self, row: Row, execution: Execution, handle: Handle) {
        let closing = self.inner.engine.closing().clone();
        // A run that is suspended does not end; the next start takes both up.
        let Some(interaction) = closing.run_until_cancelled(handle.finished()).await else { return };
        let is_late = self.now() >= row.deadline(execution.start);
        let (status, error) = verdict(&interaction, is_late.then_some(row.timeout_seconds));
        let ended = interaction.updated.as_deref().and_then(|time| time.parse().ok());
        self.end(row, execution, status, error, Some(ended.unwrap_or_else(|| self.now()))).await;
    }

    /// Writes the end of an execution, and what becomes of its trigger. `ended` is when its
    /// interaction did, if there was one.
    async fn end(
        &self,
        row: Row,
        execution: Execution,
        status: ExecutionStatus,
        error: Option<String>,
        ended: Option<Timestamp>,
    ) {
        if status != ExecutionStatus::Completed {
            warn!(trigger.id = %row.id, execution.id = %execution.id, ?status, "A trigger's run did not complete");
        }
        let now = self.now();
        let was_accepted = ended.is_some();
        let (project, id, execution) = (row.project, row.id, execution.id);
        let ending = self.with(move |inner| {
            inner.rows.change(|change| {
                let mut row = change.find(project, &id)?;
                let Some(mut execution) = change.execution(&execution)? else { return Ok(()) };
                if execution.status != ExecutionStatus::InProgress {
                    return Ok(());
                }
                row.course.ended(status, row.most_failures);
                execution.status = status;
                execution.error = error;
                // Times of interactions have whole seconds.
                execution.ended = Some(ended.unwrap_or(now).max(execution.start));
                if !was_accepted {
                    execution.interaction = None;
                }
                change.put(&row)?;
                change.put_execution(&execution)
            })
        });
        match ending.await {
            // Without a trigger there is nothing to be written.
            Ok(()) | Err(Failure::Refused(_)) => {}
            Err(failure) => error!(?failure, "The end of a trigger's run cannot be written; the next start does"),
        }
    }

    /// Cancels an interaction; one that is not there, or has ended, is no matter.
    pub(crate) fn cancel(&self, project: ProjectId, interaction: InteractionId) -> JoinHandle<()> {
        let engine = self.inner.engine.clone();
        self.inner.engine.tasks().spawn(async move {
            let _ = engine.cancel(Caller { project }, &interaction).await;
        })
    }
}

/// How an execution ends whose interaction has ended so; `late` is its time, if that is over.
fn verdict(interaction: &Interaction, late: Option<u32>) -> (ExecutionStatus, Option<String>) {
    let failed = |why: &str| (ExecutionStatus::Failed, Some(why.to_owned()));
    match (interaction.status, late) {
        (Status::Completed, _) => (ExecutionStatus::Completed, None),
        (Status::Cancelled, Some(seconds)) => {
            (ExecutionStatus::TimedOut, Some(format!("it took longer than {seconds} seconds")))
        }
        (Status::Cancelled, None) => failed("its interaction was cancelled"),
        (Status::Incomplete, _) => failed("its interaction is `incomplete`: it came to one of its bounds"),
        (Status::RequiresAction, _) => failed("its interaction waits for the result of a function, which nobody gives"),
        (Status::Failed | Status::InProgress, _) => {
            let told = interaction.error.as_ref().map(|failure| failure.message.as_str());
            failed(told.unwrap_or("its interaction failed"))
        }
    }
}
