//! A server without its HTTP, that can die and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use antiphon_engine::{
    Ambient, Backend, BackendError, Caller, Engine, EngineParts, FinishReason, Limits, ModelEvent, ModelRequest,
    ModelStream, Models, NoPerceiver, Opened, Prepared, ProjectId, RunLimits, Seal, Served, Store, Toolbox,
};
use antiphon_environments::{EnvironmentLimits, Environments, EnvironmentsOptions, NetworkPolicy};
use antiphon_testkit::{FixedAmbient, MemoryStore};
use antiphon_triggers::{Triggers, TriggersOptions};
use antiphon_wire::{
    CreateInteraction, CreateTrigger, EnvironmentId, Error, ExecutionStatus, Trigger, TriggerExecution, TriggerId,
};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub(crate) const PROJECT: ProjectId = ProjectId(1);
pub(crate) const OTHER: ProjectId = ProjectId(2);
pub(crate) const AGENT: &str = "antigravity-preview-05-2026";

/// One model call in the hands of the test.
pub(crate) struct Call(UnboundedSender<ModelEvent>);

impl Call {
    pub(crate) fn say(self, text: &str) {
        self.0.send(ModelEvent::Text { text: text.to_owned(), tokens: Vec::new() }).unwrap();
        self.finish(FinishReason::Stop);
    }

    /// Ends it at a bound.
    pub(crate) fn cut(self) {
        self.finish(FinishReason::Length);
    }

    fn finish(self, reason: FinishReason) {
        let end = ModelEvent::Finished { reason, thought_tokens: 0, output_tokens: 1, exact: true };
        self.0.send(end).unwrap();
    }
}

struct Model(UnboundedSender<Call>);

#[async_trait]
impl Backend for Model {
    fn slots(&self) -> usize {
        4
    }

    fn resumes(&self) -> bool {
        false
    }

    fn is_ready(&self) -> bool {
        true
    }

    async fn prepare(&self, _: &ModelRequest) -> Result<Prepared, BackendError> {
        Ok(Prepared { input_tokens: 1, ..Prepared::default() })
    }

    async fn generate(&self, _: ModelRequest, _: Prepared) -> Result<ModelStream, BackendError> {
        let (said, mut events) = unbounded_channel();
        self.0.send(Call(said)).map_err(|_| BackendError::Died("the test is over".to_owned()))?;
        Ok(futures_util::stream::poll_fn(move |context| events.poll_recv(context)).map(Ok).boxed())
    }
}

/// Knows one agent, gives it its environment, and no tool.
struct Rooms {
    environments: Environments,
    is_stuck: Arc<AtomicBool>,
    is_broken: Arc<AtomicBool>,
}

#[async_trait]
impl Toolbox for Rooms {
    async fn open(&self, project: ProjectId, request: &CreateInteraction) -> Result<Opened, Error> {
        if request.agent.as_deref() != Some(AGENT) {
            return Err(Error::not_found("`agent`: not found"));
        }
        if self.is_stuck.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.is_broken.load(Ordering::SeqCst) {
            return Err(Error::precondition("`tools[0]`: out of order"));
        }
        let environment = match &request.environment {
            None => None,
            Some(choice) => Some(self.environments.choose(project, choice).await?),
        };
        Ok(Opened { environment, ..Opened::default() })
    }

    async fn discard(&self, project: ProjectId, environment: &EnvironmentId) {
        self.environments.delete(project, environment).await.unwrap();
    }
}

pub(crate) struct Site {
    folder: TempDir,
    store: Arc<MemoryStore>,
    pub(crate) clock: Arc<FixedAmbient>,
    pub(crate) environments: Environments,
    pub(crate) engine: Engine,
    pub(crate) triggers: Triggers,
    pub(crate) calls: UnboundedReceiver<Call>,
    /// What opens a run's tools never comes back.
    pub(crate) is_stuck: Arc<AtomicBool>,
    pub(crate) is_broken: Arc<AtomicBool>,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedAmbient::default());
        let environments = Environments::open(EnvironmentsOptions {
            folder: folder.path().join("environments"),
            workspaces: folder.path().join("workspaces"),
            limits: EnvironmentLimits::default(),
            network: NetworkPolicy::default(),
            has_own_roots: true,
            repositories: None,
            ambient: Arc::clone(&clock) as Arc<dyn Ambient>,
        });
        let environments = environments.await.unwrap();
        let store = Arc::new(MemoryStore::default());
        for name in ["default", "other"] {
            store.project(name).await.unwrap();
        }
        let (engine, calls, is_stuck, is_broken) = engine(&store, &clock, &environments);
        let triggers = open(&folder, &engine, &environments).await;
        Self { folder, store, clock, environments, engine, triggers, calls, is_stuck, is_broken }
    }

    /// As if the process had been killed: its tasks are heard of no more. The engine takes up its
    /// runs, the triggers do not yet.
    pub(crate) async fn die(&mut self) {
        let (engine, calls, is_stuck, is_broken) = engine(&self.store, &self.clock, &self.environments);
        engine.recover().await.unwrap();
        self.triggers = open(&self.folder, &engine, &self.environments).await;
        (self.engine, self.is_stuck, self.is_broken) = (engine, is_stuck, is_broken);
        // Whoever held calls of the model before holds them still.
        std::mem::forget(std::mem::replace(&mut self.calls, calls));
    }

    /// A trigger of every hour.
    pub(crate) async fn hourly(&self, fields: Value) -> Trigger {
        self.create(fields).await.unwrap()
    }

    pub(crate) async fn create(&self, fields: Value) -> Result<Trigger, Error> {
        self.triggers.create(PROJECT, request(fields)).await
    }

    pub(crate) fn advance(&self, minutes: i64) {
        self.clock.advance(SignedDuration::from_mins(minutes));
    }

    pub(crate) async fn trigger(&self, id: &TriggerId) -> Trigger {
        self.triggers.get(PROJECT, id).await.unwrap()
    }

    /// The oldest first.
    pub(crate) async fn executions(&self, id: &TriggerId) -> Vec<TriggerExecution> {
        let mut found = self.triggers.executions(PROJECT, id, None, 1000).await.unwrap().trigger_executions;
        found.reverse();
        found
    }

    /// The last execution, once it has ended.
    pub(crate) async fn ended(&self, id: &TriggerId) -> TriggerExecution {
        loop {
            let last = self.executions(id).await.pop().unwrap();
            if last.status != ExecutionStatus::InProgress {
                return last;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Has the trigger's time come, and the run that begins say this.
    pub(crate) async fn run(&mut self, id: &TriggerId, text: &str) -> TriggerExecution {
        self.advance(60);
        self.triggers.tick().await;
        self.calls.recv().await.unwrap().say(text);
        self.ended(id).await
    }

    /// How many interactions there are of those that executions name.
    pub(crate) async fn interactions(&self, id: &TriggerId) -> usize {
        let mut count = 0;
        for interaction in self.executions(id).await.into_iter().filter_map(|one| one.interaction_id) {
            count += usize::from(self.engine.get(Caller { project: PROJECT }, &interaction).await.is_ok());
        }
        count
    }
}

pub(crate) fn request(fields: Value) -> CreateTrigger {
    let interaction = json!({"agent": AGENT, "input": "Look around"});
    let mut body = json!({"schedule": "0 * * * *", "time_zone": "UTC", "interaction": interaction});
    let Value::Object(fields) = fields else { panic!("expected an object") };
    body.as_object_mut().unwrap().extend(fields);
    CreateTrigger::read(body).unwrap()
}

pub(crate) fn remote() -> Value {
    json!({"interaction": {"agent": AGENT, "input": "Look around", "environment": "remote"}})
}

type Made = (Engine, UnboundedReceiver<Call>, Arc<AtomicBool>, Arc<AtomicBool>);

fn engine(store: &Arc<MemoryStore>, clock: &Arc<FixedAmbient>, environments: &Environments) -> Made {
    let (sender, calls) = unbounded_channel();
    let served = Served::new("model", Arc::new(Model(sender)), 4096, 64);
    let (is_stuck, is_broken) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let rooms = Rooms {
        environments: environments.clone(),
        is_stuck: Arc::clone(&is_stuck),
        is_broken: Arc::clone(&is_broken),
    };
    let engine = Engine::new(EngineParts {
        store: Arc::clone(store) as Arc<dyn Store>,
        models: Models::new(vec![Arc::new(served)], false),
        tools: Arc::new(rooms),
        perceiver: Arc::new(NoPerceiver),
        ambient: Arc::clone(clock) as Arc<dyn Ambient>,
        seal: Seal::new([1; 32]),
        limits: Limits {
            default_output_tokens: 64,
            retention: SignedDuration::from_hours(24),
            run: RunLimits::default(),
            agent: RunLimits::default(),
        },
    });
    (engine, calls, is_stuck, is_broken)
}

async fn open(folder: &TempDir, engine: &Engine, environments: &Environments) -> Triggers {
    let options = TriggersOptions {
        folder: folder.path().join("triggers"),
        most: 3,
        engine: engine.clone(),
        environments: environments.clone(),
    };
    Triggers::open(options).await.unwrap()
}
