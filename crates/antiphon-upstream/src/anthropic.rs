//! Anthropic's messages.
//!
//! Refused: a seed, which the service has not; a temperature above 1; audio, video, and
//! documents that are neither PDF nor plain text. Thinking rules out a forced call, so a
//! request that forces one is answered without: a level is a ceiling. With thinking the
//! temperature is the service's own, so one that is asked for also rules thinking out.

use antiphon_engine::{
    BackendError, Calls, FinishReason, Media, MediaKind, Message, ModelEvent, ModelRequest, ModelTurn, Part, Said,
    Signature,
};
use antiphon_wire::ThinkingLevel;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::protocol::{Call, Outgoing, Problem, ProblemKind, Protocol, Reader};

pub(crate) struct Anthropic;

const THINKING: &str = "anthropic";
const REDACTED: &str = "anthropic-redacted";

/// The least that can be thought with.
const LEAST_BUDGET: u32 = 1024;

/// No turn has more blocks, and no call longer arguments.
const MOST_BLOCKS: u64 = 1024;
const MOST_ARGUMENT_BYTES: usize = 4 << 20;

impl Protocol for Anthropic {
    fn key_header(&self, key: &str) -> (&'static str, String) {
        ("x-api-key", key.to_owned())
    }

    fn request(&self, call: &Call<'_>) -> Result<Outgoing, BackendError> {
        let request = call.request;
        let generation = &request.generation;
        if generation.seed.is_some() {
            return Err(rejected("generation_config.seed", "this service has no seed"));
        }
        if let Some(temperature) = generation.temperature.filter(|temperature| *temperature > 1.0) {
            let message = format!("this service takes 0 to 1, got {temperature}");
            return Err(rejected("generation_config.temperature", &message));
        }
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| {
            body.insert(name.to_owned(), value);
        };
        put("model", json!(call.model));
        put("max_tokens", json!(request.max_output_tokens));
        if let Some(system) = request.system_instruction.as_ref().filter(|text| !text.is_empty()) {
            put("system", json!([{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]));
        }
        if !request.tools.is_empty() {
            put(
                "tools",
                request
                    .tools
                    .iter()
                    .map(|tool| {
                        let mut declared = Map::new();
                        declared.insert("name".to_owned(), json!(tool.name));
                        if let Some(description) = &tool.description {
                            declared.insert("description".to_owned(), json!(description));
                        }
                        declared.insert("input_schema".to_owned(), tool.parameters.source().clone());
                        Value::Object(declared)
                    })
                    .collect(),
            );
            let choice = match request.calls {
                Calls::None => "none",
                Calls::Allowed => "auto",
                Calls::Required => "any",
            };
            put("tool_choice", json!({"type": choice}));
        }
        put("messages", messages(request)?);
        if let Some(schema) = &request.answer {
            put("output_config", json!({"format": {"type": "json_schema", "schema": schema.source()}}));
        }
        if let Some(temperature) = generation.temperature {
            put("temperature", json!(temperature));
        }
        if let Some(top_p) = generation.top_p {
            put("top_p", json!(top_p));
        }
        if !generation.stop_sequences.is_empty() {
            put("stop_sequences", json!(generation.stop_sequences));
        }
        if let Some(budget) = budget(call) {
            put("thinking", json!({"type": "enabled", "budget_tokens": budget}));
        }
        put("stream", json!(true));
        let headers = vec![("anthropic-version", "2023-06-01".to_owned())];
        Ok(Outgoing { path: "/messages".to_owned(), headers, body: Value::Object(body), ..Outgoing::default() })
    }

    fn reader(&self, _call: &Call<'_>) -> Box<dyn Reader> {
        Box::new(Events::default())
    }
}

fn rejected(path: &str, message: &str) -> BackendError {
    BackendError::Rejected(format!("`{path}`: {message}"))
}

/// How many tokens may be thought; none where that is asked for, or ruled out.
fn budget(call: &Call<'_>) -> Option<u32> {
    let request = call.request;
    let wanted = match request.generation.thinking_level.filter(|_| call.thinking)? {
        ThinkingLevel::Minimal => return None,
        ThinkingLevel::Low => 2048,
        ThinkingLevel::Medium => 8192,
        ThinkingLevel::High => 16_384,
        ThinkingLevel::Xhigh => 32_768,
    };
    let samples = request.generation.temperature.is_some() || request.generation.top_p.is_some();
    // It is part of the answer's limit, and something has to be left to say.
    let budget = wanted.min(request.max_output_tokens / 2);
    (!samples && request.calls != Calls::Required && budget >= LEAST_BUDGET).then_some(budget)
}

/// Turns of the two roles in alternation, with a mark behind which the prefix is cached.
fn messages(request: &ModelRequest) -> Result<Value, BackendError> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in &request.messages {
        let (role, blocks) = match message {
            Message::User(parts) => {
                let blocks: Result<Vec<_>, _> = parts.iter().filter_map(|part| block(part).transpose()).collect();
                ("user", blocks?)
            }
            Message::Model(turn) => ("assistant", said(turn)),
            Message::Result(result) => {
                let mut block = json!({"type": "tool_result", "tool_use_id": call_id(&result.call_id)});
                if !result.text.is_empty() {
                    block["content"] = json!(result.text);
                }
                if result.is_error {
                    block["is_error"] = json!(true);
                }
                ("user", vec![block])
            }
        };
        match turns.last_mut().filter(|(last, _)| *last == role) {
            Some((_, before)) => before.extend(blocks),
            None if blocks.is_empty() => {}
            None => turns.push((role, blocks)),
        }
    }
    if let Some(block) = turns.last_mut().and_then(|(_, blocks)| blocks.last_mut()) {
        block["cache_control"] = json!({"type": "ephemeral"});
    }
    Ok(turns.into_iter().map(|(role, blocks)| json!({"role": role, "content": blocks})).collect())
}

/// A part of what the user says; empty text the service refuses, and nothing is lost with it.
fn block(part: &Part) -> Result<Option<Value>, BackendError> {
    let Media { kind, mime_type, data, options: _ } = match part {
        Part::Text(text) if text.is_empty() => return Ok(None),
        Part::Text(text) => return Ok(Some(json!({"type": "text", "text": text}))),
        Part::Media(media) => media,
    };
    let kind = match kind {
        MediaKind::Image => "image",
        MediaKind::Document if mime_type == "application/pdf" => "document",
        MediaKind::Document | MediaKind::Audio | MediaKind::Video => {
            return Err(rejected("input", &format!("this service takes no `{mime_type}`")));
        }
    };
    Ok(Some(json!({"type": kind, "source": {"type": "base64", "media_type": mime_type, "data": data.to_string()}})))
}

fn said(turn: &ModelTurn) -> Vec<Value> {
    let blocks = turn.said.iter().filter_map(|said| match said {
        Said::Thought(thought) => {
            let Signature { origin, value } = thought.signature.as_ref()?;
            match origin.as_deref()? {
                THINKING => Some(json!({"type": "thinking", "thinking": thought.text, "signature": value})),
                REDACTED => Some(json!({"type": "redacted_thinking", "data": value})),
                _ => None,
            }
        }
        Said::Text(text) => (!text.is_empty()).then(|| json!({"type": "text", "text": text})),
        // Models that draw alone are given any.
        Said::Picture(_) => None,
        Said::Call(call) => {
            Some(json!({"type": "tool_use", "id": call_id(&call.id), "name": call.name, "input": call.arguments}))
        }
    });
    blocks.collect()
}

/// The service wants letters, digits, `_` and `-`; what else an id has is spelt out.
fn call_id(id: &str) -> String {
    id.chars()
        .map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' => letter.to_string(),
            other => format!("-{:x}-", u32::from(other)),
        })
        .collect()
}

/// Reads the events of one message.
#[derive(Default)]
struct Events {
    started: bool,
    finished: bool,
    block: Block,
    argument_bytes: usize,
    input: u64,
    cached: u64,
    output: u64,
    reason: Option<String>,
}

/// The block that is being said.
#[derive(Default)]
enum Block {
    #[default]
    Other,
    Thinking {
        signature: String,
    },
    Call {
        has_arguments: bool,
        /// What the start held, if it held them.
        input: Value,
    },
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Started,
    },
    ContentBlockStart {
        #[serde(default)]
        index: u64,
        content_block: Start,
    },
    ContentBlockDelta {
        delta: Delta,
    },
    ContentBlockStop {},
    MessageDelta {
        delta: MessageDelta,
        #[serde(default)]
        usage: Usage,
    },
    MessageStop {},
    Error {
        error: Failure,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Started {
    #[serde(default)]
    usage: Usage,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Usage {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Start {
    Text {
        #[serde(default)]
        text: String,
    },
    Thinking {
        #[serde(default)]
        thinking: String,
        #[serde(default)]
        signature: String,
    },
    RedactedThinking {
        data: String,
    },
    ToolUse {
        name: String,
        #[serde(default)]
        input: Value,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: String },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: String },
    #[serde(rename = "signature_delta")]
    Signature { signature: String },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct MessageDelta {
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
}

impl Reader for Events {
    fn read(&mut self, data: &str, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        if self.finished || data.trim() == "[DONE]" {
            return Ok(());
        }
        if !self.started {
            self.started = true;
            events.push(ModelEvent::Started { cached_tokens: 0 });
        }
        match serde_json::from_str(data).map_err(|error| Problem::garbage(error.to_string()))? {
            Event::MessageStart { message } => {
                self.count(&message.usage);
                events.push(self.counted());
            }
            Event::ContentBlockStart { index, content_block } => {
                if index >= MOST_BLOCKS {
                    return Err(Problem::garbage("more blocks than any turn has"));
                }
                self.start(content_block, events);
            }
            Event::ContentBlockDelta { delta } => self.delta(delta, events)?,
            Event::ContentBlockStop {} => self.stop(events),
            Event::MessageDelta { delta, usage } => {
                self.count(&usage);
                self.reason = delta.stop_reason.or(self.reason.take());
            }
            Event::MessageStop {} => return self.finish(events),
            Event::Error { error } => return Err(problem(&error)),
            Event::Other => {}
        }
        Ok(())
    }

    fn end(&mut self, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        match (self.finished, &self.reason) {
            (true, _) => Ok(()),
            (false, Some(_)) => self.finish(events),
            (false, None) => Err(Problem::cut()),
        }
    }
}

impl Events {
    /// Counts are cumulative; those that are not given stay.
    fn count(&mut self, usage: &Usage) {
        let cached = usage.cache_read_input_tokens;
        if let Some(input) = usage.input_tokens {
            self.input = input + usage.cache_creation_input_tokens.unwrap_or(0) + cached.unwrap_or(0);
        }
        self.cached = cached.unwrap_or(self.cached);
        self.output = usage.output_tokens.unwrap_or(self.output);
    }

    fn counted(&self) -> ModelEvent {
        ModelEvent::Counted { input_tokens: self.input, cached_tokens: self.cached, output_tokens: self.output }
    }

    fn start(&mut self, block: Start, events: &mut Vec<ModelEvent>) {
        let tokens = Vec::new();
        self.block = match block {
            Start::Text { text } => {
                if !text.is_empty() {
                    events.push(ModelEvent::Text { text, tokens });
                }
                Block::Other
            }
            Start::Thinking { thinking, signature } => {
                if !thinking.is_empty() {
                    events.push(ModelEvent::Thought { text: thinking, tokens });
                }
                Block::Thinking { signature }
            }
            Start::RedactedThinking { data } => {
                events.push(signed(REDACTED, data));
                Block::Other
            }
            Start::ToolUse { name, input } => {
                events.push(ModelEvent::CallStarted { name, tokens });
                Block::Call { has_arguments: false, input }
            }
            Start::Other => Block::Other,
        };
    }

    fn delta(&mut self, delta: Delta, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        let tokens = Vec::new();
        match (delta, &mut self.block) {
            (Delta::Text { text }, _) => events.push(ModelEvent::Text { text, tokens }),
            (Delta::Thinking { thinking: text }, _) => events.push(ModelEvent::Thought { text, tokens }),
            (Delta::Signature { signature: piece }, Block::Thinking { signature }) => signature.push_str(&piece),
            (Delta::InputJson { partial_json: text }, Block::Call { has_arguments, .. }) => {
                self.argument_bytes += text.len();
                if self.argument_bytes > MOST_ARGUMENT_BYTES {
                    return Err(Problem::garbage("a call's arguments are longer than any"));
                }
                if !text.is_empty() {
                    *has_arguments = true;
                    events.push(ModelEvent::CallArguments { text, tokens });
                }
            }
            (Delta::Signature { .. } | Delta::InputJson { .. } | Delta::Other, _) => {}
        }
        Ok(())
    }

    fn stop(&mut self, events: &mut Vec<ModelEvent>) {
        match std::mem::take(&mut self.block) {
            Block::Thinking { signature } if !signature.is_empty() => events.push(signed(THINKING, signature)),
            Block::Call { has_arguments: false, input } => {
                let input = if input.is_object() { input.to_string() } else { "{}".to_owned() };
                events.push(ModelEvent::CallArguments { text: input, tokens: Vec::new() });
            }
            Block::Thinking { .. } | Block::Call { .. } | Block::Other => {}
        }
    }

    fn finish(&mut self, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        let reason = match self.reason.as_deref() {
            Some("refusal") => {
                return Err(Problem::new(ProblemKind::Blocked("content_blocked"), "the service refused"));
            }
            Some("max_tokens" | "model_context_window_exceeded") => FinishReason::Length,
            Some(_) => FinishReason::Stop,
            None => return Err(Problem::cut()),
        };
        self.finished = true;
        events.push(self.counted());
        events.push(ModelEvent::Finished { reason, exact: false, thought_tokens: 0, output_tokens: self.output });
        Ok(())
    }
}

fn signed(origin: &str, value: String) -> ModelEvent {
    ModelEvent::Signed(Signature { origin: Some(origin.to_owned()), value })
}

fn problem(error: &Failure) -> Problem {
    let kind = match error.kind.as_str() {
        "rate_limit_error" => ProblemKind::RateLimited,
        "timeout_error" => ProblemKind::Timeout,
        "invalid_request_error" | "request_too_large" => ProblemKind::BadRequest,
        "authentication_error" | "billing_error" | "permission_error" | "not_found_error" => ProblemKind::Misconfigured,
        _ => ProblemKind::Unavailable,
    };
    Problem::new(kind, format!("{}: {}", error.kind, error.message))
}
