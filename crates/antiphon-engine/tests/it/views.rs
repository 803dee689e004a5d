//! Every view of an interaction is a view of one log.

use std::sync::Arc;

use antiphon_engine::{Caller, ProjectId};
use antiphon_testkit::MemoryStore;
use antiphon_wire::{Code, EventFold, Status, Step};
use futures_util::StreamExt as _;
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::support::{CALLER, create, engine, engine_waiting, line, log, request};

const HELLO: &str = r#"[[reply]]
chunks = ["Hel", "lo ", "you"]
"#;

#[tokio::test(start_paused = true)]
async fn a_plain_answer_is_the_fold_of_its_log() {
    let store = Arc::new(MemoryStore::default());
    let created = create(&engine(HELLO, &store), json!({})).await;
    assert_eq!(created.served_by, "scripted");
    let answer = created.handle.finished().await;
    assert_eq!(
        log(&created.handle, 0).await,
        [
            "#1 interaction.created in_progress",
            "#2 interaction.status_update in_progress",
            "#3 step.start 0 ModelOutput",
            "#4 step.delta 0 text \"Hello you\"",
            "#5 step.stop 0",
            "#6 interaction.status_update completed",
            "#7 interaction.completed completed",
        ]
    );
    let events = store_events(&store, &created.handle).await;
    assert_eq!(EventFold::of(&events).interaction().unwrap(), answer);
    assert_eq!(answer.steps, Some(vec![Step::model_output("Hello you")]));
    let usage = answer.usage.unwrap();
    assert_eq!((usage.total_input_tokens, usage.total_output_tokens, usage.total_tokens), (1, 3, 4));
}

#[tokio::test(start_paused = true)]
async fn the_first_words_wait_for_no_others_and_the_next_ones_do() {
    let store = Arc::new(MemoryStore::default());
    let engine = engine("[[reply]]\nchunks = [\"a\", \"b\", \"c\"]\ndelay_ms = 9", &store);
    let whole = log(&create(&engine, json!({})).await.handle, 0).await;
    let deltas: Vec<_> = whole.iter().filter(|line| line.contains("step.delta")).collect();
    assert_eq!(deltas, ["#4 step.delta 0 text \"a\"", "#5 step.delta 0 text \"bc\""]);
}

async fn store_events(store: &MemoryStore, handle: &antiphon_engine::Handle) -> Vec<antiphon_wire::InteractionEvent> {
    use antiphon_engine::Store as _;
    store.events(CALLER.project, handle.id()).await.unwrap().into_iter().map(|event| event.body).collect()
}

#[tokio::test(start_paused = true)]
async fn following_after_any_event_gives_exactly_the_rest() {
    let store = Arc::new(MemoryStore::default());
    let engine = engine("[[reply]]\nchunks = [\"a\", \"b\", \"c\"]\nthought = \"hm\"\ndelay_ms = 50", &store);
    let live = create(&engine, json!({})).await.handle;
    let whole = log(&live, 0).await;
    let stored = engine.get(CALLER, live.id()).await.unwrap();
    for after in 0..=whole.len() {
        assert_eq!(log(&live, after as u64).await, whole[after..]);
        assert_eq!(log(&stored, after as u64).await, whole[after..]);
    }
}

#[tokio::test(start_paused = true)]
async fn get_shows_the_input_first_and_what_was_generated() {
    let store = Arc::new(MemoryStore::default());
    let engine = engine(HELLO, &store);
    let handle = create(&engine, json!({"system_instruction": "brief", "labels": {"a": "b"}})).await.handle;
    let answer = handle.finished().await;
    let found = engine.get(CALLER, handle.id()).await.unwrap().timeline(true);
    let steps = found.steps.unwrap();
    assert_eq!(steps[0], request(json!({})).input[0]);
    assert_eq!(Some(&steps[1..]), answer.steps.as_deref());
    assert_eq!(found.input, Some(request(json!({})).input));
    assert_eq!(found.system_instruction.as_deref(), Some("brief"));
    assert_eq!(found.labels, answer.labels);
}

#[tokio::test(start_paused = true)]
async fn reasoning_is_a_signed_thought_and_its_summary_only_when_asked_for() {
    let script = "[[reply]]\nthought = \"It is two.\"\nchunks = [\"2\"]";
    let store = Arc::new(MemoryStore::default());
    let engine = engine(script, &store);
    let plain = create(&engine, json!({})).await.handle;
    plain.finished().await;
    assert_eq!(
        log(&plain, 2).await[..4],
        ["#3 step.start 0 Thought", "#4 step.delta 0 signature", "#5 step.stop 0", "#6 step.start 1 ModelOutput"]
    );
    let summed = create(&engine, json!({"generation_config": {"thinking_summaries": "auto"}})).await.handle;
    let answer = summed.finished().await;
    let Some([Step::Thought(thought), Step::ModelOutput(_)]) = answer.steps.as_deref() else { panic!("{answer:?}") };
    assert_eq!(serde_json::to_value(&thought.summary).unwrap(), json!([{"type": "text", "text": "It is two."}]));
    assert!(thought.signature.as_ref().is_some_and(|signature| !signature.is_empty()));
    assert_eq!(answer.usage.unwrap().total_thought_tokens, 1);
}

#[tokio::test(start_paused = true)]
async fn limits_and_stop_sequences_end_the_answer() {
    let store = Arc::new(MemoryStore::default());
    let engine = engine(HELLO, &store);
    let rows = [
        (json!({"max_output_tokens": 2}), Status::Incomplete, "Hello "),
        (json!({"stop_sequences": ["o y"]}), Status::Completed, "Hell"),
        (json!({"max_output_tokens": 3}), Status::Completed, "Hello you"),
    ];
    for (config, status, text) in rows {
        let answer = create(&engine, json!({"generation_config": config.clone()})).await.handle.finished().await;
        assert_eq!((answer.status, answer.steps), (status, Some(vec![Step::model_output(text)])), "{config}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_is_a_failed_interaction_with_what_it_had() {
    let store = Arc::new(MemoryStore::default());
    let engine = engine("[[reply]]\nchunks = [\"a\", \"b\"]\nfail_after = 1", &store);
    let handle = create(&engine, json!({})).await.handle;
    let answer = handle.finished().await;
    assert_eq!(
        log(&handle, 2).await,
        [
            "#3 step.start 0 ModelOutput",
            "#4 step.delta 0 text \"a\"",
            "#5 step.stop 0",
            "#6 error service_unavailable",
            "#7 interaction.status_update failed",
            "#8 interaction.completed failed",
        ]
    );
    assert_eq!(answer.error.as_ref(), answer.errors.first());
    assert_eq!(answer.error.unwrap().code, "service_unavailable");
}

const SLOW: &str = "[[reply]]\nchunks = [\"a\", \"b\", \"c\", \"d\"]\ndelay_ms = 1000";

#[tokio::test(start_paused = true)]
async fn cancelling_twice_is_cancelling_once_and_final() {
    let store = Arc::new(MemoryStore::default());
    let engine = engine(SLOW, &store);
    let handle = create(&engine, json!({"background": true})).await.handle;
    assert_eq!((handle.accepted().status, handle.accepted().steps), (Status::InProgress, None));
    let mut events = Box::pin(handle.follow(0));
    while !line(events.next().await.unwrap()).contains("text") {}
    let first = engine.cancel(CALLER, handle.id()).await.unwrap();
    let second = engine.cancel(CALLER, handle.id()).await.unwrap();
    assert_eq!((first.status, &first), (Status::Cancelled, &second));
    assert_eq!(handle.finished().await.status, Status::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn only_a_running_background_interaction_can_be_cancelled() {
    let store = Arc::new(MemoryStore::default());
    let engine = engine(HELLO, &store);
    for background in [true, false] {
        let handle = create(&engine, json!({"background": background})).await.handle;
        handle.finished().await;
        let refused = engine.cancel(CALLER, handle.id()).await.unwrap_err();
        assert_eq!(refused.code, Code::FailedPrecondition);
    }
}

#[tokio::test(start_paused = true)]
async fn deleting_a_running_interaction_cancels_it_and_leaves_nothing() {
    let store = Arc::new(MemoryStore::default());
    let engine = engine(SLOW, &store);
    let handle = create(&engine, json!({"background": true})).await.handle;
    engine.delete(CALLER, handle.id()).await.unwrap();
    assert_eq!(handle.finished().await.status, Status::Cancelled);
    assert_eq!(engine.get(CALLER, handle.id()).await.unwrap_err().code, Code::NotFound);
    assert_eq!(engine.delete(CALLER, handle.id()).await.unwrap_err().code, Code::NotFound);
    let next = engine.create(CALLER, request(json!({"previous_interaction_id": handle.id()}))).await;
    assert_eq!(next.unwrap_err().code, Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn an_unstored_run_ends_with_its_handle_and_a_stored_one_does_not() {
    let store = Arc::new(MemoryStore::default());
    let engine = engine(SLOW, &store);
    let unstored = create(&engine, json!({"store": false})).await.handle;
    let unseen = unstored.id().clone();
    assert_eq!(engine.get(CALLER, &unseen).await.unwrap_err().code, Code::NotFound);
    let mut events = Box::pin(unstored.follow(2));
    drop(unstored);
    let mut last = String::new();
    while let Some(event) = events.next().await {
        last = line(event);
    }
    assert!(last.ends_with("cancelled"), "{last}");

    let stored = create(&engine, json!({})).await.handle;
    let id = stored.id().clone();
    drop(stored);
    let answer = engine.get(CALLER, &id).await.unwrap().finished().await;
    assert_eq!(answer.status, Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_goes_on_only_from_what_has_ended_and_is_ones_own() {
    let store = Arc::new(MemoryStore::default());
    let engine = engine(SLOW, &store);
    let first = create(&engine, json!({"background": true})).await.handle;
    let next = request(json!({"previous_interaction_id": first.id()}));
    assert_eq!(engine.create(CALLER, next.clone()).await.unwrap_err().code, Code::FailedPrecondition);
    first.finished().await;
    let stranger = Caller { project: ProjectId(2) };
    assert_eq!(engine.create(stranger, next.clone()).await.unwrap_err().code, Code::NotFound);
    assert_eq!(engine.get(stranger, first.id()).await.unwrap_err().code, Code::NotFound);
    let answer = engine.create(CALLER, next).await.unwrap().handle.finished().await;
    // "hi", "abcd" and "hi" again: the second turn saw the first.
    assert_eq!(answer.usage.unwrap().total_input_tokens, 3);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_said_and_nothing_is_kept() {
    let store = Arc::new(MemoryStore::default());
    let engine = engine_waiting(&format!("slots = 1\n{SLOW}"), &store, 1);
    let running = create(&engine, json!({})).await.handle;
    let waiting = create(&engine, json!({})).await.handle;
    let refused = engine.create(CALLER, request(json!({}))).await.unwrap_err();
    assert_eq!(refused.code, Code::RateLimitExceeded);
    for handle in [running, waiting] {
        assert_eq!(handle.finished().await.status, Status::Completed);
    }
}

#[tokio::test(start_paused = true)]
async fn too_long_an_input_is_refused_with_both_numbers() {
    let store = Arc::new(MemoryStore::default());
    let engine = engine(&format!("context = 4\n{HELLO}"), &store);
    let refused = engine.create(CALLER, request(json!({"input": "one two three four five"}))).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidRequest);
    assert!(refused.message.contains('5') && refused.message.contains('4'), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_written_breaks_off_and_ends_failed_when_it_can() {
    let store = Arc::new(MemoryStore::default());
    let engine = engine(SLOW, &store);
    let handle = create(&engine, json!({})).await.handle;
    store.fail_appends(3);
    let seen = log(&handle, 0).await;
    assert_eq!(seen.last().map(String::as_str), Some("broken: service_unavailable"));
    assert_eq!(seen[..seen.len() - 1], log(&handle, 0).await[..seen.len() - 1]);
    assert_eq!(handle.finished().await.status, Status::Failed);
    // The run retries until the store takes its end.
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    let found = engine.get(CALLER, handle.id()).await.unwrap();
    assert_eq!(found.finished().await.status, Status::Failed);
    assert!(log(&found, 0).await.last().unwrap().ends_with("interaction.completed failed"));
}
