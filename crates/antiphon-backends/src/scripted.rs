//! Replies from a script: the same request always gets the same answer.
//!
//! A script is TOML:
//!
//! ```toml
//! [[reply]]
//! when = "weather"          # a part of the last user message; without it, any message
//! chunks = ["It is ", "sunny."]
//! thought = "Look outside." # reasoning before the answer
//! delay_ms = 0              # before each chunk
//! finish = "stop"           # or "length", "repetition"
//! fail_after = 1            # die after this many chunks
//! fail = "died"             # or "unavailable", "rejected", "internal"
//! ```
//!
//! The first reply that fits answers. A chunk counts as one token; the input counts one
//! token a word. Limits on output tokens and stop sequences are honoured.

use std::time::Duration;

use antiphon_dialect::Reasoning;
use antiphon_engine::{Backend, BackendError, FinishReason, ModelRequest, ModelStream, Prepared};
use async_trait::async_trait;
use serde::Deserialize;

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
    chunks: Vec<String>,
    thought: Option<String>,
    #[serde(default)]
    delay_ms: u64,
    #[serde(default)]
    finish: Finish,
    fail_after: Option<usize>,
    #[serde(default)]
    fail: Fail,
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
#[error("the script cannot be read: {0}")]
pub struct ScriptError(#[from] toml::de::Error);

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
}

impl Scripted {
    pub fn new(script: Script) -> Self {
        Self { script }
    }

    fn reply(&self, request: &ModelRequest) -> Option<Reply> {
        let last = request.messages.last().map_or("", |message| &message.text);
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
        let texts = request.messages.iter().map(|message| &message.text).chain(&request.system_instruction);
        let input_tokens = texts.map(|text| text.split_whitespace().count() as u64).sum();
        if input_tokens >= self.script.context {
            return Err(BackendError::TooLong { input_tokens, context: self.script.context });
        }
        if self.reply(request).is_none() {
            return Err(BackendError::Rejected("`input`: no reply of the script fits the last message".to_owned()));
        }
        Ok(Prepared { input_tokens, ..Prepared::default() })
    }

    async fn generate(&self, request: ModelRequest, _prepared: Prepared) -> Result<ModelStream, BackendError> {
        let Some(reply) = self.reply(&request) else {
            return Err(BackendError::Internal("a prepared reply is gone".to_owned()));
        };
        let answer = Answer::new(Reasoning::of_template(""), "", request.generation.stop_sequences.clone());
        let most = request.max_output_tokens as usize;
        let raw = speak(&reply, most);
        Ok(answer.of(raw))
    }
}

/// What a model would say: the chunks of the reply with its delays and its end.
fn speak(reply: &Reply, most: usize) -> impl futures_core::Stream<Item = Result<Raw, BackendError>> + Send + use<> {
    let thought = reply.thought.iter().map(|thought| format!("<think>\n{thought}\n</think>\n\n"));
    let chunks: Vec<String> = thought.chain(reply.chunks.iter().cloned()).collect();
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
