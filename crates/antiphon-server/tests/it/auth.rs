//! Keys: where they are read, what is refused, how fast a change counts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_engine::{Ambient, ProjectId, Store};
use antiphon_testkit::FixedAmbient;
use axum::body::Body;
use axum::http::Request;
use pretty_assertions::assert_eq;
use serde_json::json;
use tokio::time::advance;
use tracing_subscriber::fmt::MakeWriter;

use crate::puppet::Puppet;
use crate::support::{Answer, TestServer, create_body, maker};

async fn server() -> TestServer {
    TestServer::with(Puppet::Says(&["Hi"])).await
}

async fn get_models(server: &TestServer, target: &str, headers: &[(&str, String)]) -> Answer {
    let request = headers.iter().fold(Request::get(target), |request, (name, value)| request.header(*name, value));
    server.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_key_is_taken_from_any_of_three_places() {
    let server = server().await;
    let key = &server.key;
    let path = "/v1/models";
    let query = format!("/v1/models?alt=json&key={key}");
    for (target, headers) in [
        (path, vec![("x-goog-api-key", key.clone())]),
        (path, vec![("authorization", format!("Bearer {key}"))]),
        (path, vec![("authorization", format!("bearer  {key} "))]),
        (query.as_str(), vec![]),
        (query.as_str(), vec![("x-goog-api-key", String::new()), ("authorization", "Basic abc".to_owned())]),
    ] {
        assert_eq!(get_models(&server, target, &headers).await.status, 200, "{target} {headers:?}");
    }
}

#[tokio::test]
async fn anything_but_a_valid_key_is_401_and_is_not_repeated() {
    let server = server().await;
    let typo = server.key.replacen("antiphon_", "antiphon_0", 1);
    let unknown = maker().make(&FixedAmbient::default(), ProjectId(99), "stranger", "x").text;
    for key in ["", "x", "AIzaSyDemoDemoDemoDemoDemoDemoDemoDemo00", &typo, &unknown, &format!("{}0", server.key)] {
        let body = Body::from_stream(futures_util::stream::pending::<Result<&str, std::io::Error>>());
        let answer = server.ask_as(key, "POST", "/v1/interactions", body).await;
        assert_eq!(answer.error(), (401, "authentication".to_owned()), "{key}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        let message = answer.message();
        assert!(message.contains("x-goog-api-key") && message.contains("Bearer") && message.contains("key="));
        assert!(key.len() < 2 || !message.contains(key), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_made_or_revoked_beside_the_server_count_within_a_second() {
    let server = server().await;
    let ambient = FixedAmbient::default();
    let new = maker().make(&ambient, server.store.project("default").await.unwrap(), "default", "new");
    let status = async || server.ask_as(&new.text, "GET", "/v1/models", Body::empty()).await.status.as_u16();

    assert_eq!(status().await, 401);
    server.store.add_key(new.record.clone()).await.unwrap();
    advance(Duration::from_secs(1)).await;
    assert_eq!(status().await, 200);
    server.store.revoke_key(&new.record.id, ambient.now()).await.unwrap();
    advance(Duration::from_secs(1)).await;
    assert_eq!(status().await, 401);
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Written {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_access_log_has_one_line_a_request_and_no_secret() {
    let server = server().await;
    let written = Written::default();
    // For the whole process, since a subscriber of one thread may miss events that other
    // tests met first. Lines of this test are told by their version segment.
    let subscriber = tracing_subscriber::fmt().with_writer(written.clone()).with_ansi(false).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let target = format!("/v1logged/interactions?key={}&planted=query", server.key);
    let body = create_body(json!({"input": "planted prompt", "system_instruction": "planted instruction"}));
    let request = Request::post(target).header("x-other", "planted header").body(Body::from(body)).unwrap();
    let id = server.send(request).await.id();
    server.ask_as("planted-key", "GET", "/v1logged/models", Body::empty()).await;

    let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("v1logged")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains("POST /v1logged/interactions 200 in") && lines[0].contains(&id), "{log}");
    assert!(lines[1].contains("GET /v1logged/models 401 in"), "{log}");
    assert!(!log.contains("planted") && !log.contains(&server.key), "{log}");
}
