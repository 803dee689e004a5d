//! The parts of a message (spec 03, "Content").

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::fields::Fields;

/// One part of a message. Parts that are not built yet survive in stored data as
/// [`Content::Other`]; a request that holds one is refused by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    Text(TextContent),
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
            Some(media @ ("image" | "audio" | "video" | "document")) => Err(Error::invalid(
                &fields.path_of("type"),
                format!("{media} input is not supported by this server yet; supported: text"),
            )),
            Some(other) => Err(Error::invalid(
                &fields.path_of("type"),
                format!("unknown content type `{}`; supported: text", crate::fields::excerpt(other)),
            )),
        }
    }

    /// Whether `kind` is one of the content types of spec 03 (the set is disjoint from
    /// the step types).
    pub(crate) fn is_content_type(kind: &str) -> bool {
        matches!(kind, "text" | "image" | "audio" | "video" | "document")
    }
}
