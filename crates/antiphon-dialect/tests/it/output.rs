//! What the parser yields does not depend on where the text was cut.

use std::sync::LazyLock;

use antiphon_dialect::{Callable, ChatTemplate, Output};
use proptest::prelude::*;
use serde_json::json;

/// Words by which a dialect is known, in a template that says nothing else of it.
const TEMPLATES: [&str; 11] = [
    "",
    "<thought>",
    "[THINK]",
    "<|channel|><|message|>",
    "<|start_header_id|><|python_tag|>",
    "[TOOL_CALLS]",
    "[TOOL_CALLS][ARGS]",
    "<｜tool▁calls▁begin｜>```json",
    "<｜tool▁calls▁begin｜>",
    "<function=<parameter=",
    "<arg_key><arg_value>",
];
static COMPILED: LazyLock<[ChatTemplate; 11]> = LazyLock::new(|| {
    TEMPLATES.map(|words| {
        let source = format!("{{% for m in messages %}}{{{{ m.content }}}}{{% endfor %}}{{# {words} #}}");
        ChatTemplate::compile(&source, "", "").expect(words)
    })
});

const TAILS: [&str; 4] = ["", "<think>\n", "[THINK]", "<|start|>assistant<|channel|>analysis<|message|>"];

/// Texts made of what the parser looks for, of halves of it, and of anything.
fn generated() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "<think>", "</think>", "<thought>", "</thought>", "[THINK]", "[/THINK]", "<|start|>assistant", "<|end|>",
            "<|channel|>analysis<|message|>", "<|channel|>final<|message|>", "<|channel|>", "<thi", "</", "[/",
            " ", "\n\n", "a", "ab", "abc", "b", "é", "<tool_call>", "</tool_call>", "{\"name\": \"f\"", "{", "}", "[", "]",
            "\"name\":\"f\"", ", \"arguments\": {\"a\": \"é}\"}", ", \"parameters\":", "{}", "}", ",", ";", "```", "```json\n",
            "{\"name\": \"f\", \"arguments\": {}}", "[TOOL_CALLS]", "f[ARGS]{}", "<|python_tag|>", "<|call|>", "f",
            "commentary to=functions.f <|constrain|>json<|message|>{\"a\":1}", "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>",
            "<｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{}\n```<｜tool▁call▁end｜>",
            "<｜tool▁call▁begin｜>f<｜tool▁sep｜>{}<｜tool▁call▁end｜>",
            "<tool_call>\n<function=f>\n<parameter=a>\n", "<parameter=b>\n", "1\n</parameter>\n", "\n</parameter>\n",
            "</function>\n</tool_call>", "<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>", "1</arg_value>\n</tool_call>",
            "</arg_value>\n<arg_key>b</arg_key>\n<arg_value>", "\n</par", "</arg_",
        ]).prop_map(str::to_owned),
        1 => ".{0,3}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn stops() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[ab é<\n]{0,3}", 0..3)
}

/// All thoughts, all texts, the kinds in their order, and whether a stop sequence came.
fn parse(template: &str, tail: &str, stop: &[String], pieces: &[&str]) -> (Vec<Output>, bool) {
    parse_calls(template, tail, stop, &[], pieces)
}

fn parse_calls(template: &str, tail: &str, stop: &[String], callable: &[&str], pieces: &[&str]) -> (Vec<Output>, bool) {
    let template = &COMPILED[TEMPLATES.iter().position(|known| *known == template).expect("a known template")];
    let properties = json!({"a": {"type": "string"}, "b": {"type": "object"}});
    let parameters = json!({"type": "object", "properties": properties, "additionalProperties": false});
    let function = |&name: &&str| Callable { name: name.to_owned(), parameters: parameters.clone() };
    let mut parser = template.parser(tail, stop.to_vec(), callable.iter().map(function).collect());
    let mut outputs: Vec<Output> = pieces.iter().flat_map(|piece| parser.push(piece)).collect();
    outputs.extend(parser.finish());
    let mut joined: Vec<Output> = Vec::new();
    for output in outputs {
        match (joined.last_mut(), output) {
            (Some(Output::Thought(last)), Output::Thought(text))
            | (Some(Output::Text(last)), Output::Text(text))
            | (Some(Output::CallArguments(last)), Output::CallArguments(text)) => last.push_str(&text),
            (_, output) => joined.push(output),
        }
    }
    (joined, parser.stopped())
}

fn cut(text: &str, cuts: &[prop::sample::Index]) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(characters.len() + 1)).collect();
    ends.extend([0, characters.len()]);
    ends.sort_unstable();
    ends.windows(2).map(|ends| characters[ends[0]..ends[1]].iter().collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cuts_do_not_matter(
        template in prop::sample::select(TEMPLATES.to_vec()),
        tail in prop::sample::select(TAILS.to_vec()),
        stop in stops(),
        text in generated(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let pieces = cut(&text, &cuts);
        let pieces: Vec<_> = pieces.iter().map(String::as_str).collect();
        for callable in [&[][..], &["f", "g"]] {
            prop_assert_eq!(
                parse_calls(template, tail, &stop, callable, &pieces),
                parse_calls(template, tail, &stop, callable, &[&text]),
            );
        }
    }

    #[test]
    fn no_stop_sequence_is_shown(
        stop in stops(),
        text in generated(),
    ) {
        let (outputs, stopped) = parse("", "", &stop, &[&text]);
        let visible: String = outputs.iter().map(|output| match output {
            Output::Text(text) => text.as_str(),
            _ => "",
        }).collect();
        for sequence in stop.iter().filter(|sequence| !sequence.is_empty()) {
            prop_assert!(!visible.contains(sequence.as_str()));
        }
        let without = parse("", "", &[], &[&text]).0;
        if !stopped {
            prop_assert_eq!(outputs, without);
        }
    }

    #[test]
    fn text_without_markers_comes_out_whole(
        template in prop::sample::select(TEMPLATES.to_vec()),
        text in "[^<\\[]{0,40}",
        callable in prop::sample::select(vec![&[][..], &["f"]]),
    ) {
        let expected: Vec<Output> = [text.clone()].into_iter().filter(|text| !text.is_empty()).map(Output::Text).collect();
        prop_assert_eq!(parse_calls(template, "", &[], callable, &[&text]).0, expected);
    }
}
