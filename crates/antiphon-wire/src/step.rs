//! The steps of an interaction (spec 03, "Steps").

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::content::Content;
use crate::error::Error;
use crate::fields::{Fields, excerpt};
use crate::processing::{ProcessingCallStep, ProcessingResultStep};
use crate::server_tool::{ServerCallStep, ServerResultStep};

/// One entry of an interaction's timeline. Kinds this server does not know survive in
/// stored data as [`Step::Other`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Step {
    UserInput(MessageStep),
    ModelOutput(MessageStep),
    Thought(ThoughtStep),
    FunctionCall(FunctionCallStep),
    FunctionResult(FunctionResultStep),
    ProcessingCall(ProcessingCallStep),
    ProcessingResult(ProcessingResultStep),
    #[serde(untagged)]
    ServerCall(ServerCallStep),
    #[serde(untagged)]
    ServerResult(ServerResultStep),
    #[serde(untagged)]
    Other(Value),
}

/// What a user or the model said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MessageStep {
    #[serde(default)]
    pub content: Vec<Content>,
    /// Keys a client sent along on a replayed step; kept as they came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// That the model reasoned. The signature is opaque to the client and is sent back
/// unchanged in stateless use; the summary is there when it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ThoughtStep {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub summary: Vec<Content>,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// That the model wants a function of the client to be run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FunctionCallStep {
    /// Unique in its conversation.
    pub id: String,
    pub name: String,
    #[serde(default)]
    pub arguments: Map<String, Value>,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What the client's function gave back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionResultStep {
    /// The `id` of the call.
    pub call_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub result: FunctionResult,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_error: Option<bool>,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The forms of a result (spec 05, "Functions").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FunctionResult {
    Text(String),
    Parts(Vec<Content>),
    Object(Map<String, Value>),
}

/// Step types of spec 03 that this server refuses by name for now.
const UNBUILT: [&str; 4] = ["google_maps_call", "google_maps_result", "retrieval_call", "retrieval_result"];

impl Step {
    pub fn user(content: Vec<Content>) -> Self {
        Self::UserInput(MessageStep { content, extra: Map::new() })
    }

    /// The step as a client sees it again: media that it gave by address are not sent to it.
    #[must_use]
    pub fn shown(&self) -> Self {
        match self {
            Self::UserInput(step) => {
                let content = step.content.iter().map(Content::shown).collect();
                Self::UserInput(MessageStep { content, extra: step.extra.clone() })
            }
            other => other.clone(),
        }
    }

    /// What a user or the model said in it; nothing of other steps.
    pub fn said(&self) -> &[Content] {
        match self {
            Self::UserInput(step) | Self::ModelOutput(step) => &step.content,
            Self::Thought(_)
            | Self::FunctionCall(_)
            | Self::FunctionResult(_)
            | Self::ProcessingCall(_)
            | Self::ProcessingResult(_)
            | Self::ServerCall(_)
            | Self::ServerResult(_)
            | Self::Other(_) => &[],
        }
    }

    /// As [`Step::said`], to be changed in its place.
    pub fn said_mut(&mut self) -> &mut [Content] {
        match self {
            Self::UserInput(step) | Self::ModelOutput(step) => &mut step.content,
            Self::Thought(_)
            | Self::FunctionCall(_)
            | Self::FunctionResult(_)
            | Self::ProcessingCall(_)
            | Self::ProcessingResult(_)
            | Self::ServerCall(_)
            | Self::ServerResult(_)
            | Self::Other(_) => &mut [],
        }
    }

    pub fn model_output(text: impl Into<String>) -> Self {
        Self::ModelOutput(MessageStep { content: vec![Content::text(text)], extra: Map::new() })
    }

    /// Reads `input` in every form that the SDKs and curl send (spec 02, "input") into
    /// a list of steps. `path` is the JSON path of the input.
    pub(crate) fn read_input(value: Value, path: &str) -> Result<Vec<Self>, Error> {
        match value {
            Value::String(text) if text.is_empty() => Ok(Vec::new()),
            Value::String(text) => Ok(vec![Self::user(vec![Content::text(text)])]),
            Value::Object(_) => Self::read_items(vec![value], |_| path.to_owned()),
            Value::Array(items) => Self::read_items(items, |at| format!("{path}[{at}]")),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                Err(Error::invalid(path, "expected a string, a content part, a step, or a list of them"))
            }
        }
    }

    /// Consecutive content items become one `user_input`; steps stand for themselves.
    fn read_items(items: Vec<Value>, path_of: impl Fn(usize) -> String) -> Result<Vec<Self>, Error> {
        let mut steps = Vec::new();
        let mut parts = Vec::new();
        for (at, item) in items.into_iter().enumerate() {
            let path = path_of(at);
            if is_step(&item) {
                if !parts.is_empty() {
                    steps.push(Self::user(std::mem::take(&mut parts)));
                }
                steps.push(Self::read(item, &path)?);
            } else {
                parts.push(Content::read(item, &path)?);
            }
        }
        if !parts.is_empty() {
            steps.push(Self::user(parts));
        }
        Ok(steps)
    }

    fn read(value: Value, path: &str) -> Result<Self, Error> {
        let mut fields = Fields::new(value, path)?;
        let kind = match (fields.string("type")?, fields.string("role")?.as_deref()) {
            (Some(kind), None) => kind,
            (None, Some("user")) => "user_input".to_owned(),
            (None, Some("model")) => "model_output".to_owned(),
            (None, Some(other)) => {
                let message = format!("expected `user` or `model`, got `{}`", excerpt(other));
                return Err(Error::invalid(&fields.path_of("role"), message));
            }
            (Some(_), Some(_)) | (None, None) => {
                return Err(Error::invalid(path, "expected either `type` or `role`"));
            }
        };
        match kind.as_str() {
            "user_input" | "model_output" => {
                let content = match fields.take("content") {
                    None => Vec::new(),
                    Some(content) => Content::read_list(content, &fields.path_of("content"))?,
                };
                if kind == "model_output" {
                    Content::said_by_models(&content, &fields.path_of("content"))?;
                }
                let step = MessageStep { content, extra: fields.rest() };
                Ok(if kind == "user_input" { Self::UserInput(step) } else { Self::ModelOutput(step) })
            }
            "thought" => {
                let signature = fields.string("signature")?;
                let summary = match fields.take("summary") {
                    None => Vec::new(),
                    Some(summary) => Content::read_list(summary, &fields.path_of("summary"))?,
                };
                Content::text_alone(&summary, &fields.path_of("summary"))?;
                Ok(Self::Thought(ThoughtStep { signature, summary, extra: fields.rest() }))
            }
            "function_call" => Ok(Self::FunctionCall(FunctionCallStep {
                id: fields.text("id")?,
                name: fields.text("name")?,
                arguments: match fields.take("arguments") {
                    None => Map::new(),
                    Some(Value::Object(arguments)) => arguments,
                    Some(other) => return Err(fields.mismatch("arguments", "an object", &other)),
                },
                extra: fields.rest(),
            })),
            "function_result" => Ok(Self::FunctionResult(FunctionResultStep {
                call_id: fields.text("call_id")?,
                name: fields.string("name")?,
                result: FunctionResult::read(&mut fields)?,
                is_error: fields.boolean("is_error")?,
                extra: fields.rest(),
            })),
            "processing_call" => ProcessingCallStep::read(fields).map(Self::ProcessingCall),
            "processing_result" => ProcessingResultStep::read(fields).map(Self::ProcessingResult),
            other => {
                if let Some(mut call) = ServerCallStep::read(other, &mut fields)? {
                    call.extra = fields.rest();
                    return Ok(Self::ServerCall(call));
                }
                if let Some(mut result) = ServerResultStep::read(other, &mut fields)? {
                    result.extra = fields.rest();
                    return Ok(Self::ServerResult(result));
                }
                Err(unsupported(other, &fields))
            }
        }
    }
}

fn unsupported(kind: &str, fields: &Fields) -> Error {
    let message = if UNBUILT.contains(&kind) {
        format!("`{kind}` steps are not supported by this server yet; supported: {SUPPORTED}")
    } else {
        format!("unknown type `{}`; supported: {SUPPORTED}, text", excerpt(kind))
    };
    Error::invalid(&fields.path_of("type"), message)
}
const SUPPORTED: &str = "user_input, model_output, thought, function_call, function_result, processing_call, processing_result, google_search_call, google_search_result, url_context_call, url_context_result, code_execution_call, code_execution_result, file_search_call, file_search_result, mcp_server_tool_call, mcp_server_tool_result, tool_search_call, tool_search_result";

impl FunctionResult {
    fn read(fields: &mut Fields) -> Result<Self, Error> {
        match fields.take("result") {
            Some(Value::String(text)) => Ok(Self::Text(text)),
            Some(Value::Object(object)) => Ok(Self::Object(object)),
            Some(Value::Array(parts)) => {
                let path = fields.path_of("result");
                let parts = Content::read_results(parts, &path)?;
                Ok(Self::Parts(parts))
            }
            other => Err(fields.mismatch(
                "result",
                "a string, a list of content parts or an object",
                &other.unwrap_or(Value::Null),
            )),
        }
    }
}

/// Whether an item of `input` is a step rather than content: it has a step's `type`, or
/// the `role` of an older turn.
fn is_step(value: &Value) -> bool {
    match (value.get("type").and_then(Value::as_str), value.get("role")) {
        (Some(kind), _) => !Content::is_content_type(kind),
        (None, role) => role.is_some(),
    }
}
