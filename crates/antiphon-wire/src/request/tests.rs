use pretty_assertions::assert_eq;
use serde_json::json;

use super::*;
use crate::content::Content;
use crate::error::Code;

fn body(path: &str, sample: Value) -> Value {
    let mut body = json!({ "model": "gemini-3.5-flash", "input": "hi" });
    let top = path.split(['.', '[']).next().unwrap();
    if top == "agent" {
        body.as_object_mut().unwrap().remove("model");
    }
    match path.strip_prefix("generation_config.") {
        Some(name) => body["generation_config"] = json!({ name: sample }),
        None => body[top] = sample,
    }
    body
}

#[test]
fn every_field_is_honoured_or_refused_by_its_path() {
    for field in REQUEST_FIELDS {
        let sample: Value = serde_json::from_str(field.sample).unwrap();
        let read = CreateInteraction::read(body(field.path, sample));
        match field.treatment {
            Treatment::Honoured => assert!(read.is_ok(), "{}: {read:?}", field.path),
            Treatment::Refused => {
                let error = read.unwrap_err();
                assert!(error.message.starts_with(&format!("`{}`", field.path)), "{}: {error}", field.path);
            }
        }
    }
}

#[test]
fn honoured_values_arrive() {
    let request = CreateInteraction::read(json!({
        "model": "models/gemini-3.5-flash", "input": "hi", "system_instruction": "brief", "stream": true,
        "previous_interaction_id": "v1_abc", "service_tier": "flex", "labels": {"team": "a"}, "background": true,
        "generation_config": {"temperature": 0.5, "top_p": 0.9, "max_output_tokens": "16", "seed": 7,
            "stop_sequences": ["END"], "thinking_level": "low", "thinking_summaries": "auto"},
    }))
    .unwrap();
    assert_eq!(
        serde_json::to_value(&request).unwrap(),
        json!({
            "model": "models/gemini-3.5-flash",
            "input": [{"type": "user_input", "content": [{"type": "text", "text": "hi"}]}],
            "system_instruction": "brief",
            "generation_config": {"temperature": 0.5, "top_p": 0.9, "max_output_tokens": 16, "seed": 7,
                "stop_sequences": ["END"], "thinking_level": "low", "thinking_summaries": "auto"},
            "previous_interaction_id": "v1_abc", "store": true, "background": true, "stream": true,
            "service_tier": "flex", "labels": {"team": "a"},
        })
    );
    assert_eq!(serde_json::from_value::<CreateInteraction>(serde_json::to_value(&request).unwrap()).unwrap(), request);
}

#[test]
fn every_form_of_input_becomes_steps() {
    let user = |texts: &[&str]| Step::user(texts.iter().map(|text| Content::text(*text)).collect());
    let rows = [
        (json!("hi"), vec![user(&["hi"])]),
        (json!({"type": "text", "text": "hi"}), vec![user(&["hi"])]),
        (json!({"text": "hi"}), vec![user(&["hi"])]),
        (json!([{"text": "a"}, "b"]), vec![user(&["a", "b"])]),
        (json!({"type": "user_input", "content": "hi"}), vec![user(&["hi"])]),
        (
            json!([{"role": "user", "content": "a"}, {"role": "model", "content": [{"text": "b"}]}, "c"]),
            vec![user(&["a"]), Step::model_output("b"), user(&["c"])],
        ),
        (
            json!([{"type": "text", "text": "a"}, {"type": "user_input", "content": {"type": "text", "text": "b"}}, "c"]),
            vec![user(&["a"]), user(&["b"]), user(&["c"])],
        ),
    ];
    for (input, steps) in rows {
        let request = CreateInteraction::read(json!({"model": "m", "input": input.clone()})).unwrap();
        assert_eq!(request.input, steps, "{input}");
    }
}

#[test]
fn replayed_steps_keep_keys_this_server_does_not_know() {
    let steps = json!([
        {"type": "user_input", "content": [{"type": "text", "text": "a"}], "id": "s1"},
        {"type": "thought", "signature": "EvEF", "future": {"a": 1}},
        {"type": "model_output", "content": [{"type": "text", "text": "b"}], "note": true},
        {"type": "user_input", "content": [{"type": "text", "text": "c"}]},
    ]);
    let request = CreateInteraction::read(json!({"model": "m", "input": steps})).unwrap();
    assert_eq!(serde_json::to_value(&request.input).unwrap(), steps, "unchanged");
}

#[test]
fn every_form_of_an_answers_format_is_understood() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let bare = json!({"anyOf": [{"type": "string"}, {"type": "null"}]});
    let any = json!({"type": ["object", "array"]});
    let tagged = json!({"type": "text", "mime_type": "application/json", "schema": schema});
    let rows = [
        (json!({"response_format": tagged}), Some(("response_format.schema", &schema))),
        (json!({"response_format": [tagged]}), Some(("response_format[0].schema", &schema))),
        (json!({"response_format": {"type": "text", "schema": schema}}), Some(("response_format.schema", &schema))),
        (json!({"response_format": schema}), Some(("response_format", &schema))),
        (
            json!({"response_format": schema, "response_mime_type": "application/json"}),
            Some(("response_format", &schema)),
        ),
        (json!({"response_format": bare}), Some(("response_format", &bare))),
        (json!({"response_format": {"type": "text", "anyOf": bare["anyOf"]}}), Some(("response_format", &bare))),
        (
            json!({"response_format": {"type": "text", "mime_type": "application/json"}}),
            Some(("response_format", &any)),
        ),
        (json!({"response_mime_type": "application/json"}), Some(("response_format", &any))),
        (json!({"response_format": {"type": "text"}}), None),
        (json!({"response_format": {"type": "text", "mime_type": "text/plain"}}), None),
        (json!({}), None),
    ];
    for (mut body, expected) in rows {
        body["model"] = json!("m");
        body["input"] = json!("x");
        let request = CreateInteraction::read(body.clone()).unwrap();
        let found = request.answer_schema.as_ref().map(|answer| (answer.path.as_str(), &answer.schema));
        assert_eq!(found, expected, "{body}");
    }
}

#[test]
fn calls_and_every_form_of_result_survive_as_they_came() {
    let steps = json!([
        {"type": "user_input", "content": [{"type": "text", "text": "a"}]},
        {"type": "function_call", "id": "c1", "name": "f", "arguments": {"x": 1}, "signature": "EvEF"},
        {"type": "function_call", "id": "c2", "name": "f", "arguments": {}},
        {"type": "function_call", "id": "c3", "name": "f", "arguments": {}},
        {"type": "function_result", "call_id": "c1", "result": "text"},
        {"type": "function_result", "call_id": "c2", "name": "f", "result": [{"type": "text", "text": "b"}]},
        {"type": "function_result", "call_id": "c3", "result": {"temperature": 23}, "is_error": true},
    ]);
    let request = CreateInteraction::read(json!({"model": "m", "input": steps})).unwrap();
    assert_eq!(serde_json::to_value(&request.input).unwrap(), steps);
    assert!(!request.input.iter().any(|step| matches!(step, Step::Other(_))));
}

#[test]
fn nulls_are_absent() {
    let plain = CreateInteraction::read(json!({"model": "m", "input": "hi"})).unwrap();
    let nulls = CreateInteraction::read(json!({
        "model": "m", "input": "hi", "agent": null, "previous_interaction_id": null, "tools": null, "stream": null,
        "generation_config": null, "anything": null,
    }))
    .unwrap();
    assert_eq!(plain, nulls);
}

#[test]
fn what_cannot_be_honoured_is_refused_with_its_path() {
    let rows = [
        (json!([]), Code::InvalidRequest, "`body`: expected an object, got a list of 0 items"),
        (json!({"input": "hi"}), Code::InvalidRequest, "`model`: expected `model` or `agent`, got neither"),
        (
            json!({"model": "m", "agent": "a", "input": "hi"}),
            Code::InvalidRequest,
            "`agent`: expected either `model` or `agent`, got both",
        ),
        (json!({"model": 5, "input": "hi"}), Code::InvalidRequest, "`model`: expected a string, got 5"),
        (
            json!({"model": "m"}),
            Code::InvalidRequest,
            "`input`: expected a string, a content part, a step, or a list of them; nothing came",
        ),
        (
            json!({"model": "m", "input": ""}),
            Code::InvalidRequest,
            "`input`: expected at least one content part, got an empty input",
        ),
        (
            json!({"model": "m", "input": []}),
            Code::InvalidRequest,
            "`input`: expected at least one content part, got an empty input",
        ),
        (
            json!({"model": "m", "input": [{"type": "model_output", "content": "x"}]}),
            Code::InvalidRequest,
            "`input[0]`: the last step must be a `user_input` or a `function_result` for the model to answer",
        ),
        (
            json!({"model": "m", "input": "x", "store": false, "background": true}),
            Code::InvalidRequest,
            "`background`: a background interaction must be stored, but `store` is false",
        ),
        (
            json!({"model": "m", "input": "x", "previous_interaction_id": "abc"}),
            Code::InvalidRequest,
            "`previous_interaction_id`: expected `v1_` and 1 to 200 URL-safe characters, got `abc`",
        ),
        (
            json!({"model": "m", "input": "x", "generation_config": {"temperature": 3}}),
            Code::InvalidRequest,
            "`generation_config.temperature`: expected a number from 0 to 2, got 3",
        ),
        (
            json!({"model": "m", "input": "x", "generation_config": {"topp": 1}}),
            Code::ParameterUnknown,
            "`generation_config.topp`: unknown parameter",
        ),
        (
            json!({"model": "m", "input": [{"type": "text", "text": "x", "colour": 1}]}),
            Code::ParameterUnknown,
            "`input[0].colour`: unknown parameter",
        ),
        (
            json!({"model": "m", "input": [{"type": "dream"}]}),
            Code::InvalidRequest,
            "`input[0].type`: unknown type `dream`; supported: user_input, model_output, thought, function_call, function_result, processing_call, processing_result, google_search_call, google_search_result, url_context_call, url_context_result, code_execution_call, code_execution_result, file_search_call, file_search_result, mcp_server_tool_call, mcp_server_tool_result, tool_search_call, tool_search_result, text",
        ),
        (
            json!({"model": "m", "input": [{"type": "function_result", "call_id": "c", "result": 5}]}),
            Code::InvalidRequest,
            "`input[0].result`: expected a string, a list of content parts or an object, got 5",
        ),
        (
            json!({"model": "m", "input": [{"type": "function_result", "result": "x"}]}),
            Code::InvalidRequest,
            "`input[0].call_id`: expected a string that is not empty",
        ),
        (
            json!({"model": "m", "input": "x", "tools": [{"type": "function", "name": "a b"}]}),
            Code::InvalidRequest,
            "`tools[0].name`: expected 1 to 128 letters, digits, `_`, `.`, `:` and `-` that start with a letter or `_`, got `a b`",
        ),
        (
            json!({"model": "m", "input": "x", "tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "f"}]}),
            Code::InvalidRequest,
            "`tools[1].name`: two functions are called `f`",
        ),
        (
            json!({"model": "m", "input": "x", "tools": [{"type": "function", "name": "f", "parameters": [1]}]}),
            Code::InvalidRequest,
            "`tools[0].parameters`: expected a JSON Schema of an object, got a list of 1 items",
        ),
        (
            json!({"model": "m", "input": "x", "generation_config": {"tool_choice": "must"}}),
            Code::InvalidRequest,
            "`generation_config.tool_choice`: expected `auto`, `any`, `none`, `validated`, or an object with `allowed_tools`, got \"must\"",
        ),
        (
            json!({"model": "m", "input": "x", "response_format": {"type": "text", "mime_type": "text/plain", "schema": {}}}),
            Code::InvalidRequest,
            "`response_format.schema`: a schema needs the MIME type `application/json`",
        ),
        (
            json!({"model": "m", "input": "x", "response_format": [{"type": "text"}, {"type": "text"}]}),
            Code::InvalidRequest,
            "`response_format[1]`: the answer's text has one format only, a second came",
        ),
        (
            json!({"model": "m", "input": "x", "response_format": {"type": "object"}, "response_mime_type": "text/plain"}),
            Code::InvalidRequest,
            "`response_mime_type`: `text/plain` contradicts the rest of the answer's format",
        ),
        (
            json!({"model": "m", "input": "x", "response_format": {"type": "text", "schema": true}}),
            Code::InvalidRequest,
            "`response_format.schema`: expected a JSON Schema object, got true",
        ),
        (
            json!({"model": "m", "input": "x", "labels": {"Team": "a"}}),
            Code::InvalidRequest,
            "`labels.Team`: expected a key of at most 63 lower-case letters, digits, `_` and `-` that starts with a letter",
        ),
    ];
    for (body, code, message) in rows {
        let error = CreateInteraction::read(body.clone()).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (code, message), "{body}");
    }
}
