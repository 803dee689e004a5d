//! The parts of a message (spec 03, "Content").

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::fields::Fields;
use crate::media::{Form, MediaContent};
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
            Some("image") => MediaContent::read(fields, Form::Image).map(Self::Image),
            Some("audio") => MediaContent::read(fields, Form::Audio).map(Self::Audio),
            Some("video") => MediaContent::read(fields, Form::Video).map(Self::Video),
            Some("document") => MediaContent::read(fields, Form::Document).map(Self::Document),
            Some(other) => Err(Error::invalid(
                &fields.path_of("type"),
                format!(
                    "unknown content type `{}`; supported: text, image, audio, video, document",
                    crate::fields::excerpt(other)
                ),
            )),
        }
    }

    /// The part as a client sees it again: media that it gave by address are not sent to it.
    pub(crate) fn shown(&self) -> Self {
        match self {
            Self::Image(media) => Self::Image(media.shown()),
            Self::Audio(media) => Self::Audio(media.shown()),
            Self::Video(media) => Self::Video(media.shown()),
            Self::Document(media) => Self::Document(media.shown()),
            Self::Text(_) | Self::Function(_) | Self::Other(_) => self.clone(),
        }
    }

    /// The medium of a part; none for other parts.
    pub fn media(&self) -> Option<&MediaContent> {
        match self {
            Self::Image(media) | Self::Audio(media) | Self::Video(media) | Self::Document(media) => Some(media),
            Self::Text(_) | Self::Function(_) | Self::Other(_) => None,
        }
    }

    /// As [`Content::media`], to be changed in its place.
    pub fn media_mut(&mut self) -> Option<&mut MediaContent> {
        match self {
            Self::Image(media) | Self::Audio(media) | Self::Video(media) | Self::Document(media) => Some(media),
            Self::Text(_) | Self::Function(_) | Self::Other(_) => None,
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
