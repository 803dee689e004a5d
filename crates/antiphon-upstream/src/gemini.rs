//! Gemini's `generateContent`.
//!
//! Refused: which layers, pages or cells of a medium are read; a seed beyond 32 bits; more than five stop sequences are cut here alone. A
//! signature that comes inside a text or after it is not kept: an answer ends with its text
//! in one piece, and the service does not ask for that one. A call that has no signature of its own, as of
//! another model, goes with the word that the service documents for it.

use antiphon_engine::{
    BackendError, Calls, FinishReason, Media, MediaKind, Message, ModelEvent, ModelTurn, Part, Said, Signature,
};
use antiphon_wire::{ImageFormat, MediaOptions, Processing, ThinkingLevel, ThinkingSummaries};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::protocol::{Answers, Call, NO_IMAGE, Outgoing, Problem, ProblemKind, Protocol, Reader};

pub(crate) struct Gemini;

const ORIGIN: &str = "gemini";

/// Gemini 3 refuses a replayed call without a signature, except with this one
/// (ai.google.dev, "Thought signatures").
const UNSIGNED: &str = "skip_thought_signature_validator";

const MOST_STOPS: usize = 5;

/// No answer has more parts.
const MOST_PARTS: usize = 65_536;
const MOST_CALLS: usize = 128;

impl Protocol for Gemini {
    fn key_header(&self, key: &str) -> (&'static str, String) {
        ("x-goog-api-key", key.to_owned())
    }

    /// A resolution is of any part; what else a part has is of videos.
    fn carries(&self, kind: MediaKind, option: &str, _options: &MediaOptions) -> bool {
        let of_video = ["processing.start_offset", "processing.end_offset", "processing.fps"];
        option == "resolution" || (kind == MediaKind::Video && of_video.contains(&option))
    }

    fn request(&self, call: &Call<'_>) -> Result<Outgoing, BackendError> {
        let request = call.request;
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| {
            body.insert(name.to_owned(), value);
        };
        if let Some(system) = &request.system_instruction {
            put("systemInstruction", json!({"parts": [{"text": system}]}));
        }
        if !request.tools.is_empty() {
            let functions = request.tools.iter().map(|tool| {
                let mut function = Map::new();
                function.insert("name".to_owned(), json!(tool.name));
                if let Some(description) = &tool.description {
                    function.insert("description".to_owned(), json!(description));
                }
                function.insert("parametersJsonSchema".to_owned(), tool.parameters.source().clone());
                Value::Object(function)
            });
            put("tools", json!([{"functionDeclarations": functions.collect::<Vec<_>>()}]));
            let mode = match request.calls {
                Calls::None => "NONE",
                Calls::Allowed => "AUTO",
                Calls::Required => "ANY",
            };
            put("toolConfig", json!({"functionCallingConfig": {"mode": mode}}));
        }
        put("contents", contents(&request.messages));
        put("generationConfig", generation(call)?);
        let path = format!("/models/{}:streamGenerateContent?alt=sse", call.model);
        let answers = if call.draws { Answers::LargeEvents } else { Answers::Events };
        Ok(Outgoing { path, body: Value::Object(body), answers, ..Outgoing::default() })
    }

    fn reader(&self, _call: &Call<'_>) -> Box<dyn Reader> {
        Box::new(Chunks::default())
    }
}

fn generation(call: &Call<'_>) -> Result<Value, BackendError> {
    let request = call.request;
    let asked = &request.generation;
    let mut config = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            config.insert(name.to_owned(), value);
        }
    };
    put("temperature", asked.temperature.map(|value| json!(value)));
    put("topP", asked.top_p.map(|value| json!(value)));
    let seed = asked.seed.map(|seed| {
        i32::try_from(seed).map_err(|_| {
            BackendError::Rejected(format!("`generation_config.seed`: this service takes 32 bits, got {seed}"))
        })
    });
    put("seed", seed.transpose()?.map(|seed| json!(seed)));
    put("maxOutputTokens", Some(json!(request.max_output_tokens)));
    let stops: Vec<_> = asked.stop_sequences.iter().take(MOST_STOPS).collect();
    put("stopSequences", (!stops.is_empty()).then(|| json!(stops)));
    if let Some(schema) = &request.answer {
        put("responseMimeType", Some(json!("application/json")));
        put("responseJsonSchema", Some(schema.source().clone()));
    }
    if call.draws {
        let modalities =
            request.picture.words.map(|words| if words { json!(["TEXT", "IMAGE"]) } else { json!(["IMAGE"]) });
        put("responseModalities", modalities);
        put("imageConfig", image_config(request.picture.format));
    }
    put("thinkingConfig", call.thinking.then(|| thinking(call)).flatten());
    Ok(Value::Object(config))
}

/// The service has one type of picture, so that another is made here.
fn image_config(format: ImageFormat) -> Option<Value> {
    let mut config = Map::new();
    config.extend(format.aspect_ratio.map(|ratio| ("aspectRatio".to_owned(), json!(ratio.as_str()))));
    config.extend(format.image_size.map(|size| ("imageSize".to_owned(), json!(size.as_str()))));
    (!config.is_empty()).then_some(Value::Object(config))
}

/// Since the third generation a level is said, before it a budget of tokens; 2.5 Pro thinks
/// with 128 at least, the others can be told not to.
fn thinking(call: &Call<'_>) -> Option<Value> {
    let asked = &call.request.generation;
    let mut config = Map::new();
    if let Some(level) = asked.thinking_level {
        if call.model.starts_with("gemini-2") {
            let budget = match level {
                ThinkingLevel::Minimal if call.model.contains("pro") => 128,
                ThinkingLevel::Minimal => 0,
                ThinkingLevel::Low => 1024,
                ThinkingLevel::Medium => 8192,
                ThinkingLevel::High | ThinkingLevel::Xhigh => 24_576,
            };
            config.insert("thinkingBudget".to_owned(), json!(budget));
        } else {
            let level = match level {
                ThinkingLevel::Minimal => "minimal",
                ThinkingLevel::Low => "low",
                ThinkingLevel::Medium => "medium",
                ThinkingLevel::High | ThinkingLevel::Xhigh => "high",
            };
            config.insert("thinkingLevel".to_owned(), json!(level));
        }
    }
    if asked.thinking_summaries == Some(ThinkingSummaries::Auto) {
        config.insert("includeThoughts".to_owned(), json!(true));
    }
    (!config.is_empty()).then_some(Value::Object(config))
}

/// Turns of the two roles; the results of one turn's calls are one message.
fn contents(messages: &[Message]) -> Value {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let (role, parts) = match message {
            Message::User(parts) => ("user", parts.iter().map(part).collect()),
            Message::Model(turn) => ("model", said(turn)),
            Message::Result(result) => {
                let field = if result.is_error { "error" } else { "output" };
                let response = json!({"name": result.name, "response": {field: result.text}});
                ("user", vec![json!({"functionResponse": response})])
            }
        };
        let joins = matches!(message, Message::Result(_))
            && at.checked_sub(1).is_some_and(|before| matches!(messages[before], Message::Result(_)));
        match turns.last_mut().filter(|_| joins) {
            Some((_, before)) => before.extend(parts),
            None if parts.is_empty() => {}
            None => turns.push((role, parts)),
        }
    }
    turns.into_iter().map(|(role, parts)| json!({"role": role, "parts": parts})).collect()
}

fn part(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({"text": text}),
        Part::Media(media) => inline(media),
    }
}

fn inline(Media { mime_type, data, options, kind: _ }: &Media) -> Value {
    let mut part = json!({"inlineData": {"mimeType": mime_type, "data": data.to_string()}});
    if let Some(resolution) = options.resolution {
        part["mediaResolution"] = json!({"level": format!("MEDIA_RESOLUTION_{}", resolution.as_str().to_uppercase())});
    }
    if let Some(Processing { start_offset, end_offset, fps, .. }) = &options.processing {
        let mut video = Map::new();
        video.extend(start_offset.map(|offset| ("startOffset".to_owned(), json!(offset))));
        video.extend(end_offset.map(|offset| ("endOffset".to_owned(), json!(offset))));
        video.extend(fps.map(|fps| ("fps".to_owned(), json!(fps))));
        if !video.is_empty() {
            part["videoMetadata"] = Value::Object(video);
        }
    }
    part
}

/// The first call of a turn has to be signed.
fn said(turn: &ModelTurn) -> Vec<Value> {
    let mut parts = Vec::new();
    let mut signature = None;
    let mut calls = 0;
    for said in &turn.said {
        let mut part = match said {
            Said::Thought(thought) => {
                // Google's own, or what this very protocol gave.
                let ours = thought
                    .signature
                    .as_ref()
                    .filter(|own| own.origin.as_deref().is_none_or(|origin| origin == ORIGIN));
                signature = ours.map(|own| own.value.clone()).or(signature);
                continue;
            }
            Said::Text(text) => json!({"text": text}),
            Said::Picture(picture) => inline(picture),
            Said::Call(call) => {
                calls += 1;
                if calls == 1 && signature.is_none() {
                    signature = Some(UNSIGNED.to_owned());
                }
                json!({"functionCall": {"name": call.name, "args": call.arguments}})
            }
        };
        if let Some(signature) = signature.take() {
            part["thoughtSignature"] = json!(signature);
        }
        parts.push(part);
    }
    parts
}

/// Reads chunks of the first candidate.
#[derive(Default)]
struct Chunks {
    started: bool,
    finished: bool,
    parts: usize,
    calls: usize,
    /// Whether text was the last that was said.
    in_text: bool,
    reason: Option<String>,
    usage: Usage,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk {
    #[serde(default)]
    candidates: Vec<Candidate>,
    prompt_feedback: Option<Feedback>,
    usage_metadata: Option<Usage>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Option<Content>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    parts: Vec<Piece>,
}

/// A part of an answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Piece {
    text: Option<String>,
    #[serde(default)]
    thought: bool,
    thought_signature: Option<String>,
    function_call: Option<FunctionCall>,
    inline_data: Option<Blob>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Blob {
    mime_type: String,
    data: String,
}

#[derive(Deserialize)]
struct FunctionCall {
    name: String,
    #[serde(default)]
    args: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback {
    block_reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Usage {
    prompt_token_count: u64,
    cached_content_token_count: u64,
    candidates_token_count: u64,
    thoughts_token_count: u64,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    message: String,
}

impl Usage {
    fn counted(&self) -> ModelEvent {
        ModelEvent::Counted {
            input_tokens: self.prompt_token_count,
            cached_tokens: self.cached_content_token_count,
            output_tokens: self.candidates_token_count + self.thoughts_token_count,
        }
    }
}

impl Reader for Chunks {
    fn read(&mut self, data: &str, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        if self.finished || data.trim() == "[DONE]" {
            return Ok(());
        }
        let chunk: Chunk = serde_json::from_str(data).map_err(|error| Problem::garbage(error.to_string()))?;
        if let Some(error) = chunk.error {
            return Err(Problem::of_status(error.code, &error.message));
        }
        if let Some(reason) = chunk.prompt_feedback.and_then(|feedback| feedback.block_reason) {
            return Err(blocked(&reason));
        }
        if !self.started {
            self.started = true;
            events.push(ModelEvent::Started { cached_tokens: 0 });
        }
        if let Some(usage) = chunk.usage_metadata {
            events.push(usage.counted());
            self.usage = usage;
        }
        if let Some(candidate) = chunk.candidates.into_iter().next() {
            for part in candidate.content.map(|content| content.parts).unwrap_or_default() {
                self.part(part, events)?;
            }
            self.reason = candidate.finish_reason.or(self.reason.take());
        }
        Ok(())
    }

    fn end(&mut self, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        let reason = match self.reason.as_deref() {
            Some("STOP") => FinishReason::Stop,
            Some("MAX_TOKENS") => FinishReason::Length,
            Some(reason) => return Err(blocked(reason)),
            None => return Err(Problem::cut()),
        };
        let usage = &self.usage;
        events.push(usage.counted());
        events.push(ModelEvent::Finished {
            reason,
            exact: false,
            thought_tokens: usage.thoughts_token_count,
            output_tokens: usage.candidates_token_count,
        });
        Ok(())
    }
}

impl Chunks {
    fn part(&mut self, part: Piece, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return Err(Problem::garbage("more parts than any answer has"));
        }
        let tokens = Vec::new();
        let text = part.text.filter(|text| !text.is_empty());
        let says = text.is_some() || part.function_call.is_some() || part.inline_data.is_some();
        // Pictures that it thinks with are drafts, and are not shown.
        if part.thought {
            events.extend(text.map(|text| ModelEvent::Thought { text, tokens }));
            return Ok(());
        }
        // Inside a text it would cut the text in two.
        let says = says && !(text.is_some() && self.in_text);
        self.in_text = text.is_some() || (self.in_text && part.function_call.is_none() && part.inline_data.is_none());
        if let Some(value) = part.thought_signature.filter(|value| says && !value.is_empty()) {
            events.push(ModelEvent::Signed(Signature { origin: Some(ORIGIN.to_owned()), value }));
        }
        events.extend(text.map(|text| ModelEvent::Text { text, tokens }));
        if let Some(Blob { mime_type, data }) = part.inline_data {
            if !mime_type.starts_with("image/") {
                return Err(Problem::garbage("a part of a kind that was not asked for"));
            }
            events.push(ModelEvent::Picture(Media::new(MediaKind::Image, mime_type, data.into())));
        }
        if let Some(FunctionCall { name, args }) = part.function_call {
            self.calls += 1;
            if self.calls > MOST_CALLS {
                return Err(Problem::garbage("more calls than any turn has"));
            }
            events.push(ModelEvent::CallStarted { name, tokens: Vec::new() });
            let text = Value::Object(args).to_string();
            events.push(ModelEvent::CallArguments { text, tokens: Vec::new() });
        }
        Ok(())
    }
}

/// An end that is none, or a prompt that gets no answer.
fn blocked(reason: &str) -> Problem {
    let code = match reason {
        "SAFETY" | "IMAGE_SAFETY" => "safety",
        "IMAGE_PROHIBITED_CONTENT" => "prohibited_content",
        "IMAGE_RECITATION" => "recitation",
        "NO_IMAGE" => NO_IMAGE,
        "RECITATION" => "recitation",
        "LANGUAGE" => "language",
        "PROHIBITED_CONTENT" => "prohibited_content",
        "SPII" => "spii",
        "BLOCKLIST" => "blocklist",
        "MALFORMED_FUNCTION_CALL" => "malformed_function_call",
        "UNEXPECTED_TOOL_CALL" => "unexpected_tool_call",
        "TOO_MANY_TOOL_CALLS" => "too_many_tool_calls",
        _ => "content_blocked",
    };
    Problem::new(ProblemKind::Blocked(code), reason.chars().take(64).collect::<String>())
}
