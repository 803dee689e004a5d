//! What the tests share: an engine over a script, and logs as lines a person can read.

use std::sync::Arc;
use std::time::Duration;

use antiphon_backends::{Researcher, Script, Scripted};
use antiphon_engine::{
    Backend, Caller, Created, Engine, EngineParts, Followed, Handle, Limits, Models, NoPerceiver, NoTools, Perceiver,
    ProjectId, RunLimits, Seal, Served, Store, Toolbox,
};
use antiphon_testkit::{FixedAmbient, MemoryStore};
use antiphon_wire::{CreateInteraction, InteractionEvent, InteractionId, StepDelta, StepHead};
use futures_util::StreamExt as _;
use jiff::SignedDuration;
use serde_json::{Value, json};

pub(crate) const CALLER: Caller = Caller { project: ProjectId(1) };

pub(crate) fn engine(script: &str, store: &Arc<MemoryStore>) -> Engine {
    engine_waiting(script, store, 64)
}

pub(crate) fn engine_waiting(script: &str, store: &Arc<MemoryStore>, waiting: usize) -> Engine {
    engine_of(script, store, waiting, Arc::new(NoTools))
}

pub(crate) fn engine_with(script: &str, store: &Arc<MemoryStore>, tools: Arc<dyn Toolbox>) -> Engine {
    engine_of(script, store, 64, tools)
}

fn engine_of(script: &str, store: &Arc<MemoryStore>, waiting: usize, tools: Arc<dyn Toolbox>) -> Engine {
    let script = Script::parse(script).unwrap();
    let context = script.context();
    engine_behind(Arc::new(Scripted::new(script).unwrap()), context, store, waiting, tools)
}

pub(crate) fn engine_behind(
    backend: Arc<dyn Backend>,
    context: u64,
    store: &Arc<MemoryStore>,
    waiting: usize,
    tools: Arc<dyn Toolbox>,
) -> Engine {
    engine_serving(Served::new("scripted", backend, context, waiting), store, tools)
}

pub(crate) fn engine_serving(served: Served, store: &Arc<MemoryStore>, tools: Arc<dyn Toolbox>) -> Engine {
    engine_perceiving(served, store, tools, Arc::new(NoPerceiver))
}

pub(crate) fn engine_perceiving(
    served: Served,
    store: &Arc<MemoryStore>,
    tools: Arc<dyn Toolbox>,
    perceiver: Arc<dyn Perceiver>,
) -> Engine {
    let researcher = served.researching(Arc::new(Researcher::new(Arc::clone(&served.backend))));
    Engine::new(EngineParts {
        store: Arc::clone(store) as Arc<dyn Store>,
        models: Models::new(vec![Arc::new(served)], false).with_research(researcher),
        tools,
        perceiver,
        ambient: Arc::new(FixedAmbient::new(SignedDuration::ZERO, 1)),
        seal: Seal::new([7; 32]),
        limits: Limits {
            default_output_tokens: 100,
            retention: SignedDuration::from_hours(24),
            run: RunLimits { turns: 4, calls: 6, ..RunLimits::default() },
            agent: RunLimits { turns: 5, ..RunLimits::default() },
        },
    })
}

pub(crate) fn request(body: Value) -> CreateInteraction {
    let mut whole = json!({ "model": "gemini-3.5-flash", "input": "hi" });
    for (key, value) in body.as_object().unwrap() {
        whole[key] = value.clone();
    }
    CreateInteraction::read(whole).unwrap()
}

pub(crate) async fn create(engine: &Engine, body: Value) -> Created {
    engine.create(CALLER, request(body)).await.unwrap()
}

/// The whole log as lines, once it has ended.
pub(crate) async fn log(handle: &Handle, after: u64) -> Vec<String> {
    handle.follow(after).map(line).collect().await
}

pub(crate) fn line(followed: Followed) -> String {
    let event = match followed {
        Followed::Event(event) => event,
        Followed::Broken(failure) => return format!("broken: {}", failure.code),
    };
    let what = match &event.body {
        InteractionEvent::Created { interaction } | InteractionEvent::Completed { interaction } => {
            interaction.status.as_str().to_owned()
        }
        InteractionEvent::StatusUpdate(update) => update.status.as_str().to_owned(),
        InteractionEvent::StepStart(start) => match &start.step {
            StepHead::ServerCall(head) => format!("{} {}_call {}", start.index, head.tool.as_str(), head.id),
            StepHead::ServerResult(head) => format!("{} {}_result {}", start.index, head.tool.as_str(), head.call_id),
            head => format!("{} {head:?}", start.index),
        },
        InteractionEvent::StepDelta(delta) => match &delta.delta {
            StepDelta::Text { text } => format!("{} text {text:?}", delta.index),
            StepDelta::ThoughtSummary { content } => {
                format!("{} summary {}", delta.index, serde_json::to_string(content).unwrap())
            }
            StepDelta::ThoughtSignature { .. } => format!("{} signature", delta.index),
            StepDelta::ArgumentsDelta { arguments } => format!("{} arguments {arguments}", delta.index),
            StepDelta::TextAnnotationDelta { annotations } => {
                format!("{} annotations {}", delta.index, serde_json::to_string(annotations).unwrap())
            }
            StepDelta::FunctionResult { result, is_error, .. } => {
                format!("{} result {result} {is_error:?}", delta.index)
            }
            StepDelta::ProcessingResult { x_media, .. } => {
                format!("{} read {}", delta.index, x_media.as_ref().unwrap_or(&Value::Null)["block"])
            }
            StepDelta::Image(image) => format!("{} image {} {}", delta.index, image.mime_type, image.data),
            StepDelta::ServerCall(call) => {
                format!("{} call {}", delta.index, Value::Object(call.arguments.clone()))
            }
            StepDelta::ServerResult(result) => {
                format!("{} result {} {:?}", delta.index, result.result, result.is_error)
            }
        },
        InteractionEvent::StepStop(stop) => stop.index.to_string(),
        InteractionEvent::Error(error) => error.error.code.clone(),
    };
    format!("#{} {} {what}", event.seq, event.body.event_type())
}

/// Runs one background interaction on a server that dies at its `commits`-th append.
/// Returns the store, the id and what was seen.
pub(crate) async fn die_after(
    start: impl FnOnce(&Arc<MemoryStore>) -> Engine,
    commits: usize,
    body: &Value,
) -> (Arc<MemoryStore>, InteractionId, Vec<String>) {
    let store = Arc::new(MemoryStore::default());
    let engine = start(&store);
    let handle = create(&engine, body.clone()).await.handle;
    store.fail_appends_after(commits, usize::MAX);
    let mut seen = log(&handle, 0).await;
    seen.retain(|line| !line.starts_with("broken"));
    // The process is gone: its tasks end without another word.
    engine.shut_down(Duration::ZERO).await;
    store.fail_appends(0);
    (store, handle.id().clone(), seen)
}
