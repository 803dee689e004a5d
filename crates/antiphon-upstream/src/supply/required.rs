//! A call where one is required: services and models are asked for one, and not all obey.

use std::sync::Arc;

use antiphon_engine::{BackendError, FinishReason, Message, ModelEvent, ModelRequest, ModelStream, ModelTurn};
use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use tracing::info;

use super::Ask;

/// Longer than any words before a call.
const MOST_BYTES: usize = 4 << 20;

/// Asks another, and once more when no call comes. What is said instead is not shown.
pub(super) struct Required(pub(super) Arc<dyn Ask>);

#[async_trait]
impl Ask for Required {
    async fn ask(&self, mut request: ModelRequest) -> Result<ModelStream, BackendError> {
        let text = match until_a_call(self.0.ask(request.clone()).await?).await? {
            Said::Enough(stream) => return Ok(stream),
            Said::NoCall(text) => text,
        };
        info!("A call is asked for once more");
        if !text.trim().is_empty() {
            request.messages.push(Message::Model(ModelTurn::text(text)));
        }
        request.messages.push(Message::user("Answer with a call of one of the functions, in the form given."));
        match until_a_call(self.0.ask(request).await?).await? {
            Said::Enough(stream) => Ok(stream),
            Said::NoCall(_) => {
                Err(BackendError::MalformedCall("The model called no function, though it had to".to_owned()))
            }
        }
    }
}

enum Said {
    /// A call has begun, or the answer was cut before one could.
    Enough(ModelStream),
    NoCall(String),
}

async fn until_a_call(mut stream: ModelStream) -> Result<Said, BackendError> {
    let (mut text, mut held) = (String::new(), Vec::new());
    while let Some(event) = stream.next().await {
        let event = event?;
        let is_enough = match &event {
            ModelEvent::Text { text: said, .. } => {
                text.push_str(said);
                text.len() > MOST_BYTES
            }
            ModelEvent::CallStarted { .. } => true,
            ModelEvent::Finished { reason, .. } => *reason != FinishReason::Stop,
            ModelEvent::Started { .. }
            | ModelEvent::Counted { .. }
            | ModelEvent::ServedBy { .. }
            | ModelEvent::Thought { .. }
            | ModelEvent::Signed(_)
            | ModelEvent::CallArguments { .. } => false,
        };
        held.push(Ok(event));
        if is_enough {
            return Ok(Said::Enough(stream::iter(held).chain(stream).boxed()));
        }
    }
    Ok(Said::NoCall(text))
}
