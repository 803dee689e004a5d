//! The steps of tools that the server itself carries out (spec 03, "Steps"; spec 05).
//!
//! Every kind has a call and a result of the same shape, so there is one of each here, and
//! the kind is a part of its `type`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::fields::Fields;

/// A kind of tool that has steps of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerTool {
    GoogleSearch,
    UrlContext,
    CodeExecution,
    FileSearch,
    McpServerTool,
    ToolSearch,
}

impl ServerTool {
    pub const ALL: [Self; 6] = [
        Self::GoogleSearch,
        Self::UrlContext,
        Self::CodeExecution,
        Self::FileSearch,
        Self::McpServerTool,
        Self::ToolSearch,
    ];

    /// What the `type` of its steps begins with.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GoogleSearch => "google_search",
            Self::UrlContext => "url_context",
            Self::CodeExecution => "code_execution",
            Self::FileSearch => "file_search",
            Self::McpServerTool => "mcp_server_tool",
            Self::ToolSearch => "tool_search",
        }
    }

    fn of(kind: &str, end: &str) -> Option<Self> {
        let name = kind.strip_suffix(end)?;
        Self::ALL.into_iter().find(|tool| tool.as_str() == name)
    }
}

const CALL: &str = "_call";
const RESULT: &str = "_result";

/// That the model wants the server to do something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerCallStep {
    #[serde(rename = "type", with = "call_type")]
    pub tool: ServerTool,
    /// Unique in its conversation.
    pub id: String,
    /// Of the tool, where a server has several; none for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    #[serde(default)]
    pub arguments: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerResultStep {
    #[serde(rename = "type", with = "result_type")]
    pub tool: ServerTool,
    /// The `id` of the call.
    pub call_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// A list of objects, or a string, as the kind has it.
    #[serde(default)]
    pub result: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_error: Option<bool>,
    /// What the model was told, sealed; the client carries it unread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl ServerCallStep {
    /// Reads a replayed step whose `type` was taken already; none when the kind is another.
    pub(crate) fn read(kind: &str, fields: &mut Fields) -> Result<Option<Self>, Error> {
        let Some(tool) = ServerTool::of(kind, CALL) else { return Ok(None) };
        Ok(Some(Self {
            tool,
            id: fields.text("id")?,
            name: fields.string("name")?,
            server_name: fields.string("server_name")?,
            arguments: match fields.take("arguments") {
                None => Map::new(),
                Some(Value::Object(arguments)) => arguments,
                Some(other) => return Err(fields.mismatch("arguments", "an object", &other)),
            },
            signature: fields.string("signature")?.filter(|text| !text.is_empty()),
            extra: Map::new(),
        }))
    }
}

impl ServerResultStep {
    /// Reads a replayed step whose `type` was taken already; none when the kind is another.
    pub(crate) fn read(kind: &str, fields: &mut Fields) -> Result<Option<Self>, Error> {
        let Some(tool) = ServerTool::of(kind, RESULT) else { return Ok(None) };
        Ok(Some(Self {
            tool,
            call_id: fields.text("call_id")?,
            name: fields.string("name")?,
            server_name: fields.string("server_name")?,
            result: fields.take("result").unwrap_or_default(),
            is_error: fields.boolean("is_error")?,
            signature: fields.string("signature")?.filter(|text| !text.is_empty()),
            extra: Map::new(),
        }))
    }
}

/// The `type` of a call.
pub(crate) mod call_type {
    use super::{CALL, Deserializer, Serializer, ServerTool, deserialize_type};

    pub(crate) fn serialize<S: Serializer>(tool: &ServerTool, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}{CALL}", tool.as_str()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ServerTool, D::Error> {
        deserialize_type(deserializer, CALL)
    }
}

/// The `type` of a result.
pub(crate) mod result_type {
    use super::{Deserializer, RESULT, Serializer, ServerTool, deserialize_type};

    pub(crate) fn serialize<S: Serializer>(tool: &ServerTool, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}{RESULT}", tool.as_str()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ServerTool, D::Error> {
        deserialize_type(deserializer, RESULT)
    }
}

fn deserialize_type<'de, D: Deserializer<'de>>(deserializer: D, end: &str) -> Result<ServerTool, D::Error> {
    let kind = String::deserialize(deserializer)?;
    ServerTool::of(&kind, end).ok_or_else(|| serde::de::Error::custom("no step of a server tool"))
}
