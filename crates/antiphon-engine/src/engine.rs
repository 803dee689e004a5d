//! The operations on interactions: accept, look up, cancel, delete, and taking up what
//! an earlier process left.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use antiphon_wire::{
    Code, CreateInteraction, EnvironmentChoice, Error, Failure, Interaction, InteractionEvent, InteractionId,
    MediaContent, Status, StatusUpdate, Step, Tool,
};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use crate::ambient::{Ambient, wire_time};
use crate::backend::{Media, MediaKind, Thought};
use crate::context;
use crate::handle::Handle;
use crate::journal::{Journal, number};
use crate::media::{Perceiver, Reception};
use crate::models::{Models, Served};
use crate::output;
use crate::prompt::{self, Asked, History, Reading};
use crate::resumption::Resumption;
use crate::run::{Call, Run, backend_error};
use crate::seal::Seal;
use crate::store::{Event, NewInteraction, ProjectId, Store, StoreError};
use crate::tool::{Opened, Toolbox};

mod ahead;
mod media;
mod recover;

use media::Refused;

/// A lease is renewed three times before it can be lost.
const LEASE: SignedDuration = SignedDuration::from_secs(30);

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    pub project: ProjectId,
}

/// An interaction that was accepted.
#[derive(Debug)]
pub struct Created {
    pub handle: Handle,
    /// The name of the model that serves it, whatever name was asked for.
    pub served_by: String,
}

/// What the operator decides.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Tokens an answer may have when the request does not say.
    pub default_output_tokens: u32,
    /// How long an interaction is kept.
    pub retention: SignedDuration,
    pub run: RunLimits,
    /// Of an agent's run.
    pub agent: RunLimits,
}

/// How far one run with tools of the server may go before it ends `incomplete`.
#[derive(Clone, Copy, Debug)]
pub struct RunLimits {
    /// Calls of the model.
    pub turns: u32,
    /// Calls of tools.
    pub calls: u32,
    pub time: Duration,
    /// About how many tokens of one result the model is told.
    pub result_tokens: usize,
    /// What it may cost; a turn that was begun is not cut.
    pub total_tokens: Option<u64>,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self { turns: 16, calls: 32, time: Duration::from_secs(600), result_tokens: 2000, total_tokens: None }
    }
}

pub struct EngineParts {
    pub store: Arc<dyn Store>,
    pub models: Models,
    pub tools: Arc<dyn Toolbox>,
    pub perceiver: Arc<dyn Perceiver>,
    pub ambient: Arc<dyn Ambient>,
    pub seal: Seal,
    pub limits: Limits,
}

#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) ambient: Arc<dyn Ambient>,
    store: Arc<dyn Store>,
    models: Models,
    tools: Arc<dyn Toolbox>,
    perceiver: Arc<dyn Perceiver>,
    seal: Seal,
    limits: Limits,
    /// Names this process as the owner of its runs.
    owner: String,
    /// The stored runs of this process, by id. Those that are not stored are reachable
    /// through their handle alone.
    live: Mutex<HashMap<InteractionId, Live>>,
    tasks: TaskTracker,
    /// The server drains: background runs suspend, streams end.
    closing: CancellationToken,
    /// The time to drain is over: every run suspends.
    closed: CancellationToken,
}

#[derive(Clone)]
struct Live {
    project: ProjectId,
    journal: Arc<Journal>,
    request: Arc<CreateInteraction>,
    cancel: CancellationToken,
}

impl Engine {
    pub fn new(parts: EngineParts) -> Self {
        let mut owner = [0; 8];
        parts.ambient.fill_random(&mut owner);
        let inner = Inner {
            ambient: parts.ambient,
            store: parts.store,
            models: parts.models,
            tools: parts.tools,
            perceiver: parts.perceiver,
            seal: parts.seal,
            limits: parts.limits,
            owner: format!("{:016x}", u64::from_le_bytes(owner)),
            live: Mutex::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            closed: CancellationToken::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    pub fn models(&self) -> &Models {
        &self.inner.models
    }

    /// What becomes of media of a kind that a model is sent.
    pub fn reception(&self, served: &Served, kind: MediaKind) -> Reception {
        if served.backend.takes(kind) {
            return Reception::Native;
        }
        self.inner.perceiver.readers(kind).map_or_else(Reception::Reject, Reception::Perceive)
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    pub fn ambient(&self) -> &Arc<dyn Ambient> {
        &self.inner.ambient
    }

    /// Where every task of the server is spawned, so that the end waits for them.
    pub fn tasks(&self) -> &TaskTracker {
        &self.inner.tasks
    }

    /// Cancelled when the server begins to drain.
    pub fn closing(&self) -> &CancellationToken {
        &self.inner.closing
    }

    /// Accepts an interaction and starts its run. When this returns, a stored one is
    /// durable, its id included.
    ///
    /// # Errors
    /// Everything that keeps it from being accepted; nothing is kept then.
    pub async fn create(&self, caller: Caller, request: CreateInteraction) -> Result<Created, Error> {
        self.create_as(caller, self.mint_id(), request).await
    }

    /// As [`Engine::create`], under an id that was minted for it. Whoever keeps the id first
    /// finds the interaction again, whatever becomes of this process; no id is accepted twice.
    ///
    /// # Errors
    /// As [`Engine::create`].
    pub async fn create_as(
        &self,
        caller: Caller,
        id: InteractionId,
        request: CreateInteraction,
    ) -> Result<Created, Error> {
        let inner = &self.inner;
        if inner.closing.is_cancelled() {
            return Err(Error::new(Code::ServiceUnavailable, "The server is shutting down"));
        }
        let request = inner.tools.complete(caller.project, request).await?;
        let served = inner.served(&request)?;
        output::check(&request, served.backend.draws(), served.backend.captions())?;
        let history = match &request.previous_interaction_id {
            None => History::default(),
            Some(previous) => self.history(caller, previous).await?,
        };
        let opened = inner.tools.open(caller.project, &request).await?;
        let mut request = request;
        let mut made = None;
        if let Some(id) = &opened.environment {
            made = request.environment.as_ref().is_none_or(|choice| choice.existing().is_none()).then(|| id.clone());
            // So that the run finds it again, whatever becomes of this process.
            request.environment = Some(EnvironmentChoice::Existing(id.clone()));
        }
        let created = async {
            request.guidance = inner.tools.guidance(caller.project, &request).await?;
            self.create_opened(caller, id, request, history, served, opened).await
        }
        .await;
        if let (Err(_), Some(id)) = (&created, made) {
            inner.tools.discard(caller.project, &id).await;
        }
        created
    }

    /// The rest of [`Engine::create`], with everything opened.
    async fn create_opened(
        &self,
        caller: Caller,
        id: InteractionId,
        mut request: CreateInteraction,
        history: History,
        served: Arc<Served>,
        opened: Opened,
    ) -> Result<Created, Error> {
        let inner = &self.inner;
        let seed = match request.generation_config.seed {
            Some(seed) => seed.cast_unsigned(),
            None => inner.random(),
        };
        let served_by = served.name.clone();
        let (request, call) = match inner.accept_media(caller.project, &mut request, &*served.backend).await {
            Ok(()) => {
                let (request, call) = self.call(caller, request, history, seed, served, opened).await?;
                (request, Ok(call))
            }
            // Whoever does not wait for the answer does not wait for addresses either.
            Err(Refused::Unfetched(error)) if request.background => (request, Err(error.failure())),
            Err(Refused::Unfetched(error) | Refused::Unusable(error)) => return Err(error),
        };
        // From here on a client that leaves changes nothing: what may become durable must
        // also be run, so it is a task of the server and not of the connection.
        let accepting = Arc::clone(inner).accept(caller.project, id, request, seed, call);
        let handle = inner.tasks.spawn(accepting).await.unwrap_or_else(|failed| {
            error!(error = %failed, "Accepting an interaction failed");
            Err(Error::internal())
        })?;
        Ok(Created { handle, served_by })
    }

    /// The call of a model for a request whose media were accepted, and the request again.
    async fn call(
        &self,
        caller: Caller,
        request: CreateInteraction,
        history: History,
        seed: u64,
        served: Arc<Served>,
        opened: Opened,
    ) -> Result<(CreateInteraction, Call), Error> {
        let inner = &self.inner;
        let (request, asked) = inner.model_request(caller.project, request, history, seed, &served, &opened).await?;
        inner.accept_earlier_media(&asked.unperceived).await?;
        let prepared = served.backend.prepare(&asked.call).await.map_err(|error| {
            warn!(model = served.name, %error, "A request could not be prepared");
            backend_error(error)
        })?;
        let ticket = served.admission.reserve(request.service_tier, request.background).map_err(|full| {
            let message =
                format!("{} interactions are waiting for `{}` already; try again later", full.waiting, served.name);
            Error::new(Code::RateLimitExceeded, message)
        })?;
        let call = Call {
            limits: inner.run_limits(&request, &served),
            served,
            tools: opened.tools,
            // How long the text of media is shows when they are read.
            prepared: asked.unperceived.is_empty().then_some(prepared),
            asked,
            ticket,
            tier: request.service_tier,
            background: request.background,
            resumption: Resumption::default(),
            begun: None,
        };
        Ok((request, call))
    }

    /// # Errors
    /// `not_found` for ids that are unknown, deleted, not stored or another project's.
    pub async fn get(&self, caller: Caller, id: &InteractionId) -> Result<Handle, Error> {
        if let Some(live) = self.inner.live(caller, id) {
            return Ok(Handle { journal: live.journal, request: live.request, _cancel_when_dropped: None });
        }
        let not_found = |error| match error {
            StoreError::NotFound => Error::not_found(format!("interaction `{id}` not found")),
            other => store_error(&other),
        };
        let stored = self.inner.store.interaction(caller.project, id).await.map_err(not_found)?;
        let events = self.inner.store.events(caller.project, id).await.map_err(not_found)?;
        let journal = Arc::new(Journal::ended(id.clone(), events));
        Ok(Handle { journal, request: Arc::new(stored.request), _cancel_when_dropped: None })
    }

    /// Ends a background run. The answer is final.
    ///
    /// # Errors
    /// `failed_precondition` when it is not a background interaction or has ended
    /// otherwise; cancelling a cancelled one again is no error.
    pub async fn cancel(&self, caller: Caller, id: &InteractionId) -> Result<Interaction, Error> {
        let handle = self.get(caller, id).await?;
        if !handle.request.background {
            return Err(Error::precondition(format!(
                "interaction `{id}` does not run in the background; only such can be cancelled"
            )));
        }
        if let Some(live) = self.inner.live(caller, id) {
            live.cancel.cancel();
        }
        let interaction = handle.finished().await;
        match interaction.status {
            Status::Cancelled => Ok(handle.timeline(false)),
            status => Err(Error::precondition(format!(
                "interaction `{id}` cannot be cancelled: it is `{}` already",
                status.as_str()
            ))),
        }
    }

    /// Removes an interaction and its bytes; a running one is cancelled first.
    ///
    /// # Errors
    /// `not_found` as for [`Engine::get`].
    pub async fn delete(&self, caller: Caller, id: &InteractionId) -> Result<(), Error> {
        if let Some(live) = self.inner.live(caller, id) {
            live.cancel.cancel();
            // Deleting is what counts; that the end could not be written does not matter.
            let _ = live.journal.closed().await;
        }
        self.inner.store.delete(caller.project, id).await.map_err(|error| match error {
            StoreError::NotFound => Error::not_found(format!("interaction `{id}` not found")),
            other => store_error(&other),
        })
    }

    /// Whether the server can do its work now: the store takes writes and the default
    /// model is loaded.
    pub async fn ready(&self) -> Result<(), Error> {
        let unready = |message: &str| Error::new(Code::ServiceUnavailable, message);
        if self.inner.closing.is_cancelled() {
            return Err(unready("The server is shutting down"));
        }
        self.inner.store.check().await.map_err(|_| unready("The store cannot be written"))?;
        match self.inner.models.default_model() {
            Some(served) if served.backend.is_ready() => Ok(()),
            Some(served) => Err(unready(&format!("Model `{}` is not loaded yet", served.name))),
            None => Err(unready("No model is configured")),
        }
    }

    /// Waits for the runs to end and for `grace` at most: background runs suspend at
    /// once, the others when it is over. Stored ones go on at the next start.
    pub async fn shut_down(&self, grace: Duration) {
        self.inner.closing.cancel();
        self.inner.tasks.close();
        if tokio::time::timeout(grace, self.inner.tasks.wait()).await.is_err() {
            self.inner.closed.cancel();
            // Suspending is one write; a store that does not even take that is left.
            let _ = tokio::time::timeout(Duration::from_secs(5), self.inner.tasks.wait()).await;
        }
    }

    async fn history(&self, caller: Caller, previous: &InteractionId) -> Result<History, Error> {
        if self.inner.live(caller, previous).is_some_and(|live| !live.journal.is_closed()) {
            let message = format!("`previous_interaction_id`: interaction `{previous}` is still in progress");
            return Err(Error::precondition(message));
        }
        self.inner.history(caller.project, previous).await.map_err(|error| match error {
            StoreError::NotFound => previous_not_found(Some(previous)),
            other => store_error(&other),
        })
    }
}

impl Inner {
    /// The conversation up to `last`.
    async fn history(&self, project: ProjectId, last: &InteractionId) -> Result<History, StoreError> {
        let steps = self.store.history(project, last).await?;
        let has_call = steps.iter().any(|past| matches!(past.step, Step::FunctionCall(_)));
        let waits = has_call && self.store.interaction(project, last).await?.status == Status::RequiresAction;
        Ok(History { steps, waits })
    }

    /// Makes an interaction durable, if it is to be stored, and starts its run, which may be to say
    /// why there is none.
    async fn accept(
        self: Arc<Self>,
        project: ProjectId,
        id: InteractionId,
        request: CreateInteraction,
        seed: u64,
        mut call: Result<Call, Failure>,
    ) -> Result<Handle, Error> {
        let now = self.ambient.now();
        let events = first_events(&id, &request, now);
        let sink = if request.store {
            if let Ok(call) = &mut call {
                call.begin(&self.tasks);
            }
            let new = NewInteraction {
                project,
                id: id.clone(),
                request: request.clone(),
                seed,
                created: now,
                expires: now + self.limits.retention,
                events: events.clone(),
                owner: self.owner.clone(),
                lease_until: now + LEASE,
            };
            let fence = self.store.accept(new).await.map_err(|error| match error {
                StoreError::NotFound => previous_not_found(request.previous_interaction_id.as_ref()),
                other => store_error(&other),
            })?;
            Some((Arc::clone(&self.store), fence))
        } else {
            None
        };
        let journal = Arc::new(Journal::open(id, events, sink));
        let live = self.enter(project, journal, request);
        let cancel_when_dropped = (!live.request.store).then(|| live.cancel.clone().drop_guard());
        let handle = Handle {
            journal: Arc::clone(&live.journal),
            request: Arc::clone(&live.request),
            _cancel_when_dropped: cancel_when_dropped,
        };
        self.tasks.spawn(Arc::clone(&self).run(live, call));
        Ok(handle)
    }

    /// Makes a stored interaction findable while it runs.
    fn enter(&self, project: ProjectId, journal: Arc<Journal>, request: CreateInteraction) -> Live {
        let live = Live { project, journal, request: Arc::new(request), cancel: CancellationToken::new() };
        if live.request.store {
            self.lock_live().insert(live.journal.id().clone(), live.clone());
        }
        live
    }

    /// Runs an interaction that was entered.
    async fn run(self: Arc<Self>, live: Live, call: Result<Call, Failure>) {
        let run = Run {
            engine: Arc::clone(&self),
            project: live.project,
            journal: Arc::clone(&live.journal),
            summaries: match live.request.research() {
                Some(config) => config.thinking_summaries,
                None => live.request.generation_config.thinking_summaries,
            },
            call,
            assembler: None,
            functions: HashSet::new(),
            declared: declared_functions(&live.request),
            served_by: None,
            cancel: live.cancel,
            suspend: if live.request.background { self.closing.clone() } else { self.closed.clone() },
        };
        run.drive().await;
        self.lock_live().remove(live.journal.id());
    }

    /// The model that serves a request; an agent that names none gets the default one.
    fn served(&self, request: &CreateInteraction) -> Result<Arc<Served>, Error> {
        if request.agent.is_none() || !request.model.is_empty() {
            return self.models.find(&request.model);
        }
        if request.research().is_some() {
            let none = || Error::precondition("`agent`: no model of this server researches");
            return self.models.researcher().cloned().ok_or_else(none);
        }
        self.models.default_model().cloned().ok_or_else(|| Error::precondition("`agent`: no model is configured"))
    }

    fn run_limits(&self, request: &CreateInteraction, served: &Served) -> RunLimits {
        let mut limits = if request.agent.is_some() { self.limits.agent } else { self.limits.run };
        limits.total_tokens = request.agent_config.as_ref().and_then(|config| config.max_total_tokens);
        limits.result_tokens = served.result_tokens.map_or(limits.result_tokens, |most| most.min(limits.result_tokens));
        limits
    }

    /// A picture as the file that it has become.
    pub(crate) async fn keep_picture(&self, project: ProjectId, picture: Media) -> Result<MediaContent, Error> {
        let uri = self.tools.keep_picture(project, &picture).await?;
        Ok(MediaContent { mime_type: picture.mime_type, uri: Some(uri), ..MediaContent::default() })
    }

    pub(crate) fn perceiver(&self) -> Arc<dyn Perceiver> {
        Arc::clone(&self.perceiver)
    }

    pub(crate) fn seal(&self) -> &Seal {
        &self.seal
    }

    fn live(&self, caller: Caller, id: &InteractionId) -> Option<Live> {
        self.lock_live().get(id).filter(|live| live.project == caller.project).cloned()
    }

    fn lock_live(&self) -> MutexGuard<'_, HashMap<InteractionId, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model call for a request, and the request again. Schemas may be large, and a long
    /// conversation has many signatures to open: then this is no work for an async thread.
    async fn model_request(
        self: &Arc<Self>,
        project: ProjectId,
        request: CreateInteraction,
        history: History,
        seed: u64,
        served: &Served,
        opened: &Opened,
    ) -> Result<(CreateInteraction, Asked), Error> {
        let inner = Arc::clone(self);
        let most = request.generation_config.max_output_tokens.unwrap_or(self.limits.default_output_tokens);
        let kinds = [MediaKind::Image, MediaKind::Audio, MediaKind::Video, MediaKind::Document];
        let takes: Vec<_> = kinds.into_iter().filter(|kind| served.backend.takes(*kind)).collect();
        let draws = served.backend.draws();
        if is_quick(&request, &history) {
            let reading = Reading { project, seal: &inner.seal, takes: &takes, draws, opened };
            return prompt::model_request(&reading, &request, history, seed, most).map(|asked| (request, asked));
        }
        let (opened, context) = (opened.clone(), served.context);
        let built = tokio::task::spawn_blocking(move || {
            let reading = Reading { project, seal: &inner.seal, takes: &takes, draws, opened: &opened };
            let mut asked = prompt::model_request(&reading, &request, history, seed, most)?;
            if asked.call.is_agent {
                context::compact(&mut asked.call, context, 1);
            }
            Ok((request, asked))
        });
        built.await.unwrap_or_else(|failed| {
            error!(error = %failed, "Building a model call failed");
            Err(Error::internal())
        })
    }

    pub(crate) fn sign(&self, project: ProjectId, thought: &Thought) -> String {
        self.seal.sign(project, thought, &*self.ambient)
    }

    /// The id of a function call: 12 random characters, so unique in any conversation.
    pub(crate) fn call_id(&self) -> String {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let mut bytes = [0; 12];
        self.ambient.fill_random(&mut bytes);
        let letters = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
        std::iter::once("call_".to_owned()).chain(letters.map(String::from)).collect()
    }

    fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        self.ambient.fill_random(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A new id: time first, so that ids made together lie together in an index, then
    /// chance.
    fn new_id(&self) -> InteractionId {
        let mut bytes = [0; 24];
        self.ambient.fill_random(&mut bytes);
        let milliseconds = self.ambient.now().as_millisecond().cast_unsigned().to_be_bytes();
        bytes[..6].copy_from_slice(&milliseconds[2..]);
        InteractionId::from_bytes(&bytes)
    }
}

/// The functions of the client in an agent's request; none where others may be called too.
fn declared_functions(request: &CreateInteraction) -> Option<HashSet<String>> {
    let searches = request.tools.iter().any(|tool| matches!(tool, Tool::ToolSearch(_)));
    let names = request.tools.iter().filter_map(Tool::function).map(|function| function.name.clone());
    (request.agent.is_some() && !searches).then(|| names.collect())
}

/// The events every interaction starts with.
fn first_events(id: &InteractionId, request: &CreateInteraction, now: Timestamp) -> Vec<Event> {
    let mut interaction = Interaction::new(id.clone(), Status::InProgress);
    interaction.created = Some(wire_time(now));
    interaction.updated = Some(wire_time(now));
    match &request.agent {
        None => interaction.model = Some(request.model.clone()),
        agent => interaction.agent.clone_from(agent),
    }
    interaction.environment_id = request.environment.as_ref().and_then(EnvironmentChoice::existing).cloned();
    interaction.previous_interaction_id.clone_from(&request.previous_interaction_id);
    interaction.service_tier = Some(request.service_tier);
    interaction.labels.clone_from(&request.labels);
    let update = StatusUpdate { interaction_id: id.clone(), status: Status::InProgress };
    let bodies =
        [InteractionEvent::Created { interaction: Box::new(interaction) }, InteractionEvent::StatusUpdate(update)];
    number(0, bodies.into_iter().map(Into::into).collect())
}

fn previous_not_found(previous: Option<&InteractionId>) -> Error {
    let name = previous.map(ToString::to_string).unwrap_or_default();
    Error::not_found(format!("`previous_interaction_id`: interaction `{name}` not found"))
}

/// A store's failure as the caller sees it; the cause goes to the log.
fn store_error(failed: &StoreError) -> Error {
    error!(error = %failed, "The store failed");
    match failed {
        StoreError::Unavailable(_) => {
            Error::new(Code::ServiceUnavailable, "The server cannot reach its store; try again later")
        }
        StoreError::NotFound | StoreError::Conflict(_) | StoreError::Corrupt(_) => Error::internal(),
    }
}

/// Whether a call is built in less time than it takes to wake another thread.
fn is_quick(request: &CreateInteraction, history: &History) -> bool {
    const MOST_STEPS: usize = 4;
    const MOST_BYTES: usize = 16 << 10;
    let said = |step: &Step| -> Option<usize> {
        match step {
            Step::UserInput(message) => message.content.iter().map(|part| part.as_text().map(str::len)).sum(),
            _ => None,
        }
    };
    request.tools.is_empty()
        && request.answer_schema.is_none()
        && history.steps.is_empty()
        && request.input.len() <= MOST_STEPS
        && request.input.iter().map(said).sum::<Option<usize>>().is_some_and(|bytes| bytes <= MOST_BYTES)
}
