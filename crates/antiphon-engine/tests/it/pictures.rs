//! A model that answers with a picture: shown once, whole, with what it was made of kept for later turns.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_engine::{
    Backend, BackendError, DRAWN, Engine, EngineParts, FinishReason, Limits, Media, MediaKind, Message, ModelEvent,
    ModelRequest, ModelStream, ModelTurn, Models, NoPerceiver, NoTools, Prepared, RunLimits, Seal, Served, Signature,
    Store,
};
use antiphon_testkit::{FixedAmbient, MemoryStore};
use antiphon_wire::{Content, CreateInteraction, Interaction, Modality, ModalityTokens, Status, Step};
use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use jiff::SignedDuration;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::{CALLER, die_after, log};

const SOURCE: &str = "<svg><rect width=\"9\" height=\"9\"/></svg>";

/// Answers in text and, behind it, in pictures, and keeps what it was asked.
#[derive(Clone)]
struct Painter {
    draws: bool,
    fails: bool,
    /// Between two events.
    pause: Duration,
    asked: Arc<Mutex<Vec<ModelRequest>>>,
}

#[async_trait]
impl Backend for Painter {
    fn slots(&self) -> usize {
        1
    }

    fn resumes(&self) -> bool {
        false
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn draws(&self) -> bool {
        self.draws
    }

    async fn prepare(&self, _request: &ModelRequest) -> Result<Prepared, BackendError> {
        Ok(Prepared { input_tokens: 3, ..Prepared::default() })
    }

    async fn generate(&self, request: ModelRequest, _prepared: Prepared) -> Result<ModelStream, BackendError> {
        self.asked.lock().unwrap().push(request.clone());
        let counted = ModelEvent::Counted { input_tokens: 6, cached_tokens: 1, output_tokens: 40 };
        if self.fails {
            let events = vec![Ok(counted), Err(BackendError::NoImage("It was blank".to_owned()))];
            return Ok(stream::iter(events).boxed());
        }
        let mime_type = request.picture.format.mime_type.unwrap_or_default().as_str().to_owned();
        let finished = |output_tokens| ModelEvent::Finished {
            reason: FinishReason::Stop,
            exact: false,
            thought_tokens: 0,
            output_tokens,
        };
        let events = if self.draws {
            vec![
                counted,
                ModelEvent::Thought { text: "A drawing.".to_owned(), tokens: Vec::new() },
                ModelEvent::Signed(Signature { origin: Some(DRAWN.to_owned()), value: SOURCE.to_owned() }),
                ModelEvent::Picture(Media::new(MediaKind::Image, mime_type, "QUJD".into())),
                finished(40),
            ]
        } else {
            vec![ModelEvent::Text { text: "Hello".to_owned(), tokens: Vec::new() }, finished(1)]
        };
        let pause = self.pause;
        let events = stream::iter(events).then(move |event| async move {
            tokio::time::sleep(pause).await;
            Ok(event)
        });
        Ok(events.boxed())
    }
}

type Asked = Arc<Mutex<Vec<ModelRequest>>>;

fn engine(store: &Arc<MemoryStore>, fails: bool, pause: Duration) -> (Engine, Asked) {
    let asked = Asked::default();
    let writes = Painter { draws: false, fails: false, pause, asked: Arc::clone(&asked) };
    let text = Served::new("text", Arc::new(writes.clone()), 1000, 64);
    let draws = text.drawing(Arc::new(Painter { draws: true, fails, ..writes }));
    let engine = Engine::new(EngineParts {
        store: Arc::clone(store) as Arc<dyn Store>,
        models: Models::new(vec![Arc::new(text)], false).with_images(Arc::new(draws)),
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

fn fresh(fails: bool) -> (Engine, Asked) {
    engine(&Arc::default(), fails, Duration::ZERO)
}

fn request(model: &str, body: Value) -> CreateInteraction {
    let mut whole = json!({ "model": model, "input": "A tree" });
    whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    CreateInteraction::read(whole).unwrap()
}

async fn ask(engine: &Engine, model: &str, body: Value) -> Interaction {
    engine.create(CALLER, request(model, body)).await.unwrap().handle.finished().await
}

const IMAGE: &str = "gemini-3.1-flash-image";

#[tokio::test]
async fn a_picture_is_one_delta_behind_a_thought_that_says_what_it_is() {
    let (engine, _) = fresh(false);
    let created = engine.create(CALLER, request(IMAGE, json!({}))).await.unwrap();
    assert_eq!(created.served_by, "text");
    assert_eq!(
        log(&created.handle, 0).await[2..],
        [
            "#3 step.start 0 Thought",
            "#4 step.delta 0 summary {\"type\":\"text\",\"text\":\"A drawing.\"}",
            "#5 step.delta 0 signature",
            "#6 step.stop 0",
            "#7 step.start 1 ModelOutput",
            "#8 step.delta 1 image image/png QUJD",
            "#9 step.stop 1",
            "#10 interaction.status_update completed",
            "#11 interaction.completed completed",
        ]
    );
    let answer = created.handle.finished().await;
    let usage = answer.usage.unwrap();
    assert_eq!((usage.total_input_tokens, usage.total_cached_tokens, usage.total_output_tokens), (6, 1, 40));
    assert_eq!(usage.output_tokens_by_modality, [ModalityTokens { modality: Modality::Image, tokens: 40 }]);
    let Some([Step::Thought(_), Step::ModelOutput(output)]) = answer.steps.as_deref() else { panic!("two steps") };
    assert!(matches!(&output.content[..], [Content::Image(image)] if image.data == "QUJD".into()), "{output:?}");
}

#[tokio::test]
async fn what_is_asked_of_the_picture_reaches_who_draws() {
    let (engine, asked) = fresh(false);
    let format = json!({ "type": "image", "mime_type": "image/jpeg", "aspect_ratio": "16:9", "image_size": "512" });
    ask(&engine, IMAGE, json!({ "response_format": format })).await;
    ask(
        &engine,
        IMAGE,
        json!({ "generation_config": { "image_config": { "aspect_ratio": "1:8", "image_size": "4K" } } }),
    )
    .await;
    ask(&engine, IMAGE, json!({})).await;
    let asked = asked.lock().unwrap();
    let format = |call: &ModelRequest| call.picture.format;
    let pictures =
        asked.iter().map(format).map(|format| (format.pixels(), format.mime_type.unwrap_or_default().as_str()));
    assert_eq!(
        pictures.collect::<Vec<_>>(),
        [((688, 384), "image/jpeg"), ((1536, 12288), "image/png"), ((1024, 1024), "image/png")]
    );
}

#[tokio::test]
async fn the_summary_is_left_out_where_it_is_not_wanted() {
    let (engine, _) = fresh(false);
    let answer = ask(&engine, IMAGE, json!({ "generation_config": { "thinking_summaries": "none" } })).await;
    let Some(Step::Thought(thought)) = answer.steps.unwrap().into_iter().next() else { panic!("a thought") };
    assert_eq!((thought.summary, thought.signature.is_some()), (Vec::new(), true));
}

#[tokio::test]
async fn a_later_turn_has_the_drawing_as_the_words_of_the_model() {
    let (engine, asked) = fresh(false);
    let first = ask(&engine, IMAGE, json!({})).await;
    let more = json!({ "input": "Darker", "previous_interaction_id": first.id.to_string() });
    ask(&engine, IMAGE, more.clone()).await;
    // The same to a text model, and when the client sends back what it got.
    ask(&engine, "gemini-3.5-flash", more).await;
    let mut steps = vec![json!({ "type": "user_input", "content": "A tree" })];
    steps.extend(first.steps.unwrap().iter().map(|step| serde_json::to_value(step).unwrap()));
    steps.push(json!({ "type": "user_input", "content": "Darker" }));
    ask(&engine, IMAGE, json!({ "input": steps, "store": false })).await;
    let expected = [Message::user("A tree"), Message::Model(ModelTurn::text(SOURCE)), Message::user("Darker")];
    for call in &asked.lock().unwrap()[1..] {
        assert_eq!(call.messages, expected);
    }
}

#[tokio::test]
async fn without_a_picture_the_run_has_failed_and_says_why() {
    let (engine, _) = fresh(true);
    let answer = ask(&engine, IMAGE, json!({})).await;
    let error = answer.error.unwrap();
    assert_eq!(
        (answer.status, error.code.as_str(), error.message.as_str()),
        (Status::Failed, "no_image", "It was blank")
    );
    assert_eq!(answer.steps, Some(Vec::new()));
    assert_eq!(answer.usage.unwrap().total_output_tokens, 40);
}

#[tokio::test]
async fn who_draws_is_asked_for_nothing_else_and_others_for_no_picture() {
    let (engine, _) = fresh(false);
    for (model, body, path) in [
        (IMAGE, json!({ "response_format": { "type": "text" } }), "`response_format`"),
        (IMAGE, json!({ "tools": [{ "type": "function", "name": "f" }] }), "`tools`"),
        ("gemini-3.5-flash", json!({ "response_format": { "type": "image" } }), "`response_format`"),
        ("text", json!({ "generation_config": { "image_config": {} } }), "`generation_config.image_config`"),
        (
            IMAGE,
            json!({ "input": [{ "type": "text", "text": "Blue" }, { "type": "image", "data": "aGk=", "mime_type": "image/png" }] }),
            "`input[0].content[1]`",
        ),
    ] {
        let refused = engine.create(CALLER, request(model, body)).await.unwrap_err();
        assert!(refused.message.starts_with(path), "{}", refused.message);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_cut_at_any_commit_has_one_picture_or_has_failed() {
    let body = json!({ "model": IMAGE, "background": true });
    // At once, and so slowly that each event is durable before the next one comes.
    for pause in [Duration::ZERO, Duration::from_millis(30)] {
        let start = |store: &Arc<MemoryStore>| engine(store, false, pause).0;
        for commits in 0..6 {
            let (store, id, seen) = die_after(start, commits, &body).await;
            let next = start(&store);
            next.recover().await.unwrap();
            let handle = next.get(CALLER, &id).await.unwrap();
            let answer = handle.finished().await;
            let after = log(&handle, 0).await;
            assert_eq!(after[..seen.len()], seen, "cut after {commits}");
            let pictures = after.iter().filter(|line| line.contains(" image ")).count();
            match answer.status {
                Status::Completed => assert_eq!(pictures, 1, "cut after {commits}: {after:?}"),
                Status::Failed => {
                    assert!(seen.len() > 2 && pictures <= 1, "cut after {commits}: {after:?}");
                    assert_eq!(answer.error.unwrap().code, "aborted");
                }
                other => panic!("cut after {commits}: {other:?}"),
            }
        }
    }
}
