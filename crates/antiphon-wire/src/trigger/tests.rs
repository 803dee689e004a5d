use pretty_assertions::assert_eq;

use super::*;
use crate::request::Treatment;

fn body() -> Value {
    json!({"schedule": "0 9 * * *", "time_zone": "UTC", "interaction": {"agent": "a", "input": "Hi"}})
}

fn with(name: &str, value: Value) -> Result<CreateTrigger, Error> {
    let mut body = body();
    body[name] = value;
    CreateTrigger::read(body)
}

#[test]
fn every_field_is_honoured_or_refused_by_its_path() {
    for field in TRIGGER_FIELDS {
        let top = field.path.split(['.', '[']).next().unwrap();
        let read = with(top, serde_json::from_str(field.sample).unwrap());
        match field.treatment {
            Treatment::Honoured => assert!(read.is_ok(), "{}: {read:?}", field.path),
            Treatment::Refused => {
                let message = read.unwrap_err().message;
                assert!(message.starts_with(&format!("`{}`: ", field.path)), "{}: {message}", field.path);
            }
        }
    }
}

#[test]
fn what_is_not_said_has_its_default() {
    let read = CreateTrigger::read(body()).unwrap();
    assert_eq!((read.execution_timeout_seconds, read.max_consecutive_failures), (600, 5));
    assert!(read.interaction.background && read.interaction.store && !read.interaction.stream);
    for name in ["schedule", "time_zone", "interaction"] {
        let message = with(name, Value::Null).unwrap_err().message;
        assert!(message.starts_with(&format!("`{name}`: ")), "{message}");
    }
    for (name, value) in [
        ("execution_timeout_seconds", json!(0)),
        ("execution_timeout_seconds", json!(86_401)),
        ("max_consecutive_failures", json!(0)),
        ("display_name", json!("x".repeat(257))),
        ("schedule", json!("*".repeat(257))),
    ] {
        let message = with(name, value).unwrap_err().message;
        assert!(message.starts_with(&format!("`{name}`: ")), "{message}");
    }
    // As SDKs send int64.
    assert_eq!(with("execution_timeout_seconds", json!("60")).unwrap().execution_timeout_seconds, 60);
}

#[test]
fn an_environment_is_named_once() {
    let id = EnvironmentId::parse("env_abc").unwrap();
    let existing = Some(EnvironmentChoice::Existing(id));
    assert_eq!(with("environment_id", json!("environments/env_abc")).unwrap().interaction.environment, existing);
    let mut body = body();
    body["environment_id"] = "env_abc".into();
    for (environment, fits) in [("env_abc", true), ("env_other", false), ("remote", false)] {
        body["interaction"]["environment"] = environment.into();
        assert_eq!(CreateTrigger::read(body.clone()).is_ok(), fits, "{environment}");
    }
    assert!(with("environment_id", json!("../x")).unwrap_err().message.starts_with("`environment_id`"));
}

#[test]
fn an_update_pauses_resumes_and_renames() {
    let read = |body: Value| UpdateTrigger::read(body);
    assert_eq!(read(json!({})).unwrap(), UpdateTrigger::default());
    let both = read(json!({"display_name": "", "status": "paused"})).unwrap();
    assert_eq!(both, UpdateTrigger { display_name: Some(String::new()), paused: Some(true) });
    assert_eq!(read(json!({"status": "active"})).unwrap().paused, Some(false));
    for (wrong, path) in [(json!({"status": "error"}), "status"), (json!({"schedule": "* * * * *"}), "schedule")] {
        assert!(read(wrong).unwrap_err().message.starts_with(&format!("`{path}`")));
    }
}

#[test]
fn nothing_secret_is_shown_again() {
    let interaction = json!({
        "agent": "a", "input": "Hi", "system_instruction": "Be brief", "labels": {"team": "a"},
        "agent_config": {"type": "antigravity", "max_total_tokens": "5000"},
        "tools": [{"type": "mcp_server", "name": "notes", "url": "https://example.com/mcp", "headers": {"key": "planted"}}],
        "environment": {"type": "remote", "env": {"KEY": "planted"},
            "sources": [{"type": "inline", "content": "planted", "target": "a.txt"}]},
    });
    let shown = shown_interaction(&with("interaction", interaction).unwrap().interaction);
    assert!(!shown.to_string().contains("planted"), "{shown}");
    assert_eq!(shown["environment"], json!({"type": "remote", "sources": [{"type": "inline", "target": "a.txt"}]}));
    assert_eq!(shown["agent_config"], json!({"type": "antigravity", "max_total_tokens": 5000}));
    assert_eq!(shown["input"][0]["content"][0]["text"], "Hi");
}
