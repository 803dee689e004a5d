//! Agents of projects survive the death of the server, and run after it.

use serde_json::json;

use crate::server::Site;

#[test]
fn an_agent_that_was_acknowledged_is_there_and_runs_after_kill_9() {
    let site = Site::scripted("[[reply]]\nchunks = [\"Hello.\"]\n");
    let server = site.serve(&[]);
    let definition = json!({"id": "greeter", "base_agent": "antigravity-preview-05-2026",
        "system_instruction": "Greet.", "tools": [{"type": "function", "name": "ask"}]});
    let made = server.call("POST", "/v1/agents", Some(&definition)).unwrap();
    assert_eq!((made.status, &made.body), (200, &definition));
    server.signal_kill();
    drop(server);

    let server = site.serve(&[]);
    assert_eq!(server.call("GET", "/v1/agents/greeter", None).unwrap().body, definition);
    let body = json!({"agent": "greeter", "input": "Hi"});
    let run = server.call("POST", "/v1/interactions", Some(&body)).unwrap().body;
    assert_eq!((&run["status"], &run["agent"]), (&json!("completed"), &json!("greeter")), "{run}");
    let deleted = server.call("DELETE", "/v1/agents/greeter", None).unwrap();
    assert_eq!((deleted.status, deleted.body), (200, json!({})));
    let gone = server.call("POST", "/v1/interactions", Some(&body)).unwrap();
    assert_eq!((gone.status, &gone.body["error"]["code"]), (404, &json!("not_found")));
    // What it did is still told.
    let id = run["id"].as_str().unwrap();
    assert_eq!(server.call("GET", &format!("/v1/interactions/{id}"), None).unwrap().body["agent"], "greeter");
}
