//! One suite for all protocols: the same things said in each of them mean the same here.

use antiphon_engine::{
    Backend, BackendError, Calls, FinishReason, Message, ModelEvent, ModelRequest, Prepared, Schema, Tool,
};
use antiphon_upstream::{Capabilities, Flavor, ProtocolKind, SchemaSupport, Timeouts, Upstream, UpstreamOptions};
use antiphon_wire::GenerationConfig;
use futures_util::StreamExt as _;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const PROTOCOLS: [ProtocolKind; 5] = [
    ProtocolKind::Chat(Flavor::Vllm),
    ProtocolKind::Responses,
    ProtocolKind::Anthropic,
    ProtocolKind::Gemini,
    ProtocolKind::Interactions,
];

/// What a model says, in the order in which it does.
#[derive(Clone, Copy)]
enum Says {
    Thought(&'static str),
    Text(&'static str),
    /// The name and the JSON text of the arguments.
    Call(&'static str, &'static str),
}

/// How an answer goes on after what was said.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Ends,
    IsCutShortByItsLimit,
    /// The connection ends without an end of the answer.
    Breaks,
    /// The service says that it is overloaded.
    Fails,
    SaysGarbage,
}

/// The `data` of each event of an answer: 10 tokens read, 4 of them cached, 2 thought, 6 said.
fn spoken(protocol: ProtocolKind, says: &[Says], then: Then) -> Vec<Value> {
    match protocol {
        ProtocolKind::Chat(_) => chat(says, then),
        ProtocolKind::Responses => responses(says, then),
        ProtocolKind::Anthropic => anthropic(says, then),
        ProtocolKind::Gemini => gemini(says, then),
        ProtocolKind::Interactions => interactions(says, then),
        ProtocolKind::Images(_) => panic!("pictures have a suite of their own"),
    }
}

fn called(says: &[Says]) -> bool {
    says.iter().any(|said| matches!(said, Says::Call(..)))
}

fn halves(text: &str) -> [&str; 2] {
    let (first, second) = text.split_at(text.floor_char_boundary(text.len() / 2));
    [first, second]
}

fn chat(says: &[Says], then: Then) -> Vec<Value> {
    let chunk =
        |delta: Value, finish: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let mut events = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    let mut calls = 0;
    for said in says {
        match said {
            Says::Thought(text) => {
                events.extend(halves(text).map(|part| chunk(json!({"reasoning_content": part}), Value::Null)));
            }
            Says::Text(text) => events.extend(halves(text).map(|part| chunk(json!({"content": part}), Value::Null))),
            Says::Call(name, arguments) => {
                let head = json!({"index": calls, "id": format!("c{calls}"), "type": "function",
                    "function": {"name": name, "arguments": ""}});
                events.push(chunk(json!({"tool_calls": [head]}), Value::Null));
                events.extend(halves(arguments).map(|part| {
                    chunk(json!({"tool_calls": [{"index": calls, "function": {"arguments": part}}]}), Value::Null)
                }));
                calls += 1;
            }
        }
    }
    let reason = match then {
        Then::Ends if calls > 0 => "tool_calls",
        Then::Ends => "stop",
        Then::IsCutShortByItsLimit => "length",
        Then::Fails => {
            events.push(json!({"error": {"message": "Overloaded", "code": 503}}));
            return events;
        }
        Then::Breaks | Then::SaysGarbage => return events,
    };
    events.push(chunk(json!({}), json!(reason)));
    events.push(json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 8, "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2}}}));
    events
}

fn responses(says: &[Says], then: Then) -> Vec<Value> {
    let mut events = vec![json!({"type": "response.created", "response": {"id": "r", "status": "in_progress"}})];
    for (at, said) in says.iter().enumerate() {
        let id = format!("i{at}");
        let added = |item: Value| json!({"type": "response.output_item.added", "output_index": at, "item": item});
        let done = |item: Value| json!({"type": "response.output_item.done", "output_index": at, "item": item});
        match said {
            Says::Thought(text) => {
                events.push(added(json!({"type": "reasoning", "id": id, "summary": []})));
                events.extend(halves(text).map(|part| {
                    json!({"type": "response.reasoning_summary_text.delta", "item_id": id, "output_index": at,
                        "summary_index": 0, "delta": part})
                }));
                events.push(done(json!({"type": "reasoning", "id": id, "encrypted_content": "ZW5j",
                    "summary": [{"type": "summary_text", "text": text}]})));
            }
            Says::Text(text) => {
                events.push(added(json!({"type": "message", "id": id, "role": "assistant", "content": []})));
                events.extend(halves(text).map(|part| {
                    json!({"type": "response.output_text.delta", "item_id": id, "output_index": at,
                        "content_index": 0, "delta": part})
                }));
                events.push(done(json!({"type": "message", "id": id, "role": "assistant",
                    "content": [{"type": "output_text", "text": text, "annotations": []}]})));
            }
            Says::Call(name, arguments) => {
                let item = |arguments: &str| {
                    json!({"type": "function_call", "id": id, "call_id": format!("call{at}"), "name": name,
                        "arguments": arguments})
                };
                events.push(added(item("")));
                events.extend(halves(arguments).map(|part| {
                    json!({"type": "response.function_call_arguments.delta", "item_id": id, "output_index": at,
                        "delta": part})
                }));
                events.push(json!({"type": "response.function_call_arguments.done", "item_id": id,
                    "output_index": at, "arguments": arguments}));
                events.push(done(item(arguments)));
            }
        }
    }
    let usage = json!({"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 8,
        "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 18});
    match then {
        Then::Ends => events.push(json!({"type": "response.completed",
            "response": {"id": "r", "status": "completed", "usage": usage}})),
        Then::IsCutShortByItsLimit => events.push(json!({"type": "response.incomplete", "response": {"id": "r",
            "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "usage": usage}})),
        Then::Fails => events.push(json!({"type": "response.failed", "response": {"id": "r", "status": "failed",
            "error": {"code": "server_error", "message": "Overloaded"}}})),
        Then::Breaks | Then::SaysGarbage => {}
    }
    events
}

fn anthropic(says: &[Says], then: Then) -> Vec<Value> {
    let mut events = vec![json!({"type": "message_start", "message": {"id": "m", "type": "message",
        "role": "assistant", "content": [], "usage": {"input_tokens": 6, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 4, "output_tokens": 1}}})];
    for (at, said) in says.iter().enumerate() {
        let start = |block: Value| json!({"type": "content_block_start", "index": at, "content_block": block});
        let delta = |delta: Value| json!({"type": "content_block_delta", "index": at, "delta": delta});
        match said {
            Says::Thought(text) => {
                events.push(start(json!({"type": "thinking", "thinking": "", "signature": ""})));
                let parts = halves(text).map(|part| delta(json!({"type": "thinking_delta", "thinking": part})));
                events.extend(parts);
                events.push(delta(json!({"type": "signature_delta", "signature": "c2ln"})));
            }
            Says::Text(text) => {
                events.push(start(json!({"type": "text", "text": ""})));
                events.extend(halves(text).map(|part| delta(json!({"type": "text_delta", "text": part}))));
            }
            Says::Call(name, arguments) => {
                let id = format!("toolu_{at}");
                events.push(start(json!({"type": "tool_use", "id": id, "name": name, "input": {}})));
                events.extend(
                    halves(arguments).map(|part| delta(json!({"type": "input_json_delta", "partial_json": part}))),
                );
            }
        }
        events.push(json!({"type": "content_block_stop", "index": at}));
    }
    let reason = match then {
        Then::Ends if called(says) => "tool_use",
        Then::Ends => "end_turn",
        Then::IsCutShortByItsLimit => "max_tokens",
        Then::Fails => {
            events.push(json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}));
            return events;
        }
        Then::Breaks | Then::SaysGarbage => return events,
    };
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null},
        "usage": {"output_tokens": 8}}));
    events.push(json!({"type": "message_stop"}));
    events
}

fn gemini(says: &[Says], then: Then) -> Vec<Value> {
    let chunk = |part: Value| json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}}]});
    let mut events = Vec::new();
    for said in says {
        match said {
            Says::Thought(text) => {
                events.extend(halves(text).map(|part| chunk(json!({"text": part, "thought": true}))));
            }
            Says::Text(text) => events.extend(halves(text).map(|part| chunk(json!({"text": part})))),
            Says::Call(name, arguments) => {
                let arguments: Value = serde_json::from_str(arguments).unwrap();
                events.push(chunk(json!({"functionCall": {"name": name, "args": arguments}})));
            }
        }
    }
    let reason = match then {
        Then::Ends => "STOP",
        Then::IsCutShortByItsLimit => "MAX_TOKENS",
        Then::Fails => {
            events.push(json!({"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}));
            return events;
        }
        Then::Breaks | Then::SaysGarbage => return events,
    };
    events.push(
        json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": []}, "finishReason": reason}],
        "usageMetadata": {"promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": 6,
            "thoughtsTokenCount": 2, "totalTokenCount": 18}}),
    );
    events
}

fn interactions(says: &[Says], then: Then) -> Vec<Value> {
    let mut events = vec![
        json!({"event_type": "interaction.created", "interaction": {"id": "v1_u", "status": "in_progress",
            "object": "interaction"}}),
        json!({"event_type": "interaction.status_update", "interaction_id": "v1_u", "status": "in_progress"}),
    ];
    for (at, said) in says.iter().enumerate() {
        let start = |step: Value| json!({"event_type": "step.start", "index": at, "step": step});
        let delta = |delta: Value| json!({"event_type": "step.delta", "index": at, "delta": delta});
        match said {
            Says::Thought(text) => {
                events.push(start(json!({"type": "thought"})));
                events.extend(
                    halves(text).map(|part| {
                        delta(json!({"type": "thought_summary", "content": {"type": "text", "text": part}}))
                    }),
                );
                events.push(delta(json!({"type": "thought_signature", "signature": "c2ln"})));
            }
            Says::Text(text) => {
                events.push(start(json!({"type": "model_output"})));
                events.extend(halves(text).map(|part| delta(json!({"type": "text", "text": part}))));
            }
            Says::Call(name, arguments) => {
                let id = format!("call_{at}");
                events.push(start(json!({"type": "function_call", "id": id, "name": name, "arguments": {}})));
                events
                    .extend(halves(arguments).map(|part| delta(json!({"type": "arguments_delta", "arguments": part}))));
            }
        }
        events.push(json!({"event_type": "step.stop", "index": at}));
    }
    let status = match then {
        Then::Ends if called(says) => "requires_action",
        Then::Ends => "completed",
        Then::IsCutShortByItsLimit => "incomplete",
        Then::Fails => {
            events.push(
                json!({"event_type": "error", "error": {"code": "service_unavailable", "message": "Overloaded"}}),
            );
            return events;
        }
        Then::Breaks | Then::SaysGarbage => return events,
    };
    events.push(json!({"event_type": "interaction.completed", "interaction": {"id": "v1_u", "status": status,
        "object": "interaction", "usage": {"total_input_tokens": 10, "total_cached_tokens": 4,
        "total_output_tokens": 6, "total_thought_tokens": 2, "total_tool_use_tokens": 0, "total_tokens": 18}}}));
    events
}

/// A service that answers every request with this, and an upstream that asks it.
async fn upstream(protocol: ProtocolKind, events: Vec<Value>, then: Then) -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    match (then, protocol) {
        (Then::SaysGarbage, _) => {
            body.push_str("data: {\"choices\": 7, \"type\": 7, \"event_type\": [], \"candidates\": 7\n\n")
        }
        (Then::Ends | Then::IsCutShortByItsLimit, ProtocolKind::Chat(_) | ProtocolKind::Interactions) => {
            body.push_str("data: [DONE]\n\n");
        }
        (Then::Ends | Then::IsCutShortByItsLimit | Then::Fails | Then::Breaks, _) => {}
    }
    let end = if then == Then::Breaks { "" } else { "0\r\n\r\n" };
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n{end}",
        body.len()
    );
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut received = Vec::new();
            while !is_whole(&received) {
                if connection.read_buf(&mut received).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let _ = connection.write_all(answer.as_bytes()).await;
        }
    });
    Upstream::new(UpstreamOptions {
        name: "model".to_owned(),
        protocol,
        urls: vec![format!("http://{address}/v1")],
        model: "m".to_owned(),
        key: None,
        headers: Vec::new(),
        session_header: None,
        capabilities: Capabilities { schema: SchemaSupport::Enforced, ..Capabilities::default() },
        timeouts: Timeouts::default(),
        concurrency: 2,
        attempts: 1,
    })
    .unwrap()
}

fn is_whole(received: &[u8]) -> bool {
    let Some(head) = received.windows(4).position(|end| end == b"\r\n\r\n") else { return false };
    let fields = String::from_utf8_lossy(&received[..head]).to_ascii_lowercase();
    let length = fields.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    received.len() >= head + 4 + length.parse::<usize>().unwrap()
}

fn request() -> ModelRequest {
    ModelRequest {
        is_agent: false,
        research: None,
        scope: "project-1".to_owned(),
        system_instruction: None,
        tools: Vec::new(),
        calls: Calls::None,
        answer: None,
        grammar: None,
        picture: Default::default(),
        thinking: None,
        messages: vec![Message::user("Hello")],
        generation: GenerationConfig::default(),
        max_output_tokens: 100,
        seed: 1,
        resume: None,
    }
}

fn with_tools() -> ModelRequest {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let tool = |name: &str| Tool {
        name: name.to_owned(),
        description: None,
        parameters: Schema::read(parameters.clone()).unwrap(),
    };
    ModelRequest { tools: vec![tool("get_weather"), tool("get_time")], calls: Calls::Allowed, ..request() }
}

/// All events, or those before an error and the error.
async fn ask(
    protocol: ProtocolKind,
    says: &[Says],
    then: Then,
    request: ModelRequest,
) -> (Vec<ModelEvent>, Option<BackendError>) {
    let upstream = upstream(protocol, spoken(protocol, says, then), then).await;
    let mut stream = match upstream.generate(request, Prepared::default()).await {
        Ok(stream) => stream,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => events.push(event),
            Err(error) => return (events, Some(error)),
        }
    }
    (events, None)
}

/// What was said, pieces joined; signatures and counts apart.
fn said(events: &[ModelEvent]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut join = |kind: &str, text: &str, fresh: bool| {
        if text.is_empty() && !fresh {
            return;
        }
        match lines.last_mut().filter(|last| !fresh && last.starts_with(kind)) {
            Some(last) => last.push_str(text),
            None => lines.push(format!("{kind}{text}")),
        }
    };
    for event in events {
        match event {
            ModelEvent::Thought { text, .. } => join("thought ", text, false),
            ModelEvent::Text { text, .. } => join("text ", text, false),
            ModelEvent::CallStarted { name, .. } => join("call ", &format!("{name} "), true),
            ModelEvent::CallArguments { text, .. } => join("call ", text, false),
            ModelEvent::Started { .. }
            | ModelEvent::Counted { .. }
            | ModelEvent::ServedBy { .. }
            | ModelEvent::Signed(_)
            | ModelEvent::Picture(_)
            | ModelEvent::Finished { .. } => {}
        }
    }
    lines
}

/// Input, cached, thought and output tokens, and the reason of the end.
fn cost(protocol: ProtocolKind, events: &[ModelEvent]) -> (u64, u64, u64, u64, FinishReason) {
    let counted = events.iter().rev().find_map(|event| match event {
        ModelEvent::Counted { input_tokens, cached_tokens, .. } => Some((*input_tokens, *cached_tokens)),
        _ => None,
    });
    let (input, cached) = counted.unwrap_or_else(|| panic!("{protocol:?} counts no input"));
    match events.last() {
        Some(ModelEvent::Finished { reason, exact: false, thought_tokens, output_tokens }) => {
            (input, cached, *thought_tokens, *output_tokens, *reason)
        }
        other => panic!("{protocol:?} ends with {other:?}"),
    }
}

#[tokio::test]
async fn text_and_thought_and_their_cost() {
    for protocol in PROTOCOLS {
        let says = [Says::Thought("The user greets. 🐕"), Says::Text("Olá, São Paulo!")];
        let (events, error) = ask(protocol, &says, Then::Ends, request()).await;
        assert_eq!(error, None, "{protocol:?}");
        assert_eq!(said(&events), ["thought The user greets. 🐕", "text Olá, São Paulo!"], "{protocol:?}");
        // Anthropic does not tell thought from output.
        let (thought, output) = if protocol == ProtocolKind::Anthropic { (0, 8) } else { (2, 6) };
        assert_eq!(cost(protocol, &events), (10, 4, thought, output, FinishReason::Stop), "{protocol:?}");
        assert_eq!(events.iter().filter(|event| matches!(event, ModelEvent::Started { .. })).count(), 1);
    }
}

#[tokio::test]
async fn calls_alone_and_side_by_side_and_after_text() {
    let paris = Says::Call("get_weather", r#"{"city":"Paris"}"#);
    let cases: [(&[Says], &[&str]); 3] = [
        (&[paris], &[r#"call get_weather {"city":"Paris"}"#]),
        (
            &[paris, Says::Call("get_weather", r#"{"city":"São Paulo"}"#), Says::Call("get_time", "{}")],
            &[r#"call get_weather {"city":"Paris"}"#, r#"call get_weather {"city":"São Paulo"}"#, "call get_time {}"],
        ),
        (
            &[Says::Thought("Hm."), Says::Text("Let me see."), paris],
            &["thought Hm.", "text Let me see.", r#"call get_weather {"city":"Paris"}"#],
        ),
    ];
    for protocol in PROTOCOLS {
        for (says, expected) in cases {
            let (events, error) = ask(protocol, says, Then::Ends, with_tools()).await;
            assert_eq!(error, None, "{protocol:?}");
            assert_eq!(said(&events), expected, "{protocol:?}");
            assert_eq!(cost(protocol, &events).4, FinishReason::Stop, "{protocol:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_of_a_schema_streams_as_it_comes() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    for protocol in PROTOCOLS {
        let request = ModelRequest { answer: Some(Schema::read(schema.clone()).unwrap()), ..request() };
        let (events, error) = ask(protocol, &[Says::Text(r#"{"city": "Oslo"}"#)], Then::Ends, request).await;
        assert_eq!(error, None, "{protocol:?}");
        assert_eq!(said(&events), [r#"text {"city": "Oslo"}"#], "{protocol:?}");
        assert!(events.iter().filter(|event| matches!(event, ModelEvent::Text { .. })).count() > 1, "{protocol:?}");
    }
}

#[tokio::test]
async fn a_limit_ends_an_answer_incomplete() {
    for protocol in PROTOCOLS {
        let (events, error) = ask(protocol, &[Says::Text("Half of")], Then::IsCutShortByItsLimit, request()).await;
        assert_eq!(error, None, "{protocol:?}");
        assert_eq!(said(&events), ["text Half of"], "{protocol:?}");
        assert_eq!(cost(protocol, &events).4, FinishReason::Length, "{protocol:?}");
    }
}

#[tokio::test]
async fn what_goes_wrong_in_the_middle_comes_after_what_was_said() {
    for protocol in PROTOCOLS {
        for (then, code) in [
            (Then::Breaks, "service_unavailable"),
            (Then::Fails, "service_unavailable"),
            (Then::SaysGarbage, "api_error"),
        ] {
            let (events, error) = ask(protocol, &[Says::Text("Half of")], then, request()).await;
            assert_eq!(said(&events), ["text Half of"], "{protocol:?}");
            assert!(!events.iter().any(|event| matches!(event, ModelEvent::Finished { .. })), "{protocol:?}");
            let Some(BackendError::Upstream { code: found, message, .. }) = error else {
                panic!("{protocol:?}: {error:?}")
            };
            assert_eq!(found, code, "{protocol:?}");
            assert!(!message.contains("Overloaded"), "the service's words are for the log: {message}");
        }
    }
}

#[tokio::test]
async fn stop_sequences_cut_the_text_wherever_the_service_does_not() {
    for protocol in PROTOCOLS {
        let generation = GenerationConfig { stop_sequences: vec!["END".to_owned()], ..GenerationConfig::default() };
        let request = ModelRequest { generation, ..request() };
        let (events, error) = ask(protocol, &[Says::Text("One. E END Two.")], Then::Ends, request).await;
        assert_eq!(error, None, "{protocol:?}");
        assert_eq!(said(&events), ["text One. E "], "{protocol:?}");
        assert!(matches!(events.last(), Some(ModelEvent::Finished { reason: FinishReason::Stop, .. })), "{protocol:?}");
    }
}
