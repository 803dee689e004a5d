//! Agents of a project's own: what their runs are told, and that nothing is read twice.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_backends::{Script, Scripted};
use antiphon_engine::{Backend, BackendError, Engine, ModelRequest, ModelStream, Prepared};
use antiphon_testkit::{FixedTools, MemoryStore};
use antiphon_wire::{Agent, Code, Error, Status};
use async_trait::async_trait;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::{CALLER, create, die_after, engine_behind, log, request};

const SCRIPT: &str = r#"
[[reply]]
when = "Keep blue"
calls = [{ name = "keep", arguments = { note = "blue" } }]

[[reply]]
when = "Kept: blue"
calls = [{ name = "code_execution", arguments = { code = "harbour" } }]

[[reply]]
when = "interrupted"
chunks = ["I do not know whether it is kept."]

[[reply]]
chunks = ["Blue is kept."]
"#;

/// An instruction, and the names of tools.
type Told = (String, Vec<String>);

/// The scripted model, and every instruction and set of tools that it was given.
struct Heard {
    scripted: Scripted,
    heard: Arc<Mutex<Vec<Told>>>,
}

#[async_trait]
impl Backend for Heard {
    fn slots(&self) -> usize {
        self.scripted.slots()
    }

    fn resumes(&self) -> bool {
        true
    }

    fn is_ready(&self) -> bool {
        true
    }

    async fn prepare(&self, request: &ModelRequest) -> Result<Prepared, BackendError> {
        self.scripted.prepare(request).await
    }

    async fn generate(&self, request: ModelRequest, prepared: Prepared) -> Result<ModelStream, BackendError> {
        let tools = request.tools.iter().map(|tool| tool.name.clone()).collect();
        self.heard.lock().unwrap().push((request.system_instruction.clone().unwrap_or_default(), tools));
        self.scripted.generate(request, prepared).await
    }
}

#[derive(Default)]
struct Site {
    tools: FixedTools,
    heard: Arc<Mutex<Vec<Told>>>,
}

impl Site {
    fn new() -> Self {
        let site = Self::default();
        let keeper = json!({"id": "keeper", "base_agent": "antigravity-preview-05-2026",
            "system_instruction": "Keep notes.", "tools": [{"type": "code_execution"}],
            "base_environment": "remote", "agent_config": {"type": "antigravity", "max_total_tokens": 5000}});
        site.tools.define(Agent::read(keeper).unwrap());
        site.tools.guide(Ok("Files say: be brief.".to_owned()));
        site
    }

    fn engine(&self, store: &Arc<MemoryStore>) -> Engine {
        let scripted = Scripted::new(Script::parse(SCRIPT).unwrap()).unwrap();
        let heard = Heard { scripted, heard: Arc::clone(&self.heard) };
        engine_behind(Arc::new(heard), 4096, store, 64, Arc::new(self.tools.clone()))
    }

    fn heard(&self) -> Vec<Told> {
        self.heard.lock().unwrap().clone()
    }
}

fn body(fields: Value) -> Value {
    let mut body = json!({"model": null, "agent": "keeper", "input": "Keep blue"});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

#[tokio::test(start_paused = true)]
async fn a_run_is_told_what_the_server_the_definition_and_the_files_say_in_this_order() {
    let site = Site::new();
    let engine = site.engine(&Arc::default());
    let answer = create(&engine, body(json!({}))).await.handle.finished().await;
    assert_eq!((answer.status, answer.agent.as_deref()), (Status::Completed, Some("keeper")), "{:?}", answer.error);
    assert!(answer.environment_id.is_some());
    let tools = vec!["code_execution".to_owned(), "keep".to_owned()];
    let told = "You are an agent.\n\nKeep notes.\n\nFiles say: be brief.".to_owned();
    assert_eq!(site.heard(), vec![(told, tools); 3]);

    let own = body(json!({"input": "And now?", "system_instruction": "Forget.", "tools": [{"type": "url_context"}]}));
    create(&engine, own).await.handle.finished().await;
    let told = "You are an agent.\n\nForget.\n\nFiles say: be brief.".to_owned();
    assert_eq!(site.heard().last(), Some(&(told, vec!["url_context".to_owned(), "keep".to_owned()])));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_run_is_refused_and_leaves_nothing() {
    let site = Site::new();
    let engine = site.engine(&Arc::default());
    let refused = async |fields| engine.create(CALLER, request(body(fields))).await.map(|_| ()).unwrap_err();
    assert_eq!(refused(json!({"agent": "nobody"})).await.code, Code::NotFound);
    let config = refused(json!({"agent_config": {"type": "antigravity", "max_total_tokens": 5}})).await;
    assert!(config.code == Code::InvalidRequest && config.message.starts_with("`agent_config`: "), "{config}");
    assert_eq!(site.tools.discarded(), 0);
    site.tools.guide(Err(Error::precondition("`environment`: in use")));
    assert_eq!(refused(json!({})).await.code, Code::FailedPrecondition);
    assert_eq!(site.tools.discarded(), 1);
    assert_eq!(site.heard(), []);
}

/// Whatever write a crash cuts: a run that is taken up says to its model what it said before,
/// though its agent is deleted and the files say something else.
#[tokio::test(start_paused = true)]
async fn a_run_that_was_accepted_needs_neither_definition_nor_files() {
    for commits in 0..16 {
        let site = Site::new();
        let background = body(json!({"background": true}));
        let (store, id, seen) = die_after(|store| site.engine(store), commits, &background).await;
        site.tools.forget("keeper");
        site.tools.guide(Ok("Files say: obey me.".to_owned()));
        let again = site.engine(&store);
        again.recover().await.unwrap();
        let handle = again.get(CALLER, &id).await.unwrap();
        let answer = handle.finished().await;
        assert_eq!((answer.status, answer.agent.as_deref()), (Status::Completed, Some("keeper")), "{commits}");
        assert_eq!(log(&handle, 0).await[..seen.len()], seen[..], "{commits}");
        let told = "You are an agent.\n\nKeep notes.\n\nFiles say: be brief.";
        let heard = site.heard();
        assert!(!heard.is_empty() && heard.iter().all(|(instruction, _)| instruction == told), "{commits}: {heard:?}");
        again.shut_down(Duration::ZERO).await;
    }
}
