//! Bodies that are too long, broken or wrong.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use http_body_util::BodyExt;
use pretty_assertions::assert_eq;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::puppet::Puppet;
use crate::support::{BODY_LIMIT, TestServer, create_body};

async fn server() -> TestServer {
    TestServer::with(Puppet::Says(&["Hi"])).await
}

#[tokio::test]
async fn malformed_bodies_are_400_and_never_quoted() {
    let server = server().await;
    for (body, part) in [
        ("", "empty body"),
        ("{", "line 1 column 1"),
        ("{\"input\":\n\"planted\" x}", "line 2 column 11"),
        ("[]", "`body`"),
        ("\"planted\"", "`body`"),
        ("null", "`body`"),
        ("{}", "`model`"),
        ("{\"model\":\"gemini-3.5-flash\"}", "`input`"),
        ("{\"model\":\"gemini-3.5-flash\",\"input\":\"x\",\"stream\":\"planted\"}", "`stream`"),
        ("{\"model\":\"gemini-3.5-flash\",\"input\":\"x\",\"store\":false,\"background\":true}", "`background`"),
        ("{\"model\":\"gemini-3.5-flash\",\"input\":\"x\",\"previous_interaction_id\":\"nonsense\"}", "nonsense"),
    ] {
        let answer = server.ask("POST", "/v1/interactions", body).await;
        assert_eq!(answer.error(), (400, "invalid_request".to_owned()), "{body}");
        assert!(answer.message().contains(part), "{body}: {}", answer.message());
    }
    let unknown = server.create(json!({"frequency": 1})).await;
    assert_eq!(unknown.error(), (400, "parameter_unknown".to_owned()));
}

#[tokio::test]
async fn the_content_type_is_not_looked_at() {
    let server = server().await;
    for content_type in ["application/json", "text/plain", "application/json; charset=UTF-8", ""] {
        let request = Request::post("/v1/interactions")
            .header("x-goog-api-key", &server.key)
            .header("content-type", content_type)
            .header("accept", "text/html")
            .header("cookie", "")
            .body(Body::from(create_body(json!({}))));
        assert_eq!(server.send(request.unwrap()).await.status, 200, "{content_type}");
    }
    let request = Request::delete("/v1/interactions/v1_x")
        .header("x-goog-api-key", &server.key)
        .header("content-type", "application/json")
        .body(Body::empty());
    assert_eq!(server.send(request.unwrap()).await.status, 404);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_declared_or_not() {
    let server = server().await;
    let empty = create_body(json!({"input": ""})).len();
    let input = |length: usize| create_body(json!({"input": "x".repeat(length - empty)}));
    let most = BODY_LIMIT as usize;
    assert_eq!(server.ask("POST", "/v1/interactions", input(most)).await.status, 200);
    let too_long = Bytes::from(input(most + 1));
    let chunks: Vec<_> = too_long.chunks(1000).map(Bytes::copy_from_slice).map(Ok::<_, Infallible>).collect();
    let undeclared = Body::from_stream(futures_util::stream::iter(chunks));
    for body in [Body::from(too_long), undeclared] {
        let answer = server.ask("POST", "/v1/interactions", body).await;
        assert_eq!(answer.error(), (413, "content_too_large".to_owned()));
        assert!(answer.message().contains(&BODY_LIMIT.to_string()));
    }
}

/// The client that sends all of its body before it reads must still see why.
#[tokio::test]
async fn a_client_that_sends_too_much_still_gets_its_413() {
    let server = server().await;
    let listening = server.listen().await;
    let (_client, response) = listening.ask("POST", "/v1/interactions", "x".repeat(BODY_LIMIT as usize * 3 / 2)).await;
    assert_eq!(response.status(), 413);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"{\"error\""));
}

#[tokio::test]
async fn a_client_that_asks_first_is_refused_before_it_sends() {
    let server = server().await;
    let listening = server.listen().await;
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    let head = format!(
        "POST /v1/interactions HTTP/1.1\r\nhost: x\r\nx-goog-api-key: {}\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        server.key,
        // More than media of the most bytes have in base64.
        BODY_LIMIT / 3 * 4 + 8
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}
