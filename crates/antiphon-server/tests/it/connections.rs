//! Connections come to an end: each makes room for another, and all of them when the
//! server stops.

use http_body_util::BodyExt;
use pretty_assertions::assert_eq;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::puppet::Puppet;
use crate::support::{Answer, TestServer, create_body, events_so_far, read_until};

#[tokio::test]
async fn draining_ends_streams_waits_for_answers_and_takes_nobody_new() {
    let (model, mut calls) = Puppet::asking();
    let server = TestServer::with(model).await;
    let listening = server.listen().await;
    let address = listening.address;

    let (_client, response) = listening.ask("POST", "/v1/interactions", create_body(json!({"stream": true}))).await;
    let mut stream = response.into_body();
    let streamed = calls.recv().await.unwrap();
    streamed.say("first");
    let mut text = read_until(&mut stream, "first").await;

    let (_idle, _sender) = listening.connect().await;
    let waiting = listening.ask("POST", "/v1/interactions", create_body(json!({})));
    let stop = async {
        let call = calls.recv().await.unwrap();
        listening.shutdown.cancel();
        while let Some(frame) = stream.frame().await {
            text.push_str(std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap());
        }
        assert!(TcpStream::connect(address).await.is_err(), "no new connections");
        call.say("late but whole");
        call.finish();
    };
    let ((_client2, response), ()) = tokio::join!(waiting, stop);
    let answer = Answer::of(response).await;
    assert_eq!(answer.json()["steps"][0]["content"][0]["text"], "late but whole");
    assert!(!text.contains("[DONE]"), "the run has not ended: {text}");
    assert!(!events_so_far(&text).is_empty());
    assert!(server.engine.closing().is_cancelled());
    listening.stopped().await;
}

#[tokio::test]
async fn a_connection_over_the_limit_waits_until_another_closes() {
    let server = TestServer::with(Puppet::Says(&["Hi"])).await;
    let mut options = server.options();
    options.limits.connections = 1;
    let listening = server.listen_with(options).await;
    for _ in 0..3 {
        let (first, response) = listening.ask("GET", "/healthz", String::new()).await;
        assert_eq!(response.status(), 200);
        let mut second = Box::pin(listening.ask("GET", "/healthz", String::new()));
        assert!(futures_util::poll!(&mut second).is_pending());
        drop((first, response));
        let (_second, response) = second.await;
        assert_eq!(response.status(), 200);
    }
}

#[tokio::test]
async fn a_connection_serves_on_when_a_request_was_refused_before_its_body_came() {
    let server = TestServer::with(Puppet::Says(&["Hi"])).await;
    let listening = server.listen().await;
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    let mut answers = Vec::new();
    for (part, answer) in [
        ("POST /v1/interactions HTTP/1.1\r\nhost: a\r\nx-goog-api-key: x\r\ncontent-length: 2\r\n\r\n", "HTTP/1.1 401"),
        ("{}GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 200"),
    ] {
        stream.write_all(part.as_bytes()).await.unwrap();
        while !String::from_utf8_lossy(&answers).contains(answer) {
            assert_ne!(stream.read_buf(&mut answers).await.unwrap(), 0, "closed before `{answer}`");
        }
    }
}

#[tokio::test]
async fn a_server_without_clients_stops_at_once() {
    let server = TestServer::with(Puppet::Says(&["Hi"])).await;
    let listening = server.listen().await;
    listening.shutdown.cancel();
    listening.stopped().await;
}
