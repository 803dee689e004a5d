//! A research survives the death of the server, and shows at the terminal.

use serde_json::{Value, json};

use crate::server::{Site, antiphon};

const AGENT: &str = "deep-research-preview-04-2026";

const SCRIPT: &str = r#"
[[reply]]
when = "Plan the research"
chunks = ['{"title": "The final", "questions": ["Who won the final in Berlin?", "Who scored the winning goal in Berlin?"]}']

[[reply]]
when = "Sum up"
chunks = ["Spain won the final in Berlin ⟦1⟧."]

[[reply]]
when = "Oyarzabal"
chunks = ["Spain won the final ", "in Berlin ⟦1⟧."]
delay_ms = 100
"#;

const DOCUMENT: &str = "---\ntitle: The final\nurl: https://example.org/final\nsite: Example\n---\n# The final\n\n\
                        Spain won the final in Berlin. Oyarzabal scored the winning goal in Berlin.\n";

fn annotations(interaction: &Value) -> Vec<Value> {
    let last = interaction["steps"].as_array().and_then(|steps| steps.last()).expect("a report");
    last["content"][0]["annotations"].as_array().cloned().unwrap_or_default()
}

#[test]
fn a_research_goes_on_after_kill_9() {
    let site = Site::searching(SCRIPT, DOCUMENT);
    let server = site.serve(&[]);
    let body = json!({"agent": AGENT, "input": "Tell me of the final", "background": true, "stream": true,
        "tools": [{"type": "google_search"}], "agent_config": {"type": "deep-research", "thinking_summaries": "auto"}});
    let mut events = server.stream("POST", "/v1/interactions", Some(&body)).unwrap();
    let mut seen = Vec::new();
    // The first question is being written about.
    for event in events.by_ref() {
        let has_result = event["delta"]["type"] == "google_search_result";
        seen.push(event);
        if has_result {
            break;
        }
    }
    server.signal_kill();
    seen.extend(events);
    drop(server);
    let id = seen[0]["interaction"]["id"].as_str().unwrap().to_owned();

    let server = site.serve(&[]);
    let all: Vec<Value> = server.stream("GET", &format!("/v1/interactions/{id}?stream=true"), None).unwrap().collect();
    assert_eq!(all[..seen.len()], seen, "what was seen is there, once");
    let whole = server.get(&id).unwrap().body;
    assert_eq!(whole["status"], "completed", "{whole}");
    let kinds: Vec<_> = whole["steps"].as_array().unwrap().iter().map(|step| step["type"].as_str().unwrap()).collect();
    let once = ["thought", "google_search_call", "google_search_result"];
    let expected: Vec<_> = once.into_iter().chain(once).chain(["model_output"]).collect();
    assert_eq!(kinds.into_iter().filter(|kind| *kind != "user_input").collect::<Vec<_>>(), expected);
    let cited = annotations(&whole);
    assert!(!cited.is_empty() && cited.iter().all(|one| one["url"] == "https://example.org/final"), "{whole}");
}

#[test]
fn a_report_and_its_sources_show_at_the_terminal() {
    let site = Site::searching(SCRIPT, DOCUMENT);
    let server = site.serve(&[]);
    let config = json!({"type": "deep-research", "thinking_summaries": "auto"}).to_string();
    let done = antiphon()
        .args(["agents", "run", AGENT, "Tell me of the final", "--tool", "google_search", "--agent-config", &config])
        .env("ANTIPHON_URL", format!("http://{}", server.address))
        .env("GEMINI_API_KEY", &site.key)
        .output()
        .unwrap();
    let (printed, said) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}");
    assert!(printed.starts_with("# The final\n\nSpain won the final in Berlin."), "{printed}");
    assert!(
        printed.contains("\nSources:\n- ") && printed.trim_end().ends_with(": https://example.org/final"),
        "{printed}"
    );
    assert!(said.contains("1. Who won the final in Berlin?") && said.contains("google_search_call"), "{said}");
}
