//! A capable model behind a service of chat completions, a task of 25 turns in one environment, and
//! far more output than its context holds.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::chat::{Says, Service};
use crate::server::{Server, Site};

const TASK: &str = "Keep the log of the herons until it is whole.";
const TURNS: usize = 25;
/// Where the client is asked.
const ASKS: usize = 12;
/// In tokens; the service counts four bytes for each.
const CONTEXT: usize = 16_384;

fn code(language: &str, code: &str) -> (&'static str, Value) {
    ("code_execution", json!({"language": language, "code": code}))
}

/// What the model does in its turns, the first of which is 1.
fn turn(number: usize) -> Vec<(&'static str, Value)> {
    let chatter =
        format!("echo heron {number} >> log.txt; for i in $(seq 700); do echo \"said in turn {number}: $i\"; done");
    match number {
        1 => vec![("write_file", json!({"path": "plan.md", "content": "count, ask, end"}))],
        2 => vec![
            ("write_file", json!({"path": "a.txt", "content": "alpha"})),
            ("write_file", json!({"path": "b.txt", "content": "beta"})),
            code("bash", "echo heron 2 >> log.txt"),
        ],
        3 => vec![code("python", "open('log.txt', 'a').write('heron 3\\n')\nprint('x' * 300_000)")],
        ASKS => vec![("ask", json!({"question": "Which lake?"})), code("bash", &chatter)],
        20 => vec![
            ("edit_file", json!({"path": "a.txt", "old": "alpha", "new": "omega"})),
            ("read_file", json!({"path": "b.txt"})),
            code("bash", &chatter),
        ],
        TURNS => vec![code("bash", "wc -l < log.txt; cat plan.md a.txt b.txt")],
        _ => vec![code("bash", &chatter)],
    }
}

/// Its turns so far are told by the conversation alone, as for any model: by its calls, since those of
/// the client come back as a message of their own.
fn model(messages: &[Value]) -> Says {
    let called: usize = messages.iter().filter_map(|message| message["tool_calls"].as_array()).map(Vec::len).sum();
    let mut made = 0;
    for number in 1..=TURNS {
        if made >= called {
            return Says::Calls(turn(number));
        }
        made += turn(number).len();
    }
    let last = messages.last().unwrap()["content"].as_str().unwrap_or_default();
    Says::Text(format!("It is whole: {last}"))
}

fn request(environment: &Value, budget: &str) -> Value {
    json!({"agent": "antigravity-preview-05-2026", "environment": environment, "input": TASK,
        "agent_config": {"type": "antigravity", "max_total_tokens": budget},
        "tools": [{"type": "code_execution"}, {"type": "function", "name": "ask", "parameters":
            {"type": "object", "properties": {"question": {"type": "string"}}, "required": ["question"]}}]})
}

fn of_kind<'a>(run: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    run["steps"].as_array().unwrap().iter().filter(move |step| step["type"] == kind)
}

fn create(server: &Server, body: &Value) -> Value {
    let answer = server.create(body).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

fn site(service: &Service) -> Site {
    Site::chatting(&service.url, &format!("context = {CONTEXT}\ntool_result_tokens = 500\n"))
}

#[test]
fn a_task_of_25_turns_is_done_in_one_environment_and_within_the_context() {
    let service = Service::start(CONTEXT * 4, model);
    let site = site(&service);
    let server = site.serve(&[]);
    let first = create(&server, &request(&json!("remote"), "400000"));
    assert_eq!(first["status"], "requires_action", "{}", first["error"]);
    let asked: Vec<_> = of_kind(&first, "function_call").filter(|call| call["name"] == "ask").collect();
    let [asked] = asked[..] else { panic!("{asked:?}") };
    let environment = &first["environment_id"];
    let mut next = request(environment, "400000");
    next["previous_interaction_id"] = first["id"].clone();
    next["input"] =
        json!([{"type": "function_result", "call_id": asked["id"], "name": "ask", "result": "The northern one."}]);
    let second = create(&server, &next);
    assert_eq!(second["status"], "completed", "{}", second["error"]);

    // Every turn was one, in its order, and every call has one result.
    let calls = |run: &Value| of_kind(run, "code_execution_call").count() + of_kind(run, "function_call").count();
    let results = |run: &Value| of_kind(run, "code_execution_result").count() + of_kind(run, "function_result").count();
    let wanted: usize = (1..=TURNS).map(|number| turn(number).len()).sum();
    assert_eq!(calls(&first) + calls(&second), wanted);
    assert_eq!((results(&first), results(&second)), (calls(&first) - 1, calls(&second)));
    let answer = of_kind(&second, "model_output").last().unwrap()["content"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!(answer, format!("It is whole: {}\ncount, ask, endomegabeta", TURNS - 2));
    let place = environment.as_str().unwrap();
    let log = server.bytes(&format!("/v1/environments/{place}/files/log.txt?alt=media"), u64::MAX).unwrap();
    let expected: String = (2..TURNS).map(|number| format!("heron {number}\n")).collect();
    assert_eq!(String::from_utf8(log).unwrap(), expected);

    // What was printed is kept whole, and told in part.
    let stored = server.get(first["id"].as_str().unwrap()).unwrap().body;
    let large =
        of_kind(&stored, "code_execution_result").any(|result| result["result"].as_str().unwrap().len() >= 300_000);
    assert!(large, "all of the output is in the log");
    let heard = service.heard();
    let last = heard.last().unwrap()["messages"].as_array().unwrap().clone();
    assert!(heard.len() == TURNS + 1 && heard.iter().all(|request| request["messages"].to_string().contains(TASK)));
    let told: Vec<_> = last.iter().filter(|message| message["role"] == "tool").collect();
    assert_eq!(told.len(), wanted);
    let left_out = |message: &&Value| message["content"].as_str().unwrap().starts_with("(This result is left out here");
    assert!(told.iter().filter(|message| left_out(message)).count() > 5, "far more was said than fits");
    assert!(!told[told.len() - 5..].iter().any(left_out), "the last steps are told");
    let spent = [&first, &second].map(|run| run["usage"]["total_tokens"].as_u64().unwrap());
    assert!(spent[0] < 400_000 && spent[1] < 400_000, "{spent:?}");
}

#[test]
fn a_budget_that_is_used_up_ends_the_task_between_two_turns() {
    let service = Service::start(CONTEXT * 4, model);
    let site = site(&service);
    let server = site.serve(&[]);
    let run = create(&server, &request(&json!("remote"), "5000"));
    assert_eq!(run["status"], "incomplete", "{}", run["error"]);
    let spent = run["usage"]["total_tokens"].as_u64().unwrap();
    assert!((5000..8000).contains(&spent), "a turn that was begun is not cut: {spent}");
    let turns = service.heard().len();
    assert!(turns < ASKS, "{turns}");
    assert_eq!(of_kind(&run, "code_execution_call").count(), of_kind(&run, "code_execution_result").count());
    // And goes on where it was, under another one.
    let mut next = request(&run["environment_id"], "400000");
    next["previous_interaction_id"] = run["id"].clone();
    next["input"] = json!("Go on.");
    assert_eq!(create(&server, &next)["status"], "requires_action");
    assert_eq!(service.heard().len(), ASKS);
}

#[test]
fn a_model_that_makes_one_call_again_and_again_is_stopped() {
    let service = Service::start(CONTEXT * 4, |_| Says::Calls(vec![code("bash", "echo the same")]));
    let site = site(&service);
    let server = site.serve(&[]);
    let run = create(&server, &request(&json!("remote"), "400000"));
    assert_eq!(run["status"], "incomplete", "{}", run["error"]);
    assert_eq!(of_kind(&run, "code_execution_result").count(), 5);
    // After three times it was not to call anything.
    let choices: Vec<_> = service.heard().iter().map(|request| request["tool_choice"].clone()).collect();
    assert_eq!(choices, ["auto", "auto", "auto", "none", "none"]);
}
