use pretty_assertions::assert_eq;

use super::*;

const THINK: &str = "<think>";

fn parser(template: &str, prompt_tail: &str, stop: &[&str]) -> OutputParser {
    let stop = stop.iter().map(|&sequence| sequence.to_owned()).collect();
    OutputParser::new(Reasoning::of_template(template), prompt_tail, stop)
}

/// The outputs of all pieces: thoughts in (), a change of kind begins a new one.
fn show(mut parser: OutputParser, pieces: &[&str]) -> String {
    let mut all = Outputs::default();
    for outputs in
        pieces.iter().map(|piece| parser.push(piece)).collect::<Vec<_>>().into_iter().chain([parser.finish()])
    {
        for output in outputs {
            match output {
                Output::Thought(text) => all.thought(&text),
                Output::Text(text) => all.text(text),
            }
        }
    }
    all.0
        .iter()
        .map(|output| match output {
            Output::Thought(text) => format!("({text})"),
            Output::Text(text) => text.clone(),
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
    let markers = |template| Reasoning::of_template(template).markers();
    assert_eq!(markers("no reasoning"), ["<think>", "</think>"]);
    assert_eq!(markers("'[THINK]'"), ["[THINK]", "[/THINK]", "<think>", "</think>"]);
    assert_eq!(markers("'<|channel|>analysis<|message|>'"), ["<|start|>", "<|channel|>", "<|message|>", "<|end|>"]);
}
