//! Triggers over HTTP, as the SDKs send them.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::puppet::Puppet;
use crate::support::TestServer;

const AGENT: &str = "antigravity-preview-05-2026";

async fn server() -> TestServer {
    TestServer::with(Puppet::Says(&["All is quiet."])).await
}

fn body(fields: Value) -> String {
    let interaction = json!({"agent": AGENT, "input": "Look around"});
    let mut body = json!({"schedule": "0 9 * * *", "time_zone": "UTC", "interaction": interaction});
    let Value::Object(fields) = fields else { panic!("expected an object") };
    body.as_object_mut().unwrap().extend(fields);
    body.to_string()
}

#[tokio::test]
async fn a_trigger_is_made_run_paused_listed_and_deleted() {
    let server = server().await;
    let made = server.ask("POST", "/v1beta/triggers", body(json!({"display_name": "Morning"}))).await;
    assert_eq!(made.status, 200, "{:?}", made.body);
    let target = format!("/v1/triggers/{}", made.id());
    assert_eq!(server.ask("GET", &target, "").await.json(), made.json());
    assert_eq!(made.json()["next_run_time"], "2026-06-10T09:00:00Z");

    let paused = server.ask("PATCH", &target, r#"{"status": "paused"}"#).await.json();
    assert_eq!((&paused["status"], paused.get("next_run_time")), (&json!("paused"), None));
    let listed = server.ask("GET", "/v1/triggers?filter=status%3D%22paused%22&page_size=10", "").await.json();
    assert_eq!(listed, json!({"triggers": [paused]}));

    // SDKs send a content type and no body.
    let begun = server.ask("POST", &format!("{target}/executions"), "").await.json();
    // It may have ended already.
    assert!(begun["status"] == "in_progress" || begun["status"] == "completed", "{begun}");
    assert_eq!(begun["trigger_id"], made.json()["id"]);
    let interaction = begun["interaction_id"].as_str().unwrap();
    server.ask("GET", &format!("/v1/interactions/{interaction}?stream=true"), "").await;
    let ended = loop {
        let executions = server.ask("GET", &format!("{target}/executions"), "").await.json();
        let [execution] = executions["trigger_executions"].as_array().unwrap().as_slice() else {
            panic!("expected one")
        };
        if execution["status"] != "in_progress" {
            break execution.clone();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((&ended["status"], &ended["id"]), (&json!("completed"), &begun["id"]));

    assert_eq!(server.ask("DELETE", &target, "").await.json(), json!({}));
    for (method, path) in [("GET", target.clone()), ("GET", format!("{target}/executions")), ("DELETE", target)] {
        assert_eq!(server.ask(method, &path, "").await.error(), (404, "not_found".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_refused_by_name() {
    let server = server().await;
    let check = async |fields: Value, code: &str, path: &str| {
        let refused = server.ask("POST", "/v1/triggers", body(fields)).await;
        assert_eq!(refused.error().1, code, "{}", refused.message());
        assert!(refused.message().starts_with(&format!("`{path}`: ")), "{}", refused.message());
    };
    check(json!({"schedule": "@daily"}), "invalid_request", "schedule").await;
    check(json!({"time_zone": "Middle/Earth"}), "invalid_request", "time_zone").await;
    check(json!({"interaction": {"model": "m", "input": "x"}}), "invalid_request", "interaction.agent").await;
    check(
        json!({"interaction": {"agent": AGENT, "input": "x", "colour": 1}}),
        "parameter_unknown",
        "interaction.colour",
    )
    .await;
    check(json!({"colour": 1}), "parameter_unknown", "colour").await;
    let made = server.ask("POST", "/v1/triggers", body(json!({}))).await.id();
    let patched = server.ask("PATCH", &format!("/v1/triggers/{made}"), r#"{"schedule": "* * * * *"}"#).await;
    assert_eq!(patched.error(), (400, "parameter_unknown".to_owned()));
    assert_eq!(server.ask("GET", "/v1/triggers?filter=x", "").await.error(), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn another_projects_triggers_are_not_there() {
    let server = server().await;
    let id = server.ask("POST", "/v1/triggers", body(json!({}))).await.id();
    let target = format!("/v1/triggers/{id}");
    for (method, path, body) in [
        ("GET", target.clone(), ""),
        ("PATCH", target.clone(), "{}"),
        ("POST", format!("{target}/executions"), ""),
        ("GET", format!("{target}/executions"), ""),
        ("DELETE", target, ""),
    ] {
        let answer = server.ask_as(&server.other_key, method, &path, body).await;
        assert_eq!(answer.error(), (404, "not_found".to_owned()), "{method} {path}");
    }
    assert_eq!(server.ask_as(&server.other_key, "GET", "/v1/triggers", "").await.json(), json!({"triggers": []}));
    assert_eq!(server.ask_as("nobody", "GET", "/v1/triggers", "").await.status, 401);
}
