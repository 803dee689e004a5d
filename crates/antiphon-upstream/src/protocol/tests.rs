//! Requests as exact JSON, and signatures that come and go back, for every protocol.

use antiphon_engine::{
    Call as FunctionCall, CallResult, Calls, Media, MediaKind, Message, ModelEvent, ModelTurn, Part, Said, Schema,
    Signature, Thought, Tool,
};
use antiphon_wire::{GenerationConfig, ThinkingLevel};
use pretty_assertions::assert_eq;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::anthropic::Anthropic;
use crate::chat::Chat;
use crate::gemini::Gemini;
use crate::interactions::Interactions;
use crate::options::Flavor;
use crate::responses::Responses;

fn protocols() -> Vec<Box<dyn Protocol>> {
    vec![
        Box::new(Chat::new(Flavor::OpenAi)),
        Box::new(Chat::new(Flavor::Vllm)),
        Box::new(Chat::new(Flavor::LlamaServer)),
        Box::new(Responses),
        Box::new(Anthropic),
        Box::new(Gemini),
        Box::new(Interactions),
    ]
}

fn request(messages: Vec<Message>) -> ModelRequest {
    ModelRequest {
        scope: "project-1".to_owned(),
        system_instruction: Some("Be brief.".to_owned()),
        tools: Vec::new(),
        calls: Calls::None,
        is_agent: false,
        research: None,
        answer: None,
        grammar: None,
        picture: Default::default(),
        thinking: None,
        messages,
        generation: GenerationConfig::default(),
        max_output_tokens: 64,
        seed: 9,
        resume: None,
    }
}

fn body(protocol: &dyn Protocol, request: &ModelRequest) -> Value {
    protocol.request(&Call { request, model: "m", thinking: true, draws: false }).unwrap().body
}

fn call(city: &str) -> Said {
    let arguments = json!({"city": city}).as_object().unwrap().clone();
    Said::Call(FunctionCall { id: format!("call.{city}"), name: "get_weather".to_owned(), arguments })
}

fn result(city: &str, is_error: bool) -> Message {
    Message::Result(CallResult {
        call_id: format!("call.{city}"),
        name: "get_weather".to_owned(),
        text: "22".to_owned(),
        is_error,
    })
}

/// A conversation with everything that every protocol carries.
fn conversation() -> Vec<Message> {
    let image = Media::new(MediaKind::Image, "image/png", "aGk=".into());
    vec![
        Message::User(vec![Part::Text("Where?".to_owned()), Part::Media(image)]),
        Message::Model(ModelTurn {
            said: vec![Said::Text("Let me see.".to_owned()), call("Oslo"), call("Rome")],
            trace: None,
        }),
        result("Oslo", false),
        result("Rome", true),
    ]
}

fn rich() -> ModelRequest {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let tool = Tool {
        name: "get_weather".to_owned(),
        description: Some("Says it.".to_owned()),
        parameters: Schema::read(schema.clone()).unwrap(),
    };
    ModelRequest {
        tools: vec![tool],
        calls: Calls::Allowed,
        answer: Some(Schema::read(schema).unwrap()),
        generation: GenerationConfig {
            temperature: Some(0.5),
            top_p: Some(0.9),
            stop_sequences: ["a", "b", "c", "d", "e", "f"].map(str::to_owned).into(),
            thinking_level: Some(ThinkingLevel::Low),
            ..GenerationConfig::default()
        },
        ..request(conversation())
    }
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string"}}})
}

#[test]
fn chat_completions_get_everything() {
    let request = ModelRequest { generation: GenerationConfig { seed: Some(7), ..rich().generation }, ..rich() };
    let call = |city: &str| {
        json!({"id": format!("call.{city}"), "type": "function",
            "function": {"name": "get_weather", "arguments": format!("{{\"city\":\"{city}\"}}")}})
    };
    assert_eq!(
        body(&Chat::new(Flavor::OpenAi), &request),
        json!({
            "model": "m",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Where?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]},
                {"role": "assistant", "content": "Let me see.", "tool_calls": [call("Oslo"), call("Rome")]},
                {"role": "tool", "tool_call_id": "call.Oslo", "content": "22"},
                {"role": "tool", "tool_call_id": "call.Rome", "content": "Error: 22"},
            ],
            "tools": [{"type": "function",
                "function": {"name": "get_weather", "description": "Says it.", "parameters": schema()}}],
            "tool_choice": "auto",
            "response_format": {"type": "json_schema",
                "json_schema": {"name": "answer", "strict": false, "schema": schema()}},
            "max_completion_tokens": 64,
            "temperature": 0.5, "top_p": 0.9, "seed": 7, "stop": ["a", "b", "c", "d"],
            "reasoning_effort": "low",
            "stream": true, "stream_options": {"include_usage": true},
        })
    );
    let vllm = body(&Chat::new(Flavor::Vllm), &request);
    assert_eq!(vllm["max_tokens"], 64);
    assert_eq!(vllm["stop"], json!(["a", "b", "c", "d", "e", "f"]));
    assert_eq!(vllm["response_format"]["json_schema"]["strict"], true);
    let quiet = ModelRequest { thinking: Some(false), ..request };
    assert_eq!(body(&Chat::new(Flavor::Vllm), &quiet)["chat_template_kwargs"], json!({"enable_thinking": false}));
}

#[test]
fn openai_enforces_only_schemas_that_leave_nothing_open() {
    let narrow = |value: Value| crate::chat::is_narrow(&value);
    assert!(narrow(json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
        "additionalProperties": false})));
    assert!(!narrow(json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]})));
    assert!(!narrow(json!({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"],
        "additionalProperties": false})));
    assert!(!narrow(json!({"type": "array", "items": {"type": "object", "properties": {"a": {}}}})));
}

#[test]
fn responses_get_everything() {
    let call = |city: &str| {
        json!({"type": "function_call", "call_id": format!("call.{city}"), "name": "get_weather",
            "arguments": format!("{{\"city\":\"{city}\"}}")})
    };
    assert_eq!(
        body(&Responses, &rich()),
        json!({
            "model": "m",
            "instructions": "Be brief.",
            "tools": [{"type": "function", "name": "get_weather", "description": "Says it.", "parameters": schema(),
                "strict": false}],
            "tool_choice": "auto",
            "input": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Where?"},
                    {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "auto"}]},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]},
                call("Oslo"), call("Rome"),
                {"type": "function_call_output", "call_id": "call.Oslo", "output": "22"},
                {"type": "function_call_output", "call_id": "call.Rome", "output": "Error: 22"},
            ],
            "text": {"format": {"type": "json_schema", "name": "answer", "strict": false, "schema": schema()}},
            "max_output_tokens": 64, "temperature": 0.5, "top_p": 0.9,
            "reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"],
            "store": false, "stream": true,
        })
    );
}

#[test]
fn anthropic_gets_everything_in_turns_of_two_roles() {
    let call = |city: &str| json!({"type": "tool_use", "id": format!("call-2e-{city}"), "name": "get_weather", "input": {"city": city}});
    assert_eq!(
        body(&Anthropic, &rich()),
        json!({
            "model": "m",
            "max_tokens": 64,
            "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            "tools": [{"name": "get_weather", "description": "Says it.", "input_schema": schema()}],
            "tool_choice": {"type": "auto"},
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Where?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}]},
                {"role": "assistant", "content": [{"type": "text", "text": "Let me see."}, call("Oslo"), call("Rome")]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "call-2e-Oslo", "content": "22"},
                    {"type": "tool_result", "tool_use_id": "call-2e-Rome", "content": "22", "is_error": true,
                        "cache_control": {"type": "ephemeral"}},
                ]},
            ],
            "output_config": {"format": {"type": "json_schema", "schema": schema()}},
            "temperature": 0.5, "top_p": 0.9, "stop_sequences": ["a", "b", "c", "d", "e", "f"],
            "stream": true,
        })
    );
    // Thinking takes no temperature and a share of the limit.
    let mut thinks = ModelRequest { max_output_tokens: 10_000, ..rich() };
    thinks.generation = GenerationConfig { thinking_level: Some(ThinkingLevel::High), ..GenerationConfig::default() };
    assert_eq!(body(&Anthropic, &thinks)["thinking"], json!({"type": "enabled", "budget_tokens": 5000}));
    thinks.calls = Calls::Required;
    assert_eq!(body(&Anthropic, &thinks).get("thinking"), None);
}

#[test]
fn gemini_gets_everything() {
    let call = |city: &str| json!({"functionCall": {"name": "get_weather", "args": {"city": city}}});
    let mut first = call("Oslo");
    first["thoughtSignature"] = json!("skip_thought_signature_validator");
    assert_eq!(
        body(&Gemini, &rich()),
        json!({
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "tools": [{"functionDeclarations": [{"name": "get_weather", "description": "Says it.",
                "parametersJsonSchema": schema()}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
            "contents": [
                {"role": "user", "parts": [{"text": "Where?"},
                    {"inlineData": {"mimeType": "image/png", "data": "aGk="}}]},
                {"role": "model", "parts": [{"text": "Let me see."}, first, call("Rome")]},
                {"role": "user", "parts": [
                    {"functionResponse": {"name": "get_weather", "response": {"output": "22"}}},
                    {"functionResponse": {"name": "get_weather", "response": {"error": "22"}}},
                ]},
            ],
            "generationConfig": {"temperature": 0.5, "topP": 0.9, "maxOutputTokens": 64,
                "stopSequences": ["a", "b", "c", "d", "e"],
                "responseMimeType": "application/json", "responseJsonSchema": schema(),
                "thinkingConfig": {"thinkingLevel": "low"}},
        })
    );
}

#[test]
fn interactions_get_everything() {
    let call = |city: &str| {
        json!({"type": "function_call", "id": format!("call.{city}"), "name": "get_weather",
            "arguments": {"city": city}})
    };
    assert_eq!(
        body(&Interactions, &rich()),
        json!({
            "model": "m",
            "system_instruction": "Be brief.",
            "tools": [{"type": "function", "name": "get_weather", "description": "Says it.", "parameters": schema()}],
            "input": [
                {"type": "user_input", "content": [{"type": "text", "text": "Where?"},
                    {"type": "image", "data": "aGk=", "mime_type": "image/png"}]},
                {"type": "model_output", "content": [{"type": "text", "text": "Let me see."}]},
                call("Oslo"), call("Rome"),
                {"type": "function_result", "call_id": "call.Oslo", "name": "get_weather", "result": "22"},
                {"type": "function_result", "call_id": "call.Rome", "name": "get_weather", "result": "22",
                    "is_error": true},
            ],
            "response_format": {"type": "text", "mime_type": "application/json", "schema": schema()},
            "generation_config": {"temperature": 0.5, "top_p": 0.9, "max_output_tokens": 64,
                "stop_sequences": ["a", "b", "c", "d", "e", "f"], "thinking_level": "low", "tool_choice": "auto"},
            "store": false, "stream": true,
        })
    );
}

#[test]
fn what_a_service_has_not_is_refused_by_its_path() {
    let with = |generation: GenerationConfig| ModelRequest { generation, ..request(vec![Message::user("Hi")]) };
    let seed = |seed| with(GenerationConfig { seed: Some(seed), ..GenerationConfig::default() });
    let hot = with(GenerationConfig { temperature: Some(1.5), ..GenerationConfig::default() });
    let short = ModelRequest { max_output_tokens: 4, ..request(vec![Message::user("Hi")]) };
    let video = Media::new(MediaKind::Video, "video/mp4", "aGk=".into());
    let video = request(vec![Message::User(vec![Part::Media(video)])]);
    let rows: [(&dyn Protocol, ModelRequest, &str); 8] = [
        (&Responses, seed(1), "generation_config.seed"),
        (&Anthropic, seed(1), "generation_config.seed"),
        (&Gemini, seed(1 << 40), "generation_config.seed"),
        (&Anthropic, hot, "generation_config.temperature"),
        (&Responses, short, "generation_config.max_output_tokens"),
        (&Responses, video.clone(), "input"),
        (&Anthropic, video.clone(), "input"),
        (&Chat::new(Flavor::OpenAi), video, "input"),
    ];
    for (protocol, request, path) in rows {
        let refused =
            protocol.request(&Call { request: &request, model: "m", thinking: true, draws: false }).unwrap_err();
        assert!(refused.to_string().starts_with(&format!("`{path}`: ")), "{refused}");
    }
}

#[test]
fn one_message_more_extends_the_bytes_of_the_conversation() {
    for protocol in protocols() {
        let written = |messages: Vec<Message>| body(&*protocol, &request(messages)).to_string();
        let short = written(conversation());
        let mut longer = conversation();
        longer.extend([Message::Model(ModelTurn::text("It is warm.")), Message::user("And then?")]);
        let long = written(longer);
        // Everything up to the end of the first conversation; a mark for the cache moves on.
        let marked = ",\"cache_control\":{\"type\":\"ephemeral\"}";
        let end = short.rfind("22").unwrap();
        assert_eq!(short[..end].replace(marked, ""), long[..long.rfind("22").unwrap()].replace(marked, ""));
        assert_eq!(short, written(conversation()));
    }
}

/// What a model said, as the engine keeps it.
fn heard(protocol: &dyn Protocol, events: &[Value]) -> Vec<Said> {
    let request = request(vec![Message::user("Hi")]);
    let mut reader = protocol.reader(&Call { request: &request, model: "m", thinking: true, draws: false });
    let mut said = Vec::new();
    for event in events {
        reader.read(&event.to_string(), &mut said).unwrap();
    }
    reader.end(&mut said).unwrap();
    let (mut heard, mut thought, mut calls) = (Vec::new(), Thought::default(), 0);
    for event in said {
        match event {
            ModelEvent::Thought { text, .. } => thought.text.push_str(&text),
            ModelEvent::Signed(signature) => {
                thought.signature = Some(signature);
                heard.push(Said::Thought(std::mem::take(&mut thought)));
            }
            ModelEvent::Text { text, .. } => heard.push(Said::Text(text)),
            ModelEvent::CallStarted { name, .. } => {
                calls += 1;
                heard.push(Said::Call(FunctionCall { id: format!("c{calls}"), name, ..call_of(&json!({})) }));
            }
            ModelEvent::CallArguments { text, .. } => {
                let Some(Said::Call(call)) = heard.last_mut() else { panic!("{heard:?}") };
                call.arguments = serde_json::from_str(&text).unwrap();
            }
            ModelEvent::Started { .. }
            | ModelEvent::Counted { .. }
            | ModelEvent::ServedBy { .. }
            | ModelEvent::Picture(_)
            | ModelEvent::Finished { .. } => {}
        }
    }
    heard
}

fn call_of(arguments: &Value) -> FunctionCall {
    let arguments = arguments.as_object().unwrap().clone();
    FunctionCall { id: String::new(), name: String::new(), arguments }
}

/// The body of the next request, after what was heard.
fn replayed(protocol: &dyn Protocol, said: Vec<Said>) -> Value {
    let messages = vec![
        Message::user("Hi"),
        Message::Model(ModelTurn { said, trace: None }),
        Message::Result(CallResult {
            call_id: "c1".to_owned(),
            name: "f".to_owned(),
            text: "ok".to_owned(),
            is_error: false,
        }),
    ];
    body(protocol, &request(messages))
}

#[test]
fn what_anthropic_signed_goes_back_as_it_came() {
    let block = |index: u64, start: Value, deltas: Value| {
        let mut events = vec![json!({"type": "content_block_start", "index": index, "content_block": start})];
        let deltas = deltas.as_array().unwrap().clone();
        events.extend(deltas.into_iter().map(|d| json!({"type": "content_block_delta", "index": index, "delta": d})));
        events.push(json!({"type": "content_block_stop", "index": index}));
        events
    };
    let mut events = vec![json!({"type": "message_start", "message": {"usage": {"input_tokens": 1}}})];
    events.extend(block(
        0,
        json!({"type": "thinking", "thinking": "", "signature": ""}),
        json!([{"type": "thinking_delta", "thinking": " A\n"}, {"type": "thinking_delta", "thinking": "B "},
            {"type": "signature_delta", "signature": "Eq/"}, {"type": "signature_delta", "signature": "+=="}]),
    ));
    events.extend(block(1, json!({"type": "redacted_thinking", "data": "cmVk"}), json!([])));
    events.extend(block(
        2,
        json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}),
        json!([{"type": "input_json_delta", "partial_json": "{\"a\": 1}"}]),
    ));
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}}));
    events.push(json!({"type": "message_stop"}));
    let said = heard(&Anthropic, &events);
    assert_eq!(
        replayed(&Anthropic, said.clone())["messages"][1]["content"],
        json!([
            {"type": "thinking", "thinking": " A\nB ", "signature": "Eq/+=="},
            {"type": "redacted_thinking", "data": "cmVk"},
            {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
        ])
    );
    // Elsewhere it means nothing.
    let elsewhere = body_text(&Gemini, &said) + &body_text(&Responses, &said) + &body_text(&Interactions, &said);
    assert!(!elsewhere.contains("Eq/") && !elsewhere.contains("cmVk"), "{elsewhere}");
}

fn body_text(protocol: &dyn Protocol, said: &[Said]) -> String {
    replayed(protocol, said.to_vec()).to_string()
}

#[test]
fn what_gemini_signed_goes_back_on_the_part_it_was_on() {
    let part = |part: Value| json!({"candidates": [{"content": {"parts": [part]}}]});
    let events = [
        part(json!({"text": "Hm.", "thought": true})),
        part(json!({"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "Cp/+=="})),
        part(json!({"functionCall": {"name": "g", "args": {}}})),
        json!({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 1}}),
    ];
    assert_eq!(
        replayed(&Gemini, heard(&Gemini, &events))["contents"][1]["parts"],
        json!([
            {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "Cp/+=="},
            {"functionCall": {"name": "g", "args": {}}},
        ])
    );
}

#[test]
fn what_responses_encrypted_goes_back_as_the_item_it_was() {
    let item = json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}],
        "encrypted_content": "gAAA/+=="});
    let events = [
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "rs_1"}}),
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "Hm."}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.output_item.added", "output_index": 1,
            "item": {"type": "function_call", "id": "fc_1", "call_id": "x", "name": "f", "arguments": ""}}),
        json!({"type": "response.output_item.done", "output_index": 1,
            "item": {"type": "function_call", "id": "fc_1", "call_id": "x", "name": "f", "arguments": "{\"a\": 1}"}}),
        json!({"type": "response.completed", "response": {"status": "completed", "usage": {"input_tokens": 1}}}),
    ];
    let input = replayed(&Responses, heard(&Responses, &events))["input"].clone();
    assert_eq!(input[1], item);
    assert_eq!(input[2]["arguments"], "{\"a\":1}");
}

#[test]
fn what_google_signed_goes_back_to_google_whoever_kept_it() {
    let events = [
        json!({"event_type": "interaction.created", "interaction": {"id": "v1_a", "status": "in_progress"}}),
        json!({"event_type": "step.start", "index": 0, "step": {"type": "thought"}}),
        json!({"event_type": "step.delta", "index": 0, "delta": {"type": "thought_signature", "signature": "EvEF/+=="}}),
        json!({"event_type": "step.stop", "index": 0}),
        json!({"event_type": "step.start", "index": 1,
            "step": {"type": "function_call", "id": "x", "name": "f", "arguments": {"a": 1}, "signature": "Cs/"}}),
        json!({"event_type": "step.stop", "index": 1}),
        json!({"event_type": "interaction.completed", "interaction": {"id": "v1_a", "status": "requires_action",
            "usage": {"total_input_tokens": 1}}}),
    ];
    let said = heard(&Interactions, &events);
    let signature = Signature { origin: None, value: "EvEF/+==".to_owned() };
    assert_eq!(said[0], Said::Thought(Thought { text: String::new(), signature: Some(signature) }));
    let input = replayed(&Interactions, said.clone())["input"].clone();
    assert_eq!(input[1], json!({"type": "thought", "signature": "EvEF/+=="}));
    let call = json!({"type": "function_call", "id": "c1", "name": "f", "arguments": {"a": 1}, "signature": "Cs/"});
    assert_eq!(input[2], call);
    let parts = replayed(&Gemini, said)["contents"][1]["parts"].clone();
    assert_eq!(parts[0]["thoughtSignature"], "EvEF/+==");
}

#[test]
fn what_a_service_will_not_say_has_its_code() {
    let rows: [(&dyn Protocol, Value, &str); 6] = [
        (&Gemini, json!({"candidates": [{"finishReason": "SAFETY"}]}), "safety"),
        (&Gemini, json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}), "prohibited_content"),
        (&Gemini, json!({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}), "malformed_function_call"),
        (&Anthropic, json!({"type": "message_delta", "delta": {"stop_reason": "refusal"}}), "content_blocked"),
        (
            &Chat::new(Flavor::OpenAi),
            json!({"choices": [{"delta": {}, "finish_reason": "content_filter"}]}),
            "content_blocked",
        ),
        (
            &Responses,
            json!({"type": "response.incomplete", "response": {"status": "incomplete",
                "incomplete_details": {"reason": "content_filter"}}}),
            "content_blocked",
        ),
    ];
    for (protocol, event, code) in rows {
        let request = request(vec![Message::user("Hi")]);
        let mut reader = protocol.reader(&Call { request: &request, model: "m", thinking: true, draws: false });
        let mut events = Vec::new();
        let problem = reader.read(&event.to_string(), &mut events).and_then(|()| reader.end(&mut events)).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Blocked(code), "{event}");
        assert!(!problem.is_passing());
    }
}

#[test]
fn errors_of_every_shape_are_read_and_their_cause_told_apart() {
    for (status, body, kind, detail) in [
        (400, r#"{"error": {"message": "bad"}}"#, ProblemKind::BadRequest, "400: bad"),
        (400, r#"{"error": "This model's maximum context length is 8"}"#, ProblemKind::TooLong, "maximum"),
        (429, r#"[{"error": {"message": "quota"}}]"#, ProblemKind::RateLimited, "429: quota"),
        (503, "upstream connect error", ProblemKind::Unavailable, "503: upstream connect error"),
        (401, r#"{"message": "no key"}"#, ProblemKind::Misconfigured, "401: no key"),
        (
            529,
            r#"{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}"#,
            ProblemKind::Unavailable,
            "Overloaded",
        ),
    ] {
        let problem = Problem::of_status(status, body);
        assert_eq!(problem.kind, kind, "{body}");
        assert!(problem.detail.contains(detail), "{}", problem.detail);
    }
    assert!(Problem::of_status(500, &"x".repeat(100_000)).detail.len() < 600);
}

/// Pieces of what services say, in any order and any wrongness.
fn fragment() -> impl Strategy<Value = String> {
    let words = prop_oneof![
        Just("type"),
        Just("event_type"),
        Just("delta"),
        Just("choices"),
        Just("index"),
        Just("item"),
        Just("candidates"),
        Just("content"),
        Just("parts"),
        Just("tool_calls"),
        Just("function"),
        Just("arguments"),
        Just("step"),
        Just("step.start"),
        Just("step.delta"),
        Just("message_start"),
        Just("content_block_start"),
        Just("content_block"),
        Just("tool_use"),
        Just("thinking"),
        Just("text"),
        Just("usage"),
        Just("name"),
        Just("response.output_item.added"),
        Just("response.output_item.done"),
        Just("output_index"),
        Just("functionCall"),
        Just("finish_reason"),
        Just("stop"),
        Just("response"),
        Just("error"),
    ]
    .prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        words.clone().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((words.clone(), inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    });
    prop_oneof![value.prop_map(|value| value.to_string()), Just("[DONE]".to_owned()), ".{0,12}".prop_map(|text| text)]
}

proptest! {
    #[test]
    fn nothing_that_a_service_says_breaks_a_reader(said in proptest::collection::vec(fragment(), 0..12)) {
        for protocol in protocols() {
            let request = request(vec![Message::user("Hi")]);
            let mut reader = protocol.reader(&Call { request: &request, model: "m", thinking: true, draws: false });
            let mut events = Vec::new();
            let read = said.iter().try_for_each(|data| reader.read(data, &mut events));
            let ended = read.and_then(|()| reader.end(&mut events));
            let ends = events.iter().filter(|event| matches!(event, ModelEvent::Finished { .. })).count();
            prop_assert_eq!(ends, usize::from(ended.is_ok()));
        }
    }
}
