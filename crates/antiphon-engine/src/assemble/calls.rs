//! What the model's calls and answers are held against: the parameters of the tool, the schema of the answer.

use antiphon_schema::Schema;
use antiphon_wire::{Failure, ServerTool};
use serde_json::{Map, Value};

use crate::backend::Tool;
use crate::tool::OpenTool;

/// The code of a call that cannot be made (spec 00 §5).
pub(crate) const MALFORMED_CALL: &str = "malformed_function_call";

/// A call that the server carries out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ServerCall {
    /// As [`OpenTool::kind`].
    pub(crate) kind: Option<ServerTool>,
    pub(crate) id: String,
    /// The tool's own name and its server's.
    pub(crate) name: Option<String>,
    pub(crate) server_name: Option<String>,
    /// What the model calls the function.
    pub(crate) function: String,
    pub(crate) arguments: Map<String, Value>,
    /// Why it cannot be made, for the model.
    pub(crate) problem: Option<String>,
}

/// The call of a tool with these arguments. What is JSON but does not conform is told to the
/// model, which may do better.
///
/// # Errors
/// `malformed_tool_call` when the arguments are no JSON object.
pub(super) fn server_call(tool: &OpenTool, id: &str, text: &str) -> Result<ServerCall, Failure> {
    let Ok(arguments) = serde_json::from_str::<Map<String, Value>>(text) else {
        return Err(no_object(tool.kind.map_or(&tool.declaration.name, |kind| kind.as_str())));
    };
    let violation = tool.declaration.parameters.validate(&Value::Object(arguments.clone())).err();
    Ok(ServerCall {
        kind: tool.kind,
        id: id.to_owned(),
        name: tool.name.clone(),
        server_name: tool.server_name.clone(),
        function: tool.declaration.name.clone(),
        arguments,
        problem: violation
            .map(|violation| format!("The arguments do not conform at `{}`: {}", violation.pointer, violation.message)),
    })
}

pub(super) fn no_object(called: &str) -> Failure {
    Failure {
        code: "malformed_tool_call".to_owned(),
        message: format!("The model called `{called}` with arguments that are no JSON object"),
    }
}

/// # Errors
/// `malformed_function_call` (spec 00 §5), which names the place but quotes no value.
pub(super) fn check_arguments(tools: &[Tool], name: &str, arguments: &str) -> Result<(), Failure> {
    let malformed = |message: String| Failure { code: MALFORMED_CALL.to_owned(), message };
    let Some(tool) = tools.iter().find(|tool| tool.name == name) else {
        return Err(malformed("The model called a function that was not declared".to_owned()));
    };
    let Ok(arguments @ Value::Object(_)) = serde_json::from_str::<Value>(arguments) else {
        return Err(malformed(format!("The model called `{name}` with arguments that are no JSON object")));
    };
    tool.parameters.validate(&arguments).map_err(|violation| {
        malformed(format!(
            "The model called `{name}` with arguments that do not conform at `{}`: {}",
            violation.pointer, violation.message
        ))
    })
}

/// Whether an answer is what the schema promises.
///
/// # Errors
/// `malformed_response`, which names the place but quotes no value.
pub(crate) fn check_answer(schema: &Schema, answer: &str) -> Result<(), Failure> {
    let malformed = |message: String| Failure { code: "malformed_response".to_owned(), message };
    let Ok(value) = serde_json::from_str::<Value>(answer) else {
        return Err(malformed("The model's answer is no JSON".to_owned()));
    };
    schema.validate(&value).map_err(|violation| {
        malformed(format!(
            "The model's answer does not conform to the schema at `{}`: {}",
            violation.pointer, violation.message
        ))
    })
}
