//! The laws of constrained runs: what ends parses, budgets are kept, and nothing else changes.

use std::fmt::Write as _;
use std::sync::LazyLock;

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::Decoder;
use crate::protocol::{FinishReason, Generate, Message, Sampling};
use crate::scheduler::{Scheduler, Settings};
use crate::toy::Toy;

fn toy() -> Toy {
    Toy::new(4000, 4, 8, 64)
}

/// Shared, as in a worker.
fn grammars() -> &'static Grammars {
    static GRAMMARS: LazyLock<Grammars> = LazyLock::new(|| Grammars::new(Arc::clone(toy().vocabulary())));
    &GRAMMARS
}

fn constraint(grammar: &str) -> Constraint {
    Constraint { grammar: grammar.to_owned(), markers: Vec::new() }
}

fn json(schema: &Value) -> Constraint {
    constraint(&format!("start: %json {schema}"))
}

/// Objects in arrays in objects, of which not all must be there, with strings of any length.
fn recipe() -> Value {
    serde_json::json!({
        "x-guidance": { "whitespace_pattern": "[ \\n]{0,2}" },
        "type": "object",
        "properties": {
            "name": { "type": "string" },
            "parts": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {
                        "what": { "type": "string", "minLength": 2 },
                        // Bounded, as every number that is asked for is: 9e9999 is JSON, and no number to most readers.
                        "much": { "type": "number", "minimum": 0, "maximum": 5000 },
                        "unit": { "enum": ["g", "ml", "a \"pinch\""] },
                    },
                    "required": ["what", "unit"],
                    "additionalProperties": false,
                },
            },
            "day": { "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$" },
            "rest": { "anyOf": [{ "type": "object", "additionalProperties": { "type": "integer" } }, { "type": "null" }] },
        },
        "required": ["name", "parts", "day"],
        "additionalProperties": false,
    })
}

fn is_recipe(text: &str) -> bool {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return false };
    let parts = value["parts"].as_array().is_some_and(|parts| {
        !parts.is_empty()
            && parts.iter().all(|part| {
                part["what"].is_string() && ["g", "ml", "a \"pinch\""].contains(&part["unit"].as_str().unwrap_or(""))
            })
    });
    parts && value["name"].is_string() && value["day"].as_str().is_some_and(|day| day.len() == 7)
}

fn request(id: u64, max_tokens: u32, sampling: Sampling) -> Generate {
    Generate {
        id,
        scope: String::new(),
        prompt: format!("prompt {id}").bytes().map(Token::from).collect(),
        media: Vec::new(),
        resume: Vec::new(),
        max_tokens,
        sampling,
        markers: Vec::new(),
        constraint: None,
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Said {
    tokens: Vec<Token>,
    /// How many tokens there were after each message.
    cuts: Vec<usize>,
    text: String,
    end: Option<Result<FinishReason, String>>,
}

/// What each run says; their ids are their places.
fn say(runs: Vec<(Generate, Option<Guide>)>) -> Vec<Said> {
    let mut said = vec![Said::default(); runs.len()];
    let toy = toy();
    let settings = Settings::of(&toy);
    let mut scheduler = Scheduler::new(toy, settings);
    for (place, (request, guide)) in runs.into_iter().enumerate() {
        scheduler.submit(Generate { id: place as u64, ..request }, guide);
    }
    let mut out = Vec::new();
    while scheduler.step(&mut out).unwrap() {}
    for message in out {
        match message {
            Message::Chunk { id, tokens, text } => {
                said[id as usize].tokens.extend(tokens);
                said[id as usize].text.push_str(&text);
                let count = said[id as usize].tokens.len();
                said[id as usize].cuts.push(count);
            }
            Message::Finished { id, reason } => said[id as usize].end = Some(Ok(reason)),
            Message::Failed { id, message } => said[id as usize].end = Some(Err(message)),
            Message::Started { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    said
}

fn sampling() -> impl Strategy<Value = Sampling> {
    (any::<u64>(), 0.5..40.0f32, 1.0..1.3f32).prop_map(|(seed, temperature, repeat_penalty)| Sampling {
        temperature,
        repeat_penalty,
        repeat_window: 32,
        seed,
        ..Sampling::GREEDY
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn what_ends_by_itself_is_whole_and_a_budget_that_can_suffice_does(
        sampling in prop_oneof![1 => Just(Sampling::GREEDY), 4 => sampling()],
        budgets in prop::collection::vec(1..200u32, 3),
        large in 200..600u32,
    ) {
        let guide = || grammars().compile(&json(&recipe())).unwrap();
        let least = guide().completion.unwrap().len();
        for max_tokens in budgets.into_iter().chain([large]) {
            let said = say(vec![(request(0, max_tokens, sampling), Some(guide()))]).remove(0);
            prop_assert!(said.tokens.len() <= max_tokens as usize);
            prop_assert_eq!(said.end == Some(Ok(FinishReason::End)), is_recipe(&said.text), "{:?}", &said);
            if max_tokens as usize >= least {
                prop_assert_eq!(said.end, Some(Ok(FinishReason::End)), "{} of {}: {}", max_tokens, least, said.text);
            }
        }
    }

    #[test]
    fn a_constrained_run_goes_on_after_a_cut_as_if_there_had_been_none(
        sampling in sampling(),
        max_tokens in 1..400u32,
        cut in any::<prop::sample::Index>(),
    ) {
        let guide = || Some(grammars().compile(&json(&recipe())).unwrap());
        let whole = say(vec![(request(0, max_tokens, sampling), guide())]).remove(0);
        let cuts = [&[0], &*whole.cuts].concat();
        let resume = whole.tokens[..cuts[cut.index(cuts.len())]].to_vec();
        let again = Generate { resume: resume.clone(), ..request(0, max_tokens, sampling) };
        let resumed = say(vec![(again, guide())]).remove(0);
        prop_assert_eq!([resume, resumed.tokens].concat(), whole.tokens);
        prop_assert_eq!((resumed.text, resumed.end), (whole.text, whole.end));
    }

    #[test]
    fn constrained_and_free_runs_do_not_change_each_other(sampling in sampling()) {
        let guide = || Some(grammars().compile(&json(&serde_json::json!({ "type": "array", "items": { "type": "string" } }))).unwrap());
        let runs = || (0..6).map(|id| (request(id, 40, sampling), if id % 2 == 0 { guide() } else { None }));
        let alone: Vec<Said> = runs().flat_map(|run| say(vec![run])).collect();
        prop_assert_eq!(say(runs().collect()), alone);
    }
}

fn only(grammar: &Constraint, max_tokens: u32) -> Said {
    let guide = grammars().compile(grammar).unwrap();
    say(vec![(request(0, max_tokens, Sampling::GREEDY), Some(guide))]).remove(0)
}

#[test]
fn a_run_ends_where_its_grammar_allows_no_more() {
    let said = only(&constraint(r#"start: "yes" | "no""#), 50);
    assert!(["yes", "no"].contains(&&*said.text), "{}", said.text);
    assert_eq!(said.end, Some(Ok(FinishReason::End)));
}

#[test]
fn a_marker_is_its_control_token_or_else_its_text() {
    let grammar = Constraint {
        grammar: "start: marker_0 \"x\" marker_1".to_owned(),
        markers: vec!["<think>".to_owned(), "</\"text\">".to_owned()],
    };
    let said = only(&grammar, 50);
    assert_eq!((said.tokens[0], &*said.text), (260, "x</\"text\">"));
    assert_eq!(said.end, Some(Ok(FinishReason::End)));
}

#[test]
fn an_end_token_that_the_grammar_names_is_no_end() {
    let grammar =
        Constraint { grammar: "start: \"a\" marker_0 \"b\"".to_owned(), markers: vec!["<|im_end|>".to_owned()] };
    let said = only(&grammar, 50);
    assert_eq!(said.tokens, [97, 259, 98]);
}

#[test]
fn free_text_that_uses_up_its_budget_ends_by_length() {
    let said = only(&constraint(r"start: /(.|\n)*/"), 5);
    assert_eq!(said.end, Some(Ok(FinishReason::Length)));
}

#[test]
fn a_structure_after_free_text_is_closed_in_time() {
    let grammar = Constraint {
        grammar: format!("start: /[^<]*/ marker_0 body marker_1\nbody: %json {}", recipe()),
        markers: vec!["<tool_call>".to_owned(), "</tool_call>".to_owned()],
    };
    let mut guide = grammars().compile(&grammar).unwrap();
    let text = "He said \"hi <tool_call>{\"name\":\"a \\\" b\",\"parts\":[{\"what\":\"sal";
    for byte in text.bytes() {
        assert_eq!(guide.follow(Token::from(byte), 1000).unwrap(), Course::Open);
    }
    let rest: String = guide.close(200).unwrap().into_iter().map(|token| token as u8 as char).collect();
    let whole = format!("{text}{rest}");
    let body = whole.strip_prefix("He said \"hi <tool_call>").unwrap().strip_suffix("</tool_call>").unwrap();
    assert!(is_recipe(body), "{body}");
}

#[test]
fn a_run_that_repeats_itself_inside_a_structure_is_closed() {
    let resume = [&b"{\"name\":\""[..], &[b'z'; 300]].concat().into_iter().map(Token::from).collect();
    let guide = grammars().compile(&json(&recipe())).unwrap();
    let again = Generate { resume, ..request(0, 3000, Sampling::GREEDY) };
    let said = say(vec![(again, Some(guide))]).remove(0);
    assert!(is_recipe(&said.text), "{}", said.text);
    assert_eq!(said.end, Some(Ok(FinishReason::End)));
}

#[test]
fn resumed_tokens_that_break_the_constraint_fail_the_run() {
    let guide = grammars().compile(&json(&recipe())).unwrap();
    let again = Generate { resume: vec![Token::from(b'x')], ..request(0, 30, Sampling::GREEDY) };
    let end = say(vec![(again, Some(guide))]).remove(0).end;
    assert!(matches!(&end, Some(Err(message)) if message.contains("`resume`")), "{end:?}");
}

#[test]
fn hostile_grammars_are_refused() {
    let chain = (0..40_000).fold("start: r0\n".to_owned(), |mut grammar, rule| {
        writeln!(grammar, "r{rule}: r{}", rule + 1).unwrap();
        grammar
    });
    let mut json = "{".to_owned();
    json.push_str(&r#""items":{"#.repeat(5000));
    for (what, grammar) in [
        ("nothing", String::new()),
        ("a syntax error", "start: (".to_owned()),
        ("an undefined rule", "start: other".to_owned()),
        ("an undefined marker", "start: marker_0".to_owned()),
        ("what nothing satisfies", "start: X\nX: /a/ & /b/".to_owned()),
        ("too much text", format!("start: \"{}\"", "a".repeat(MAX_SIZE))),
        ("brackets in brackets", format!("start: {}\"a\"{}", "(".repeat(100_000), ")".repeat(100_000))),
        ("brackets in a regular expression", format!("start: /{}a{}/", "(".repeat(100_000), ")".repeat(100_000))),
        ("JSON in JSON", format!("start: %json {json}")),
        ("rules after rules", chain),
        (
            "an exponential expression",
            "start: X
X: /(.*a){200}/ & /(.*b){200}/ & /(.*c){200}/ & /(.{7})*/"
                .to_owned(),
        ),
        ("a token beyond the vocabulary", "start: <[999999]>".to_owned()),
    ] {
        let message = grammars().compile(&constraint(&grammar)).err().unwrap_or_else(|| panic!("{what} is accepted"));
        assert!(message.chars().count() <= MAX_MESSAGE && !message.is_empty(), "{what}: {message}");
    }
}

#[test]
fn costly_grammars_are_compiled_in_bounded_time() {
    for grammar in [
        "start: /(a|b|ab|bab|aab)*(a|b){1000}c(.*a.*b.*){300}/",
        "start: /(.{1,500}){1,500}(.{1,500}){1,500}/",
        "start: A{1,100000}\nA: (\"a\"{1,10000}){1,10000}",
        "start: x\nx: x x | \"a\" | x x x | \"\"",
        "start: %json {\"type\":\"string\",\"minLength\":1000000}",
    ] {
        assert_eq!(grammars().compile(&constraint(grammar)).err(), None, "{grammar}");
    }
}

#[test]
fn as_many_levels_as_are_allowed_fit_the_stack() {
    let brackets = (MAX_LEVELS - 1) / 2;
    let nested = format!("start: {}\"a\"{}", "(".repeat(MAX_LEVELS - 1), ")".repeat(MAX_LEVELS - 1));
    let chain = (0..brackets).fold("start: r0\n".to_owned(), |mut grammar, rule| {
        writeln!(grammar, "r{rule}: (r{} | \"b\")", rule + 1).unwrap();
        grammar
    });
    for grammar in [nested, format!("{chain}r{brackets}: \"a\"")] {
        // Accepted or not: the process lives.
        let _ = grammars().compile(&constraint(&grammar));
    }
}

#[test]
fn levels_are_counted_outside_of_strings_patterns_comments_and_json() {
    for (grammar, expected) in [
        ("start: (a [b])", 3),
        ("start: \"((\\\"((\" /[(\\/(]/ # ((((\n// (((", 1),
        ("start: %json {\"a\": [[{\"}\": 1}]]} a\na: (b)", 3),
        ("start: \"(((", 1),
        ("start: %json", 1),
    ] {
        assert_eq!(levels(grammar), expected, "{grammar}");
    }
}
