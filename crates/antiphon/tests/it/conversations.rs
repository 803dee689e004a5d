//! Clients that leave, and clients that come all at once.

use std::collections::HashSet;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::server::Site;

#[test]
fn a_client_cut_after_any_event_resumes_with_exactly_the_rest() {
    let site = Site::scripted(
        "[[reply]]\nthought = \"Let me see.\"\nchunks = [\"one \", \"two \", \"three\"]\ndelay_ms = 30\n",
    );
    let server = site.serve(&[]);
    let request = json!({"model": "scripted", "input": "count", "stream": true,
        "generation_config": {"thinking_summaries": "auto"}});
    for cut in 1.. {
        let mut events = server.stream("POST", "/v1beta/interactions?alt=sse", Some(&request)).unwrap();
        let seen: Vec<Value> = events.by_ref().take(cut).collect();
        let whole_run = seen.len() < cut;
        drop(events);
        let id = seen[0]["interaction"]["id"].as_str().unwrap();
        let last = seen.last().unwrap()["event_id"].as_str().unwrap();
        let path = format!("/v1/interactions/{id}?stream=true");
        let rest = server.stream("GET", &format!("{path}&last_event_id={last}"), None).unwrap();
        let resumed: Vec<Value> = seen.iter().cloned().chain(rest).collect();
        let log: Vec<Value> = server.stream("GET", &path, None).unwrap().collect();
        assert_eq!(resumed, log, "cut after {cut} events");
        assert_eq!(log.last().unwrap()["interaction"]["status"], "completed");
        if whole_run {
            assert!(cut > 8, "a run has more events than {cut}");
            break;
        }
    }
}

#[test]
fn ten_clients_at_once_on_one_conversation_are_ten_forks() {
    let site = Site::scripted("[[reply]]\nchunks = [\"ok\"]\n");
    let server = site.serve(&[]);
    let first = server.create(&json!({"model": "scripted", "input": "one"})).unwrap().body;
    let next = |input: &str, previous: &Value| {
        let answer = server.create(&json!({"model": "scripted", "input": input, "previous_interaction_id": previous}));
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.body["status"].as_str()), (200, Some("completed")));
        answer.body
    };
    let forks: Vec<Value> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..10).map(|_| scope.spawn(|| next("two two", &first["id"]))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let ids: HashSet<_> = forks.iter().map(|fork| fork["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 10);
    for fork in &forks {
        // One word, the answer, two words: no fork sees another.
        assert_eq!(fork["usage"]["total_input_tokens"], 4);
        assert_eq!(next("three three three", &fork["id"])["usage"]["total_input_tokens"], 8);
    }
}
