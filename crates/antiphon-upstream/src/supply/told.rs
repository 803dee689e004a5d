//! Functions that a model is told of in words, and calls that are read from its text: shown
//! once they are whole and their arguments conform, and asked for again when they do not.
//!
//! Only what the model itself has just written is read: nothing that was said to it can
//! become a call.

use std::collections::VecDeque;
use std::sync::Arc;

use antiphon_dialect::{Callable, ChatTemplate, Output, OutputParser};
use antiphon_engine::{
    BackendError, CallResult, Calls, FinishReason, Message, ModelEvent, ModelRequest, ModelStream, Said, Tool,
};
use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tracing::info;

use super::cost::Cost;
use super::{Ask, ask_last};

/// How often a model is told what is wrong with a call.
const REPAIRS: u32 = 2;

const MOST_BYTES: usize = 4 << 20;

/// A template that has no form of calls of its own, so that the usual one is read.
const TEMPLATE: &str = "{% for message in messages %}{{ message.content }}{% endfor %}";

/// What the model has to know.
pub(super) fn instruction(tools: &[Tool], calls: Calls) -> String {
    let mut text = "You can call functions. To call one, write exactly this, and nothing after it:\n\
        <tool_call>\n{\"name\": \"the function\", \"arguments\": {\"the parameter\": \"its value\"}}\n</tool_call>\n\
        Several calls are written one after the other. The results come in the next message. Call one whenever it \
        can give what is asked, and never make up what it would give. The functions:"
        .to_owned();
    for tool in tools {
        let described =
            json!({"name": tool.name, "description": tool.description, "parameters": tool.parameters.source()});
        text.push('\n');
        text.push_str(&described.to_string());
    }
    // A small model writes the schema itself where it sees nothing else.
    text.push_str("\nWith values in place of the dots they are called so:");
    for tool in tools {
        text.push('\n');
        text.push_str(&example(tool));
    }
    if calls == Calls::Required {
        text.push_str("\nAnswer with a call.");
    }
    text
}

/// Said after a result: a small model that sees a call and what came of it writes another such call.
pub(super) const ANSWER_NOW: &str = "Answer now, in words; call another function only if this is not enough.";

/// A call with the parameters that it has to have, or with all where none has to be.
fn example(tool: &Tool) -> String {
    let schema = tool.parameters.source();
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let mut names: Vec<String> = required.collect();
    if names.is_empty() {
        names.extend(schema["properties"].as_object().into_iter().flat_map(serde_json::Map::keys).cloned());
    }
    let arguments: serde_json::Map<_, _> = names.into_iter().map(|name| (name, Value::from("…"))).collect();
    json!({"name": tool.name, "arguments": arguments}).to_string()
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
#[derive(Clone)]
pub(super) struct Reading {
    pub(super) ask: Arc<dyn Ask>,
    pub(super) tools: Vec<Tool>,
}

#[async_trait]
impl Ask for Reading {
    async fn ask(&self, request: ModelRequest) -> Result<ModelStream, BackendError> {
        let stream = self.ask.ask(request.clone()).await?;
        let reader = Reader {
            reading: self.clone(),
            parser: self.parser()?,
            request,
            stream,
            length: 0,
            words: Vec::new(),
            has_words: false,
            calls: Vec::new(),
            open: None,
            problem: None,
            ready: VecDeque::new(),
            cost: Cost::default(),
            repairs: 0,
            over: false,
            failed: None,
        };
        Ok(stream::unfold(reader, |mut reader| async move { reader.next().await.map(|event| (event, reader)) }).boxed())
    }
}

impl Reading {
    fn parser(&self) -> Result<OutputParser, BackendError> {
        let callable =
            |tool: &Tool| Callable { name: tool.name.clone(), parameters: tool.parameters.grammar().clone() };
        let template =
            ChatTemplate::compile(TEMPLATE, "", "").map_err(|error| BackendError::Internal(error.to_string()))?;
        Ok(template.parser("", Vec::new(), self.tools.iter().map(callable).collect()))
    }

    /// Why a call cannot be made, without a value in it.
    fn problem(&self, name: &str, arguments: &str) -> Option<String> {
        let tool = self.tools.iter().find(|tool| tool.name == name)?;
        let Ok(arguments) = serde_json::from_str(arguments) else {
            return Some("its arguments are no JSON".to_owned());
        };
        let violation = tool.parameters.validate(&arguments).err()?;
        Some(format!("its arguments do not conform: at `{}`: {}", violation.pointer, violation.message))
    }
}

/// One answer, over several tries.
struct Reader {
    reading: Reading,
    parser: OutputParser,
    request: ModelRequest,
    stream: ModelStream,
    /// How much the model has written in the try at hand.
    length: usize,
    /// The words of a try after the first, which may be those of the one before.
    words: Vec<ModelEvent>,
    /// Whether words were shown.
    has_words: bool,
    /// The calls in it, not shown yet.
    calls: Vec<ModelEvent>,
    /// The name and the arguments so far of one that has begun.
    open: Option<(String, String)>,
    /// What is wrong with one.
    problem: Option<String>,
    ready: VecDeque<ModelEvent>,
    cost: Cost,
    repairs: u32,
    over: bool,
    failed: Option<BackendError>,
}

impl Reader {
    async fn next(&mut self) -> Option<Result<ModelEvent, BackendError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.over {
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
            ModelEvent::Text { text, .. } => {
                self.length += text.len();
                if self.length > MOST_BYTES {
                    return Err(BackendError::MalformedCall("The answer is longer than any can be".to_owned()));
                }
                let outputs = self.parser.push(&text);
                self.read(outputs);
            }
            ModelEvent::Finished { reason, thought_tokens, output_tokens, .. } => {
                let outputs = self.parser.finish();
                self.read(outputs);
                self.cost.end_try(thought_tokens, output_tokens);
                self.finish(reason).await?;
            }
            ModelEvent::Counted { input_tokens, cached_tokens, output_tokens } => {
                self.ready.push_back(self.cost.counted(input_tokens, cached_tokens, output_tokens));
            }
            // What led to a call that was not good enough is shown once.
            ModelEvent::Started { .. } | ModelEvent::Thought { .. } | ModelEvent::Signed(_)
                if !self.cost.is_first_try() => {}
            ModelEvent::Started { .. }
            | ModelEvent::ServedBy { .. }
            | ModelEvent::Thought { .. }
            | ModelEvent::Signed(_)
            | ModelEvent::Picture(_)
            | ModelEvent::CallStarted { .. }
            | ModelEvent::CallArguments { .. } => self.ready.push_back(event),
        }
        Ok(())
    }

    fn read(&mut self, outputs: Vec<Output>) {
        let tokens = Vec::new;
        for output in outputs {
            match output {
                Output::Thought(text) if self.cost.is_first_try() => {
                    self.ready.push_back(ModelEvent::Thought { text, tokens: tokens() });
                }
                Output::Thought(_) => {}
                Output::Text(text) if self.cost.is_first_try() => {
                    self.has_words |= !text.trim().is_empty();
                    self.ready.push_back(ModelEvent::Text { text, tokens: tokens() });
                }
                Output::Text(text) => self.words.push(ModelEvent::Text { text, tokens: tokens() }),
                Output::CallStarted { name } => {
                    self.open = Some((name.clone(), String::new()));
                    self.calls.push(ModelEvent::CallStarted { name, tokens: tokens() });
                }
                Output::CallArguments(text) => {
                    if let Some((_, arguments)) = &mut self.open {
                        arguments.push_str(&text);
                    }
                    self.calls.push(ModelEvent::CallArguments { text, tokens: tokens() });
                }
                Output::CallEnded => {
                    let problem =
                        self.open.take().and_then(|(name, arguments)| self.reading.problem(&name, &arguments));
                    self.problem = self.problem.take().or(problem);
                }
                Output::Malformed(what) => {
                    self.problem.get_or_insert(what);
                }
            }
        }
    }

    /// A call that is not as it should be is asked for again, unless the answer's limit cut it.
    async fn finish(&mut self, reason: FinishReason) -> Result<(), BackendError> {
        let Some(problem) = self.problem.take().filter(|_| reason == FinishReason::Stop) else {
            if self.calls.is_empty() || !self.has_words {
                self.ready.extend(self.words.drain(..));
            }
            self.ready.extend(self.calls.drain(..));
            self.ready.extend(self.cost.end(reason));
            self.over = true;
            return Ok(());
        };
        if self.repairs == REPAIRS {
            return Err(BackendError::MalformedCall(format!("The model's call cannot be made: {problem}")));
        }
        self.repairs += 1;
        info!(repairs = self.repairs, "A call cannot be made; the model is told so");
        self.calls.clear();
        self.words.clear();
        self.open = None;
        self.length = 0;
        // What it wrote is left out: a small model would write it again.
        let mut request = self.request.clone();
        let told = format!(
            "(A call that you wrote before could not be made: {problem}. Write it with the values themselves, in the form given.)"
        );
        ask_last(&mut request.messages, &told);
        self.parser = self.reading.parser()?;
        self.stream = self.reading.ask.ask(request).await?;
        Ok(())
    }
}
