//! One model after another.
//!
//! The next model is asked only while nothing of an answer has come, and only when it is
//! not the request that is to blame. Who answered instead is said.

use std::sync::Arc;

use antiphon_engine::{Backend, BackendError, MediaKind, ModelEvent, ModelRequest, ModelStream, Prepared};
use antiphon_wire::{Error, MediaOptions};
use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use tracing::warn;

use crate::transport::is_piece;

/// The backend that asks the first of its models, and the next when that one cannot answer.
pub struct Fallbacks {
    links: Vec<(String, Arc<dyn Backend>)>,
}

impl Fallbacks {
    /// Names and backends in the order in which they are asked; at least one.
    pub fn new(links: Vec<(String, Arc<dyn Backend>)>) -> Self {
        Self { links }
    }

    /// Asks one model. Its answer has begun when this returns.
    async fn ask(&self, at: usize, request: ModelRequest, prepared: Prepared) -> Result<ModelStream, BackendError> {
        let (name, backend) = &self.links[at];
        // What was prepared was for the first, if that could.
        let again = at > 0 || prepared == Prepared::default();
        let prepared = if again { backend.prepare(&request).await? } else { prepared };
        let input_tokens = prepared.input_tokens;
        let mut stream = backend.generate(request, prepared).await?;
        let mut begun = Vec::new();
        if again && input_tokens > 0 {
            begun.push(Ok(ModelEvent::Counted { input_tokens, cached_tokens: 0, output_tokens: 0 }));
        }
        if at > 0 {
            begun.push(Ok(ModelEvent::ServedBy { name: name.clone() }));
        }
        loop {
            let event = stream.next().await.unwrap_or_else(|| Err(BackendError::Internal("no answer".to_owned())))?;
            let has_begun = is_piece(&event);
            begun.push(Ok(event));
            if has_begun {
                break;
            }
        }
        let whole = stream::iter(begun).chain(stream);
        Ok(if at > 0 { whole.map(|event| event.map(without_tokens)).boxed() } else { whole.boxed() })
    }
}

#[async_trait]
impl Backend for Fallbacks {
    fn slots(&self) -> usize {
        self.links.first().map_or(1, |(_, backend)| backend.slots())
    }

    fn resumes(&self) -> bool {
        self.links.first().is_some_and(|(_, backend)| backend.resumes())
    }

    fn is_ready(&self) -> bool {
        self.links.iter().any(|(_, backend)| backend.is_ready())
    }

    fn takes(&self, kind: MediaKind) -> bool {
        self.links.iter().all(|(_, backend)| backend.takes(kind))
    }

    fn honours(&self, kind: MediaKind, options: &MediaOptions) -> Result<(), Error> {
        self.links.iter().try_for_each(|(_, backend)| backend.honours(kind, options))
    }

    fn draws(&self) -> bool {
        self.links.first().is_some_and(|(_, backend)| backend.draws())
    }

    fn captions(&self) -> bool {
        self.links.iter().all(|(_, backend)| backend.captions())
    }

    async fn prepare(&self, request: &ModelRequest) -> Result<Prepared, BackendError> {
        let Some((name, first)) = self.links.first() else {
            return Err(BackendError::Internal("no model to ask".to_owned()));
        };
        match first.prepare(request).await {
            Err(error) if is_passing(&error) => {
                warn!(model = name, %error, "A model cannot prepare a request; the next will be asked");
                Ok(Prepared::default())
            }
            prepared => prepared,
        }
    }

    async fn generate(&self, request: ModelRequest, prepared: Prepared) -> Result<ModelStream, BackendError> {
        // What an earlier process generated only the first can go on with.
        let last = if request.resume.is_some() { 1 } else { self.links.len() };
        let mut first_error = None;
        for at in 0..last {
            match self.ask(at, request.clone(), prepared.clone()).await {
                Ok(stream) => return Ok(stream),
                Err(error) if at + 1 < last && (at > 0 || is_passing(&error)) => {
                    warn!(model = self.links[at].0, %error, "A model cannot answer; the next is asked");
                    first_error.get_or_insert(error);
                }
                Err(error) => return Err(first_error.unwrap_or(error)),
            }
        }
        Err(first_error.unwrap_or_else(|| BackendError::Internal("no model to ask".to_owned())))
    }
}

/// Whether another model may do better.
fn is_passing(error: &BackendError) -> bool {
    match error {
        BackendError::Unavailable(_) | BackendError::Died(_) | BackendError::Internal(_) => true,
        BackendError::Upstream { code, .. } => {
            matches!(*code, "rate_limit_exceeded" | "service_unavailable" | "deadline_exceeded" | "api_error")
        }
        BackendError::TooLong { .. }
        | BackendError::Rejected(_)
        | BackendError::MalformedCall(_)
        | BackendError::NoImage(_) => false,
    }
}

/// The tokens of another model mean nothing to the one that was called.
fn without_tokens(event: ModelEvent) -> ModelEvent {
    let tokens = Vec::new();
    match event {
        ModelEvent::Thought { text, .. } => ModelEvent::Thought { text, tokens },
        ModelEvent::Text { text, .. } => ModelEvent::Text { text, tokens },
        ModelEvent::CallStarted { name, .. } => ModelEvent::CallStarted { name, tokens },
        ModelEvent::CallArguments { text, .. } => ModelEvent::CallArguments { text, tokens },
        ModelEvent::Finished { reason, thought_tokens, output_tokens, .. } => {
            ModelEvent::Finished { reason, exact: false, thought_tokens, output_tokens }
        }
        ModelEvent::Started { .. }
        | ModelEvent::Counted { .. }
        | ModelEvent::ServedBy { .. }
        | ModelEvent::Signed(_)
        | ModelEvent::Picture(_) => event,
    }
}
