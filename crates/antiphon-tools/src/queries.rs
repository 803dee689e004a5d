//! What a model looks for, as the tools that search take it.

use std::collections::HashSet;

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

/// The queries of a call, each once.
pub(crate) fn of(call: &ToolCall) -> Vec<&str> {
    let mut seen = HashSet::new();
    let queries = call.arguments.get("queries").and_then(Value::as_array).into_iter().flatten();
    queries.filter_map(Value::as_str).filter(|query| seen.insert(*query)).collect()
}

/// Of what the user has said, as much of the end as a question is long, in bytes.
const LONGEST_QUESTION: usize = 400;

/// For whose sake a call is made: what the user said last.
pub(crate) fn question(call: &ToolCall) -> &str {
    &call.said[call.said.ceil_char_boundary(call.said.len().saturating_sub(LONGEST_QUESTION))..]
}
