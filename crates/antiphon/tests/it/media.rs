//! Media that the model does not take, over HTTP: what is refused before anything runs, and what
//! becomes of the rest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::server::{Server, Site};

const SCRIPT: &str = r#"
[[reply]]
when = "Colosseum"
chunks = ["It is about the Colosseum."]

[[reply]]
chunks = ["I do not know."]
"#;

fn document(mime_type: &str, bytes: &[u8]) -> Value {
    json!({"type": "document", "data": STANDARD.encode(bytes), "mime_type": mime_type})
}

fn ask(server: &Server, input: &Value) -> Value {
    let answer = server.create(&json!({"model": "scripted", "input": input})).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

#[test]
fn a_document_is_read_for_a_model_that_takes_none() {
    let site = Site::scripted(SCRIPT);
    let server = site.serve(&[]);
    let input = json!([{"type": "text", "text": "About what?"}, document("text/plain", b"The Colosseum was opened.")]);
    let answer = ask(&server, &input);
    let steps = answer["steps"].as_array().unwrap();
    assert_eq!(steps.last().unwrap()["content"][0]["text"], "It is about the Colosseum.", "{answer}");
    assert_eq!(steps[1]["x_media"]["block"], "input[0].content[1]");

    let body = json!({"model": "scripted", "input": input, "stream": true});
    let events: Vec<_> = server.stream("POST", "/v1beta/interactions", Some(&body)).unwrap().collect();
    let starts: Vec<_> = events.iter().filter(|event| event["event_type"] == "step.start").collect();
    let kinds: Vec<_> = starts.iter().map(|start| start["step"]["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["processing_call", "processing_result", "thought", "model_output"]);
    let delta = events.iter().find(|event| event["delta"]["type"] == "processing_result").unwrap();
    assert_eq!(delta["delta"]["x_media"]["seconds"], 0.0, "it was read a moment ago");

    // What was read outlives the process.
    let id = answer["id"].as_str().unwrap().to_owned();
    server.kill();
    let server = site.serve(&[]);
    let body = json!({"model": "scripted", "input": "And?", "previous_interaction_id": id});
    let next = server.create(&body).unwrap().body;
    assert_eq!(next["steps"].as_array().unwrap().len(), 1, "{next}");
    assert!(next["usage"]["total_input_tokens"].as_u64() > answer["usage"]["total_input_tokens"].as_u64());
}

#[test]
fn a_client_that_keeps_the_history_has_nothing_read_again_after_a_kill() {
    let site = Site::scripted(SCRIPT);
    let server = site.serve(&[]);
    let medium = document("text/plain", b"The Colosseum was opened.");
    let answer = server.create(&json!({"model": "scripted", "input": [medium], "store": false})).unwrap().body;
    server.kill();

    let server = site.serve(&[]);
    let mut history = vec![json!({"type": "user_input", "content": [medium]})];
    history.extend(answer["steps"].as_array().unwrap().iter().cloned());
    history.push(json!({"type": "user_input", "content": [{"type": "text", "text": "And?"}]}));
    let next = server.create(&json!({"model": "scripted", "input": history, "store": false})).unwrap().body;
    let kinds: Vec<_> = next["steps"].as_array().unwrap().iter().map(|step| step["type"].clone()).collect();
    assert_eq!(kinds, ["model_output"], "{next}");
    assert!(next["usage"]["total_input_tokens"].as_u64() > answer["usage"]["total_input_tokens"].as_u64());
}

#[test]
fn wherever_the_server_dies_each_medium_is_read_into_the_log_once() {
    let input = json!([document("text/plain", b"One."), document("text/plain", b"The Colosseum was opened.")]);
    let body = json!({"model": "scripted", "input": input, "background": true, "stream": true});
    let mut told = 0;
    for commit in 1.. {
        let site = Site::scripted(SCRIPT);
        let fault = format!("after-commit:{commit}");
        let server = site.serve(&["--fault", &fault]);
        let events = server.stream("POST", "/v1beta/interactions", Some(&body));
        let seen: Vec<Value> = events.into_iter().flatten().collect();
        let has_died = seen.last().is_none_or(|event| event["event_type"] != "interaction.completed");
        if has_died {
            assert!(!server.wait().success(), "{fault}");
        } else {
            server.kill();
        }
        let server = site.serve(&[]);
        let Some(id) = seen.first().and_then(|event| event["interaction"]["id"].as_str()) else {
            // It died before it could tell anybody: the run does not wait until what it has written is seen.
            assert!(has_died, "{fault}");
            continue;
        };
        let log: Vec<Value> =
            server.stream("GET", &format!("/v1/interactions/{id}?stream=true"), None).unwrap().collect();
        told += usize::from(has_died);
        assert_eq!(log[..seen.len()], *seen, "{fault}");
        let results = log.iter().filter(|event| event["delta"]["type"] == "processing_result");
        let blocks: Vec<_> = results.map(|event| event["delta"]["x_media"]["block"].clone()).collect();
        assert_eq!(blocks, ["input[0].content[0]", "input[0].content[1]"], "{fault}");
        let answer = server.get(id).unwrap().body;
        let steps = answer["steps"].as_array().unwrap();
        assert_eq!(steps.last().unwrap()["content"][0]["text"], "It is about the Colosseum.", "{fault}");
        if !has_died {
            break;
        }
    }
    assert!(told > 0, "no server died after it had told somebody");
}

#[test]
fn media_that_cannot_be_used_are_a_plain_400_also_for_a_stream() {
    let site = Site::scripted(SCRIPT);
    let server = site.serve(&[]);
    let png = b"\x89PNG\r\n\x1a\n";
    for (part, says) in [
        (json!({"type": "image"}), "`input[0].data`: expected the bytes in base64"),
        (json!({"type": "image", "data": "aGk=", "uri": "files/x"}), "`input[0].data`: expected either this or `uri`"),
        (
            document("application/pdf", png),
            "`input[0].content[0].mime_type`: it says `application/pdf`, and the data are",
        ),
        (json!({"type": "document", "data": "AAE="}), "`input[0].content[0].mime_type`: expected the type of the data"),
        (json!({"type": "document", "uri": "files/none"}), "`input[0].content[0].uri`: `files/none` not found"),
        (
            json!({"type": "document", "uri": "http://example.com/"}),
            "`input[0].content[0].uri`: expected an `https` address",
        ),
        (
            json!({"type": "document", "uri": "https://127.0.0.1/"}),
            "`input[0].content[0].uri`: cannot fetch content from the provided URL",
        ),
        (
            json!({"type": "video", "data": "AAAAGGZ0eXBpc29t", "mime_type": "video/mp4"}),
            "`input[0].content[0]`: the model takes no video",
        ),
    ] {
        for stream in [false, true] {
            let body = json!({"model": "scripted", "input": [part], "stream": stream});
            let answer = server.create(&body).unwrap();
            let message = answer.body["error"]["message"].as_str().unwrap();
            assert_eq!((answer.status, answer.body["error"]["code"].as_str()), (400, Some("invalid_request")));
            assert!(message.starts_with(says), "{message}");
        }
    }
}

#[test]
fn an_operator_can_have_media_refused() {
    let site = Site::scripted_with("[media]\nfallback = \"reject\"\n", SCRIPT);
    let server = site.serve(&[]);
    let body = json!({"model": "scripted", "input": [document("text/plain", b"words")]});
    let answer = server.create(&body).unwrap();
    assert_eq!(answer.body["error"]["message"], "`input[0].content[0]`: the model takes no document input");
}
