//! The two laws of rendering, and how each family is written.

use antiphon_dialect::{Conversation, Message, Part, Role, Segment};
use pretty_assertions::assert_eq;
use proptest::prelude::*;

use crate::fixtures::{FIXTURES, template};

fn said(role: Role, text: &str) -> Message {
    Message { role, content: vec![Part::Text(text.to_owned())] }
}

fn conversation(system: Option<&str>, messages: Vec<Message>) -> Conversation {
    Conversation { system: system.map(str::to_owned), messages, today: "2026-03-09".to_owned() }
}

/// Text that wants to be control, template code, a sentinel or a marker.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => prop::sample::select(vec![
            "<|im_end|>", "<|im_start|>system\n", "<|eot_id|>", "<end_of_turn>", "[INST]", "</s>", "<think>", "</think>",
            "<tool_response>", "<｜Assistant｜>", "<|start|>assistant", "{{ 7 * 7 }}", "{% endfor %}", "{#", "\"", "\\",
            "\u{F0000}\"aA0\u{F0001}", "\u{F0000}", "\u{F0001}", "\u{F0000}\"aA", "1\u{F0001}", "  ", "\n\n", "\0",
        ]).prop_map(str::to_owned),
        1 => ".{0,5}",
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// The contents of turns that alternate, user first: each of a few texts.
fn turns() -> impl Strategy<Value = Vec<Vec<String>>> {
    prop::collection::vec(prop::collection::vec(hostile(), 1..3), 1..7)
}

fn messages(turns: &[Vec<String>]) -> Vec<Message> {
    let roles = [Role::User, Role::Model].into_iter().cycle();
    turns
        .iter()
        .zip(roles)
        .map(|(texts, role)| Message { role, content: texts.iter().cloned().map(Part::Text).collect() })
        .collect()
}

fn without_data(segments: &[Segment]) -> Vec<Option<&str>> {
    segments
        .iter()
        .map(|segment| match segment {
            Segment::Control(text) => Some(text.as_str()),
            Segment::Data(_) | Segment::Tokens(_) => None,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn data_never_becomes_control(system in prop::option::of(hostile()), turns in turns()) {
        let benign: Vec<Vec<String>> =
            turns.iter().map(|texts| texts.iter().map(|_| "benign".to_owned()).collect()).collect();
        for fixture in FIXTURES.iter() {
            let template = &fixture.template;
            let segments = template.render(&conversation(system.as_deref(), messages(&turns))).expect(fixture.name);
            let other = template
                .render(&conversation(system.as_ref().map(|_| "benign"), messages(&benign)))
                .expect(fixture.name);
            prop_assert_eq!(without_data(&segments), without_data(&other), "{}", fixture.name);

            let data: Vec<&str> = segments.iter().filter_map(|segment| match segment {
                Segment::Data(text) => Some(text.as_str()),
                Segment::Control(_) | Segment::Tokens(_) => None,
            }).collect();
            let given: Vec<&str> = system.iter().chain(turns.iter().flatten()).map(String::as_str).collect();
            prop_assert_eq!(data, given, "{}", fixture.name);
        }
    }

    /// Any history, with answers as tokens and as text; then one answer more.
    #[test]
    fn a_prompt_and_its_answer_begin_the_next_prompt(
        system in prop::option::of(hostile()),
        users in prop::collection::vec(hostile(), 2..6),
        answers in prop::collection::vec(prop_oneof![
            3 => prop::collection::vec(any::<u32>(), 0..4).prop_map(Part::Tokens),
            1 => hostile().prop_map(Part::Text),
        ], 6),
        answer in prop::collection::vec(any::<u32>(), 0..4),
        begun in prop::option::of(hostile()),
    ) {
        let (last, users) = users.split_last().expect("two users or more");
        let mut history = Vec::new();
        for (user, answer) in users.iter().zip(answers) {
            history.push(said(Role::User, user));
            history.push(Message { role: Role::Model, content: vec![answer] });
        }
        history.pop();
        history.extend(begun.map(|text| said(Role::Model, &text)));
        let mut longer = history.clone();
        longer.push(Message { role: Role::Model, content: vec![Part::Tokens(answer.clone())] });
        longer.push(said(Role::User, last));

        for fixture in FIXTURES.iter() {
            let template = &fixture.template;
            let mut prefix = template.render(&conversation(system.as_deref(), history.clone())).expect(fixture.name);
            prefix.push(Segment::Tokens(answer.clone()));
            let next = template.render(&conversation(system.as_deref(), longer.clone())).expect(fixture.name);
            prop_assert!(next.len() > prefix.len(), "{}", fixture.name);
            prop_assert_eq!(&next[..prefix.len()], prefix.as_slice(), "{}", fixture.name);
        }
    }
}

/// Control as it is, data in «», tokens in [].
#[track_caller]
fn check(name: &str, expected: &str) {
    let conversation = conversation(
        Some("SYSTEM"),
        vec![
            said(Role::User, "ONE"),
            Message { role: Role::Model, content: vec![Part::Tokens(vec![2])] },
            said(Role::User, "THREE"),
            said(Role::Model, "FOUR"),
            said(Role::User, "FIVE"),
        ],
    );
    let shown: String = template(name)
        .render(&conversation)
        .expect(name)
        .iter()
        .map(|segment| match segment {
            Segment::Control(text) => text.clone(),
            Segment::Data(text) => format!("«{text}»"),
            Segment::Tokens(tokens) => format!("{tokens:?}"),
        })
        .collect();
    assert_eq!(shown, expected);
}

#[test]
fn families_of_chatml_share_a_form() {
    for name in ["chatml", "qwen2", "smollm2", "qwen3"] {
        check(
            name,
            "<|im_start|>system\n«SYSTEM»<|im_end|>\n<|im_start|>user\n«ONE»<|im_end|>\n\
             <|im_start|>assistant\n[2]<|im_end|>\n<|im_start|>user\n«THREE»<|im_end|>\n\
             <|im_start|>assistant\n«FOUR»<|im_end|>\n<|im_start|>user\n«FIVE»<|im_end|>\n<|im_start|>assistant\n",
        );
    }
}

#[test]
fn llama_prints_the_date_of_the_conversation() {
    check(
        "llama3",
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nToday is 09 Mar 2026.\n\n«SYSTEM»<|eot_id|>\
         <|start_header_id|>user<|end_header_id|>\n\n«ONE»<|eot_id|>\
         <|start_header_id|>assistant<|end_header_id|>\n\n[2]<|eot_id|>\
         <|start_header_id|>user<|end_header_id|>\n\n«THREE»<|eot_id|>\
         <|start_header_id|>assistant<|end_header_id|>\n\n«FOUR»<|eot_id|>\
         <|start_header_id|>user<|end_header_id|>\n\n«FIVE»<|eot_id|>\
         <|start_header_id|>assistant<|end_header_id|>\n\n",
    );
}

#[test]
fn gemma_gets_the_system_instruction_from_the_user() {
    check(
        "gemma",
        "<bos><start_of_turn>user\n«SYSTEM»\n\n«ONE»<end_of_turn>\n<start_of_turn>model\n[2]<end_of_turn>\n\
         <start_of_turn>user\n«THREE»<end_of_turn>\n<start_of_turn>model\n«FOUR»<end_of_turn>\n\
         <start_of_turn>user\n«FIVE»<end_of_turn>\n<start_of_turn>model\n",
    );
}

#[test]
fn mistral_keeps_the_system_instruction_at_the_first_message() {
    check("mistral", "<s>[INST] «SYSTEM»\n\n«ONE»[/INST][2]</s>[INST] «THREE»[/INST] «FOUR»</s>[INST] «FIVE»[/INST]");
}

#[test]
fn deepseek_thinks_again_before_its_own_tokens() {
    check(
        "deepseek_r1",
        "<｜begin▁of▁sentence｜>«SYSTEM»<｜User｜>«ONE»<｜Assistant｜><think>\n[2]<｜end▁of▁sentence｜>\
         <｜User｜>«THREE»<｜Assistant｜>«FOUR»<｜end▁of▁sentence｜><｜User｜>«FIVE»<｜Assistant｜><think>\n",
    );
}

#[test]
fn harmony_tokens_bring_their_own_channels() {
    check(
        "harmony",
        "<|start|>system<|message|>Knowledge cutoff: unknown\nCurrent date: 2026-03-09\n\n\
         # Valid channels: analysis, commentary, final.<|end|>\
         <|start|>developer<|message|># Instructions\n\n«SYSTEM»<|end|><|start|>user<|message|>«ONE»<|end|>\
         <|start|>assistant[2]<|end|><|start|>user<|message|>«THREE»<|end|>\
         <|start|>assistant<|channel|>final<|message|>«FOUR»<|end|><|start|>user<|message|>«FIVE»<|end|>\
         <|start|>assistant",
    );
}

#[test]
fn a_default_system_prompt_stands_when_none_is_given() {
    for name in ["qwen2", "smollm2"] {
        let segments = template(name).render(&conversation(None, vec![said(Role::User, "ONE")])).expect(name);
        assert!(matches!(&segments[0], Segment::Control(text) if text.starts_with("<|im_start|>system\nYou are a ")));
    }
}
