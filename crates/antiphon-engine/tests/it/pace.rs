//! When what a model says is shown: as it comes, or together with what comes soon after it.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use antiphon_engine::{
    Backend, BackendError, FinishReason, Followed, Handle, ModelEvent, ModelRequest, ModelStream, NoTools, Prepared,
};
use antiphon_testkit::MemoryStore;
use antiphon_wire::{InteractionEvent, StepDelta};
use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use pretty_assertions::assert_eq;
use serde_json::json;
use tokio::time::Instant;

use crate::support::{create, engine, engine_behind};

/// Texts with the moments at which they are shown, in ms since the first was, of a model that needs so many ms for each.
async fn shown(delay: u64) -> Vec<(u64, String)> {
    let script = format!("[[reply]]\nchunks = [\"a\", \"b\", \"c\", \"d\", \"e\"]\ndelay_ms = {delay}\n");
    texts(create(&engine(&script, &Arc::default()), json!({})).await.handle).await
}

async fn texts(handle: Handle) -> Vec<(u64, String)> {
    let mut events = pin!(handle.follow(0));
    let mut first = None;
    let mut found = Vec::new();
    while let Some(Followed::Event(event)) = events.next().await {
        let InteractionEvent::StepDelta(delta) = &event.body else { continue };
        let StepDelta::Text { text } = &delta.delta else { continue };
        let since = *first.get_or_insert_with(Instant::now);
        found.push((since.elapsed().as_millis() as u64, text.clone()));
    }
    found
}

fn said(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|(at, text)| (*at, (*text).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn what_a_slow_model_says_is_shown_as_it_comes() {
    assert_eq!(shown(30).await, said(&[(0, "a"), (30, "b"), (60, "c"), (90, "d"), (120, "e")]));
}

#[tokio::test(start_paused = true)]
async fn what_a_fast_model_says_after_the_first_is_shown_together() {
    assert_eq!(shown(12).await, said(&[(0, "a"), (24, "bc"), (48, "de")]));
}

#[tokio::test(start_paused = true)]
async fn what_is_there_at_once_is_shown_at_once() {
    assert_eq!(shown(0).await, said(&[(0, "abcde")]));
}

/// Never lets anybody wait for it, and takes 3 ms for each of its twenty chunks.
struct Flood;

#[async_trait]
impl Backend for Flood {
    fn slots(&self) -> usize {
        1
    }

    fn resumes(&self) -> bool {
        false
    }

    fn is_ready(&self) -> bool {
        true
    }

    async fn prepare(&self, _: &ModelRequest) -> Result<Prepared, BackendError> {
        Ok(Prepared::default())
    }

    async fn generate(&self, _: ModelRequest, _: Prepared) -> Result<ModelStream, BackendError> {
        let chunks = stream::iter(0..20).map(|_| {
            // The clock moves when this is polled first.
            let _ = pin!(tokio::time::advance(Duration::from_millis(3))).poll(&mut Context::from_waker(Waker::noop()));
            Ok(ModelEvent::Text { text: ".".to_owned(), tokens: Vec::new() })
        });
        let end =
            ModelEvent::Finished { reason: FinishReason::Stop, exact: false, thought_tokens: 0, output_tokens: 20 };
        Ok(chunks.chain(stream::iter([Ok(end)])).boxed())
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_long_for_what_goes_on_coming() {
    let engine = engine_behind(Arc::new(Flood), 1000, &Arc::<MemoryStore>::default(), 64, Arc::new(NoTools));
    let shown = texts(create(&engine, json!({})).await.handle).await;
    assert_eq!(shown.iter().map(|(_, text)| text.len()).sum::<usize>(), 20);
    assert!(shown.iter().all(|(_, text)| text.len() <= 8), "more than 20 ms together: {shown:?}");
}
