//! Replies from a script: the same request always gets the same answer.
//!
//! A script is TOML:
//!
//! ```toml
//! [[reply]]
//! when = "weather"          # a part of the last message, the user's or a result; without
//!                           # it, any message
//! chunks = ["It is ", "sunny."]
//! thought = "Look outside." # reasoning before the answer
//! delay_ms = 0              # before each chunk
//! finish = "stop"           # or "length", "repetition"
//! fail_after = 1            # die after this many chunks
//! fail = "died"             # or "unavailable", "rejected", "internal"
//! calls = [{ name = "get_weather", arguments = { city = "Paris" } }] # after the text
//! ```
//!
//! The first reply that fits answers. A chunk counts as one token; the input counts one
//! token a word. Limits on output tokens and stop sequences are honoured.

use std::time::Duration;

use antiphon_dialect::{Callable, ChatTemplate, TemplateError};
use antiphon_engine::{
    Backend, BackendError, Calls, FinishReason, Message, ModelRequest, ModelStream, Prepared, text_of,
};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::PLAIN_TEMPLATE;
use crate::answer::{Answer, Raw};

/// The replies of a script, in the order in which they are tried.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    reply: Vec<Reply>,
    /// The context in tokens, for tests of what is too long.
    #[serde(default = "default_context")]
    context: u64,
    /// How many calls run at the same time.
    #[serde(default = "default_slots")]
    slots: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    when: Option<String>,
    #[serde(default)]
    chunks: Vec<String>,
    #[serde(default)]
    calls: Vec<ScriptedCall>,
    thought: Option<String>,
    #[serde(default)]
    delay_ms: u64,
    #[serde(default)]
    finish: Finish,
    fail_after: Option<usize>,
    #[serde(default)]
    fail: Fail,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptedCall {
    name: String,
    #[serde(default)]
    arguments: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Finish {
    #[default]
    Stop,
    Length,
    Repetition,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fail {
    #[default]
    Died,
    Unavailable,
    Rejected,
    Internal,
}

fn default_context() -> u64 {
    32_768
}

fn default_slots() -> usize {
    4
}

#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    #[error("the script cannot be read: {0}")]
    Read(#[from] toml::de::Error),
    #[error("scripted replies cannot be told apart: {0}")]
    Template(#[from] TemplateError),
}

impl Script {
    /// Reads a script from TOML.
    ///
    /// # Errors
    /// When it is not TOML or holds unknown keys.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        Ok(toml::from_str(text)?)
    }

    pub fn context(&self) -> u64 {
        self.context
    }
}

/// The backend that answers from a [`Script`].
pub struct Scripted {
    script: Script,
    /// Tells thoughts, text and calls of the replies apart, as for a model.
    template: ChatTemplate,
}

impl Scripted {
    /// # Errors
    /// [`ScriptError::Template`], which only another version of this crate could raise.
    pub fn new(script: Script) -> Result<Self, ScriptError> {
        Ok(Self { script, template: ChatTemplate::compile(PLAIN_TEMPLATE, "", "")? })
    }

    fn reply(&self, request: &ModelRequest) -> Option<Reply> {
        let last = request.messages.last().map(words_of).unwrap_or_default();
        let fits = |reply: &&Reply| reply.when.as_ref().is_none_or(|part| last.contains(part.as_str()));
        self.script.reply.iter().find(fits).cloned()
    }
}

#[async_trait]
impl Backend for Scripted {
    fn slots(&self) -> usize {
        self.script.slots
    }

    /// A script repeats itself exactly, so the log tells how far it came.
    fn resumes(&self) -> bool {
        true
    }

    fn is_ready(&self) -> bool {
        true
    }

    async fn prepare(&self, request: &ModelRequest) -> Result<Prepared, BackendError> {
        let texts = request.messages.iter().map(words_of).chain(request.system_instruction.clone());
        let input_tokens = texts.map(|text| text.split_whitespace().count() as u64).sum();
        if input_tokens >= self.script.context {
            return Err(BackendError::TooLong { input_tokens, context: self.script.context });
        }
        let Some(reply) = self.reply(request) else {
            return Err(BackendError::Rejected("`input`: no reply of the script fits the last message".to_owned()));
        };
        let declared = |call: &&ScriptedCall| request.tools.iter().any(|tool| tool.name == call.name);
        if let Some(call) = reply.calls.iter().find(|call| !declared(call)) {
            let message = format!("`tools`: the script calls `{}` here, which may not be called", call.name);
            return Err(BackendError::Rejected(message));
        }
        if request.calls == Calls::Required && reply.calls.is_empty() {
            let message = "`generation_config.tool_choice`: the script calls no function here".to_owned();
            return Err(BackendError::Rejected(message));
        }
        Ok(Prepared { input_tokens, ..Prepared::default() })
    }

    async fn generate(&self, request: ModelRequest, _prepared: Prepared) -> Result<ModelStream, BackendError> {
        let Some(reply) = self.reply(&request) else {
            return Err(BackendError::Internal("a prepared reply is gone".to_owned()));
        };
        let callable = request
            .tools
            .iter()
            .map(|tool| Callable { name: tool.name.clone(), parameters: tool.parameters.grammar().clone() })
            .collect();
        let answer = Answer::new(self.template.parser("", request.generation.stop_sequences.clone(), callable));
        let most = request.max_output_tokens as usize;
        let raw = speak(&reply, most);
        Ok(answer.of(raw))
    }
}

/// What a `when` is looked for in.
fn words_of(message: &Message) -> String {
    match message {
        Message::User(parts) => text_of(parts),
        Message::Model(turn) => turn.joined_text(),
        Message::Result(result) => result.text.clone(),
    }
}

/// What a model would say: the chunks of the reply with its delays and its end.
fn speak(reply: &Reply, most: usize) -> impl futures_core::Stream<Item = Result<Raw, BackendError>> + Send + use<> {
    let thought = reply.thought.iter().map(|thought| format!("<think>\n{thought}\n</think>\n\n"));
    let calls = reply.calls.iter().flat_map(|ScriptedCall { name, arguments }| {
        // In two pieces, as a model would: a stream shows the arguments in parts.
        let call = json!({ "name": name, "arguments": arguments }).to_string();
        let (start, rest) = call.split_at(call.floor_char_boundary(call.len() / 2));
        [format!("<tool_call>\n{start}"), format!("{rest}\n</tool_call>\n")]
    });
    let chunks: Vec<String> = thought.chain(reply.chunks.iter().cloned()).chain(calls).collect();
    let end = if chunks.len() > most { FinishReason::Length } else { reply.finish.into() };
    let fail_after = reply.fail_after.unwrap_or(usize::MAX);
    let mut items = vec![Ok(Raw::Started { cached_tokens: 0 })];
    for (at, text) in chunks.into_iter().take(most).enumerate() {
        if at >= fail_after {
            break;
        }
        items.push(Ok(Raw::Chunk { text, tokens: vec![u32::try_from(at).unwrap_or(u32::MAX)] }));
    }
    if items.len() > fail_after {
        items.push(Err(reply.fail.into()));
    } else {
        items.push(Ok(Raw::Finished { reason: end }));
    }
    let delay = Duration::from_millis(reply.delay_ms);
    futures_util::stream::unfold(items.into_iter(), move |mut items| async move {
        let item = items.next()?;
        if !delay.is_zero() && matches!(item, Ok(Raw::Chunk { .. })) {
            tokio::time::sleep(delay).await;
        }
        Some((item, items))
    })
}

impl From<Finish> for FinishReason {
    fn from(finish: Finish) -> Self {
        match finish {
            Finish::Stop => Self::Stop,
            Finish::Length => Self::Length,
            Finish::Repetition => Self::Repetition,
        }
    }
}

impl From<Fail> for BackendError {
    fn from(fail: Fail) -> Self {
        let message = "The script says that the model fails here".to_owned();
        match fail {
            Fail::Died => Self::Died(message),
            Fail::Unavailable => Self::Unavailable(message),
            Fail::Rejected => Self::Rejected(message),
            Fail::Internal => Self::Internal(message),
        }
    }
}
