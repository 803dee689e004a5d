//! A server that dies at any commit: what was acknowledged reaches an end, what a client
//! saw is in the log once, and the answer is the one that would have been given.

use std::time::Duration;

use antiphon_wire::Status;
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::support::{CALLER, die_after, engine, log};

const SCRIPT: &str = r#"[[reply]]
when = "Weather?"
thought = "Let me see."
chunks = ["I look."]
calls = [{ name = "f", arguments = { city = "Paris", days = [1, 2] } }, { name = "f", arguments = { city = "Rom" } }]
delay_ms = 30

[[reply]]
thought = "Let me see."
chunks = ["one ", "two ", "three ", "four"]
delay_ms = 30
"#;

#[tokio::test(start_paused = true)]
async fn a_run_cut_at_any_commit_goes_on_where_its_log_ends() {
    let plain = json!({"background": true});
    let summaries = json!({"background": true, "generation_config": {"thinking_summaries": "auto"}});
    let calls = json!({"background": true, "input": "Weather?", "tools": [{"type": "function", "name": "f",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": true}}]});
    let rows = [(plain, Status::Completed), (summaries, Status::Completed), (calls, Status::RequiresAction)];
    for (request, status) in rows {
        let (store, id, whole) = die_after(|store| engine(SCRIPT, store), usize::MAX, &request).await;
        let expected = engine(SCRIPT, &store).get(CALLER, &id).await.unwrap().finished().await;
        assert_eq!(expected.status, status);
        for commits in 0..whole.len() {
            let (store, id, seen) = die_after(|store| engine(SCRIPT, store), commits, &request).await;
            let next = engine(SCRIPT, &store);
            next.recover().await.unwrap();
            let handle = next.get(CALLER, &id).await.unwrap();
            let answer = handle.finished().await;
            assert_eq!(answer.status, status, "cut after {commits}");
            let text = |interaction: &antiphon_wire::Interaction| {
                let mut steps = serde_json::to_value(&interaction.steps).unwrap();
                for step in steps.as_array_mut().unwrap() {
                    let step = step.as_object_mut().unwrap();
                    step.remove("signature");
                    // Drawn anew when the log did not hold it yet; `seen` tells that it never changes.
                    step.remove("id");
                }
                steps
            };
            assert_eq!(text(&answer), text(&expected), "cut after {commits}");
            let after = log(&handle, 0).await;
            assert_eq!(after[..seen.len()], seen, "cut after {commits}: what was seen is there, once");
            assert_eq!(answer.usage, expected.usage, "cut after {commits}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_never_survives_is_given_up() {
    let (store, id, _) = die_after(|store| engine(SCRIPT, store), 1, &json!({"background": true})).await;
    for _ in 0..3 {
        let engine = engine(SCRIPT, &store);
        store.fail_appends(usize::MAX);
        engine.recover().await.unwrap();
        engine.shut_down(Duration::ZERO).await;
        store.fail_appends(0);
    }
    let engine = engine(SCRIPT, &store);
    engine.recover().await.unwrap();
    let answer = engine.get(CALLER, &id).await.unwrap().finished().await;
    assert_eq!((answer.status, answer.error.unwrap().code.as_str()), (Status::Failed, "aborted"));
}
