//! `kill -9` while an agent works: in a turn of its model, while a program runs, and around every
//! write of its log. What was seen is there, nothing is done twice, nothing goes on, and the
//! environment can be used.

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::server::{Server, Site, processes_with, until_true};

/// In this order: the first that fits is said.
const SCRIPT: &str = r#"
[[reply]]
when = "The server was interrupted while this ran"
chunks = ["Nobody knows whether it ran."]

[[reply]]
when = "Count, then note"
thought = "First the counting."
chunks = ["I ", "count ", "now."]
delay_ms = 20
calls = [{ name = "code_execution", arguments = { language = "bash", code = "echo ran >> runs.txt; echo counted" } }]

[[reply]]
when = "Look around"
calls = [{ name = "code_execution", arguments = { language = "bash", code = "ls -A; echo looked" } }]

[[reply]]
when = "looked"
chunks = ["I have looked."]

[[reply]]
when = "counted"
calls = [{ name = "write_file", arguments = { path = "notes.txt", content = "noted" } }]

[[reply]]
when = "is written"
chunks = ["All ", "is ", "noted."]
delay_ms = 20
"#;

fn request(input: &str, environment: &Value) -> Value {
    json!({"agent": "antigravity-preview-05-2026", "environment": environment, "input": input, "background": true,
        "stream": true, "tools": [{"type": "code_execution"}]})
}

fn id_of(event: &Value) -> Option<String> {
    event["interaction"]["id"].as_str().map(str::to_owned)
}

fn kinds(steps: &Value) -> Vec<&str> {
    steps.as_array().unwrap().iter().map(|step| step["type"].as_str().unwrap()).collect()
}

/// The content of a file of an environment; none when there is none.
fn content(server: &Server, environment: &str, path: &str) -> Option<String> {
    let listed = server.call("GET", &format!("/v1/environments/{environment}/files/{path}"), None).unwrap();
    if listed.status == 404 {
        return None;
    }
    let bytes = server.bytes(&format!("/v1/environments/{environment}/files/{path}?alt=media"), u64::MAX).unwrap();
    Some(String::from_utf8(bytes).unwrap())
}

/// What must hold of a run of which these events were seen before the server died. Its answer.
fn check(server: &Server, seen: &[Value], fault: &str) -> Value {
    let id = seen.first().and_then(id_of).unwrap();
    let log: Vec<Value> = server.stream("GET", &format!("/v1/interactions/{id}?stream=true"), None).unwrap().collect();
    assert_eq!(log[..seen.len()], *seen, "{fault}: what was seen is in the log, in order, once");
    let numbers: BTreeSet<_> = log.iter().map(|event| event["event_id"].as_str().unwrap()).collect();
    assert_eq!(numbers.len(), log.len(), "{fault}: no event is doubled");
    let answer = server.get(&id).unwrap().body;
    assert_eq!(answer["status"], "completed", "{fault}: {answer}");
    let steps = answer["steps"].as_array().unwrap();
    let ids = |suffix: &str, key: &str| {
        let of_kind = steps.iter().filter(|step| step["type"].as_str().unwrap().ends_with(suffix));
        of_kind.map(|step| step[key].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids("_call", "id"), ids("_result", "call_id"), "{fault}: each call has one result");
    answer
}

/// The environment of a run shows only what programs and tools have made, and can be used.
fn check_usable(server: &Server, environment: &Value, fault: &str) {
    let place = environment.as_str().unwrap();
    let path = format!("/v1/environments/{place}/files/?recursive=true");
    let listed = server.call("GET", &path, None).unwrap().body["files"].clone();
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert!(names.iter().all(|name| !name.starts_with('.')), "{fault}: {names:?}");
    let last = server.stream("POST", "/v1/interactions", Some(&request("Look around", environment))).unwrap().last();
    assert_eq!(last.unwrap()["interaction"]["status"], "completed", "{fault}");
}

/// What counting has left, held against what its result says.
fn check_counted_once(server: &Server, answer: &Value, fault: &str) {
    let result = answer["steps"].as_array().unwrap().iter().find(|step| step["type"] == "code_execution_result");
    let result = result.unwrap_or_else(|| panic!("{fault}: {answer}"));
    let runs = content(server, answer["environment_id"].as_str().unwrap(), "runs.txt").unwrap_or_default();
    match result["is_error"].as_bool() {
        Some(false) => assert_eq!(runs, "ran\n", "{fault}"),
        _ => assert!(["", "ran\n"].contains(&runs.as_str()), "{fault}: it ran {runs:?}"),
    }
}

#[test]
fn an_agents_server_can_die_at_every_commit() {
    let site = Site::scripted(SCRIPT);
    for point in ["before", "after"] {
        for commit in 1.. {
            let fault = format!("{point}-commit:{commit}");
            let server = site.serve(&["--fault", &fault]);
            let events =
                server.stream("POST", "/v1/interactions", Some(&request("Count, then note", &json!("remote"))));
            let seen: Vec<Value> = events.into_iter().flatten().collect();
            let died = seen.last().is_none_or(|event| event["event_type"] != "interaction.completed");
            if died {
                assert!(!server.wait().success(), "{fault}");
            } else {
                server.kill();
            }
            let server = site.serve(&[]);
            if seen.is_empty() {
                assert_eq!(commit, 1, "{fault}: only what was never accepted was never acknowledged");
            } else {
                let answer = check(&server, &seen, &fault);
                check_counted_once(&server, &answer, &fault);
                check_usable(&server, &answer["environment_id"], &fault);
            }
            server.kill();
            if !died {
                assert!(commit > 8, "{fault}: there are more places than this");
                break;
            }
        }
    }
}

#[test]
fn a_server_killed_in_a_turn_of_its_model_goes_on_with_the_same_words() {
    let site = Site::scripted(SCRIPT);
    for instant in 1..=8 {
        let fault = format!("after {instant} events");
        let server = site.serve(&[]);
        let whole = request("Count, then note", &json!("remote"));
        let mut events = server.stream("POST", "/v1/interactions", Some(&whole)).unwrap();
        let seen: Vec<Value> = events.by_ref().take(instant).collect();
        assert_eq!(seen.len(), instant, "{fault}");
        server.kill();
        let server = site.serve(&[]);
        let answer = check(&server, &seen, &fault);
        let expected = ["user_input", "thought", "model_output", "code_execution_call", "code_execution_result"];
        assert_eq!(kinds(&answer["steps"])[..5], expected, "{fault}");
        assert_eq!(answer["steps"][2]["content"][0]["text"], "I count now.", "{fault}");
        check_counted_once(&server, &answer, &fault);
        check_usable(&server, &answer["environment_id"], &fault);
        server.kill();
    }
}

/// Programs that are at work when their server is killed: each says `here` when it is.
const AT_WORK: [(&str, &str); 6] = [
    ("it waits", "echo here; exec sleep MARKER"),
    ("it ignores every signal", "trap '' TERM INT HUP QUIT USR1; echo here; sleep MARKER"),
    (
        "it has a daemon",
        "setsid python3 -c 'import os, signal, time\nfor number in (1, 2, 3, 15): signal.signal(number, signal.SIG_IGN)\nos.close(0)\nprint(\"here\", flush=True)\ntime.sleep(1000)' MARKER & sleep MARKER",
    ),
    ("it has many children", "for i in 1 2 3 4 5 6 7 8; do sleep MARKER & done; echo here; wait"),
    ("it floods its output", "while :; do echo here MARKER; done"),
    ("it writes a file", "echo here; while :; do head -c 1000000 /dev/zero > MARKER; done"),
];

#[test]
fn a_server_killed_while_a_program_runs_leaves_no_process_and_repeats_nothing() {
    let programs: Vec<String> = (0..AT_WORK.len()).map(|at| format!("31415926{}{at}", std::process::id())).collect();
    let script: String = AT_WORK
        .iter()
        .zip(&programs)
        .map(|((when, code), marker)| {
            // In its command line, where it can be found from outside.
            let code = format!("echo ran >> runs.txt; bash -c {} {marker}", quoted(&code.replace("MARKER", marker)));
            let call = json!(code);
            format!(
                "[[reply]]\nwhen = \"{when}\"\ncalls = [{{ name = \"code_execution\", arguments = {{ language = \"bash\", code = {call} }} }}]\n\n"
            )
        })
        .collect();
    let site = Site::scripted(&format!("{script}{SCRIPT}"));
    for ((when, _), marker) in AT_WORK.iter().zip(&programs) {
        let server = site.serve(&[]);
        let mut events = server.stream("POST", "/v1/interactions", Some(&request(when, &json!("remote")))).unwrap();
        let mut seen = Vec::new();
        let is_here = |event: &Value| event["delta"]["result"].as_str().is_some_and(|text| text.contains("here"));
        while !seen.last().is_some_and(is_here) {
            seen.push(events.next().unwrap_or_else(|| panic!("{when}: {seen:#?}")));
        }
        // While a shell becomes its last command, its command line is empty.
        until_true(|| !processes_with(marker).is_empty());
        server.kill();
        until_true(|| processes_with(marker).is_empty());
        let server = site.serve(&[]);
        let answer = check(&server, &seen, when);
        let steps = answer["steps"].as_array().unwrap();
        assert_eq!(kinds(&answer["steps"])[1..], ["code_execution_call", "code_execution_result", "model_output"]);
        assert_eq!(steps[2]["is_error"], true, "{when}");
        assert_eq!(steps[3]["content"][0]["text"], "Nobody knows whether it ran.", "{when}");
        let environment = &answer["environment_id"];
        assert_eq!(content(&server, environment.as_str().unwrap(), "runs.txt").unwrap(), "ran\n", "{when}");
        assert_eq!(processes_with(marker), [0_u32; 0], "{when}");
        check_usable(&server, environment, when);
        server.kill();
    }
}

/// A word of bash.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
