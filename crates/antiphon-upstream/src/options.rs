//! What an operator says about one upstream model.

use std::fmt;
use std::time::Duration;

use antiphon_engine::MediaKind;
use serde::{Deserialize, Serialize};

/// One model of one service.
#[derive(Clone, Debug)]
pub struct UpstreamOptions {
    /// The name it is served under, for logs.
    pub name: String,
    pub protocol: ProtocolKind,
    /// Base addresses that serve the same model, as `http://127.0.0.1:8000/v1`; at least one.
    pub urls: Vec<String>,
    /// What the service calls the model.
    pub model: String,
    pub key: Option<Secret>,
    /// Sent with every request.
    pub headers: Vec<(String, Secret)>,
    /// A header that tells the service which requests share a beginning, for routers that
    /// keep them together.
    pub session_header: Option<String>,
    pub capabilities: Capabilities,
    pub timeouts: Timeouts,
    /// How many calls run at the same time, over all addresses; at least 1.
    pub concurrency: usize,
    /// How often a call is tried in all, until something of it was shown; at least 1.
    pub attempts: u32,
}

/// The language a service speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolKind {
    Chat(Flavor),
    Responses,
    Anthropic,
    Gemini,
    Interactions,
    Images(ImagesFlavor),
}

/// Who serves OpenAI's images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImagesFlavor {
    /// OpenAI itself, with its models since `gpt-image-1`.
    #[default]
    OpenAi,
    /// Those who answer with an address unless they are asked for `b64_json`, older models of OpenAI among them.
    Compatible,
}

/// Who serves chat completions: they differ in what they take beyond OpenAI's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flavor {
    #[default]
    #[serde(rename = "openai")]
    OpenAi,
    Vllm,
    Sglang,
    LlamaServer,
    Ollama,
    LmStudio,
}

/// What the model can do behind its service. What it cannot is supplied or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    pub tools: ToolSupport,
    pub schema: SchemaSupport,
    /// Whether one request may have tools and a schema.
    pub tools_with_schema: bool,
    /// Whether the service takes how much to think.
    pub thinking: bool,
    /// What messages may hold besides text.
    pub media: Vec<MediaKind>,
    /// Whether it answers with pictures.
    pub draws: bool,
    /// Of pictures, where the service is told their pixels.
    pub picture_sizes: PictureSizes,
}

/// Which sizes a service makes, width and height in pixels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PictureSizes {
    #[default]
    Any,
    These(Vec<(u32, u32)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolSupport {
    /// The service has tools.
    Native,
    /// The model is told of the tools in words, and its calls are read from its text.
    Prompted,
    /// Requests with tools are refused.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaSupport {
    /// The service cannot answer otherwise; the answer is shown as it comes.
    Enforced,
    /// The service is given the schema, but may answer otherwise: the answer is checked
    /// before it is shown, and asked for again when it does not conform.
    Asked,
    /// The model is told of the schema in words; then as for `Asked`.
    Prompted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    /// From the request to the first piece of the answer.
    pub first: Duration,
    /// Between two pieces of the answer.
    pub idle: Duration,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            tools: ToolSupport::Native,
            schema: SchemaSupport::Enforced,
            tools_with_schema: true,
            thinking: true,
            media: Vec::new(),
            draws: false,
            picture_sizes: PictureSizes::Any,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), first: Duration::from_secs(120), idle: Duration::from_secs(60) }
    }
}

/// Something that must not be in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the header that carries it and for nothing else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}
