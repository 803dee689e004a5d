//! A model in a supervised worker process on this machine.
//!
//! The worker computes tokens from tokens; what a conversation looks like to its model
//! and how its answer is to be read is decided here, by the model's own template. A
//! worker that dies fails the calls it was working on, and nothing else: it is started
//! again for the next ones.

use std::path::PathBuf;

use antiphon_dialect::{Conversation, Message, Part, Role, Segment};
use antiphon_engine::{self as engine, Backend, BackendError, FinishReason, ModelRequest, ModelStream, Prepared};
use antiphon_worker::protocol::{self, Generate, Message as Said, Request, Sampling};
use async_trait::async_trait;
use futures_util::stream;

use crate::answer::{Answer, Raw};

mod supervisor;

use supervisor::{Call, Supervisor, Worker};

/// Which worker runs which model, and how the model is used by default.
#[derive(Clone, Debug)]
pub struct LlamaOptions {
    /// The worker's executable.
    pub executable: PathBuf,
    /// The weights, a GGUF file.
    pub model: PathBuf,
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
    /// The date templates may show, as `2026-06-09`.
    pub today: fn() -> String,
}

/// The backend over one worker.
pub struct Llama {
    options: LlamaOptions,
    supervisor: Supervisor,
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

    /// The conversation in the model's own form.
    fn render(&self, worker: &Worker, request: &ModelRequest) -> Result<Vec<Segment>, BackendError> {
        let messages = request.messages.iter().map(|message| Message {
            role: match message.role {
                engine::Role::User => Role::User,
                engine::Role::Model => Role::Model,
            },
            content: vec![match &message.trace {
                Some(trace) if trace.fingerprint == worker.card.fingerprint => Part::Tokens(trace.tokens.clone()),
                Some(_) | None => Part::Text(message.text.clone()),
            }],
        });
        let conversation = Conversation {
            system: request.system_instruction.clone().or_else(|| self.options.system_prompt.clone()),
            messages: messages.collect(),
            today: (self.options.today)(),
        };
        worker.template.render(&conversation).map_err(|error| {
            BackendError::Rejected(format!("`input`: the model's template does not take this conversation: {error}"))
        })
    }

    fn sampling(&self, request: &ModelRequest) -> Sampling {
        let generation = &request.generation;
        Sampling {
            temperature: generation.temperature.map_or(self.options.sampling.temperature, |value| value as f32),
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

    async fn prepare(&self, request: &ModelRequest) -> Result<Prepared, BackendError> {
        let worker = self.supervisor.worker().await?;
        let segments = self.render(&worker, request)?.into_iter().map(|segment| match segment {
            Segment::Control(text) => protocol::Segment::Control(text),
            Segment::Data(text) => protocol::Segment::Data(text),
            Segment::Tokens(tokens) => protocol::Segment::Tokens(tokens),
        });
        let segments = segments.collect();
        let mut call = worker.call(1, |id| Request::Tokenize { id, segments })?;
        let prompt = match call.next().await? {
            Said::Tokenized { tokens, .. } => tokens,
            Said::Failed { message, .. } => return Err(BackendError::Internal(message)),
            Said::Ready(_) | Said::Started { .. } | Said::Chunk { .. } | Said::Finished { .. } => {
                return Err(out_of_turn());
            }
        };
        let (input_tokens, context) = (prompt.len() as u64, u64::from(worker.card.context));
        if input_tokens >= context {
            return Err(BackendError::TooLong { input_tokens, context });
        }
        Ok(Prepared { input_tokens, prompt, fingerprint: worker.card.fingerprint.clone() })
    }

    async fn generate(&self, request: ModelRequest, prepared: Prepared) -> Result<ModelStream, BackendError> {
        let worker = self.supervisor.worker().await?;
        let segments = self.render(&worker, &request)?;
        let tail = match segments.last() {
            Some(Segment::Control(text)) => text.as_str(),
            Some(Segment::Data(_) | Segment::Tokens(_)) | None => "",
        };
        let answer = Answer::new(worker.reasoning, tail, request.generation.stop_sequences.clone());
        let resume = request.resume.as_ref().map(|trace| trace.tokens.clone()).unwrap_or_default();
        let answer = answer.with_resumed(resume.len() as u64);
        // A worker says at most one thing a token, one before and two after.
        let most_messages = request.max_output_tokens as usize + 4;
        let call = worker.call(most_messages, |id| {
            Request::Generate(Generate {
                id,
                scope: request.scope.clone(),
                prompt: prepared.prompt,
                resume,
                max_tokens: request.max_output_tokens,
                sampling: self.sampling(&request),
                markers: worker.reasoning.markers().into_iter().map(str::to_owned).collect(),
            })
        })?;
        Ok(answer.of(listen(call)))
    }
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
            Ok(Said::Ready(_) | Said::Tokenized { .. }) => return Some((Err(out_of_turn()), None)),
        };
        Some((Ok(raw), Some(call)))
    })
}

fn out_of_turn() -> BackendError {
    BackendError::Internal("the worker said something out of turn".to_owned())
}
