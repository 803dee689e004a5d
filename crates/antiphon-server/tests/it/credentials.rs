//! Credentials over HTTP, as the SDKs send them.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::puppet::Puppet;
use crate::support::TestServer;

const PLANTED: &str = "ghp_planted_in_a_request";

async fn server() -> TestServer {
    TestServer::with(Puppet::Says(&["Hi"])).await
}

fn bearer(id: &str) -> Value {
    json!({"type": "bearer_token", "id": id, "token": PLANTED})
}

#[tokio::test]
async fn a_credential_is_made_listed_changed_and_deleted() {
    let server = server().await;
    let mut ids = Vec::new();
    for id in ["github", "mail", "key"] {
        let made = server.ask("POST", "/v1beta/credentials", bearer(id).to_string()).await;
        assert_eq!(made.status, 200, "{:?}", made.body);
        ids.push(made.id());
    }
    let shown = server.ask("GET", "/v1/credentials/github", "").await.json();
    let time = "2026-06-09T12:01:25Z";
    assert_eq!(
        shown,
        json!({"id": "github", "type": "bearer_token", "status": "active", "create_time": time, "update_time": time})
    );
    let first = server.ask("GET", "/v1/credentials?page_size=2", "").await.json();
    let token = first["next_page_token"].as_str().unwrap();
    let second = server.ask("GET", &format!("/v1/credentials?page_size=2&page_token={token}"), "").await.json();
    assert_eq!(second.get("next_page_token"), None);
    let both = [&first, &second].into_iter().flat_map(|page| page["credentials"].as_array().unwrap());
    let mut listed: Vec<_> = both.map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    listed.sort_unstable();
    ids.sort_unstable();
    assert_eq!(listed, ids);
    let changes = json!({"type": "bearer_token", "token": "new", "prefix": ""}).to_string();
    let target = "/v1/credentials/github";
    assert_eq!(server.ask("PATCH", &format!("{target}?update_mask=token,prefix"), changes.clone()).await.json(), shown);
    let wrong = server.ask("PATCH", &format!("{target}?update_mask=token"), changes).await;
    assert_eq!(wrong.error(), (400, "invalid_request".to_owned()));
    assert_eq!(server.ask("DELETE", target, "").await.json(), json!({}));
    assert_eq!(server.ask("GET", target, "").await.error(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn what_is_wrong_is_refused_by_name() {
    let server = server().await;
    server.ask("POST", "/v1/credentials", bearer("a").to_string()).await;
    let check = async |body: Value, code: &str, start: &str| {
        let refused = server.ask("POST", "/v1/credentials", body.to_string()).await;
        assert_eq!(refused.error(), (400, code.to_owned()));
        assert!(refused.message().starts_with(start), "{}", refused.message());
        assert!(!refused.message().contains(PLANTED));
    };
    check(bearer("a"), "failed_precondition", "`id`").await;
    check(bearer(PLANTED.repeat(9).as_str()), "invalid_request", "`id`").await;
    check(json!({"type": PLANTED}), "invalid_request", "`id`").await;
    check(json!({"type": PLANTED, "id": "b"}), "invalid_request", "`type`").await;
    check(json!({"type": "bearer_token", "id": "b", "token": [PLANTED]}), "invalid_request", "`token`").await;
    check(
        json!({"type": "bearer_token", "id": "b", "token": "t", "status": "revoked"}),
        "parameter_unknown",
        "`status`",
    )
    .await;
    check(json!(PLANTED), "invalid_request", "`body`").await;
    assert_eq!(server.ask("POST", "/v1/credentials", "").await.error(), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn another_projects_credentials_are_not_there() {
    let server = server().await;
    server.ask("POST", "/v1/credentials", bearer("a").to_string()).await;
    let update = json!({"type": "bearer_token", "token": "t"}).to_string();
    for (method, body) in [("GET", ""), ("PATCH", update.as_str()), ("DELETE", "")] {
        let answer = server.ask_as(&server.other_key, method, "/v1/credentials/a", body.to_owned()).await;
        assert_eq!(answer.error(), (404, "not_found".to_owned()), "{method}");
    }
    assert_eq!(server.ask_as(&server.other_key, "GET", "/v1/credentials", "").await.json(), json!({"credentials": []}));
    assert_eq!(server.ask_as("nobody", "GET", "/v1/credentials", "").await.status, 401);
}

#[tokio::test]
async fn a_server_that_has_lost_its_key_says_so_once() {
    let server = server().await;
    server.ask("POST", "/v1/credentials", bearer("a").to_string()).await;
    std::fs::remove_file(server.folder.path().join("credentials/key")).unwrap();
    let update = json!({"type": "bearer_token", "token": PLANTED}).to_string();
    let locked = server.ask("PATCH", "/v1/credentials/a", update).await;
    // Not a status that the SDKs try five times.
    assert_eq!(locked.error(), (400, "failed_precondition".to_owned()));
    assert!(locked.message().contains("key"), "{}", locked.message());
}
