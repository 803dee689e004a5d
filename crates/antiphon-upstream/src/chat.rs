//! OpenAI's chat completions, and what others made of them.
//!
//! How closely an image is looked at goes as its `detail`, where that means the same: `low` and
//! `high`, at OpenAI. Others take the word and do nothing with it.
//!
//! Refused: documents elsewhere than at OpenAI, videos elsewhere than at vLLM, audio that is
//! neither WAV nor MP3. The tags that some models write around their reasoning are read as
//! text where the service does not take them out itself (`--reasoning-parser` of vLLM and
//! SGLang, `--reasoning-format` of llama-server).

use antiphon_engine::{
    BackendError, Call as FunctionCall, Calls, FinishReason, Media, MediaKind, Message, ModelEvent, ModelTurn, Part,
    Said, Schema, Tool,
};
use antiphon_wire::{MediaOptions, Resolution, ThinkingLevel};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::options::Flavor;
use crate::protocol::{Call, Outgoing, Problem, ProblemKind, Protocol, Reader};

pub(crate) struct Chat {
    flavor: Flavor,
}

/// How a flavor differs from the others.
struct Habits {
    /// The field that limits the answer.
    limit: &'static str,
    /// OpenAI takes four; others any number.
    most_stops: usize,
    /// Schemas need every property required to be enforced.
    strict_is_narrow: bool,
    /// Thinking is switched by an argument of the chat template.
    thinks_by_template: bool,
    /// Reasoning since the user's last message is taken back.
    takes_reasoning: bool,
}

impl Chat {
    pub(crate) fn new(flavor: Flavor) -> Self {
        Self { flavor }
    }

    fn habits(&self) -> Habits {
        let local = Habits {
            limit: "max_tokens",
            most_stops: usize::MAX,
            strict_is_narrow: false,
            thinks_by_template: false,
            takes_reasoning: false,
        };
        match self.flavor {
            Flavor::OpenAi => Habits { limit: "max_completion_tokens", most_stops: 4, strict_is_narrow: true, ..local },
            Flavor::Vllm | Flavor::Sglang | Flavor::LlamaServer => {
                Habits { thinks_by_template: true, takes_reasoning: true, ..local }
            }
            Flavor::Ollama | Flavor::LmStudio => local,
        }
    }

    /// # Errors
    /// [`BackendError::Rejected`] for what this flavor takes in no form.
    fn part(&self, part: &Part) -> Result<Value, BackendError> {
        let Media { kind, mime_type, data, options } = match part {
            Part::Text(text) => return Ok(json!({"type": "text", "text": text})),
            Part::Media(media) => media,
        };
        let url = || format!("data:{mime_type};base64,{data}");
        match (kind, self.flavor) {
            (MediaKind::Image, _) => {
                let mut image = json!({"url": url()});
                if let Some(detail) = options.resolution.and_then(detail) {
                    image["detail"] = json!(detail);
                }
                Ok(json!({"type": "image_url", "image_url": image}))
            }
            (MediaKind::Audio, _) => {
                let format = match mime_type.as_str() {
                    "audio/wav" | "audio/x-wav" | "audio/wave" => "wav",
                    "audio/mp3" | "audio/mpeg" => "mp3",
                    _ => return Err(rejected(&format!("`{mime_type}` is not taken; expected WAV or MP3"))),
                };
                Ok(json!({"type": "input_audio", "input_audio": {"data": data.to_string(), "format": format}}))
            }
            (MediaKind::Document, Flavor::OpenAi) => {
                Ok(json!({"type": "file", "file": {"filename": "document", "file_data": url()}}))
            }
            (MediaKind::Video, Flavor::Vllm) => Ok(json!({"type": "video_url", "video_url": {"url": url()}})),
            (MediaKind::Document | MediaKind::Video, _) => {
                Err(rejected(&format!("`{mime_type}` is not taken by this service")))
            }
        }
    }

    fn messages(&self, call: &Call<'_>) -> Result<Vec<Value>, BackendError> {
        let messages = &call.request.messages;
        let last_user = messages.iter().rposition(|message| matches!(message, Message::User(_))).unwrap_or(0);
        let takes_reasoning = self.habits().takes_reasoning;
        let system = call.request.system_instruction.iter().map(|text| Ok(json!({"role": "system", "content": text})));
        let said = messages.iter().enumerate().map(|(at, message)| match message {
            Message::User(parts) => Ok(json!({"role": "user", "content": self.content(parts)?})),
            Message::Model(turn) => Ok(assistant(turn, takes_reasoning && at > last_user)),
            Message::Result(result) => {
                let said = if result.is_error { format!("Error: {}", result.text) } else { result.text.clone() };
                Ok(json!({"role": "tool", "tool_call_id": result.call_id, "content": said}))
            }
        });
        system.chain(said).collect()
    }

    /// Text alone goes as a string, which every service takes.
    fn content(&self, parts: &[Part]) -> Result<Value, BackendError> {
        match parts {
            [Part::Text(text)] => Ok(json!(text)),
            _ => parts.iter().map(|part| self.part(part)).collect::<Result<Vec<_>, _>>().map(Value::Array),
        }
    }

    fn format(&self, schema: &Schema) -> Value {
        let strict = !self.habits().strict_is_narrow || is_narrow(schema.source());
        json!({"type": "json_schema",
            "json_schema": {"name": "answer", "strict": strict, "schema": schema.source()}})
    }
}

impl Protocol for Chat {
    fn key_header(&self, key: &str) -> (&'static str, String) {
        ("authorization", format!("Bearer {key}"))
    }

    fn carries(&self, kind: MediaKind, option: &str, options: &MediaOptions) -> bool {
        self.flavor == Flavor::OpenAi && carries_detail(kind, option, options)
    }

    fn request(&self, call: &Call<'_>) -> Result<Outgoing, BackendError> {
        let (request, habits) = (call.request, self.habits());
        let generation = &request.generation;
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| {
            body.insert(name.to_owned(), value);
        };
        put("model", json!(call.model));
        put("messages", Value::Array(self.messages(call)?));
        if !request.tools.is_empty() {
            put("tools", request.tools.iter().map(function).collect());
            let choice = match request.calls {
                Calls::None => "none",
                Calls::Allowed => "auto",
                Calls::Required => "required",
            };
            put("tool_choice", json!(choice));
        }
        if let Some(schema) = &request.answer {
            put("response_format", self.format(schema));
        }
        put(habits.limit, json!(request.max_output_tokens));
        if let Some(temperature) = generation.temperature {
            put("temperature", json!(temperature));
        }
        if let Some(top_p) = generation.top_p {
            put("top_p", json!(top_p));
        }
        if let Some(seed) = generation.seed {
            put("seed", json!(seed));
        }
        let stops: Vec<_> = generation.stop_sequences.iter().take(habits.most_stops).collect();
        if !stops.is_empty() {
            put("stop", json!(stops));
        }
        if call.thinking {
            if habits.thinks_by_template
                && let Some(thinking) = request.thinking
            {
                put("chat_template_kwargs", json!({"enable_thinking": thinking}));
            }
            if let Some(level) = generation.thinking_level {
                put("reasoning_effort", json!(effort(level)));
            }
        }
        put("stream", json!(true));
        // Counts with every piece, so that they are right when the client leaves.
        match self.flavor {
            Flavor::Vllm | Flavor::Sglang => {
                put("stream_options", json!({"include_usage": true, "continuous_usage_stats": true}));
            }
            Flavor::LlamaServer => {
                put("stream_options", json!({"include_usage": true}));
                put("timings_per_token", json!(true));
            }
            Flavor::OpenAi | Flavor::Ollama | Flavor::LmStudio => {
                put("stream_options", json!({"include_usage": true}));
            }
        }
        Ok(Outgoing { path: "/chat/completions".to_owned(), body: Value::Object(body), ..Outgoing::default() })
    }

    fn reader(&self, _call: &Call<'_>) -> Box<dyn Reader> {
        Box::new(Chunks::default())
    }
}

/// OpenAI's word for how closely an image is looked at; between the two, and beyond, it has none.
pub(crate) fn detail(resolution: Resolution) -> Option<&'static str> {
    match resolution {
        Resolution::Low => Some("low"),
        Resolution::High => Some("high"),
        Resolution::Medium | Resolution::UltraHigh => None,
    }
}

/// Whether an option is one that [`detail`] has a word for.
pub(crate) fn carries_detail(kind: MediaKind, option: &str, options: &MediaOptions) -> bool {
    kind == MediaKind::Image && option == "resolution" && options.resolution.and_then(detail).is_some()
}

fn rejected(message: &str) -> BackendError {
    BackendError::Rejected(format!("`input`: {message}"))
}

fn function(tool: &Tool) -> Value {
    let mut function = Map::new();
    function.insert("name".to_owned(), json!(tool.name));
    if let Some(description) = &tool.description {
        function.insert("description".to_owned(), json!(description));
    }
    function.insert("parameters".to_owned(), tool.parameters.source().clone());
    json!({"type": "function", "function": function})
}

fn assistant(turn: &ModelTurn, with_reasoning: bool) -> Value {
    let calls: Vec<_> = turn.calls().map(asked).collect();
    let text = turn.joined_text();
    let mut message = Map::new();
    message.insert("role".to_owned(), json!("assistant"));
    // Content that is nothing goes as null beside calls; alone it stays a string.
    message.insert("content".to_owned(), if text.is_empty() && !calls.is_empty() { Value::Null } else { json!(text) });
    let reasoning: String = turn
        .said
        .iter()
        .filter_map(|said| match said {
            Said::Thought(thought) => Some(thought.text.as_str()),
            Said::Text(_) | Said::Picture(_) | Said::Call(_) => None,
        })
        .collect();
    if with_reasoning && !reasoning.is_empty() {
        message.insert("reasoning_content".to_owned(), json!(reasoning));
    }
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    Value::Object(message)
}

fn asked(call: &FunctionCall) -> Value {
    let arguments = Value::Object(call.arguments.clone()).to_string();
    json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
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

/// Whether OpenAI enforces a schema: every property is required and no other allowed,
/// all the way down.
pub(crate) fn is_narrow(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            let properties = map.get("properties").and_then(Value::as_object);
            let required = map.get("required").and_then(Value::as_array);
            let is_required = |name: &String| required.is_some_and(|names| names.iter().any(|known| known == name));
            let closed = map.get("additionalProperties") == Some(&Value::Bool(false));
            let is_object = properties.is_some() || map.get("type").is_some_and(|kind| kind == "object");
            let holds = !is_object || (closed && properties.is_none_or(|all| all.keys().all(is_required)));
            holds && map.values().all(is_narrow)
        }
        Value::Array(items) => items.iter().all(is_narrow),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// No turn has more calls, and no call longer arguments.
const MOST_CALLS: usize = 128;
const MOST_ARGUMENT_BYTES: usize = 4 << 20;

/// Reads chunks of one choice.
#[derive(Default)]
struct Chunks {
    started: bool,
    calls: Vec<Fragments>,
    /// How many of the calls have been given out whole.
    whole: usize,
    reason: Option<FinishReason>,
    usage: Usage,
    /// The text is a refusal.
    refused: bool,
    finished: bool,
}

/// A call as it comes.
#[derive(Default)]
struct Fragments {
    /// By what the service tells its calls apart.
    index: Option<u64>,
    id: Option<String>,
    name: String,
    arguments: String,
    /// How much of the arguments was given out, once the call was begun.
    given: Option<usize>,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    timings: Option<Timings>,
    error: Option<Value>,
}

/// What llama-server counts at each token.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Timings {
    /// Tokens of the prompt that were read.
    prompt_n: u64,
    cache_n: u64,
    predicted_n: u64,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Deserialize)]
struct CallDelta {
    index: Option<u64>,
    id: Option<String>,
    #[serde(default)]
    function: FunctionDelta,
}

#[derive(Default, Deserialize)]
struct FunctionDelta {
    name: Option<String>,
    arguments: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Default, Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

impl From<Timings> for Usage {
    fn from(timings: Timings) -> Self {
        let Timings { prompt_n, cache_n, predicted_n } = timings;
        Self {
            prompt_tokens: prompt_n + cache_n,
            completion_tokens: predicted_n,
            prompt_tokens_details: Some(PromptDetails { cached_tokens: Some(cache_n) }),
            completion_tokens_details: None,
        }
    }
}

impl Usage {
    fn counted(&self) -> ModelEvent {
        ModelEvent::Counted {
            input_tokens: self.prompt_tokens,
            cached_tokens: self.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens).unwrap_or(0),
            output_tokens: self.completion_tokens,
        }
    }
}

impl Reader for Chunks {
    fn read(&mut self, data: &str, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        if self.finished {
            return Ok(());
        }
        if data.trim() == "[DONE]" {
            return self.end(events);
        }
        let chunk: Chunk = serde_json::from_str(data).map_err(|error| Problem::garbage(error.to_string()))?;
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(failed(&error));
        }
        if !self.started {
            self.started = true;
            events.push(ModelEvent::Started { cached_tokens: 0 });
        }
        if let Some(usage) = chunk.usage.or(chunk.timings.map(Usage::from)) {
            events.push(usage.counted());
            self.usage = usage;
        }
        if let Some(choice) = chunk.choices.into_iter().next() {
            self.delta(choice.delta, events)?;
            if let Some(reason) = choice.finish_reason {
                self.reason = Some(match reason.as_str() {
                    "length" => FinishReason::Length,
                    "content_filter" => {
                        return Err(Problem::new(ProblemKind::Blocked("content_blocked"), "content_filter"));
                    }
                    _ => FinishReason::Stop,
                });
            }
        }
        Ok(())
    }

    fn end(&mut self, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        let Some(reason) = self.reason else { return Err(Problem::cut()) };
        if self.refused {
            return Err(Problem::new(ProblemKind::Blocked("content_blocked"), "refusal"));
        }
        while self.whole < self.calls.len() {
            self.end_call(events);
        }
        let Usage { completion_tokens, completion_tokens_details, .. } = &self.usage;
        let thought = completion_tokens_details.as_ref().and_then(|details| details.reasoning_tokens).unwrap_or(0);
        events.push(self.usage.counted());
        events.push(ModelEvent::Finished {
            reason,
            exact: false,
            thought_tokens: thought.min(*completion_tokens),
            output_tokens: completion_tokens.saturating_sub(thought),
        });
        Ok(())
    }
}

impl Chunks {
    fn delta(&mut self, delta: Delta, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(text) = said(delta.reasoning_content).or(said(delta.reasoning)) {
            events.push(ModelEvent::Thought { text, tokens: Vec::new() });
        }
        if let Some(text) = said(delta.content) {
            events.push(ModelEvent::Text { text, tokens: Vec::new() });
        }
        if let Some(text) = said(delta.refusal) {
            events.push(ModelEvent::Text { text, tokens: Vec::new() });
            self.refused = true;
        }
        for call in delta.tool_calls.unwrap_or_default() {
            self.fragment(call, events)?;
        }
        Ok(())
    }

    /// Calls come in fragments, told apart by index, by id, or not at all when each is whole.
    fn fragment(&mut self, delta: CallDelta, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        let id = delta.id.filter(|id| !id.is_empty());
        let name = delta.function.name.filter(|name| !name.is_empty());
        let same = |call: &Fragments| {
            let other_id = id.is_some() && call.id.is_some() && id != call.id;
            match (delta.index, call.index) {
                (Some(index), Some(known)) => index == known && !other_id,
                _ => !other_id && (id.is_some() || name.is_none()),
            }
        };
        let at = match self.calls.iter().rposition(same) {
            Some(at) => at,
            None => {
                if self.calls.len() >= MOST_CALLS {
                    return Err(Problem::garbage("more calls than any turn has"));
                }
                self.calls.push(Fragments { index: delta.index, id, ..Fragments::default() });
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[at];
        if at < self.whole {
            return Err(Problem::garbage("a call goes on after the next has begun"));
        }
        if call.name.is_empty() {
            call.name = name.unwrap_or_default();
        }
        match delta.function.arguments {
            Some(Value::String(text)) => call.arguments.push_str(&text),
            // Some services send the object itself.
            Some(object @ Value::Object(_)) => call.arguments.push_str(&object.to_string()),
            Some(_) | None => {}
        }
        if call.arguments.len() > MOST_ARGUMENT_BYTES {
            return Err(Problem::garbage("a call's arguments are longer than any"));
        }
        // Only the first that is not whole is shown; the others wait for their turn.
        if at == self.whole {
            call.give(events);
        }
        Ok(())
    }

    fn end_call(&mut self, events: &mut Vec<ModelEvent>) {
        let call = &mut self.calls[self.whole];
        if call.arguments.trim().is_empty() {
            call.arguments = "{}".to_owned();
        }
        call.give(events);
        self.whole += 1;
    }
}

impl Fragments {
    /// Gives out what is new.
    fn give(&mut self, events: &mut Vec<ModelEvent>) {
        if self.name.is_empty() {
            return;
        }
        let given = *self.given.get_or_insert_with(|| {
            events.push(ModelEvent::CallStarted { name: self.name.clone(), tokens: Vec::new() });
            0
        });
        if given < self.arguments.len() {
            let text = self.arguments[given..].to_owned();
            events.push(ModelEvent::CallArguments { text, tokens: Vec::new() });
            self.given = Some(self.arguments.len());
        }
    }
}

/// What an error inside the stream means.
fn failed(error: &Value) -> Problem {
    let detail = error.get("message").and_then(Value::as_str).unwrap_or_default();
    let code = error.get("code").and_then(|code| code.as_u64().or_else(|| code.as_str()?.parse().ok()));
    let status = code.and_then(|code| u16::try_from(code).ok()).unwrap_or(500);
    Problem::of_status(status, detail)
}
