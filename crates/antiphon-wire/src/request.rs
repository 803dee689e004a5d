//! `POST /interactions`: the request, each field honoured or refused by name (spec 02).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::{self, AgentConfig, RESEARCHERS, ResearchConfig};
use crate::content::Content;
use crate::data::{Kept, MOST_IN_MEMORY};
use crate::environment::EnvironmentChoice;
use crate::error::Error;
use crate::fields::{Fields, describe, excerpt};
use crate::format::{self, AnswerSchema, Output};
use crate::generation::GenerationConfig;
use crate::id::InteractionId;
use crate::media::not_base64;
use crate::step::Step;
use crate::tool::Tool;

mod coverage;

pub use coverage::{REQUEST_FIELDS, RequestField, Treatment};
pub(crate) use coverage::{honoured, refused};

/// A request that was understood whole. What it holds is honoured; what this server
/// cannot honour was refused by [`CreateInteraction::read`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CreateInteraction {
    /// As it was asked for, which answers echo; it may have a `models/` prefix. For an agent the
    /// model that it works with, empty for the default one.
    pub model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The one of [`AGENTS`](crate::AGENTS) that an agent of the project's own is made of. No client says it: the
    /// server does when it accepts the request, together with all that the definition says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_agent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_config: Option<AgentConfig>,
    /// Where programs of the run work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentChoice>,
    /// At least one step, each with at least one part unless it is a thought.
    pub input: Vec<Step>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_instruction: Option<String>,
    /// What files of the environment add to it (spec 06, "Custom agents"). No client says it: they are read when the
    /// request is accepted. The run may change them, and once it is taken up again has to be told what it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guidance: Option<String>,
    #[serde(default)]
    pub generation_config: GenerationConfig,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// As it came, which answers echo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<Value>,
    /// What the answer must conform to, out of `response_format` and its relatives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_schema: Option<AnswerSchema>,
    /// What the answer is to consist of; none leaves it to the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_interaction_id: Option<InteractionId>,
    pub store: bool,
    pub background: bool,
    pub stream: bool,
    pub service_tier: ServiceTier,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// The queue an interaction waits in: `priority` before `standard` before `flex` before
/// `deferred`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceTier {
    Deferred,
    Flex,
    #[default]
    Standard,
    Priority,
}

/// More steps than this in one input is an error of the client, not a conversation.
const MOST_STEPS: usize = 10_000;
const MOST_LABELS: usize = 64;

impl CreateInteraction {
    /// Reads the body of a create request.
    ///
    /// # Errors
    /// `invalid_request` for a value that cannot be honoured, `parameter_unknown` for a
    /// key that is not part of the API; each message is led by the JSON path.
    pub fn read(body: Value) -> Result<Self, Error> {
        Self::read_with(body, Vec::new())
    }

    /// As [`CreateInteraction::read`], of a body in which the marks of these bytes stand in place of
    /// media's data.
    ///
    /// # Errors
    /// As there; and when a mark is of none of these, or one of these has its mark elsewhere.
    pub fn read_with(body: Value, kept: Vec<Arc<dyn Kept>>) -> Result<Self, Error> {
        let mut request = Self::read_marked(body)?;
        let mut kept: HashMap<_, _> = kept.into_iter().map(|kept| (kept.mark().to_owned(), kept)).collect();
        for (at, step) in request.input.iter_mut().enumerate() {
            for (part, content) in step.said_mut().iter_mut().enumerate() {
                let Some(media) = content.media_mut() else { continue };
                let Some(mark) = media.data.mark() else { continue };
                match kept.remove(mark) {
                    Some(bytes) => media.data = bytes.into(),
                    None => return Err(not_base64(&format!("input[{at}].content[{part}].data"), &"it has a `:`")),
                }
            }
        }
        if kept.is_empty() {
            return Ok(request);
        }
        Err(Error::invalid("input", format!("expected `data` of more than {MOST_IN_MEMORY} bytes in media alone")))
    }

    fn read_marked(body: Value) -> Result<Self, Error> {
        let mut fields = Fields::new(body, "")?;
        let Subject { model, agent, agent_config } = read_subject(&mut fields)?;
        let background = fields.boolean("background")?.unwrap_or(false);
        let store = fields.boolean("store")?.unwrap_or(true);
        if background && !store {
            return Err(Error::invalid("background", "a background interaction must be stored, but `store` is false"));
        }
        let response_format = fields.take("response_format");
        let (answer_schema, output) = format::read(&mut fields, response_format.clone())?;
        let request = Self {
            model,
            agent,
            base_agent: None,
            agent_config,
            environment: fields
                .take("environment")
                .map(|value| EnvironmentChoice::read(value, "environment"))
                .transpose()?,
            system_instruction: fields.string("system_instruction")?.filter(|text| !text.is_empty()),
            guidance: None,
            generation_config: match fields.take("generation_config") {
                None => GenerationConfig::default(),
                Some(value) => GenerationConfig::read(value, "generation_config")?,
            },
            tools: Tool::read_list(fields.list("tools")?.unwrap_or_default())?,
            response_format,
            answer_schema,
            output,
            previous_interaction_id: read_previous(&mut fields)?,
            store,
            background,
            stream: fields.boolean("stream")?.unwrap_or(false),
            service_tier: fields
                .choice(
                    "service_tier",
                    &[
                        ("flex", ServiceTier::Flex),
                        ("standard", ServiceTier::Standard),
                        ("priority", ServiceTier::Priority),
                        ("deferred", ServiceTier::Deferred),
                    ],
                )?
                .unwrap_or_default(),
            labels: read_labels(&mut fields)?,
            input: read_input(&mut fields)?,
        };
        if request.agent.is_some() {
            check_agent_request(&request)?;
        } else if request.environment.is_some()
            && !request.tools.iter().any(|tool| matches!(tool, Tool::CodeExecution {}))
        {
            let message = "an environment is of use to agents and to `code_execution`; neither was asked for";
            return Err(Error::invalid("environment", message));
        }
        if let Some(choice) = &request.generation_config.tool_choice {
            choice.check(&request.tools)?;
        }
        if request.generation_config.image_config.is_some() && request.response_format.is_some() {
            let message = "what the answer is to be is said in `response_format` already";
            return Err(Error::invalid("generation_config.image_config", message));
        }
        read_safety_settings(&mut fields)?;
        fields.refuse("webhook_config", "webhooks are not supported by this server yet")?;
        fields.refuse("cached_content", "cached content is not supported; conversations are cached by themselves")?;
        fields.refuse("continuation_token", "this server never gives a continuation token, so it cannot take one")?;
        fields.finish()?;
        Ok(request)
    }

    /// The agent of this server that is to work, be it behind one of the project's own.
    pub fn working_agent(&self) -> Option<&str> {
        self.base_agent.as_deref().or(self.agent.as_deref())
    }

    /// What is said of a research, for an agent that does one.
    pub fn research(&self) -> Option<ResearchConfig> {
        self.working_agent().filter(|name| RESEARCHERS.contains(name))?;
        Some(self.agent_config.as_ref().and_then(|config| config.research).unwrap_or_default())
    }
}

/// Who answers.
struct Subject {
    model: String,
    agent: Option<String>,
    agent_config: Option<AgentConfig>,
}

fn read_subject(fields: &mut Fields) -> Result<Subject, Error> {
    let config = fields.take("agent_config");
    let (model, agent) = match (fields.string("model")?, fields.string("agent")?) {
        (Some(_), Some(_)) => return Err(Error::invalid("agent", "expected either `model` or `agent`, got both")),
        (None, None) => return Err(Error::invalid("model", "expected `model` or `agent`, got neither")),
        (None, Some(agent)) => {
            agent::check_agent(&agent, "agent")?;
            (None, Some(agent))
        }
        (Some(model), None) => {
            let name = model.strip_prefix("models/").unwrap_or(&model);
            agent::check_name(name, "model")?;
            if agent::is_agent(name) {
                agent::check_agent(name, "model")?;
                (None, Some(name.to_owned()))
            } else {
                (Some(model), None)
            }
        }
    };
    let agent_config = match (config, &agent) {
        (None, _) => None,
        (Some(_), None) => {
            return Err(Error::invalid("agent_config", "expected with `agent` alone, got it with `model`"));
        }
        (Some(value), Some(agent)) => Some(AgentConfig::read(value, "agent_config", agent)?),
    };
    let model = model.or_else(|| agent_config.as_ref()?.model.clone()).unwrap_or_default();
    Ok(Subject { model, agent, agent_config })
}

/// What an agent decides itself, and what it does not take (spec 06, "Managed agent").
fn check_agent_request(request: &CreateInteraction) -> Result<(), Error> {
    if request.generation_config != GenerationConfig::default() {
        return Err(Error::invalid("generation_config", "an agent decides itself how its model writes"));
    }
    if request.response_format.is_some() || request.answer_schema.is_some() {
        return Err(Error::invalid("response_format", "an agent answers in text alone"));
    }
    match request.research() {
        None => check_agent_tools(&request.tools)?,
        Some(_) => check_research(request)?,
    }
    for (at, step) in request.input.iter().enumerate() {
        let content = match step {
            Step::UserInput(message) => message.content.as_slice(),
            _ => &[],
        };
        let is_other = |part: &Content| matches!(part, Content::Audio(_) | Content::Video(_) | Content::Document(_));
        if let Some(part) = content.iter().position(is_other) {
            return Err(Error::invalid(&format!("input[{at}].content[{part}]"), "agents take text and images alone"));
        }
    }
    Ok(())
}

/// What an agent that researches does not take besides (spec 06, "Other agent_config types").
fn check_research(request: &CreateInteraction) -> Result<(), Error> {
    if !request.background {
        return Err(Error::invalid("background", "research takes its time: expected `true` with this agent"));
    }
    if request.environment.is_some() {
        return Err(Error::invalid("environment", "an agent that researches works in none"));
    }
    // A research does not stop to wait for its client.
    let is_clients = |tool: &Tool| match tool {
        Tool::Function(_) | Tool::ToolSearch(_) => true,
        Tool::GoogleSearch {}
        | Tool::UrlContext {}
        | Tool::CodeExecution {}
        | Tool::FileSearch(_)
        | Tool::McpServer(_) => false,
    };
    if let Some(at) = request.tools.iter().position(is_clients) {
        let message = "an agent that researches takes `google_search`, `url_context`, `file_search`, `mcp_server` and \
                       `code_execution`";
        return Err(Error::invalid(&format!("tools[{at}].type"), message));
    }
    let finds = |tool: &Tool| matches!(tool, Tool::GoogleSearch {} | Tool::FileSearch(_));
    if !request.tools.is_empty() && !request.tools.iter().any(finds) {
        return Err(Error::invalid("tools", "research needs `google_search` or `file_search`"));
    }
    Ok(())
}

pub(crate) fn check_agent_tools(tools: &[Tool]) -> Result<(), Error> {
    match tools.iter().position(|tool| matches!(tool, Tool::FileSearch(_))) {
        Some(at) => Err(Error::invalid(&format!("tools[{at}].type"), "agents do not take `file_search`")),
        None => Ok(()),
    }
}

fn read_previous(fields: &mut Fields) -> Result<Option<InteractionId>, Error> {
    let Some(text) = fields.string("previous_interaction_id")?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match InteractionId::parse(&text) {
        Some(id) => Ok(Some(id)),
        None => Err(Error::invalid(
            "previous_interaction_id",
            format!("expected `v1_` and 1 to 200 URL-safe characters, got `{}`", excerpt(&text)),
        )),
    }
}

/// The input as steps. It may be empty only where nothing is left to say, which is
/// nowhere on this server: a new turn needs words.
fn read_input(fields: &mut Fields) -> Result<Vec<Step>, Error> {
    let Some(value) = fields.take("input") else {
        return Err(Error::invalid(
            "input",
            "expected a string, a content part, a step, or a list of them; nothing came",
        ));
    };
    let steps = Step::read_input(value, "input")?;
    if steps.len() > MOST_STEPS {
        return Err(Error::invalid("input", format!("expected at most {MOST_STEPS} steps, got {}", steps.len())));
    }
    for (at, step) in steps.iter().enumerate() {
        let empty = match step {
            Step::UserInput(message) | Step::ModelOutput(message) => message.content.is_empty(),
            Step::Thought(_)
            | Step::FunctionCall(_)
            | Step::FunctionResult(_)
            | Step::ProcessingCall(_)
            | Step::ProcessingResult(_)
            | Step::ServerCall(_)
            | Step::ServerResult(_)
            | Step::Other(_) => false,
        };
        if empty {
            return Err(Error::invalid(&format!("input[{at}].content"), "expected at least one content part"));
        }
    }
    match steps.last() {
        Some(Step::UserInput(_) | Step::FunctionResult(_)) => Ok(steps),
        None => Err(Error::invalid("input", "expected at least one content part, got an empty input")),
        Some(
            Step::ModelOutput(_)
            | Step::Thought(_)
            | Step::FunctionCall(_)
            | Step::ProcessingCall(_)
            | Step::ProcessingResult(_)
            | Step::ServerCall(_)
            | Step::ServerResult(_)
            | Step::Other(_),
        ) => Err(Error::invalid(
            &format!("input[{}]", steps.len() - 1),
            "the last step must be a `user_input` or a `function_result` for the model to answer",
        )),
    }
}

/// There is no filter here, so only the settings that ask for none are honoured.
fn read_safety_settings(fields: &mut Fields) -> Result<(), Error> {
    const TYPES: [&str; 10] = [
        "hate_speech",
        "dangerous_content",
        "harassment",
        "sexually_explicit",
        "civic_integrity",
        "image_hate",
        "image_dangerous_content",
        "image_harassment",
        "image_sexually_explicit",
        "jailbreak",
    ];
    for (at, setting) in fields.list("safety_settings")?.unwrap_or_default().into_iter().enumerate() {
        let mut setting = Fields::new(setting, &format!("safety_settings[{at}]"))?;
        setting.choice("type", &TYPES.map(|name| (name, ())))?;
        setting.choice("method", &[("severity", ()), ("probability", ())])?;
        let threshold = setting.take("threshold");
        if !threshold.as_ref().and_then(Value::as_str).is_some_and(|name| matches!(name, "off" | "block_none")) {
            return Err(setting.mismatch(
                "threshold",
                "`off` or `block_none` (this server has no safety filter)",
                &threshold.unwrap_or(Value::Null),
            ));
        }
        setting.finish()?;
    }
    Ok(())
}

fn read_labels(fields: &mut Fields) -> Result<BTreeMap<String, String>, Error> {
    let Some(value) = fields.take("labels") else { return Ok(BTreeMap::new()) };
    let Value::Object(map) = value else {
        return Err(fields.mismatch("labels", "an object of strings", &value));
    };
    if map.len() > MOST_LABELS {
        return Err(Error::invalid("labels", format!("expected at most {MOST_LABELS} labels, got {}", map.len())));
    }
    let well_formed = |text: &str| {
        text.chars().count() <= 63
            && text.chars().all(|c| {
                c.is_lowercase() || (c.is_alphabetic() && !c.is_uppercase()) || c.is_numeric() || c == '_' || c == '-'
            })
    };
    map.into_iter()
        .map(|(key, value)| {
            let path = format!("labels.{}", excerpt(&key));
            if !well_formed(&key) || !key.starts_with(char::is_alphabetic) {
                return Err(Error::invalid(
                    &path,
                    "expected a key of at most 63 lower-case letters, digits, `_` and `-` that starts with a letter",
                ));
            }
            match value {
                Value::String(text) if well_formed(&text) => Ok((key, text)),
                other => Err(Error::invalid(
                    &path,
                    format!("expected at most 63 lower-case letters, digits, `_` and `-`, got {}", describe(&other)),
                )),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
