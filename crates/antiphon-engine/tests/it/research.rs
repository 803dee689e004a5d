//! Agents that research: a plan, searches, pages, sections, and a report that cites.

use std::sync::Arc;
use std::time::Duration;

use antiphon_engine::Engine;
use antiphon_testkit::{FixedTools, MemoryStore};
use antiphon_wire::{Content, CreateInteraction, Interaction, Status, Step};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::{CALLER, create, die_after, engine_with, log};

const SCRIPT: &str = r#"
[[reply]]
when = "Only the goals"
chunks = ['{"title": "Goals", "questions": ["Who scored?"]}']

[[reply]]
when = "Babble"
chunks = ["I would look into many things."]

[[reply]]
when = "In vain"
chunks = ['{"title": "Nothing", "questions": ["nothing"]}']

[[reply]]
when = "Everything"
chunks = ['{"title": "All", "questions": ["a", "b", "c", "d", "e"]}']

[[reply]]
when = "Slowly"
chunks = ['{"title": "All", "questions": ["a"]}']
delay_ms = 60000

[[reply]]
when = "Count the herons"
chunks = ['{"title": "Herons", "questions": ["How many herons?"]}']

[[reply]]
when = "that the answer to the question lacks"
calls = [
    { name = "code_execution", arguments = { language = "python", code = "40 herons" } },
    { name = "notes__echo", arguments = { text = "counted by hand" } },
    { name = "google_search", arguments = { queries = ["once more"] } },
]

[[reply]]
when = "counted by hand"
chunks = ["There are forty herons, counted by hand."]

[[reply]]
when = "Plan the research"
chunks = ['{"title": "The final', ' in Rome", "questions": ["How is the weather?", "Who won?"]}']

[[reply]]
when = "Sum up"
chunks = ["Spain won the final against England ⟦5⟧."]

[[reply]]
when = "It rains in Rome."
chunks = ["It rains in Rome ⟦3⟧. It also snows ⟦99⟧."]
delay_ms = 30

[[reply]]
when = "Spain won"
chunks = ["Spain won the final against England in Berlin ⟦5⟧."]
"#;

const AGENT: &str = "deep-research-preview-04-2026";

fn engine(store: &Arc<MemoryStore>) -> Engine {
    engine_with(SCRIPT, store, Arc::new(FixedTools::default()))
}

fn body(input: &str) -> Value {
    json!({"model": null, "agent": AGENT, "background": true, "input": input,
        "tools": [{"type": "google_search"}, {"type": "url_context"}]})
}

async fn run(engine: &Engine, body: Value) -> Interaction {
    create(engine, body).await.handle.finished().await
}

/// The text of the report, and what it cites: the words and the address.
fn report(interaction: &Interaction) -> (String, Vec<(String, String)>) {
    let Some(Step::ModelOutput(output)) = interaction.steps.as_deref().and_then(<[_]>::last) else {
        panic!("{:?}", interaction.steps)
    };
    let [Content::Text(text)] = output.content.as_slice() else { panic!("{:?}", output.content) };
    let place = |annotation: &Value, field: &str| usize::try_from(annotation[field].as_u64().unwrap()).unwrap();
    let annotations = serde_json::to_value(&output.content[0]).unwrap()["annotations"].clone();
    let cited = annotations.as_array().into_iter().flatten().map(|annotation| {
        assert_eq!(annotation["type"], "url_citation");
        let words = &text.text[place(annotation, "start_index")..place(annotation, "end_index")];
        (words.to_owned(), annotation["url"].as_str().unwrap().to_owned())
    });
    (text.text.clone(), cited.collect())
}

#[tokio::test(start_paused = true)]
async fn a_research_plans_searches_reads_and_ends_with_a_report_that_cites() {
    let mut body = body("Tell me of the final");
    body["agent_config"] = json!({"type": "deep-research", "thinking_summaries": "auto", "visualization": "off"});
    let answer = run(&engine(&Arc::default()), body).await;
    assert_eq!((answer.status, answer.agent.as_deref()), (Status::Completed, Some(AGENT)), "{:?}", answer.error);
    let steps = serde_json::to_value(&answer.steps).unwrap();
    let kinds: Vec<_> = steps.as_array().unwrap().iter().map(|step| step["type"].as_str().unwrap()).collect();
    let whole = [
        "thought",
        "google_search_call",
        "google_search_result",
        "url_context_call",
        "url_context_result",
        "thought",
        "google_search_call",
        "google_search_result",
        "model_output",
    ];
    assert_eq!(kinds, whole);
    let summary = |at: usize| steps[at]["summary"][0]["text"].clone();
    assert_eq!(summary(0), "The plan:\n1. How is the weather?\n2. Who won?");
    assert_eq!(summary(5), "How is the weather?\nIt rains in Rome . It also snows .");
    assert_eq!(steps[1]["arguments"], json!({"queries": ["How is the weather?"]}));
    assert_eq!(steps[3]["arguments"], json!({"urls": ["https://example.org/final", "https://example.org/scorers"]}));
    let (text, cited) = report(&answer);
    assert_eq!(
        text,
        "# The final in Rome\n\nSpain won the final against England.\n\n## How is the weather?\n\nIt rains in Rome. It \
         also snows.\n\n## Who won?\n\nSpain won the final against England in Berlin."
    );
    let cite = |words: &str| (words.to_owned(), "https://example.org/final".to_owned());
    // What no source says is not cited, whatever the model claims.
    let words =
        ["Spain won the final against England", "It rains in Rome", "Spain won the final against England in Berlin"];
    assert_eq!(cited, words.map(cite));
    let usage = answer.usage.unwrap();
    assert!(usage.total_tool_use_tokens > 0 && usage.grounding_tool_count[0].count == 2, "{usage:?}");
}

#[tokio::test(start_paused = true)]
async fn further_tools_help_with_a_question_once_it_was_searched_for() {
    let tools = FixedTools::default();
    let engine = engine_with(SCRIPT, &Arc::default(), Arc::new(tools.clone()));
    let mut asks = body("Count the herons");
    asks["tools"] = json!([{"type": "google_search"}, {"type": "code_execution"},
        {"type": "mcp_server", "name": "notes", "url": "https://example.com/mcp"}]);
    let answer = run(&engine, asks).await;
    assert_eq!(answer.status, Status::Completed, "{:?}", answer.error);
    let steps = serde_json::to_value(&answer.steps).unwrap();
    let kinds: Vec<_> = steps.as_array().unwrap().iter().map(|step| step["type"].as_str().unwrap()).collect();
    let whole = [
        "thought",
        "google_search_call",
        "google_search_result",
        "code_execution_call",
        "mcp_server_tool_call",
        "code_execution_result",
        "mcp_server_tool_result",
        "model_output",
    ];
    assert_eq!(kinds, whole);
    assert!(!tools.ran().iter().any(|arguments| arguments.contains("once more")), "a question is searched for once");
    assert_eq!(report(&answer).0, "# Herons\n\n## How many herons?\n\nThere are forty herons, counted by hand.");
}

#[tokio::test(start_paused = true)]
async fn thoughts_are_told_only_where_that_is_wanted() {
    let answer = run(&engine(&Arc::default()), body("Tell me of the final")).await;
    let steps = serde_json::to_value(&answer.steps).unwrap();
    assert_eq!((&steps[0]["type"], &steps[0]["summary"]), (&json!("thought"), &Value::Null));
    assert!(report(&answer).0.contains("## Who won?"));
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_agreed_on_before_it_is_carried_out() {
    let engine = engine(&Arc::default());
    let mut asks = body("Tell me of the final");
    asks["agent_config"] = json!({"type": "deep-research", "collaborative_planning": true});
    let handle = create(&engine, asks.clone()).await.handle;
    let plan = handle.finished().await;
    assert_eq!(plan.status, Status::Completed);
    let (text, cited) = report(&plan);
    assert!(text.contains("1. How is the weather?\n2. Who won?") && cited.is_empty(), "{text}");
    assert_eq!(plan.steps.as_ref().unwrap().len(), 2, "nothing was searched for yet");

    let mut answers = asks.clone();
    answers["previous_interaction_id"] = json!(handle.id().to_string());
    answers["input"] = json!("Only the goals");
    let (text, _) = report(&run(&engine, answers.clone()).await);
    assert!(text.starts_with("# Goals\n\n## Who scored?\n\n"), "{text}");

    // What the model makes no plan of leaves the one that was shown.
    answers["input"] = json!("Babble");
    let (text, _) = report(&run(&engine, answers).await);
    assert!(text.contains("## How is the weather?") && text.contains("## Who won?"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_cannot_plan_and_a_search_that_finds_nothing_still_end_with_a_report() {
    let engine = engine(&Arc::default());
    let babbles = run(&engine, body("Babble")).await;
    assert_eq!(babbles.status, Status::Completed, "{:?}", babbles.error);
    let (text, cited) = report(&babbles);
    assert!(text.starts_with("# Babble\n\n## Babble\n\nIt rains in Rome.") && cited.len() == 1, "{text}");
    let vain = run(&engine, body("In vain")).await;
    assert_eq!(vain.status, Status::Completed, "{:?}", vain.error);
    assert_eq!(report(&vain).0, "# Nothing\n\n## nothing\n\nNothing was found that answers this.");
}

#[tokio::test(start_paused = true)]
async fn a_research_that_reaches_its_bounds_is_incomplete_and_a_cancelled_one_cancelled() {
    let engine = engine(&Arc::default());
    assert_eq!(run(&engine, body("Everything")).await.status, Status::Incomplete);
    let handle = create(&engine, body("Slowly")).await.handle;
    let answer = engine.cancel(CALLER, handle.id()).await.unwrap();
    assert_eq!(answer.status, Status::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_research_cut_at_any_commit_ends_with_the_same_report() {
    let mut request = body("Tell me of the final");
    request["agent_config"] = json!({"type": "deep-research", "thinking_summaries": "auto"});
    let (store, id, whole) = die_after(engine, usize::MAX, &request).await;
    let expected = engine(&store).get(CALLER, &id).await.unwrap().finished().await;
    assert_eq!(expected.status, Status::Completed);
    // Turns are logged whole: there are fewer commits than events.
    for commits in 0..whole.len() {
        let (store, id, seen) = die_after(engine, commits, &request).await;
        let next = engine(&store);
        next.recover().await.unwrap();
        let handle = next.get(CALLER, &id).await.unwrap();
        let answer = handle.finished().await;
        assert_eq!(answer.status, Status::Completed, "cut after {commits}: {:?}", answer.error);
        assert_eq!(report(&answer), report(&expected), "cut after {commits}");
        assert_eq!(log(&handle, 0).await[..seen.len()], seen, "cut after {commits}: what was seen is there, once");
        next.shut_down(Duration::ZERO).await;
    }
}

#[test]
fn what_a_research_does_not_take_is_refused_by_name() {
    let rows = [
        (json!({"background": false}), "background"),
        (json!({"environment": "remote"}), "environment"),
        (json!({"tools": [{"type": "google_search"}, {"type": "function", "name": "f"}]}), "tools[1].type"),
        (json!({"tools": [{"type": "code_execution"}]}), "tools"),
        (json!({"tools": [{"type": "url_context"}]}), "tools"),
        (json!({"generation_config": {"temperature": 0.5}}), "generation_config"),
        (json!({"response_format": {"type": "text"}}), "response_format"),
        (json!({"agent_config": {"type": "antigravity"}}), "agent_config.type"),
        (
            json!({"agent_config": {"type": "deep-research", "enable_bigquery_tool": true}}),
            "agent_config.enable_bigquery_tool",
        ),
        (
            json!({"agent_config": {"type": "deep-research", "thinking_summaries": "all"}}),
            "agent_config.thinking_summaries",
        ),
        (json!({"agent_config": {"type": "deep-research", "visualization": "on"}}), "agent_config.visualization"),
        (json!({"agent_config": {"type": "deep-research", "model": "x"}}), "agent_config.model"),
        (
            json!({"agent": "antigravity-preview-05-2026", "agent_config": {"type": "deep-research"}}),
            "agent_config.type",
        ),
    ];
    for (more, path) in rows {
        let mut whole = body("Hi");
        whole.as_object_mut().unwrap().remove("model");
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let error = CreateInteraction::read(whole).unwrap_err();
        assert!(error.message.starts_with(&format!("`{path}`")), "{more}: {error}");
    }
}
