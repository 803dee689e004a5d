//! A model in a supervised worker process on this machine.
//!
//! The worker computes tokens from tokens; what a conversation looks like to its model
//! and how its answer is to be read is decided here, by the model's own template. A
//! worker that dies fails the calls it was working on, and nothing else: it is started
//! again for the next ones.

use std::path::PathBuf;
use std::sync::Arc;

use antiphon_dialect::{self as dialect, Conversation, Part, Segment};
use antiphon_engine::{
    Backend, BackendError, Call as FunctionCall, Calls, FOUND, FinishReason, MediaKind, Message, ModelRequest,
    ModelStream, PRINTED_NOTHING, Prepared, PreparedMedium, Schema, Tool, media_told, text_of,
};
use antiphon_wire::{Error, MediaOptions};
use antiphon_worker::protocol::{self, Generate, Message as Said, Request, Sampling};
use async_trait::async_trait;
use futures_util::stream;

use crate::answer::{Answer, Raw};
use crate::blocks;

mod media;
mod supervisor;

pub use media::{Opened, Opener, SAMPLE_RATE};
use supervisor::{Call, Supervisor, Worker};

/// Which worker runs which model, and how the model is used by default.
#[derive(Clone)]
pub struct LlamaOptions {
    /// The worker's executable.
    pub executable: PathBuf,
    /// The weights, a GGUF file.
    pub model: PathBuf,
    /// What makes images and recordings something that the model reads, a GGUF file too.
    pub projector: Option<Projector>,
    pub name: String,
    /// In tokens, shared by all slots.
    pub context: u32,
    /// How many calls run at the same time.
    pub slots: u32,
    /// Further arguments of the worker.
    pub arguments: Vec<String>,
    /// What a request does not say; its seed is not used.
    pub sampling: Sampling,
    /// Said to the model when a request has no system instruction.
    pub system_prompt: Option<String>,
    /// Said to the model after the results of functions, for models that would rather call
    /// again than use them. `{question}` in it stands for what the user asked.
    pub result_prompt: Option<String>,
    /// Said in its place after what was searched for and read.
    pub source_prompt: Option<String>,
    /// Whether the model is told what to do with media that were read for it: of itself a small one describes that one is
    /// an image and the other a sound, and makes up what it has not seen.
    pub media_prompts: bool,
    /// Whether an agent's model may answer with a code block in place of a call, as models that
    /// write code well but calls badly do.
    pub code_blocks: bool,
    /// The date templates may show, as `2026-06-09`.
    pub today: fn() -> String,
}

/// A projector, and what it is given from.
#[derive(Clone)]
pub struct Projector {
    pub file: PathBuf,
    pub opener: Arc<dyn Opener>,
}

/// The backend over one worker.
pub struct Llama {
    options: LlamaOptions,
    supervisor: Supervisor,
}

/// Said behind a task to a model that writes code blocks. Of two languages it takes the wrong one.
const BLOCK_PROMPT: &str = "Do all of it now: answer with nothing but one ```python block, a whole program on \
                            the standard library alone, which is run for you and prints what is to be known.";

/// Said in place of `result_prompt` to an agent's model: after what worked, after what failed, and where no more calls
/// are wanted. Asked whether all is done, a small model guesses; asked for the output, it gives it.
const DONE_PROMPT: &str = "Reply to me with the output above, all of it.";
const FAILED_PROMPT: &str = "That failed. The task is: {question}\n\nDo it in another way: answer with nothing but one \
                             whole ```python block.";
const ANSWER_PROMPT: &str = "Now tell me in words what was done, and what was not.";

/// Said after a program that worked and printed nothing.
const SILENT_PROMPT: &str = "The task is: {question}\n\nAnswer with nothing but one ```python block that does what is \
                             missing and prints the result from the files.";

/// Stands for what the user asked, in a prompt after results.
const QUESTION: &str = "{question}";

/// Longer questions are not said again.
const LONGEST_QUESTION: usize = 400;

/// What was asked, in a few words.
fn question(asked: &str) -> &str {
    match asked.trim() {
        "" => "what was asked",
        asked if asked.len() > LONGEST_QUESTION => "what was asked",
        asked => asked,
    }
}

/// What is said behind media that were read for the model, if there are any but documents.
fn prompt_of_media(text: &str) -> Option<String> {
    let told: Vec<_> = media_told(text).collect();
    let count = |kind| told.iter().filter(|(other, _)| *other == kind).count();
    let of = |kind, one: &'static str, more: &'static str| (kind, if count(kind) == 1 { one } else { more });
    let places = [
        (of(MediaKind::Image, "the image", "each of the images"), "written"),
        (of(MediaKind::Audio, "the recording", "each of the recordings"), "said"),
        (of(MediaKind::Video, "the video", "each of the videos"), "written and said"),
    ];
    let quoted = places.into_iter().filter(|((kind, _), _)| told.contains(&(*kind, true)));
    let quotes: Vec<_> = quoted.map(|((_, place), verb)| format!("quote what is {verb} in {place}")).collect();
    let (unseen, them) = match (count(MediaKind::Image), count(MediaKind::Video)) {
        (0, 0) => ("", "it"),
        (1, 0) => ("the image", "it"),
        (0, 1) => ("the video", "it"),
        (_, 0) => ("the images", "them"),
        (0, _) => ("the videos", "them"),
        (_, _) => ("the images and videos", "them"),
    };
    match (quotes.is_empty(), unseen) {
        (true, "") => None,
        (true, unseen) => Some(format!(
            "Answer now. Begin with `I have not seen {unseen}.` Then quote what is guessed above, and name nothing else."
        )),
        (false, "") => Some(format!("Answer now, and {}.", quotes.join(", and "))),
        (false, unseen) => {
            let rest = format!("To all else that is asked of {unseen}, say that you have not seen {them}.");
            Some(format!("Answer now, and {}. {rest}", quotes.join(", and ")))
        }
    }
}

impl Llama {
    /// Starts the supervisor. The worker itself starts with [`Llama::load`] or the first
    /// request.
    ///
    /// # Errors
    /// When the supervising thread cannot be started.
    pub fn new(options: LlamaOptions) -> std::io::Result<Self> {
        let supervisor = Supervisor::start(&options)?;
        Ok(Self { options, supervisor })
    }

    /// Starts loading the model now.
    pub fn load(&self) {
        self.supervisor.want();
    }

    /// Waits until the model is loaded, and with it known which media it takes.
    ///
    /// # Errors
    /// Why it cannot be, or that its projector is of no use.
    pub async fn loaded(&self) -> Result<(), BackendError> {
        let worker = self.supervisor.worker().await?;
        match &self.options.projector {
            Some(projector) if !MediaKind::ALL.iter().any(|kind| media::takes(&worker.card, *kind)) => {
                Err(BackendError::Unavailable(format!(
                    "With the projector `{}` model `{}` takes neither images nor recordings of {SAMPLE_RATE} Hz",
                    projector.file.display(),
                    self.options.name
                )))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The media of a conversation as the worker takes them.
    async fn open(&self, request: &ModelRequest) -> Result<Vec<Opened>, BackendError> {
        media::open(self.options.projector.as_ref().map(|projector| &projector.opener), request).await
    }

    /// The conversation in the model's own form, and what the answer may look like.
    fn render(&self, worker: &Worker, request: &ModelRequest) -> Result<Prompt, BackendError> {
        let fingerprint = &worker.card.fingerprint;
        let conversation = Conversation {
            system: request.system_instruction.clone().or_else(|| self.options.system_prompt.clone()),
            tools: self.told_tools(request).map(declaration).collect(),
            answer_schema: request.answer.as_ref().map(Schema::description),
            thinking: request.thinking,
            messages: self.messages(request, fingerprint),
            today: (self.options.today)(),
        };
        let segments = worker.template.render(&conversation).map_err(|error| {
            BackendError::Rejected(format!("`input`: the model's template does not take this conversation: {error}"))
        })?;
        let tail = match segments.last() {
            Some(Segment::Control(text)) => text.clone(),
            Some(Segment::Data(_) | Segment::Tokens(_) | Segment::Media(_)) | None => String::new(),
        };
        let callable: Vec<_> = self.told_tools(request).map(callable).collect();
        let calls = match request.calls {
            // What is to be told has been printed: it would go on calling for ever.
            Calls::Allowed if self.has_blocks(request) && has_result(&request.messages) => dialect::Calls::Finished,
            Calls::None if self.has_blocks(request) => dialect::Calls::Finished,
            Calls::None if request.messages.iter().any(shows_calls) => dialect::Calls::Forbidden,
            Calls::None => dialect::Calls::None,
            Calls::Allowed => dialect::Calls::Allowed,
            Calls::Required => dialect::Calls::Required,
        };
        let answer = request.answer.as_ref().map(Schema::grammar);
        let constraint = match &request.grammar {
            Some(rules) => worker.template.ruled(rules, &tail),
            None => worker.template.constraint(&callable, calls, answer, &tail),
        };
        let constraint = constraint.map(|constraint| {
            let dialect::Constraint { grammar, markers } = constraint;
            protocol::Constraint { grammar, markers }
        });
        Ok(Prompt { segments, tail, constraint })
    }

    /// The messages for the dialect. Where the results of a turn end, the model is told what
    /// to do with them; there once and for ever, so that the next prompt extends this one.
    fn messages(&self, request: &ModelRequest, fingerprint: &str) -> Vec<dialect::Message> {
        let mut seen = 0;
        let mut messages: Vec<_> =
            request.messages.iter().map(|message| said(message, fingerprint, &mut seen)).collect();
        for (message, own) in messages.iter_mut().zip(&request.messages) {
            let (dialect::Message::User(parts), Message::User(own)) = (message, own) else { continue };
            if self.has_blocks(request) {
                add(parts, BLOCK_PROMPT);
            }
            if self.options.media_prompts
                && let Some(prompt) = prompt_of_media(&text_of(own))
            {
                add(parts, &prompt);
            }
        }
        let Some(prompt) = &self.options.result_prompt else { return messages };
        let mut asked = String::new();
        for (at, message) in request.messages.iter().enumerate() {
            if let Message::User(parts) = message {
                asked = antiphon_engine::text_of(parts);
            }
            let goes_on = matches!(messages.get(at + 1), Some(dialect::Message::Tool(_)));
            if let dialect::Message::Tool(result) = &mut messages[at]
                && !goes_on
            {
                result.text.push_str("\n\n");
                let is_last = at + 1 == request.messages.len();
                let prompt = match &request.messages[at] {
                    Message::Result(result) if !request.is_agent && result.text.contains(FOUND) => {
                        self.options.source_prompt.as_ref().unwrap_or(prompt)
                    }
                    _ if !request.is_agent => prompt,
                    _ if is_last && request.calls == Calls::None => ANSWER_PROMPT,
                    Message::Result(result) if result.is_error && self.has_blocks(request) => FAILED_PROMPT,
                    Message::Result(result) if result.is_error => continue,
                    Message::Result(result) if result.text == PRINTED_NOTHING && self.has_blocks(request) => {
                        SILENT_PROMPT
                    }
                    _ => DONE_PROMPT,
                };
                result.text.push_str(&prompt.replace(QUESTION, question(&asked)));
            }
        }
        messages
    }

    /// The functions that the model is told of: none where it is to answer from results, since it would write one more
    /// call, as text.
    fn told_tools<'a>(&self, request: &'a ModelRequest) -> impl Iterator<Item = &'a Tool> {
        let has_blocks = self.has_blocks(request);
        let are_standing = blocks::are_standing(request.tools.iter().map(|tool| tool.name.as_str()));
        let (asked, said) = if has_blocks { said_so_far(&request.messages) } else { Default::default() };
        let answers = match request.calls {
            Calls::None => matches!(request.messages.last(), Some(Message::Result(_))),
            Calls::Allowed | Calls::Required => has_blocks && has_result(&request.messages),
        };
        request
            .tools
            .iter()
            .filter(move |tool| !answers && (!has_blocks || blocks::serves(&tool.name, are_standing, &asked, &said)))
    }

    /// Whether the model may write programs as code blocks.
    fn has_blocks(&self, request: &ModelRequest) -> bool {
        self.options.code_blocks && request.is_agent && request.tools.iter().any(|tool| tool.name == blocks::TOOL)
    }

    /// Whether an answer may come out one way or another. What is searched for, what sources say and what was read of
    /// media are no matter of chance, and neither is what a program does, unless it is to be another one.
    fn is_chance(&self, request: &ModelRequest) -> bool {
        if request.is_agent {
            return !self.has_blocks(request) || has_failed(&request.messages);
        }
        let is_certain = match request.messages.last() {
            Some(Message::User(_)) if request.calls == Calls::Required => self.options.source_prompt.is_some(),
            Some(Message::User(parts)) => self.options.media_prompts && prompt_of_media(&text_of(parts)).is_some(),
            Some(Message::Result(result)) => self.options.source_prompt.is_some() && result.text.contains(FOUND),
            Some(Message::Model(_)) | None => false,
        };
        !is_certain
    }

    fn sampling(&self, request: &ModelRequest) -> Sampling {
        let generation = &request.generation;
        let own = if self.is_chance(request) { self.options.sampling.temperature } else { 0.0 };
        Sampling {
            temperature: generation.temperature.map_or(own, |value| value as f32),
            // The worker wants some mass: 0 means the likeliest token alone.
            top_p: generation.top_p.map_or(self.options.sampling.top_p, |value| (value as f32).max(f32::MIN_POSITIVE)),
            seed: request.seed,
            ..self.options.sampling
        }
    }
}

#[async_trait]
impl Backend for Llama {
    fn slots(&self) -> usize {
        self.options.slots as usize
    }

    fn resumes(&self) -> bool {
        true
    }

    fn is_ready(&self) -> bool {
        self.supervisor.is_ready()
    }

    fn takes(&self, kind: MediaKind) -> bool {
        self.supervisor.card().is_some_and(|card| media::takes(card, kind))
    }

    fn honours(&self, kind: MediaKind, options: &MediaOptions) -> Result<(), Error> {
        media::honours(kind, options)
    }

    async fn prepare(&self, request: &ModelRequest) -> Result<Prepared, BackendError> {
        let worker = self.supervisor.worker().await?;
        let Prompt { segments, constraint, .. } = self.render(&worker, request)?;
        // Only their shapes are kept while the call waits for its turn.
        let opened = self.open(request).await?;
        let shapes: Vec<_> = opened.into_iter().map(|medium| medium.shape).collect();
        let segments = segments.into_iter().filter_map(|segment| match segment {
            Segment::Control(text) => Some(protocol::Segment::Control(text)),
            Segment::Data(text) => Some(protocol::Segment::Data(text)),
            Segment::Tokens(tokens) => Some(protocol::Segment::Tokens(tokens)),
            Segment::Media(number) => shapes.get(number).copied().map(protocol::Segment::Media),
        });
        let segments = segments.collect();
        let mut call = worker.call(1, |id| Request::Prepare { id, segments, constraint })?;
        let (prompt, places) = match call.next().await? {
            Said::Prepared { tokens, media, .. } => (tokens, media),
            Said::Refused { what: protocol::Refused::Media, message, .. } => {
                return Err(BackendError::Rejected(format!("`input`: {message}")));
            }
            Said::Refused { what: protocol::Refused::Constraint, message, .. } => {
                let fields = match (&request.answer, request.tools.is_empty()) {
                    (Some(_), true) => "`response_format`",
                    (Some(_), false) => "`response_format` or `tools`",
                    (None, _) => "`tools`",
                };
                return Err(BackendError::Rejected(format!("{fields}: the schema cannot be enforced: {message}")));
            }
            Said::Failed { message, .. } => return Err(BackendError::Internal(message)),
            Said::Ready(_)
            | Said::Unservable { .. }
            | Said::Started { .. }
            | Said::Chunk { .. }
            | Said::Finished { .. } => {
                return Err(out_of_turn());
            }
        };
        let kinds = media::media(&request.messages).map(|medium| medium.kind);
        let placed =
            kinds.zip(places).map(|(kind, place)| PreparedMedium { kind, at: place.at, tokens: place.tokens as u64 });
        let media: Vec<_> = placed.collect();
        let input_tokens = prompt.len() as u64 + media.iter().map(|medium| medium.tokens).sum::<u64>();
        let context = u64::from(worker.card.context);
        if input_tokens >= context {
            return Err(BackendError::TooLong { input_tokens, context });
        }
        Ok(Prepared { input_tokens, prompt, media, fingerprint: worker.card.fingerprint.clone() })
    }

    async fn generate(&self, request: ModelRequest, prepared: Prepared) -> Result<ModelStream, BackendError> {
        let worker = self.supervisor.worker().await?;
        let Prompt { tail, constraint, .. } = self.render(&worker, &request)?;
        let callable = self.told_tools(&request).map(callable).collect();
        let answer = Answer::new(worker.template.parser(&tail, request.generation.stop_sequences.clone(), callable))
            .with_blocks(request.calls != Calls::None && self.has_blocks(&request) && !has_result(&request.messages));
        let answer = answer.with_resumed(request.resume.as_ref());
        let resume = request.resume.as_ref().map(|resume| resume.trace.tokens.clone()).unwrap_or_default();
        let opened = self.open(&request).await?.into_iter().zip(&prepared.media);
        let media = opened.map(|(Opened { shape, data }, placed)| protocol::Medium { at: placed.at, shape, data });
        let media = media.collect();
        // A worker says at most one thing a token, one before and two after.
        let most_messages = request.max_output_tokens as usize + 4;
        let call = worker.call(most_messages, |id| {
            Request::Generate(Generate {
                id,
                scope: request.scope.clone(),
                prompt: prepared.prompt,
                media,
                resume,
                max_tokens: request.max_output_tokens,
                sampling: self.sampling(&request),
                markers: worker.template.markers().into_iter().map(str::to_owned).collect(),
                constraint,
            })
        })?;
        Ok(answer.of(listen(call)))
    }
}

/// A model call in the model's own form.
struct Prompt {
    segments: Vec<Segment>,
    /// How its last words read: some models' prompts open the reasoning for them.
    tail: String,
    constraint: Option<protocol::Constraint>,
}

/// Whether the model could imitate a call from it.
fn shows_calls(message: &Message) -> bool {
    match message {
        Message::User(_) => false,
        Message::Model(turn) => turn.calls().next().is_some(),
        Message::Result(_) => true,
    }
}

/// Whether a program has just printed what is to be told. A block is the answer then, often the output itself.
fn has_result(messages: &[Message]) -> bool {
    let Some(Message::Result(result)) = messages.last() else { return false };
    result.name == blocks::TOOL && !result.is_error && result.text != PRINTED_NOTHING
}

/// Whether a program of this turn has failed, or shown nothing.
fn has_failed(messages: &[Message]) -> bool {
    let turn = messages.iter().rev().take_while(|message| !matches!(message, Message::User(_)));
    turn.into_iter()
        .any(|message| matches!(message, Message::Result(result) if result.is_error || result.text == PRINTED_NOTHING))
}

/// What the user said, and what the user and the tools said.
fn said_so_far(messages: &[Message]) -> (String, String) {
    let (mut asked, mut said) = (String::new(), String::new());
    for message in messages {
        let text = match message {
            Message::User(parts) => {
                let text = text_of(parts);
                asked.push_str(&text);
                asked.push('\n');
                text
            }
            Message::Result(result) => result.text.clone(),
            Message::Model(_) => continue,
        };
        said.push_str(&text);
        said.push('\n');
    }
    (asked, said)
}

fn callable(tool: &Tool) -> dialect::Callable {
    dialect::Callable { name: tool.name.clone(), parameters: tool.parameters.grammar().clone() }
}

fn declaration(tool: &Tool) -> dialect::Tool {
    dialect::Tool {
        name: tool.name.clone(),
        description: tool.description.clone(),
        parameters: tool.parameters.source().clone(),
        enforced: tool.parameters.grammar().clone(),
    }
}

/// Says something more in a paragraph of its own.
fn add(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        Some(Part::Text(last)) => {
            last.push_str("\n\n");
            last.push_str(text);
        }
        Some(Part::Media(_) | Part::Tokens(_)) | None => parts.push(Part::Text(text.to_owned())),
    }
}

/// What a user said: texts that follow one another are lines of one, media stand where they stood. `seen` counts these
/// over all messages.
fn said_parts(parts: &[antiphon_engine::Part], seen: &mut usize) -> Vec<Part> {
    let mut said = Vec::new();
    for part in parts {
        match (part, said.last_mut()) {
            (antiphon_engine::Part::Text(text), Some(Part::Text(last))) => {
                last.push('\n');
                last.push_str(text);
            }
            (antiphon_engine::Part::Text(text), _) => said.push(Part::Text(text.clone())),
            (antiphon_engine::Part::Media(_), _) => {
                said.push(Part::Media(*seen));
                *seen += 1;
            }
        }
    }
    said
}

/// A message for the dialect; a turn this very model generated goes as its tokens.
fn said(message: &Message, fingerprint: &str, seen: &mut usize) -> dialect::Message {
    match message {
        Message::User(parts) => dialect::Message::User(said_parts(parts, seen)),
        Message::Model(turn) => dialect::Message::Model(match &turn.trace {
            Some(trace) if trace.fingerprint == fingerprint => dialect::ModelTurn {
                reasoning: turn.reasoning().map(str::to_owned),
                content: vec![Part::Tokens(trace.tokens.clone())],
                calls: Vec::new(),
            },
            Some(_) | None => dialect::ModelTurn {
                reasoning: turn.reasoning().map(str::to_owned),
                content: vec![Part::Text(turn.joined_text())],
                calls: turn.calls().map(asked).collect(),
            },
        }),
        Message::Result(result) => dialect::Message::Tool(dialect::ToolResult {
            id: result.call_id.clone(),
            name: result.name.clone(),
            text: result.text.clone(),
            is_error: result.is_error,
        }),
    }
}

fn asked(call: &FunctionCall) -> dialect::Call {
    dialect::Call { id: call.id.clone(), name: call.name.clone(), arguments: call.arguments.clone() }
}

/// What the worker says in one call, until its end. Dropping the stream cancels.
fn listen(call: Call) -> impl futures_core::Stream<Item = Result<Raw, BackendError>> + Send {
    stream::unfold(Some(call), |call| async move {
        let mut call = call?;
        let raw = match call.next().await {
            Err(error) => return Some((Err(error), None)),
            Ok(Said::Started { cached, .. }) => Raw::Started { cached_tokens: u64::from(cached) },
            Ok(Said::Chunk { tokens, text, .. }) => Raw::Chunk { text, tokens },
            Ok(Said::Finished { reason, .. }) => {
                let reason = match reason {
                    protocol::FinishReason::End => FinishReason::Stop,
                    protocol::FinishReason::Length => FinishReason::Length,
                    protocol::FinishReason::Repetition => FinishReason::Repetition,
                };
                call.is_over();
                return Some((Ok(Raw::Finished { reason }), None));
            }
            Ok(Said::Failed { message, .. }) => return Some((Err(BackendError::Internal(message)), None)),
            Ok(Said::Ready(_) | Said::Unservable { .. } | Said::Prepared { .. } | Said::Refused { .. }) => {
                return Some((Err(out_of_turn()), None));
            }
        };
        Some((Ok(raw), Some(call)))
    })
}

fn out_of_turn() -> BackendError {
    BackendError::Internal("the worker said something out of turn".to_owned())
}

#[cfg(test)]
mod tests {
    use antiphon_engine::CallResult;

    use super::*;

    #[test]
    fn the_words_of_media_are_asked_for_and_what_was_not_seen_is_to_be_said() {
        let told = |kinds: &[&str]| {
            let fence = |kind: &&str| format!("Read:\n<media index=1 kind={kind}>\nHi\n</media>");
            prompt_of_media(&kinds.iter().map(fence).collect::<Vec<_>>().join("\n"))
        };
        for (kinds, prompt) in [
            (&[][..], None),
            (&["document words"], None),
            (&["audio"], None),
            (&["audio words"], Some("Answer now, and quote what is said in the recording.")),
            (
                &["image"],
                Some(
                    "Answer now. Begin with `I have not seen the image.` Then quote what is guessed above, and name nothing else.",
                ),
            ),
            (
                &["image words", "audio words"],
                Some(
                    "Answer now, and quote what is written in the image, and quote what is said in the recording. To all else that is \
                     asked of the image, say that you have not seen it.",
                ),
            ),
            (
                &["video words", "image words", "image"],
                Some(
                    "Answer now, and quote what is written in each of the images, and quote what is written and said in the video. To \
                     all else that is asked of the images and videos, say that you have not seen them.",
                ),
            ),
        ] {
            assert_eq!(told(kinds).as_deref(), prompt, "{kinds:?}");
        }
    }

    #[test]
    fn what_a_program_has_printed_is_a_result_and_nothing_else_is() {
        let after = |name: &str, text: &str, is_error| {
            let (call_id, name, text) = ("a".to_owned(), name.to_owned(), text.to_owned());
            has_result(&[Message::user("Count"), Message::Result(CallResult { call_id, name, text, is_error })])
        };
        assert!(after("code_execution", "1\n", false));
        assert!(!after("code_execution", PRINTED_NOTHING, false));
        assert!(!after("code_execution", "Traceback", true));
        assert!(!after("google_search", "1\n", false));
        assert!(!has_result(&[Message::user("1")]));
    }
}
