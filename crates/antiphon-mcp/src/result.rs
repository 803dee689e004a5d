//! What a tool answered, in our words; what the model reads of it, and what the wire shows.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};
use serde_json::{Value, json};

use crate::error::{McpErrorKind, cut};
use crate::options::Bounds;

const MOST_URI_BYTES: usize = 4_096;
const MOST_TITLE_CHARACTERS: usize = 256;
const MOST_DESCRIPTION_CHARACTERS: usize = 1_024;
const MOST_MIME_TYPE_BYTES: usize = 128;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct McpResult {
    pub content: Vec<McpContent>,
    pub structured: Option<Value>,
    /// The tool itself failed, and the content says why.
    pub is_error: bool,
}

/// One part of a result. `data` is base64 that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum McpContent {
    Text(String),
    Image { data: String, mime_type: String },
    Audio { data: String, mime_type: String },
    ResourceLink { uri: String, name: String, description: Option<String>, mime_type: Option<String> },
    EmbeddedText { uri: String, text: String, mime_type: Option<String> },
    EmbeddedBlob { uri: String, data: String, mime_type: Option<String> },
}

/// Why a result cannot be taken.
#[derive(Debug)]
pub(crate) struct Unfit {
    pub(crate) kind: McpErrorKind,
    pub(crate) why: String,
}

impl McpResult {
    pub(crate) fn read(result: CallToolResult, bounds: &Bounds) -> Result<Self, Unfit> {
        if result.content.len() > bounds.parts {
            return Err(too_large("its parts"));
        }
        let structured = result.structured_content;
        if structured.as_ref().is_some_and(|value| value.to_string().len() > bounds.text_bytes) {
            return Err(too_large("its structured content"));
        }
        let content: Result<_, _> = result.content.into_iter().map(|part| read_part(part, bounds)).collect();
        Ok(Self { content: content?, structured, is_error: result.is_error == Some(true) })
    }
}

fn too_large(what: &str) -> Unfit {
    Unfit { kind: McpErrorKind::TooLarge, why: format!("a result: {what}") }
}

fn garbage(what: &str) -> Unfit {
    Unfit { kind: McpErrorKind::Protocol, why: format!("a result: {what}") }
}

fn read_part(part: ContentBlock, bounds: &Bounds) -> Result<McpContent, Unfit> {
    let text = |text: String| if text.len() > bounds.text_bytes { Err(too_large("a text")) } else { Ok(text) };
    let data = |data: String| read_data(data, bounds);
    match part {
        ContentBlock::Text(part) => Ok(McpContent::Text(text(part.text)?)),
        ContentBlock::Image(part) => {
            Ok(McpContent::Image { data: data(part.data)?, mime_type: required_mime_type(&part.mime_type)? })
        }
        ContentBlock::Audio(part) => {
            Ok(McpContent::Audio { data: data(part.data)?, mime_type: required_mime_type(&part.mime_type)? })
        }
        ContentBlock::ResourceLink(part) => Ok(McpContent::ResourceLink {
            uri: uri(part.uri)?,
            name: cut(part.title.as_deref().unwrap_or(&part.name), MOST_TITLE_CHARACTERS),
            description: part.description.map(|text| cut(&text, MOST_DESCRIPTION_CHARACTERS)),
            mime_type: part.mime_type.as_deref().and_then(mime_type),
        }),
        ContentBlock::Resource(part) => match part.resource {
            ResourceContents::TextResourceContents { uri: at, mime_type: kind, text: content, .. } => {
                Ok(McpContent::EmbeddedText {
                    uri: uri(at)?,
                    text: text(content)?,
                    mime_type: kind.as_deref().and_then(mime_type),
                })
            }
            ResourceContents::BlobResourceContents { uri: at, mime_type: kind, blob, .. } => {
                Ok(McpContent::EmbeddedBlob {
                    uri: uri(at)?,
                    data: data(blob)?,
                    mime_type: kind.as_deref().and_then(mime_type),
                })
            }
            _ => Err(garbage("an unknown kind of resource")),
        },
        _ => Err(garbage("an unknown kind of content")),
    }
}

fn read_data(data: String, bounds: &Bounds) -> Result<String, Unfit> {
    if data.len() / 4 * 3 > bounds.media_bytes.saturating_add(2) {
        return Err(too_large("a file"));
    }
    let decoded = STANDARD.decode(&data).or_else(|_| STANDARD_NO_PAD.decode(&data));
    let decoded = decoded.map_err(|_| garbage("data that is no base64"))?;
    if decoded.len() > bounds.media_bytes {
        return Err(too_large("a file"));
    }
    // Some leave the padding out, which others do not read.
    Ok(if data.len().is_multiple_of(4) { data } else { STANDARD.encode(decoded) })
}

fn uri(uri: String) -> Result<String, Unfit> {
    if uri.len() > MOST_URI_BYTES { Err(too_large("an address")) } else { Ok(uri) }
}

fn mime_type(given: &str) -> Option<String> {
    let given = given.trim();
    let (kind, subtype) = given.split(';').next()?.trim_end().split_once('/')?;
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    let fits = given.len() <= MOST_MIME_TYPE_BYTES && is_token(kind) && is_token(subtype);
    fits.then(|| format!("{kind}/{subtype}").to_ascii_lowercase())
}

fn required_mime_type(given: &str) -> Result<String, Unfit> {
    mime_type(given).ok_or_else(|| garbage("media of no kind"))
}

/// What the model reads, in at most so many characters: texts as they are, media by name, and the
/// structured content where there is no text. A cut is said.
pub fn text_for_model(result: &McpResult, most_characters: usize) -> String {
    let mut parts: Vec<_> = result.content.iter().map(shown_part).collect();
    let has_text = result.content.iter().any(|part| match part {
        McpContent::Text(text) | McpContent::EmbeddedText { text, .. } => !text.trim().is_empty(),
        McpContent::Image { .. }
        | McpContent::Audio { .. }
        | McpContent::ResourceLink { .. }
        | McpContent::EmbeddedBlob { .. } => false,
    });
    if let Some(structured) = &result.structured
        && !has_text
    {
        parts.insert(0, structured.to_string());
    }
    parts.retain(|part| !part.is_empty());
    if parts.is_empty() {
        parts.push("(nothing)".to_owned());
    }
    if result.is_error {
        parts.insert(0, "The tool failed:".to_owned());
    }
    within(&parts.join("\n"), most_characters)
}

fn shown_part(part: &McpContent) -> String {
    match part {
        McpContent::Text(text) => text.clone(),
        McpContent::Image { data, mime_type } => format!("[image, {mime_type}, {}]", size(data)),
        McpContent::Audio { data, mime_type } => format!("[audio, {mime_type}, {}]", size(data)),
        McpContent::ResourceLink { uri, name, description, mime_type } => {
            let kind = mime_type.as_ref().map(|kind| format!(", {kind}")).unwrap_or_default();
            let description = description.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
            format!("[link to {name}, {uri}{kind}]{description}")
        }
        McpContent::EmbeddedText { uri, text, .. } => format!("[{uri}]\n{text}"),
        McpContent::EmbeddedBlob { uri, data, mime_type } => {
            format!("[file {uri}, {}, {}]", mime_type.as_deref().unwrap_or("unknown kind"), size(data))
        }
    }
}

/// Of what base64 stands for.
fn size(data: &str) -> String {
    let bytes = data.len() / 4 * 3 - data.bytes().rev().take_while(|&byte| byte == b'=').count().min(2);
    match bytes {
        0..1_024 => format!("{bytes} bytes"),
        1_024..1_048_576 => format!("{} KiB", bytes / 1_024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

fn within(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let said = format!("\n[cut: {length} characters in all]");
    let room = most.saturating_sub(said.chars().count());
    if room == 0 {
        return said.trim_start().chars().take(most).collect();
    }
    text.chars().take(room).chain(said.chars()).collect()
}

/// The `result` of an `mcp_server_tool_result`: a text if that is all, the structured content if it
/// is an object and nothing but text stands beside it, and a list of contents otherwise.
pub fn wire_result(result: &McpResult) -> Value {
    let texts: Option<Vec<_>> = result
        .content
        .iter()
        .map(|part| match part {
            McpContent::Text(text) => Some(text.as_str()),
            McpContent::Image { .. }
            | McpContent::Audio { .. }
            | McpContent::ResourceLink { .. }
            | McpContent::EmbeddedText { .. }
            | McpContent::EmbeddedBlob { .. } => None,
        })
        .collect();
    match (&result.structured, texts) {
        (Some(structured @ Value::Object(_)), Some(_)) if !result.is_error => structured.clone(),
        (Some(structured), Some(texts)) if texts.is_empty() => Value::String(structured.to_string()),
        (_, Some(texts)) => Value::String(texts.join("\n")),
        (_, None) => Value::Array(result.content.iter().map(wire_part).collect()),
    }
}

fn wire_part(part: &McpContent) -> Value {
    match part {
        McpContent::Text(text) => json!({"type": "text", "text": text}),
        McpContent::Image { data, mime_type } => json!({"type": "image", "data": data, "mime_type": mime_type}),
        McpContent::Audio { data, mime_type } => json!({"type": "audio", "data": data, "mime_type": mime_type}),
        McpContent::ResourceLink { .. } | McpContent::EmbeddedText { .. } => {
            json!({"type": "text", "text": shown_part(part)})
        }
        McpContent::EmbeddedBlob { data, mime_type, .. } => {
            let mime_type = mime_type.as_deref().unwrap_or("application/octet-stream");
            let kind = match mime_type.split('/').next() {
                Some(kind @ ("image" | "audio" | "video")) => kind,
                Some(_) | None => "document",
            };
            json!({"type": kind, "data": data, "mime_type": mime_type})
        }
    }
}
