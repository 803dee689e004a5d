//! OpenAI's responses.
//!
//! How closely an image is looked at goes as its `detail`, where that means the same.
//!
//! Refused: a seed, which the service has not; audio and video. Stop sequences are cut
//! here alone. Nothing is stored there, so reasoning goes back only where the service gave
//! it out encrypted.

use antiphon_engine::{
    BackendError, Calls, FinishReason, Media, MediaKind, Message, ModelEvent, ModelTurn, Part, Said, Signature,
};
use antiphon_wire::{MediaOptions, ThinkingLevel, ThinkingSummaries};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::chat::{carries_detail, detail, is_narrow};
use crate::protocol::{Call, Outgoing, Problem, ProblemKind, Protocol, Reader};

pub(crate) struct Responses;

const ORIGIN: &str = "responses";

/// The service takes no smaller limit.
const LEAST_OUTPUT: u32 = 16;

/// No turn has more items, and no call longer arguments.
const MOST_ITEMS: usize = 1024;
const MOST_ARGUMENT_BYTES: usize = 4 << 20;

impl Protocol for Responses {
    fn key_header(&self, key: &str) -> (&'static str, String) {
        ("authorization", format!("Bearer {key}"))
    }

    fn carries(&self, kind: MediaKind, option: &str, options: &MediaOptions) -> bool {
        carries_detail(kind, option, options)
    }

    fn request(&self, call: &Call<'_>) -> Result<Outgoing, BackendError> {
        let request = call.request;
        let generation = &request.generation;
        if generation.seed.is_some() {
            return Err(rejected("generation_config.seed", "this service has no seed"));
        }
        if request.max_output_tokens < LEAST_OUTPUT {
            let message = format!("this service takes {LEAST_OUTPUT} or more, got {}", request.max_output_tokens);
            return Err(rejected("generation_config.max_output_tokens", &message));
        }
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| {
            body.insert(name.to_owned(), value);
        };
        put("model", json!(call.model));
        if let Some(system) = &request.system_instruction {
            put("instructions", json!(system));
        }
        if !request.tools.is_empty() {
            let tools = request.tools.iter().map(|tool| {
                let mut function = Map::new();
                function.insert("type".to_owned(), json!("function"));
                function.insert("name".to_owned(), json!(tool.name));
                if let Some(description) = &tool.description {
                    function.insert("description".to_owned(), json!(description));
                }
                function.insert("parameters".to_owned(), tool.parameters.source().clone());
                function.insert("strict".to_owned(), json!(false));
                Value::Object(function)
            });
            put("tools", tools.collect());
            let choice = match request.calls {
                Calls::None => "none",
                Calls::Allowed => "auto",
                Calls::Required => "required",
            };
            put("tool_choice", json!(choice));
        }
        let input: Result<Vec<_>, _> = request.messages.iter().map(items).collect();
        put("input", Value::Array(input?.into_iter().flatten().collect()));
        if let Some(schema) = &request.answer {
            let (schema, strict) = (schema.source(), is_narrow(schema.source()));
            let format = json!({"type": "json_schema", "name": "answer", "strict": strict, "schema": schema});
            put("text", json!({"format": format}));
        }
        put("max_output_tokens", json!(request.max_output_tokens));
        if let Some(temperature) = generation.temperature {
            put("temperature", json!(temperature));
        }
        if let Some(top_p) = generation.top_p {
            put("top_p", json!(top_p));
        }
        if call.thinking {
            let mut reasoning = Map::new();
            if let Some(level) = generation.thinking_level {
                reasoning.insert("effort".to_owned(), json!(effort(level)));
            }
            if generation.thinking_summaries == Some(ThinkingSummaries::Auto) {
                reasoning.insert("summary".to_owned(), json!("auto"));
            }
            if !reasoning.is_empty() {
                put("reasoning", Value::Object(reasoning));
            }
            put("include", json!(["reasoning.encrypted_content"]));
        }
        put("store", json!(false));
        put("stream", json!(true));
        Ok(Outgoing { path: "/responses".to_owned(), body: Value::Object(body), ..Outgoing::default() })
    }

    fn reader(&self, _call: &Call<'_>) -> Box<dyn Reader> {
        Box::new(Events::default())
    }
}

fn rejected(path: &str, message: &str) -> BackendError {
    BackendError::Rejected(format!("`{path}`: {message}"))
}

fn effort(level: ThinkingLevel) -> &'static str {
    match level {
        ThinkingLevel::Minimal => "minimal",
        ThinkingLevel::Low => "low",
        ThinkingLevel::Medium => "medium",
        ThinkingLevel::High => "high",
        ThinkingLevel::Xhigh => "xhigh",
    }
}

fn items(message: &Message) -> Result<Vec<Value>, BackendError> {
    match message {
        Message::User(parts) => {
            let content: Result<Vec<_>, _> = parts.iter().map(content).collect();
            Ok(vec![json!({"type": "message", "role": "user", "content": content?})])
        }
        Message::Model(turn) => Ok(said(turn)),
        Message::Result(result) => {
            let output = if result.is_error { format!("Error: {}", result.text) } else { result.text.clone() };
            Ok(vec![json!({"type": "function_call_output", "call_id": result.call_id, "output": output})])
        }
    }
}

fn content(part: &Part) -> Result<Value, BackendError> {
    let Media { kind, mime_type, data, options } = match part {
        Part::Text(text) => return Ok(json!({"type": "input_text", "text": text})),
        Part::Media(media) => media,
    };
    let url = format!("data:{mime_type};base64,{data}");
    match kind {
        MediaKind::Image => {
            let detail = options.resolution.and_then(detail).unwrap_or("auto");
            Ok(json!({"type": "input_image", "image_url": url, "detail": detail}))
        }
        MediaKind::Document => Ok(json!({"type": "input_file", "filename": "document", "file_data": url})),
        MediaKind::Audio | MediaKind::Video => Err(rejected("input", &format!("this service takes no `{mime_type}`"))),
    }
}

fn said(turn: &ModelTurn) -> Vec<Value> {
    let items = turn.said.iter().filter_map(|said| match said {
        Said::Thought(thought) => {
            let own = thought.signature.as_ref().filter(|own| own.origin.as_deref() == Some(ORIGIN))?;
            serde_json::from_str(&own.value).ok()
        }
        Said::Text(text) => Some(json!({"type": "message", "role": "assistant",
            "content": [{"type": "output_text", "text": text}]})),
        // Models that draw alone are given any.
        Said::Picture(_) => None,
        Said::Call(call) => Some(json!({"type": "function_call", "call_id": call.id, "name": call.name,
            "arguments": Value::Object(call.arguments.clone()).to_string()})),
    });
    items.collect()
}

/// Reads the events of one response.
#[derive(Default)]
struct Events {
    started: bool,
    finished: bool,
    items: usize,
    /// The item that is shown, by its place in the output.
    shown: u64,
    /// What came for later items, to be read when it is their turn.
    waiting: Vec<(u64, Event)>,
    waiting_bytes: usize,
    argument_bytes: usize,
    has_arguments: bool,
    has_text: bool,
    refused: bool,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Event {
    #[serde(rename = "response.output_item.added")]
    Added {
        #[serde(default)]
        output_index: u64,
        item: Item,
    },
    #[serde(rename = "response.output_item.done")]
    Done {
        #[serde(default)]
        output_index: u64,
        item: Value,
    },
    #[serde(rename = "response.output_text.delta")]
    Text {
        #[serde(default)]
        output_index: u64,
        delta: String,
    },
    #[serde(rename = "response.refusal.delta")]
    Refusal {
        #[serde(default)]
        output_index: u64,
        delta: String,
    },
    #[serde(rename = "response.reasoning_summary_text.delta", alias = "response.reasoning_text.delta")]
    Thought {
        #[serde(default)]
        output_index: u64,
        delta: String,
    },
    #[serde(rename = "response.function_call_arguments.delta")]
    Arguments {
        #[serde(default)]
        output_index: u64,
        delta: String,
    },
    #[serde(rename = "response.completed", alias = "response.incomplete", alias = "response.failed")]
    Ended { response: Response },
    #[serde(rename = "error")]
    Error {
        code: Option<String>,
        #[serde(default)]
        message: String,
        error: Option<Failure>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Item {
    FunctionCall {
        name: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Response {
    status: Option<String>,
    #[serde(default)]
    usage: Option<Usage>,
    incomplete_details: Option<Details>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Details {
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Failure {
    code: Option<String>,
    #[serde(default)]
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Usage {
    input_tokens: u64,
    input_tokens_details: Option<InputDetails>,
    output_tokens: u64,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize)]
struct InputDetails {
    #[serde(default)]
    cached_tokens: u64,
}

#[derive(Deserialize)]
struct OutputDetails {
    #[serde(default)]
    reasoning_tokens: u64,
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
        let event: Event = serde_json::from_str(data).map_err(|error| Problem::garbage(error.to_string()))?;
        let place = match &event {
            Event::Added { output_index, .. }
            | Event::Done { output_index, .. }
            | Event::Text { output_index, .. }
            | Event::Refusal { output_index, .. }
            | Event::Thought { output_index, .. }
            | Event::Arguments { output_index, .. } => *output_index,
            Event::Ended { response } => {
                self.release(events)?;
                return self.end_with(response, events);
            }
            Event::Error { code, message, error } => {
                let (code, message) = error.as_ref().map_or((code, message), |error| (&error.code, &error.message));
                return Err(problem(code.as_deref().unwrap_or_default(), message));
            }
            Event::Other => return Ok(()),
        };
        if place > self.shown {
            self.waiting_bytes += data.len();
            if self.waiting_bytes > MOST_ARGUMENT_BYTES {
                return Err(Problem::garbage("more is said at the same time than any service says"));
            }
            self.waiting.push((place, event));
            // Nothing is said of the item at hand until the next has begun.
            return Ok(());
        }
        self.show(event, events)
    }

    fn end(&mut self, _events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        if self.finished { Ok(()) } else { Err(Problem::cut()) }
    }
}

impl Events {
    fn show(&mut self, event: Event, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        let tokens = Vec::new();
        match event {
            Event::Added { item, .. } => {
                self.items += 1;
                if self.items > MOST_ITEMS {
                    return Err(Problem::garbage("more items than any turn has"));
                }
                self.has_arguments = false;
                self.has_text = false;
                if let Item::FunctionCall { name } = item {
                    events.push(ModelEvent::CallStarted { name, tokens });
                }
            }
            Event::Text { delta: text, .. } => {
                self.has_text = true;
                events.push(ModelEvent::Text { text, tokens });
            }
            Event::Refusal { delta: text, .. } => {
                self.refused = true;
                self.has_text = true;
                events.push(ModelEvent::Text { text, tokens });
            }
            Event::Thought { delta: text, .. } => {
                events.push(ModelEvent::Thought { text, tokens });
            }
            Event::Arguments { delta: text, .. } => {
                self.argument_bytes += text.len();
                if self.argument_bytes > MOST_ARGUMENT_BYTES {
                    return Err(Problem::garbage("a call's arguments are longer than any"));
                }
                self.has_arguments |= !text.is_empty();
                events.push(ModelEvent::CallArguments { text, tokens });
            }
            Event::Done { item, output_index } => {
                self.done(&item, events);
                self.shown = self.shown.max(output_index + 1);
                return self.next_in_turn(events);
            }
            Event::Ended { .. } | Event::Error { .. } | Event::Other => {}
        }
        Ok(())
    }

    /// The end of an item says all of it again.
    fn done(&mut self, item: &Value, events: &mut Vec<ModelEvent>) {
        let tokens = Vec::new();
        let field = |name: &str| item.get(name).and_then(Value::as_str);
        match field("type") {
            Some("function_call") if !self.has_arguments => {
                let text = field("arguments").filter(|text| !text.trim().is_empty()).unwrap_or("{}").to_owned();
                events.push(ModelEvent::CallArguments { text, tokens });
            }
            Some("reasoning") if field("encrypted_content").is_some() => {
                let mut kept = Map::new();
                for name in ["type", "id", "summary", "encrypted_content"] {
                    kept.insert(name.to_owned(), item.get(name).cloned().unwrap_or_else(|| json!([])));
                }
                let value = Value::Object(kept).to_string();
                events.push(ModelEvent::Signed(Signature { origin: Some(ORIGIN.to_owned()), value }));
            }
            Some("message") if !self.has_text => {
                let parts = item.get("content").and_then(Value::as_array).into_iter().flatten();
                for text in parts.filter_map(|part| part.get("text").and_then(Value::as_str)) {
                    events.push(ModelEvent::Text { text: text.to_owned(), tokens: Vec::new() });
                }
            }
            Some(_) | None => {}
        }
    }

    /// Shows what came early for the item whose turn it is now.
    fn next_in_turn(&mut self, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        while let Some(at) = self.waiting.iter().position(|(place, _)| *place <= self.shown) {
            let (_, event) = self.waiting.remove(at);
            self.show(event, events)?;
        }
        Ok(())
    }

    /// Shows all that waits, in the order of the items.
    fn release(&mut self, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        while let Some(next) = self.waiting.iter().map(|(place, _)| *place).min() {
            self.shown = self.shown.max(next);
            self.next_in_turn(events)?;
        }
        Ok(())
    }

    fn end_with(&mut self, response: &Response, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        let detail = response.incomplete_details.as_ref().and_then(|details| details.reason.as_deref());
        let reason = match (response.status.as_deref(), detail) {
            (Some("failed" | "cancelled"), _) => {
                let (code, message) = response
                    .error
                    .as_ref()
                    .map_or(("", ""), |error| (error.code.as_deref().unwrap_or_default(), error.message.as_str()));
                return Err(problem(code, message));
            }
            (Some("incomplete"), Some("content_filter")) => {
                return Err(Problem::new(ProblemKind::Blocked("content_blocked"), "content_filter"));
            }
            (Some("incomplete"), _) => FinishReason::Length,
            _ => FinishReason::Stop,
        };
        if self.refused {
            return Err(Problem::new(ProblemKind::Blocked("content_blocked"), "refusal"));
        }
        self.finished = true;
        let none = Usage::default();
        let usage = response.usage.as_ref().unwrap_or(&none);
        let cached_tokens = usage.input_tokens_details.as_ref().map_or(0, |details| details.cached_tokens);
        let thought = usage.output_tokens_details.as_ref().map_or(0, |details| details.reasoning_tokens);
        let (input_tokens, output_tokens) = (usage.input_tokens, usage.output_tokens);
        events.push(ModelEvent::Counted { input_tokens, cached_tokens, output_tokens });
        events.push(ModelEvent::Finished {
            reason,
            exact: false,
            thought_tokens: thought.min(usage.output_tokens),
            output_tokens: usage.output_tokens.saturating_sub(thought),
        });
        Ok(())
    }
}

fn problem(code: &str, message: &str) -> Problem {
    let kind = match code {
        "rate_limit_exceeded" | "insufficient_quota" => ProblemKind::RateLimited,
        "context_length_exceeded" => ProblemKind::TooLong,
        "invalid_prompt" | "invalid_request_error" | "invalid_image" => ProblemKind::BadRequest,
        "content_policy_violation" => ProblemKind::Blocked("content_blocked"),
        _ => ProblemKind::Unavailable,
    };
    Problem::new(kind, format!("{code}: {message}"))
}
