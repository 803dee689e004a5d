//! What a service cannot do is done here: calls and schemas told in words and read from
//! text, calls and answers held back until they conform and asked for again, stop sequences.
//!
//! A service that takes tools or a schema, but not both, is asked twice: with the tools,
//! and, when no call comes of it and the answer does not conform, for the answer in its
//! form.

use std::sync::Arc;

use antiphon_dialect::Stops;
use antiphon_engine::{BackendError, Calls, Message, ModelEvent, ModelRequest, ModelStream, Part, Schema};
use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use tracing::info;

use crate::options::{Capabilities, SchemaSupport, ToolSupport};

mod cost;
mod held;
mod required;
#[cfg(test)]
mod tests;
mod told;

/// One call of the service.
#[async_trait]
pub(crate) trait Ask: Send + Sync {
    /// The stream begins with the first piece of the answer: until then nothing was shown.
    async fn ask(&self, request: ModelRequest) -> Result<ModelStream, BackendError>;
}

/// What is done here for one request.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    /// Tools are told in words.
    tells_tools: bool,
    /// The schema is told in words.
    tells_schema: bool,
    /// The answer is held back until it conforms.
    holds: bool,
    /// An answer that does not conform is asked for again with the schema in the service's
    /// own form.
    has_second_phase: bool,
}

impl Plan {
    fn of(request: &ModelRequest, capabilities: &Capabilities) -> Self {
        let tells_tools = !request.tools.is_empty() && capabilities.tools == ToolSupport::Prompted;
        let has_tools = !request.tools.is_empty() && !tells_tools;
        let has_second_phase = request.answer.is_some()
            && has_tools
            && !capabilities.tools_with_schema
            && capabilities.schema != SchemaSupport::Prompted;
        let tells_schema = request.answer.is_some()
            && (capabilities.schema == SchemaSupport::Prompted || has_second_phase || tells_tools);
        let holds = request.answer.is_some() && (tells_schema || capabilities.schema != SchemaSupport::Enforced);
        Self { tells_tools, tells_schema, holds, has_second_phase }
    }
}

/// The request that is sent first: the given one without what the service lacks.
///
/// # Errors
/// [`BackendError::Rejected`] for what cannot be supplied either.
pub(crate) fn first_request(request: &ModelRequest, capabilities: &Capabilities) -> Result<ModelRequest, BackendError> {
    if capabilities.tools == ToolSupport::Refused && !request.tools.is_empty() {
        return Err(BackendError::Rejected("`tools`: this model calls no functions".to_owned()));
    }
    let parts = request.messages.iter().flat_map(|message| match message {
        Message::User(parts) => parts.as_slice(),
        Message::Model(_) | Message::Result(_) => &[],
    });
    for part in parts {
        match part {
            Part::Media(media) if !capabilities.media.contains(&media.kind) => {
                return Err(BackendError::Rejected(format!("`input`: this model takes no `{}`", media.mime_type)));
            }
            Part::Media(_) | Part::Text(_) => {}
        }
    }
    let plan = Plan::of(request, capabilities);
    let mut first = request.clone();
    if capabilities.tools == ToolSupport::Prompted {
        let follows_result = matches!(first.messages.last(), Some(Message::Result(_)));
        told::rewrite(&mut first.messages);
        if follows_result && request.answer.is_none() && request.calls != Calls::Required {
            ask_last(&mut first.messages, told::ANSWER_NOW);
        }
    }
    if plan.tells_tools {
        add_instruction(&mut first, &told::instruction(&request.tools, request.calls));
        first.tools.clear();
        first.calls = Calls::None;
    }
    if plan.tells_schema
        && let Some(schema) = first.answer.take()
    {
        ask_last(&mut first.messages, &held::instruction(&schema));
    }
    Ok(first)
}

/// Carries out a request with whatever the service has.
pub(crate) async fn generate(
    ask: Arc<dyn Ask>,
    capabilities: &Capabilities,
    request: ModelRequest,
) -> Result<ModelStream, BackendError> {
    let plan = Plan::of(&request, capabilities);
    let first = first_request(&request, capabilities)?;
    if plan.tells_tools || plan.holds {
        info!(tells_tools = plan.tells_tools, tells_schema = plan.tells_schema, holds = plan.holds, "Supplied here");
    }
    let ask: Arc<dyn Ask> =
        if plan.tells_tools { Arc::new(told::Reading { ask, tools: request.tools.clone() }) } else { ask };
    let ask: Arc<dyn Ask> = if request.calls == Calls::Required { Arc::new(required::Required(ask)) } else { ask };
    match request.answer.clone().filter(|_| plan.holds) {
        None => ask.ask(first).await,
        Some(schema) => {
            let second = plan.has_second_phase.then(|| second_phase(&request, &schema));
            held::until_it_conforms(ask, first, schema, second).await
        }
    }
}

fn second_phase(request: &ModelRequest, schema: &Schema) -> ModelRequest {
    ModelRequest { tools: Vec::new(), calls: Calls::None, answer: Some(schema.clone()), ..request.clone() }
}

/// Text at the end of the system instruction: a prefix that is cached stays one.
fn add_instruction(request: &mut ModelRequest, text: &str) {
    let system = request.system_instruction.get_or_insert_default();
    if !system.is_empty() {
        system.push_str("\n\n");
    }
    system.push_str(text);
}

/// Text at the end of what is asked: a small model does not look back for the form of its
/// answer as far as the system instruction.
fn ask_last(messages: &mut Vec<Message>, text: &str) {
    match messages.last_mut() {
        Some(Message::User(parts)) => match parts.last_mut() {
            Some(Part::Text(said)) => {
                said.push_str("\n\n");
                said.push_str(text);
            }
            Some(Part::Media(_)) | None => parts.push(Part::Text(text.to_owned())),
        },
        Some(Message::Model(_) | Message::Result(_)) | None => messages.push(Message::user(text.to_owned())),
    }
}

/// Ends the text before the first stop sequence, also where the service takes none. What
/// the service says after it is read to its end and not shown: only there are its counts.
pub(crate) fn cut_at(stops: Vec<String>, stream: ModelStream) -> ModelStream {
    if stops.is_empty() {
        return stream;
    }
    let cutting = stream.scan(Stops::new(stops), |stops, event| {
        let shown = match event {
            Ok(event) => cut(stops, event).into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        futures_util::future::ready(Some(stream::iter(shown)))
    });
    cutting.flatten().boxed()
}

fn cut(stops: &mut Stops, event: ModelEvent) -> Vec<ModelEvent> {
    let text = |text: String| (!text.is_empty()).then_some(ModelEvent::Text { text, tokens: Vec::new() });
    match event {
        ModelEvent::Text { text: said, .. } => text(stops.push(&said)).into_iter().collect(),
        ModelEvent::Started { .. } | ModelEvent::Counted { .. } | ModelEvent::ServedBy { .. } => vec![event],
        ModelEvent::Finished { thought_tokens, output_tokens, .. } if stops.stopped() => {
            let reason = antiphon_engine::FinishReason::Stop;
            vec![ModelEvent::Finished { reason, exact: false, thought_tokens, output_tokens }]
        }
        ModelEvent::Thought { .. }
        | ModelEvent::Signed(_)
        | ModelEvent::Picture(_)
        | ModelEvent::CallStarted { .. }
        | ModelEvent::CallArguments { .. }
            if stops.stopped() =>
        {
            Vec::new()
        }
        ModelEvent::Thought { .. }
        | ModelEvent::Signed(_)
        | ModelEvent::Picture(_)
        | ModelEvent::CallStarted { .. }
        | ModelEvent::CallArguments { .. }
        | ModelEvent::Finished { .. } => text(stops.flush()).into_iter().chain([event]).collect(),
    }
}
