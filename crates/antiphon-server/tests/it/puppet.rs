//! A model that says what the test makes it say, when the test makes it.

use antiphon_engine::{Backend, BackendError, FinishReason, Message, ModelEvent, ModelRequest, ModelStream, Prepared};
use async_trait::async_trait;
use futures_util::StreamExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub(crate) enum Puppet {
    /// Says these chunks at once.
    Says(&'static [&'static str]),
    /// Hands every call to the test.
    Asks(UnboundedSender<Call>),
}

impl Puppet {
    pub(crate) fn asking() -> (Self, UnboundedReceiver<Call>) {
        let (sender, calls) = unbounded_channel();
        (Self::Asks(sender), calls)
    }
}

/// One model call in the hands of the test.
pub(crate) struct Call {
    said: UnboundedSender<ModelEvent>,
}

impl Call {
    pub(crate) fn say(&self, text: &str) {
        self.said.send(ModelEvent::Text { text: text.to_owned(), tokens: Vec::new() }).unwrap();
    }

    pub(crate) fn finish(self) {
        self.said.send(finished()).unwrap();
    }

    /// Waits until nobody listens to the model any more.
    pub(crate) async fn dropped(&self) {
        self.said.closed().await;
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.said.is_closed()
    }
}

fn finished() -> ModelEvent {
    ModelEvent::Finished { reason: FinishReason::Stop, thought_tokens: 0, output_tokens: 1, exact: true }
}

#[async_trait]
impl Backend for Puppet {
    fn slots(&self) -> usize {
        4
    }

    fn resumes(&self) -> bool {
        false
    }

    fn is_ready(&self) -> bool {
        true
    }

    async fn prepare(&self, request: &ModelRequest) -> Result<Prepared, BackendError> {
        let asked = |message: &Message| *message == Message::user("panic");
        assert!(!request.messages.iter().any(asked), "the test asked for it");
        Ok(Prepared { input_tokens: 1, ..Prepared::default() })
    }

    async fn generate(&self, _: ModelRequest, _: Prepared) -> Result<ModelStream, BackendError> {
        let (said, mut events) = unbounded_channel();
        let call = Call { said };
        match self {
            Self::Says(chunks) => {
                chunks.iter().for_each(|chunk| call.say(chunk));
                call.finish();
            }
            Self::Asks(calls) => calls.send(call).map_err(|_| BackendError::Died("the test is over".to_owned()))?,
        }
        Ok(futures_util::stream::poll_fn(move |context| events.poll_recv(context)).map(Ok).boxed())
    }
}
