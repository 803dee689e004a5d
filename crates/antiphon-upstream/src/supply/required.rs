//! A call where one is required: services and models are asked for one, and not all obey.

use std::sync::Arc;

use antiphon_engine::{BackendError, FinishReason, Message, ModelEvent, ModelRequest, ModelStream, ModelTurn};
use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use tracing::info;

use super::Ask;
use super::cost::Cost;

/// Longer than any words before a call.
const MOST_BYTES: usize = 4 << 20;

/// Asks another, and once more when no call comes. What is said instead is not shown.
pub(super) struct Required(pub(super) Arc<dyn Ask>);

#[async_trait]
impl Ask for Required {
    async fn ask(&self, mut request: ModelRequest) -> Result<ModelStream, BackendError> {
        let mut cost = Cost::default();
        let text = match until_a_call(self.0.ask(request.clone()).await?, &mut cost).await {
            Said::Enough(stream) => return Ok(stream),
            Said::NoCall(text) => text,
        };
        info!("A call is asked for once more");
        if !text.trim().is_empty() {
            request.messages.push(Message::Model(ModelTurn::text(text)));
        }
        request.messages.push(Message::user("Answer with a call of one of the functions, in the form given."));
        match until_a_call(self.0.ask(request).await?, &mut cost).await {
            Said::Enough(stream) => Ok(stream),
            Said::NoCall(_) => {
                let error = BackendError::MalformedCall("The model called no function, though it had to".to_owned());
                Ok(stream::iter([Ok(cost.so_far(0)), Err(error)]).boxed())
            }
        }
    }
}

enum Said {
    /// A call has begun, the answer was cut before one could, or it failed.
    Enough(ModelStream),
    NoCall(String),
}

/// Reads an answer until it is known whether a call comes. `cost` has what was spent before,
/// which the answer's own counts are added to.
async fn until_a_call(mut stream: ModelStream, cost: &mut Cost) -> Said {
    let (mut text, mut held) = (String::new(), Vec::new());
    while let Some(event) = stream.next().await {
        let is_enough = match &event {
            Ok(ModelEvent::Text { text: said, .. }) => {
                text.push_str(said);
                text.len() > MOST_BYTES
            }
            Ok(ModelEvent::CallStarted { .. }) | Err(_) => true,
            Ok(ModelEvent::Finished { reason, .. }) => *reason != FinishReason::Stop,
            Ok(
                ModelEvent::Started { .. }
                | ModelEvent::Counted { .. }
                | ModelEvent::ServedBy { .. }
                | ModelEvent::Thought { .. }
                | ModelEvent::Signed(_)
                | ModelEvent::Picture(_)
                | ModelEvent::CallArguments { .. },
            ) => false,
        };
        held.push(event);
        if is_enough {
            let before = std::mem::take(cost);
            return Said::Enough(
                stream::iter(held).chain(stream).map(move |event| event.map(|event| before.added_to(event))).boxed(),
            );
        }
    }
    for event in held.into_iter().flatten() {
        match event {
            ModelEvent::Counted { input_tokens, cached_tokens, output_tokens } => {
                cost.counted(input_tokens, cached_tokens, output_tokens);
            }
            ModelEvent::Finished { thought_tokens, output_tokens, .. } => cost.end_try(thought_tokens, output_tokens),
            _ => {}
        }
    }
    Said::NoCall(text)
}
