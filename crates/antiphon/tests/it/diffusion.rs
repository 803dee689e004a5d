//! Pictures by a diffusion model in a process of its own, with a worker that has no model.

use pretty_assertions::assert_eq;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::server::{Server, Site, processes_with, until_true};

/// The smallest file that looks like weights.
const WEIGHTS: &str = "\u{2}\0\0\0\0\0\0\0{}";

fn site() -> Site {
    let config = "[[models]]\nname = \"tiny\"\nbackend = \"diffusion\"\nfile = \"tiny.safetensors\"\n\
                  diffusion = { steps = 4, guidance = 1, vae = \"ae.safetensors\", change = 0.5 }\n";
    Site::new(config, &[("tiny.safetensors", WEIGHTS), ("ae.safetensors", WEIGHTS)])
}

fn serve(site: &Site, arguments: &[&str]) -> Server {
    let test = std::env::current_exe().unwrap();
    let toy = test.parent().unwrap().parent().unwrap().join("examples/antiphon-toy-diffusion");
    let toy = ["--diffusion-worker", toy.to_str().unwrap()];
    site.serve(&[&toy, arguments].concat())
}

/// The workers of this site: its weights are in their command lines.
fn workers(site: &Site) -> Vec<u32> {
    processes_with(site.data().parent().unwrap().join("tiny.safetensors").to_str().unwrap())
}

fn wanted(input: &str) -> Value {
    json!({ "model": "gemini-3.1-flash-image", "input": input, "generation_config": { "seed": 7 } })
}

fn ask(server: &Server, body: &Value) -> Value {
    let answer = server.create(body).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

fn picture(answer: &Value) -> &str {
    assert_eq!(answer["status"], "completed", "{answer}");
    let [output] = steps(answer, "model_output")[..] else { panic!("one step is the answer: {answer}") };
    let [part] = &output["content"].as_array().unwrap()[..] else { panic!("one picture: {answer}") };
    assert_eq!(part["type"], "image");
    part["data"].as_str().unwrap()
}

fn summary(answer: &Value) -> &str {
    let [thought] = steps(answer, "thought")[..] else { panic!("one thought: {answer}") };
    thought["summary"][0]["text"].as_str().unwrap()
}

fn steps<'a>(answer: &'a Value, kind: &str) -> Vec<&'a Value> {
    answer["steps"].as_array().unwrap().iter().filter(|step| step["type"] == kind).collect()
}

const SUMMARY: &str = "This picture is made by the diffusion model `tiny` on this machine, from the weights \
    `tiny.safetensors`, `ae.safetensors`. It begins with noise: 512 by 512 pixels, 4 steps, seed 7.\n\
    Step 1 of 4.\nStep 2 of 4.\nStep 3 of 4.\nStep 4 of 4.";

#[test]
fn a_picture_says_what_made_it_and_the_seed_decides_it() {
    let site = site();
    let server = serve(&site, &[]);
    let first = ask(&server, &wanted("A lighthouse"));
    assert_eq!(summary(&first), SUMMARY);
    let again = ask(&server, &wanted("A lighthouse"));
    assert_eq!(picture(&first), picture(&again));
    let mut other = wanted("A lighthouse");
    other["generation_config"]["seed"] = json!(8);
    assert_ne!(picture(&first), picture(&ask(&server, &other)));
    let wide = json!({ "type": "image", "aspect_ratio": "16:9", "image_size": "1K", "mime_type": "image/jpeg" });
    let wide = ask(&server, &json!({ "model": "tiny", "input": "A lighthouse", "response_format": wide }));
    assert!(picture(&wide).starts_with("/9j/"), "it is a JPEG");
    assert!(summary(&wide).contains("1376 by 768 pixels"), "{wide}");
}

#[test]
fn each_step_is_seen_once_and_the_picture_once() {
    let site = site();
    let server = serve(&site, &[]);
    let mut body = wanted("A lighthouse");
    body["stream"] = json!(true);
    let events: Vec<Value> = server.stream("POST", "/v1beta/interactions", Some(&body)).unwrap().collect();
    let deltas = || events.iter().filter(|event| event["event_type"] == "step.delta").map(|event| &event["delta"]);
    let said: String = deltas().filter_map(|delta| delta["content"]["text"].as_str()).collect();
    assert_eq!(said, SUMMARY);
    assert_eq!(deltas().filter(|delta| delta["type"] == "image").count(), 1);
    assert_eq!(events.last().unwrap()["interaction"]["status"], "completed");
}

#[test]
fn a_later_turn_changes_the_picture() {
    let site = site();
    let server = serve(&site, &[]);
    let first = ask(&server, &wanted("A lighthouse"));
    let mut body = wanted("Darker sky");
    body["previous_interaction_id"] = first["id"].clone();
    let second = ask(&server, &body);
    assert!(summary(&second).contains("It changes an earlier one: 512 by 512 pixels, 3 steps"), "{second}");
    assert_ne!(picture(&first), picture(&second));
}

#[test]
fn what_cannot_be_honoured_is_refused_before_acceptance() {
    let site = site();
    let server = serve(&site, &[]);
    let with = |more: Value| {
        let mut body = wanted("A");
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (body, field) in [
        (with(json!({ "generation_config": { "temperature": 1.0 } })), "`generation_config.temperature`"),
        (with(json!({ "response_format": { "type": "image", "image_size": "2K" } })), "`response_format.image_size`"),
        (with(json!({ "response_format": [{ "type": "text" }, { "type": "image" }] })), "`response_format`"),
        (wanted(&"x".repeat(5000)), "`input`"),
    ] {
        let refused = server.create(&body).unwrap();
        assert_eq!(refused.status, 400, "{}", refused.body);
        assert!(refused.body["error"]["message"].as_str().unwrap().starts_with(field), "{}", refused.body);
    }
}

#[test]
fn a_cancelled_picture_ends_its_worker_and_the_next_one_is_made() {
    let site = site();
    let server = serve(&site, &[]);
    let mut body = wanted("wait");
    body["background"] = json!(true);
    let id = ask(&server, &body)["id"].as_str().unwrap().to_owned();
    until_true(|| !workers(&site).is_empty());
    let cancelled = server.call("POST", &format!("/v1beta/interactions/{id}/cancel"), None).unwrap();
    assert_eq!((cancelled.status, &cancelled.body["status"]), (200, &json!("cancelled")));
    until_true(|| workers(&site).is_empty());
    picture(&ask(&server, &wanted("A lighthouse")));
}

#[test]
fn one_picture_at_a_time_and_a_worker_that_dies_costs_one() {
    let site = site();
    let server = serve(&site, &[]);
    let mut body = wanted("wait");
    body["background"] = json!(true);
    let dies = ask(&server, &body)["id"].as_str().unwrap().to_owned();
    until_true(|| !workers(&site).is_empty());
    let mut next = wanted("A lighthouse");
    next["background"] = json!(true);
    let next = ask(&server, &next)["id"].as_str().unwrap().to_owned();
    let [worker] = workers(&site)[..] else { panic!("one worker") };
    kill_process(Pid::from_raw(worker.cast_signed()).unwrap(), Signal::KILL).unwrap();
    let ended = |id: &str| {
        let path = format!("/v1beta/interactions/{id}?stream=true");
        server.stream("GET", &path, None).unwrap().for_each(drop);
        server.get(id).unwrap().body
    };
    let failed = ended(&dies);
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("service_unavailable")));
    picture(&ended(&next));
    for (input, code) in [("abort", "service_unavailable"), ("fail", "no_image")] {
        let failed = ask(&server, &wanted(input));
        assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!(code)), "{failed}");
    }
    picture(&ask(&server, &wanted("A lighthouse")));
}

#[test]
fn a_worker_does_not_outlive_its_server() {
    let site = site();
    let server = serve(&site, &[]);
    let mut body = wanted("wait");
    body["background"] = json!(true);
    ask(&server, &body);
    until_true(|| !workers(&site).is_empty());
    server.kill();
    until_true(|| workers(&site).is_empty());
}

#[test]
fn the_server_can_die_at_every_commit_and_the_picture_comes_once() {
    let mut body = wanted("A lighthouse");
    body["background"] = json!(true);
    body["stream"] = json!(true);
    for point in ["before", "after"] {
        for commit in 2.. {
            let site = site();
            let server = serve(&site, &["--fault", &format!("{point}-commit:{commit}")]);
            let events = server.stream("POST", "/v1beta/interactions", Some(&body));
            let seen: Vec<Value> = events.into_iter().flatten().collect();
            let died = seen.last().is_none_or(|event| event["event_type"] != "interaction.completed");
            if died {
                assert!(!server.wait().success())
            } else {
                server.kill()
            }
            if let Some(id) = seen.first().and_then(|event| event["interaction"]["id"].as_str()) {
                let server = serve(&site, &[]);
                let path = format!("/v1beta/interactions/{id}?stream=true");
                let log: Vec<Value> = server.stream("GET", &path, None).unwrap().collect();
                assert_eq!(log[..seen.len()], *seen, "what was seen is in the log, in order, once");
                let is_picture = |event: &&Value| event["delta"]["type"] == "image";
                assert_eq!(log.iter().filter(is_picture).count(), 1, "{point} {commit}");
                let answer = server.get(id).unwrap().body;
                assert_eq!(summary(&answer), SUMMARY);
                picture(&answer);
            }
            if !died {
                break;
            }
        }
    }
}
