//! Runs of agents: functions that the server answers itself, the environment, and budgets.

use std::sync::Arc;
use std::time::Duration;

use antiphon_engine::Engine;
use antiphon_testkit::{FixedTools, MemoryStore};
use antiphon_wire::{EnvironmentId, Status, Step};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::{CALLER, create, die_after, engine_with, log, request};

const SCRIPT: &str = r#"
[[reply]]
when = "Keep blue"
chunks = ["I keep it."]
calls = [{ name = "keep", arguments = { note = "blue" } }]

[[reply]]
when = "Kept: blue"
calls = [{ name = "code_execution", arguments = { code = "harbour" } }]

[[reply]]
when = "harbour"
chunks = ["Blue is kept."]

[[reply]]
when = "Keep nothing"
calls = [{ name = "keep", arguments = {} }]

[[reply]]
when = "do not conform"
chunks = ["I cannot."]

[[reply]]
when = "Keep and ask"
calls = [{ name = "ask", arguments = {} }, { name = "keep", arguments = { note = "red" } }]

[[reply]]
when = "Keep and be cut"
calls = [{ name = "keep", arguments = { note = "green" } }, { name = "keep", arguments = { note = "grey" } }]
finish = "length"

[[reply]]
when = "an answer"
chunks = ["Asked."]

[[reply]]
when = "interrupted"
chunks = ["I do not know whether it is kept."]

[[reply]]
when = "And now?"
chunks = ["Nothing more."]
"#;

const AGENT: &str = "antigravity-preview-05-2026";

fn engine(store: &Arc<MemoryStore>, tools: &FixedTools) -> Engine {
    engine_with(SCRIPT, store, Arc::new(tools.clone()))
}

fn body(input: &str) -> Value {
    json!({"model": null, "agent": AGENT, "environment": "remote", "input": input,
        "tools": [{"type": "code_execution"}]})
}

#[tokio::test(start_paused = true)]
async fn a_function_of_the_server_shows_with_its_result_and_the_run_goes_on() {
    let tools = FixedTools::default();
    let engine = engine(&Arc::default(), &tools);
    let handle = create(&engine, body("Keep blue")).await.handle;
    let answer = handle.finished().await;
    assert_eq!(answer.status, Status::Completed, "{:?}", answer.error);
    assert_eq!((answer.agent.as_deref(), answer.model), (Some(AGENT), None));
    assert_eq!(answer.environment_id, EnvironmentId::parse("place"));
    let steps = serde_json::to_value(&answer.steps).unwrap();
    let kinds: Vec<_> = steps.as_array().unwrap().iter().map(|step| step["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "model_output",
            "function_call",
            "function_result",
            "code_execution_call",
            "code_execution_result",
            "model_output",
        ]
    );
    assert_eq!((&steps[1]["name"], &steps[1]["arguments"]), (&json!("keep"), &json!({"note": "blue"})));
    assert_eq!(
        (&steps[2]["call_id"], &steps[2]["name"], &steps[2]["result"], &steps[2]["is_error"]),
        (&steps[1]["id"], &json!("keep"), &json!("Kept: blue"), &json!(false))
    );
    // What is stored says the same, and a later turn may follow.
    assert_eq!(engine.get(CALLER, handle.id()).await.unwrap().finished().await.steps, answer.steps);
    let mut next = body("And now?");
    next["previous_interaction_id"] = json!(handle.id().to_string());
    let next = create(&engine, next).await.handle.finished().await;
    assert_eq!(next.steps, Some(vec![Step::model_output("Nothing more.")]));
}

#[tokio::test(start_paused = true)]
async fn arguments_that_do_not_conform_are_told_to_the_model() {
    let tools = FixedTools::default();
    let answer = create(&engine(&Arc::default(), &tools), body("Keep nothing")).await.handle.finished().await;
    assert_eq!((answer.status, tools.ran().len()), (Status::Completed, 0));
    let Some([_, Step::FunctionResult(result), _]) = answer.steps.as_deref() else { panic!("{:?}", answer.steps) };
    assert_eq!(result.is_error, Some(true));
}

#[tokio::test(start_paused = true)]
async fn a_function_of_the_client_waits_for_the_client() {
    let tools = FixedTools::default();
    let engine = engine(&Arc::default(), &tools);
    let mut asks = body("Keep and ask");
    asks["tools"] = json!([{"type": "function", "name": "ask", "parameters": {"type": "object"}}]);
    let handle = create(&engine, asks.clone()).await.handle;
    let first = handle.finished().await;
    assert_eq!(first.status, Status::RequiresAction);
    let Some([Step::FunctionCall(kept), Step::FunctionResult(result), Step::FunctionCall(asked)]) =
        first.steps.as_deref()
    else {
        panic!("{:?}", first.steps)
    };
    assert_eq!((kept.name.as_str(), &result.call_id, asked.name.as_str()), ("keep", &kept.id, "ask"));
    asks["input"] = json!([{"type": "function_result", "call_id": asked.id, "result": "an answer"}]);
    asks["previous_interaction_id"] = json!(handle.id().to_string());
    let second = create(&engine, asks).await.handle.finished().await;
    assert_eq!((second.status, second.steps), (Status::Completed, Some(vec![Step::model_output("Asked.")])));
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_tokens_ends_the_run_between_two_turns() {
    let tools = FixedTools::default();
    let mut small = body("Keep blue");
    small["agent_config"] = json!({"type": "antigravity", "max_total_tokens": "5"});
    let answer = create(&engine(&Arc::default(), &tools), small).await.handle.finished().await;
    assert_eq!((answer.status, tools.ran().len()), (Status::Incomplete, 1));
    assert!(matches!(answer.steps.unwrap().last(), Some(Step::FunctionResult(_))));
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_leaves_no_environment() {
    let tools = FixedTools::default();
    let engine = engine(&Arc::default(), &tools);
    let mut clashes = body("Keep blue");
    clashes["tools"] = json!([{"type": "function", "name": "keep", "parameters": {"type": "object"}}]);
    engine.create(CALLER, request(clashes)).await.map(|_| ()).expect_err("two functions have one name");
    assert_eq!(tools.discarded(), 1);
    let mut known = body("Keep blue");
    known["environment"] = json!("place");
    known["tools"] = json!([{"type": "function", "name": "keep", "parameters": {"type": "object"}}]);
    engine.create(CALLER, request(known)).await.map(|_| ()).expect_err("two functions have one name");
    assert_eq!(tools.discarded(), 1, "one that was there before stays");
}

/// Every step that was begun has an end, and no two have one index.
#[tokio::test(start_paused = true)]
async fn a_cut_turn_leaves_no_call_without_a_result() {
    let tools = FixedTools::default();
    let engine = engine(&Arc::default(), &tools);
    let handle = create(&engine, body("Keep and be cut")).await.handle;
    let answer = handle.finished().await;
    assert_eq!(answer.status, Status::Incomplete);
    let lines = log(&handle, 0).await;
    let begun = lines.iter().filter(|line| line.contains("step.start")).count();
    let ended = lines.iter().filter(|line| line.contains("step.stop")).count();
    assert_eq!((begun, ended), (answer.steps.as_ref().map_or(0, Vec::len), begun), "{lines:#?}");
    let calls = answer.steps.iter().flatten().filter(|step| matches!(step, Step::FunctionCall(_))).count();
    let results = answer.steps.iter().flatten().filter(|step| matches!(step, Step::FunctionResult(_))).count();
    assert_eq!(calls, results, "{:?}", answer.steps);
}

/// Whatever write a crash cuts, the note is kept once at most, the answer is one of two, and
/// what was seen before is a beginning of the whole log.
#[tokio::test(start_paused = true)]
async fn a_crash_at_any_write_keeps_a_note_once_at_most() {
    for commits in 0..24 {
        let tools = FixedTools::default();
        let mut background = body("Keep blue");
        background["background"] = json!(true);
        let start = |store: &Arc<MemoryStore>| engine(store, &tools);
        let (store, id, seen) = die_after(start, commits, &background).await;
        let again = engine(&store, &tools);
        again.recover().await.unwrap();
        let handle = again.get(CALLER, &id).await.unwrap();
        let answer = handle.finished().await;
        assert_eq!(answer.status, Status::Completed, "{commits}: {:?}", answer.error);
        let kept = tools.ran().iter().filter(|ran| ran.contains("blue")).count();
        assert!(kept <= 1, "{commits}: {:?}", tools.ran());
        let whole = log(&handle, 0).await;
        assert_eq!(whole[..seen.len()], seen[..], "{commits}");
        let calls = answer.steps.iter().flatten().filter(|step| matches!(step, Step::FunctionCall(_))).count();
        let results = answer.steps.iter().flatten().filter(|step| matches!(step, Step::FunctionResult(_))).count();
        assert_eq!(calls, results, "{commits}: {:?}", answer.steps);
        again.shut_down(Duration::ZERO).await;
    }
}
