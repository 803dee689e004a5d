//! What only models behind services say: signatures, late counts, who answered, media.

use std::sync::{Arc, Mutex};

use antiphon_engine::{
    Backend, BackendError, Engine, EngineParts, FinishReason, Limits, MediaKind, Message, ModelEvent, ModelRequest,
    ModelStream, Models, NoPerceiver, NoTools, Part, Prepared, RunLimits, Said, Seal, Served, Signature, Store,
    Thought,
};
use antiphon_testkit::{FixedAmbient, MemoryStore};
use antiphon_wire::{CreateInteraction, Status, Step};
use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use jiff::SignedDuration;
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::support::{CALLER, create, log, request};

/// Says the same to everything and keeps what it was asked.
struct Service {
    says: Vec<Result<ModelEvent, BackendError>>,
    asked: Arc<Mutex<Vec<ModelRequest>>>,
}

#[async_trait]
impl Backend for Service {
    fn slots(&self) -> usize {
        1
    }

    fn resumes(&self) -> bool {
        false
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn takes(&self, kind: MediaKind) -> bool {
        kind == MediaKind::Image
    }

    async fn prepare(&self, _request: &ModelRequest) -> Result<Prepared, BackendError> {
        Ok(Prepared::default())
    }

    async fn generate(&self, request: ModelRequest, _prepared: Prepared) -> Result<ModelStream, BackendError> {
        self.asked.lock().unwrap().push(request);
        Ok(stream::iter(self.says.clone()).boxed())
    }
}

type Asked = Arc<Mutex<Vec<ModelRequest>>>;

fn engine(says: Vec<Result<ModelEvent, BackendError>>) -> (Engine, Asked) {
    let asked = Asked::default();
    let service = Service { says, asked: Arc::clone(&asked) };
    let engine = Engine::new(EngineParts {
        store: Arc::new(MemoryStore::default()) as Arc<dyn Store>,
        models: Models::new(vec![Arc::new(Served::new("service", Arc::new(service), 1000, 64))], false),
        tools: Arc::new(NoTools),
        perceiver: Arc::new(NoPerceiver),
        ambient: Arc::new(FixedAmbient::new(SignedDuration::ZERO, 1)),
        seal: Seal::new([7; 32]),
        limits: Limits {
            default_output_tokens: 100,
            retention: SignedDuration::from_hours(24),
            run: RunLimits::default(),
            agent: RunLimits::default(),
        },
    });
    (engine, asked)
}

fn thought(text: &str) -> Result<ModelEvent, BackendError> {
    Ok(ModelEvent::Thought { text: text.to_owned(), tokens: Vec::new() })
}

fn signed(origin: Option<&str>, value: &str) -> Result<ModelEvent, BackendError> {
    Ok(ModelEvent::Signed(Signature { origin: origin.map(str::to_owned), value: value.to_owned() }))
}

fn text(text: &str) -> Result<ModelEvent, BackendError> {
    Ok(ModelEvent::Text { text: text.to_owned(), tokens: Vec::new() })
}

fn finished() -> Result<ModelEvent, BackendError> {
    Ok(ModelEvent::Finished { reason: FinishReason::Stop, exact: false, thought_tokens: 5, output_tokens: 7 })
}

#[tokio::test]
async fn every_signature_comes_back_where_it_was_whether_the_server_or_the_client_keeps_the_history() {
    let (engine, asked) = engine(vec![
        thought("First."),
        signed(Some("anthropic"), "sig/1="),
        text("Let me"),
        signed(Some("gemini"), "sig2"),
        text(" see."),
        signed(None, "R29vZ2xl"),
        text(" Yes."),
        finished(),
    ]);
    let first = create(&engine, json!({})).await.handle;
    let steps = first.finished().await.steps.unwrap();
    let kinds: Vec<_> = steps.iter().map(|step| matches!(step, Step::Thought(_))).collect();
    assert_eq!(kinds, [true, false, true, false, true, false]);
    let Step::Thought(googles) = &steps[4] else { panic!("{steps:?}") };
    assert_eq!(googles.signature.as_deref(), Some("R29vZ2xl"), "Google's own goes to the client as it is");

    create(&engine, json!({"previous_interaction_id": first.id(), "input": "And?"})).await.handle.finished().await;
    let mut replayed = vec![json!({"type": "user_input", "content": "hi"})];
    replayed.extend(steps.iter().map(|step| serde_json::to_value(step).unwrap()));
    replayed.push(json!({"type": "user_input", "content": "And?"}));
    create(&engine, json!({"store": false, "input": replayed})).await.handle.finished().await;

    let asked = asked.lock().unwrap();
    let signature = |origin: Option<&str>, value: &str| {
        Some(Signature { origin: origin.map(str::to_owned), value: value.to_owned() })
    };
    let thought = |text: &str, signature| Said::Thought(Thought { text: text.to_owned(), signature });
    for again in &asked[1..] {
        let Message::Model(turn) = &again.messages[1] else { panic!("{again:?}") };
        assert_eq!(
            turn.said,
            [
                thought("First.", signature(Some("anthropic"), "sig/1=")),
                Said::Text("Let me".to_owned()),
                thought("", signature(Some("gemini"), "sig2")),
                Said::Text(" see.".to_owned()),
                thought("", signature(None, "R29vZ2xl")),
                Said::Text(" Yes.".to_owned()),
            ]
        );
    }
}

#[tokio::test]
async fn counts_that_come_late_are_the_usage() {
    let counted =
        |input_tokens, cached_tokens| Ok(ModelEvent::Counted { input_tokens, cached_tokens, output_tokens: 0 });
    let (engine, _) = engine(vec![
        Ok(ModelEvent::Started { cached_tokens: 0 }),
        counted(3, 0),
        text("ok"),
        counted(40, 30),
        finished(),
    ]);
    let usage = create(&engine, json!({})).await.handle.finished().await.usage.unwrap();
    assert_eq!(
        (usage.total_input_tokens, usage.total_cached_tokens, usage.total_thought_tokens, usage.total_output_tokens),
        (40, 30, 5, 7)
    );
    assert_eq!(usage.total_tokens, 52);
}

#[tokio::test]
async fn who_answered_instead_is_said() {
    let (engine, _) = engine(vec![Ok(ModelEvent::ServedBy { name: "second".to_owned() }), text("ok"), finished()]);
    let interaction = create(&engine, json!({})).await.handle.finished().await;
    assert_eq!(interaction.served_by.as_deref(), Some("second"));
    let shown = serde_json::to_value(&interaction).unwrap();
    assert_eq!(shown["antiphon_served_by"], "second");
}

#[tokio::test]
async fn a_failure_of_the_service_has_its_code_and_no_word_of_its_own() {
    let failed = Err(BackendError::Upstream {
        code: "rate_limit_exceeded",
        message: "The model's service is at its limit".to_owned(),
        detail: "secret".to_owned(),
    });
    let (engine, _) = engine(vec![text("Half"), failed]);
    let handle = create(&engine, json!({})).await.handle;
    let interaction = handle.finished().await;
    assert_eq!(interaction.status, Status::Failed);
    assert_eq!(interaction.errors[0].code, "rate_limit_exceeded");
    assert!(!serde_json::to_string(&interaction).unwrap().contains("secret"));
    let lines = log(&handle, 0).await;
    assert!(lines.iter().any(|line| line.contains("\"Half\"") || line.contains("Half")), "{lines:?}");
}

#[tokio::test]
async fn media_reach_a_model_that_takes_them_and_are_refused_by_place_otherwise() {
    let (engine, asked) = engine(vec![text("A dog."), finished()]);
    let image = json!({"type": "image", "data": "aGk=", "mime_type": "image/png"});
    let seen = create(&engine, json!({"input": [{"type": "text", "text": "What?"}, image]})).await.handle;
    let usage = seen.finished().await.usage.unwrap();
    assert_eq!(usage.input_tokens_by_modality, [], "how much of the input is text is not known");
    {
        let asked = asked.lock().unwrap();
        let Message::User(parts) = &asked[0].messages[0] else { panic!("{asked:?}") };
        let [Part::Text(words), Part::Media(media)] = &parts[..] else { panic!("{parts:?}") };
        assert_eq!((words.as_str(), media.kind, &media.data), ("What?", MediaKind::Image, &"aGk=".into()));
    }

    let sound = json!([{"type": "audio", "data": "aGk=", "mime_type": "audio/wav"}]);
    let error = engine.create(CALLER, request(json!({"input": sound}))).await.unwrap_err();
    assert_eq!(error.message, "`input[0].content[0]`: the model takes no audio input");
    let broken = json!({"model": "m", "input": [{"type": "image", "data": "a*", "mime_type": "image/png"}]});
    assert!(CreateInteraction::read(broken).unwrap_err().message.starts_with("`input[0].data`: expected"));
}
