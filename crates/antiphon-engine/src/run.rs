//! The driver of one interaction: the only loop, and the only place that waits.
//!
//! It waits for its slot, calls the model, hands what comes to the assembler and the
//! result to the journal; then it carries out the calls that are the server's, and calls
//! the model again. What is to be done is decided by [`Phase`]; this carries it out.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use antiphon_citation::{Citer, MOST_SOURCES};
use antiphon_schema::Schema;
use antiphon_wire::{
    Code, Delivery, Error, ErrorEvent, Failure, InteractionEvent, InteractionId, ServiceTier, StatusUpdate, Step,
    ThinkingSummaries, Usage,
};
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::{info, warn};

use crate::admission::{Permit, Ticket};
use crate::ambient::wire_time;
use crate::assemble::{Assembler, MALFORMED_CALL, Mint, ServerCall, TurnSetting, check_answer};
use crate::backend::{
    BackendError, Calls, FinishReason, Message, ModelEvent, ModelRequest, ModelStream, Part, Prepared, Resume, Thought,
    Tool,
};
use crate::context;
use crate::engine::{Inner, RunLimits};
use crate::guidance;
use crate::journal::Journal;
use crate::media::Unperceived;
use crate::models::Served;
use crate::phase::{Effect, Ending, Input, Phase};
use crate::prompt::{Asked, Continued, continued};
use crate::resumption::Resumption;
use crate::store::{Event, Outcome, PastStep, ProjectId, StoreError};
use crate::tell::Sources;
use crate::tool::{OpenTool, function_name};

mod counts;
mod media;
mod pending;
mod tools;

use counts::{Counts, MediaTokens, TurnCounts};
use pending::Pending;

/// The code of a run whose model has drawn nothing that can be shown (spec 00 §5).
const NO_IMAGE: &str = "no_image";

/// How long to wait before trying again to write the end of a run.
const RETRY_WRITE: Duration = Duration::from_secs(1);

pub(crate) struct Run {
    pub(crate) engine: Arc<Inner>,
    pub(crate) project: ProjectId,
    pub(crate) journal: Arc<Journal>,
    pub(crate) summaries: Option<ThinkingSummaries>,
    /// What is to be run, or why it cannot be (for a run taken up after a restart).
    pub(crate) call: Result<Call, Failure>,
    /// Of the turn at hand.
    pub(crate) assembler: Option<Assembler>,
    /// The functions that the server itself answers, where they are known.
    pub(crate) functions: HashSet<String>,
    /// Those that the client declares; of an agent, every other one is the server's.
    pub(crate) declared: Option<HashSet<String>>,
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
    pub(crate) asked: Asked,
    pub(crate) tools: Vec<OpenTool>,
    pub(crate) limits: RunLimits,
    /// Of the first turn, unless the run is taken up.
    pub(crate) prepared: Option<Prepared>,
    pub(crate) ticket: Ticket,
    /// How the run gets into the queue again after its tools.
    pub(crate) tier: ServiceTier,
    pub(crate) background: bool,
    /// What an earlier process has done.
    pub(crate) resumption: Resumption,
    /// The first model call, when it was made already.
    pub(crate) begun: Option<AbortOnDropHandle<Result<ModelStream, BackendError>>>,
}

impl Call {
    /// Makes the first model call if there is a slot for it: while the acceptance becomes
    /// durable, the model reads. Nothing that it says is shown before, and a call that was
    /// not accepted after all is dropped.
    pub(crate) fn begin(&mut self, tasks: &TaskTracker) {
        if let Some(prepared) = self.prepared.clone().filter(|_| self.ticket.is_admitted()) {
            let (served, mut request) = (Arc::clone(&self.served), self.asked.call.clone());
            if self.is_guided() {
                request.calls = guidance::calls(0, false);
            }
            let calling = tasks.spawn(async move { served.backend.generate(request, prepared).await });
            self.begun = Some(AbortOnDropHandle::new(calling));
        }
    }

    fn is_guided(&self) -> bool {
        self.served.is_guided && guidance::applies(&self.asked.call, &self.tools)
    }
}

/// What a run has of its own while it works.
struct Work {
    served: Arc<Served>,
    /// The first model call; later ones say more.
    base: ModelRequest,
    prepared: Option<Prepared>,
    tools: Vec<OpenTool>,
    limits: RunLimits,
    /// Whether the model is told when to search.
    is_guided: bool,
    /// Functions that the model has not searched for yet.
    deferred: Vec<Tool>,
    /// Media that have to be read before the model is asked.
    unperceived: Vec<Unperceived>,
    /// The call of one that an earlier process began.
    open_media: Option<String>,
    said: Arc<str>,
    /// What may be cited.
    sources: Sources,
    /// The steps so far.
    steps: Vec<PastStep>,
    /// The index of the next step.
    next_index: usize,
    /// What an earlier process logged of the turn at hand.
    turn_log: Vec<Event>,
    begun: Option<AbortOnDropHandle<Result<ModelStream, BackendError>>>,
    resume: Option<Resume>,
    waiting: Vec<ServerCall>,
    /// A result that an earlier process began.
    open_result: Option<usize>,
    /// Whether calls may have been carried out by an earlier process.
    interrupted: bool,
    turns: u32,
    calls: u32,
    /// The reading calls so far: one that is made again finds nothing new.
    made: HashSet<String>,
    /// How often a call has come to the same result.
    repeated: HashMap<String, u32>,
    /// Whether the model has only repeated itself, and must answer now.
    must_answer: bool,
    /// Whether it repeats itself nevertheless.
    is_stuck: bool,
    /// From the first slot on, without the waiting for others.
    deadline: Option<Instant>,
    permit: Option<Permit>,
    ticket: Option<Ticket>,
    tier: ServiceTier,
    background: bool,
}

/// Why the driver left its loop.
enum Left {
    Ended(Ending),
    Suspended,
    StoreFailed(StoreError),
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
                if let Err(error) = pending.append_to(&self.journal).await {
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
        if call.is_err()
            && let Some(usage) = logged_usage(&self.journal.events())
        {
            counts.take_up(&usage);
        }
        let (mut input, mut work) = match call {
            Err(_) if self.cancel.is_cancelled() => (Input::CancelRequested, None),
            Err(failure) => (Input::TurnFailed(failure), None),
            Ok(call) => {
                counts.mixed = call.asked.call.messages.iter().any(has_media);
                if let Some(usage) = &call.resumption.usage {
                    counts.take_up(usage);
                }
                let client_calls = call.resumption.client_calls();
                let in_tools = call.resumption.in_tools;
                counts.drawn = call.served.backend.draws();
                counts.apart = call.asked.call.research.is_some();
                let mut work = Work::new(call);
                let functions = work.tools.iter().filter(|tool| tool.kind.is_none());
                self.functions = functions.map(|tool| tool.declaration.name.clone()).collect();
                if let Ok(Continued { sources, .. }) = continued(self.project, self.engine.seal(), &work.steps) {
                    work.sources.extend(sources);
                }
                self.fill_known(&mut work);
                let input = if !work.unperceived.is_empty() {
                    Input::StartWithMedia
                } else if in_tools {
                    Input::StartWithTools { calls: client_calls }
                } else {
                    Input::Start
                };
                (input, Some(work))
            }
        };
        loop {
            let mut next = None;
            for effect in phase.apply(input) {
                let done = match (effect, &mut work) {
                    (Effect::Perceive, Some(work)) => self.perceive(work, pending).await,
                    (Effect::CallModel, Some(work)) => self.turn(work, counts, pending).await,
                    (Effect::RunTools, Some(work)) => self.tools(work, counts, pending).await,
                    // Leaving `turn` or `tools` dropped what was worked on, which is what ends it.
                    (Effect::AbortWork, _) => continue,
                    (Effect::Finish(ending), _) => return Left::Ended(ending),
                    (Effect::Perceive | Effect::CallModel | Effect::RunTools, None) => continue,
                };
                match done {
                    Ok(input) => next = Some(input),
                    Err(left) => return left,
                }
            }
            input = next.unwrap_or_else(|| Input::TurnFailed(Error::internal().failure()));
        }
    }

    /// One model call, from the request to what ended it.
    async fn turn(&mut self, work: &mut Work, counts: &mut Counts, pending: &mut Pending) -> Result<Input, Left> {
        let limits = work.limits;
        if limits.total_tokens.is_some_and(|most| counts.charged() >= most) {
            return Ok(Input::LimitReached);
        }
        if work.turns >= limits.turns {
            return Ok(Input::LimitReached);
        }
        // An agent's answer is as long as its turns together; each of them is bounded.
        let spent = if work.base.is_agent { 0 } else { counts.output + counts.thought };
        let Some(max_output_tokens) = left_of(work.base.max_output_tokens, spent) else {
            return Ok(Input::LimitReached);
        };
        if let Some(ticket) = work.ticket.take() {
            let asked = Instant::now();
            let permit = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Ok(Input::CancelRequested),
                () = self.suspend.cancelled() => return Err(Left::Suspended),
                permit = ticket.admitted() => permit,
            };
            work.permit = Some(permit);
            // Waiting for others is not its own time.
            work.deadline =
                Some(work.deadline.map_or_else(|| Instant::now() + limits.time, |end| end + asked.elapsed()));
        }
        let Continued { messages, loaded, sources } = match continued(self.project, self.engine.seal(), &work.steps) {
            Ok(continued) => continued,
            Err(error) => return Ok(Input::TurnFailed(error.failure())),
        };
        work.load(&loaded);
        let mut request = ModelRequest { max_output_tokens, resume: work.resume.take(), ..work.base.clone() };
        request.messages.extend(messages);
        if work.is_guided {
            request.calls = guidance::calls(work.turns, !sources.list.is_empty());
        }
        if std::mem::take(&mut work.must_answer) {
            request.calls = Calls::None;
        }
        if request.is_agent {
            context::compact(&mut request, work.served.context, 1);
        }
        let mut squeezes = context::SQUEEZES.into_iter();
        let prepared = match work.prepared.take() {
            Some(prepared) => prepared,
            None => loop {
                let prepared = tokio::select! {
                    biased;
                    () = self.cancel.cancelled() => return Ok(Input::CancelRequested),
                    () = self.suspend.cancelled() => return Err(Left::Suspended),
                    prepared = work.served.backend.prepare(&request) => prepared,
                };
                match prepared {
                    Ok(prepared) => break prepared,
                    // What tools gave has filled the context.
                    Err(BackendError::TooLong { .. }) if work.turns > 0 => {
                        let is_shorter = |squeeze| context::compact(&mut request, work.served.context, squeeze);
                        if !(work.base.is_agent && squeezes.any(is_shorter)) {
                            return Ok(Input::LimitReached);
                        }
                    }
                    Err(error) => return Ok(Input::TurnFailed(self.failure(error))),
                }
            },
        };
        if request.resume.as_ref().is_some_and(|resume| resume.trace.fingerprint != prepared.fingerprint) {
            return Ok(Input::TurnFailed(Failure {
                code: "aborted".to_owned(),
                message: "The server restarted with another model while this interaction ran".to_owned(),
            }));
        }
        let media = MediaTokens::of(&prepared.media);
        counts.turn = TurnCounts { input: prepared.input_tokens, media, ..TurnCounts::default() };
        let cites = !work.sources.list.is_empty() && request.answer.is_none();
        let setting = TurnSetting {
            // A picture says what it is, unless that is not wanted.
            summaries: if counts.drawn { self.summaries.or(Some(ThinkingSummaries::Auto)) } else { self.summaries },
            fingerprint: prepared.fingerprint.clone(),
            tools: request.tools.clone(),
            server_tools: work.tools.clone(),
            first_index: work.next_index,
            citer: cites.then(|| {
                let question = work.said.lines().next_back().unwrap_or_default();
                Citer::new(work.sources.latest(MOST_SOURCES)).answering(question)
            }),
            origins: work.sources.origins.clone(),
        };
        let turn_log = std::mem::take(&mut work.turn_log);
        let assembler = self.assembler.insert(Assembler::new(setting, &turn_log));

        let answer = request.answer.clone();
        let delivery = request.picture.format.delivery;
        let may_be_cut = !request.generation.stop_sequences.is_empty();
        let mint = Minted { engine: Arc::clone(&self.engine), project: self.project };
        let mut stream = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Ok(Input::CancelRequested),
            () = self.suspend.cancelled() => return Err(Left::Suspended),
            stream = async {
                match work.begun.take() {
                    Some(begun) => begun.await.unwrap_or_else(|failed| Err(BackendError::Internal(failed.to_string()))),
                    None => work.served.backend.generate(request, prepared).await,
                }
            } => match stream {
                Ok(stream) => stream,
                Err(error) => return Ok(Input::TurnFailed(failed_call(self.journal.id(), error))),
            },
        };
        let (reason, is_cut) = loop {
            let event = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Ok(Input::CancelRequested),
                () = self.suspend.cancelled() => return Err(Left::Suspended),
                () = work.time_is_up() => return Ok(Input::LimitReached),
                () = std::future::ready(()), if pending.is_overdue() => None,
                // What is there already is logged together.
                event = stream.next() => Some(event),
                () = pending.is_due() => None,
            };
            let Some(event) = event else {
                pending.append_to(&self.journal).await.map_err(Left::StoreFailed)?;
                continue;
            };
            let event = match event {
                Some(Ok(event)) => event,
                Some(Err(error)) => return Ok(Input::TurnFailed(failed_call(self.journal.id(), error))),
                None => return Ok(Input::TurnFailed(Error::internal().failure())),
            };
            if let ModelEvent::ServedBy { name } = &event {
                self.served_by = Some(name.clone());
            }
            let finished = counts.turn.take(&event);
            let is_cut = may_be_cut && matches!(event, ModelEvent::Finished { exact: false, .. });
            let assembled = match event {
                ModelEvent::Picture(picture) if delivery == Delivery::Uri => {
                    match self.engine.keep_picture(self.project, picture).await {
                        Ok(kept) => assembler.show(kept, &mint),
                        Err(error) => Err(error.failure()),
                    }
                }
                event => assembler.push(event, &mint),
            };
            match assembled {
                Ok(assembled) => pending.take(assembled),
                Err(failure) => return Ok(Input::TurnFailed(failure)),
            }
            if let Some(reason) = finished {
                break (reason, is_cut);
            }
        };
        counts.end_turn(work.turns == 0);
        work.turns += 1;
        // Its slot is another's while tools work.
        work.permit = None;
        let (steps, next_index) = assembler.finished();
        work.steps.extend(steps.iter().cloned());
        work.next_index = next_index;
        work.waiting = assembler.server_calls().to_vec();
        if !work.waiting.is_empty() {
            pending.set_usage(counts.usage());
        }
        Ok(turn_ended(assembler, reason, answer.as_ref(), is_cut))
    }

    /// Writes the end. A run whose end cannot be written stays alive and tries again: it
    /// was acknowledged, so it must reach an end.
    async fn finish(&mut self, ending: Ending, mut counts: Counts, mut pending: Pending) {
        let status = ending.status();
        let mint = Minted { engine: Arc::clone(&self.engine), project: self.project };
        // Nothing is left open by a turn that came to its end.
        if let Some(assembler) = &mut self.assembler {
            pending.take(assembler.abandon(&mint));
        }
        // A turn that was cut has its cost too.
        if counts.turn.input + counts.turn.output + counts.turn.thought > 0 {
            counts.end_turn(counts.input == 0);
        }
        self.answer_all(&mut pending);
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
        interaction.usage = Some(counts.usage());
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

    fn failure(&self, error: BackendError) -> Failure {
        failed_call(self.journal.id(), error)
    }
}

/// What the caller is told of a failed call; the cause of an internal one is logged.
fn failed_call(id: &InteractionId, error: BackendError) -> Failure {
    warn!(interaction.id = %id, %error, "A model call failed");
    match error {
        BackendError::MalformedCall(message) => Failure { code: MALFORMED_CALL.to_owned(), message },
        BackendError::NoImage(message) => Failure { code: NO_IMAGE.to_owned(), message },
        BackendError::Upstream { code, message, .. } => Failure { code: code.to_owned(), message },
        error => backend_error(error).failure(),
    }
}

/// What the end of a turn means. An answer is held against its schema before it is called
/// complete; one that a stop sequence has cut is incomplete when it fails.
fn turn_ended(assembler: &Assembler, reason: FinishReason, answer: Option<&Schema>, is_cut: bool) -> Input {
    let (calls, tools) = (assembler.calls() > 0, !assembler.server_calls().is_empty());
    match answer {
        Some(schema) if reason == FinishReason::Stop && !calls && !tools => {
            match check_answer(schema, assembler.answer()) {
                Ok(()) => Input::TurnEnded { reason, calls, tools },
                Err(_) if is_cut => Input::TurnEnded { reason: FinishReason::Length, calls, tools },
                Err(failure) => Input::TurnFailed(failure),
            }
        }
        Some(_) | None => Input::TurnEnded { reason, calls, tools },
    }
}

/// What the turns of an earlier process cost.
fn logged_usage(log: &[Arc<Event>]) -> Option<Usage> {
    log.iter().rev().find_map(|event| match &event.body {
        InteractionEvent::StepStop(stop) => stop.usage.clone(),
        _ => None,
    })
}

/// The output tokens that are left; none when there are none.
fn left_of(most: u32, spent: u64) -> Option<u32> {
    let used = u32::try_from(spent).unwrap_or(u32::MAX);
    most.checked_sub(used).filter(|left| *left > 0)
}

impl Work {
    fn new(call: Call) -> Self {
        let is_guided = call.is_guided();
        let Call { served, asked, tools, limits, prepared, ticket, tier, background, resumption, begun } = call;
        let resume = resumption.tokens().map(|(trace, thought_tokens)| Resume { trace, thought_tokens });
        let waiting = resumption.waiting().into_iter().filter_map(|step| waiting_call(step, &tools)).collect();
        let next_index = resumption.next_index();
        let open_media = resumption.open_media().map(str::to_owned);
        Self {
            is_guided,
            served,
            base: asked.call,
            deferred: asked.deferred,
            unperceived: asked.unperceived,
            open_media,
            prepared,
            said: asked.said.into(),
            sources: asked.sources,
            steps: resumption.steps,
            next_index,
            turn_log: resumption.turn,
            begun,
            resume,
            waiting,
            open_result: resumption.open_result,
            interrupted: resumption.in_tools,
            turns: resumption.turns,
            calls: 0,
            made: HashSet::new(),
            repeated: HashMap::new(),
            must_answer: false,
            is_stuck: false,
            deadline: None,
            permit: None,
            ticket: Some(ticket),
            tier,
            background,
            tools,
            limits,
        }
    }

    /// Tells the model of functions that it has found.
    fn load(&mut self, names: &[String]) {
        for name in names {
            if let Some(at) = self.deferred.iter().position(|tool| tool.name == *name) {
                self.base.tools.push(self.deferred.remove(at));
            }
        }
    }

    /// Waits until the time of the run is over. Of a model call alone time is no bound.
    async fn time_is_up(&self) {
        match self.deadline {
            Some(deadline) if !self.tools.is_empty() => tokio::time::sleep_until(deadline).await,
            Some(_) | None => std::future::pending().await,
        }
    }
}

/// A call that an earlier process logged; none if it is no call.
fn waiting_call(step: &Step, tools: &[OpenTool]) -> Option<ServerCall> {
    let (kind, id, function, arguments) = match step {
        Step::ServerCall(call) => {
            let function = function_name(call.tool, call.name.as_deref(), call.server_name.as_deref());
            (Some(call.tool), &call.id, function, &call.arguments)
        }
        Step::FunctionCall(call) => (None, &call.id, call.name.clone(), &call.arguments),
        _ => return None,
    };
    let tool = tools.iter().find(|tool| tool.declaration.name == function);
    let value = Value::Object(arguments.clone());
    let problem =
        tool.and_then(|tool| tool.declaration.parameters.validate(&value).err()).map(|violation| violation.message);
    let (name, server_name) = match step {
        Step::ServerCall(call) => (call.name.clone(), call.server_name.clone()),
        _ => (None, None),
    };
    let (id, arguments) = (id.clone(), arguments.clone());
    Some(ServerCall { kind, id, name, server_name, function, arguments, problem })
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
        BackendError::MalformedCall(_) | BackendError::NoImage(_) | BackendError::Internal(_) => Error::internal(),
    }
}
