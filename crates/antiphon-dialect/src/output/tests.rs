use pretty_assertions::assert_eq;

use super::*;

const THINK: &str = "<think>";

fn parser(template: &str, prompt_tail: &str, stop: &[&str]) -> OutputParser {
    calling_parser(template, prompt_tail, stop, &[])
}

fn calling_parser(template: &str, prompt_tail: &str, stop: &[&str], callable: &[&str]) -> OutputParser {
    let stop = stop.iter().map(|&sequence| sequence.to_owned()).collect();
    OutputParser::new(
        Reasoning::of_template(template).0,
        CallFormat::of_template(template),
        prompt_tail,
        stop,
        callable.iter().map(|&name| Callable { name: name.to_owned(), parameters: parameters() }).collect(),
    )
}

fn parameters() -> serde_json::Value {
    serde_json::json!({
        "type": "object",
        "properties": {
            "a": {"type": "integer"}, "s": {"type": "string"}, "e": {"enum": ["x", "y z"]}, "o": {"type": "object"},
        },
        "additionalProperties": false,
    })
}

/// The outputs of all pieces: thoughts in (), calls in <>, what is malformed after !.
fn show(mut parser: OutputParser, pieces: &[&str]) -> String {
    let mut all = Outputs::default();
    for outputs in
        pieces.iter().map(|piece| parser.push(piece)).collect::<Vec<_>>().into_iter().chain([parser.finish()])
    {
        for output in outputs {
            match output {
                Output::Thought(text) => all.thought(&text),
                Output::Text(text) => all.text(text),
                call => all.call(call),
            }
        }
    }
    all.0
        .iter()
        .map(|output| match output {
            Output::Thought(text) => format!("({text})"),
            Output::Text(text) => text.clone(),
            Output::CallStarted { name } => format!("<{name} "),
            Output::CallArguments(text) => text.clone(),
            Output::CallEnded => ">".to_owned(),
            Output::Malformed(message) => format!("!{message}"),
        })
        .collect()
}

/// Whole and one character at a time.
#[track_caller]
fn check(template: &str, prompt_tail: &str, stop: &[&str], generated: &str, expected: &str) {
    assert_eq!(show(parser(template, prompt_tail, stop), &[generated]), expected);
    let characters: Vec<_> = generated.split("").collect();
    assert_eq!(show(parser(template, prompt_tail, stop), &characters), expected);
}

#[test]
fn thought_and_text_are_told_apart() {
    for (open, close) in [
        ("<think>", "</think>"),
        ("<thought>", "</thought>"),
        ("<reasoning>", "</reasoning>"),
        ("[THINK]", "[/THINK]"),
        ("<seed:think>", "</seed:think>"),
    ] {
        let generated = format!("\n{open}\n 1 + 1 \n\nis 2\n{close}\n\nTwo.\n");
        check(open, "", &[], &generated, "(1 + 1 \n\nis 2)Two.\n");
    }
}

#[test]
fn any_model_may_begin_with_think() {
    check("", "", &[], "<think>hm</think> Yes", "(hm)Yes");
    check("[THINK]", "", &[], "<think>hm</think> Yes", "(hm)Yes");
    check("[THINK]", "", &[], "<thought>hm</thought> Yes", "<thought>hm</thought> Yes");
}

#[test]
fn thoughts_come_before_the_text() {
    check(THINK, "", &[], "<think>a</think>\n<think>b</think>c", "(ab)c");
    check(THINK, "", &[], "Use <think>this</think>.", "Use <think>this</think>.");
    check(THINK, "", &[], "<think>a <think> b</think>c</think>", "(a <think> b)c</think>");
}

#[test]
fn a_thought_may_be_empty_or_unclosed() {
    check(THINK, "", &[], "<think>\n\n</think>\n\nYes", "Yes");
    check(THINK, "", &[], "<think>\n\n</think>\n\n", "");
    check(THINK, "", &[], "<think> so far </thi", "(so far </thi)");
    check(THINK, "", &[], "<think>", "");
}

#[test]
fn the_prompt_may_have_opened_the_thought() {
    check(THINK, "<|assistant|><think>\n", &[], "hm\n</think>\n\nYes", "(hm)Yes");
    check(THINK, "<|assistant|><think>\n\n</think>\n\n", &[], "Yes", "Yes");
    check(THINK, "say <think>: <|assistant|>\n", &[], "Yes</think>", "Yes</think>");
}

#[test]
fn text_without_markers_stays_as_it_is() {
    for text in ["", " ", "  indented\n", "<", "<thi", " <thin ", "<thinking>", "</think>", "a < b"] {
        check(THINK, "", &[], text, text);
    }
}

#[test]
fn harmony_channels_are_told_apart() {
    let template = "<|channel|> <|message|>";
    check(
        template,
        "<|start|>assistant",
        &[],
        "<|channel|>analysis<|message|> hm \n<|end|><|start|>assistant<|channel|>commentary<|message|>Wait<|end|>\
         <|start|>assistant<|channel|>analysis<|message|>ah<|end|><|start|>assistant<|channel|>final<|message|>Yes",
        "(hm)Wait(ah)Yes",
    );
    check(template, "<|start|>assistant<|channel|>final<|message|>", &[], "Yes<|end|>", "Yes");
    check(template, "<|start|>assistant", &[], "Plain", "Plain");
    check(template, "<|start|>assistant", &[], "<|channel|>analysis<|message|>hm<|end|><|start|>assi", "(hm)");
    check(template, "<|start|>assistant", &[], "<|channel|>anal", "");
}

#[test]
fn a_stop_sequence_cuts_the_visible_text() {
    check("", "", &["END"], "one END two END", "one ");
    check("", "", &["END"], "one EN", "one EN");
    check("", "", &["é"], "caf\u{e9} noir", "caf");
    check("", "", &["\n\n"], "\n\nHello", "");
    check("", "", &[""], "Hello", "Hello");
    check("", "", &["aab"], "aaab", "a");
}

#[test]
fn the_stop_sequence_complete_first_wins_and_the_longest_of_equals() {
    check("", "", &["bcd", "de"], "abcde", "a");
    check("", "", &["abcd", "bc"], "abcd", "a");
    check("", "", &["c", "bc"], "abcd", "a");
}

#[test]
fn thoughts_are_not_stopped() {
    check(THINK, "", &["b"], "<think>a b c</think>a b c", "(a b c)a ");
    let mut parser = parser("<|channel|><|message|>", "", &["b"]);
    let all = "<|channel|>final<|message|>a b<|end|><|channel|>analysis<|message|>c";
    assert_eq!(parser.push(all), [Output::Text("a ".to_owned())]);
    assert!(parser.stopped());
    assert_eq!(parser.push("more"), []);
    assert_eq!(parser.finish(), []);
}

#[test]
fn text_is_shown_as_soon_as_it_is_certain() {
    let mut parser = parser(THINK, "", &["stop"]);
    assert_eq!(parser.push("<think>a "), [Output::Thought("a".to_owned())]);
    assert_eq!(parser.push("b<"), [Output::Thought(" b".to_owned())]);
    assert_eq!(parser.push("c"), [Output::Thought("<c".to_owned())]);
    assert_eq!(parser.push("</think>\nd s"), [Output::Text("d ".to_owned())]);
    assert_eq!(parser.push("t"), []);
    assert_eq!(parser.push("ep "), [Output::Text("step ".to_owned())]);
    assert!(!parser.stopped());
}

#[test]
fn markers_are_those_of_the_template() {
    let markers = |template| Reasoning::of_template(template).0.markers();
    assert_eq!(markers("no reasoning"), ["<think>", "</think>"]);
    assert_eq!(markers("'[THINK]'"), ["[THINK]", "[/THINK]", "<think>", "</think>"]);
    assert_eq!(markers("'<|channel|>analysis<|message|>'"), ["<|start|>", "<|channel|>", "<|message|>", "<|end|>"]);
}

const HERMES: &str = "";
const LLAMA: &str = "<|start_header_id|> <|python_tag|>";
const MISTRAL_LIST: &str = "[TOOL_CALLS]";
const MISTRAL_NAMED: &str = "[TOOL_CALLS] [ARGS]";
const DEEPSEEK_FENCED: &str = "<｜tool▁calls▁begin｜> ```json";
const DEEPSEEK_PLAIN: &str = "<｜tool▁calls▁begin｜>";
const HARMONY: &str = "<|channel|> <|message|>";
const QWEN_TAGGED: &str = "<function= <parameter=";
const GLM_TAGGED: &str = "<arg_key> <arg_value>";

/// As `check`, with two functions that may be called.
#[track_caller]
fn check_calls(template: &str, generated: &str, expected: &str) {
    let parser = || calling_parser(template, "", &[], &["f", "get_weather"]);
    assert_eq!(show(parser(), &[generated]), expected);
    let characters: Vec<_> = generated.split("").collect();
    assert_eq!(show(parser(), &characters), expected);
}

#[test]
fn calls_in_tags_are_read() {
    check_calls(
        HERMES,
        "Let me see.\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, \"}\"]}}\n</tool_call>\n\
         <tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n",
        "Let me see.<f {\"a\": [1, \"}\"]}><f {}>",
    );
    check_calls(HERMES, "<tool_call>\n{{\"name\": \"f\", \"arguments\": {}}}\n</tool_call>", "<f {}>");
    check_calls(HERMES, "<tool_call>{\"name\":\"f\",\"arguments\":{ }}</tool_call> Done.\n", "<f { }>Done.\n");
}

#[test]
fn calls_in_a_fence_or_bare_are_read() {
    let call = "{\"name\": \"get_weather\", \"arguments\": {\"location\": \"Paris\"}}";
    let read = "<get_weather {\"location\": \"Paris\"}>";
    for (generated, expected) in [
        (call.to_owned(), read.to_owned()),
        (format!("```json\n{call}\n```"), read.to_owned()),
        (format!("```json\n{call}\n```\n"), read.to_owned()),
        (format!("Sure:\n\n```json\n{call}\n```\nThat is it."), format!("Sure:{read}That is it.")),
        (format!("```\n[\n  {call},\n  {call}\n]\n```"), read.repeat(2)),
        (format!("[{call}]"), read.to_owned()),
        (format!("{call}\n{call}"), read.repeat(2)),
        (format!("{call}, {call}; {call}"), read.repeat(3)),
        (format!("```json\n{call}\n```\n\n```json\n{call}\n```"), read.repeat(2)),
        (format!("It is {call}, and more"), format!("It is{read}, and more")),
        (format!("{call}\n```\n```json\n{call}"), read.repeat(2)),
        (format!("{call}\n```\n```"), read.to_owned()),
        (format!("{call}\n```python\n"), format!("{read}```python\n")),
        (format!("```json\n{{{call}}}\n```"), read.to_owned()),
        (format!("So: {{\"function\": {call}}}\n\n```\n\n"), format!("So: {{\"function\":{read}")),
        (
            format!("{{\"calls\": [{{\"function\": {call}}}, {call}]}}"),
            format!("{{\"calls\": [{{\"function\":{}", read.repeat(2)),
        ),
    ] {
        check_calls(HERMES, &generated, &expected);
        check_calls(LLAMA, &generated, &expected);
    }
}

#[test]
fn what_does_not_name_a_function_is_text() {
    for text in [
        "{\"name\": \"Alice\"}",
        "{\"name\": \"f",
        "{\"name\": \"get_weather_now\", \"arguments\": {}}",
        "{\"arguments\": {}, \"name\": \"f\"}",
        "{\"name\": \"f\", \"degrees\": 22}",
        "{\"name\": 1}",
        "```json\n{\"a\": 1}\n```\n",
        "```json\n[1, 2]\n```",
        "[1] and [ { ",
        "  indented \n",
        "<tool_cal",
    ] {
        check_calls(HERMES, text, text);
    }
    let call = "```json\n{\"name\": \"f\", \"arguments\": {}}\n```\n<tool_call>";
    check(HERMES, "", &[], call, call);
    check_calls(MISTRAL_NAMED, "{\"name\": \"f\", \"arguments\": {}}", "{\"name\": \"f\", \"arguments\": {}}");
}

#[test]
fn every_form_is_read() {
    check_calls(
        LLAMA,
        "<|python_tag|>{\"name\": \"f\", \"parameters\": {\"a\": 1}}; {\"name\": \"f\", \"parameters\": {}}",
        "<f {\"a\": 1}><f {}>",
    );
    check_calls(
        MISTRAL_LIST,
        "Hm [TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"name\": \"f\", \"arguments\": {}, \"id\": \"x\"}]",
        "Hm<f {\"a\": 1}><f {}>",
    );
    check_calls(
        MISTRAL_NAMED,
        "[TOOL_CALLS]f[ARGS]{\"a\": 1}[TOOL_CALLS]get_weather[ARGS]{}",
        "<f {\"a\": 1}><get_weather {}>",
    );
    check_calls(
        DEEPSEEK_FENCED,
        "Hm\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"a\": 1}\n```<｜tool▁call▁end｜>\n\
         <｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "Hm<f {\"a\": 1}><f {}>",
    );
    check_calls(
        DEEPSEEK_PLAIN,
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": 1}<｜tool▁call▁end｜>\
         <｜tool▁call▁begin｜>f<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "<f {\"a\": 1}><f {}>",
    );
    check_calls(
        HARMONY,
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary<|message|>Wait<|end|>\
         <|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\": 1}",
        "(hm)Wait<f {\"a\": 1}>",
    );
    check_calls(
        HARMONY,
        "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|><|start|>assistant\
         <|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>",
        "<f {}><f {}>",
    );
}

#[test]
fn arguments_in_tags_become_json() {
    for (generated, expected) in [
        ("<function=f>\n</function>", "{}"),
        ("<function=f>\n<parameter=a>\n1\n</parameter>\n</function>", "{\"a\": 1}"),
        ("<function=f>\n<parameter=s>\n1\n</parameter>\n</function>", "{\"s\": \"1\"}"),
        ("<function=f><parameter=s>x</parameter><parameter=a>1</parameter></function>", "{\"s\": \"x\", \"a\": 1}"),
        (
            "<function=f>\n<parameter=s>\n\n  a \"b\"\\\n\n\n</parameter>\n</function>",
            "{\"s\": \"\\n  a \\\"b\\\"\\\\\\n\\n\"}",
        ),
        (
            "<function=f>\n<parameter=s>\n</param></function>\n</parameter>\n</function>",
            "{\"s\": \"</param></function>\"}",
        ),
        ("<function=f>\n<parameter=s>\n</parameter>\n</function>", "{\"s\": \"\"}"),
        ("<function=f>\n<parameter=e>\ny z\n</parameter>\n</function>", "{\"e\": \"y z\"}"),
        (
            "<function=f>\n<parameter=o>\n{\"b\": [\"\\n</parameter>\"]}\n</parameter>\n</function>",
            "{\"o\": {\"b\": [\"\\n</parameter>\"]}}",
        ),
    ] {
        let call = format!("<tool_call>\n{generated}\n</tool_call>");
        check_calls(
            QWEN_TAGGED,
            &format!("Hm.\n\n{call}\n{call}\n"),
            &format!("Hm.{}", format!("<f {expected}>").repeat(2)),
        );
        check_calls(QWEN_TAGGED, &format!("<tool_call>{generated}"), &format!("<f {expected}>"));
    }
    for (generated, expected) in [
        ("f\n", "{}"),
        ("f", "{}"),
        ("f\n<arg_key>a</arg_key>\n<arg_value>1</arg_value>\n", "{\"a\": 1}"),
        (
            "f<arg_key>s</arg_key><arg_value> x\n</arg_value><arg_key>a</arg_key><arg_value> -1.5 </arg_value>",
            "{\"s\": \" x\\n\", \"a\": -1.5}",
        ),
        ("f\n<arg_key>s</arg_key>\n<arg_value></tool_call></arg></arg_value>\n", "{\"s\": \"</tool_call></arg>\"}"),
    ] {
        let call = format!("<tool_call>{generated}</tool_call>");
        check_calls(
            GLM_TAGGED,
            &format!("Hm.\n{call}\n{call}\n"),
            &format!("Hm.{}", format!("<f {expected}>").repeat(2)),
        );
    }
}

#[test]
fn what_is_no_argument_is_malformed() {
    for (generated, expected) in [
        ("<function=g>", "!the function that was called is not one that may be called"),
        ("{\"name\": \"f\"}", "!a call does not begin in the form of the model"),
        ("<function=f>\n<parameter=z>\n1", "<f !a call has an argument that is not declared, or has it twice"),
        ("<function=f>\n<parameter=a>\nx\n</parameter>", "<f {\"a\": x!an argument of a call is not valid JSON"),
        ("<function=f>\n<parameter=a>\n</parameter>", "<f {\"a\": !an argument of a call is not valid JSON"),
        ("<function=f>\n<parameter=a>\n1 2\n</parameter>", "<f {\"a\": 1!an argument of a call has no end"),
        ("<function=f>\nHello", "<f !the arguments of a call are not in tags"),
        ("<function=f>\n<parameter=s>\nHello", "<f {\"s\": \"Hello!the answer ended inside a call"),
        (
            "<function=f>\n<parameter=a>\n1\n</parameter>\n<parameter=a>",
            "<f {\"a\": 1!a call has an argument that is not declared, or has it twice",
        ),
    ] {
        check_calls(QWEN_TAGGED, &format!("<tool_call>\n{generated}"), expected);
    }
}

#[test]
fn thoughts_come_before_calls_and_hold_none() {
    check_calls(
        THINK,
        "<think>\n{\"name\": \"f\"} <tool_call>\n</think>\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>",
        "({\"name\": \"f\"} <tool_call>)<f {}>",
    );
}

#[test]
fn arguments_may_come_first_or_not_at_all() {
    check_calls(HERMES, "<tool_call>{\"arguments\": {\"a\": 1}, \"name\": \"f\"}</tool_call>", "<f {\"a\": 1}>");
    check_calls(HERMES, "<tool_call>{\"id\": [{}], \"name\": \"f\"}</tool_call>", "<f {}>");
    check_calls(HERMES, "<tool_call>{\"name\": \"f\", \"arguments\": null}</tool_call>", "<f {}>");
    check_calls(HERMES, "{\"name\": \"f\"}", "<f {}>");
}

#[test]
fn what_cannot_be_a_call_is_malformed() {
    for (generated, expected) in [
        (
            "<tool_call>{\"name\": \"g\", \"arguments\": {}}",
            "!the function that was called is not one that may be called",
        ),
        ("<tool_call>{\"name\": \"f\", \"arguments\": 1}", "<f !the arguments of a call are not an object"),
        ("<tool_call>{\"name\": \"f\", \"arguments\": no}", "<f !the arguments of a call are not an object"),
        ("<tool_call>{\"name\": \"f\", \"arguments\": {a}}", "<f {a}!the arguments of a call are not valid JSON"),
        ("<tool_call>{\"name\": \"f\", , \"b\": 1}", "<f !a call is not valid JSON"),
        ("<tool_call>{\"name\": 1}", "!the name of a call is not a string"),
        ("<tool_call>{}", "!a call has no name"),
        ("<tool_call>hello", "!a call is not an object of JSON"),
        ("Yes <tool_call>", "Yes!the answer ended inside a call"),
        ("{\"name\": \"f\", \"arguments\": {\"a", "<f {\"a!the answer ended inside a call"),
    ] {
        check_calls(HERMES, generated, expected);
    }
    check_calls(MISTRAL_NAMED, "[TOOL_CALLS]g[ARGS]{}", "!the function that was called is not one that may be called");
    check_calls(MISTRAL_NAMED, "[TOOL_CALLS]f {}", "!a call has no arguments");
}

#[test]
fn a_closing_may_be_missing_or_cut() {
    let call = "{\"name\": \"f\", \"arguments\": {}}";
    for closing in ["", "\n", "\n</tool", "\n</tool_call>"] {
        check_calls(HERMES, &format!("<tool_call>\n{call}{closing}"), "<f {}>");
    }
    check_calls(HERMES, &format!("```json\n[{call}\n``"), "<f {}>");
}

#[test]
fn stop_sequences_do_not_reach_into_calls() {
    let parser = calling_parser(HERMES, "", &["arguments", "END"], &["f"]);
    assert_eq!(
        show(parser, &["Say EN <tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"END\"}}"]),
        "Say EN<f {\"a\": \"END\"}>"
    );
}

#[test]
fn arguments_are_passed_on_as_they_come() {
    let mut parser = calling_parser(HERMES, "", &[], &["f"]);
    assert_eq!(parser.push("Hi <tool_call>\n{\"name\": \"f"), [Output::Text("Hi".to_owned())]);
    assert_eq!(parser.push("\", \"arg"), [Output::CallStarted { name: "f".to_owned() }]);
    assert_eq!(parser.push("uments\": {\"a"), [Output::CallArguments("{\"a".to_owned())]);
    assert_eq!(parser.push("b\": 1}"), [Output::CallArguments("b\": 1}".to_owned())]);
    assert_eq!(parser.push("}"), [Output::CallEnded]);
    assert_eq!(parser.push("\n</tool_call>"), []);
    assert_eq!(parser.finish(), []);
}
