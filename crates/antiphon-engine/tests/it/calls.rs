//! Function calls and structured answers: what ends how, and what is kept.

use std::sync::Arc;

use antiphon_testkit::MemoryStore;
use antiphon_wire::{Code, Interaction, Status, Step};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::{CALLER, create, engine, log, request};

const SCRIPT: &str = r#"
[[reply]]
when = "Weather?"
chunks = ["Let me ", "look."]
calls = [{ name = "get_weather", arguments = { city = "Paris" } }, { name = "get_weather", arguments = { city = "Rom" } }]

[[reply]]
when = "Wrong?"
calls = [{ name = "get_weather", arguments = { town = "Paris" } }]

[[reply]]
when = "sunny"
chunks = ["It is sunny."]

[[reply]]
when = "Cut?"
calls = [{ name = "get_weather", arguments = { city = "Paris" } }]
fail_after = 1

[[reply]]
when = "Short?"
calls = [{ name = "get_weather", arguments = { city = "Paris" } }]

[[reply]]
when = "JSON?"
chunks = ['{"a":', ' 1}']

[[reply]]
chunks = ["no JSON"]
"#;

fn tools() -> Value {
    json!([{"type": "function", "name": "get_weather", "description": "How it is there",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}])
}

async fn answer(body: Value) -> Interaction {
    let store = Arc::new(MemoryStore::default());
    create(&engine(SCRIPT, &store), body).await.handle.finished().await
}

fn calls(interaction: &Interaction) -> Vec<(String, Value)> {
    let steps = interaction.steps.iter().flatten();
    let call = |step: &Step| match step {
        Step::FunctionCall(call) => Some((call.id.clone(), Value::Object(call.arguments.clone()))),
        _ => None,
    };
    steps.filter_map(call).collect()
}

#[tokio::test(start_paused = true)]
async fn calls_are_steps_of_their_own_and_end_the_turn() {
    let store = Arc::new(MemoryStore::default());
    let handle = create(&engine(SCRIPT, &store), json!({"input": "Weather?", "tools": tools()})).await.handle;
    let answer = handle.finished().await;
    assert_eq!(answer.status, Status::RequiresAction);
    assert_eq!(answer.steps.as_ref().unwrap()[0], Step::model_output("Let me look."));
    let calls = calls(&answer);
    let arguments: Vec<_> = calls.iter().map(|(_, arguments)| arguments.clone()).collect();
    assert_eq!(arguments, [json!({"city": "Paris"}), json!({"city": "Rom"})]);
    assert_ne!(calls[0].0, calls[1].0);
    let call = |index: usize, id: &str| {
        format!("step.start {index} FunctionCall {{ id: {id:?}, name: \"get_weather\", arguments: {{}} }}")
    };
    let lines: Vec<_> = log(&handle, 0).await.iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
    assert_eq!(
        lines,
        [
            "interaction.created in_progress",
            "interaction.status_update in_progress",
            "step.start 0 ModelOutput",
            "step.delta 0 text \"Let me look.\"",
            "step.stop 0",
            &call(1, &calls[0].0),
            "step.delta 1 arguments {\"city\":\"Paris\"}",
            "step.stop 1",
            &call(2, &calls[1].0),
            "step.delta 2 arguments {\"city\":\"Rom\"}",
            "step.stop 2",
            "interaction.status_update requires_action",
            "interaction.completed requires_action",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn results_in_any_order_are_answered_with_new_steps_alone() {
    let store = Arc::new(MemoryStore::default());
    let engine = engine(SCRIPT, &store);
    let first = create(&engine, json!({"input": "Weather?", "tools": tools()})).await.handle;
    let asked = calls(&first.finished().await);
    let result = |at: usize, text: &str| json!({"type": "function_result", "call_id": asked[at].0, "result": text});
    let next = |input: Value| json!({"previous_interaction_id": first.id(), "input": input, "tools": tools()});
    let second = create(&engine, next(json!([result(1, "rainy"), result(0, "sunny")]))).await.handle.finished().await;
    assert_eq!((second.status, second.steps), (Status::Completed, Some(vec![Step::model_output("It is sunny.")])));

    let refused = engine.create(CALLER, request(next(json!([result(0, "sunny")])))).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidRequest);
    assert!(refused.message.contains(&asked[1].0), "{}", refused.message);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_be_made_fails_and_is_no_step() {
    let wrong = answer(json!({"input": "Wrong?", "tools": tools()})).await;
    let error = wrong.error.clone().unwrap();
    assert_eq!((wrong.status, error.code.as_str()), (Status::Failed, "malformed_function_call"));
    assert!(!error.message.contains("Paris"), "arguments are not repeated: {}", error.message);
    assert_eq!(wrong.steps, Some(vec![]));

    let cut = answer(json!({"input": "Cut?", "tools": tools()})).await;
    assert_eq!((cut.status, cut.steps), (Status::Failed, Some(vec![])));

    let short = json!({"input": "Short?", "tools": tools(), "generation_config": {"max_output_tokens": 1}});
    let short = answer(short).await;
    assert_eq!((short.status, short.steps), (Status::Incomplete, Some(vec![])));
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_held_against_its_schema_before_it_is_complete() {
    let format = |schema: Value| json!({"type": "text", "mime_type": "application/json", "schema": schema});
    let number = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]});
    let good = answer(json!({"input": "JSON?", "response_format": format(number.clone())})).await;
    assert_eq!((good.status, good.steps), (Status::Completed, Some(vec![Step::model_output(r#"{"a": 1}"#)])));

    let text = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    for (input, schema) in [("JSON?", text), ("Anything?", number.clone())] {
        let bad = answer(json!({"input": input, "response_format": format(schema)})).await;
        let code = bad.error.map(|error| error.code);
        assert_eq!((bad.status, code.as_deref()), (Status::Failed, Some("malformed_response")));
    }

    let cut =
        json!({"input": "JSON?", "response_format": format(number), "generation_config": {"stop_sequences": ["1"]}});
    assert_eq!(answer(cut).await.status, Status::Incomplete, "the caller's own stop sequence cut it");
}

#[tokio::test(start_paused = true)]
async fn calls_are_free_beside_a_schema_for_the_answer() {
    let body = json!({"input": "Weather?", "tools": tools(), "response_format": {"type": "object"}});
    assert_eq!(answer(body).await.status, Status::RequiresAction);
}
