//! Agents of a project's own: one of the server's with an instruction, tools and an environment to
//! begin from (spec 06, "Custom agents").

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::agent::{AGENTS, AgentConfig};
use crate::environment::{EnvironmentChoice, EnvironmentId, EnvironmentSpec};
use crate::error::Error;
use crate::fields::{Fields, excerpt};
use crate::request::{CreateInteraction, RequestField, check_agent_tools, honoured, refused};
use crate::tool::Tool;

const LONGEST_ID: usize = 63;

/// Ids do not begin like the names of services, nor like those of agents that a server may have.
const RESERVED: [&str; 18] = [
    "antigravity-",
    "veo-",
    "omni-",
    "lyria-",
    "imagen-",
    "gemma-",
    "gemini-",
    "google-",
    "youtube-",
    "android-",
    "chrome-",
    "pixel-",
    "waze-",
    "fitbit-",
    "nest-",
    "kaggle-",
    "deep-research-",
    "code-mender-",
];

/// The definition of an agent. It never changes.
#[derive(Clone, PartialEq)]
pub struct Agent {
    /// Unique in its project: 1 to 63 lower-case letters, digits, `-` and `_`.
    pub id: String,
    /// One of [`AGENTS`].
    pub base_agent: String,
    pub system_instruction: Option<String>,
    /// None: those of the base.
    pub tools: Vec<Tool>,
    pub agent_config: Option<AgentConfig>,
    /// What its runs begin with: each has a copy of its own.
    pub base_environment: Option<EnvironmentChoice>,
    /// As it came.
    definition: Map<String, Value>,
}

/// Without what it holds, which may be anybody's.
impl fmt::Debug for Agent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Agent({} of {})", self.id, self.base_agent)
    }
}

/// As clients see it: as it came, but for the headers of MCP servers, which are never shown again.
/// Variables of the environment are: every program of a run sees them.
impl Serialize for Agent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut shown = self.definition.clone();
        for tool in shown.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(tool) = tool.as_object_mut() {
                tool.shift_remove("headers");
            }
        }
        shown.serialize(serializer)
    }
}

impl Agent {
    /// Reads the body of `POST /agents`.
    ///
    /// # Errors
    /// `invalid_request` and `parameter_unknown`, naming the field.
    pub fn read(body: Value) -> Result<Self, Error> {
        let mut definition = body.as_object().cloned().unwrap_or_default();
        definition.retain(|_, value| !value.is_null());
        let mut fields = Fields::new(body, "")?;
        let id = fields.text("id")?;
        check_id(&id)?;
        let base_agent = fields.string("base_agent")?.unwrap_or_default();
        if !AGENTS.contains(&base_agent.as_str()) {
            let message = format!("expected one of `{}`, got `{}`", AGENTS.join("`, `"), excerpt(&base_agent));
            return Err(Error::invalid("base_agent", message));
        }
        fields.string("description")?;
        let agent = Self {
            id,
            base_agent: base_agent.clone(),
            system_instruction: fields.string("system_instruction")?.filter(|text| !text.is_empty()),
            tools: Tool::read_list(fields.list("tools")?.unwrap_or_default())?,
            agent_config: match fields.take("agent_config") {
                None => None,
                Some(value) => Some(AgentConfig::read(value, "agent_config", &base_agent)?),
            },
            base_environment: match fields.take("base_environment") {
                None => None,
                Some(value) => Some(read_base(value)?),
            },
            definition,
        };
        fields.finish()?;
        check_agent_tools(&agent.tools)?;
        Ok(agent)
    }

    /// All of it, for [`Agent::read`]; with headers.
    pub fn definition(&self) -> &Map<String, Value> {
        &self.definition
    }

    /// A request for this agent with everything that its run needs, so that the definition is
    /// needed no more. What the request says itself goes before the definition.
    ///
    /// # Errors
    /// `invalid_request` for an `agent_config`, which is the definition's alone, and for a source
    /// that one of the definition's is in the way of.
    pub fn complete(self, mut request: CreateInteraction) -> Result<CreateInteraction, Error> {
        if request.agent_config.is_some() {
            let message = format!("the agent `{}` has its own, which a request does not change", self.id);
            return Err(Error::invalid("agent_config", message));
        }
        request.model = self.agent_config.as_ref().and_then(|config| config.model.clone()).unwrap_or_default();
        request.agent_config = self.agent_config;
        request.base_agent = Some(self.base_agent);
        request.system_instruction = request.system_instruction.or(self.system_instruction);
        if request.tools.is_empty() {
            request.tools = self.tools;
        }
        request.environment = workplace(self.base_environment, request.environment)?;
        Ok(request)
    }
}

/// What a request names when it names an environment; else a copy of the agent's, with what the
/// request says differently.
///
/// # Errors
/// `invalid_request` when two sources want one place.
fn workplace(
    base: Option<EnvironmentChoice>,
    wanted: Option<EnvironmentChoice>,
) -> Result<Option<EnvironmentChoice>, Error> {
    let Some(base) = base else { return Ok(wanted) };
    if wanted.as_ref().is_some_and(|choice| choice.existing().is_some()) {
        return Ok(wanted);
    }
    let mut spec = match base {
        EnvironmentChoice::Remote => EnvironmentSpec::default(),
        EnvironmentChoice::Existing(id) => EnvironmentSpec { from_environment: Some(id), ..EnvironmentSpec::default() },
        EnvironmentChoice::Described(mut spec) => {
            spec.from_environment = spec.environment_id.take();
            spec
        }
    };
    if let Some(EnvironmentChoice::Described(wanted)) = wanted {
        spec.sources.retain(|source| wanted.sources.iter().all(|other| other.target != source.target));
        wanted.sources.iter().try_for_each(|source| source.check_beside(&spec.sources))?;
        spec.sources.extend(wanted.sources);
        spec.network = wanted.network.or(spec.network);
        spec.env.extend(wanted.env);
    }
    Ok(Some(EnvironmentChoice::Described(spec)))
}

fn check_id(id: &str) -> Result<(), Error> {
    let is_start = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |byte: &u8| is_start(byte) || matches!(byte, b'-' | b'_');
    let bytes = id.as_bytes();
    if bytes.len() > LONGEST_ID || !bytes.first().is_some_and(is_start) || !bytes.iter().all(is_part) {
        let message = format!(
            "expected 1 to {LONGEST_ID} lower-case letters, digits, `-` and `_` that start with a letter or a digit, \
             got `{}`",
            excerpt(id).escape_debug()
        );
        return Err(Error::invalid("id", message));
    }
    match RESERVED.iter().find(|start| id.starts_with(**start)) {
        Some(start) => Err(Error::invalid("id", format!("ids that begin with `{start}` are reserved"))),
        None => Ok(()),
    }
}

/// As an interaction's `environment`, or in the form of Google's cookbook.
fn read_base(value: Value) -> Result<EnvironmentChoice, Error> {
    const PATH: &str = "base_environment";
    if value.get("env_id").is_none_or(Value::is_null) {
        return EnvironmentChoice::read(value, PATH);
    }
    let mut fields = Fields::new(value, PATH)?;
    fields.choice("type", &[("remote", ())])?;
    let id = EnvironmentId::read(&mut fields, "env_id")?;
    fields.finish()?;
    let missing = || Error::invalid("base_environment.env_id", "expected the id of an environment, nothing came");
    id.map(EnvironmentChoice::Existing).ok_or_else(missing)
}

/// Every field of an agent's definition and its treatment today, besides a whole one's `id` and
/// `base_agent`; `docs/api-coverage.md` is printed from it, and a test walks it.
pub const AGENT_FIELDS: &[RequestField] = &[
    honoured("id", r#""bird-watcher""#, "1 to 63 of `a-z`, `0-9`, `-`, `_`; taken already: 409 `already_exists`"),
    refused("id", r#""gemini-mine""#, "begins as names of services do"),
    refused("id", r#""Mine""#, ""),
    honoured("base_agent", r#""antigravity-preview-09-2026""#, "an agent of the server"),
    refused("base_agent", r#""bird-watcher""#, "no agent of a project's own"),
    honoured("description", r#""Counts birds""#, "for people; echoed"),
    honoured("system_instruction", r#""Be brief""#, "an interaction's own replaces it"),
    honoured("tools", r#"[{"type":"code_execution"}]"#, "as those of an interaction, which replace them"),
    refused("tools[0].type", r#"[{"type":"file_search","file_search_store_names":["fileSearchStores/x"]}]"#, ""),
    honoured(
        "agent_config",
        r#"{"type":"antigravity","max_total_tokens":"5000"}"#,
        "the definition's alone: an interaction's is refused",
    ),
    refused("agent_config.type", r#"{"type":"dynamic"}"#, "comes later"),
    honoured("base_environment", r#""remote""#, "each run begins with an empty one"),
    honoured("base_environment", r#""env_abc""#, "each run begins with a copy"),
    honoured("base_environment", r#"{"env_id":"env_abc"}"#, "the same"),
    honoured(
        "base_environment",
        r#"{"type":"remote","sources":[{"type":"inline","content":"Be brief","target":".agents/AGENTS.md"}]}"#,
        "each run begins with these",
    ),
    honoured(
        "base_environment",
        r#"{"type":"remote","environment_id":"env_abc","env":{"STAGE":"test"}}"#,
        "each run begins with a copy, and what is said besides",
    ),
    refused(
        "base_environment.sources[0].target",
        r#"{"sources":[{"type":"inline","content":"","target":"../a"}]}"#,
        "",
    ),
    refused("base_environment.no_such_parameter", r#"{"no_such_parameter":1}"#, "`parameter_unknown`"),
    refused("no_such_parameter", "1", "`parameter_unknown`"),
];

#[cfg(test)]
mod tests;
