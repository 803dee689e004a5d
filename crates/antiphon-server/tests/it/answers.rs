//! Status, headers and body of every route.

use axum::body::Body;
use axum::http::Request;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::puppet::Puppet;
use crate::support::{Answer, TestServer, create_body};

async fn server() -> TestServer {
    TestServer::with(Puppet::Says(&["Hello ", "there"])).await
}

fn assert_success(answer: &Answer) {
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(!answer.header("x-request-id").is_empty());
}

fn text_of(interaction: &Value) -> String {
    let steps = interaction["steps"].as_array().unwrap();
    steps.last().unwrap()["content"][0]["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn create_answers_with_the_generated_steps_and_names_the_model_that_served() {
    let server = server().await;
    for version in ["v1", "v1beta", "v1alpha", "v1beta1", "v2"] {
        let target = format!("/{version}/interactions?alt=sse&key=ignored&$prettyPrint=1&whatever");
        let answer = server.ask("POST", &target, create_body(json!({}))).await;
        assert_success(&answer);
        assert_eq!(answer.header("x-antiphon-model"), "puppet");
        let interaction = answer.json();
        assert_eq!(interaction["status"], "completed");
        assert_eq!(interaction["model"], "gemini-3.5-flash");
        assert_eq!(interaction["steps"].as_array().unwrap().len(), 1);
        assert_eq!(text_of(&interaction), "Hello there");
    }
}

#[tokio::test]
async fn get_cancel_and_delete_answer_as_the_sdks_need_it() {
    let server = server().await;
    let id = server.create(json!({})).await.id();
    let target = format!("/v1/interactions/{id}");

    let got = server.ask("GET", &target, Body::empty()).await;
    assert_success(&got);
    let got = got.json();
    assert_eq!((got["steps"][0]["type"].as_str(), text_of(&got)), (Some("user_input"), "Hello there".to_owned()));
    assert_eq!(got["input"], Value::Null);

    let with_input = server.ask("GET", &format!("{target}?include_input=True&stream=false"), Body::empty()).await;
    assert_success(&with_input);
    assert_eq!(with_input.json()["input"][0]["type"], "user_input");

    let cancelled = server.ask("POST", &format!("{target}/cancel"), Body::empty()).await;
    assert_eq!(cancelled.error(), (400, "failed_precondition".to_owned()));

    let deleted = server.ask("DELETE", &target, Body::empty()).await;
    assert_success(&deleted);
    assert_eq!(deleted.json(), json!({}));
    for (method, target) in [("GET", &target), ("DELETE", &target), ("POST", &format!("{target}/cancel"))] {
        assert_eq!(server.ask(method, target, Body::empty()).await.error(), (404, "not_found".to_owned()), "{method}");
    }
}

#[tokio::test]
async fn a_background_create_answers_at_once_and_can_be_cancelled_twice() {
    let (model, mut calls) = Puppet::asking();
    let server = TestServer::with(model).await;
    let accepted = server.create(json!({"background": true})).await;
    assert_success(&accepted);
    assert_eq!(accepted.header("x-antiphon-model"), "puppet");
    let interaction = accepted.json();
    assert_eq!((&interaction["status"], &interaction["steps"]), (&json!("in_progress"), &Value::Null));

    let call = calls.recv().await.unwrap();
    let target = format!("/v1/interactions/{}/cancel", accepted.id());
    for _ in 0..2 {
        let cancelled = server.ask("POST", &target, Body::empty()).await;
        assert_success(&cancelled);
        assert_eq!(cancelled.json()["status"], "cancelled");
    }
    call.dropped().await;
}

#[tokio::test]
async fn an_unstored_interaction_is_answered_and_cannot_be_found() {
    let server = server().await;
    let answer = server.create(json!({"store": false})).await;
    assert_success(&answer);
    let got = server.ask("GET", &format!("/v1/interactions/{}", answer.id()), Body::empty()).await;
    assert_eq!(got.error(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn a_base_url_with_a_slash_at_its_end_works() {
    let server = server().await;
    for target in ["//v1/interactions", "///v1/interactions?alt=sse"] {
        assert_success(&server.ask("POST", target, create_body(json!({}))).await);
    }
    assert_success(&server.ask("GET", "//healthz", Body::empty()).await);
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist_are_json_errors() {
    let server = server().await;
    for (method, target) in [
        ("GET", "/v1"),
        ("GET", "/v1/"),
        ("POST", "/interactions"),
        ("POST", "/x1/interactions"),
        ("POST", "/V1/interactions"),
        ("POST", "/v1.1/interactions"),
        ("GET", "/nothing/models"),
        ("GET", "/v1/webhooks"),
        ("POST", "/v1/webhooks"),
        ("POST", "/upload/v1beta/nothing"),
        ("POST", "/upload/v1beta/interactions"),
        ("GET", "/v1/interactions/a/b/c"),
        ("GET", "/favicon.ico"),
    ] {
        let answer = server.ask(method, target, Body::empty()).await;
        let error = answer.json()["error"].clone();
        assert_eq!(answer.status, 404, "{method} {target}");
        assert!(error["code"] == "not_found" || error["status"] == "NOT_FOUND", "{method} {target}");
    }
    for (method, target, allowed) in [
        ("GET", "/v1/interactions", "POST"),
        ("PUT", "/v1/interactions/v1_abc", "GET,HEAD,DELETE"),
        ("GET", "/v1/interactions/v1_abc/cancel", "POST"),
        ("POST", "/v1/models", "GET,HEAD"),
        ("DELETE", "/healthz", "GET,HEAD"),
    ] {
        let answer = server.ask(method, target, Body::empty()).await;
        assert_eq!(answer.error(), (405, "method_not_allowed".to_owned()), "{method} {target}");
        assert_eq!(answer.header("allow"), allowed, "{method} {target}");
    }
}

#[tokio::test]
async fn ids_that_name_nothing_are_not_found_whatever_is_wrong_with_them() {
    let server = server().await;
    let long = format!("v1_{}", "x".repeat(201));
    for id in ["v1_unknown", "v2_abc", "x", "v1_", "v1_a%20b", "%ff%fe", "v1_a%2Fb", &long] {
        for (method, suffix) in [("GET", ""), ("GET", "?stream=true"), ("DELETE", ""), ("POST", "/cancel")] {
            let answer = server.ask(method, &format!("/v1/interactions/{id}{suffix}"), Body::empty()).await;
            assert_eq!(answer.error(), (404, "not_found".to_owned()), "{method} {id}{suffix}");
        }
    }
}

#[tokio::test]
async fn another_project_finds_nothing() {
    let server = server().await;
    let id = server.create(json!({})).await.id();
    for (method, suffix) in [("GET", ""), ("GET", "?stream=true"), ("POST", "/cancel"), ("DELETE", "")] {
        let target = format!("/v1/interactions/{id}{suffix}");
        let answer = server.ask_as(&server.other_key, method, &target, Body::empty()).await;
        assert_eq!(answer.error(), (404, "not_found".to_owned()), "{method} {target}");
    }
    let chained = create_body(json!({"previous_interaction_id": id}));
    let answer = server.ask_as(&server.other_key, "POST", "/v1/interactions", chained).await;
    assert_eq!(answer.error(), (404, "not_found".to_owned()));
    assert_success(&server.ask("GET", &format!("/v1/interactions/{id}"), Body::empty()).await);
}

#[tokio::test]
async fn query_parameters_of_get_are_honoured_or_refused() {
    let server = server().await;
    let id = server.create(json!({})).await.id();
    for (query, named) in [
        ("stream=yes", "`stream`"),
        ("include_input=1", "`include_input`"),
        ("stream=true&include_input=true", "`include_input`"),
        ("last_event_id=abc", "`last_event_id`"),
        ("stream=true&last_event_id=abc", "`last_event_id`"),
        ("stream=true&stream=true", "`stream`"),
    ] {
        let answer = server.ask("GET", &format!("/v1/interactions/{id}?{query}"), Body::empty()).await;
        assert_eq!(answer.error(), (400, "invalid_request".to_owned()), "{query}");
        assert!(answer.message().contains(named), "{query}: {}", answer.message());
    }
    for query in ["stream=", "stream=False&include_input=false&last_event_id=", "alt=json&unknown=1"] {
        assert_success(&server.ask("GET", &format!("/v1/interactions/{id}?{query}"), Body::empty()).await);
    }
}

#[tokio::test]
async fn models_are_listed_and_an_alias_shows_who_serves_it() {
    let server = server().await;
    let listed = server.ask("GET", "/v1beta/models", Body::empty()).await;
    assert_success(&listed);
    let rejected = |kind: &str| json!({"route": "reject", "note": format!("the model takes no {kind} input")});
    let puppet = |name: &str| {
        json!({
            "name": name,
            "displayName": "puppet",
            "description": "Says what the test makes it say",
            "inputTokenLimit": 4096,
            "outputTokenLimit": 1024,
            "supportedGenerationMethods": ["createInteraction"],
            "x_media": {
                "audio": rejected("audio"),
                "document": rejected("document"),
                "image": rejected("image"),
                "video": rejected("video"),
            },
        })
    };
    let listed = listed.json();
    assert_eq!(listed["models"][0], puppet("models/puppet"));
    assert_eq!(listed["models"][1]["name"], "models/second");
    assert_eq!(listed.get("nextPageToken"), None);

    let first = server.ask("GET", "/v1beta/models?pageSize=1", Body::empty()).await.json();
    assert_eq!(first["models"].as_array().unwrap().len(), 1);
    let next = format!("/v1beta/models?pageSize=1&pageToken={}", first["nextPageToken"].as_str().unwrap());
    let second = server.ask("GET", &next, Body::empty()).await.json();
    assert_eq!((&second["models"][0]["name"], second.get("nextPageToken")), (&json!("models/second"), None));

    for name in ["puppet", "gemini-3.5-flash"] {
        let got = server.ask("GET", &format!("/v1/models/{name}"), Body::empty()).await;
        assert_success(&got);
        assert_eq!(got.json(), puppet(&format!("models/{name}")));
    }
}

#[tokio::test]
async fn errors_of_models_have_the_classic_shape() {
    let server = server().await;
    for (target, key, status, name) in [
        ("/v1/models/gpt-x", server.key.as_str(), 404, "NOT_FOUND"),
        ("/v1/models?pageSize=many", &server.key, 400, "INVALID_ARGUMENT"),
        ("/v1/models?pageToken=gone", &server.key, 400, "INVALID_ARGUMENT"),
        ("/v1/models", "wrong", 401, "UNAUTHENTICATED"),
    ] {
        let answer = server.ask_as(key, "GET", target, Body::empty()).await;
        let error = answer.json()["error"].clone();
        assert_eq!(answer.status.as_u16(), status, "{target}");
        assert_eq!((&error["code"], &error["status"]), (&json!(status), &json!(name)), "{target}");
        assert!(error["message"].is_string(), "{target}");
    }
}

#[tokio::test]
async fn health_needs_no_key() {
    let server = server().await;
    for target in ["/", "/healthz", "/readyz"] {
        let answer = server.send(Request::get(target).body(Body::empty()).unwrap()).await;
        assert_success(&answer);
    }
    server.engine.closing().cancel();
    let answer = server.ask("GET", "/readyz", Body::empty()).await;
    assert_eq!(answer.error(), (503, "service_unavailable".to_owned()));
    assert_success(&server.ask("GET", "/healthz", Body::empty()).await);
}

#[tokio::test]
async fn a_model_nobody_serves_is_named() {
    let server = server().await;
    let answer = server.create(json!({"model": "gpt-x"})).await;
    assert_eq!(answer.error(), (404, "model_not_found".to_owned()));
    assert!(answer.message().contains("gpt-x") && answer.message().contains("puppet"), "{}", answer.message());
}

#[tokio::test]
async fn a_full_queue_is_429_and_says_when_to_come_again() {
    let (model, mut calls) = Puppet::asking();
    let server = TestServer::with(model).await;
    let mut held = Vec::new();
    // Four slots, of which background work takes three, and 64 places to wait.
    for _ in 0..67 {
        assert_success(&server.create(json!({"background": true})).await);
    }
    for _ in 0..3 {
        held.push(calls.recv().await.unwrap());
    }
    let answer = server.create(json!({"background": true})).await;
    assert_eq!(answer.error(), (429, "rate_limit_exceeded".to_owned()));
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
}

#[tokio::test]
async fn a_panic_costs_its_own_request_alone() {
    let server = server().await;
    let answer = server.create(json!({"input": "panic"})).await;
    assert_eq!(answer.error(), (500, "api_error".to_owned()));
    assert!(!answer.message().contains("the test asked for it"));
    assert_success(&server.create(json!({})).await);
}
