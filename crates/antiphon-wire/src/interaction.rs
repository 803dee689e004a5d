//! The interaction as an answer shows it (spec 03, "Interaction").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::environment::EnvironmentId;
use crate::error::Failure;
use crate::id::InteractionId;
use crate::request::ServiceTier;
use crate::status::Status;
use crate::step::Step;
use crate::tool::Tool;
use crate::usage::Usage;

/// The resource. Events carry it without `steps`; every other view has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interaction {
    pub id: InteractionId,
    /// Always `interaction`.
    pub object: String,
    pub status: Status,
    /// RFC 3339 in UTC, whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<String>,
    /// The name that was asked for, not the one that served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The agent that was asked for, in place of a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Where it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_id: Option<EnvironmentId>,
    /// The model that answered in place of the one that was to serve; an addition of this
    /// server, there only when that happened.
    #[serde(default, rename = "antiphon_served_by", skip_serializing_if = "Option::is_none")]
    pub served_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_interaction_id: Option<InteractionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<ServiceTier>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<Step>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Failure>,
    /// The first of `errors`; programs of the guide read this one (spec 08 §8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// Request fields that GET shows again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_instruction: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation_config: Option<Value>,
    /// Present with `include_input=true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Vec<Step>>,
}

impl Interaction {
    pub fn new(id: InteractionId, status: Status) -> Self {
        Self {
            id,
            object: "interaction".to_owned(),
            status,
            created: None,
            updated: None,
            model: None,
            agent: None,
            environment_id: None,
            served_by: None,
            previous_interaction_id: None,
            service_tier: None,
            labels: BTreeMap::new(),
            steps: None,
            usage: None,
            errors: Vec::new(),
            error: None,
            system_instruction: None,
            tools: Vec::new(),
            response_format: None,
            generation_config: None,
            input: None,
        }
    }
}
