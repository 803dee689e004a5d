//! What a model looks for, as the tools that search take it.

use antiphon_engine::ToolCall;
use serde_json::{Value, json};

const MOST: usize = 3;

/// The parameters of a function that takes `queries`, which `description` is about.
pub(crate) fn parameters(description: &str) -> Value {
    json!({
        "type": "object",
        "properties": {
            "queries": {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": 200},
                "minItems": 1,
                "maxItems": MOST,
                "description": description,
            },
        },
        "required": ["queries"],
        "additionalProperties": false,
    })
}

/// The queries of a call.
pub(crate) fn of(call: &ToolCall) -> Vec<&str> {
    call.arguments.get("queries").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}
