//! The worker process on a real small model: `ANTIPHON_TEST_MODEL` is its GGUF file, as
//! `just native` sets it. What it makes of media is tested on weights of its own.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod media;
mod server;
mod weights;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use antiphon_worker::protocol::{
    Constraint, FinishReason, Generate, Message, ModelCard, Request, Sampling, Segment, Token, read_frame, write_frame,
};

fn model() -> PathBuf {
    std::env::var_os("ANTIPHON_TEST_MODEL")
        .expect("ANTIPHON_TEST_MODEL names a GGUF file; `just native` sets it")
        .into()
}

struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
    card: ModelCard,
}

fn start(path: &Path, arguments: &[&str]) -> Child {
    let context: &[&str] = if arguments.contains(&"--context") { &[] } else { &["--context", "2048"] };
    Command::new(env!("CARGO_BIN_EXE_antiphon-llama"))
        .args(["serve", "--model"])
        .arg(path)
        .args(context)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

impl Worker {
    fn new(arguments: &[&str]) -> Self {
        Self::of(&model(), arguments)
    }

    fn of(model: &Path, arguments: &[&str]) -> Self {
        let mut child = start(model, arguments);
        let (input, mut output) = (child.stdin.take(), child.stdout.take().unwrap());
        let Some(Message::Ready(card)) = read_frame(&mut output).unwrap() else { panic!("no model card") };
        Self { child, input, output, card }
    }

    fn send(&mut self, request: &Request) {
        write_frame(self.input.as_mut().unwrap(), request).unwrap();
    }

    fn next(&mut self) -> Message {
        read_frame(&mut self.output).unwrap().expect("the worker lives")
    }

    fn tokens(&mut self, segments: Vec<Segment>) -> Vec<Token> {
        self.send(&Request::Prepare { id: 1, segments, constraint: None });
        let Message::Prepared { tokens, .. } = self.next() else { panic!("no tokens") };
        tokens
    }

    fn run(&mut self, generate: Generate) -> Run {
        self.send(&Request::Generate(generate));
        let mut run = Run { cached: 0, tokens: Vec::new(), text: String::new(), reason: FinishReason::Length };
        loop {
            match self.next() {
                Message::Started { cached, .. } => run.cached = cached as usize,
                Message::Chunk { tokens, text, .. } => {
                    run.tokens.extend(tokens);
                    run.text += &text;
                }
                Message::Finished { reason, .. } => {
                    run.reason = reason;
                    return run;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Run {
    cached: usize,
    tokens: Vec<Token>,
    text: String,
    reason: FinishReason,
}

fn generate(scope: &str, prompt: Vec<Token>, max_tokens: u32) -> Generate {
    Generate {
        id: 2,
        scope: scope.to_owned(),
        prompt,
        media: Vec::new(),
        resume: Vec::new(),
        max_tokens,
        sampling: Sampling::GREEDY,
        markers: Vec::new(),
        constraint: None,
    }
}

fn question(text: &str) -> Vec<Segment> {
    vec![
        Segment::Control("<|im_start|>user\n".to_owned()),
        Segment::Data(text.to_owned()),
        Segment::Control("<|im_end|>\n<|im_start|>assistant\n".to_owned()),
    ]
}

#[test]
fn names_of_special_tokens_are_special_in_control_only() {
    let mut worker = Worker::new(&[]);
    let name = "<|im_start|>".to_owned();
    let control = worker.tokens(vec![Segment::Control(name.clone())]);
    let data = worker.tokens(vec![Segment::Data(name)]);
    assert_eq!(control.len(), 1);
    assert!(data.len() > 1 && !data.contains(&control[0]), "{data:?}");
}

#[test]
fn a_question_gets_words_and_the_next_turn_computes_only_what_is_new() {
    for arguments in [&[][..], &["--fused-attention"]] {
        let mut worker = Worker::new(arguments);
        let prompt = worker.tokens(question("What is the capital of France?"));
        let first = worker.run(generate("one", prompt.clone(), 40));
        assert!(first.text.contains("Paris"), "{}", first.text);
        assert!(!first.text.contains("<|"), "{}", first.text);
        assert_eq!(first.reason, FinishReason::End);

        let mut next = prompt;
        next.extend(&first.tokens);
        let known = next.len();
        let more = worker.tokens(question("And of Spain?"));
        next.extend(worker.tokens(vec![Segment::Control("<|im_end|>\n".to_owned())]));
        next.extend(more);
        let stranger = worker.run(generate("two", next.clone(), 4));
        assert_eq!(stranger.cached, 0, "another scope shares nothing");
        let second = worker.run(generate("one", next, 4));
        assert!(second.cached >= known - 1, "{} of {known}", second.cached);
    }
}

#[test]
fn the_limit_is_kept_and_a_cut_run_goes_on_with_the_same_tokens() {
    let mut worker = Worker::new(&[]);
    let prompt = worker.tokens(question("Tell me a story about a dog."));
    let whole = worker.run(generate("one", prompt.clone(), 24));
    assert_eq!((whole.tokens.len(), whole.reason), (24, FinishReason::Length));
    let (before, after) = whole.tokens.split_at(10);
    let rest = worker.run(Generate { resume: before.to_vec(), ..generate("one", prompt, 24) });
    assert_eq!(rest.tokens.len(), after.len());
    assert_eq!(rest.text, whole.text, "its earlier words come first");
}

/// A list of objects, as long as anybody likes.
fn shopping() -> Constraint {
    let schema = serde_json::json!({
        "x-guidance": { "whitespace_pattern": "[ \\n]{0,4}" },
        "type": "object",
        "properties": {
            "title": { "type": "string" },
            "items": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": { "name": { "type": "string" }, "grams": { "type": "integer" } },
                    "required": ["name", "grams"],
                    "additionalProperties": false,
                },
            },
        },
        "required": ["title", "items"],
        "additionalProperties": false,
    });
    Constraint { grammar: format!("start: marker_0 %json {schema}"), markers: vec!["<|im_start|>".to_owned()] }
}

#[test]
fn a_constrained_answer_is_whole_whatever_its_budget() {
    let mut worker = Worker::new(&[]);
    let prompt = worker.tokens(question("Write a shopping list for pancakes as JSON."));
    let [marker] = worker.tokens(vec![Segment::Control("<|im_start|>".to_owned())])[..] else { panic!("one token") };
    for (seed, max_tokens) in (0..).zip([30, 45, 60, 100, 200]) {
        // The sampling that small models get.
        let sampling = Sampling {
            temperature: 0.3,
            top_p: 0.95,
            repeat_penalty: 1.1,
            repeat_window: 64,
            seed,
            ..Sampling::GREEDY
        };
        let request =
            Generate { sampling, constraint: Some(shopping()), ..generate("one", prompt.clone(), max_tokens) };
        let run = worker.run(request);
        let answer: serde_json::Value = serde_json::from_str(&run.text).expect(&run.text);
        assert!(answer["items"][0]["name"].is_string() && answer["items"][0]["grams"].is_i64(), "{answer}");
        assert_eq!((run.tokens[0], run.reason), (marker, FinishReason::End));
    }
}

#[test]
fn prompts_are_prepared_while_others_generate_and_wrong_constraints_refused() {
    let mut worker = Worker::new(&[]);
    let prompt = worker.tokens(question("Count to a thousand."));
    worker.send(&Request::Generate(generate("one", prompt.clone(), 400)));
    let wrong = Constraint { grammar: "start: (".to_owned(), markers: Vec::new() };
    worker.send(&Request::Prepare { id: 3, segments: question("Hello"), constraint: Some(shopping()) });
    worker.send(&Request::Prepare { id: 4, segments: question("Hello"), constraint: Some(wrong.clone()) });
    worker.send(&Request::Generate(Generate { id: 5, constraint: Some(wrong), ..generate("one", prompt, 4) }));
    let mut answered = Vec::new();
    while answered.len() < 3 {
        match worker.next() {
            Message::Prepared { id, tokens, .. } => {
                assert!(!tokens.is_empty());
                answered.push((id, true));
            }
            Message::Refused { id, message, .. } => {
                assert!(!message.is_empty());
                answered.push((id, false));
            }
            Message::Finished { .. } => panic!("the others were to be answered before"),
            _ => {}
        }
    }
    assert_eq!(answered, [(3, true), (4, false), (5, false)]);
}

#[test]
fn a_worker_ends_with_its_input_also_while_it_works() {
    let mut worker = Worker::new(&[]);
    let prompt = worker.tokens(question("Count to a thousand."));
    worker.send(&Request::Generate(generate("one", prompt, 1500)));
    assert!(matches!(worker.next(), Message::Started { .. }));
    drop(worker.input.take());
    assert!(worker.child.wait().unwrap().success());
}

#[test]
fn weights_that_are_none_are_an_error_and_no_crash() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"GGUF\x03\0\0\0 and then nothing that makes sense").unwrap();
    for path in [file.path(), Path::new("no/such/file.gguf")] {
        let done = start(path, &[]).wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{}", String::from_utf8_lossy(&done.stderr));
        assert!(!done.stderr.is_empty());
    }
}

#[test]
fn the_card_tells_what_the_model_is() {
    let worker = Worker::new(&["--slots", "3"]);
    assert_eq!((worker.card.slots, worker.card.context), (3, 2048));
    assert!(worker.card.chat_template.as_ref().is_some_and(|template| template.contains("im_start")));
    assert!(!worker.card.fingerprint.is_empty());
}

#[test]
fn a_cache_takes_memory_as_it_is_filled() {
    let worker = Worker::new(&["--context", "65536"]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.child.id())).unwrap();
    let taken = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let kilobytes: u64 = taken.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    // SmolLM2 has 30 layers, each with 192 numbers of 2 bytes for either half of its attention.
    let whole = 65_536 * 30 * 192 * 2 * 2 / 1024;
    assert!(kilobytes < whole / 4, "{kilobytes} of {whole} kB");
}
