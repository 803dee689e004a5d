//! A model that is not trusted to decide when it searches.

use std::sync::{Arc, Mutex};

use antiphon_backends::{Script, Scripted};
use antiphon_engine::{Backend, BackendError, Calls, Message, ModelRequest, ModelStream, Prepared, Served};
use antiphon_testkit::FixedTools;
use antiphon_wire::Status;
use async_trait::async_trait;
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::support::{create, engine_serving};

const SCRIPT: &str = r#"
[[reply]]
when = "Who won?"
calls = [{ name = "google_search", arguments = { queries = ["final"] } }]

[[reply]]
when = "Spain won the final"
chunks = ["Spain won the final."]

[[reply]]
when = "What is there?"
calls = [{ name = "google_search", arguments = { queries = ["nothing"] } }]

[[reply]]
when = "not there"
calls = [{ name = "google_search", arguments = { queries = ["final"] } }]
"#;

/// A scripted model, and of each of its turns what it might do and whether it was told to mark its sources.
struct Watched {
    model: Scripted,
    calls: Arc<Mutex<Vec<(Calls, bool)>>>,
}

#[async_trait]
impl Backend for Watched {
    fn slots(&self) -> usize {
        self.model.slots()
    }

    fn resumes(&self) -> bool {
        self.model.resumes()
    }

    fn is_ready(&self) -> bool {
        self.model.is_ready()
    }

    async fn prepare(&self, request: &ModelRequest) -> Result<Prepared, BackendError> {
        self.model.prepare(request).await
    }

    async fn generate(&self, request: ModelRequest, prepared: Prepared) -> Result<ModelStream, BackendError> {
        let marks = |message: &Message| matches!(message, Message::Result(result) if result.text.contains('⟦'));
        self.calls.lock().unwrap().push((request.calls, request.messages.iter().any(marks)));
        self.model.generate(request, prepared).await
    }
}

async fn turns(question: &str, kinds: &[&str], is_guided: bool) -> Vec<(Calls, bool)> {
    let calls = Arc::default();
    let model = Scripted::new(Script::parse(SCRIPT).unwrap()).unwrap();
    let mut served = Served::new("scripted", Arc::new(Watched { model, calls: Arc::clone(&calls) }), 1000, 4);
    served.is_guided = is_guided;
    let engine = engine_serving(served, &Arc::default(), Arc::new(FixedTools::default()));
    let tools: Vec<_> = kinds.iter().map(|kind| json!({"type": kind})).collect();
    let answer = create(&engine, json!({"input": question, "tools": tools})).await.handle.finished().await;
    assert_eq!(answer.status, Status::Completed);
    calls.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn it_searches_first_and_answers_when_it_has_found_something() {
    let (search, answer) = ((Calls::Required, false), (Calls::None, false));
    assert_eq!(turns("Who won?", &["google_search"], true).await, [search, answer]);
    assert_eq!(turns("What is there?", &["google_search"], true).await, [search, search, answer]);
}

#[tokio::test(start_paused = true)]
async fn others_decide_by_themselves_and_mark_their_sources_and_so_does_it_search_with_other_tools() {
    let turn = |marks| (Calls::Allowed, marks);
    assert_eq!(turns("Who won?", &["google_search"], false).await, [turn(false), turn(true)]);
    assert_eq!(turns("Who won?", &["google_search", "url_context"], true).await, [turn(false), turn(false)]);
}
