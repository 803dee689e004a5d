//! `tool_search`: the functions that a request defers, by their names.
//!
//! The model knows a line about each and loads those that it wants, so that a large set
//! costs no more than its list.

use std::sync::Arc;

use antiphon_engine::{OpenTool, ServerFunction, ToolCall, ToolError, ToolOutput, loaded_text};
use antiphon_wire::{Error, Function, ServerTool, Tool};
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::declaration;

/// Of a description that has no short form.
const MOST_LINE_BYTES: usize = 120;

struct Functions(Vec<Function>);

pub(crate) fn open(tools: &[Tool]) -> Result<OpenTool, Error> {
    let deferred: Vec<Function> =
        tools.iter().filter_map(Tool::function).filter(|function| function.defer_loading).cloned().collect();
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
    Ok(OpenTool {
        kind: ServerTool::ToolSearch,
        name: None,
        server_name: None,
        declaration: declaration("tool_search", &description, parameters)?,
        reads: true,
        run: Arc::new(Functions(deferred)),
    })
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
        let text = loaded_text(found.iter().map(|function| function.name.as_str()));
        Ok(ToolOutput { text, result, ..ToolOutput::default() })
    }
}
