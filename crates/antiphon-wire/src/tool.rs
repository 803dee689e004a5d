//! Tools a request declares, and how freely the model may call them (spec 05).

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::fields::{Fields, describe, excerpt};

/// A tool of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Tool {
    Function(Function),
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

const LONGEST_NAME: usize = 128;

/// Types of spec 05 that this server refuses by name for now.
const UNBUILT: [&str; 11] = [
    "google_search",
    "url_context",
    "code_execution",
    "file_search",
    "mcp_server",
    "computer_use",
    "google_maps",
    "tool_search",
    "retrieval",
    "filesystem",
    "bash",
];

impl Tool {
    /// Reads `tools`; names are unique.
    pub(crate) fn read_list(items: Vec<Value>) -> Result<Vec<Self>, Error> {
        if items.len() > MOST_TOOLS {
            return Err(Error::invalid("tools", format!("expected at most {MOST_TOOLS} tools, got {}", items.len())));
        }
        let tools: Vec<_> = items
            .into_iter()
            .enumerate()
            .map(|(at, item)| Self::read(item, &format!("tools[{at}]")))
            .collect::<Result<_, _>>()?;
        let mut names = HashSet::new();
        for (at, Self::Function(function)) in tools.iter().enumerate() {
            if !names.insert(&function.name) {
                let message = format!("two functions are called `{}`", function.name);
                return Err(Error::invalid(&format!("tools[{at}].name"), message));
            }
        }
        Ok(tools)
    }

    fn read(value: Value, path: &str) -> Result<Self, Error> {
        let mut fields = Fields::new(value, path)?;
        match fields.string("type")?.as_deref() {
            Some("function") => {}
            Some(other) if UNBUILT.contains(&other) => {
                let message = format!("`{other}` is not supported by this server yet; supported: function");
                return Err(Error::invalid(&fields.path_of("type"), message));
            }
            Some(other) => {
                let message = format!("unknown tool type `{}`; supported: function", excerpt(other));
                return Err(Error::invalid(&fields.path_of("type"), message));
            }
            None => return Err(Error::invalid(&fields.path_of("type"), "expected `function`, nothing came")),
        }
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
        let function = Function {
            name,
            description: fields.string("description")?.filter(|text| !text.is_empty()),
            parameters: match fields.take("parameters") {
                Some(Value::Object(schema)) if schema.is_empty() => None,
                Some(schema @ Value::Object(_)) => Some(schema),
                Some(other) => return Err(fields.mismatch("parameters", "a JSON Schema of an object", &other)),
                None => None,
            },
        };
        if fields.boolean("defer_loading")? == Some(true) {
            let message = "functions cannot be deferred: tool search is not supported by this server yet";
            return Err(Error::invalid(&fields.path_of("defer_loading"), message));
        }
        fields.refuse("short_description", "it serves tool search, which is not supported by this server yet")?;
        fields.finish()?;
        Ok(Self::Function(function))
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
                let mut allowed = Fields::new(allowed, &format!("{path}.allowed_tools"))?;
                let mode = match allowed.string("mode")? {
                    None => ToolMode::default(),
                    Some(name) => ToolMode::of(&name).ok_or_else(|| {
                        allowed.mismatch("mode", &format!("one of {MODES}"), &Value::String(name.clone()))
                    })?,
                };
                let name = |(at, name): (usize, Value)| match name {
                    Value::String(name) => Ok(name),
                    other => Err(Error::invalid(
                        &format!("{path}.allowed_tools.tools[{at}]"),
                        format!("expected the name of a function, got {}", describe(&other)),
                    )),
                };
                let names = allowed.list("tools")?;
                let tools =
                    names.map(|names| names.into_iter().enumerate().map(name).collect::<Result<_, _>>()).transpose()?;
                allowed.finish()?;
                Ok(Some(Self::Allowed { allowed_tools: AllowedTools { mode, tools } }))
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
        if let Some(allowed) = allowed {
            let declared = |name: &String| tools.iter().any(|Tool::Function(function)| function.name == *name);
            if let Some((at, name)) = allowed.iter().enumerate().find(|(_, name)| !declared(name)) {
                let message = format!("no function `{}` is declared in `tools`", excerpt(name));
                return Err(Error::invalid(&format!("{PATH}.allowed_tools.tools[{at}]"), message));
            }
        }
        let nothing_to_call = allowed.map_or(tools.is_empty(), <[String]>::is_empty);
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
