#![expect(clippy::needless_pass_by_value, reason = "rows of JSON read better without references")]

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::*;
use crate::backend::{Call, CallResult, Calls, ModelTurn, Said, Signature, Thought};
use crate::store::Trace;

const PROJECT: ProjectId = ProjectId(1);

fn past(steps: Value) -> Vec<PastStep> {
    let steps: Vec<Step> = serde_json::from_value(steps).unwrap();
    steps.into_iter().map(|step| PastStep { step, trace: None }).collect()
}

fn build(history: Value, body: Value) -> Result<ModelRequest, String> {
    let mut whole = json!({ "model": "m", "input": "hi" });
    for (key, value) in body.as_object().unwrap() {
        whole[key] = value.clone();
    }
    let request = CreateInteraction::read(whole).map_err(|error| error.message)?;
    let history = History { steps: past(history), waits: true };
    read(&request, history).map_err(|error| error.message)
}

fn read(request: &CreateInteraction, history: History) -> Result<ModelRequest, Error> {
    let seal = Seal::new([7; 32]);
    let reading = Reading { project: PROJECT, seal: &seal, takes: &[], draws: false, opened: &Opened::default() };
    model_request(&reading, request, history, 0, 10).map(|asked| asked.call)
}

fn call(id: &str, name: &str) -> Value {
    json!({"type": "function_call", "id": id, "name": name, "arguments": {"x": 1}})
}

fn result(id: &str) -> Value {
    json!({"type": "function_result", "call_id": id, "result": "ok"})
}

#[test]
fn a_turn_of_the_model_is_one_message_and_results_follow_it() {
    let history = json!([
        {"type": "user_input", "content": [{"type": "text", "text": "a"}]},
        {"type": "model_output", "content": [{"type": "text", "text": "Let me see."}]},
        call("c1", "f"), call("c2", "g"),
    ]);
    let input = json!([
        {"type": "function_result", "call_id": "c2", "name": "g", "result": {"deep": [1]}, "is_error": true},
        {"type": "function_result", "call_id": "c1", "result": [{"type": "text", "text": "p"}, {"type": "text", "text": "q"}]},
    ]);
    let said = build(history, json!({ "input": input })).unwrap().messages;
    let arguments = json!({"x": 1}).as_object().unwrap().clone();
    let asked = |id: &str, name: &str| Call { id: id.to_owned(), name: name.to_owned(), arguments: arguments.clone() };
    let answered = |id: &str, name: &str, text: &str, is_error| {
        Message::Result(CallResult { call_id: id.to_owned(), name: name.to_owned(), text: text.to_owned(), is_error })
    };
    assert_eq!(
        said,
        [
            Message::user("a"),
            Message::Model(ModelTurn {
                said: vec![
                    Said::Text("Let me see.".to_owned()),
                    Said::Call(asked("c1", "f")),
                    Said::Call(asked("c2", "g")),
                ],
                trace: None,
            }),
            answered("c2", "g", r#"{"deep":[1]}"#, true),
            answered("c1", "f", "p\nq", false),
        ]
    );
}

#[test]
fn the_tokens_of_a_turn_are_those_of_its_last_step() {
    let trace = |token| Some(Trace { fingerprint: "m".to_owned(), tokens: vec![token] });
    let traced = |steps: Value, traces: [Option<Trace>; 3]| {
        let mut history = past(steps);
        for (past, trace) in history.iter_mut().zip(traces) {
            past.trace = trace;
        }
        let request = CreateInteraction::read(json!({"model": "m", "input": [result("c1")]})).unwrap();
        let history = History { steps: history, waits: true };
        let built = read(&request, history).unwrap();
        match &built.messages[1] {
            Message::Model(turn) => turn.trace.clone(),
            other => panic!("{other:?}"),
        }
    };
    let steps = json!([
        {"type": "user_input", "content": "a"},
        {"type": "model_output", "content": [{"type": "text", "text": "b"}]},
        call("c1", "f"),
    ]);
    let steps = json!([{"type": "user_input", "content": [{"type": "text", "text": "a"}]}, steps[1], steps[2]]);
    assert_eq!(traced(steps.clone(), [None, None, trace(2)]), trace(2));
    assert_eq!(traced(steps, [None, trace(1), None]), None, "tokens of the text alone would lose the call");
}

#[test]
fn calls_and_results_that_do_not_match_are_refused_by_name() {
    let asked = json!([
        {"type": "user_input", "content": [{"type": "text", "text": "a"}]}, call("c1", "f"), call("c2", "f"),
    ]);
    let rows = [
        (json!([result("c9")]), "`input[0].call_id`: no function call of this conversation is `c9`"),
        (
            json!([result("c1"), result("c1"), result("c2")]),
            "`input[1].call_id`: the function call `c1` has its result already",
        ),
        (json!([result("c1")]), "`input`: expected a `function_result` for each call, none came for `c2`"),
        (json!("never mind"), "`input[0]`: expected a `function_result` for each call, none came for `c1`, `c2`"),
        (
            json!([{"type": "function_result", "call_id": "c1", "name": "g", "result": "x"}]),
            "`input[0].name`: the call is of `f`, got `g`",
        ),
        (json!([call("c1", "f"), result("c1")]), "`input[0].id`: another call of this conversation is `c1`"),
    ];
    for (input, message) in rows {
        assert_eq!(build(asked.clone(), json!({ "input": input })).unwrap_err(), message, "{input}");
    }
    assert_eq!(build(asked, json!({ "input": [result("c2"), result("c1")] })).unwrap().messages.len(), 4);
}

#[test]
fn a_choice_decides_which_functions_the_model_sees() {
    let tools = json!([{"type": "function", "name": "f"}, {"type": "function", "name": "g"}]);
    let seen = |choice: Value| {
        let built =
            build(json!([]), json!({ "tools": tools, "generation_config": { "tool_choice": choice } })).unwrap();
        (built.calls, built.tools.into_iter().map(|tool| tool.name).collect::<Vec<_>>())
    };
    let allowed = |mode: &str| json!({"allowed_tools": {"mode": mode, "tools": ["g"]}});
    let both = || vec!["f".to_owned(), "g".to_owned()];
    let one = || vec!["g".to_owned()];
    assert_eq!(seen(json!(null)), (Calls::Allowed, both()));
    assert_eq!(seen(json!("auto")), (Calls::Allowed, both()));
    assert_eq!(seen(json!("validated")), (Calls::Allowed, both()));
    assert_eq!(seen(json!("any")), (Calls::Required, both()));
    assert_eq!(seen(json!("none")), (Calls::None, vec![]));
    assert_eq!(seen(allowed("auto")), (Calls::Allowed, one()));
    assert_eq!(seen(allowed("any")), (Calls::Required, one()));
    assert_eq!(seen(allowed("none")), (Calls::None, vec![]));
    assert_eq!(seen(json!({"allowed_tools": {"mode": "any"}})), (Calls::Required, both()));
}

#[test]
fn parameters_are_of_an_object_and_their_errors_name_the_place() {
    let tool = |parameters: Value| json!({ "tools": [{"type": "function", "name": "f", "parameters": parameters}] });
    let refused = |parameters: Value| build(json!([]), tool(parameters)).unwrap_err();
    assert_eq!(
        refused(json!({"type": "string"})),
        "`tools[0].parameters.type`: expected `object`: arguments are named"
    );
    assert_eq!(
        refused(json!({"type": "object", "nullable": true})),
        "`tools[0].parameters`: expected a schema of objects alone: arguments are named"
    );
    let unknown = refused(json!({"type": "object", "properties": {"a": {"type": "text"}}}));
    assert!(unknown.starts_with("`tools[0].parameters`: at `/properties/a/type`: "), "{unknown}");
    let answer = json!({ "response_format": {"type": "text", "schema": {"type": "text"}} });
    let unknown = build(json!([]), answer).unwrap_err();
    assert!(unknown.starts_with("`response_format.schema`: at `/type`: "), "{unknown}");
    let built = build(json!([]), tool(json!({"properties": {"a": {"type": "integer"}}}))).unwrap();
    assert!(built.tools[0].parameters.validate(&json!({"a": 1})).is_ok());
    assert!(built.tools[0].parameters.validate(&json!({"a": "x"})).is_err());
    let tree = json!({"$ref": "#/$defs/Node", "$defs": {"Node": {"type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}}, "required": ["next"]}}});
    let built = build(json!([]), tool(tree)).unwrap();
    assert!(built.tools[0].parameters.validate(&json!({"next": {"next": null}})).is_ok());
}

#[test]
fn calls_of_a_turn_that_was_cut_need_no_results() {
    let asked = json!([
        {"type": "user_input", "content": [{"type": "text", "text": "a"}]},
        {"type": "model_output", "content": [{"type": "text", "text": "b"}]}, call("c1", "f"),
    ]);
    let request = CreateInteraction::read(json!({"model": "m", "input": "go on"})).unwrap();
    let cut = History { steps: past(asked.clone()), waits: false };
    let built = read(&request, cut).unwrap();
    let said = ModelTurn::text("b");
    let user = |text: &str| Message::user(text);
    assert_eq!(built.messages, [user("a"), Message::Model(said.clone()), user("go on")]);

    let answered = CreateInteraction::read(json!({"model": "m", "input": [result("c1")]})).unwrap();
    let cut = History { steps: past(asked.clone()), waits: false };
    let built = read(&answered, cut).unwrap();
    assert!(matches!(&built.messages[..], [_, Message::Model(turn), Message::Result(_)] if turn.calls().count() == 1));

    let mut longer = asked.as_array().unwrap().clone();
    longer.push(json!({"type": "user_input", "content": [{"type": "text", "text": "go on"}]}));
    longer.push(json!({"type": "model_output", "content": [{"type": "text", "text": "c"}]}));
    let built = build(Value::Array(longer), json!({"input": "d"})).unwrap();
    assert_eq!(built.messages.len(), 5);
    assert_eq!(built.messages[1], Message::Model(said));
}

struct Still;

impl crate::ambient::Ambient for Still {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        bytes.fill(1);
    }
}

#[test]
fn a_thought_comes_back_with_what_its_model_wants_back() {
    let seal = Seal::new([7; 32]);
    let thought = |text: &str, signature: Option<(Option<&str>, &str)>| Thought {
        text: text.to_owned(),
        signature: signature
            .map(|(origin, value)| Signature { origin: origin.map(str::to_owned), value: value.to_owned() }),
    };
    for thought in [
        thought("Think.", None),
        thought("\0{", None),
        thought("", Some((Some("anthropic"), "EvEF/+=="))),
        thought("Think.", Some((Some("responses"), "{\"id\": \"\u{1F415}\"}"))),
        thought("", Some((None, "CpcBAdHtim8="))),
    ] {
        let signature = seal.sign(PROJECT, &thought, &Still);
        assert_eq!(seal.open(PROJECT, &signature), thought);
        let other = seal.open(ProjectId(2), &signature);
        assert_eq!((other.text.as_str(), other.signature.map(|kept| kept.value)), ("", Some(signature)));
    }
}
