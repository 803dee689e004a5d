//! An answer that is held back until it conforms to its schema, and asked for again when it
//! does not.

use std::collections::VecDeque;
use std::sync::Arc;

use antiphon_engine::{BackendError, FinishReason, Message, ModelEvent, ModelRequest, ModelStream, ModelTurn, Schema};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use tracing::info;

use super::Ask;
use super::cost::Cost;

/// How often a model is told what is wrong.
const REPAIRS: u32 = 2;

const MOST_BYTES: usize = 4 << 20;

/// The schema in words.
pub(super) fn instruction(schema: &Schema) -> String {
    format!(
        "The final answer is JSON that conforms to this JSON Schema, and nothing else: no other text, no code fence.\n{}",
        schema.description()
    )
}

/// Asks, and shows the answer once it conforms. Calls are shown as they come: a schema
/// binds none. `second` is asked instead of a repair, the first time.
pub(super) async fn until_it_conforms(
    ask: Arc<dyn Ask>,
    request: ModelRequest,
    schema: Schema,
    second: Option<ModelRequest>,
) -> Result<ModelStream, BackendError> {
    let stream = ask.ask(request.clone()).await?;
    let held = Held {
        ask,
        request,
        second,
        schema,
        stream,
        text: String::new(),
        ready: VecDeque::new(),
        has_calls: false,
        repairs: 0,
        cost: Cost::default(),
        over: false,
        failed: None,
    };
    Ok(stream::unfold(held, |mut held| async move { held.next().await.map(|event| (event, held)) }).boxed())
}

struct Held {
    ask: Arc<dyn Ask>,
    request: ModelRequest,
    second: Option<ModelRequest>,
    schema: Schema,
    stream: ModelStream,
    /// The answer so far, not shown yet.
    text: String,
    ready: VecDeque<ModelEvent>,
    has_calls: bool,
    repairs: u32,
    cost: Cost,
    over: bool,
    failed: Option<BackendError>,
}

impl Held {
    async fn next(&mut self) -> Option<Result<ModelEvent, BackendError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.over {
                // What it cost was said before.
                return self.failed.take().map(Err);
            }
            let event = self.stream.next().await;
            let event = event.unwrap_or_else(|| Err(BackendError::Internal("an answer had no end".to_owned())));
            let taken = match event {
                Ok(event) => self.take(event).await,
                Err(error) => Err(error),
            };
            if let Err(error) = taken {
                self.over = true;
                self.failed = Some(error);
            }
        }
    }

    async fn take(&mut self, event: ModelEvent) -> Result<(), BackendError> {
        match event {
            // What led to an answer that was not good enough is shown once.
            ModelEvent::Started { .. } | ModelEvent::Thought { .. } | ModelEvent::Signed(_) => {
                if self.cost.is_first_try() {
                    self.ready.push_back(event);
                }
            }
            ModelEvent::ServedBy { .. } | ModelEvent::Picture(_) => self.ready.push_back(event),
            ModelEvent::Counted { input_tokens, cached_tokens, output_tokens } => {
                self.ready.push_back(self.cost.counted(input_tokens, cached_tokens, output_tokens));
            }
            ModelEvent::Text { text, .. } => {
                self.text.push_str(&text);
                if self.text.len() > MOST_BYTES {
                    return Err(malformed("it is longer than any can be"));
                }
            }
            ModelEvent::CallStarted { .. } | ModelEvent::CallArguments { .. } => {
                self.has_calls = true;
                self.show_text();
                self.ready.push_back(event);
            }
            ModelEvent::Finished { reason, thought_tokens, output_tokens, .. } => {
                self.cost.end_try(thought_tokens, output_tokens);
                self.finish(reason).await?;
            }
        }
        Ok(())
    }

    async fn finish(&mut self, reason: FinishReason) -> Result<(), BackendError> {
        if self.has_calls || reason != FinishReason::Stop {
            self.end(reason);
            return Ok(());
        }
        let why = match conforming(&self.schema, &self.text) {
            Ok(answer) => {
                self.text = answer;
                self.end(reason);
                return Ok(());
            }
            Err(why) => why,
        };
        let said = std::mem::take(&mut self.text);
        let said = (!said.trim().is_empty()).then(|| Message::Model(ModelTurn::text(said)));
        if let Some(second) = self.second.take() {
            info!("An answer is asked for in its form");
            self.request = second;
            let please = "Give this answer again, as JSON that conforms to the schema.".to_owned();
            self.request.messages.extend(said.into_iter().chain([Message::user(please)]));
        } else if self.repairs < REPAIRS {
            self.repairs += 1;
            info!(repairs = self.repairs, "An answer does not conform; the model is told so");
            let told = format!("This does not conform: {why}. Answer again. {}", instruction(&self.schema));
            self.request.messages.extend(said.into_iter().chain([Message::user(told)]));
        } else {
            return Err(malformed(&why));
        }
        self.stream = self.ask.ask(self.request.clone()).await?;
        Ok(())
    }

    fn show_text(&mut self) {
        let text = std::mem::take(&mut self.text);
        if !text.is_empty() {
            self.ready.push_back(ModelEvent::Text { text, tokens: Vec::new() });
        }
    }

    fn end(&mut self, reason: FinishReason) {
        self.show_text();
        self.ready.extend(self.cost.end(reason));
        self.over = true;
    }
}

fn malformed(why: &str) -> BackendError {
    BackendError::Upstream {
        code: "malformed_response",
        message: format!("The model's answer does not conform to the schema: {why}"),
        detail: String::new(),
    }
}

/// The JSON of an answer: all of it, what is inside its fence, or from its first bracket to
/// the last.
///
/// # Errors
/// Why the whole does not conform, without a value in it.
fn conforming(schema: &Schema, text: &str) -> Result<String, String> {
    let whole = check(schema, text.trim());
    if whole.is_ok() {
        return whole;
    }
    let fenced = text.split("```").nth(1).map(|inside| inside.strip_prefix("json").unwrap_or(inside).trim());
    let bracketed = text.find(['{', '[']).zip(text.rfind(['}', ']'])).filter(|(start, end)| start < end);
    let candidates = fenced.into_iter().chain(bracketed.map(|(start, end)| &text[start..=end]));
    candidates.map(|candidate| check(schema, candidate)).find(Result::is_ok).unwrap_or(whole)
}

fn check(schema: &Schema, text: &str) -> Result<String, String> {
    let value: Value = serde_json::from_str(text).map_err(|_| "it is no JSON".to_owned())?;
    match schema.validate(&value) {
        Ok(()) => Ok(text.to_owned()),
        Err(violation) => Err(format!("at `{}`: {}", violation.pointer, violation.message)),
    }
}
