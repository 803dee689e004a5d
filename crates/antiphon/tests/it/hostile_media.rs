//! Hostile media in requests, each sent to a real server, each with its documented answer: twice, so that what they leave
//! behind is seen.
//!
//! The bound on memory, 512 MiB, is one for each process: the server may have as much, and so may each process that it
//! starts, while others run. The bound on time, 10 s, is one of computing, by the server and what it starts together.

mod addresses;
mod case;
mod documents;
mod fields;
mod office;
mod pictures;
mod sounds;
mod watch;

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::case::{Answer, Case};
use self::watch::{Watch, children, computed, kilobytes};
use crate::server::{Server, Site, until_true};

const SCRIPT: &str = "[[reply]]\nchunks = [\"I was told.\"]\n";

/// Of computing, for each of them, by the server and what it starts. By the clock it takes longer on a busy machine.
const LONGEST: Duration = Duration::from_secs(10);

/// In KiB: of the server, and of each process that it starts, and not of all together.
const MOST_MEMORY: u64 = 512 << 10;

/// By how much the second pass may find the server larger than the first one has left it, in KiB.
const MOST_GROWTH: u64 = 64 << 10;

#[test]
fn each_hostile_medium_has_its_answer_and_leaves_nothing_behind() {
    let host = addresses::host();
    // A sandbox that waits for a program would be a child that stays.
    let config =
        format!("[sandbox]\nbackend = \"off\"\n\n[fetch.rewrite]\n\"{}\" = \"http://{host}\"\n", addresses::HOST);
    let site = Site::scripted_with(&config, SCRIPT);
    install_stand_ins(&site.models());
    let server = site.serve(&[]);
    let watch = Watch::of(server.id());
    let mut cases = pictures::cases();
    cases.extend(sounds::cases());
    cases.extend(documents::cases());
    cases.extend(office::cases());
    cases.extend(fields::cases());
    cases.extend(addresses::cases());
    let names: BTreeSet<_> = cases.iter().map(|case| case.name).collect();
    assert!(names.len() == cases.len() && cases.len() >= 60, "{} cases, {} names", cases.len(), names.len());

    let (first, second, wrong) = thread::scope(|scope| {
        // It takes its time beside the others.
        let slow = scope.spawn(|| faults(&server, &[addresses::slow()], false, None));
        let mut wrong = faults(&server, &cases, false, Some(LONGEST));
        let first = kilobytes(server.id(), "VmRSS:").unwrap();
        wrong.extend(faults(&server, &cases, true, Some(LONGEST)));
        let second = kilobytes(server.id(), "VmRSS:").unwrap();
        wrong.extend(slow.join().unwrap());
        (first, second, wrong)
    });
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));

    until_true(|| children(server.id()).is_empty());
    let peak = kilobytes(server.id(), "VmHWM:").unwrap();
    let peaks = watch.end();
    println!("{} cases; resident {first} KiB, then {second} KiB, at most {peak} KiB; children {peaks:?}", cases.len());
    assert!(second <= first + MOST_GROWTH, "it had {first} KiB after the first pass and {second} KiB after the second");
    assert!(peak <= MOST_MEMORY, "the server had {peak} KiB");
    for work in ["hear", "look", "read-document"] {
        assert!(peaks.contains_key(work), "no `{work}` was seen: {peaks:?}");
    }
    assert!(peaks.values().all(|peak| *peak <= MOST_MEMORY), "{peaks:?}");
    assert!(server.terminate().success());
}

/// Sends all of them; gives what of their answers is wrong. `longest` is how long the server may compute for one, where
/// it works for nobody else.
#[expect(clippy::print_stdout, reason = "how long each took is worth reading where one is wrong")]
fn faults(server: &Server, cases: &[Case], stream: bool, longest: Option<Duration>) -> Vec<String> {
    let judge = |case: &Case| {
        let (began, before) = (Instant::now(), computed(server.id()));
        let answer = server.create(&request(&case.part, stream && matches!(case.answer, Answer::Refused { .. })));
        let (took, computed) = (began.elapsed(), computed(server.id()) - before);
        println!("{:6.2} s, {:5.2} s computed: {}", took.as_secs_f64(), computed.as_secs_f64(), case.name);
        let Some(answer) = answer else { return Some(format!("{}: no answer, or no error", case.name)) };
        let fault = fault(case, answer.status, &answer.body);
        let is_too_long = longest.is_some_and(|longest| computed > longest);
        let fault = fault.or_else(|| is_too_long.then(|| format!("{computed:?} were computed")));
        fault.map(|fault| format!("{}: {fault}", case.name))
    };
    cases.iter().filter_map(judge).collect()
}

fn request(part: &Value, stream: bool) -> Value {
    let content = json!([{"type": "text", "text": "What is it?"}, part]);
    json!({"model": "scripted", "input": [{"type": "user_input", "content": content}], "stream": stream})
}

fn fault(case: &Case, status: u16, body: &Value) -> Option<String> {
    let shown: String = body.to_string().chars().take(600).collect();
    match case.answer {
        Answer::Refused { field, says } => {
            let message = body["error"]["message"].as_str().unwrap_or_default();
            let place = if field.is_empty() { String::new() } else { format!(".{field}") };
            let is_so = status == 400
                && (body["error"]["code"] == "invalid_request" || body["error"]["code"] == "parameter_unknown")
                && message.starts_with(&format!("`input[0].content[1]{place}"))
                && message.contains(says)
                && message.len() < 1000;
            (!is_so).then(|| format!("expected 400, `{field}` and `{says}`, got {status}: {shown}"))
        }
        Answer::Read { says } => {
            let steps = body["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
            let thought = steps.iter().find(|step| step["type"] == "thought");
            let told = thought.and_then(|thought| thought["summary"][0]["text"].as_str()).unwrap_or_default();
            let is_so = status == 200 && body["status"] == "completed" && told.contains(says);
            (!is_so).then(|| format!("expected it to be read, with `{says}`, got {status}: {shown}"))
        }
    }
}

/// Files as long as the networks that look and listen, with nothing in them: what is refused never gets to these, and
/// without them no picture and no sound would be looked at.
fn install_stand_ins(models: &Path) {
    let known: toml::Table = toml::from_str(include_str!("../../../antiphon-models/bundles.toml")).unwrap();
    for bundle in known["bundle"].as_array().unwrap() {
        let folder = models.join(bundle["name"].as_str().unwrap());
        std::fs::create_dir_all(&folder).unwrap();
        for file in bundle["files"].as_array().unwrap() {
            let made = std::fs::File::create(folder.join(file["name"].as_str().unwrap())).unwrap();
            made.set_len(u64::try_from(file["bytes"].as_integer().unwrap()).unwrap()).unwrap();
        }
        std::fs::write(folder.join("bundle.json"), json!({"files": bundle["files"]}).to_string()).unwrap();
    }
}
