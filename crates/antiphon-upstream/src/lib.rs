//! Models behind other services' HTTP interfaces.
//!
//! An [`Upstream`] is one model of one service, at one address or at several that serve
//! the same. What its protocol says is pure translation, a file per protocol:
//!
//! * `chat`: OpenAI's chat completions, as vLLM, SGLang, llama-server, Ollama and LM Studio
//!   serve them too;
//! * `responses`: OpenAI's responses;
//! * `anthropic`: Anthropic's messages;
//! * `gemini`: Gemini's `generateContent`;
//! * `interactions`: this very API, as Google or another antiphon serves it;
//! * `images`: OpenAI's images, which a `form` carries where they begin with pictures.
//!
//! `supply` gives a request what the service cannot do itself, `transport` carries it
//! there and back, media piece by piece (`sending`), `replicas` chooses the address. [`Fallbacks`] tries one model after
//! another.

mod anthropic;
mod chat;
mod fallbacks;
mod form;
mod gemini;
mod images;
mod interactions;
mod options;
mod protocol;
mod replicas;
mod responses;
mod sending;
mod supply;
mod transport;
mod upstream;

pub use fallbacks::Fallbacks;
pub use options::{
    Capabilities, Flavor, ImagesFlavor, PictureSizes, ProtocolKind, SchemaSupport, Secret, Timeouts, ToolSupport,
    UpstreamOptions,
};
pub use upstream::{Upstream, UpstreamError};
