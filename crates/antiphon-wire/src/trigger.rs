//! Triggers: interactions of agents that begin by themselves, at times of a schedule (spec 06,
//! "Triggers"). What a schedule means is not known here, only how long it may be.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::environment::{EnvironmentChoice, EnvironmentId, Source};
use crate::error::Error;
use crate::fields::{Fields, describe};
use crate::id::InteractionId;
use crate::request::{CreateInteraction, RequestField, honoured, refused};
use crate::tool::Tool;

const LONGEST_NAME: usize = 256;
const LONGEST_SCHEDULE: usize = 256;
const LONGEST_ZONE: usize = 64;
const LONGEST_TIMEOUT: i64 = 24 * 60 * 60;
const MOST_FAILURES: i64 = 1000;

const DEFAULT_TIMEOUT: i64 = 600;
const DEFAULT_FAILURES: i64 = 5;

/// An id of 1 to 64 URL-safe characters that begins as its kind does.
macro_rules! id {
    ($(#[$about:meta])* $name:ident, $start:literal, $collection:literal) => {
        $(#[$about])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        pub struct $name(Box<str>);

        impl $name {
            /// Reads an id from the outside, also behind the name of its collection. `None` when
            /// it is not well-formed.
            pub fn parse(text: &str) -> Option<Self> {
                let id = text.strip_prefix($collection).unwrap_or(text);
                let url_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
                ((1..=64).contains(&id.len()) && id.bytes().all(url_safe)).then(|| Self(id.into()))
            }

            /// Makes the id that stands for up to 45 bytes.
            pub fn from_bytes(bytes: &[u8]) -> Self {
                Self(format!(concat!($start, "{}"), URL_SAFE_NO_PAD.encode(bytes)).into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

id!(
    /// The name of one trigger; ours begin with `trig_`.
    TriggerId,
    "trig_",
    "triggers/"
);
id!(
    /// The name of one execution of a trigger; ours begin with `exec_`.
    TriggerExecutionId,
    "exec_",
    "executions/"
);

/// `POST /triggers`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTrigger {
    /// Five fields of cron, as they came.
    pub schedule: String,
    /// The IANA name of the zone in which the schedule is meant.
    pub time_zone: String,
    /// An agent's, stored and in the background; its environment is that of `environment_id`
    /// where the body says so.
    pub interaction: CreateInteraction,
    pub display_name: Option<String>,
    pub execution_timeout_seconds: u32,
    pub max_consecutive_failures: u32,
}

impl CreateTrigger {
    /// # Errors
    /// `invalid_request` and `parameter_unknown`, naming the field.
    pub fn read(body: Value) -> Result<Self, Error> {
        let mut fields = Fields::new(body, "")?;
        let environment = fields.take("environment_id");
        let read = Self {
            schedule: short(&mut fields, "schedule", LONGEST_SCHEDULE)?,
            time_zone: short(&mut fields, "time_zone", LONGEST_ZONE)?,
            interaction: read_interaction(fields.take("interaction"), environment)?,
            display_name: read_display_name(&mut fields)?.filter(|name| !name.is_empty()),
            execution_timeout_seconds: count(
                &mut fields,
                "execution_timeout_seconds",
                LONGEST_TIMEOUT,
                DEFAULT_TIMEOUT,
            )?,
            max_consecutive_failures: count(&mut fields, "max_consecutive_failures", MOST_FAILURES, DEFAULT_FAILURES)?,
        };
        fields.finish()?;
        Ok(read)
    }
}

/// `PATCH /triggers/{id}`: what is not there stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateTrigger {
    /// Empty: it has none any more.
    pub display_name: Option<String>,
    /// Paused, or not; `error` is the server's to say.
    pub paused: Option<bool>,
}

impl UpdateTrigger {
    /// # Errors
    /// `invalid_request` and `parameter_unknown`, naming the field.
    pub fn read(body: Value) -> Result<Self, Error> {
        let mut fields = Fields::new(body, "")?;
        let read = Self {
            display_name: read_display_name(&mut fields)?,
            paused: fields.choice("status", &[("active", false), ("paused", true)])?,
        };
        fields.finish()?;
        Ok(read)
    }
}

fn short(fields: &mut Fields, name: &str, longest: usize) -> Result<String, Error> {
    let text = fields.text(name)?;
    if text.len() > longest {
        return Err(Error::invalid(name, format!("expected at most {longest} characters, got {}", text.len())));
    }
    Ok(text)
}

fn read_display_name(fields: &mut Fields) -> Result<Option<String>, Error> {
    let name = fields.string("display_name")?;
    if name.as_ref().is_some_and(|name| name.chars().count() > LONGEST_NAME || name.contains(char::is_control)) {
        let message = format!("expected at most {LONGEST_NAME} characters, none of them a control character");
        return Err(Error::invalid("display_name", message));
    }
    Ok(name)
}

fn count(fields: &mut Fields, name: &str, most: i64, default: i64) -> Result<u32, Error> {
    let count = fields.integer(name, 1, most)?.unwrap_or(default);
    u32::try_from(count).map_err(|_| Error::internal())
}

/// An interaction as `POST /interactions` reads it, of an agent, that nobody waits for.
fn read_interaction(value: Option<Value>, environment: Option<Value>) -> Result<CreateInteraction, Error> {
    let mut body = match value {
        Some(Value::Object(body)) => body,
        other => {
            let got = other.as_ref().map_or_else(|| "nothing".to_owned(), describe);
            return Err(Error::invalid("interaction", format!("expected an agent's interaction, got {got}")));
        }
    };
    for (name, only, why) in [
        ("background", true, "nobody waits for a trigger's run, which is always in the background"),
        ("store", true, "a trigger's run is always stored"),
        ("stream", false, "nobody follows a trigger's run"),
    ] {
        if body.get(name) == Some(&Value::Bool(!only)) {
            return Err(Error::invalid(&format!("interaction.{name}"), why));
        }
    }
    // One that is not a switch is refused below.
    body.entry("background").or_insert(Value::Null);
    if body["background"].is_null() {
        body["background"] = true.into();
    }
    let mut request = CreateInteraction::read(Value::Object(body)).map_err(|error| error.within("interaction"))?;
    if request.agent.is_none() {
        return Err(Error::invalid("interaction.agent", "a trigger runs an agent; expected the name of one"));
    }
    if let Some(value) = environment {
        let id = value.as_str().and_then(EnvironmentId::parse).ok_or_else(|| {
            Error::invalid("environment_id", format!("expected an environment's id, got {}", describe(&value)))
        })?;
        if request.environment.as_ref().is_some_and(|choice| choice.existing() != Some(&id)) {
            let message = "expected nothing, or the environment of `interaction.environment`";
            return Err(Error::invalid("environment_id", message));
        }
        request.environment.get_or_insert(EnvironmentChoice::Existing(id));
    }
    Ok(request)
}

/// A trigger as it is shown. Times are RFC 3339 in UTC, whole seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trigger {
    pub id: TriggerId,
    pub schedule: String,
    pub time_zone: String,
    /// What it was made with, without headers, variables and contents of files.
    pub interaction: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Where it works: once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment_id: Option<EnvironmentId>,
    pub execution_timeout_seconds: u32,
    pub max_consecutive_failures: u32,
    pub status: TriggerStatus,
    pub consecutive_failure_count: u32,
    /// The interaction of its last run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_interaction_id: Option<InteractionId>,
    pub create_time: String,
    pub update_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run_time: Option<String>,
    /// None while it is not active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_pause_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_resume_time: Option<String>,
}

/// A page of a project's triggers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TriggerList {
    pub triggers: Vec<Trigger>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerStatus {
    Active,
    Paused,
    /// It has failed as often in a row as it may, and runs no more by itself.
    Error,
}

/// One execution of a trigger as it is shown. Times are RFC 3339 in UTC, whole seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TriggerExecution {
    pub id: TriggerExecutionId,
    pub trigger_id: TriggerId,
    pub status: ExecutionStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interaction_id: Option<InteractionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment_id: Option<EnvironmentId>,
    pub scheduled_time: String,
    pub start_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    /// Why it failed, timed out or was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A page of a trigger's executions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TriggerExecutionList {
    pub trigger_executions: Vec<TriggerExecution>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionStatus {
    InProgress,
    Completed,
    Failed,
    /// It was time while the one before was still in progress.
    Skipped,
    TimedOut,
}

/// The interaction of a trigger as it is shown: nothing of what may be secret in it.
pub fn shown_interaction(request: &CreateInteraction) -> Value {
    let mut shown = json!({ "agent": request.agent, "input": request.input });
    if let Some(text) = &request.system_instruction {
        shown["system_instruction"] = text.as_str().into();
    }
    if !request.tools.is_empty() {
        shown["tools"] = json!(request.tools.iter().map(Tool::shown).collect::<Vec<_>>());
    }
    if let Some(config) = &request.agent_config {
        shown["agent_config"] = json!({ "type": "antigravity" });
        if let Some(model) = &config.model {
            shown["agent_config"]["model"] = model.as_str().into();
        }
        if let Some(most) = config.max_total_tokens {
            shown["agent_config"]["max_total_tokens"] = most.into();
        }
    }
    match &request.environment {
        None => {}
        Some(EnvironmentChoice::Remote) => shown["environment"] = "remote".into(),
        Some(EnvironmentChoice::Existing(id)) => shown["environment"] = id.as_str().into(),
        Some(EnvironmentChoice::Described(spec)) => {
            // Variables may hold secrets, and so may what is said of the network.
            let sources: Vec<_> = spec.sources.iter().map(Source::shown).collect();
            shown["environment"] = json!({ "type": "remote", "sources": sources });
            if let Some(id) = &spec.environment_id {
                shown["environment"]["environment_id"] = id.as_str().into();
            }
        }
    }
    if let Some(id) = &request.previous_interaction_id {
        shown["previous_interaction_id"] = id.as_str().into();
    }
    if !request.labels.is_empty() {
        shown["labels"] = json!(request.labels);
    }
    shown["service_tier"] = json!(request.service_tier);
    shown
}

/// Every field of `POST /triggers` and its treatment today; `docs/api-coverage.md` is printed from
/// it, and a test walks it.
pub const TRIGGER_FIELDS: &[RequestField] = &[
    honoured("schedule", r#""0 9 * * 1-5""#, "five fields of cron: minute, hour, day, month, day of the week"),
    honoured("time_zone", r#""Europe/Lisbon""#, "an IANA name"),
    honoured(
        "interaction",
        r#"{"agent":"antigravity-preview-05-2026","input":"Look around","environment":"remote"}"#,
        "an agent's, as `POST /interactions` takes it",
    ),
    refused("interaction.agent", r#"{"model":"gemini-3.5-flash","input":"Hi"}"#, "a trigger runs an agent"),
    refused("interaction.store", r#"{"agent":"a","input":"Hi","store":false}"#, "runs are stored"),
    refused("interaction.background", r#"{"agent":"a","input":"Hi","background":false}"#, "nobody waits for a run"),
    refused("interaction.stream", r#"{"agent":"a","input":"Hi","stream":true}"#, "nobody follows a run"),
    refused("interaction.tools[0].type", r#"{"agent":"a","input":"Hi","tools":[{"type":"google_maps"}]}"#, ""),
    honoured("display_name", r#""Morning""#, "up to 256 characters"),
    honoured("environment_id", r#""env_abc""#, "as `interaction.environment`"),
    honoured("execution_timeout_seconds", "600", "1 to 86400; 600 unless given"),
    honoured("max_consecutive_failures", "5", "1 to 1000; 5 unless given"),
    refused("status", r#""paused""#, "`parameter_unknown`; a PATCH pauses it"),
];

#[cfg(test)]
mod tests;
