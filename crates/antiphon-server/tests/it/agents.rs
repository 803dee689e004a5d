//! Agents of projects over HTTP, as the SDKs send them.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::puppet::Puppet;
use crate::support::TestServer;

const BASE: &str = "antigravity-preview-05-2026";

async fn server() -> TestServer {
    TestServer::with(Puppet::Says(&["Hi"])).await
}

fn definition(id: &str) -> Value {
    json!({"id": id, "base_agent": BASE, "description": "Counts birds", "system_instruction": "Be brief.",
        "tools": [{"type": "code_execution"}], "agent_config": {"type": "antigravity", "max_total_tokens": "5000"},
        "base_environment": {"type": "remote",
            "sources": [{"type": "inline", "content": "Be brief.", "target": ".agents/AGENTS.md"}]}})
}

#[tokio::test]
async fn an_agent_is_made_shown_listed_and_deleted() {
    let server = server().await;
    let made = server.ask("POST", "/v1beta/agents", definition("counter").to_string()).await;
    assert_eq!((made.status.as_u16(), made.json()), (200, definition("counter")));
    assert_eq!(server.ask("GET", "/v1/agents/counter", "").await.json(), definition("counter"));
    for id in ["b", "c"] {
        let body = json!({"id": id, "base_agent": BASE, "description": null});
        let made = server.ask("POST", "/v1/agents", body.to_string()).await;
        assert_eq!((made.status.as_u16(), made.json()), (200, json!({"id": id, "base_agent": BASE})));
    }
    let first = server.ask("GET", "/v1/agents?page_size=2&parent=projects%2Fx", "").await.json();
    let ids = |page: &Value| {
        page["agents"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&first), ["b", "c"]);
    let token = first["next_page_token"].as_str().unwrap();
    let last = server.ask("GET", &format!("/v1/agents?page_size=2&page_token={token}"), "").await.json();
    assert_eq!((ids(&last), last.get("next_page_token")), (vec!["counter".to_owned()], None));
    let deleted = server.ask("DELETE", "/v1/agents/counter", "").await;
    assert_eq!((deleted.status.as_u16(), deleted.json()), (200, json!({})));
    for method in ["GET", "DELETE"] {
        assert_eq!(server.ask(method, "/v1/agents/counter", "").await.error(), (404, "not_found".to_owned()));
    }
}

#[tokio::test]
async fn what_is_no_definition_is_refused_by_its_path() {
    let server = server().await;
    let refused = async |fields: Value| {
        let mut body = definition("counter");
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let answer = server.ask("POST", "/v1/agents", body.to_string()).await;
        assert_eq!(answer.status.as_u16(), 400);
        answer.message().split(": ").next().unwrap().to_owned()
    };
    assert_eq!(refused(json!({"id": null})).await, "`id`");
    assert_eq!(refused(json!({"id": "gemini-x"})).await, "`id`");
    assert_eq!(refused(json!({"base_agent": "counter"})).await, "`base_agent`");
    assert_eq!(refused(json!({"tools": [{"type": "google_maps"}]})).await, "`tools[0].type`");
    assert_eq!(refused(json!({"agent_config": {"type": "antigravity", "x": 1}})).await, "`agent_config.x`");
    let elsewhere = json!({"sources": [{"type": "inline", "content": "", "target": "/etc/x"}]});
    assert_eq!(refused(json!({"base_environment": elsewhere})).await, "`base_environment.sources[0].target`");
    assert_eq!(refused(json!({"instructions": "x"})).await, "`instructions`");
    let nothing = server.ask("GET", "/v1/agents", "").await.json();
    assert_eq!(nothing, json!({"agents": []}));
}

#[tokio::test]
async fn an_id_is_taken_once_and_an_environment_has_to_be_there() {
    let server = server().await;
    let made = server.ask("POST", "/v1/agents", definition("counter").to_string()).await;
    assert_eq!(made.status.as_u16(), 200);
    let again = server.ask("POST", "/v1/agents", definition("counter").to_string()).await;
    assert_eq!(again.error(), (409, "already_exists".to_owned()));

    // Other projects have their own agents, and no others.
    let theirs = server.ask_as(&server.other_key, "GET", "/v1/agents/counter", "").await;
    assert_eq!(theirs.error(), (404, "not_found".to_owned()));
    assert_eq!(server.ask_as(&server.other_key, "GET", "/v1/agents", "").await.json(), json!({"agents": []}));
    let own = server.ask_as(&server.other_key, "POST", "/v1/agents", definition("counter").to_string()).await;
    assert_eq!(own.status.as_u16(), 200);

    let environment = server.ask("POST", "/v1/environments", "{}").await.id();
    let on = |environment: &str| json!({"id": "on", "base_agent": BASE, "base_environment": environment}).to_string();
    let theirs = server.ask_as(&server.other_key, "POST", "/v1/agents", on(&environment)).await;
    assert_eq!(theirs.error(), (404, "not_found".to_owned()));
    assert_eq!(server.ask("POST", "/v1/agents", on("env_unknown")).await.error(), (404, "not_found".to_owned()));
    assert_eq!(server.ask("POST", "/v1/agents", on(&environment)).await.status.as_u16(), 200);
}
