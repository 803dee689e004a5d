//! The supervised worker: answers, cancellation, crashes, and the prefix law.

use std::path::PathBuf;

use antiphon_backends::{Llama, LlamaOptions};
use antiphon_engine::{Backend, BackendError, FinishReason, Message, ModelEvent, ModelRequest, Prepared, Role, Trace};
use antiphon_wire::GenerationConfig;
use antiphon_worker::protocol::Sampling;
use futures_util::StreamExt as _;
use pretty_assertions::assert_eq;

/// The example of this package that Cargo builds beside the tests.
fn toy_worker() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples/toy_worker")
}

fn llama(arguments: &[&str]) -> Llama {
    let sampling = Sampling { temperature: 1.0, ..Sampling::GREEDY };
    Llama::new(LlamaOptions {
        executable: toy_worker(),
        model: PathBuf::from("none"),
        name: "toy".to_owned(),
        context: 2048,
        slots: 2,
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        sampling,
        system_prompt: None,
        today: || "2026-06-09".to_owned(),
    })
    .unwrap()
}

fn message(role: Role, text: &str, trace: Option<Trace>) -> Message {
    Message { role, text: text.to_owned(), trace, reasoning: None }
}

fn request(messages: Vec<Message>, most: u32) -> ModelRequest {
    ModelRequest {
        scope: "project-1".to_owned(),
        system_instruction: None,
        messages,
        generation: GenerationConfig::default(),
        max_output_tokens: most,
        seed: 7,
        resume: None,
    }
}

struct Turn {
    text: String,
    tokens: Vec<u32>,
    cached: u64,
    reason: FinishReason,
    output_tokens: u64,
}

async fn turn(llama: &Llama, request: ModelRequest, prepared: Prepared) -> Result<Turn, BackendError> {
    let mut stream = llama.generate(request, prepared).await?;
    let mut turn =
        Turn { text: String::new(), tokens: Vec::new(), cached: 0, reason: FinishReason::Stop, output_tokens: 0 };
    while let Some(event) = stream.next().await {
        match event? {
            ModelEvent::Started { cached_tokens } => turn.cached = cached_tokens,
            ModelEvent::Thought { text, tokens } | ModelEvent::Text { text, tokens } => {
                turn.text += &text;
                turn.tokens.extend(tokens);
            }
            ModelEvent::Finished { reason, output_tokens, .. } => {
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
    let mut messages = vec![message(Role::User, "I have 2 dogs. São Paulo 🐕", None)];
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
        messages.push(message(Role::Model, &turn.text, Some(trace)));
        messages.push(message(Role::User, "And how many paws?", None));
    }
}

#[tokio::test]
async fn usage_counts_every_token_once() {
    let llama = llama(&[]);
    let request = request(vec![message(Role::User, "Count", None)], 12);
    let prepared = llama.prepare(&request).await.unwrap();
    let turn = turn(&llama, request, prepared).await.unwrap();
    assert_eq!(turn.output_tokens, turn.tokens.len() as u64);
    assert!(turn.reason == FinishReason::Stop || turn.output_tokens == 12);
}

#[tokio::test]
async fn a_prompt_that_fills_the_context_is_refused_with_both_numbers() {
    let llama = llama(&[]);
    let request = request(vec![message(Role::User, &"x".repeat(3000), None)], 10);
    let error = llama.prepare(&request).await.unwrap_err();
    let BackendError::TooLong { input_tokens, context } = error else { panic!("{error}") };
    assert_eq!(context, 2048);
    assert!(input_tokens > 3000);
}

#[tokio::test]
async fn a_call_taken_up_again_goes_on_with_the_same_answer() {
    let llama = llama(&[]);
    let whole = request(vec![message(Role::User, "Tell me", None)], 60);
    let prepared = llama.prepare(&whole).await.unwrap();
    let uncut = turn(&llama, whole.clone(), prepared.clone()).await.unwrap();
    for cut in 0..uncut.tokens.len() {
        let trace = Trace { fingerprint: prepared.fingerprint.clone(), tokens: uncut.tokens[..cut].to_vec() };
        let resumed = ModelRequest { resume: Some(trace), ..whole.clone() };
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
        let request = request(vec![message(Role::User, "Go on", None)], 1000);
        let prepared = llama.prepare(&request).await.unwrap();
        let mut stream = llama.generate(request, prepared).await.unwrap();
        assert!(matches!(stream.next().await, Some(Ok(ModelEvent::Started { .. }))));
    }
}

#[tokio::test]
async fn a_worker_that_dies_fails_its_calls_and_serves_the_next() {
    let llama = llama(&["--crash-after-chunks", "3"]);
    let request = request(vec![message(Role::User, "Tell me", None)], 50);
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
        name: "toy".to_owned(),
        context: 2048,
        slots: 1,
        arguments: Vec::new(),
        sampling: Sampling::GREEDY,
        system_prompt: None,
        today: || "2026-06-09".to_owned(),
    })
    .unwrap();
    let error = missing.prepare(&request(vec![message(Role::User, "Hello", None)], 5)).await.unwrap_err();
    let BackendError::Unavailable(text) = error else { panic!("{error}") };
    assert!(text.contains("no/such/worker"), "{text}");
}
