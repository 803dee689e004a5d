//! Tools of the server: the loop of model and tools, what is logged when, and what happens
//! when it is cut.

use std::sync::Arc;
use std::time::Duration;

use antiphon_engine::{Engine, Followed, RunLimits};
use antiphon_testkit::FixedTools;
use antiphon_wire::{Content, Interaction, InteractionEvent, Status, Step, StepDelta};
use futures_util::StreamExt as _;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{CALLER, create, die_after, engine_with, log, request};

const SCRIPT: &str = r#"
[[reply]]
when = "Who won?"
calls = [{ name = "google_search", arguments = { queries = ["final"] } }]
delay_ms = 30

[[reply]]
when = "opened by Titus"
chunks = ["The Colosseum was opened by Titus in the year 80 ⟦1⟧."]

[[reply]]
when = "Who opened it?"
calls = [{ name = "file_search", arguments = { queries = ["opened"] } }]

[[reply]]
when = "given above already"
chunks = ["Spain won the final ", "⟦", "1⟧. That was", " in summer."]
delay_ms = 30

[[reply]]
when = "Spain won the final"
chunks = ["Spain won the final ", "⟦", "1⟧. That was", " in summer."]
delay_ms = 30

[[reply]]
when = "Search twice"
calls = [
    { name = "google_search", arguments = { queries = ["final"] } },
    { name = "google_search", arguments = { queries = ["scorers"] } },
]
delay_ms = 30

[[reply]]
when = "Compute"
chunks = ["I compute."]
calls = [{ name = "code_execution", arguments = { code = "one\nwait\ntwo\npicture" } }]

[[reply]]
when = "Twice"
calls = [
    { name = "code_execution", arguments = { code = "wait\nslow" } },
    { name = "code_execution", arguments = { code = "quick\npicture" } },
]

[[reply]]
when = "quick"
chunks = ["Both ran."]

[[reply]]
when = "two"
chunks = ["It is two."]

[[reply]]
when = "Both?"
calls = [
    { name = "get_weather", arguments = { city = "Rom" } },
    { name = "google_search", arguments = { queries = ["nothing"] } },
]

[[reply]]
when = "sunny"
chunks = ["It is sunny."]

[[reply]]
when = "Broken?"
calls = [{ name = "google_search", arguments = { queries = ["broken"] } }]

[[reply]]
when = "Wrong?"
calls = [{ name = "google_search", arguments = { query = "x" } }]

[[reply]]
when = "do not conform"
chunks = ["I cannot ask so."]

[[reply]]
when = "Again"
calls = [{ name = "code_execution", arguments = { code = "Again" } }]

[[reply]]
when = "Many"
calls = [
    { name = "code_execution", arguments = { code = "1" } }, { name = "code_execution", arguments = { code = "2" } },
    { name = "code_execution", arguments = { code = "3" } }, { name = "code_execution", arguments = { code = "4" } },
    { name = "code_execution", arguments = { code = "5" } }, { name = "code_execution", arguments = { code = "6" } },
    { name = "code_execution", arguments = { code = "7" } },
]

[[reply]]
when = "What can you do?"
calls = [{ name = "tool_search", arguments = { function_names = ["get_weather"] } }]

[[reply]]
when = "Loaded"
calls = [{ name = "get_weather", arguments = { city = "Rom" } }]

[[reply]]
when = "Found: `get_weather`"
calls = [{ name = "get_weather", arguments = { city = "Rom" } }]

[[reply]]
when = "At once"
calls = [{ name = "get_weather", arguments = { city = "Rom" } }]

[[reply]]
when = "Ask the client"
calls = [{ name = "find", arguments = {} }]

[[reply]]
when = "And the loser?"
chunks = ["England."]

[[reply]]
when = "interrupted"
chunks = ["I do not know."]
"#;

fn tools(kinds: &[&str]) -> Value {
    kinds.iter().map(|kind| json!({"type": kind})).collect()
}

/// What a run with these tools comes to.
async fn run(input: &str, kinds: &[&str]) -> (Interaction, FixedTools) {
    let tools_of_server = FixedTools::default();
    let engine = engine_with(SCRIPT, &Arc::default(), Arc::new(tools_of_server.clone()));
    let handle = create(&engine, json!({"input": input, "tools": tools(kinds)})).await.handle;
    (handle.finished().await, tools_of_server)
}

/// The lines of a log without their numbers and without what is drawn by chance.
fn plain(lines: Vec<String>) -> Vec<String> {
    let plain = |line: String| {
        let line = line.split_once(' ').map_or(line.clone(), |(_, line)| line.to_owned());
        line.split(" call_").next().unwrap_or_default().to_owned()
    };
    lines.into_iter().map(plain).collect()
}

#[tokio::test(start_paused = true)]
async fn a_search_shows_what_was_asked_and_found_and_its_answer_cites() {
    let engine = engine_with(SCRIPT, &Arc::default(), Arc::new(FixedTools::default()));
    let body = json!({"input": "Who won?", "tools": tools(&["google_search"])});
    let handle = create(&engine, body).await.handle;
    let answer = handle.finished().await;
    assert_eq!(
        plain(log(&handle, 0).await),
        [
            "interaction.created in_progress",
            "interaction.status_update in_progress",
            "step.start 0 google_search_call",
            "step.delta 0 call {\"queries\":[\"final\"]}",
            "step.stop 0",
            "step.start 1 google_search_result",
            "step.delta 1 result [{\"search_suggestions\":\"<div></div>\"}] Some(false)",
            "step.stop 1",
            "step.start 2 ModelOutput",
            "step.delta 2 text \"Spain won the final\"",
            "step.delta 2 text \". That was\"",
            "step.delta 2 text \" in summer.\"",
            "step.delta 2 annotations [{\"type\":\"url_citation\",\"url\":\"https://example.org/final\",\
             \"title\":\"example.org\",\"start_index\":0,\"end_index\":19}]",
            "step.stop 2",
            "interaction.status_update completed",
            "interaction.completed completed",
        ]
    );
    let usage = answer.usage.unwrap();
    assert_eq!(
        serde_json::to_value(usage.grounding_tool_count).unwrap(),
        json!([{"type": "google_search", "count": 1}])
    );
    assert!(usage.total_tool_use_tokens > usage.total_input_tokens);
    assert_eq!(usage.total_tokens, usage.total_input_tokens + usage.total_output_tokens + usage.total_tool_use_tokens);
}

#[tokio::test(start_paused = true)]
async fn a_document_is_cited_as_a_file() {
    let engine = engine_with(SCRIPT, &Arc::default(), Arc::new(FixedTools::default()));
    let stores = json!([{"type": "file_search", "file_search_store_names": ["fileSearchStores/guides"]}]);
    let body = json!({"input": "Who opened it?", "tools": stores});
    let answer = create(&engine, body).await.handle.finished().await;
    let steps = serde_json::to_value(&answer.steps).unwrap();
    assert_eq!((&steps[0]["type"], &steps[1]["type"]), (&json!("file_search_call"), &json!("file_search_result")));
    assert_eq!((&steps[1]["call_id"], &steps[1]["result"]), (&steps[0]["id"], &json!([])));
    assert_eq!(
        steps[2]["content"],
        json!([{"type": "text", "text": "The Colosseum was opened by Titus in the year 80.", "annotations": [{
            "type": "file_citation", "document_uri": "fileSearchStores/guides/documents/rome",
            "file_name": "rome.pdf", "start_index": 0, "end_index": 48, "source": "fileSearchStores/guides",
            "page_number": 3, "custom_metadata": {"year": 2024},
        }]}])
    );
    assert_eq!(answer.usage.unwrap().grounding_tool_count, []);
}

#[tokio::test(start_paused = true)]
async fn output_is_logged_while_the_program_runs() {
    let tools_of_server = FixedTools::default();
    let engine = engine_with(SCRIPT, &Arc::default(), Arc::new(tools_of_server.clone()));
    let handle = create(&engine, json!({"input": "Compute", "tools": tools(&["code_execution"])})).await.handle;
    let mut events = Box::pin(handle.follow(0));
    loop {
        let Some(Followed::Event(event)) = events.next().await else { panic!("the run ended") };
        if let InteractionEvent::StepDelta(delta) = &event.body
            && let StepDelta::ServerResult(result) = &delta.delta
        {
            assert_eq!((&result.result, result.is_error), (&json!("one\n"), None));
            break;
        }
    }
    tools_of_server.go_on();
    let answer = handle.finished().await;
    let steps = serde_json::to_value(&answer.steps).unwrap();
    let kinds: Vec<_> = steps.as_array().unwrap().iter().map(|step| step["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["model_output", "code_execution_call", "code_execution_result", "model_output", "model_output"]);
    assert_eq!(steps[2]["result"], json!("one\ntwo\n"));
    assert_eq!(steps[3]["content"], json!([{"type": "image", "data": "aGk=", "mime_type": "image/png"}]));
    assert_eq!(steps[4]["content"][0]["text"], json!("It is two."));
}

#[tokio::test(start_paused = true)]
async fn what_is_found_twice_is_told_and_cited_once() {
    let (answer, ran) = run("Search twice", &["google_search"]).await;
    assert_eq!((answer.status, ran.ran().len()), (Status::Completed, 2));
    let once = run("Who won?", &["google_search"]).await.0;
    assert_eq!(text(&answer), text(&once));
    let (twice, once) = (answer.usage.unwrap(), once.usage.unwrap());
    assert!(twice.total_tool_use_tokens < once.total_tool_use_tokens + 40, "{twice:?} {once:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_of_one_turn_run_together_and_show_in_their_order() {
    let tools_of_server = FixedTools::default();
    let engine = engine_with(SCRIPT, &Arc::default(), Arc::new(tools_of_server.clone()));
    let handle = create(&engine, json!({"input": "Twice", "tools": tools(&["code_execution"])})).await.handle;
    // The second is through while the first still waits.
    while tools_of_server.ran().len() < 2 {
        tokio::task::yield_now().await;
    }
    tools_of_server.go_on();
    let answer = handle.finished().await;
    assert_eq!(answer.status, Status::Completed, "{:?}", answer.error);
    let results = answer.steps.iter().flatten().filter_map(|step| match step {
        Step::ServerResult(result) => Some(result.result.clone()),
        _ => None,
    });
    assert_eq!(results.collect::<Vec<_>>(), [json!("slow\n"), json!("quick\n")]);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_asks_client_and_server_waits_for_the_client_alone() {
    let mut declared = tools(&["google_search"]);
    declared.as_array_mut().unwrap().push(json!({"type": "function", "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}));
    let engine = engine_with(SCRIPT, &Arc::default(), Arc::new(FixedTools::default()));
    let handle = create(&engine, json!({"input": "Both?", "tools": declared.clone()})).await.handle;
    let first = handle.finished().await;
    assert_eq!(first.status, Status::RequiresAction);
    let steps = first.steps.unwrap();
    let Some(Step::ServerResult(result)) = steps.iter().find(|step| matches!(step, Step::ServerResult(_))) else {
        panic!("{steps:?}")
    };
    assert_eq!(result.is_error, Some(true));
    let Some(Step::FunctionCall(call)) = steps.last() else { panic!("calls come last: {steps:?}") };
    let answer = json!({"input": [{"type": "function_result", "call_id": call.id, "result": "sunny"}],
        "previous_interaction_id": handle.id().to_string(), "tools": declared});
    let second = create(&engine, answer).await.handle.finished().await;
    assert_eq!((second.status, second.steps.unwrap()), (Status::Completed, vec![Step::model_output("It is sunny.")]));
}

/// Steps of calls by the client, answered.
fn results(interaction: &Interaction, result: &Value) -> Vec<Value> {
    let steps = interaction.steps.iter().flatten();
    let calls = steps.filter_map(|step| match step {
        Step::FunctionCall(call) => Some(call.id.as_str()),
        _ => None,
    });
    calls.map(|id| json!({"type": "function_result", "call_id": id, "result": result})).collect()
}

fn called(interaction: &Interaction) -> Option<&str> {
    match interaction.steps.as_ref()?.last()? {
        Step::FunctionCall(call) => Some(&call.name),
        _ => None,
    }
}

/// A function that is not told before it was searched for.
fn weather() -> Value {
    json!({"type": "function", "name": "get_weather", "defer_loading": true,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}})
}

#[tokio::test(start_paused = true)]
async fn a_deferred_function_is_called_once_it_is_loaded_also_in_later_turns() {
    let engine = engine_with(SCRIPT, &Arc::default(), Arc::new(FixedTools::default()));
    let declared = json!([weather(), {"type": "tool_search"}]);
    let early = json!({"input": "At once", "tools": declared});
    let refused = engine.create(CALLER, request(early)).await.map(|_| ()).expect_err("the model is not told of it");
    assert!(refused.message.contains("`get_weather` here, which may not be called"), "{refused:?}");

    let handle = create(&engine, json!({"input": "What can you do?", "tools": declared})).await.handle;
    let first = handle.finished().await;
    assert_eq!((first.status, called(&first)), (Status::RequiresAction, Some("get_weather")));
    let Some([Step::ServerCall(search), Step::ServerResult(found), _]) = first.steps.as_deref() else {
        panic!("{:?}", first.steps);
    };
    assert_eq!(json!(search)["type"], "tool_search_call");
    assert_eq!(search.arguments["function_names"], json!(["get_weather"]));
    assert_eq!(json!(found)["result"], json!([weather()]));

    let mut input = results(&first, &json!("sunny"));
    let previous = handle.id().to_string();
    let body = json!({"input": input, "previous_interaction_id": previous, "tools": declared});
    let handle = create(&engine, body).await.handle;
    assert_eq!(handle.finished().await.status, Status::Completed);
    let again = json!({"input": "At once", "previous_interaction_id": handle.id().to_string(), "tools": declared});
    let later = create(&engine, again).await.handle.finished().await;
    assert_eq!((later.status, called(&later)), (Status::RequiresAction, Some("get_weather")));

    let mut replayed = vec![json!({"type": "user_input", "content": "What can you do?"})];
    replayed.extend(first.steps.iter().flatten().map(|step| json!(step)));
    replayed.append(&mut input);
    replayed.push(json!({"type": "user_input", "content": "At once"}));
    let body = json!({"input": replayed, "store": false, "tools": declared});
    let later = create(&engine, body).await.handle.finished().await;
    assert_eq!((later.status, called(&later)), (Status::RequiresAction, Some("get_weather")));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_searches_brings_functions_in_its_result_and_nobody_else_does() {
    let engine = engine_with(SCRIPT, &Arc::default(), Arc::new(FixedTools::default()));
    let declared = json!([{"type": "tool_search", "execution": "client", "name": "find"}]);
    let handle = create(&engine, json!({"input": "Ask the client", "tools": declared})).await.handle;
    let first = handle.finished().await;
    assert_eq!((first.status, called(&first)), (Status::RequiresAction, Some("find")));
    let weather = json!({"type": "function", "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}});
    let input = results(&first, &json!([weather]));
    let previous = handle.id().to_string();
    let body = json!({"input": input, "previous_interaction_id": previous, "tools": declared});
    let second = create(&engine, body).await.handle.finished().await;
    assert_eq!((second.status, called(&second)), (Status::RequiresAction, Some("get_weather")));

    // The latest definition holds, as the arguments that it takes show.
    let changed = json!({"type": "function", "name": "get_weather",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "additionalProperties": false}});
    let body = json!({"input": [results(&first, &json!([weather, changed]))[0]], "previous_interaction_id": previous,
        "tools": declared});
    let third = create(&engine, body).await.handle.finished().await;
    assert_eq!(third.error.unwrap().code, "malformed_function_call", "it takes no city any more");

    let only = json!({"tool_choice": {"allowed_tools": {"mode": "any", "tools": ["get_weather"]}}});
    let both = json!([{"type": "tool_search", "execution": "client", "name": "find"}, self::weather()]);
    let body = json!({"input": "At once", "tools": both, "generation_config": only});
    let refused = engine.create(CALLER, request(body)).await.map(|_| ()).expect_err("nothing can be called");
    assert!(refused.message.contains("generation_config.tool_choice"), "{refused:?}");

    let plain = json!([{"type": "function", "name": "find"}]);
    let body = json!({"input": input, "previous_interaction_id": previous, "tools": plain});
    let refused = engine.create(CALLER, request(body)).await.map(|_| ()).expect_err("it is no search");
    assert!(refused.message.contains("input[0].result"), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_is_told_to_the_model_or_ends_the_run() {
    let (wrong, ran) = run("Wrong?", &["google_search"]).await;
    assert_eq!((wrong.status, ran.ran()), (Status::Completed, vec![]), "what does not conform is not carried out");
    let (broken, _) = run("Broken?", &["google_search"]).await;
    assert_eq!((broken.status, broken.error.unwrap().code.as_str()), (Status::Failed, "api_error"));
    let result = broken.steps.unwrap().pop().unwrap();
    assert!(matches!(&result, Step::ServerResult(result) if result.is_error == Some(true)), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_does_not_come_to_an_end_is_incomplete() {
    // Four turns may be made, the last of which asks once more.
    let (again, ran) = run("Again", &["code_execution"]).await;
    assert_eq!((again.status, ran.ran().len()), (Status::Incomplete, 4));
    // Six calls may be.
    let (many, ran) = run("Many", &["code_execution"]).await;
    assert_eq!((many.status, ran.ran().len()), (Status::Incomplete, 0));
    let (short, _) = {
        let engine = engine_with(SCRIPT, &Arc::default(), Arc::new(FixedTools::default()));
        let body = json!({"input": "Who won?", "tools": tools(&["google_search"]),
            "generation_config": {"max_output_tokens": 2}});
        let handle = create(&engine, body).await.handle;
        (handle.finished().await, ())
    };
    assert_eq!(short.status, Status::Incomplete, "all turns share the tokens");
}

#[tokio::test(start_paused = true)]
async fn a_conversation_goes_on_after_tools_stored_and_replayed() {
    let engine = engine_with(SCRIPT, &Arc::default(), Arc::new(FixedTools::default()));
    let handle = create(&engine, json!({"input": "Who won?", "tools": tools(&["google_search"])})).await.handle;
    let first = handle.finished().await;
    let next = json!({"input": "And the loser?", "previous_interaction_id": handle.id().to_string()});
    let stored = create(&engine, next).await.handle.finished().await;

    let mut input = vec![json!({"type": "user_input", "content": "Who won?"})];
    input.extend(first.steps.unwrap().iter().map(|step| serde_json::to_value(step).unwrap()));
    input.push(json!({"type": "user_input", "content": "And the loser?"}));
    let replayed = create(&engine, json!({"input": input, "store": false})).await.handle.finished().await;
    assert_eq!(stored.steps, Some(vec![Step::model_output("England.")]));
    assert_eq!(replayed.steps, stored.steps);
    // What was found is sealed in the step, so that a client that keeps it tells the model the same.
    assert_eq!(replayed.usage.unwrap().total_input_tokens, stored.usage.unwrap().total_input_tokens);
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_what_runs() {
    let engine = engine_with(SCRIPT, &Arc::default(), Arc::new(FixedTools::default()));
    let body = json!({"input": "Compute", "tools": tools(&["code_execution"]), "background": true});
    let handle = create(&engine, body).await.handle;
    while handle.last_seq() < 8 {
        tokio::task::yield_now().await;
    }
    let cancelled = engine.cancel(CALLER, handle.id()).await.unwrap();
    assert_eq!(cancelled.status, Status::Cancelled);
    assert!(
        matches!(cancelled.steps.unwrap().pop(), Some(Step::ServerResult(result)) if result.is_error == Some(true))
    );
}

#[tokio::test(start_paused = true)]
async fn every_call_has_a_result_when_the_run_ends_early_and_the_conversation_goes_on() {
    let fixed = FixedTools::default();
    let engine = engine_with(SCRIPT, &Arc::default(), Arc::new(fixed.clone()));
    let body = json!({"input": "Twice", "tools": tools(&["code_execution"]), "background": true});
    let handle = create(&engine, body).await.handle;
    // The second call is through, the first waits for ever.
    while fixed.ran().len() < 2 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let cancelled = engine.cancel(CALLER, handle.id()).await.unwrap();
    let results = cancelled.steps.iter().flatten().filter_map(|step| match step {
        Step::ServerResult(result) => Some((result.result.clone(), result.is_error)),
        _ => None,
    });
    let results: Vec<_> = results.collect();
    assert_eq!(results.len(), 2, "{results:?}");
    assert_eq!(results[0].1, Some(true));
    let next = json!({"input": "And the loser?", "previous_interaction_id": handle.id().to_string()});
    assert_eq!(create(&engine, next).await.handle.finished().await.status, Status::Completed);

    let (many, _) = run("Many", &["code_execution"]).await;
    let mut input = vec![json!({"type": "user_input", "content": "Many"})];
    input.extend(many.steps.unwrap().iter().map(|step| serde_json::to_value(step).unwrap()));
    input.push(json!({"type": "user_input", "content": "And the loser?"}));
    let replayed = create(&engine, json!({"input": input, "store": false})).await.handle.finished().await;
    assert_eq!(replayed.status, Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn tools_whose_names_are_one_to_the_model_are_refused() {
    let engine = engine_with(SCRIPT, &Arc::default(), Arc::new(FixedTools::default()));
    let server = |name: &str| json!({"type": "mcp_server", "name": name, "url": "https://example.org/mcp"});
    let function = json!({"type": "function", "name": "a__echo"});
    for declared in [json!([server("a"), function])] {
        let error = engine.create(CALLER, request(json!({"tools": declared}))).await.unwrap_err();
        assert!(error.message.contains("a__echo"), "{}", error.message);
    }
    assert_eq!(
        antiphon_engine::function_name(antiphon_wire::ServerTool::McpServerTool, Some(&"x".repeat(128)), Some("s"))
            .len(),
        64
    );
}

/// A run that reads one address after this input; what came of it.
async fn read(engine: &Engine, url: &str, body: Value) -> (String, Value) {
    let mut whole = json!({"tools": tools(&["google_search", "url_context"])});
    whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    let handle = create(engine, whole).await.handle;
    let answer = handle.finished().await;
    assert_eq!(answer.status, Status::Completed, "{:?}", answer.error);
    let steps = json!(answer.steps);
    let is_page = |step: &&Value| step["type"] == "url_context_result";
    let page = steps.as_array().unwrap().iter().find(is_page).unwrap()["result"][0].clone();
    assert_eq!(page["url"], url);
    (handle.id().to_string(), page["status"].clone())
}

#[tokio::test(start_paused = true)]
async fn only_what_the_user_said_or_a_tool_found_can_be_read() {
    let url = "https://example.org/scorers";
    let script = format!(
        "[[reply]]\nwhen = \"Search\"\ncalls = [{{ name = \"google_search\", arguments = {{ queries = [\"final\"] }} }}]\n\n\
         [[reply]]\nwhen = \"Say it\"\nchunks = [\"Look at {url} then.\"]\n\n\
         [[reply]]\nwhen = \"It rains in Rome.\"\nchunks = [\"It rains.\"]\n\n\
         [[reply]]\nwhen = \"Read\"\ncalls = [{{ name = \"url_context\", arguments = {{ urls = [\"{url}\"] }} }}]\n\n\
         [[reply]]\nwhen = \"Spain won\"\ncalls = [{{ name = \"url_context\", arguments = {{ urls = [\"{url}\"] }} }}]\n\n\
         [[reply]]\nchunks = [\"I could not.\"]\n"
    );
    let engine = engine_with(&script, &Arc::default(), Arc::new(FixedTools::default()));
    let (earlier, said) = read(&engine, url, json!({ "input": format!("Read {url}") })).await;
    let (_, found) = read(&engine, url, json!({"input": "Search"})).await;
    let (_, earlier) = read(&engine, url, json!({"input": "Read it again", "previous_interaction_id": earlier})).await;
    assert_eq!([said, found, earlier], ["success", "success", "success"]);

    let (_, guessed) = read(&engine, url, json!({"input": "Read"})).await;
    let by_the_model = create(&engine, json!({"input": "Say it"})).await.handle;
    by_the_model.finished().await;
    let body = json!({"input": "Read it", "previous_interaction_id": by_the_model.id().to_string()});
    let (_, by_the_model) = read(&engine, url, body).await;
    let call = json!({"type": "function_call", "id": "call_a", "name": "look", "arguments": {}});
    let result = json!({"type": "function_result", "call_id": "call_a", "result": format!("Read {url}")});
    let user = json!({"type": "user_input", "content": "Look"});
    let (_, by_a_function) = read(&engine, url, json!({"input": [user, call, result], "store": false})).await;
    assert_eq!([guessed, by_the_model, by_a_function], ["unsafe", "unsafe", "unsafe"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_takes_too_long_is_incomplete() {
    let tools_of_server = FixedTools::default();
    let engine = engine_with(SCRIPT, &Arc::default(), Arc::new(tools_of_server.clone()));
    let began = Instant::now();
    let handle = create(&engine, json!({"input": "Compute", "tools": tools(&["code_execution"])})).await.handle;
    // Its program waits for what never comes.
    let answer = handle.finished().await;
    assert_eq!((answer.status, tools_of_server.ran().len()), (Status::Incomplete, 1));
    assert!(began.elapsed() >= RunLimits::default().time, "{:?}", began.elapsed());
    assert!(began.elapsed() < RunLimits::default().time + Duration::from_secs(60), "{:?}", began.elapsed());
    let Some(Step::ServerResult(result)) = answer.steps.unwrap().pop() else { panic!("the call has a result") };
    assert_eq!(result.is_error, Some(true));
    let next = json!({"input": "And the loser?", "previous_interaction_id": handle.id().to_string()});
    assert_eq!(create(&engine, next).await.handle.finished().await.status, Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn headers_of_a_server_of_tools_are_not_shown() {
    let engine = engine_with(SCRIPT, &Arc::default(), Arc::new(FixedTools::default()));
    let server = json!({"type": "mcp_server", "name": "notes", "url": "https://example.org/mcp",
        "headers": {"authorization": "Bearer planted"}});
    let handle = create(&engine, json!({"input": "And the loser?", "tools": [server]})).await.handle;
    handle.finished().await;
    let shown = serde_json::to_string(&handle.timeline(true)).unwrap();
    assert!(shown.contains("https://example.org/mcp") && !shown.contains("planted"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn a_run_cut_at_any_commit_goes_on_and_repeats_nothing_but_reads() {
    let rows = [
        (json!({"input": "Who won?", "tools": tools(&["google_search"]), "background": true}), true),
        (json!({"input": "Search twice", "tools": tools(&["google_search"]), "background": true}), true),
        (json!({"input": "Twice", "tools": tools(&["code_execution"]), "background": true}), false),
        (json!({"input": "What can you do?", "tools": [weather(), {"type": "tool_search"}], "background": true}), true),
    ];
    for (body, reads) in rows {
        let fixed = FixedTools::default();
        fixed.go_on();
        let (store, id, whole) =
            die_after(|store| engine_with(SCRIPT, store, Arc::new(fixed.clone())), usize::MAX, &body).await;
        let engine = engine_with(SCRIPT, &store, Arc::new(fixed));
        let expected = engine.get(CALLER, &id).await.unwrap().finished().await;
        assert!(matches!(expected.status, Status::Completed | Status::RequiresAction), "{expected:?}");
        for commits in 0..whole.len() {
            let fixed = FixedTools::default();
            fixed.go_on();
            let (store, id, seen) =
                die_after(|store| engine_with(SCRIPT, store, Arc::new(fixed.clone())), commits, &body).await;
            let next = engine_with(SCRIPT, &store, Arc::new(fixed.clone()));
            fixed.go_on();
            next.recover().await.unwrap();
            let handle = next.get(CALLER, &id).await.unwrap();
            let answer = handle.finished().await;
            assert_eq!(answer.status, expected.status, "cut after {commits}: {:?}", answer.error);
            let after = log(&handle, 0).await;
            assert_eq!(after[..seen.len()], seen, "cut after {commits}: what was seen is there, once");
            let starts = after.iter().filter(|line| line.contains("step.start")).count();
            let stops = after.iter().filter(|line| line.contains("step.stop")).count();
            assert_eq!(starts, stops, "cut after {commits}: every step that began has ended");
            if reads {
                assert_eq!(text(&answer), text(&expected), "cut after {commits}");
                assert_eq!(answer.usage, expected.usage, "cut after {commits}");
                assert_eq!(answer.steps.unwrap().len(), expected.steps.as_ref().unwrap().len(), "cut after {commits}");
            } else {
                let mut ran = fixed.ran();
                ran.sort();
                ran.dedup();
                assert_eq!(ran.len(), fixed.ran().len(), "cut after {commits}: nothing ran twice");
                let is_whole =
                    |step: &Step| matches!(step, Step::ServerResult(result) if result.is_error == Some(false));
                let whole = answer.steps.iter().flatten().filter(|step| is_whole(step)).count();
                assert!(whole <= ran.len(), "cut after {commits}: no result was made up");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tools_that_are_away_after_a_restart_are_waited_for_and_what_was_spent_is_said() {
    let body = json!({"input": "Who won?", "tools": tools(&["google_search"]), "background": true});
    for (times, status) in [(3, Status::Completed), (u32::MAX, Status::Failed)] {
        let fixed = FixedTools::default();
        let open = |store: &_| engine_with(SCRIPT, store, Arc::new(fixed.clone()));
        let (_, _, whole) = die_after(open, usize::MAX, &body).await;
        let mut spent = 0;
        for commits in 0..whole.len() {
            fixed.stay_away(0);
            let (store, id, seen) = die_after(open, commits, &body).await;
            if seen.iter().any(|line| line.contains("interaction.completed")) {
                continue;
            }
            fixed.stay_away(times);
            let next = open(&store);
            next.recover().await.unwrap();
            let answer = next.get(CALLER, &id).await.unwrap().finished().await;
            assert_eq!(answer.status, status, "cut after {commits}: {:?}", answer.error);
            if seen.iter().any(|line| line.contains("step.stop 0")) {
                spent += 1;
                assert!(answer.usage.unwrap().total_input_tokens > 0, "cut after {commits}");
            }
        }
        assert!(spent > 0, "some cuts come after the first turn");
    }
}

/// The answer's text and its citations.
fn text(interaction: &Interaction) -> Option<Content> {
    interaction.steps.iter().flatten().rev().find_map(|step| match step {
        Step::ModelOutput(output) => output.content.last().cloned(),
        _ => None,
    })
}

#[tokio::test(start_paused = true)]
async fn a_server_without_tools_says_so() {
    let engine = crate::support::engine(SCRIPT, &Arc::default());
    let body = json!({"tools": [{"type": "google_search"}]});
    let error = engine.create(CALLER, request(body)).await.unwrap_err();
    assert_eq!(error.message, "`tools[0]`: this server has no tools of its own");
}
