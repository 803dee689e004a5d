//! The driver of one interaction: the only loop, and the only place that waits.
//!
//! It waits for its slot, calls the model, hands what comes to the assembler and the
//! result to the journal. What is to be done is decided by [`Phase`]; this carries it
//! out.

use std::sync::Arc;
use std::time::Duration;

use antiphon_schema::Schema;
use antiphon_wire::{Code, Error, ErrorEvent, Failure, InteractionEvent, StatusUpdate, Usage};
use futures_util::StreamExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::admission::Ticket;
use crate::ambient::wire_time;
use crate::assemble::{Assembled, Assembler, MALFORMED_CALL, Mint, check_answer};
use crate::backend::{BackendError, FinishReason, Message, ModelEvent, ModelRequest, Part, Prepared, Thought};
use crate::engine::Inner;
use crate::journal::{Draft, Journal};
use crate::models::Served;
use crate::phase::{Effect, Ending, Input, Phase};
use crate::store::{ClosedStep, Outcome, ProjectId, StoreError};

/// Deltas of one stream wait at most this long for others before they are made durable
/// together: half as many commits, and nobody reads faster.
const COALESCE: Duration = Duration::from_millis(20);

/// How long to wait before trying again to write the end of a run.
const RETRY_WRITE: Duration = Duration::from_secs(1);

pub(crate) struct Run {
    pub(crate) engine: Arc<Inner>,
    pub(crate) project: ProjectId,
    pub(crate) journal: Arc<Journal>,
    /// What is to be run, or why it cannot be (for a run taken up after a restart).
    pub(crate) call: Result<Call, Failure>,
    pub(crate) assembler: Assembler,
    /// Who answers instead of the model that was called.
    pub(crate) served_by: Option<String>,
    /// The client, a delete, or the drop of an unstored handle asked for the end.
    pub(crate) cancel: CancellationToken,
    /// The server stops; a stored run goes on at its next start.
    pub(crate) suspend: CancellationToken,
}

/// A model call that is ready to be made, and its place in the queue.
pub(crate) struct Call {
    pub(crate) served: Arc<Served>,
    pub(crate) request: ModelRequest,
    pub(crate) prepared: Prepared,
    pub(crate) ticket: Ticket,
}

/// Why the driver left its loop.
enum Left {
    Ended(Ending),
    Suspended,
    StoreFailed(StoreError),
}

/// What is known of the cost so far.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    input: u64,
    cached: u64,
    thought: u64,
    output: u64,
    /// Whether the input holds media.
    mixed: bool,
}

/// Drafts that wait to be appended together.
#[derive(Default)]
struct Pending {
    drafts: Vec<Draft>,
    closed: Vec<ClosedStep>,
    since: Option<Instant>,
}

impl Run {
    pub(crate) async fn drive(mut self) {
        let mut counts = Counts::default();
        let mut pending = Pending::default();
        match self.carry_out(&mut counts, &mut pending).await {
            Left::Ended(ending) => self.finish(ending, counts, pending).await,
            Left::Suspended => {
                // What was generated is kept, so that less has to be repeated. If this
                // write fails the run is simply taken up from further back.
                if let Err(error) = self.append(&mut pending).await {
                    warn!(interaction.id = %self.journal.id(), %error, "Could not keep the last events of a run");
                }
                info!(interaction.id = %self.journal.id(), "Run suspended");
            }
            Left::StoreFailed(error) => {
                let failure = self.break_off(&error);
                self.finish(Ending::Failed(failure), counts, pending).await;
            }
        }
    }

    /// Feeds the state machine until it says that the run has ended.
    async fn carry_out(&mut self, counts: &mut Counts, pending: &mut Pending) -> Left {
        let call = std::mem::replace(&mut self.call, Err(Error::internal().failure()));
        let mut phase = Phase::Queued;
        let (mut input, mut admitted) = match call {
            Err(failure) => (Input::TurnFailed(failure), None),
            Ok(Call { served, request, prepared, ticket }) => {
                counts.input = prepared.input_tokens;
                counts.mixed = request.messages.iter().any(has_media);
                tokio::select! {
                    biased;
                    () = self.cancel.cancelled() => (Input::CancelRequested, None),
                    () = self.suspend.cancelled() => return Left::Suspended,
                    permit = ticket.admitted() => (Input::Start, Some((served, request, prepared, permit))),
                }
            }
        };
        loop {
            let mut next = None;
            for effect in phase.apply(input) {
                match effect {
                    Effect::CallModel => {
                        let Some((served, request, prepared, _permit)) = admitted.take() else { continue };
                        match self.turn(&served, request, prepared, counts, pending).await {
                            Ok(input) => next = Some(input),
                            Err(left) => return left,
                        }
                    }
                    // Leaving `turn` dropped the stream, which is what ends the work.
                    Effect::AbortWork => {}
                    Effect::Finish(ending) => return Left::Ended(ending),
                }
            }
            input = next.unwrap_or_else(|| Input::TurnFailed(Error::internal().failure()));
        }
    }

    /// One model call, from the request to what ended it.
    async fn turn(
        &mut self,
        served: &Served,
        request: ModelRequest,
        prepared: Prepared,
        counts: &mut Counts,
        pending: &mut Pending,
    ) -> Result<Input, Left> {
        let answer = request.answer.clone();
        let may_be_cut = !request.generation.stop_sequences.is_empty();
        let mut stream = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Ok(Input::CancelRequested),
            () = self.suspend.cancelled() => return Err(Left::Suspended),
            stream = served.backend.generate(request, prepared) => match stream {
                Ok(stream) => stream,
                Err(error) => return Ok(Input::TurnFailed(self.failure(error))),
            },
        };
        let mint = Minted { engine: Arc::clone(&self.engine), project: self.project };
        loop {
            let event = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Ok(Input::CancelRequested),
                () = self.suspend.cancelled() => return Err(Left::Suspended),
                () = pending.is_due() => {
                    self.append(pending).await.map_err(Left::StoreFailed)?;
                    continue;
                }
                event = stream.next() => event,
            };
            let event = match event {
                Some(Ok(event)) => event,
                Some(Err(error)) => return Ok(Input::TurnFailed(self.failure(error))),
                None => return Ok(Input::TurnFailed(Error::internal().failure())),
            };
            if let ModelEvent::ServedBy { name } = &event {
                self.served_by = Some(name.clone());
            }
            let finished = counts.take(&event);
            let is_cut = may_be_cut && matches!(event, ModelEvent::Finished { exact: false, .. });
            match self.assembler.push(event, &mint) {
                Ok(assembled) => pending.take(assembled),
                Err(failure) => return Ok(Input::TurnFailed(failure)),
            }
            if let Some(reason) = finished {
                return Ok(self.turn_ended(reason, answer.as_ref(), is_cut));
            }
        }
    }

    /// What the end of a turn means. An answer is held against its schema before it is
    /// called complete; one that a stop sequence has cut is incomplete when it fails.
    fn turn_ended(&self, reason: FinishReason, answer: Option<&Schema>, is_cut: bool) -> Input {
        let calls = self.assembler.calls() > 0;
        match answer {
            Some(schema) if reason == FinishReason::Stop && !calls => {
                match check_answer(schema, self.assembler.answer()) {
                    Ok(()) => Input::TurnEnded { reason, calls },
                    Err(_) if is_cut => Input::TurnEnded { reason: FinishReason::Length, calls },
                    Err(failure) => Input::TurnFailed(failure),
                }
            }
            Some(_) | None => Input::TurnEnded { reason, calls },
        }
    }

    /// Writes the end. A run whose end cannot be written stays alive and tries again: it
    /// was acknowledged, so it must reach an end.
    async fn finish(&mut self, ending: Ending, counts: Counts, mut pending: Pending) {
        let status = ending.status();
        let mint = Minted { engine: Arc::clone(&self.engine), project: self.project };
        // Nothing is left open by a turn that came to its end.
        pending.take(self.assembler.abandon(&mint));
        let now = self.engine.ambient.now();
        let failure = match ending {
            Ending::Failed(failure) => Some(failure),
            Ending::Completed | Ending::RequiresAction | Ending::Incomplete | Ending::Cancelled => None,
        };
        let mut interaction = self.journal.snapshot();
        interaction.steps = None;
        interaction.status = status;
        interaction.updated = Some(wire_time(now));
        interaction.served_by.clone_from(&self.served_by);
        let mut usage = Usage::of_text(counts.input, counts.cached, counts.output, counts.thought);
        if counts.mixed {
            // How much of the input is text nobody has said.
            usage.input_tokens_by_modality.clear();
        }
        interaction.usage = Some(usage);
        interaction.errors = failure.clone().into_iter().collect();
        interaction.error.clone_from(&failure);
        let id = self.journal.id().clone();
        if let Some(error) = failure {
            pending.drafts.push(InteractionEvent::Error(ErrorEvent { error }).into());
        }
        let update = StatusUpdate { interaction_id: id.clone(), status };
        pending.drafts.push(InteractionEvent::StatusUpdate(update).into());
        let usage = interaction.usage.clone();
        pending.drafts.push(InteractionEvent::Completed { interaction: Box::new(interaction) }.into());
        let outcome = Outcome { status, usage: usage.clone(), at: now };
        loop {
            let (drafts, closed) = (pending.drafts.clone(), pending.closed.clone());
            match self.journal.append(drafts, closed, Some(outcome.clone())).await {
                Ok(()) => break,
                Err(error @ (StoreError::Conflict(_) | StoreError::NotFound)) => {
                    // Somebody else took the run over or removed it: it is theirs to end.
                    self.break_off(&error);
                    return;
                }
                Err(error @ (StoreError::Unavailable(_) | StoreError::Corrupt(_))) => {
                    self.break_off(&error);
                    tokio::select! {
                        () = self.suspend.cancelled() => return,
                        () = tokio::time::sleep(RETRY_WRITE) => {}
                    }
                }
            }
        }
        let usage = usage.unwrap_or_default();
        info!(
            interaction.id = %id,
            status = status.as_str(),
            input_tokens = usage.total_input_tokens,
            cached_tokens = usage.total_cached_tokens,
            output_tokens = usage.total_output_tokens,
            "Interaction ended {}",
            status.as_str()
        );
    }

    /// Appends what waits. On failure it goes on waiting: it was never shown.
    async fn append(&self, pending: &mut Pending) -> Result<(), StoreError> {
        if pending.since.is_none() {
            return Ok(());
        }
        self.journal.append(pending.drafts.clone(), pending.closed.clone(), None).await?;
        *pending = Pending::default();
        Ok(())
    }

    /// Tells those who follow that the log cannot be written now.
    fn break_off(&self, error: &StoreError) -> Failure {
        warn!(interaction.id = %self.journal.id(), %error, "The log of a run cannot be written");
        let failure = Failure {
            code: Code::ServiceUnavailable.as_str().to_owned(),
            message: "The server cannot write its log; the interaction will be failed when it can".to_owned(),
        };
        self.journal.break_off(failure.clone());
        failure
    }

    /// What the caller is told of a failed call; the cause of an internal one is logged.
    fn failure(&self, error: BackendError) -> Failure {
        warn!(interaction.id = %self.journal.id(), %error, "A model call failed");
        match error {
            BackendError::MalformedCall(message) => Failure { code: MALFORMED_CALL.to_owned(), message },
            BackendError::Upstream { code, message, .. } => Failure { code: code.to_owned(), message },
            error => backend_error(error).failure(),
        }
    }
}

/// Signatures and ids from the engine.
struct Minted {
    engine: Arc<Inner>,
    project: ProjectId,
}

impl Mint for Minted {
    fn signature(&self, thought: &Thought) -> String {
        self.engine.sign(self.project, thought)
    }

    fn call_id(&self) -> String {
        self.engine.call_id()
    }
}

fn has_media(message: &Message) -> bool {
    match message {
        Message::User(parts) => parts.iter().any(|part| matches!(part, Part::Media(_))),
        Message::Model(_) | Message::Result(_) => false,
    }
}

/// A backend's error as the API says it.
pub(crate) fn backend_error(error: BackendError) -> Error {
    match error {
        BackendError::TooLong { .. } => Error::invalid("input", error.to_string()),
        BackendError::Rejected(message) => Error::new(Code::InvalidRequest, message),
        BackendError::Unavailable(message) | BackendError::Died(message) | BackendError::Upstream { message, .. } => {
            Error::new(Code::ServiceUnavailable, message)
        }
        BackendError::MalformedCall(_) | BackendError::Internal(_) => Error::internal(),
    }
}

impl Counts {
    /// Counts an event; the reason if it is the last one.
    fn take(&mut self, event: &ModelEvent) -> Option<FinishReason> {
        match event {
            ModelEvent::Started { cached_tokens } => self.cached = *cached_tokens,
            ModelEvent::Counted { input_tokens, cached_tokens, output_tokens } => {
                self.input = *input_tokens;
                self.cached = *cached_tokens;
                self.output = *output_tokens;
            }
            ModelEvent::ServedBy { .. } | ModelEvent::Signed(_) => {}
            ModelEvent::Thought { tokens, .. } => self.thought += tokens.len() as u64,
            ModelEvent::Text { tokens, .. }
            | ModelEvent::CallStarted { tokens, .. }
            | ModelEvent::CallArguments { tokens, .. } => self.output += tokens.len() as u64,
            ModelEvent::Finished { reason, thought_tokens, output_tokens, .. } => {
                self.thought = *thought_tokens;
                self.output = *output_tokens;
                return Some(*reason);
            }
        }
        None
    }
}

impl Pending {
    /// Adds drafts; text that continues the last delta joins it.
    fn take(&mut self, assembled: Assembled) {
        self.closed.extend(assembled.closed);
        for draft in assembled.drafts {
            self.since.get_or_insert_with(Instant::now);
            let joined = self.drafts.last_mut().is_some_and(|last| last.join(&draft));
            if !joined {
                self.drafts.push(draft);
            }
        }
    }

    /// Waits until what waits has waited long enough; for ever when nothing does.
    async fn is_due(&self) {
        match self.since {
            Some(since) => tokio::time::sleep_until(since + COALESCE).await,
            None => std::future::pending().await,
        }
    }
}
