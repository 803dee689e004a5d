//! Tools a request declares, and how freely the model may call them (spec 05).

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::fields::{Fields, describe, excerpt};

/// A tool of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Tool {
    Function(Function),
    /// The web, or whatever the operator lets be searched.
    GoogleSearch {},
    /// Pages whose addresses are in the conversation.
    UrlContext {},
    /// Programs in a sandbox.
    CodeExecution {},
    FileSearch(FileSearch),
    McpServer(McpServer),
    ToolSearch(ToolSearch),
}

/// How functions whose loading is deferred are found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "execution", rename_all = "snake_case")]
pub enum ToolSearch {
    /// The model is told their names, and loads those that it wants.
    Server {},
    /// The model calls this function of the client, whose result holds those that were found.
    Client(Function),
}

/// Documents in file search stores of the project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSearch {
    /// `fileSearchStores/…`, at least one.
    pub file_search_store_names: Vec<String>,
    /// Chooses documents by their metadata (AIP-160).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_filter: Option<String>,
    /// How many passages the model is told of at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
}

/// A server of the Model Context Protocol whose tools the model may use.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct McpServer {
    /// Letters, digits, `_` and `-`; unique in its request.
    pub name: String,
    /// Without one, the operator has configured a server of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Sent with every request to it, and shown to nobody.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The only tools that may be used; none means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_tools: Option<Vec<AllowedTools>>,
}

/// A function of the client: the model asks for it, the client runs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Function {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A JSON Schema of an object; a function without takes no arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Whether the model is told of it only once a search has found it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub defer_loading: bool,
    /// What the model is told until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_description: Option<String>,
}

impl fmt::Debug for McpServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.keys().collect();
        formatter.debug_struct("McpServer").field("name", &self.name).field("headers", &headers).finish_non_exhaustive()
    }
}

/// `generation_config.tool_choice`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ToolChoice {
    Mode(ToolMode),
    Allowed { allowed_tools: AllowedTools },
}

/// Only some of the declared functions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedTools {
    #[serde(default)]
    pub mode: ToolMode,
    /// Absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolMode {
    /// Text, calls or both.
    #[default]
    Auto,
    /// At least one call, and nothing else.
    Any,
    None,
    /// As `auto`: arguments always conform to their schema here.
    Validated,
}

/// More tools than a prompt could say.
const MOST_TOOLS: usize = 128;

/// With those that a prompt does not say.
pub const MOST_DECLARED: usize = 1024;

/// A line in a list.
const LONGEST_SHORT_DESCRIPTION: usize = 1024;

const LONGEST_NAME: usize = 128;

/// Types of spec 05 that this server refuses by name for now.
const UNBUILT: [&str; 5] = ["computer_use", "google_maps", "retrieval", "filesystem", "bash"];

const SUPPORTED: &str = "function, google_search, url_context, code_execution, file_search, mcp_server, tool_search";

/// More stores than one search has a use for.
const MOST_STORES: usize = 10;
const MOST_PASSAGES: i64 = 100;
const LONGEST_FILTER: usize = 4096;

/// More servers than one request has a use for.
const MOST_MCP_SERVERS: usize = 8;
const MOST_HEADERS: usize = 32;
const LONGEST_HEADER: usize = 8192;
const LONGEST_URL: usize = 2048;

impl Tool {
    /// Reads `tools`; names are unique.
    pub(crate) fn read_list(items: Vec<Value>) -> Result<Vec<Self>, Error> {
        if items.len() > MOST_DECLARED {
            return Err(Error::invalid(
                "tools",
                format!("expected at most {MOST_DECLARED} tools, got {}", items.len()),
            ));
        }
        let tools: Vec<_> = items
            .into_iter()
            .enumerate()
            .map(|(at, item)| Self::read(item, &format!("tools[{at}]")))
            .collect::<Result<_, _>>()?;
        let mut names = HashSet::new();
        for (at, tool) in tools.iter().enumerate() {
            let (name, kind, field) = match tool {
                Self::Function(function) => (function.name.as_str(), "functions are", ".name"),
                Self::McpServer(server) => (server.name.as_str(), "servers are", ".name"),
                Self::GoogleSearch {} => ("google_search", "tools are", ""),
                Self::UrlContext {} => ("url_context", "tools are", ""),
                Self::CodeExecution {} => ("code_execution", "tools are", ""),
                Self::ToolSearch(ToolSearch::Server {}) => ("tool_search", "tools are", ""),
                Self::ToolSearch(ToolSearch::Client(function)) => (function.name.as_str(), "functions are", ".name"),
                Self::FileSearch(_) => ("file_search", "tools are", ""),
            };
            if !names.insert(name) {
                return Err(Error::invalid(&format!("tools[{at}]{field}"), format!("two {kind} called `{name}`")));
            }
        }
        let servers = tools.iter().filter(|tool| matches!(tool, Self::McpServer(_))).count();
        if servers > MOST_MCP_SERVERS {
            return Err(Error::invalid("tools", format!("expected at most {MOST_MCP_SERVERS} servers, got {servers}")));
        }
        Self::check_deferred(&tools)?;
        Ok(tools)
    }

    /// # Errors
    /// When functions are deferred that nothing could load, when a search has nothing to
    /// find, or when too many are not deferred.
    fn check_deferred(tools: &[Self]) -> Result<(), Error> {
        let is_deferred = |tool: &Self| tool.function().is_some_and(|function| function.defer_loading);
        let is_search = |tool: &Self| matches!(tool, Self::ToolSearch(_));
        let deferred = tools.iter().filter(|tool| is_deferred(tool)).count();
        let told = tools.len() - deferred;
        if told > MOST_TOOLS {
            let message =
                format!("expected at most {MOST_TOOLS} tools besides functions with `defer_loading`, got {told}");
            return Err(Error::invalid("tools", message));
        }
        let searches: Vec<_> = tools.iter().enumerate().filter(|(_, tool)| is_search(tool)).map(|(at, _)| at).collect();
        if let [_, second, ..] = searches[..] {
            return Err(Error::invalid(&format!("tools[{second}]"), "expected one `tool_search` at most"));
        }
        match (tools.iter().position(is_deferred), searches.first()) {
            (Some(at), None) => {
                let message = "a function is deferred for `tool_search`, which is not among the tools";
                Err(Error::invalid(&format!("tools[{at}].defer_loading"), message))
            }
            (None, Some(at)) if tools[*at] == Self::ToolSearch(ToolSearch::Server {}) => {
                let message = "there is nothing to find: no function has `defer_loading`";
                Err(Error::invalid(&format!("tools[{at}]"), message))
            }
            (Some(_), Some(_)) | (None, _) => Ok(()),
        }
    }

    fn read(value: Value, path: &str) -> Result<Self, Error> {
        let mut fields = Fields::new(value, path)?;
        let tool = match fields.string("type")?.as_deref() {
            Some("function") => return Function::read(fields).map(Self::Function),
            Some("mcp_server") => return McpServer::read(fields).map(Self::McpServer),
            Some("tool_search") => return ToolSearch::read(fields).map(Self::ToolSearch),
            Some("file_search") => return FileSearch::read(fields).map(Self::FileSearch),
            Some("google_search") => {
                read_search_types(&mut fields)?;
                Self::GoogleSearch {}
            }
            Some("url_context") => Self::UrlContext {},
            Some("code_execution") => Self::CodeExecution {},
            Some(other) if UNBUILT.contains(&other) => {
                let message = format!("`{other}` is not supported by this server yet; supported: {SUPPORTED}");
                return Err(Error::invalid(&fields.path_of("type"), message));
            }
            Some(other) => {
                let message = format!("unknown tool type `{}`; supported: {SUPPORTED}", excerpt(other));
                return Err(Error::invalid(&fields.path_of("type"), message));
            }
            None => {
                return Err(Error::invalid(
                    &fields.path_of("type"),
                    format!("expected one of {SUPPORTED}, nothing came"),
                ));
            }
        };
        fields.finish()?;
        Ok(tool)
    }

    /// The function, if it is one of the client's.
    pub fn function(&self) -> Option<&Function> {
        match self {
            Self::Function(function) | Self::ToolSearch(ToolSearch::Client(function)) => Some(function),
            Self::GoogleSearch {}
            | Self::UrlContext {}
            | Self::CodeExecution {}
            | Self::FileSearch(_)
            | Self::McpServer(_)
            | Self::ToolSearch(ToolSearch::Server {}) => None,
        }
    }

    /// The tool as it may be shown again: headers hold secrets.
    pub fn shown(&self) -> Self {
        match self {
            Self::McpServer(server) => Self::McpServer(McpServer { headers: BTreeMap::new(), ..server.clone() }),
            Self::Function(_)
            | Self::GoogleSearch {}
            | Self::UrlContext {}
            | Self::CodeExecution {}
            | Self::FileSearch(_)
            | Self::ToolSearch(_) => self.clone(),
        }
    }
}

/// Only the web is searched.
fn read_search_types(fields: &mut Fields) -> Result<(), Error> {
    for (at, kind) in fields.list("search_types")?.unwrap_or_default().into_iter().enumerate() {
        if kind.as_str() != Some("web_search") {
            let path = format!("{}[{at}]", fields.path_of("search_types"));
            let message = format!("expected `web_search`, the only search there is here, got {}", describe(&kind));
            return Err(Error::invalid(&path, message));
        }
    }
    Ok(())
}

impl ToolSearch {
    fn read(mut fields: Fields) -> Result<Self, Error> {
        match fields.string("execution")?.as_deref() {
            None | Some("server") => {
                for name in ["name", "description", "parameters"] {
                    fields.refuse(name, "it is of `execution: client` alone")?;
                }
                fields.finish()?;
                Ok(Self::Server {})
            }
            Some("client") => {
                for name in ["defer_loading", "short_description"] {
                    fields.refuse(name, "the search itself cannot be deferred")?;
                }
                Function::read(fields).map(Self::Client)
            }
            Some(other) => Err(fields.mismatch("execution", "`server` or `client`", &Value::from(other))),
        }
    }
}

impl FileSearch {
    fn read(mut fields: Fields) -> Result<Self, Error> {
        let path = fields.path_of("file_search_store_names");
        let name = |(at, name): (usize, Value)| match name {
            Value::String(name) => Ok(name),
            other => {
                let message = format!("expected a name as `fileSearchStores/…`, got {}", describe(&other));
                Err(Error::invalid(&format!("{path}[{at}]"), message))
            }
        };
        let names = fields.list("file_search_store_names")?.unwrap_or_default();
        if names.is_empty() || names.len() > MOST_STORES {
            let message = format!("expected 1 to {MOST_STORES} names of stores, got {}", names.len());
            return Err(Error::invalid(&path, message));
        }
        let file_search_store_names = names.into_iter().enumerate().map(name).collect::<Result<Vec<_>, _>>()?;
        let metadata_filter = fields.string("metadata_filter")?.filter(|text| !text.trim().is_empty());
        if let Some(length) = metadata_filter.as_ref().map(String::len).filter(|length| *length > LONGEST_FILTER) {
            let message = format!("expected at most {LONGEST_FILTER} bytes, got {length}");
            return Err(Error::invalid(&fields.path_of("metadata_filter"), message));
        }
        let top_k = fields.integer("top_k", 1, MOST_PASSAGES)?.and_then(|count| u32::try_from(count).ok());
        fields.finish()?;
        Ok(Self { file_search_store_names, metadata_filter, top_k })
    }
}

impl McpServer {
    fn read(mut fields: Fields) -> Result<Self, Error> {
        let name = fields.string("name")?.unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            let message = format!("expected 1 to 64 letters, digits, `_` and `-`, got `{}`", excerpt(&name));
            return Err(Error::invalid(&fields.path_of("name"), message));
        }
        let url = fields.string("url")?;
        let is_address =
            |url: &String| url.len() <= LONGEST_URL && (url.starts_with("https://") || url.starts_with("http://"));
        if let Some(wrong) = url.as_ref().filter(|url| !is_address(url)) {
            let message = format!("expected an address that begins with `https://`, got `{}`", excerpt(wrong));
            return Err(Error::invalid(&fields.path_of("url"), message));
        }
        let headers = match fields.take("headers") {
            None => BTreeMap::new(),
            Some(Value::Object(headers)) if headers.len() <= MOST_HEADERS => {
                let path = fields.path_of("headers");
                let read = |(name, value): (String, Value)| match value {
                    Value::String(text) if is_header(&name, &text) => Ok((name, text)),
                    // What it holds may be a secret.
                    _ => Err(Error::invalid(
                        &format!("{path}.{}", excerpt(&name)),
                        "expected the name and text of a header",
                    )),
                };
                headers.into_iter().map(read).collect::<Result<_, _>>()?
            }
            Some(_) => {
                let message = format!("expected an object of at most {MOST_HEADERS} strings");
                return Err(Error::invalid(&fields.path_of("headers"), message));
            }
        };
        let path = fields.path_of("allowed_tools");
        let allowed_tools = fields
            .list("allowed_tools")?
            .map(|items| {
                let read = |(at, item)| match item {
                    // SDKs type objects; the service's documents show names too.
                    Value::String(name) => Ok(AllowedTools { mode: ToolMode::Auto, tools: Some(vec![name]) }),
                    item => AllowedTools::read(item, &format!("{path}[{at}]")),
                };
                items.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()
            })
            .transpose()?;
        if url.is_none() && !headers.is_empty() {
            return Err(Error::invalid(&fields.path_of("headers"), "they are sent to a `url`, and none came"));
        }
        for (at, entry) in allowed_tools.iter().flatten().enumerate() {
            if entry.mode == ToolMode::Any {
                let message = "`any` is for functions of the client; expected `auto`, `validated` or `none`";
                return Err(Error::invalid(&format!("{path}[{at}].mode"), message));
            }
        }
        if allowed_tools.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::invalid(&path, "expected at least one entry; without the field all tools are allowed"));
        }
        fields.finish()?;
        Ok(Self { name, url, headers, allowed_tools })
    }
}

/// Whether these can be a header's (RFC 9110 §5).
fn is_header(name: &str, value: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let visible = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    !name.is_empty()
        && name.len() <= 256
        && name.bytes().all(token)
        && value.len() <= LONGEST_HEADER
        && value.bytes().all(visible)
}

impl Function {
    pub(crate) fn read(mut fields: Fields) -> Result<Self, Error> {
        let name = fields.string("name")?.unwrap_or_default();
        if !is_function_name(&name) {
            return Err(Error::invalid(
                &fields.path_of("name"),
                format!(
                    "expected 1 to {LONGEST_NAME} letters, digits, `_`, `.`, `:` and `-` that start with a letter or `_`, got `{}`",
                    excerpt(&name)
                ),
            ));
        }
        let function = Self {
            name,
            description: fields.string("description")?.filter(|text| !text.is_empty()),
            parameters: match fields.take("parameters") {
                Some(Value::Object(schema)) if schema.is_empty() => None,
                Some(schema @ Value::Object(_)) => Some(schema),
                Some(other) => return Err(fields.mismatch("parameters", "a JSON Schema of an object", &other)),
                None => None,
            },
            defer_loading: fields.boolean("defer_loading")? == Some(true),
            short_description: fields.string("short_description")?.filter(|text| !text.is_empty()),
        };
        let path = fields.path_of("short_description");
        match &function.short_description {
            Some(text) if text.len() > LONGEST_SHORT_DESCRIPTION => {
                let message = format!("expected at most {LONGEST_SHORT_DESCRIPTION} bytes, got {}", text.len());
                return Err(Error::invalid(&path, message));
            }
            Some(_) if !function.defer_loading => {
                return Err(Error::invalid(&path, "it is of functions with `defer_loading` alone"));
            }
            Some(_) | None => {}
        }
        fields.finish()?;
        Ok(function)
    }
}

impl AllowedTools {
    fn read(value: Value, path: &str) -> Result<Self, Error> {
        let mut fields = Fields::new(value, path)?;
        let mode = match fields.string("mode")? {
            None => ToolMode::default(),
            Some(name) => ToolMode::of(&name)
                .ok_or_else(|| fields.mismatch("mode", &format!("one of {MODES}"), &Value::String(name.clone())))?,
        };
        let name = |(at, name): (usize, Value)| match name {
            Value::String(name) => Ok(name),
            other => Err(Error::invalid(
                &format!("{path}.tools[{at}]"),
                format!("expected the name of a function, got {}", describe(&other)),
            )),
        };
        let names = fields.list("tools")?;
        let tools = names.map(|names| names.into_iter().enumerate().map(name).collect::<Result<_, _>>()).transpose()?;
        fields.finish()?;
        Ok(Self { mode, tools })
    }
}

impl ToolChoice {
    /// How calls are allowed, and the only functions that may be called unless it is all.
    pub fn resolve(&self) -> (ToolMode, Option<&[String]>) {
        match self {
            Self::Mode(mode) => (*mode, None),
            Self::Allowed { allowed_tools } => (allowed_tools.mode, allowed_tools.tools.as_deref()),
        }
    }

    pub(crate) fn read(fields: &mut Fields) -> Result<Option<Self>, Error> {
        let path = fields.path_of("tool_choice");
        match fields.take("tool_choice") {
            None => Ok(None),
            Some(Value::Object(object)) => {
                let mut choice = Fields::new(Value::Object(object), &path)?;
                let Some(allowed) = choice.take("allowed_tools") else {
                    return Err(Error::invalid(&path, "expected `allowed_tools` in the object"));
                };
                choice.finish()?;
                let allowed_tools = AllowedTools::read(allowed, &format!("{path}.allowed_tools"))?;
                Ok(Some(Self::Allowed { allowed_tools }))
            }
            Some(other) => match other.as_str().and_then(ToolMode::of) {
                Some(mode) => Ok(Some(Self::Mode(mode))),
                None => {
                    Err(fields.mismatch("tool_choice", &format!("{MODES}, or an object with `allowed_tools`"), &other))
                }
            },
        }
    }

    /// # Errors
    /// When it asks for calls that no declared function could answer.
    pub(crate) fn check(&self, tools: &[Tool]) -> Result<(), Error> {
        const PATH: &str = "generation_config.tool_choice";
        let (mode, allowed) = self.resolve();
        let functions = || tools.iter().filter_map(Tool::function);
        if let Some(allowed) = allowed {
            let declared = |name: &String| functions().any(|function| function.name == *name);
            if let Some((at, name)) = allowed.iter().enumerate().find(|(_, name)| !declared(name)) {
                let message = format!("no function `{}` is declared in `tools`", excerpt(name));
                return Err(Error::invalid(&format!("{PATH}.allowed_tools.tools[{at}]"), message));
            }
        }
        let nothing_to_call = allowed.map_or(functions().next().is_none(), <[String]>::is_empty);
        if mode == ToolMode::Any && nothing_to_call {
            let message = "`any` asks for a function call, but there is no function to call";
            return Err(Error::invalid(PATH, message));
        }
        Ok(())
    }
}

const MODES: &str = "`auto`, `any`, `none`, `validated`";

impl ToolMode {
    fn of(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "any" => Some(Self::Any),
            "none" => Some(Self::None),
            "validated" => Some(Self::Validated),
            _ => None,
        }
    }
}

/// Whether this can be the name of a function.
fn is_function_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-'))
}
