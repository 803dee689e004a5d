//! What a server declares.

use rmcp::model::Tool;
use serde_json::Value;
use tracing::warn;

use crate::error::cut;
use crate::options::Bounds;

/// The longest name that the protocol allows.
const MOST_NAME_BYTES: usize = 128;

#[derive(Clone, Debug, PartialEq)]
pub struct McpTool {
    pub name: String,
    /// Empty when the server says nothing.
    pub description: String,
    /// An object: the schema of the arguments.
    pub input_schema: Value,
    /// The server says that a call changes nothing. A hint, not a promise.
    pub read_only: bool,
}

/// A listing as it comes, page by page.
pub(crate) struct Listing {
    pub(crate) tools: Vec<McpTool>,
    bytes: usize,
    /// Those that were left out count, too.
    count: usize,
}

/// More is declared than anyone can use.
pub(crate) struct ListingTooLarge;

impl Listing {
    pub(crate) fn new() -> Self {
        Self { tools: Vec::new(), bytes: 0, count: 0 }
    }

    /// # Errors
    /// When the listing breaks its bounds. A single tool that does is left out.
    pub(crate) fn take(&mut self, tools: Vec<Tool>, server: &str, bounds: &Bounds) -> Result<(), ListingTooLarge> {
        for tool in tools {
            self.count += 1;
            self.bytes += serde_json::to_vec(&tool).map_or(usize::MAX / 2, |text| text.len());
            if self.count > bounds.tools || self.bytes > bounds.listing_bytes {
                return Err(ListingTooLarge);
            }
            match usable(tool, bounds) {
                Ok(tool) if self.tools.iter().any(|other| other.name == tool.name) => {
                    warn!(server, reason = "its name is declared twice", "A tool of an MCP server is left out");
                }
                Ok(tool) => self.tools.push(tool),
                Err(reason) => warn!(server, reason, "A tool of an MCP server is left out"),
            }
        }
        Ok(())
    }
}

fn usable(tool: Tool, bounds: &Bounds) -> Result<McpTool, &'static str> {
    let name = tool.name.as_ref();
    let is_name = (1..=MOST_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b':'));
    if !is_name {
        return Err("its name is none");
    }
    let input_schema = Value::Object(std::sync::Arc::unwrap_or_clone(tool.input_schema));
    if serde_json::to_vec(&input_schema).map_or(usize::MAX, |text| text.len()) > bounds.schema_bytes {
        return Err("its schema is too large");
    }
    let annotations = tool.annotations.as_ref();
    let title = tool.title.as_deref().or(annotations.and_then(|annotations| annotations.title.as_deref()));
    let description = tool.description.as_deref().filter(|text| !text.trim().is_empty()).or(title).unwrap_or_default();
    Ok(McpTool {
        description: cut(description, bounds.description_characters),
        read_only: annotations.is_some_and(|annotations| annotations.read_only_hint == Some(true)),
        name: tool.name.into_owned(),
        input_schema,
    })
}
