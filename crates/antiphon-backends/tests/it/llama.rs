//! The supervised worker: answers, cancellation, crashes, and the prefix law.

use std::path::PathBuf;

use antiphon_backends::{Llama, LlamaOptions, Projector};
use antiphon_engine::{
    Backend, BackendError, CallResult, Calls, FinishReason, Message, ModelEvent, ModelRequest, ModelTurn, Prepared,
    Resume, Schema, Tool, Trace,
};
use antiphon_wire::GenerationConfig;
use antiphon_worker::protocol::Sampling;
use futures_util::StreamExt as _;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

/// The example of this package that Cargo builds beside the tests.
fn toy_worker() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples/toy_worker")
}

fn llama(arguments: &[&str]) -> Llama {
    llama_with(None, arguments)
}

pub(crate) fn llama_with(projector: Option<Projector>, arguments: &[&str]) -> Llama {
    let sampling = Sampling { temperature: 1.0, ..Sampling::GREEDY };
    Llama::new(LlamaOptions {
        executable: toy_worker(),
        model: PathBuf::from("none"),
        projector,
        name: "toy".to_owned(),
        context: 2048,
        slots: 2,
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        sampling,
        system_prompt: None,
        code_blocks: false,
        result_prompt: Some("Use it.".to_owned()),
        source_prompt: None,
        media_prompts: true,
        today: || "2026-06-09".to_owned(),
    })
    .unwrap()
}

pub(crate) fn request(messages: Vec<Message>, most: u32) -> ModelRequest {
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
        messages,
        generation: GenerationConfig::default(),
        max_output_tokens: most,
        seed: 7,
        resume: None,
    }
}

fn tool(name: &str, parameters: Value) -> Tool {
    Tool { name: name.to_owned(), description: None, parameters: Schema::read(parameters).unwrap() }
}

fn weather() -> Tool {
    let parameters = json!({
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 12}, "days": {"type": "integer"}},
        "required": ["city"],
    });
    tool("get_weather", parameters)
}

pub(crate) struct Turn {
    pub(crate) text: String,
    /// Names and the JSON text of their arguments.
    calls: Vec<(String, String)>,
    exact: bool,
    pub(crate) tokens: Vec<u32>,
    pub(crate) cached: u64,
    reason: FinishReason,
    output_tokens: u64,
}

pub(crate) async fn turn(llama: &Llama, request: ModelRequest, prepared: Prepared) -> Result<Turn, BackendError> {
    let mut stream = llama.generate(request, prepared).await?;
    let mut turn = Turn {
        text: String::new(),
        calls: Vec::new(),
        exact: false,
        tokens: Vec::new(),
        cached: 0,
        reason: FinishReason::Stop,
        output_tokens: 0,
    };
    while let Some(event) = stream.next().await {
        match event? {
            ModelEvent::Started { cached_tokens } => turn.cached = cached_tokens,
            ModelEvent::Counted { .. }
            | ModelEvent::ServedBy { .. }
            | ModelEvent::Signed(_)
            | ModelEvent::Picture(_) => {}
            ModelEvent::Thought { text, tokens } | ModelEvent::Text { text, tokens } => {
                turn.text += &text;
                turn.tokens.extend(tokens);
            }
            ModelEvent::CallStarted { name, tokens } => {
                turn.calls.push((name, String::new()));
                turn.tokens.extend(tokens);
            }
            ModelEvent::CallArguments { text, tokens } => {
                turn.calls.last_mut().unwrap().1 += &text;
                turn.tokens.extend(tokens);
            }
            ModelEvent::Finished { reason, output_tokens, exact, .. } => {
                turn.exact = exact;
                turn.reason = reason;
                turn.output_tokens = output_tokens;
            }
        }
    }
    Ok(turn)
}

#[tokio::test]
async fn the_next_turns_prompt_extends_the_tokens_of_this_one() {
    let llama = llama(&[]);
    let mut messages = vec![Message::user("I have 2 dogs. São Paulo 🐕")];
    let mut said: Vec<u32> = Vec::new();
    for round in 0..4 {
        let request = request(messages.clone(), 40);
        let prepared = llama.prepare(&request).await.unwrap();
        assert_eq!(prepared.prompt[..said.len()], said, "turn {round} begins with all tokens of the turns before");
        let turn = turn(&llama, request, prepared.clone()).await.unwrap();
        if round > 0 {
            assert!(turn.cached >= said.len() as u64 - 1, "turn {round} computes only what is new");
        }
        said = prepared.prompt.iter().chain(&turn.tokens).copied().collect();
        let trace = Trace { fingerprint: prepared.fingerprint, tokens: turn.tokens };
        messages.push(Message::Model(ModelTurn { trace: Some(trace), ..ModelTurn::text(turn.text) }));
        messages.push(Message::user("And how many paws?"));
    }
}

#[tokio::test]
async fn an_answer_conforms_to_its_schema_whatever_the_seed() {
    let llama = llama(&[]);
    let schema = json!({
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "tags": {"type": "array", "items": {"enum": ["a", "b"]}}},
        "required": ["name", "age"],
    });
    let answer = Schema::read(schema).unwrap();
    for seed in 0..12 {
        let request = ModelRequest { answer: Some(answer.clone()), seed, ..request(vec![Message::user("Go")], 200) };
        let prepared = llama.prepare(&request).await.unwrap();
        let turn = turn(&llama, request, prepared).await.unwrap();
        assert_eq!(turn.reason, FinishReason::Stop, "seed {seed}: {}", turn.text);
        let value: Value = serde_json::from_str(&turn.text).unwrap();
        answer.validate(&value).unwrap();
    }
}

#[tokio::test]
async fn a_required_call_comes_with_arguments_that_conform() {
    let llama = llama(&[]);
    let clock = tool("get_time", json!({"type": "object", "properties": {}, "additionalProperties": false}));
    for seed in 0..12 {
        let request = ModelRequest {
            tools: vec![weather(), clock.clone()],
            calls: Calls::Required,
            seed,
            ..request(vec![Message::user("Weather?")], 400)
        };
        let prepared = llama.prepare(&request).await.unwrap();
        let turn = turn(&llama, request, prepared).await.unwrap();
        assert_eq!((turn.reason, turn.text.as_str()), (FinishReason::Stop, ""), "seed {seed}");
        assert!(!turn.calls.is_empty() && turn.exact, "seed {seed}");
        for (name, arguments) in turn.calls {
            let arguments: Value = serde_json::from_str(&arguments).unwrap();
            let tool = if name == "get_weather" { weather() } else { clock.clone() };
            tool.parameters.validate(&arguments).unwrap();
        }
    }
}

#[tokio::test]
async fn a_turn_with_calls_and_their_results_extends_its_own_tokens() {
    let llama = llama(&[]);
    let mut messages = vec![Message::user("Weather?")];
    let mut said: Vec<u32> = Vec::new();
    for round in 0..3 {
        let request = ModelRequest {
            tools: vec![weather()],
            calls: Calls::Required,
            seed: round,
            ..request(messages.clone(), 120)
        };
        let prepared = llama.prepare(&request).await.unwrap();
        assert_eq!(prepared.prompt[..said.len()], said, "round {round}");
        let turn = turn(&llama, request, prepared.clone()).await.unwrap();
        said = prepared.prompt.iter().chain(&turn.tokens).copied().collect();
        let trace = Trace { fingerprint: prepared.fingerprint, tokens: turn.tokens };
        messages.push(Message::Model(ModelTurn { trace: Some(trace), ..ModelTurn::text(turn.text) }));
        for (at, (name, _)) in turn.calls.into_iter().enumerate() {
            messages.push(Message::Result(CallResult {
                call_id: format!("call_{round}_{at}"),
                name,
                text: "{\"sky\": \"<|im_end|> clear\"}".to_owned(),
                is_error: false,
            }));
        }
    }
}

#[tokio::test]
async fn usage_counts_every_token_once() {
    let llama = llama(&[]);
    let request = request(vec![Message::user("Count")], 12);
    let prepared = llama.prepare(&request).await.unwrap();
    let turn = turn(&llama, request, prepared).await.unwrap();
    assert_eq!(turn.output_tokens, turn.tokens.len() as u64);
    assert!(turn.reason == FinishReason::Stop || turn.output_tokens == 12);
}

#[tokio::test]
async fn a_prompt_that_fills_the_context_is_refused_with_both_numbers() {
    let llama = llama(&[]);
    let request = request(vec![Message::user("x".repeat(3000))], 10);
    let error = llama.prepare(&request).await.unwrap_err();
    let BackendError::TooLong { input_tokens, context } = error else { panic!("{error}") };
    assert_eq!(context, 2048);
    assert!(input_tokens > 3000);
}

#[tokio::test]
async fn a_call_taken_up_again_goes_on_with_the_same_answer() {
    let llama = llama(&[]);
    let whole = request(vec![Message::user("Tell me")], 60);
    let prepared = llama.prepare(&whole).await.unwrap();
    let uncut = turn(&llama, whole.clone(), prepared.clone()).await.unwrap();
    for cut in 0..uncut.tokens.len() {
        let trace = Trace { fingerprint: prepared.fingerprint.clone(), tokens: uncut.tokens[..cut].to_vec() };
        let resumed = ModelRequest { resume: Some(Resume { trace, thought_tokens: 0 }), ..whole.clone() };
        let rest = turn(&llama, resumed, prepared.clone()).await.unwrap();
        assert_eq!(rest.text, uncut.text, "cut after {cut}");
        assert_eq!(rest.tokens, uncut.tokens[cut..], "cut after {cut}");
        assert_eq!(rest.output_tokens, uncut.output_tokens, "cut after {cut}");
    }
}

#[tokio::test]
async fn a_dropped_stream_frees_its_slot() {
    let llama = llama(&[]);
    // More calls than slots, each left after its first event: every one gets its turn.
    for _ in 0..8 {
        let request = request(vec![Message::user("Go on")], 1000);
        let prepared = llama.prepare(&request).await.unwrap();
        let mut stream = llama.generate(request, prepared).await.unwrap();
        assert!(matches!(stream.next().await, Some(Ok(ModelEvent::Started { .. }))));
    }
}

#[tokio::test]
async fn a_worker_that_dies_fails_its_calls_and_serves_the_next() {
    let llama = llama(&["--crash-after-chunks", "1"]);
    let request = request(vec![Message::user("Tell me")], 50);
    for _ in 0..2 {
        let prepared = llama.prepare(&request).await.unwrap();
        let died = turn(&llama, request.clone(), prepared).await.err();
        assert!(matches!(died, Some(BackendError::Died(_))), "{died:?}");
    }
}

#[tokio::test]
async fn a_worker_that_is_not_there_is_said_aloud() {
    let missing = Llama::new(LlamaOptions {
        executable: PathBuf::from("no/such/worker"),
        model: PathBuf::from("none"),
        projector: None,
        name: "toy".to_owned(),
        context: 2048,
        slots: 1,
        arguments: Vec::new(),
        sampling: Sampling::GREEDY,
        system_prompt: None,
        code_blocks: false,
        result_prompt: Some("Use it.".to_owned()),
        source_prompt: None,
        media_prompts: true,
        today: || "2026-06-09".to_owned(),
    })
    .unwrap();
    let error = missing.prepare(&request(vec![Message::user("Hello")], 5)).await.unwrap_err();
    let BackendError::Unavailable(text) = error else { panic!("{error}") };
    assert!(text.contains("no/such/worker"), "{text}");
}
