//! Server-sent events: framing, resuming, and clients that leave.

use antiphon_engine::Store;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use jiff::Timestamp;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::puppet::Puppet;
use crate::support::{Answer, TestServer, create_body, events_so_far, read_until};

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event_type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_stream_has_the_headers_the_frames_and_the_trailer_of_the_spec() {
    let server = TestServer::with(Puppet::Says(&["Hello ", "there"])).await;
    let listening = server.listen().await;
    let (_client, response) =
        listening.ask("POST", "/v1beta/interactions?alt=sse", create_body(json!({"stream": true}))).await;
    let answer = Answer::of(response).await;
    assert_eq!(answer.status, 200);
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("x-accel-buffering", "no"),
        ("content-encoding", ""),
        ("content-length", ""),
        ("x-antiphon-model", "puppet"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let events = answer.events();
    assert_eq!(names(&events)[..3], ["interaction.created", "interaction.status_update", "step.start"]);
    assert_eq!(names(&events).last(), Some(&"interaction.completed"));
    for block in std::str::from_utf8(&answer.body).unwrap().trim_end().split("\n\n") {
        let lines: Vec<_> = block.lines().collect();
        assert!(lines[0].starts_with("event: ") && lines.last().unwrap().starts_with("data: "), "{block}");
    }
    let mut ids: Vec<_> = events.iter().map(|event| event["event_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), events.len());
}

#[tokio::test]
async fn resuming_after_any_event_gives_exactly_the_rest() {
    let server = TestServer::with(Puppet::Says(&["One ", "two ", "three ", "four"])).await;
    let whole = server.create(json!({"stream": true})).await.events();
    let id = whole[0]["interaction"]["id"].as_str().unwrap();
    let target = format!("/v1/interactions/{id}?stream=true");
    assert_eq!(server.ask("GET", &target, Body::empty()).await.events(), whole);
    for (at, event) in whole.iter().enumerate() {
        let token = event["event_id"].as_str().unwrap();
        let by_query = server.ask("GET", &format!("{target}&last_event_id={token}"), Body::empty()).await;
        assert_eq!(by_query.events(), whole[at + 1..], "after {at}");
        let request = Request::get(&target).header("x-goog-api-key", &server.key).header("last-event-id", token);
        let by_header = server.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(by_header.events(), whole[at + 1..], "after {at}");
    }
}

#[tokio::test]
async fn an_event_of_another_interaction_or_of_the_future_is_refused() {
    let server = TestServer::with(Puppet::Says(&["Hi"])).await;
    let id = server.create(json!({})).await.id();
    let other = server.create(json!({"stream": true})).await.events();
    let foreign = other[0]["event_id"].as_str().unwrap().to_owned();
    let parsed = antiphon_wire::InteractionId::parse(&id).unwrap();
    let future = antiphon_wire::EventId::new(&parsed, 1000).into_string();
    let nothing = antiphon_wire::EventId::new(&parsed, 0).into_string();
    for token in [foreign, future, nothing, "MQ".to_owned(), "%00".to_owned()] {
        let target = format!("/v1/interactions/{id}?stream=true&last_event_id={token}");
        let answer = server.ask("GET", &target, Body::empty()).await;
        assert_eq!(answer.error(), (400, "invalid_request".to_owned()), "{token}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_a_live_run_resumes_it_without_gap_or_double() {
    let (model, mut calls) = Puppet::asking();
    let server = TestServer::with(model).await;
    let listening = server.listen().await;
    let (client, response) = listening.ask("POST", "/v1/interactions", create_body(json!({"stream": true}))).await;
    let mut body = response.into_body();
    let call = calls.recv().await.unwrap();
    call.say("before");
    let mut seen = events_so_far(&read_until(&mut body, "before").await);
    drop((client, body));

    let id = seen[0]["interaction"]["id"].as_str().unwrap().to_owned();
    let token = seen.last().unwrap()["event_id"].as_str().unwrap();
    let target = format!("/v1/interactions/{id}?stream=true&last_event_id={token}");
    let (_client, response) = listening.ask("GET", &target, String::new()).await;
    assert!(!call.is_dropped(), "a stored run goes on without its client");
    call.say(" after");
    call.finish();
    seen.extend(Answer::of(response).await.events());

    let replayed = server.ask("GET", &format!("/v1/interactions/{id}?stream=true"), Body::empty()).await;
    assert_eq!(seen, replayed.events());
    let got = server.ask("GET", &format!("/v1/interactions/{id}"), Body::empty()).await.json();
    assert_eq!(got["steps"][1]["content"][0]["text"], "before after");
}

#[tokio::test]
async fn an_unstored_run_ends_when_its_client_leaves_streaming_or_waiting() {
    let (model, mut calls) = Puppet::asking();
    let server = TestServer::with(model).await;
    let listening = server.listen().await;

    let body = create_body(json!({"stream": true, "store": false}));
    let (client, response) = listening.ask("POST", "/v1/interactions", body).await;
    let call = calls.recv().await.unwrap();
    assert!(!call.is_dropped());
    drop((client, response));
    call.dropped().await;

    let waiting = Box::pin(listening.ask("POST", "/v1/interactions", create_body(json!({"store": false}))));
    let call = tokio::select! {
        _ = waiting => panic!("nothing was answered yet"),
        call = calls.recv() => call.unwrap(),
    };
    call.dropped().await;
}

#[tokio::test]
async fn a_stored_run_whose_client_left_while_waiting_completes() {
    let (model, mut calls) = Puppet::asking();
    let server = TestServer::with(model).await;
    let listening = server.listen().await;
    let waiting = Box::pin(listening.ask("POST", "/v1/interactions", create_body(json!({}))));
    let call = tokio::select! {
        _ = waiting => panic!("nothing was answered yet"),
        call = calls.recv() => call.unwrap(),
    };
    // Once the server has drained, it knows that the client is gone.
    listening.shutdown.cancel();
    listening.stopped().await;
    assert!(!call.is_dropped());
    call.say("whole");
    call.finish();
    server.engine.tasks().close();
    server.engine.tasks().wait().await;
    let far = Timestamp::MAX;
    assert_eq!(server.store.sweep(far, 10).await.unwrap(), 1, "it has ended and is stored");
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_said_without_an_id_and_the_connection_is_cut() {
    let (model, mut calls) = Puppet::asking();
    let server = TestServer::with(model).await;
    let listening = server.listen().await;
    let (_client, response) = listening.ask("POST", "/v1/interactions", create_body(json!({"stream": true}))).await;
    let mut body = response.into_body();
    let call = calls.recv().await.unwrap();
    call.say("before");
    let mut text = read_until(&mut body, "before").await;
    server.store.fail_appends(1000);
    call.say(" the disk is full");
    let end = loop {
        match body.frame().await {
            Some(Ok(frame)) => text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap()),
            other => break other,
        }
    };
    assert!(end.is_some_and(|end| end.is_err()), "a clean end would say that the interaction ended");
    let events = events_so_far(&text);
    let last = events.last().unwrap();
    assert_eq!((&last["event_type"], last.get("event_id")), (&json!("error"), None));
    assert_eq!(last["error"]["code"], "service_unavailable");
    assert!(!text.contains("disk is full\"") && !text.contains("[DONE]"), "only what is durable is shown: {text}");
}

#[tokio::test(start_paused = true)]
async fn silence_is_broken_by_a_comment_every_fifteen_seconds() {
    let (model, mut calls) = Puppet::asking();
    let server = TestServer::with(model).await;
    let request = Request::post("/v1/interactions").header("x-goog-api-key", &server.key);
    let mut body = server.respond(request.body(create_body(json!({"stream": true})).into()).unwrap()).await.into_body();
    let _call = calls.recv().await.unwrap();
    let mut comments = 0;
    while comments < 3 {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        comments += usize::from(frame == ": keep-alive\n\n");
        assert!(comments == 0 || frame.starts_with(b": "), "{frame:?}");
    }
}
