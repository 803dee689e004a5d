//! `kill -9` of the server and of the worker: whatever was acknowledged can be read and
//! reaches an end, and every event a client saw is in the log, once.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::server::{Server, Site};

const SCRIPT: &str = r#"
[[reply]]
thought = "Let me see."
chunks = ["one ", "two ", "three ", "four ", "five"]
delay_ms = 25
"#;

const WHOLE: &str = "one two three four five";

fn background(stream: bool) -> Value {
    json!({"model": "gemini-3.5-flash", "input": "count", "background": true, "stream": stream,
        "generation_config": {"thinking_summaries": "auto", "seed": 5}})
}

/// The whole log of an interaction, once it has ended.
fn log(server: &Server, id: &str) -> Vec<Value> {
    server.stream("GET", &format!("/v1/interactions/{id}?stream=true"), None).unwrap().collect()
}

fn id_of(event: &Value) -> Option<String> {
    event["interaction"]["id"].as_str().map(str::to_owned)
}

/// What must hold after a restart for an interaction of which these events were seen.
fn check(server: &Server, id: &str, seen: &[Value], expected_text: &str) {
    let log = log(server, id);
    assert_eq!(log[..seen.len()], *seen, "what was seen is in the log, in order, once");
    let mut ids: Vec<_> = log.iter().map(|event| event["event_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), log.len(), "no event is doubled");
    let answer = server.get(id).unwrap();
    assert_eq!((answer.status, answer.body["status"].as_str()), (200, Some("completed")), "{answer:?}");
    assert_eq!(text_of(&answer.body), expected_text);
}

fn text_of(interaction: &Value) -> String {
    let last = interaction["steps"].as_array().unwrap().last().unwrap();
    last["content"][0]["text"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn the_server_can_die_at_every_commit() {
    for point in ["before", "after"] {
        for commit in 1.. {
            let site = Site::scripted(SCRIPT);
            let fault = format!("{point}-commit:{commit}");
            let server = site.serve(&["--fault", &fault]);
            let events = server.stream("POST", "/v1beta/interactions", Some(&background(true)));
            let seen: Vec<Value> = events.into_iter().flatten().collect();
            let died = seen.last().is_none_or(|event| event["event_type"] != "interaction.completed");
            if died {
                assert!(!server.wait().success(), "{fault}");
            } else {
                server.kill();
            }
            let server = site.serve(&[]);
            match seen.first().and_then(id_of) {
                Some(id) => check(&server, &id, &seen, WHOLE),
                None => assert_eq!(commit, 1, "{fault}: only what was never accepted was never acknowledged"),
            }
            if !died {
                break;
            }
        }
    }
}

#[test]
fn the_server_can_be_killed_at_any_instant_of_background_runs() {
    let site = Site::scripted(SCRIPT);
    // A fixed sequence of instants: how many events of the last of three runs are seen
    // before the server is killed.
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut acknowledged: Vec<(String, Vec<Value>)> = Vec::new();
    for _ in 0..50 {
        let server = site.serve(&[]);
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let instant = (state % 12) as usize;
        for stream in [false, false, true] {
            if stream {
                let mut events = server.stream("POST", "/v1/interactions", Some(&background(true))).unwrap();
                let seen: Vec<Value> = events.by_ref().take(instant).collect();
                if let Some(id) = seen.first().and_then(id_of) {
                    acknowledged.push((id, seen));
                }
            } else {
                let answer = server.create(&background(false)).unwrap();
                acknowledged.push((answer.body["id"].as_str().unwrap().to_owned(), Vec::new()));
            }
        }
        server.kill();
    }
    let server = site.serve(&[]);
    assert!(acknowledged.len() >= 100);
    for (id, seen) in &acknowledged {
        let ended = log(&server, id);
        assert_eq!(ended[..seen.len()], **seen);
        let answer = server.get(id).unwrap().body;
        match answer["status"].as_str() {
            Some("completed") => assert_eq!(text_of(&answer), WHOLE),
            // Taken up again and again, and killed each time.
            Some("failed") => assert_eq!(answer["error"]["code"], "aborted"),
            other => panic!("{id} did not reach an end: {other:?}"),
        }
    }
}

#[test]
fn a_run_of_a_worker_goes_on_after_the_servers_death_with_the_same_words() {
    let request = json!({"model": "toy", "input": "Tell me", "background": true, "stream": true,
        "generation_config": {"seed": 11, "temperature": 1.0, "max_output_tokens": 120}});
    let site = Site::toy();
    let server = site.serve(&[]);
    let whole: Vec<Value> = server.stream("POST", "/v1/interactions", Some(&request)).unwrap().collect();
    let id = whole.first().and_then(id_of).unwrap();
    let expected = server.get(&id).unwrap().body;
    server.kill();
    for instant in [0, 3, 4, 5] {
        let server = site.serve(&[]);
        let mut events = server.stream("POST", "/v1/interactions", Some(&request)).unwrap();
        let seen: Vec<Value> = events.by_ref().take(instant.max(1)).collect();
        let id = seen.first().and_then(id_of).unwrap();
        server.kill();
        let server = site.serve(&[]);
        let log = log(&server, &id);
        assert_eq!(log[..seen.len()], seen);
        let answer = server.get(&id).unwrap().body;
        assert_eq!(answer["status"], expected["status"]);
        assert_eq!(text_of(&answer), text_of(&expected), "killed after {instant} events");
        assert_eq!(answer["usage"]["total_output_tokens"], expected["usage"]["total_output_tokens"]);
    }
}

#[test]
fn a_worker_can_die_after_every_chunk_and_fails_its_run_and_nothing_else() {
    let request = json!({"model": "toy", "input": "Tell me",
        "generation_config": {"seed": 11, "temperature": 1.0, "max_output_tokens": 12}});
    for chunks in 1.. {
        let site = Site::toy();
        let server = site.serve(&["--worker-fault", &chunks.to_string()]);
        let answer = server.create(&request).unwrap();
        assert_eq!(answer.status, 200);
        let id = answer.body["id"].as_str().unwrap();
        let stored = server.get(id).unwrap().body;
        assert_eq!(stored["status"], answer.body["status"]);
        if answer.body["status"] != "failed" {
            assert!(chunks > 1, "the fault was never reached");
            break;
        }
        assert_eq!(answer.body["error"]["code"], "service_unavailable");
        assert_eq!(stored["steps"].as_array().unwrap().len() - 1, answer.body["steps"].as_array().unwrap().len());
        // Started again for the next one, which ends as its own fault lets it.
        assert_eq!(server.create(&request).unwrap().status, 200, "after {chunks} chunks");
    }
}

#[test]
fn a_drained_server_exits_cleanly_and_its_background_runs_go_on() {
    let site = Site::scripted(SCRIPT);
    let server = site.serve(&[]);
    let answer = server.create(&background(false)).unwrap();
    let id = answer.body["id"].as_str().unwrap().to_owned();
    assert!(server.terminate().success());
    let server = site.serve(&[]);
    check(&server, &id, &[], WHOLE);
}
