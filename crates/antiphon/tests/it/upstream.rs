//! A model's service that is killed, and a server that is killed while its model is elsewhere:
//! each ends as documented, and what was seen is in the log.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::server::{Server, Site};

/// Words that come slowly enough to be cut between two of them.
const SLOW: &str = "[[reply]]\nchunks = [\"one \", \"two \", \"three \", \"four\"]\ndelay_ms = 2000\n";
const QUICK: &str = "[[reply]]\nchunks = [\"instead\"]\n";

fn request(stream: bool, background: bool) -> Value {
    json!({"model": "gemini-3.5-flash", "input": "count", "stream": stream, "background": background})
}

fn log(server: &Server, id: &str) -> Vec<Value> {
    server.stream("GET", &format!("/v1/interactions/{id}?stream=true"), None).unwrap().collect()
}

fn is_text(event: &Value) -> bool {
    event["delta"]["type"] == "text"
}

fn error_of(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or_default()
}

#[test]
fn a_service_killed_in_mid_stream_fails_the_run_and_keeps_what_was_said() {
    let far = Site::scripted(SLOW);
    let service = far.serve(&[]);
    let site = Site::behind(&service, Some(QUICK));
    let server = site.serve(&[]);
    let mut events = server.stream("POST", "/v1beta/interactions", Some(&request(true, false))).unwrap();
    let mut seen = Vec::new();
    while !seen.last().is_some_and(is_text) {
        seen.push(events.next().unwrap());
    }
    service.kill();
    seen.extend(events);
    let kinds: Vec<_> = seen.iter().map(|event| event["event_type"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"error"), "{kinds:?}");
    assert_eq!(seen.last().unwrap()["interaction"]["status"], "failed");
    let id = seen[0]["interaction"]["id"].as_str().unwrap();
    let stored = server.get(id).unwrap().body;
    assert_eq!((stored["status"].as_str(), error_of(&stored)), (Some("failed"), "service_unavailable"));
    // What was said cannot be said by another model, so no fallback was asked.
    assert_eq!(stored["steps"][1]["content"][0]["text"], "one ");
    assert_eq!(log(&server, id), seen);
}

#[test]
fn a_service_killed_before_its_first_token_is_replaced_or_fails_the_run() {
    for (fallback, status) in [(Some(QUICK), "completed"), (None, "failed")] {
        let far = Site::scripted(SLOW);
        let service = far.serve(&[]);
        let site = Site::behind(&service, fallback);
        let server = site.serve(&[]);
        let mut events = server.stream("POST", "/v1beta/interactions", Some(&request(true, false))).unwrap();
        let created = events.next().unwrap();
        service.kill();
        let last = events.last().unwrap();
        assert_eq!(last["interaction"]["status"], status, "{last}");
        let stored = server.get(created["interaction"]["id"].as_str().unwrap()).unwrap().body;
        match fallback {
            Some(_) => {
                assert_eq!(stored["antiphon_served_by"], "scripted");
                assert_eq!(stored["steps"][1]["content"][0]["text"], "instead");
            }
            None => assert_eq!(error_of(&stored), "service_unavailable"),
        }
    }
}

#[test]
fn a_background_run_whose_service_or_server_is_killed_ends_and_says_why() {
    for kills_server in [false, true] {
        let far = Site::scripted(SLOW);
        let service = far.serve(&[]);
        let site = Site::behind(&service, None);
        let mut server = site.serve(&[]);
        let started = server.create(&request(false, true)).unwrap().body;
        let id = started["id"].as_str().unwrap();
        let follow = format!("/v1/interactions/{id}?stream=true");
        let mut events = server.stream("GET", &follow, None).unwrap();
        let mut seen = Vec::new();
        while !seen.last().is_some_and(is_text) {
            seen.push(events.next().unwrap());
        }
        if kills_server {
            server.kill();
            server = site.serve(&[]);
        } else {
            service.kill();
        }
        let whole = log(&server, id);
        assert_eq!(whole[..seen.len()], *seen, "what was seen is there, once");
        let stored = server.get(id).unwrap().body;
        let code = if kills_server { "aborted" } else { "service_unavailable" };
        assert_eq!((stored["status"].as_str(), error_of(&stored)), (Some("failed"), code), "{stored}");
        assert_eq!(stored["steps"][1]["content"][0]["text"], "one ");
    }
}
