//! Agents whose programs loop, flood, fork, hide, fill the disk and ignore signals: each is told what
//! became of them, nothing of them is left, and the environment can be used afterwards.

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use antiphon_engine::Caller;
use antiphon_sandbox::Limits;
use antiphon_wire::{EnvironmentId, Interaction, Status};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::site::{PROJECT, Site, order};

fn bash(code: &str) -> String {
    order("code_execution", json!({"language": "bash", "code": code}))
}

async fn worker(limits: Limits) -> Site {
    let site = Site::within(limits).await;
    site.define(json!({"tools": [{"type": "code_execution"}], "base_environment": "remote"})).await;
    site
}

/// What the calls of an interaction came to: whether they failed, and their text.
fn results(run: &Interaction) -> Vec<(bool, String)> {
    let steps = serde_json::to_value(&run.steps).unwrap();
    let is_result = |step: &&Value| step["type"].as_str().is_some_and(|kind| kind.ends_with("_result"));
    let result = |step: &Value| (step["is_error"] == true, step["result"].as_str().unwrap_or_default().to_owned());
    steps.as_array().unwrap().iter().filter(is_result).map(result).collect()
}

/// The processes of this machine that have a word in their command line.
fn processes_with(word: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let others = processes.filter(|id| *id != std::process::id().to_string());
    let lines = others.filter_map(|id| fs::read(format!("/proc/{id}/cmdline")).ok());
    lines.filter(|line| line.windows(word.len()).any(|part| part == word.as_bytes())).count()
}

fn marker(name: &str) -> String {
    format!("marker-{name}-{}", std::process::id())
}

/// Runs one unruly program, and then one that looks whether all is well.
async fn unruly(limits: Limits, code: &str, expected: &str) -> (Site, EnvironmentId) {
    let site = worker(limits).await;
    let orders = [bash(code), bash("echo still here > later.txt; cat later.txt")].join("\n");
    let run = site.run(json!({ "input": orders })).await.unwrap();
    assert_eq!(run.status, Status::Completed, "{:?}", run.error);
    let results = results(&run);
    assert!(results[0].0 && results[0].1.contains(expected), "{expected}: {:?}", &results[0].1.get(..500));
    assert_eq!(results[1], (false, "still here\n".to_owned()));
    assert!(site.model.heard().contains(expected), "the model is told");
    (site, run.environment_id.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_loops_is_ended_at_its_time() {
    let limits = Limits { wall: Duration::from_millis(700), ..Limits::default() };
    unruly(limits, "while :; do :; done", "the program was ended after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_floods_its_output_is_ended_and_little_of_it_is_told() {
    let limits = Limits { output_bytes: 32 << 10, ..Limits::default() };
    let (site, _) = unruly(limits, "while :; do echo a line of the flood; done", "it printed more than it may").await;
    assert!(site.model.heard().len() < 256 << 10, "{}", site.model.heard().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_forks_without_end_harms_nobody_else() {
    let site = worker(Limits { wall: Duration::from_secs(2), ..Limits::default() }).await;
    let marker = marker("bomb");
    let bomb = format!("bomb() {{ bomb {marker} | bomb & }}; bash -c 'f() {{ f | f & f; }}; f' {marker}; sleep 100");
    let other = site.environment(PROJECT, &[("a", "b")]).await;
    let bombing = site.begin(json!({ "input": bash(&bomb) })).await;
    let working = json!({"environment": other.as_str(), "input": bash("cat a; seq 20 | wc -l")});
    let worked = site.run(working).await.unwrap();
    assert_eq!(results(&worked), [(false, "b20\n".to_owned())]);
    let bombed = bombing.finished().await;
    assert_eq!((bombed.status, results(&bombed)[0].0), (Status::Completed, true));
    assert_eq!(processes_with(&marker), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_ignores_signals_ends_with_its_program() {
    let site = worker(Limits::default()).await;
    let marker = marker("daemon");
    let daemon = format!(
        "setsid bash -c 'trap \"\" TERM INT HUP QUIT; echo up > up; while :; do sleep 1; done' {marker} > /dev/null 2>&1 &\n\
         while [ ! -e up ]; do :; done; echo begun"
    );
    let run = site.run(json!({ "input": bash(&daemon.replace('\n', " ")) })).await.unwrap();
    assert_eq!(results(&run), [(false, "begun\n".to_owned())]);
    assert_eq!(processes_with(&marker), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_room_can_be_made() {
    let limits = Limits { workspace_bytes: 8 << 20, ..Limits::default() };
    let site = worker(limits).await;
    let orders = [
        bash("for i in 1 2 3 4; do head -c 5000000 /dev/zero > big$i; done; sleep 100"),
        order("write_file", json!({"path": "small.txt", "content": "small"})),
        order("delete_file", json!({"path": "big1"})),
        order("delete_file", json!({"path": "big2"})),
        order("delete_file", json!({"path": "big3"})),
        order("delete_file", json!({"path": "big4"})),
        order("write_file", json!({"path": "small.txt", "content": "small"})),
        // The model says each thing once.
        bash("cat small.txt; ls"),
    ];
    // An order that was given is not given again, so the second try has another text.
    let orders: Vec<_> = orders
        .iter()
        .enumerate()
        .map(|(at, order)| if at == 6 { order.replace("\"small\"", "\"smaller\"") } else { order.clone() })
        .collect();
    let run = site.run(json!({ "input": orders.join("\n") })).await.unwrap();
    let results = results(&run);
    assert!(results[0].0 && results[0].1.contains("it wrote more to its folder than it may"), "{results:#?}");
    assert!(results[1].0, "nothing is written into what is full: {results:#?}");
    assert!(!results[6].0, "{results:#?}");
    assert_eq!(results[7], (false, "smallersmall.txt\n".to_owned()), "{results:#?}");
    let id = run.environment_id.unwrap();
    assert_eq!(site.paths(&id).await, ["small.txt"]);
}

/// A queue in the workspace that the program of `waiting` waits for.
fn open_queue(site: &Site, id: &EnvironmentId) {
    let queue = site.workspace(id).join("queue");
    fs::File::options().write(true).open(queue).unwrap().write_all(b"go\n").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_interactions_work_in_one_environment_one_after_the_other() {
    let site = worker(Limits::default()).await;
    let id = site.environment(PROJECT, &[("a", "b")]).await;
    let waits = bash(
        "mkfifo queue; echo ready > ready; cat queue; echo first >> order.txt; sleep 0.1; echo first >> order.txt",
    );
    let place = json!(id.as_str());
    // Without `agent` nothing of the environment is read before it is accepted.
    let plain = |input: &str| json!({"agent": null, "model": "obedient", "environment": place, "input": input, "tools": [{"type": "code_execution"}]});
    let first = site.begin(plain(&waits)).await;
    while !site.workspace(&id).join("ready").exists() {
        tokio::task::yield_now().await;
    }
    let second = site.begin(plain(&bash("echo second >> order.txt; cat order.txt"))).await;
    // It has made its call, and is not let in.
    while second.last_seq() < 5 {
        tokio::task::yield_now().await;
    }
    assert!(!site.workspace(&id).join("order.txt").exists());
    open_queue(&site, &id);
    assert_eq!(first.finished().await.status, Status::Completed);
    let second = second.finished().await;
    assert_eq!(results(&second), [(false, "first\nfirst\nsecond\n".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_interaction_leaves_no_process_and_gives_the_environment_back() {
    let site = worker(Limits::default()).await;
    let id = site.environment(PROJECT, &[("a", "b")]).await;
    let marker = marker("cancelled");
    let stubborn = format!(
        "trap '' TERM INT HUP; echo ready > ready; bash -c 'trap \"\" TERM INT HUP; while :; do sleep 1; done' {marker}"
    );
    let running = site.begin(json!({"environment": id.as_str(), "input": bash(&stubborn)})).await;
    while !site.workspace(&id).join("ready").exists() || processes_with(&marker) == 0 {
        tokio::task::yield_now().await;
    }
    let cancelled = site.engine.cancel(Caller { project: PROJECT }, running.id()).await.unwrap();
    assert_eq!((cancelled.status, results(&cancelled)[0].0), (Status::Cancelled, true));
    let after = site.run(json!({"environment": id.as_str(), "input": bash("cat a ready")})).await.unwrap();
    assert_eq!(results(&after), [(false, "bready\n".to_owned())]);
    assert_eq!(processes_with(&marker), 0);
}
