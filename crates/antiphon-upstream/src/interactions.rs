//! The Interactions API itself, as Google or another antiphon serves it.
//!
//! Signatures pass through unchanged in both directions. The whole conversation goes with
//! every request and nothing is stored there. Refused: nothing that this server takes.

use antiphon_engine::{
    BackendError, Calls, FinishReason, Media, MediaKind, Message, ModelEvent, ModelTurn, Part, Said, Signature,
    WantedPicture,
};
use antiphon_wire::{ImageFormat, MediaOptions};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::protocol::{Answers, Call, NO_IMAGE, Outgoing, Problem, ProblemKind, Protocol, Reader};

pub(crate) struct Interactions;

/// The origin of a signature on a call itself, which goes back to that place.
const ON_CALL: &str = "interactions-call";

/// No turn has more steps.
const MOST_STEPS: usize = 1024;

impl Protocol for Interactions {
    fn key_header(&self, key: &str) -> (&'static str, String) {
        ("x-goog-api-key", key.to_owned())
    }

    /// Options are the API's own.
    fn carries(&self, _kind: MediaKind, _option: &str, _options: &MediaOptions) -> bool {
        true
    }

    fn request(&self, call: &Call<'_>) -> Result<Outgoing, BackendError> {
        let request = call.request;
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| {
            body.insert(name.to_owned(), value);
        };
        put("model", json!(call.model));
        if let Some(system) = &request.system_instruction {
            put("system_instruction", json!(system));
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
                Value::Object(function)
            });
            put("tools", tools.collect());
        }
        put("input", Value::Array(request.messages.iter().flat_map(steps).collect()));
        if call.draws {
            body_format(request.picture).into_iter().for_each(|format| put("response_format", format));
        }
        if let Some(schema) = &request.answer {
            put("response_format", json!({"type": "text", "mime_type": "application/json", "schema": schema.source()}));
        }
        put("generation_config", generation(call));
        put("store", json!(false));
        put("stream", json!(true));
        let answers = if call.draws { Answers::LargeEvents } else { Answers::Events };
        Ok(Outgoing { path: "/interactions".to_owned(), body: Value::Object(body), answers, ..Outgoing::default() })
    }

    fn reader(&self, _call: &Call<'_>) -> Box<dyn Reader> {
        Box::new(Events::default())
    }
}

/// What the answer is to be, as far as the request says it. A picture comes with the answer in any case: how it
/// is delivered from here is no matter of the service.
fn body_format(wanted: WantedPicture) -> Option<Value> {
    let WantedPicture { format: ImageFormat { aspect_ratio, image_size, mime_type, delivery: _ }, words } = wanted;
    let mut image = Map::from_iter([("type".to_owned(), json!("image"))]);
    image.extend(mime_type.map(|kind| ("mime_type".to_owned(), json!(kind.as_str()))));
    image.extend(aspect_ratio.map(|ratio| ("aspect_ratio".to_owned(), json!(ratio.as_str()))));
    image.extend(image_size.map(|size| ("image_size".to_owned(), json!(size.as_str()))));
    match words {
        None if image.len() == 1 => None,
        Some(true) => Some(json!([{"type": "text"}, image])),
        Some(false) | None => Some(Value::Object(image)),
    }
}

fn generation(call: &Call<'_>) -> Value {
    let request = call.request;
    let asked = &request.generation;
    let mut config = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            config.insert(name.to_owned(), value);
        }
    };
    put("temperature", asked.temperature.map(|value| json!(value)));
    put("top_p", asked.top_p.map(|value| json!(value)));
    put("max_output_tokens", Some(json!(request.max_output_tokens)));
    put("seed", asked.seed.map(|value| json!(value)));
    put("stop_sequences", (!asked.stop_sequences.is_empty()).then(|| json!(asked.stop_sequences)));
    let level = asked.thinking_level.filter(|_| call.thinking).map(|level| json!(level));
    put("thinking_level", level);
    put("thinking_summaries", asked.thinking_summaries.map(|value| json!(value)));
    let choice = match request.calls {
        Calls::None => (!request.tools.is_empty()).then(|| json!("none")),
        Calls::Allowed => Some(json!("auto")),
        Calls::Required => Some(json!("any")),
    };
    put("tool_choice", choice);
    Value::Object(config)
}

fn steps(message: &Message) -> Vec<Value> {
    match message {
        Message::User(parts) => {
            vec![json!({"type": "user_input", "content": parts.iter().map(content).collect::<Vec<_>>()})]
        }
        Message::Model(turn) => said(turn),
        Message::Result(result) => {
            let mut step = json!({"type": "function_result", "call_id": result.call_id, "name": result.name,
                "result": result.text});
            if result.is_error {
                step["is_error"] = json!(true);
            }
            vec![step]
        }
    }
}

fn content(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({"type": "text", "text": text}),
        Part::Media(media) => media_content(media),
    }
}

fn media_content(Media { kind, mime_type, data, options }: &Media) -> Value {
    let mut part = json!({"type": kind.as_str(), "data": data.to_string(), "mime_type": mime_type});
    if let (Some(part), Ok(Value::Object(options))) = (part.as_object_mut(), serde_json::to_value(options)) {
        part.extend(options);
    }
    part
}

fn said(turn: &ModelTurn) -> Vec<Value> {
    let mut steps = Vec::new();
    let mut on_call = None;
    for said in &turn.said {
        match said {
            Said::Thought(thought) => match &thought.signature {
                Some(Signature { origin: None, value }) => {
                    steps.push(json!({"type": "thought", "signature": value}));
                }
                Some(Signature { origin: Some(origin), value }) if origin == ON_CALL => on_call = Some(value),
                // Reasoning without its signature proves nothing there.
                Some(_) | None => {}
            },
            Said::Text(text) => {
                steps.push(json!({"type": "model_output", "content": [{"type": "text", "text": text}]}));
            }
            Said::Picture(picture) => {
                steps.push(json!({"type": "model_output", "content": [media_content(picture)]}));
            }
            Said::Call(call) => {
                let mut step =
                    json!({"type": "function_call", "id": call.id, "name": call.name, "arguments": call.arguments});
                if let Some(signature) = on_call.take() {
                    step["signature"] = json!(signature);
                }
                steps.push(step);
            }
        }
    }
    steps
}

/// Reads the events of one interaction.
#[derive(Default)]
struct Events {
    started: bool,
    finished: bool,
    steps: usize,
    step: Open,
    /// The first error that was said.
    error: Option<Failure>,
}

/// The step that is being said.
#[derive(Default, PartialEq)]
enum Open {
    #[default]
    None,
    Thought,
    Output,
    Call {
        /// What the start held, if it held arguments; deltas come in its place.
        arguments: Map<String, Value>,
        has_deltas: bool,
    },
}

#[derive(Deserialize)]
#[serde(tag = "event_type")]
enum Event {
    #[serde(rename = "step.start")]
    StepStart { step: Step },
    #[serde(rename = "step.delta")]
    StepDelta { delta: Delta },
    #[serde(rename = "step.stop")]
    StepStop {},
    #[serde(rename = "interaction.completed")]
    Completed { interaction: Interaction },
    #[serde(rename = "error")]
    Error { error: Failure },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Step {
    Thought {
        signature: Option<String>,
        #[serde(default)]
        summary: Vec<Content>,
    },
    ModelOutput {
        #[serde(default)]
        content: Vec<Content>,
    },
    FunctionCall {
        name: String,
        #[serde(default)]
        arguments: Map<String, Value>,
        signature: Option<String>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta {
    Text {
        text: String,
    },
    Image(Image),
    ThoughtSummary {
        content: Content,
    },
    ThoughtSignature {
        signature: String,
    },
    #[serde(rename = "arguments_delta")]
    Arguments {
        arguments: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    r#type: String,
    text: Option<String>,
    #[serde(flatten)]
    image: Image,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Image {
    data: Option<String>,
    mime_type: Option<String>,
}

impl Image {
    /// # Errors
    /// When it is elsewhere: nothing is fetched from where a service says.
    fn shown(self) -> Result<ModelEvent, Problem> {
        let Self { data: Some(data), mime_type: Some(mime_type) } = self else {
            return Err(Problem::garbage("a picture without `data` or `mime_type`"));
        };
        Ok(ModelEvent::Picture(Media::new(MediaKind::Image, mime_type, data.into())))
    }
}

#[derive(Deserialize)]
struct Interaction {
    status: String,
    #[serde(default)]
    usage: Usage,
    #[serde(default)]
    errors: Vec<Failure>,
    error: Option<Failure>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Usage {
    total_input_tokens: u64,
    total_cached_tokens: u64,
    total_output_tokens: u64,
    total_thought_tokens: u64,
}

#[derive(Clone, Deserialize)]
struct Failure {
    #[serde(default)]
    code: Value,
    #[serde(default)]
    message: String,
}

impl Reader for Events {
    fn read(&mut self, data: &str, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        if self.finished {
            return Ok(());
        }
        if data.trim() == "[DONE]" {
            return self.end(events);
        }
        if !self.started {
            self.started = true;
            events.push(ModelEvent::Started { cached_tokens: 0 });
        }
        match serde_json::from_str(data).map_err(|error| Problem::garbage(error.to_string()))? {
            Event::StepStart { step } => self.start(step, events),
            Event::StepDelta { delta } => self.delta(delta, events),
            Event::StepStop {} => {
                self.stop(events);
                Ok(())
            }
            Event::Completed { interaction } => self.complete(interaction, events),
            Event::Error { error } => {
                // The end that follows says what it cost.
                self.error.get_or_insert(error);
                Ok(())
            }
            Event::Other => Ok(()),
        }
    }

    fn end(&mut self, _events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        if self.finished {
            return Ok(());
        }
        Err(self.error.take().map_or_else(Problem::cut, |error| problem(&error)))
    }
}

impl Events {
    fn start(&mut self, step: Step, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        self.stop(events);
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err(Problem::garbage("more steps than any turn has"));
        }
        match step {
            Step::Thought { signature, summary } => {
                self.step = Open::Thought;
                for text in summary.into_iter().filter_map(|content| content.text) {
                    events.push(ModelEvent::Thought { text, tokens: Vec::new() });
                }
                self.sign(signature.unwrap_or_default(), None, events);
            }
            Step::ModelOutput { content } => {
                self.step = Open::Output;
                for content in content {
                    if content.r#type == "image" {
                        events.push(content.image.shown()?);
                    } else if let Some(text) = content.text {
                        events.push(ModelEvent::Text { text, tokens: Vec::new() });
                    }
                }
            }
            Step::FunctionCall { name, arguments, signature } => {
                self.sign(signature.unwrap_or_default(), Some(ON_CALL), events);
                events.push(ModelEvent::CallStarted { name, tokens: Vec::new() });
                self.step = Open::Call { arguments, has_deltas: false };
            }
            Step::Other => return Err(Problem::garbage("a step of a kind that was not asked for")),
        }
        Ok(())
    }

    fn sign(&mut self, value: String, origin: Option<&str>, events: &mut Vec<ModelEvent>) {
        if !value.is_empty() {
            events.push(ModelEvent::Signed(Signature { origin: origin.map(str::to_owned), value }));
        }
    }

    fn delta(&mut self, delta: Delta, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        let tokens = Vec::new();
        match delta {
            Delta::Text { text } => events.push(ModelEvent::Text { text, tokens }),
            Delta::Image(image) => events.push(image.shown()?),
            Delta::ThoughtSummary { content } => {
                events.extend(content.text.map(|text| ModelEvent::Thought { text, tokens }));
            }
            Delta::ThoughtSignature { signature } => self.sign(signature, None, events),
            Delta::Arguments { arguments } => {
                if let Open::Call { has_deltas, .. } = &mut self.step {
                    *has_deltas = true;
                    events.push(ModelEvent::CallArguments { text: arguments, tokens });
                }
            }
            Delta::Other => {}
        }
        Ok(())
    }

    fn stop(&mut self, events: &mut Vec<ModelEvent>) {
        if let Open::Call { arguments, has_deltas: false } = std::mem::take(&mut self.step) {
            let text = Value::Object(arguments).to_string();
            events.push(ModelEvent::CallArguments { text, tokens: Vec::new() });
        }
    }

    fn complete(&mut self, interaction: Interaction, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        let Interaction { status, usage, errors, error } = interaction;
        let reason = match status.as_str() {
            "completed" | "requires_action" => FinishReason::Stop,
            "incomplete" => FinishReason::Length,
            _ => {
                let said = self.error.take().or(error).or(errors.into_iter().next());
                return Err(said.map_or_else(|| unfinished(&status), |error| problem(&error)));
            }
        };
        self.stop(events);
        self.finished = true;
        let (input_tokens, cached_tokens) = (usage.total_input_tokens, usage.total_cached_tokens);
        events.push(ModelEvent::Counted { input_tokens, cached_tokens, output_tokens: 0 });
        events.push(ModelEvent::Finished {
            reason,
            exact: false,
            thought_tokens: usage.total_thought_tokens,
            output_tokens: usage.total_output_tokens,
        });
        Ok(())
    }
}

fn unfinished(status: &str) -> Problem {
    Problem::new(ProblemKind::Unavailable, format!("the interaction ended `{}`", status.escape_debug()))
}

/// Codes of spec 00 §5 in blocked answers.
const BLOCKED: [&str; 13] = [
    NO_IMAGE,
    "safety",
    "recitation",
    "language",
    "prohibited_content",
    "spii",
    "blocklist",
    "content_blocked",
    "malformed_function_call",
    "malformed_tool_call",
    "unexpected_tool_call",
    "malformed_response",
    "missing_thought_signature",
];

fn problem(error: &Failure) -> Problem {
    let code = error.code.as_str().unwrap_or_default();
    let kind = match code {
        "rate_limit_exceeded" | "quota_exceeded" | "too_many_requests" => ProblemKind::RateLimited,
        "deadline_exceeded" | "gateway_timeout" => ProblemKind::Timeout,
        "invalid_request" | "failed_precondition" | "parameter_unknown" | "out_of_range" => ProblemKind::BadRequest,
        "authentication" | "permission_denied" | "payment_required" | "model_not_found" | "not_found" => {
            ProblemKind::Misconfigured
        }
        _ => BLOCKED
            .iter()
            .find(|known| **known == code)
            .map_or(ProblemKind::Unavailable, |known| ProblemKind::Blocked(known)),
    };
    Problem::new(kind, format!("{code}: {}", error.message))
}
