//! What the grammars accept, byte by byte, in a vocabulary whose markers are spelled out
//! and in one that has them as special tokens; and that the parser reads what they accept.

use std::sync::{Arc, LazyLock};

use antiphon_dialect::{Callable, Calls, Constraint, Output};
use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::{FIXTURES, template};

/// Single bytes, an end, and then the special tokens of every dialect.
struct Vocabulary {
    factory: ParserFactory,
    special: Vec<&'static str>,
}

const END: u32 = 256;

static SPELLED: LazyLock<Vocabulary> = LazyLock::new(|| Vocabulary::new(Vec::new()));
static SPECIAL: LazyLock<Vocabulary> = LazyLock::new(|| {
    let mut special: Vec<_> = FIXTURES.iter().flat_map(|fixture| fixture.template.markers()).collect();
    special.sort_unstable();
    special.dedup();
    Vocabulary::new(special)
});

impl Vocabulary {
    fn new(special: Vec<&'static str>) -> Self {
        let mut words: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
        for word in ["<end>"].iter().chain(&special) {
            words.push([&[TokTrie::SPECIAL_TOKEN_MARKER], word.as_bytes()].concat());
        }
        let size = u32::try_from(words.len()).expect("a small vocabulary");
        let environment: TokEnv = Arc::new(ApproximateTokEnv::new(TokTrie::from(&TokRxInfo::new(size, END), &words)));
        let mut factory = ParserFactory::new_simple(&environment).expect("a factory");
        factory.quiet();
        Self { factory, special }
    }

    fn matcher(&self, constraint: &Constraint) -> Matcher {
        let mut grammar = constraint.grammar.clone();
        for (index, marker) in constraint.markers.iter().enumerate() {
            let definition = match self.token(marker) {
                Some(token) => format!("<[{token}]>"),
                None => Value::from(marker.as_str()).to_string(),
            };
            grammar.push_str(&format!("marker_{index}: {definition}\n"));
        }
        let matcher = Matcher::new(self.factory.create_parser(TopLevelGrammar::from_lark(grammar.clone())));
        assert_eq!(matcher.get_error(), None, "{grammar}");
        matcher
    }

    fn token(&self, marker: &str) -> Option<u32> {
        let index = self.special.iter().position(|special| *special == marker)?;
        u32::try_from(index).ok().map(|index| END + 1 + index)
    }

    /// The text as tokens, and where each begins.
    fn tokens(&self, text: &str) -> Vec<(usize, u32)> {
        let mut tokens = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let special = self.special.iter().find(|marker| text.as_bytes()[at..].starts_with(marker.as_bytes()));
            tokens.push((at, special.and_then(|marker| self.token(marker)).unwrap_or(u32::from(text.as_bytes()[at]))));
            at += special.map_or(1, |marker| marker.len());
        }
        tokens
    }

    /// How much of a text is accepted, and whether an answer may end there.
    fn accepted<'a>(&self, matcher: &Matcher, text: &'a str) -> (&'a str, bool) {
        let mut matcher = matcher.deep_clone();
        for (at, token) in self.tokens(text) {
            if matcher.try_consume_tokens(&[token]).expect("a sound matcher") == 0 {
                return (&text[..at], matcher.is_accepting().expect("a sound matcher"));
            }
        }
        (text, matcher.is_accepting().expect("a sound matcher"))
    }
}

fn functions() -> Vec<Callable> {
    let function = |name: &str, parameters: Value| Callable { name: name.to_owned(), parameters };
    vec![
        function(
            "get_weather",
            json!({"type": "object", "properties": {"location": {"type": "string"}, "days": {"type": "integer"}},
                   "required": ["location"], "additionalProperties": false}),
        ),
        function("get", json!({"type": "object", "properties": {}, "additionalProperties": false})),
    ]
}

const OTHER_ANSWER: &str = r#"{"type": "object", "properties": {"name": {"type": "string"}, "n": {"type": "array", "items": {"type": "integer"}}}, "required": ["name", "n"], "additionalProperties": false}"#;

fn constraint(dialect: &str, calls: Calls, has_schema: bool, tail: &str) -> Constraint {
    let schema: Value = serde_json::from_str(OTHER_ANSWER).expect("JSON");
    template(dialect).constraint(&functions(), calls, has_schema.then_some(&schema), tail).expect("a constraint")
}

/// All of these are accepted, and may end.
#[track_caller]
fn check_accepted(constraint: &Constraint, texts: &[&str]) {
    for vocabulary in [&SPELLED, &SPECIAL] {
        let matcher = vocabulary.matcher(constraint);
        for text in texts {
            assert_eq!(vocabulary.accepted(&matcher, text), (*text, true), "{}", constraint.grammar);
        }
    }
}

/// Each of these is accepted up to `¦`, and the next byte is not.
#[track_caller]
fn check_stopped(constraint: &Constraint, texts: &[&str]) {
    for vocabulary in [&SPELLED, &SPECIAL] {
        let matcher = vocabulary.matcher(constraint);
        for text in texts {
            let (before, after) = text.split_once('¦').expect("a place");
            let whole = format!("{before}{after}");
            assert_eq!(vocabulary.accepted(&matcher, &whole).0, before, "{}", constraint.grammar);
        }
    }
}

const TAGGED: [&str; 2] = ["chatml", "qwen3"];

#[test]
fn free_answers_may_say_anything_and_call() {
    for dialect in TAGGED {
        let constraint = constraint(dialect, Calls::Allowed, false, "<|im_start|>assistant\n");
        check_accepted(
            &constraint,
            &[
                "",
                "Plain text, é and {braces} [1] `code`.\n",
                "  \n",
                r#"Someone: {"name": "Alice", "arguments": {}}"#,
                r#"{"name": "get_weather_of_today"} and {"name": "ge"#,
                "```json\n{\"a\": [1, 2]}\n```\n",
                "<think>Hm. {\"name\": \"get\"}</think>\n\nText.",
                "<think>Hm.</think><tool_call>\n{\"name\": \"get\", \"arguments\": {}}\n</tool_call>",
                "\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"location\": \"Paris\", \"days\": 2}}\n</tool_call>\n",
                "Well.\n<tool_call>{\"name\":\"get\",\"arguments\":{}}</tool_call>",
                "<tool_call>\n{\"name\": \"get\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": \"get\", \"arguments\": {}}\n</tool_call>",
                r#"{"name": "get_weather", "arguments": {"location": "Paris"}}"#,
                "Sure:\n\n```json\n{\"name\": \"get_weather\", \"arguments\": {\"location\": \"Paris\"}}\n```",
                "```json\n[\n  {\"name\": \"get\", \"arguments\": {}},\n  {\"name\": \"get\", \"arguments\": {}}\n]\n```\n",
                "{\n  \"name\": \"get\",\n  \"arguments\": {}\n}\n{\"name\": \"get\", \"arguments\": {}}",
                "```json\n{\"name\": \"get\", \"arguments\": {}}\n```\n\n```json\n{\"name\": \"get\", \"arguments\": {}}\n```",
            ],
        );
        check_stopped(
            &constraint,
            &[
                "<tool_call>\n{\"name\": \"get_¦time\"",
                "<tool_call>\n¦no",
                "<tool_call>\n{\"name\": \"get\", \"arguments\": {¦\"a\": 1}}",
                "Text <tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"lo¦nger\"",
                r#"Hm {"name": "get_weather", "arguments": {"location": ¦1}}"#,
                r#"Hm {"name": "get_weather", "arguments": {"location": "", "days": ¦"two"}}"#,
                r#"{"name": "get_weather", "arguments": {¦}}"#,
                r#"{"name": "get_weather"¦}"#,
                r#"{"name": "get", "arguments": {}¦, "id"#,
                "```json\n{\"name\": \"get\", \"arguments\": {}}\n```\n¦So",
            ],
        );
    }
}

#[test]
fn a_required_call_is_the_model_s_own_and_nothing_else() {
    for dialect in TAGGED {
        let constraint = constraint(dialect, Calls::Required, true, "<|im_start|>assistant\n");
        let call = "<tool_call>\n{\"name\": \"get\", \"arguments\": {}}\n</tool_call>";
        check_accepted(&constraint, &[call, &[call; 2].join("\n"), &[call; 16].join("\n")]);
        check_stopped(
            &constraint,
            &["¦Text", "¦{\"name\"", &format!("{call}\n¦Text"), &format!("{}\n¦{call}", [call; 16].join("\n"))],
        );
    }
    let thinking = constraint("qwen3", Calls::Required, false, "");
    check_accepted(
        &thinking,
        &["<think>\nHm.\n</think>\n\n<tool_call>\n{\"name\": \"get\", \"arguments\": {}}\n</tool_call>"],
    );
    let opened = constraint("deepseek_r1", Calls::Required, false, "<think>\n");
    check_accepted(&opened, &["Hm.\n</think>\n\n<tool_call>\n{\"name\": \"get\", \"arguments\": {}}\n</tool_call>"]);
}

#[test]
fn an_answer_that_may_not_call_cannot_even_say_what_looks_like_a_call() {
    for dialect in TAGGED {
        let constraint = constraint(dialect, Calls::Forbidden, false, "");
        check_accepted(&constraint, &["", "It is <b>sunny</b>.", "{\"key\": \"name\"} and <tool_box>"]);
        for vocabulary in [&SPELLED, &SPECIAL] {
            let matcher = vocabulary.matcher(&constraint);
            let said = vocabulary.accepted(&matcher, "Sunny.\n<tool_call>\n{").0;
            assert!(!said.contains("<tool_call>"), "{said}");
            let said = vocabulary.accepted(&matcher, "{\"name\": \"get\", \"arguments\": {}}").0;
            assert!(!said.contains("get"), "{said}");
        }
    }
}

#[test]
fn an_answer_after_a_program_begins_with_none() {
    for dialect in TAGGED {
        let constraint = constraint(dialect, Calls::Finished, false, "");
        check_accepted(&constraint, &["", "```\n0\n1\n```", "`a.txt` holds:\n```python\nprint(1)\n```", "python"]);
        for vocabulary in [&SPELLED, &SPECIAL] {
            let matcher = vocabulary.matcher(&constraint);
            for text in ["```python\nprint(1)", "\n```bash\nls", "<tool_call>"] {
                let said = vocabulary.accepted(&matcher, text).0;
                assert!(!["python", "bash", "call>"].iter().any(|end| said.contains(end)), "{said}");
            }
            for text in ["```\n```", "\n```text\n\n```"] {
                assert_ne!(vocabulary.accepted(&matcher, text).0, text, "a block of nothing");
            }
        }
    }
}

#[test]
fn an_answer_of_a_schema_is_json_and_calls_are_free() {
    let answer = r#"{"name": "Alice", "n": [1]}"#;
    for dialect in TAGGED {
        let only = constraint(dialect, Calls::None, true, "");
        check_accepted(&only, &[answer]);
        check_stopped(&only, &["¦Text", "¦[", "¦```json", r#"{"name": "get", "¦arguments""#]);
        let both = constraint(dialect, Calls::Allowed, true, "");
        check_accepted(
            &both,
            &[
                answer,
                "<tool_call>\n{\"name\": \"get\", \"arguments\": {}}\n</tool_call>",
                r#"{"name": "get", "arguments": {}}"#,
                r#"[{"name": "get", "arguments": {}}, {"name": "get", "arguments": {}}]"#,
                "```json\n{\"name\": \"get_weather\", \"arguments\": {\"location\": \"\"}}\n```",
            ],
        );
        check_stopped(&both, &["¦Text", "{\"name\": \"Alice\", \"¦arguments\"", "<tool_call>\n{\"name\": \"¦Alice\""]);
    }
    check_accepted(&constraint("qwen3", Calls::None, true, ""), &[&format!("<think>\nHm.\n</think>\n\n{answer}")]);
    check_accepted(&constraint("deepseek_r1", Calls::None, true, "<think>\n"), &[&format!("Hm.</think>{answer}")]);
    check_stopped(&constraint("deepseek_r1", Calls::None, true, "<think>\n"), &["Hm.</think>¦No"]);
}

#[test]
fn every_form_has_its_grammar() {
    for (dialect, forms) in [
        (
            "llama_tools",
            &[
                r#"{"name": "get_weather", "parameters": {"location": "Paris"}}"#,
                r#"{"name": "get", "parameters": {}}; {"name": "get", "parameters": {}}"#,
                r#"<|python_tag|>{"name": "get", "parameters": {}}"#,
            ][..],
        ),
        (
            "mistral_list",
            &[
                r#"[TOOL_CALLS] [{"name": "get_weather", "arguments": {"location": "Paris"}}]"#,
                r#"[TOOL_CALLS][{"name": "get", "arguments": {}}, {"name": "get", "arguments": {}}]"#,
            ],
        ),
        (
            "mistral_tools",
            &[
                r#"[TOOL_CALLS]get_weather[ARGS]{"location": "Paris"}"#,
                "[TOOL_CALLS]get[ARGS]{}[TOOL_CALLS]get[ARGS]{}",
            ],
        ),
        (
            "deepseek_tools",
            &["<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get<｜tool▁sep｜>{}<｜tool▁call▁end｜>\
               <｜tool▁call▁begin｜>get<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>"],
        ),
        (
            "deepseek_fenced",
            &[
                "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get\n```json\n{}\n```<｜tool▁call▁end｜>\n\
               <｜tool▁call▁begin｜>function<｜tool▁sep｜>get\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
            ],
        ),
        (
            "qwen3_coder",
            &[
                "<tool_call>\n<function=get>\n</function>\n</tool_call>",
                "<tool_call>\n<function=get_weather>\n<parameter=location>\n\n Paris \"é\" </p>\n\n</parameter>\n\
                 <parameter=days>\n2\n</parameter>\n</function>\n</tool_call>\n\
                 <tool_call>\n<function=get_weather>\n<parameter=location>\n\n</parameter>\n</function>\n</tool_call>",
            ],
        ),
        (
            "glm",
            &[
                "<tool_call>get\n</tool_call>",
                "<tool_call>get</tool_call>",
                "<tool_call>get_weather\n<arg_key>location</arg_key>\n<arg_value> Paris </b>\n</arg_value>\n\
                 <arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>\n\
                 <tool_call>get_weather\n<arg_key>location</arg_key>\n<arg_value></arg_value>\n</tool_call>",
            ],
        ),
        (
            "harmony",
            &[
                "<|channel|>commentary to=functions.get <|constrain|>json<|message|>{}",
                "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant\
                 <|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{\"location\": \"Paris\"}",
            ],
        ),
    ] {
        for calls in [Calls::Required, Calls::Allowed] {
            for has_schema in [false, true] {
                check_accepted(&constraint(dialect, calls, has_schema, "<|start|>assistant"), forms);
            }
        }
    }
    let harmony = |calls, has_schema| constraint("harmony", calls, has_schema, "<|start|>assistant");
    let preamble = "<|channel|>commentary<|message|>Wait.<|end|><|start|>assistant";
    let call = "<|channel|>commentary to=functions.get <|constrain|>json<|message|>{}";
    check_accepted(&harmony(Calls::Allowed, false), &["<|channel|>final<|message|>Hi.", &format!("{preamble}{call}")]);
    check_stopped(&harmony(Calls::Required, false), &["<|channel|>¦final<|message|>Hi."]);
    check_accepted(&harmony(Calls::None, true), &["<|channel|>final<|message|>{\"name\": \"\", \"n\": []}"]);
    check_stopped(
        &harmony(Calls::None, true),
        &["<|channel|>final<|message|>¦Hi", "<|channel|>¦commentary to=functions.get"],
    );
    check_stopped(
        &constraint("mistral_tools", Calls::Allowed, false, ""),
        &["Hm [TOOL_CALLS]get_¦time", "[TOOL_CALLS]get[ARGS]{¦\"", "[TOOL_CALLS]get_weather[ARGS]{\"location\": ¦1"],
    );
}

#[test]
fn arguments_in_tags_follow_their_schema() {
    let schema = json!({
        "x-guidance": {"whitespace_pattern": "\\x20"},
        "type": "object",
        "properties": {
            "unit": {"$ref": "#/$defs/unit"},
            "at": {"type": "array", "items": {"$ref": "#/$defs/number"}, "maxItems": 2},
            "note": {"type": "string", "minLength": 1, "maxLength": 3},
            "never": false,
        },
        "required": ["unit"],
        "additionalProperties": false,
        "$defs": {"unit": {"type": "string", "enum": ["C", "F", "C F"]}, "number": {"type": "integer"}},
    });
    let schema = [Callable { name: "f".to_owned(), parameters: schema }];
    for (dialect, [before_key, before_value, after_value], [begin, end]) in [
        (
            "qwen3_coder",
            ["<parameter=", ">\n", "\n</parameter>\n"],
            ["<tool_call>\n<function=f>\n", "</function>\n</tool_call>"],
        ),
        ("glm", ["<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>\n"], ["<tool_call>f\n", "</tool_call>"]),
    ] {
        let constraint = template(dialect).constraint(&schema, Calls::Allowed, None, "").expect("a constraint");
        let part = |key: &str, value: &str| format!("{before_key}{key}{before_value}{value}{after_value}");
        let unit = part("unit", "C F");
        let whole = [begin, &unit, &part("at", "[1, 2]"), &part("note", "é\n<"), end].concat();
        check_accepted(&constraint, &[&whole, &[begin, &unit, end].concat(), &format!("Hm. {whole}\n{whole}")]);
        let close = after_value.trim_end();
        check_stopped(
            &constraint,
            &[
                &format!("{begin}{before_key}¦at"),
                &format!("{begin}{before_key}unit{before_value}¦K"),
                &format!("{begin}{before_key}unit{before_value}C¦C"),
                &format!("{begin}{unit}{before_key}n¦ever"),
                &format!("{begin}{unit}{before_key}¦unit"),
                &format!("{begin}{unit}{before_key}at{before_value}[1, ¦x"),
                &format!("{begin}{unit}{before_key}note{before_value}abc¦d"),
            ],
        );
        // In ordinary tokens the closing is one, too.
        let matcher = SPECIAL.matcher(&constraint);
        let spelled = format!("{unit}{before_key}note{before_value}").replacen(begin, "", 1);
        let mut matcher = matcher.deep_clone();
        for (_, token) in SPECIAL.tokens(&format!("{begin}{spelled}")) {
            assert_eq!(matcher.try_consume_tokens(&[token]).expect("a sound matcher"), 1);
        }
        let raw: Vec<u32> = format!("a{close}b").bytes().map(u32::from).collect();
        assert_eq!(matcher.try_consume_tokens(&raw).expect("a sound matcher"), raw.len() - 1);
        // Not shorter than its schema has it, either.
        for vocabulary in [&SPELLED, &SPECIAL] {
            let short = format!("{begin}{unit}{before_key}note{before_value}{close}");
            assert_ne!(vocabulary.accepted(&vocabulary.matcher(&constraint), &short).0, short);
        }
    }
}

#[test]
fn functions_that_do_not_fit_into_tags_are_called_with_json() {
    let plain = json!({"type": "object", "properties": {}, "additionalProperties": false});
    for schema in [
        json!({"type": "object"}),
        json!({"type": "object", "patternProperties": {"a": {}}, "additionalProperties": false}),
        json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "^b$"}}, "additionalProperties": false}),
        json!({"type": "object", "properties": {"a <b": {"type": "string"}}, "additionalProperties": false}),
        json!({"type": "object", "properties": {"a": {"enum": ["</parameter></arg_value>"]}}, "additionalProperties": false}),
        json!({"anyOf": [&plain, &plain]}),
        json!({"$ref": "#"}),
    ] {
        let function =
            |name: &str, parameters: &Value| Callable { name: name.to_owned(), parameters: parameters.clone() };
        let callable = [function("f", &plain), function("g", &schema)];
        let call = "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>";
        for dialect in ["qwen3_coder", "glm"] {
            let template = template(dialect);
            if schema.get("$ref").is_none() {
                let constraint = template.constraint(&callable, Calls::Required, None, "").expect("a constraint");
                check_accepted(&constraint, &[call]);
            }
            let mut parser = template.parser("", Vec::new(), callable.to_vec());
            assert_eq!(
                parser.push(call),
                [
                    Output::CallStarted { name: "f".to_owned() },
                    Output::CallArguments("{}".to_owned()),
                    Output::CallEnded
                ],
                "{schema}"
            );
        }
    }
}

#[test]
fn without_functions_and_schema_anything_goes() {
    for fixture in FIXTURES.iter() {
        assert_eq!(fixture.template.constraint(&functions(), Calls::None, None, ""), None);
        assert_eq!(fixture.template.constraint(&[], Calls::Allowed, None, ""), None);
        assert_eq!(fixture.template.constraint(&[], Calls::Required, None, ""), None);
    }
}

#[test]
fn a_strange_name_does_not_break_the_grammar() {
    for name in ["a\"b", "\u{7f}\n\\", "/é/", "}\n start: TEXT", "i"] {
        let callable = [Callable { name: name.to_owned(), parameters: json!({"type": "object"}) }];
        for dialect in ["mistral_tools", "harmony"] {
            SPELLED.matcher(&template(dialect).constraint(&callable, Calls::Allowed, None, "").expect("a constraint"));
        }
        let constraint = template("chatml").constraint(&callable, Calls::Allowed, None, "").expect("a constraint");
        let call = format!("{{\"name\": {}, \"arguments\": {{}}}}", Value::from(name));
        check_accepted(&constraint, &[&call]);
    }
}

#[test]
fn many_functions_are_no_harder_than_one() {
    let properties = json!({
        "text": {"type": "string", "maxLength": 2000},
        "more": {"type": "string", "minLength": 1, "maxLength": 1999},
        "list": {"type": "array", "items": {"type": "string"}},
    });
    let parameters = json!({"type": "object", "properties": properties, "additionalProperties": false});
    let function = |index| Callable { name: format!("function_{index}"), parameters: parameters.clone() };
    let callable: Vec<_> = (0..128).map(function).collect();
    for (dialect, texts) in [
        ("chatml", ["Hm {\"name\": \"function_127\", \"arguments\": {}}", "{\"name\": \"function_128\"}"]),
        (
            "qwen3_coder",
            [
                "<tool_call>\n<function=function_127>\n<parameter=text>\na\n</parameter>\n</function>\n</tool_call>",
                "<function=function_128>",
            ],
        ),
        (
            "glm",
            [
                "<tool_call>function_127\n<arg_key>more</arg_key>\n<arg_value>a</arg_value>\n</tool_call>",
                "function_128",
            ],
        ),
    ] {
        let constraint = template(dialect).constraint(&callable, Calls::Allowed, None, "").expect("a constraint");
        for vocabulary in [&SPELLED, &SPECIAL] {
            vocabulary.matcher(&constraint).compute_mask().expect("a mask");
        }
        check_accepted(&constraint, &texts);
        let long = "é</par</arg_v\n\n".repeat(120);
        let long = texts[0].replace("\na\n", &format!("\n{long}\n")).replace(">a<", &format!(">{long}<"));
        check_accepted(&constraint, &[&long]);
    }
}

/// Chance that a test can repeat.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}

/// Follows a grammar by chance after `begun`, for short strings and few digits; `None`
/// when that did not come to an end.
fn walk(vocabulary: &Vocabulary, constraint: &Constraint, begun: &str, chance: &mut Chance) -> Option<String> {
    let mut matcher = vocabulary.matcher(constraint);
    let mut bytes = Vec::new();
    let begun: Vec<u32> = vocabulary.tokens(begun).into_iter().map(|(_, token)| token).collect();
    let push = |bytes: &mut Vec<u8>, token: u32| match u8::try_from(token) {
        Ok(byte) => bytes.push(byte),
        Err(_) => {
            let index = usize::try_from(token - END - 1).expect("a special token");
            bytes.extend(vocabulary.special[index].as_bytes());
        }
    };
    for &token in &begun {
        // Not every beginning suits every dialect.
        if matcher.try_consume_tokens(&[token]).expect("a sound matcher") == 0 {
            break;
        }
        push(&mut bytes, token);
    }
    for _ in 0..400 {
        if matcher.is_stopped() || (matcher.is_accepting().expect("a sound matcher") && chance.below(4) == 0) {
            return String::from_utf8(bytes).ok();
        }
        let mask = matcher.compute_mask().expect("a mask");
        let allowed: Vec<u32> = (0..mask.len())
            .map(|token| u32::try_from(token).expect("small"))
            .filter(|&token| token != END && mask.is_allowed(token))
            .collect();
        let closers: Vec<u32> = allowed
            .iter()
            .copied()
            .filter(|&token| {
                token > END || matches!(u8::try_from(token), Ok(b'"' | b'}' | b'{' | b']' | b'<' | b'>' | b'/'))
            })
            .collect();
        let choice = if chance.below(3) > 0 && !closers.is_empty() { &closers } else { &allowed };
        let Some(&token) = choice.get(chance.below(choice.len().max(1))) else {
            return matcher.is_accepting().expect("a sound matcher").then(|| String::from_utf8(bytes).ok()).flatten();
        };
        matcher.consume_token(token).expect("an allowed token");
        push(&mut bytes, token);
    }
    None
}

const BEGINNINGS: [&str; 16] = [
    "",
    "Well, ",
    "<think>",
    "<tool_call>\n{\"name\": \"get",
    "{\"name\": \"get_weather\"",
    "```json\n[{\"name\": \"get\", ",
    "{\"name\": \"get\", \"arguments\": {}}",
    "Well: [{\"function\": {\"name\": \"get\", \"arguments\": {}}}",
    "{\"name\": \"get\", \"parameters\": {}}\n```",
    "[TOOL_CALLS]",
    "<｜tool▁calls▁begin｜>",
    "<|channel|>commentary to=",
    "<tool_call>\n<function=get",
    "<tool_call>\n<function=get_weather>\n<parameter=location>\na\n</parameter>\n<",
    "<tool_call>get",
    "Well\n<tool_call>get_weather\n<arg_key>location</arg_key>\n<arg_value>a</arg_value>\n<",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_grammar_accepts_is_read_and_its_calls_come_last(
        fixture in 0..FIXTURES.len(),
        seed in any::<u64>(),
        begun in prop::sample::select(BEGINNINGS.to_vec()),
        calls in prop::sample::select(vec![Calls::Allowed, Calls::Required]),
        has_schema in any::<bool>(),
        is_special in any::<bool>(),
    ) {
        let fixture = &FIXTURES[fixture];
        let vocabulary = if is_special { &SPECIAL } else { &SPELLED };
        let tail = if fixture.name == "harmony" { "<|start|>assistant" } else { "" };
        let constraint = constraint(fixture.name, calls, has_schema, tail);
        if let Some(text) = walk(vocabulary, &constraint, begun, &mut Chance(seed)) {
            let mut parser = fixture.template.parser(tail, Vec::new(), functions());
            let mut outputs = parser.push(&text);
            outputs.extend(parser.finish());
            let mut arguments = String::new();
            let mut name = String::new();
            let mut count = 0;
            for output in outputs {
                match output {
                    Output::Thought(_) => {}
                    Output::Text(_) => {
                        prop_assert!(calls == Calls::Allowed && name.is_empty(), "{} {text:?}", fixture.name);
                    }
                    Output::CallStarted { name: called } => (name, arguments) = (called, String::new()),
                    Output::CallArguments(more) => arguments.push_str(&more),
                    Output::CallEnded => {
                        count += 1;
                        let arguments: Value = serde_json::from_str(&arguments).expect("JSON");
                        let conforms = match name.as_str() {
                            "get" => arguments == json!({}),
                            _ => arguments["location"].is_string()
                                && arguments.as_object().is_some_and(|object| object.keys().all(|key| key == "location" || key == "days"))
                                && (arguments["days"].is_null() || arguments["days"].is_i64() || arguments["days"].is_number()),
                        };
                        prop_assert!(conforms, "{} {text:?}", fixture.name);
                    }
                    Output::Malformed(message) => prop_assert!(false, "{}: {message}: {text:?}", fixture.name),
                }
            }
            prop_assert!(calls == Calls::Allowed || count > 0, "{} {text:?}", fixture.name);
        }
    }
}
