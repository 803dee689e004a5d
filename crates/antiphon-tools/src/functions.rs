//! `tool_search`: the functions that a request defers, by their names.
//!
//! The model knows a line about each and loads those that it wants, so that a large set
//! costs no more than its list.

use std::sync::Arc;

use antiphon_engine::{OpenTool, ServerFunction, ToolCall, ToolError, ToolOutput};
use antiphon_wire::{CreateInteraction, Error, Function, ServerTool, Tool, ToolMode};
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::declaration;

/// Of a description that has no short form.
const MOST_LINE_BYTES: usize = 120;

struct Functions(Vec<Function>);

/// None where the request lets the model call none of them.
pub(crate) fn open(request: &CreateInteraction) -> Result<Option<OpenTool>, Error> {
    let choice = request.generation_config.tool_choice.as_ref();
    let (mode, allowed) = choice.map_or((ToolMode::Auto, None), |choice| choice.resolve());
    let is_allowed = |name: &String| mode != ToolMode::None && allowed.is_none_or(|names| names.contains(name));
    let functions = request.tools.iter().filter_map(Tool::function);
    let deferred: Vec<Function> =
        functions.filter(|function| function.defer_loading && is_allowed(&function.name)).cloned().collect();
    if deferred.is_empty() {
        return Ok(None);
    }
    let names: Vec<_> = deferred.iter().map(|function| function.name.as_str()).collect();
    let parameters = json!({
        "type": "object",
        "properties": {
            "function_names": {
                "type": "array",
                "items": {"type": "string", "enum": names},
                "minItems": 1,
                "maxItems": names.len(),
                "description": "The functions to load",
            },
        },
        "required": ["function_names"],
        "additionalProperties": false,
    });
    let mut description =
        "Loads functions, so that you can call them afterwards. Load one when the task needs it. These can be loaded:"
            .to_owned();
    for function in &deferred {
        description.push_str("\n- ");
        description.push_str(&function.name);
        let line = line(function);
        if !line.is_empty() {
            description.push_str(": ");
            description.push_str(&line);
        }
    }
    Ok(Some(OpenTool {
        kind: Some(ServerTool::ToolSearch),
        name: None,
        server_name: None,
        declaration: declaration("tool_search", &description, parameters)?,
        reads: true,
        run: Arc::new(Functions(deferred)),
    }))
}

/// What the list says of a function.
fn line(function: &Function) -> String {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(short) = &function.short_description {
        return one_line(short);
    }
    let whole = one_line(function.description.as_deref().unwrap_or_default());
    let cut = whole.floor_char_boundary(MOST_LINE_BYTES);
    if cut < whole.len() { format!("{}…", &whole[..cut]) } else { whole }
}

#[async_trait]
impl ServerFunction for Functions {
    async fn call(&self, call: ToolCall) -> Result<ToolOutput, ToolError> {
        let wanted: Vec<&str> = call
            .arguments
            .get("function_names")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let found: Vec<_> = self.0.iter().filter(|function| wanted.contains(&function.name.as_str())).collect();
        let result = found.iter().map(|function| json!(Tool::Function((*function).clone()))).collect();
        let names: Vec<_> = found.iter().map(|function| format!("`{}`", function.name)).collect();
        let text = format!("Loaded, and ready to be called: {}.", names.join(", "));
        Ok(ToolOutput { text, result, ..ToolOutput::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(choice: &Value) -> Option<OpenTool> {
        let function = |name: &str| json!({"type": "function", "name": name, "defer_loading": true});
        let body = json!({"model": "m", "input": "Hi", "generation_config": {"tool_choice": choice},
            "tools": [{"type": "tool_search"}, function("one"), function("two")]});
        open(&CreateInteraction::read(body).unwrap()).unwrap()
    }

    #[test]
    fn only_what_may_be_called_can_be_loaded() {
        let told = |choice: Value| opened(&choice).and_then(|tool| tool.declaration.description).unwrap_or_default();
        let all = told(json!("auto"));
        assert!(all.contains("- one") && all.contains("- two"), "{all}");
        let one = told(json!({"allowed_tools": {"tools": ["one"]}}));
        assert!(one.contains("- one") && !one.contains("- two"), "{one}");
        assert!(opened(&json!("none")).is_none());
    }
}
