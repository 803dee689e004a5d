use pretty_assertions::assert_eq;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::environment::SourceContent;
use crate::environment::Variable;
use crate::error::Code;
use crate::request::Treatment;

const BASE: &str = "antigravity-preview-05-2026";

fn definition(fields: &Value) -> Value {
    let mut body = json!({"id": "watcher", "base_agent": BASE});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

fn agent(fields: &Value) -> Agent {
    Agent::read(definition(fields)).unwrap()
}

/// A request for the agent, completed.
fn completed(agent: &Agent, fields: &Value) -> Result<CreateInteraction, Error> {
    let mut body = json!({"agent": agent.id, "input": "Look"});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    agent.clone().complete(CreateInteraction::read(body).unwrap())
}

fn spec(choice: Option<EnvironmentChoice>) -> EnvironmentSpec {
    match choice {
        Some(EnvironmentChoice::Described(spec)) => spec,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_field_is_honoured_or_refused_by_its_path() {
    for field in AGENT_FIELDS {
        let sample: Value = serde_json::from_str(field.sample).unwrap();
        let top = field.path.split(['.', '[']).next().unwrap();
        let body = definition(&json!({ top: sample }));
        let read = Agent::read(body.clone());
        match field.treatment {
            Treatment::Honoured => assert_eq!(serde_json::to_value(read.unwrap()).unwrap(), body, "{}", field.path),
            Treatment::Refused => {
                let message = read.unwrap_err().message;
                assert!(message.starts_with(&format!("`{}`: ", field.path)), "{}: {message}", field.path);
            }
        }
    }
    for missing in ["id", "base_agent"] {
        let mut body = definition(&json!({}));
        body[missing] = Value::Null;
        assert!(Agent::read(body).unwrap_err().message.starts_with(&format!("`{missing}`: ")));
    }
}

#[test]
fn ids_follow_their_rule() {
    let read = |id: &str| Agent::read(definition(&json!({"id": id}))).map(|agent| agent.id);
    for good in ["a", "7", "a-b_c", "geminis", "deep", &"x".repeat(63)] {
        assert_eq!(read(good).as_deref(), Ok(good));
    }
    for start in RESERVED {
        assert_eq!(read(&format!("{start}x")).unwrap_err().code, Code::InvalidRequest, "{start}");
    }
    for bad in ["", "-a", "_a", "A", "a b", "a/b", "é", "a\n", &"x".repeat(64)] {
        assert!(read(bad).unwrap_err().message.starts_with("`id`: "), "{bad:?}");
    }
}

#[test]
fn a_definition_is_shown_as_it_came_without_headers() {
    let server = json!({"type": "mcp_server", "name": "notes", "url": "https://example.com/mcp",
        "headers": {"Authorization": "Bearer secret-word"}});
    let made = agent(&json!({"tools": [server, {"type": "google_search", "search_types": ["web_search"]}],
        "description": null}));
    let shown = serde_json::to_value(&made).unwrap();
    assert!(!shown.to_string().contains("secret-word") && !format!("{made:?}").contains("secret-word"));
    assert_eq!(shown["tools"][1], json!({"type": "google_search", "search_types": ["web_search"]}));
    assert!(shown.get("description").is_none());
    // What is kept is the same agent.
    assert_eq!(Agent::read(Value::Object(made.definition().clone())), Ok(made));
}

#[test]
fn a_request_says_more_than_a_definition() {
    let watcher = agent(&json!({"system_instruction": "Watch.", "tools": [{"type": "url_context"}],
        "agent_config": {"type": "antigravity", "model": "m", "max_total_tokens": "9"}}));
    let plain = completed(&watcher, &json!({})).unwrap();
    assert_eq!((plain.agent.as_deref(), plain.working_agent()), (Some("watcher"), Some(BASE)));
    assert_eq!((plain.system_instruction.as_deref(), plain.model.as_str()), (Some("Watch."), "m"));
    assert_eq!((plain.tools.clone(), plain.environment.clone()), (vec![Tool::UrlContext {}], None));
    assert_eq!(plain.agent_config.clone().unwrap().max_total_tokens, Some(9));
    // What is stored says all of it.
    assert_eq!(serde_json::from_value::<CreateInteraction>(serde_json::to_value(&plain).unwrap()).unwrap(), plain);

    let own = completed(&watcher, &json!({"system_instruction": "Sleep.", "tools": [{"type": "code_execution"}]}));
    let own = own.unwrap();
    assert_eq!((own.system_instruction.as_deref(), own.tools), (Some("Sleep."), vec![Tool::CodeExecution {}]));
    let refused = completed(&watcher, &json!({"agent_config": {"type": "antigravity", "model": "other"}}));
    assert!(refused.unwrap_err().message.starts_with("`agent_config`: "));
}

#[test]
fn a_run_has_a_copy_of_the_environment_unless_it_names_one() {
    let run = |base: Value, wanted: Value| {
        let watcher = agent(&json!({ "base_environment": base }));
        completed(&watcher, &json!({ "environment": wanted })).unwrap().environment
    };
    let base = EnvironmentId::parse("env_base").unwrap();
    let copied = |choice| {
        let spec = spec(choice);
        assert_eq!(spec.environment_id, None);
        spec.from_environment
    };
    for form in [json!("env_base"), json!({"env_id": "env_base"}), json!({"environment_id": "env_base"})] {
        for wanted in [Value::Null, json!("remote"), json!({"type": "remote", "network": "disabled"})] {
            assert_eq!(copied(run(form.clone(), wanted)), Some(base.clone()));
        }
        for named in [json!("env_own"), json!({"environment_id": "env_own"})] {
            let own = EnvironmentId::parse("env_own");
            assert_eq!(run(form.clone(), named).unwrap().existing(), own.as_ref());
        }
    }
    assert_eq!(copied(run(json!("remote"), Value::Null)), None);
    assert_eq!(run(Value::Null, Value::Null), None);
    assert_eq!(run(Value::Null, json!("remote")), Some(EnvironmentChoice::Remote));

    let source = |target: &str, content: &str| json!({"type": "inline", "target": target, "content": content});
    let mixed = spec(run(
        json!({"sources": [source("a", "1"), source("b", "2")], "env": {"A": "1", "B": "2"}}),
        json!({"sources": [source("b", "3"), source("c", "4")], "env": {"B": "3"}}),
    ));
    let placed: Vec<_> = mixed.sources.iter().map(|source| (source.target.as_str(), source.content.clone())).collect();
    let inline = |content: &str| SourceContent::Inline(content.into());
    assert_eq!(placed, [("a", inline("1")), ("b", inline("3")), ("c", inline("4"))]);
    // Each is told of by where it was read.
    let paths: Vec<_> = mixed.sources.iter().map(|source| source.path.as_str()).collect();
    assert_eq!(paths, ["base_environment.sources[0]", "environment.sources[0]", "environment.sources[1]"]);
    let base = agent(&json!({"base_environment": {"sources": [source("a", "1")]}}));
    let inside = json!({"environment": {"type": "remote", "sources": [source("b", "2"), source("a/b", "3")]}});
    let error = completed(&base, &inside).unwrap_err();
    assert_eq!(error.message, "`environment.sources[1].target`: `a/b` is in the way of another source's `a`");
    let variable = |name: &str, value: &str| (name.to_owned(), Variable::Value(value.to_owned()));
    assert_eq!(mixed.env, [variable("A", "1"), variable("B", "3")].into());

    let closed = json!({"network": {"allowlist": [{"domain": "example.com"}]}});
    let network = |wanted: Value| spec(run(closed.clone(), wanted)).network.map(|network| network.to_wire());
    // What a request does not say of the network stays as the agent has it.
    assert_eq!(network(json!({"env": {"A": "1"}})), Some(closed["network"].clone()));
    assert_eq!(network(json!({"network": "disabled"})), Some(json!("disabled")));
}

proptest! {
    /// Whatever an id is, it is a name that needs no escaping anywhere, or it is refused.
    #[test]
    fn an_id_is_plain_or_refused(id in "\\PC{0,70}") {
        if let Ok(read) = Agent::read(definition(&json!({ "id": id }))) {
            prop_assert!(read.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            prop_assert!(read.id.len() <= 63);
        }
    }
}
