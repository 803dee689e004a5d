//! The parts of a message (spec 03, "Content").

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::fields::Fields;
use crate::tool::{Function, MOST_DECLARED};

/// One part of a message. Parts that are not built yet survive in stored data as
/// [`Content::Other`]; a request that holds one is refused by name. Which media a model
/// takes is another matter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    Text(TextContent),
    Image(MediaContent),
    Audio(MediaContent),
    Video(MediaContent),
    Document(MediaContent),
    /// In the result of a search for functions alone.
    Function(Function),
    #[serde(untagged)]
    Other(Value),
}

/// Text and the annotations on it, whose offsets are UTF-8 bytes, end exclusive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TextContent {
    pub text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Value>,
}

/// An image, a recording, a video or a document: whole and inline, or, of a picture in an answer, the
/// address of the file that it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaContent {
    /// Base64 (RFC 4648 §4, padded), empty only where there is an address. Shared, since it may be long.
    #[serde(default = "no_data", skip_serializing_if = "str::is_empty")]
    pub data: Arc<str>,
    /// As `image/png`.
    pub mime_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}

fn no_data() -> Arc<str> {
    "".into()
}

impl Content {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(TextContent { text: text.into(), annotations: Vec::new() })
    }

    /// Reads the content of a message: a string, one part or a list of parts.
    pub(crate) fn read_list(value: Value, path: &str) -> Result<Vec<Self>, Error> {
        match value {
            Value::String(text) => Ok(vec![Self::text(text)]),
            Value::Object(_) => Ok(vec![Self::read(value, path)?]),
            Value::Array(items) => {
                items.into_iter().enumerate().map(|(at, item)| Self::read(item, &format!("{path}[{at}]"))).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                Err(Error::invalid(path, "expected a string, a content part or a list of content parts"))
            }
        }
    }

    /// Reads what a function of the client gave back: text, and functions that it found.
    pub(crate) fn read_results(items: Vec<Value>, path: &str) -> Result<Vec<Self>, Error> {
        let functions = items.iter().filter(|item| is_function(item)).count();
        if functions > MOST_DECLARED {
            return Err(Error::invalid(path, format!("expected at most {MOST_DECLARED} functions, got {functions}")));
        }
        let read = |(at, item): (usize, Value)| {
            let path = format!("{path}[{at}]");
            if !is_function(&item) {
                return Self::read(item, &path);
            }
            let mut fields = Fields::new(item, &path)?;
            fields.take("type");
            Function::read(fields).map(Self::Function)
        };
        let parts = items.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        Self::only(&parts, path, |part| matches!(part, Self::Text(_) | Self::Function(_)))?;
        Ok(parts)
    }

    /// Reads one part. A bare string and an untagged `{"text": …}` are text.
    pub(crate) fn read(value: Value, path: &str) -> Result<Self, Error> {
        if let Value::String(text) = value {
            return Ok(Self::text(text));
        }
        let mut fields = Fields::new(value, path)?;
        let kind = fields.string("type")?;
        match kind.as_deref() {
            Some("text") | None => {
                let Some(text) = fields.string("text")? else {
                    return Err(Error::invalid(&fields.path_of("text"), "expected a string, nothing came"));
                };
                let annotations = fields.list("annotations")?.unwrap_or_default();
                fields.finish()?;
                Ok(Self::Text(TextContent { text, annotations }))
            }
            Some("image") => MediaContent::read(fields, "image/").map(Self::Image),
            Some("audio") => MediaContent::read(fields, "audio/").map(Self::Audio),
            Some("video") => MediaContent::read(fields, "video/").map(Self::Video),
            Some("document") => MediaContent::read(fields, "").map(Self::Document),
            Some(other) => Err(Error::invalid(
                &fields.path_of("type"),
                format!(
                    "unknown content type `{}`; supported: text, image, audio, video, document",
                    crate::fields::excerpt(other)
                ),
            )),
        }
    }

    /// The text of a part, or nothing for media.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(part) => Some(&part.text),
            Self::Image(_)
            | Self::Audio(_)
            | Self::Video(_)
            | Self::Document(_)
            | Self::Function(_)
            | Self::Other(_) => None,
        }
    }

    /// # Errors
    /// When a part of `content`, which came at `path`, is no text.
    pub(crate) fn text_alone(content: &[Self], path: &str) -> Result<(), Error> {
        Self::only(content, path, |part| matches!(part, Self::Text(_)))
    }

    /// # Errors
    /// When a part of `content`, which came at `path`, is nothing that a model's turn has:
    /// text, and pictures that its tools made.
    pub(crate) fn said_by_models(content: &[Self], path: &str) -> Result<(), Error> {
        Self::only(content, path, |part| matches!(part, Self::Text(_) | Self::Image(_)))
    }

    fn only(content: &[Self], path: &str, is_allowed: fn(&Self) -> bool) -> Result<(), Error> {
        let Some((at, part)) = content.iter().enumerate().find(|(_, part)| !is_allowed(part)) else { return Ok(()) };
        let kind = match part {
            Self::Text(_) => "text",
            Self::Image(_) => "image",
            Self::Audio(_) => "audio",
            Self::Video(_) => "video",
            Self::Document(_) => "document",
            Self::Function(_) => "function",
            Self::Other(_) => "other",
        };
        let message = format!("{kind} parts are supported in `user_input` alone yet; supported here: text");
        Err(Error::invalid(&format!("{path}[{at}].type"), message))
    }

    /// Whether `kind` is one of the content types of spec 03 (the set is disjoint from
    /// the step types).
    pub(crate) fn is_content_type(kind: &str) -> bool {
        matches!(kind, "text" | "image" | "audio" | "video" | "document")
    }
}

fn is_function(item: &Value) -> bool {
    item.get("type").and_then(Value::as_str) == Some("function")
}

/// Longer names of types are none.
const LONGEST_MIME_TYPE: usize = 127;

impl MediaContent {
    /// Reads what is left of a part after its `type`; `family` is what its type begins with.
    fn read(mut fields: Fields, family: &str) -> Result<Self, Error> {
        for (name, why) in [
            ("uri", "media are not fetched by this server yet; expected `data`, the bytes in base64"),
            ("resolution", "it is not supported by this server yet"),
            ("processing", "it is not supported by this server yet"),
            ("sample_rate", "raw audio is not supported by this server yet; expected a file such as WAV"),
            ("channels", "raw audio is not supported by this server yet; expected a file such as WAV"),
            ("name", "it is not supported by this server yet"),
        ] {
            fields.refuse(name, why)?;
        }
        let expected = format!("expected the type of the data, as `{family}…`");
        let Some(mime_type) = fields.string("mime_type")? else {
            return Err(Error::invalid(&fields.path_of("mime_type"), format!("{expected}, nothing came")));
        };
        let mime_type = mime_type.to_ascii_lowercase();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/.+-_;= ".contains(&byte);
        if !mime_type.starts_with(family)
            || !mime_type.contains('/')
            || mime_type.len() > LONGEST_MIME_TYPE
            || !mime_type.bytes().all(plain)
        {
            let message = format!("{expected}, got `{}`", crate::fields::excerpt(&mime_type));
            return Err(Error::invalid(&fields.path_of("mime_type"), message));
        }
        let data = fields.string("data")?.unwrap_or_default();
        let bytes = STANDARD
            .decode(&data)
            .map_err(|error| Error::invalid(&fields.path_of("data"), format!("expected bytes in base64: {error}")))?;
        if bytes.is_empty() {
            return Err(Error::invalid(&fields.path_of("data"), "expected bytes in base64, nothing came"));
        }
        fields.finish()?;
        Ok(Self { data: data.into(), mime_type, uri: None })
    }
}
