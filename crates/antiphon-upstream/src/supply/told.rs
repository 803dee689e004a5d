//! Functions that a model is told of in words, and calls that are read from its text.
//!
//! Only what the model itself has just written is read: nothing that was said to it can
//! become a call.

use std::sync::Arc;

use antiphon_dialect::{Callable, ChatTemplate, Output, OutputParser};
use antiphon_engine::{
    BackendError, CallResult, Calls, FinishReason, Message, ModelEvent, ModelRequest, ModelStream, Said, Tool,
};
use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use super::Ask;

/// A template that has no form of calls of its own, so that the usual one is read.
const TEMPLATE: &str = "{% for message in messages %}{{ message.content }}{% endfor %}";

/// What the model has to know.
pub(super) fn instruction(tools: &[Tool], calls: Calls) -> String {
    let mut text = "You can call functions. To call one, write exactly this, and nothing after it:\n\
        <tool_call>\n{\"name\": \"the function\", \"arguments\": {\"the parameter\": \"its value\"}}\n</tool_call>\n\
        Several calls are written one after the other. The results come in the next message. The functions:"
        .to_owned();
    for tool in tools {
        let described =
            json!({"name": tool.name, "description": tool.description, "parameters": tool.parameters.source()});
        text.push('\n');
        text.push_str(&described.to_string());
    }
    if calls == Calls::Required {
        text.push_str("\nAnswer with a call.");
    }
    text
}

/// Earlier calls and results in the same words.
pub(super) fn rewrite(messages: &mut [Message]) {
    for message in messages {
        match message {
            Message::User(_) => {}
            Message::Model(turn) => turn.said.iter_mut().for_each(|said| {
                if let Said::Call(call) = said {
                    let call = json!({"name": call.name, "arguments": call.arguments});
                    *said = Said::Text(format!("<tool_call>\n{call}\n</tool_call>\n"));
                }
            }),
            Message::Result(CallResult { name, text, is_error, .. }) => {
                let failed = if *is_error { " failed" } else { "" };
                *message = Message::user(format!("<tool_response>\n`{name}`{failed}: {text}\n</tool_response>"));
            }
        }
    }
}

/// Reads calls from what another says.
pub(super) struct Reading {
    pub(super) ask: Arc<dyn Ask>,
    pub(super) tools: Vec<Tool>,
}

#[async_trait]
impl Ask for Reading {
    async fn ask(&self, request: ModelRequest) -> Result<ModelStream, BackendError> {
        let callable = self
            .tools
            .iter()
            .map(|tool| Callable { name: tool.name.clone(), parameters: tool.parameters.grammar().clone() })
            .collect();
        let template =
            ChatTemplate::compile(TEMPLATE, "", "").map_err(|error| BackendError::Internal(error.to_string()))?;
        let parser = template.parser("", Vec::new(), callable);
        let stream = self.ask.ask(request).await?;
        let events = stream::unfold(Some((parser, stream)), |state| async move {
            let (mut parser, mut stream) = state?;
            let (events, over) = match stream.next().await? {
                Ok(event) => take(&mut parser, event),
                Err(error) => (vec![Err(error)], true),
            };
            Some((stream::iter(events), (!over).then_some((parser, stream))))
        });
        Ok(events.flatten().boxed())
    }
}

type Events = Vec<Result<ModelEvent, BackendError>>;

/// What an event means once calls are read from it, and whether it is the last.
fn take(parser: &mut OutputParser, event: ModelEvent) -> (Events, bool) {
    match event {
        ModelEvent::Text { text, .. } => said(parser.push(&text), true),
        ModelEvent::Finished { reason, .. } => {
            let (mut events, failed) = said(parser.finish(), reason == FinishReason::Stop);
            if !failed {
                events.push(Ok(event));
            }
            (events, true)
        }
        ModelEvent::Started { .. }
        | ModelEvent::Counted { .. }
        | ModelEvent::ServedBy { .. }
        | ModelEvent::Thought { .. }
        | ModelEvent::Signed(_)
        | ModelEvent::CallStarted { .. }
        | ModelEvent::CallArguments { .. } => (vec![Ok(event)], false),
    }
}

/// A call that cannot be read is an error, unless the answer's limit cut it.
fn said(outputs: Vec<Output>, is_whole: bool) -> (Events, bool) {
    let tokens = Vec::new;
    let mut events = Vec::new();
    for output in outputs {
        events.push(Ok(match output {
            Output::Thought(text) => ModelEvent::Thought { text, tokens: tokens() },
            Output::Text(text) => ModelEvent::Text { text, tokens: tokens() },
            Output::CallStarted { name } => ModelEvent::CallStarted { name, tokens: tokens() },
            Output::CallArguments(text) => ModelEvent::CallArguments { text, tokens: tokens() },
            Output::CallEnded => continue,
            Output::Malformed(_) if !is_whole => continue,
            Output::Malformed(what) => {
                let message = format!("The model's call cannot be read: {what}");
                events.push(Err(BackendError::MalformedCall(message)));
                return (events, true);
            }
        }));
    }
    (events, false)
}
