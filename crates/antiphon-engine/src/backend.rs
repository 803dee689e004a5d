//! A source of model output.
//!
//! A backend always streams; whoever wants one answer folds. Dropping the stream
//! cancels the turn and frees what it held.

use std::sync::Arc;

use antiphon_schema::Schema;
use antiphon_wire::{Data, Error, GenerationConfig, ImageFormat, MediaOptions};
use async_trait::async_trait;
use futures_core::stream::BoxStream;
use serde_json::{Map, Value};

use crate::store::Trace;

/// One model call: the whole conversation and how to answer.
#[derive(Clone, Debug)]
pub struct ModelRequest {
    /// Whose call it is. Cached prefixes are shared inside one scope only, since timing
    /// and cached-token counts would tell one project of another's prompts.
    pub scope: String,
    pub system_instruction: Option<String>,
    /// The functions that the model is told of; with [`Calls::None`] it may not call them now.
    pub tools: Vec<Tool>,
    pub calls: Calls,
    /// What a final answer conforms to. It binds no calls.
    pub answer: Option<Schema>,
    /// What it conforms to instead: rules of a Lark grammar, of which `answer` is the first. Not
    /// every backend can promise it.
    pub grammar: Option<Arc<str>>,
    /// Which picture is wanted of a backend that draws.
    pub picture: WantedPicture,
    /// Whether it works by itself, call by call, until a task is done (an agent).
    pub is_agent: bool,
    /// What is wanted of a backend that researches.
    pub research: Option<Research>,
    /// Whether the model may think before it answers; none leaves it to the model.
    pub thinking: Option<bool>,
    /// At least one; the last is the user's or a function's.
    pub messages: Vec<Message>,
    pub generation: GenerationConfig,
    /// Thought and output together; at least 1.
    pub max_output_tokens: u32,
    /// What chance is drawn from; equal seeds draw equally.
    pub seed: u64,
    /// What this call had generated when an earlier process died. The stream starts with
    /// its text and goes on after it.
    pub resume: Option<Resume>,
}

/// How a backend that researches is to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Research {
    /// The most questions of a plan.
    pub questions: usize,
    /// Whether a plan is shown and agreed on before it is carried out.
    pub plans_together: bool,
}

/// What a request says of the picture that is to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WantedPicture {
    pub format: ImageFormat,
    /// Whether words are to stand beside it; none leaves it to the model.
    pub words: Option<bool>,
}

/// The part of a call that is done already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    pub trace: Trace,
    /// How many of its tokens are reasoning.
    pub thought_tokens: u64,
}

/// A function that a model may ask for.
#[derive(Clone, Debug)]
pub struct Tool {
    pub name: String,
    pub description: Option<String>,
    /// Of an object.
    pub parameters: Schema,
}

/// Whether an answer may, must or must not hold calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    None,
    Allowed,
    Required,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    User(Vec<Part>),
    Model(ModelTurn),
    /// What a call gave back.
    Result(CallResult),
}

impl Message {
    pub fn user(text: impl Into<String>) -> Self {
        Self::User(vec![Part::Text(text.into())])
    }

    /// The media in it, pictures that the model answered with among them.
    pub fn media(&self) -> impl Iterator<Item = &Media> {
        let (parts, said): (&[Part], &[Said]) = match self {
            Self::User(parts) => (parts.as_slice(), Default::default()),
            Self::Model(turn) => (Default::default(), turn.said.as_slice()),
            Self::Result(_) => Default::default(),
        };
        let given = parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Media(media) => Some(media),
        });
        given.chain(said.iter().filter_map(|said| match said {
            Said::Picture(picture) => Some(picture),
            Said::Thought(_) | Said::Text(_) | Said::Call(_) => None,
        }))
    }
}

/// A part of what a user says.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Text(String),
    Media(Media),
}

/// Something to look at, to listen to or to read. Only a backend that says so
/// ([`Backend::takes`]) gets any.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    pub kind: MediaKind,
    /// As `image/png`.
    pub mime_type: String,
    pub data: Data,
    /// How it is to be read. A backend honours all of it ([`Backend::honours`]) or takes no such part.
    pub options: Box<MediaOptions>,
}

impl Media {
    /// As it is, with nothing said of how it is to be read.
    pub fn new(kind: MediaKind, mime_type: impl Into<String>, data: Data) -> Self {
        Self { kind, mime_type: mime_type.into(), data, options: Box::default() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    Image,
    Audio,
    Video,
    Document,
}

impl MediaKind {
    pub const ALL: [Self; 4] = [Self::Image, Self::Audio, Self::Video, Self::Document];

    /// As the wire names the part.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Document => "document",
        }
    }
}

/// The words of a message's parts, a line each.
pub fn text_of(parts: &[Part]) -> String {
    let texts: Vec<_> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Media(_) => None,
        })
        .collect();
    texts.join("\n")
}

/// All that the model said in one turn, in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelTurn {
    pub said: Vec<Said>,
    /// The exact tokens of text and calls, if the same model wrote them.
    pub trace: Option<Trace>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// What led to that which follows, for models whose prompts keep it.
    Thought(Thought),
    Text(String),
    /// A picture that it answered with, for backends that draw and take pictures.
    Picture(Media),
    Call(Call),
}

/// Reasoning that a model did, as far as it is known here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thought {
    /// Empty when only the signature is known.
    pub text: String,
    pub signature: Option<Signature>,
}

/// What a model wants back, unread and unchanged, when its thought is replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// What kind of backend made it and can read it. None is Google's own, which goes to the
    /// client and comes back as it is; any other travels sealed.
    pub origin: Option<String>,
    pub value: String,
}

/// The origin of a signature whose value is what a picture was made of: to a model, its own words.
pub const DRAWN: &str = "drawn";

impl ModelTurn {
    /// A turn that is text alone.
    pub fn text(text: impl Into<String>) -> Self {
        Self { said: vec![Said::Text(text.into())], trace: None }
    }

    /// All text of the turn.
    pub fn joined_text(&self) -> String {
        let texts = self.said.iter().filter_map(|said| match said {
            Said::Text(text) => Some(text.as_str()),
            Said::Thought(_) | Said::Picture(_) | Said::Call(_) => None,
        });
        texts.collect()
    }

    /// The last reasoning in words.
    pub fn reasoning(&self) -> Option<&str> {
        let mut texts = self.said.iter().filter_map(|said| match said {
            Said::Thought(thought) => Some(thought.text.as_str()),
            Said::Text(_) | Said::Picture(_) | Said::Call(_) => None,
        });
        texts.rfind(|text| !text.is_empty())
    }

    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.said.iter().filter_map(|said| match said {
            Said::Call(call) => Some(call),
            Said::Thought(_) | Said::Text(_) | Said::Picture(_) => None,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub id: String,
    pub name: String,
    pub arguments: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallResult {
    pub call_id: String,
    /// Of the function that was called.
    pub name: String,
    pub text: String,
    pub is_error: bool,
}

/// A request that the backend has understood and measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prepared {
    pub input_tokens: u64,
    /// The prompt in the model's own tokens, if this backend has them.
    pub prompt: Vec<u32>,
    /// The media of the request in its prompt, in order, if this backend counts them.
    pub media: Vec<PreparedMedium>,
    /// What [`Trace::fingerprint`] of this model's tokens is; empty when the backend has
    /// no tokens.
    pub fingerprint: String,
}

/// A medium of a prompt that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreparedMedium {
    pub kind: MediaKind,
    /// How many of the prompt's tokens are before it.
    pub at: usize,
    /// How many tokens of the input it is.
    pub tokens: u64,
}

/// What a model call says, in order: `Started`, pieces of thought, text and calls,
/// `Finished`. `Counted` and `ServedBy` may come anywhere before the end.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelEvent {
    /// The prompt is being read; so many of its tokens were not computed again.
    Started { cached_tokens: u64 },
    /// What it costs so far, from a backend that is told; the last holds. Output includes
    /// thought here; 0 while it is not known.
    Counted { input_tokens: u64, cached_tokens: u64, output_tokens: u64 },
    /// Another model than the one that was called answers, since that could not.
    ServedBy { name: String },
    /// Reasoning, and the tokens that were generated for it.
    Thought { text: String, tokens: Vec<u32> },
    /// Ends a thought, or is one without words: what the model wants back with it.
    Signed(Signature),
    /// The answer. Always whole characters; the text may be empty while tokens come.
    Text { text: String, tokens: Vec<u32> },
    /// A whole picture, the answer of a backend that draws. What was signed before it is what it was
    /// made of.
    Picture(Media),
    /// A call begins. The one before it, if any, is whole.
    CallStarted { name: String, tokens: Vec<u32> },
    /// A fragment of the JSON text of its arguments.
    CallArguments { text: String, tokens: Vec<u32> },
    /// The end.
    Finished {
        reason: FinishReason,
        /// Whether the tokens of this call are exactly what was given out: false when a stop
        /// sequence or a marker was cut from it.
        exact: bool,
        /// Counts over the whole call, `resume` included; a local model's own end token is
        /// not counted.
        thought_tokens: u64,
        output_tokens: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended its answer, or a stop sequence did.
    Stop,
    /// `max_output_tokens` or the context is used up.
    Length,
    /// The model repeated itself without end and was stopped.
    Repetition,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// Longer than the context.
    #[error("the input has {input_tokens} tokens, the model's context is {context} tokens")]
    TooLong { input_tokens: u64, context: u64 },
    /// The request cannot be carried out by this model; the text is for the caller.
    #[error("{0}")]
    Rejected(String),
    /// The model is not there now; the text is for the caller.
    #[error("{0}")]
    Unavailable(String),
    /// The model began a call that is none; the text is for the caller.
    #[error("{0}")]
    MalformedCall(String),
    /// Nothing that was drawn can be shown; the text is for the caller.
    #[error("{0}")]
    NoImage(String),
    /// The model died while it worked on this call; the text is for the caller.
    #[error("{0}")]
    Died(String),
    /// A service behind the backend failed or refused.
    #[error("{code}: {message} ({detail})")]
    Upstream {
        /// Of spec 00 §5, those of failed interactions included.
        code: &'static str,
        /// For the caller.
        message: String,
        /// What the service said, for the log only.
        detail: String,
    },
    /// Anything else; the text is for the log only.
    #[error("{0}")]
    Internal(String),
}

pub type ModelStream = BoxStream<'static, Result<ModelEvent, BackendError>>;

#[async_trait]
pub trait Backend: Send + Sync {
    /// How many calls run at the same time; at least 1.
    fn slots(&self) -> usize;

    /// Whether a call can go on after tokens it generated in an earlier process
    /// ([`ModelRequest::resume`]).
    fn resumes(&self) -> bool;

    /// Whether a call could start now without waiting for the model to load.
    fn is_ready(&self) -> bool;

    /// Whether messages may hold media of this kind.
    fn takes(&self, _kind: MediaKind) -> bool {
        false
    }

    /// Whether media of a kind that it takes are read as they are to be.
    ///
    /// # Errors
    /// Of the option that is not honoured; its path begins at the part of the request that holds
    /// the medium.
    fn honours(&self, _kind: MediaKind, options: &MediaOptions) -> Result<(), Error> {
        match options.set().next() {
            None => Ok(()),
            Some(option) => Err(Error::invalid(option, "the model takes this medium itself, as it is")),
        }
    }

    /// Whether it answers with a picture.
    fn draws(&self) -> bool {
        false
    }

    /// Whether words may stand beside its pictures.
    fn captions(&self) -> bool {
        false
    }

    /// Understands and measures a request before its interaction is accepted.
    async fn prepare(&self, request: &ModelRequest) -> Result<Prepared, BackendError>;

    async fn generate(&self, request: ModelRequest, prepared: Prepared) -> Result<ModelStream, BackendError>;
}
