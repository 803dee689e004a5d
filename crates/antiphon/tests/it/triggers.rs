//! Triggers and `kill -9`: an execution that was begun reaches one end, and runs once.

use serde_json::{Value, json};

use crate::server::{Server, Site};

const SCRIPT: &str = "[[reply]]\nchunks = [\"one \", \"two \", \"three\"]\ndelay_ms = 10\n";

fn trigger() -> Value {
    // A tool that needs nothing of the machine.
    json!({"schedule": "0 0 1 1 *", "time_zone": "UTC", "interaction": {
        "agent": "antigravity-preview-05-2026", "input": "count", "tools": [{"type": "url_context"}]}})
}

/// The executions of a trigger, once none is in progress.
fn ended(server: &Server, id: &str) -> Vec<Value> {
    loop {
        let listed = server.call("GET", &format!("/v1/triggers/{id}/executions"), None).unwrap().body;
        let executions = listed["trigger_executions"].as_array().unwrap().clone();
        if executions.iter().all(|one| one["status"] != "in_progress") {
            return executions;
        }
    }
}

#[test]
fn an_execution_runs_once_wherever_the_server_dies() {
    for point in ["before", "after"] {
        for commit in 1.. {
            let site = Site::scripted(SCRIPT);
            let server = site.serve(&[]);
            let made = server.call("POST", "/v1/triggers", Some(&trigger())).unwrap();
            assert_eq!(made.status, 200, "{:?}", made.body);
            let id = made.body["id"].as_str().unwrap().to_owned();
            server.kill();
            let fault = format!("{point}-commit:{commit}");
            let server = site.serve(&["--fault", &fault]);
            let begun = server.call("POST", &format!("/v1/triggers/{id}/executions"), None);
            let interaction = begun.and_then(|begun| Some(begun.body["interaction_id"].as_str()?.to_owned()));
            let stream = |id: String| server.stream("GET", &format!("/v1/interactions/{id}?stream=true"), None);
            let last = interaction.and_then(stream).and_then(Iterator::last);
            let died = last.is_none_or(|event| event["event_type"] != "interaction.completed");
            if died {
                assert!(!server.wait().success(), "{fault}");
            } else {
                // Perhaps before the end of the execution is written.
                server.kill();
            }
            let server = site.serve(&[]);
            let executions = ended(&server, &id);
            assert_eq!(executions.len(), 1, "{fault}: {executions:?}");
            assert_eq!(executions[0]["status"], "completed", "{fault}: {executions:?}");
            let answer = server.get(executions[0]["interaction_id"].as_str().unwrap()).unwrap().body;
            let said = &answer["steps"].as_array().unwrap().last().unwrap()["content"][0]["text"];
            assert_eq!(said, "one two three", "{fault}");
            if !died {
                break;
            }
        }
    }
}
