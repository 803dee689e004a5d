//! Agents as a request names and configures them (spec 06, "Managed agent").

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::fields::{Fields, excerpt};
use crate::generation::ThinkingSummaries;

/// The agents that this server has itself.
pub const AGENTS: [&str; 2] = ["antigravity-preview-05-2026", "antigravity-preview-09-2026"];

/// Those of them that research: they run in the background, by a plan, and end with a report.
pub const RESEARCHERS: [&str; 3] =
    ["deep-research-pro-preview-12-2025", "deep-research-preview-04-2026", "deep-research-max-preview-04-2026"];

/// Agents of the API that this server does not have, by what their names begin with.
const UNBUILT: [&str; 1] = ["code-mender-"];

/// The types of `agent_config` that belong to them.
const UNBUILT_CONFIGS: [&str; 2] = ["code-mender", "dynamic"];

const LONGEST_NAME: usize = 200;

/// `agent_config` of type `antigravity`, or, with `research`, of type `deep-research`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentConfig {
    /// The model it works with; the default one when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it may cost in tokens, without those that came from a cache; reaching it ends the
    /// interaction `incomplete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_total_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub research: Option<ResearchConfig>,
}

/// What is said of a research. `visualization` is understood and not kept: `auto` leaves it to the agent, which
/// writes text alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResearchConfig {
    /// Whether what the agent does is told in thoughts while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking_summaries: Option<ThinkingSummaries>,
    /// Whether the plan is the first answer, and the research begins with the next interaction.
    #[serde(default)]
    pub collaborative_planning: bool,
}

impl ResearchConfig {
    fn read(mut fields: Fields) -> Result<Self, Error> {
        let choices = [("auto", ThinkingSummaries::Auto), ("none", ThinkingSummaries::None)];
        let config = Self {
            thinking_summaries: fields.choice("thinking_summaries", &choices)?,
            collaborative_planning: fields.boolean("collaborative_planning")?.unwrap_or(false),
        };
        fields.choice("visualization", &[("auto", ()), ("off", ())])?;
        if fields.boolean("enable_bigquery_tool")? == Some(true) {
            return Err(Error::invalid(&fields.path_of("enable_bigquery_tool"), "this server has no BigQuery"));
        }
        fields.finish()?;
        Ok(config)
    }
}

impl AgentConfig {
    /// `agent` is the one that it configures.
    pub(crate) fn read(value: Value, path: &str, agent: &str) -> Result<Self, Error> {
        let mut fields = Fields::new(value, path)?;
        let expected = if RESEARCHERS.contains(&agent) { "deep-research" } else { "antigravity" };
        match fields.string("type")?.as_deref() {
            Some("deep-research") if expected == "deep-research" => {
                return Ok(Self { research: Some(ResearchConfig::read(fields)?), ..Self::default() });
            }
            Some("antigravity") if expected == "antigravity" => {}
            Some(other) if UNBUILT_CONFIGS.contains(&other) => {
                let message = format!("`{other}` agents are not supported by this server yet");
                return Err(Error::invalid(&fields.path_of("type"), message));
            }
            Some(other) => {
                let message = format!("expected `{expected}`, got `{}`", excerpt(other));
                return Err(Error::invalid(&fields.path_of("type"), message));
            }
            None => {
                return Err(Error::invalid(&fields.path_of("type"), format!("expected `{expected}`, nothing came")));
            }
        }
        let config = Self {
            model: fields.string("model")?.filter(|name| !name.is_empty()),
            max_total_tokens: fields.integer("max_total_tokens", 1, i64::MAX)?.map(i64::unsigned_abs),
            research: None,
        };
        if let Some(model) = &config.model {
            check_name(model, &fields.path_of("model"))?;
        }
        fields.finish()?;
        Ok(config)
    }
}

/// Whether a name is that of an agent, which `model` may hold too (spec 08 §12).
pub(crate) fn is_agent(name: &str) -> bool {
    AGENTS.contains(&name) || RESEARCHERS.contains(&name) || UNBUILT.iter().any(|start| name.starts_with(start))
}

/// # Errors
/// For what cannot be a name, or is an agent that is not built; `path` names the field.
pub(crate) fn check_agent(name: &str, path: &str) -> Result<(), Error> {
    check_name(name, path)?;
    match UNBUILT.iter().any(|start| name.starts_with(start)) {
        true => Err(Error::invalid(path, format!("`{}` is not supported by this server yet", excerpt(name)))),
        false => Ok(()),
    }
}

/// # Errors
/// For what cannot be the name of a model or an agent.
pub(crate) fn check_name(name: &str, path: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(Error::invalid(path, format!("expected a name of 1 to {LONGEST_NAME} characters")));
    }
    Ok(())
}
