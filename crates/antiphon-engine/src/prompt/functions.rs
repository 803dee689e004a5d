//! The functions that a model is told of: the server's, the client's, and those that were searched for.

use antiphon_schema::{Schema, SchemaError};
use antiphon_wire::{CreateInteraction, Error, Function, ToolMode};
use serde_json::{Value, json};

use super::shorten;
use crate::backend::{Calls, Tool};
use crate::tool::OpenTool;

/// A function that was searched for and found.
pub(super) struct Loaded {
    pub(super) name: String,
    /// Its definition, where the client found it.
    pub(super) given: Option<Function>,
}

/// The functions of a request.
pub(super) struct Functions {
    pub(super) calls: Calls,
    /// Those that the model is told of: the server's, then the client's, then those of the
    /// client that were loaded, so that a prompt goes on as it began.
    pub(super) tools: Vec<Tool>,
    pub(super) deferred: Vec<Tool>,
}

/// Every declared function is checked, also those that the choice leaves out, which is of
/// the client's functions alone.
pub(super) fn functions(
    request: &CreateInteraction,
    server_tools: &[OpenTool],
    loaded: &[Loaded],
) -> Result<Functions, Error> {
    let (mode, allowed) =
        request.generation_config.tool_choice.as_ref().map_or((ToolMode::Auto, None), |choice| choice.resolve());
    let (mut tools, mut deferred): (Vec<Tool>, Vec<Tool>) = (Vec::new(), Vec::new());
    for OpenTool { declaration, .. } in server_tools {
        if tools.iter().any(|other| other.name == declaration.name) {
            let message = format!("two tools of MCP servers would both be called `{}`", declaration.name);
            return Err(Error::invalid("tools", message));
        }
        tools.push(declaration.clone());
    }
    for (at, tool) in request.tools.iter().enumerate() {
        let Some(function) = tool.function() else { continue };
        let tool = Tool {
            name: function.name.clone(),
            description: function.description.clone(),
            parameters: parameters(function, &format!("tools[{at}].parameters"))?,
        };
        if server_tools.iter().any(|other| other.declaration.name == tool.name) {
            let message = format!("a tool of this server is called `{}` too", tool.name);
            return Err(Error::invalid(&format!("tools[{at}].name"), message));
        }
        if mode != ToolMode::None && allowed.is_none_or(|names| names.contains(&tool.name)) {
            if function.defer_loading { &mut deferred } else { &mut tools }.push(tool);
        }
    }
    let declared = |name: &str| request.tools.iter().filter_map(|tool| tool.function()).any(|other| other.name == name);
    for Loaded { name, given } in loaded {
        if given.is_some() && server_tools.iter().any(|other| other.declaration.name == *name) {
            let message = format!("a function that was found is called `{}`, as a tool of this server", shorten(name));
            return Err(Error::invalid("tools", message));
        }
        if let Some(at) = deferred.iter().position(|tool| tool.name == *name) {
            tools.push(deferred.remove(at));
        } else if let Some(function) = given
            && mode != ToolMode::None
            && allowed.is_none()
            && !declared(&function.name)
            && tools.iter().all(|tool| tool.name != function.name)
        {
            // What a client finds need not be declared.
            tools.push(Tool {
                name: function.name.clone(),
                description: function.description.clone(),
                parameters: parameters(function, &format!("the function `{}` that was found", function.name))?,
            });
        }
    }
    let calls = match mode {
        ToolMode::Any if tools.is_empty() => {
            let message = "`any` asks for a function call, but those that are allowed are deferred, and what finds \
                           them is not allowed";
            return Err(Error::invalid("generation_config.tool_choice", message));
        }
        _ if tools.is_empty() => Calls::None,
        ToolMode::Auto | ToolMode::Validated | ToolMode::None => Calls::Allowed,
        ToolMode::Any => Calls::Required,
    };
    Ok(Functions { calls, tools, deferred })
}

/// The schema of a function's arguments, which are always an object.
fn parameters(function: &Function, path: &str) -> Result<Schema, Error> {
    let mut schema = function
        .parameters
        .clone()
        .unwrap_or_else(|| json!({ "type": "object", "properties": {}, "additionalProperties": false }));
    match schema.get("type") {
        // Said elsewhere, as behind a `$ref`, or not at all.
        None => {
            if let Some(object) = schema.as_object_mut() {
                object.insert("type".to_owned(), Value::from("object"));
            }
        }
        Some(kind) if *kind == "object" || *kind == json!(["object"]) => {}
        Some(_) => return Err(Error::invalid(&format!("{path}.type"), "expected `object`: arguments are named")),
    }
    let schema = Schema::read(schema).map_err(|error| schema_error(path, &error))?;
    if !schema.allows_only_objects() {
        return Err(Error::invalid(path, "expected a schema of objects alone: arguments are named"));
    }
    Ok(schema)
}

pub(super) fn schema_error(path: &str, error: &SchemaError) -> Error {
    if error.pointer.is_empty() {
        return Error::invalid(path, &error.message);
    }
    Error::invalid(path, format!("at `{}`: {}", error.pointer, error.message))
}
