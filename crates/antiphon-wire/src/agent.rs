//! Agents as a request names and configures them (spec 06, "Managed agent").

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::fields::{Fields, excerpt};

/// The agents that this server has itself.
pub const AGENTS: [&str; 2] = ["antigravity-preview-05-2026", "antigravity-preview-09-2026"];

/// Agents of the API that this server does not have, by what their names begin with.
const UNBUILT: [&str; 2] = ["deep-research-", "code-mender-"];

/// The types of `agent_config` besides `antigravity`.
const UNBUILT_CONFIGS: [&str; 3] = ["deep-research", "code-mender", "dynamic"];

const LONGEST_NAME: usize = 200;

/// `agent_config` of type `antigravity`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentConfig {
    /// The model it works with; the default one when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it may cost in tokens, without those that came from a cache; reaching it ends the
    /// interaction `incomplete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_total_tokens: Option<u64>,
}

impl AgentConfig {
    pub(crate) fn read(value: Value, path: &str) -> Result<Self, Error> {
        let mut fields = Fields::new(value, path)?;
        match fields.string("type")?.as_deref() {
            Some("antigravity") => {}
            Some(other) if UNBUILT_CONFIGS.contains(&other) => {
                let message = format!("`{other}` agents are not supported by this server yet");
                return Err(Error::invalid(&fields.path_of("type"), message));
            }
            Some(other) => {
                let message = format!("expected `antigravity`, got `{}`", excerpt(other));
                return Err(Error::invalid(&fields.path_of("type"), message));
            }
            None => return Err(Error::invalid(&fields.path_of("type"), "expected `antigravity`, nothing came")),
        }
        let config = Self {
            model: fields.string("model")?.filter(|name| !name.is_empty()),
            max_total_tokens: fields.integer("max_total_tokens", 1, i64::MAX)?.map(i64::unsigned_abs),
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
    AGENTS.contains(&name) || UNBUILT.iter().any(|start| name.starts_with(start))
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
