//! Environments, the workspaces that agents keep between interactions (spec 06, "Environments"):
//! what requests say of them. How they are shown is in `resource`, what is placed in them in
//! `source` and `repository`, what their programs find in `variable`, what they reach in `network`,
//! by names of `host`.

mod host;
mod network;
mod repository;
mod resource;
mod source;
mod variable;

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::Error;
use crate::fields::{Fields, describe, excerpt};
use crate::request::{RequestField, honoured, refused};

pub use host::{Domain, Host};
pub use network::{AllowedHost, Network};
pub use repository::RepositoryAddress;
pub use resource::{Environment, EnvironmentFile, EnvironmentFileKind, EnvironmentStatus, ShownSource};
pub use source::{Source, SourceContent, WorkspacePath};
pub use variable::Variable;

/// What our ids begin with.
const OURS: &str = "env_";

/// The name of one environment: 1 to 64 URL-safe characters; ours begin with `env_`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnvironmentId(Box<str>);

impl EnvironmentId {
    /// Reads an id from the outside, also as `environments/{id}`. `None` when it is not
    /// well-formed.
    pub fn parse(text: &str) -> Option<Self> {
        let id = text.strip_prefix("environments/").unwrap_or(text);
        let url_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        ((1..=64).contains(&id.len()) && id.bytes().all(url_safe)).then(|| Self(id.into()))
    }

    /// Makes the id that stands for up to 45 bytes; 18 of them give 24 characters.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(format!("{OURS}{}", URL_SAFE_NO_PAD.encode(bytes)).into())
    }

    /// Whether it looks like one that this server has made.
    pub fn is_ours(&self) -> bool {
        self.0.starts_with(OURS)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn read(fields: &mut Fields, name: &str) -> Result<Option<Self>, Error> {
        let Some(text) = fields.string(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        Self::of(&text, &fields.path_of(name)).map(Some)
    }

    fn of(text: &str, path: &str) -> Result<Self, Error> {
        Self::parse(text).ok_or_else(|| {
            Error::invalid(path, format!("expected 1 to 64 URL-safe characters of an id, got `{}`", excerpt(text)))
        })
    }
}

impl fmt::Display for EnvironmentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for EnvironmentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<EnvironmentId> for String {
    fn from(id: EnvironmentId) -> Self {
        id.0.into()
    }
}

impl TryFrom<String> for EnvironmentId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is not an environment id"))
    }
}

/// Which environment an interaction works in. It is written as it came: `"remote"`, an id, or an
/// object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum EnvironmentChoice {
    /// A new and empty one.
    Remote,
    Existing(EnvironmentId),
    Described(EnvironmentSpec),
}

/// An environment in words: a new one, or what is to be different in the one it names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnvironmentSpec {
    pub environment_id: Option<EnvironmentId>,
    /// A new one begins as a copy of this one. No client says it of an interaction: agents do, by their definition.
    pub from_environment: Option<EnvironmentId>,
    /// Placed in the workspace; in an existing one they replace what has their names.
    pub sources: Vec<Source>,
    /// Absent, a new one gets the operator's default, and an existing one keeps what it has.
    pub network: Option<Network>,
    /// Variables of its programs, besides those it has.
    pub env: BTreeMap<String, Variable>,
}

/// `POST /environments`: a new environment, or a copy of one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateEnvironment {
    /// Excludes `sources` and `env`.
    pub from_environment: Option<EnvironmentId>,
    pub sources: Vec<Source>,
    /// Absent, a copy gets that of the other.
    pub network: Option<Network>,
    pub env: BTreeMap<String, Variable>,
}

impl EnvironmentChoice {
    /// Reads the `environment` of an interaction, or the `base_environment` of an agent; `path`
    /// is where it stands.
    ///
    /// # Errors
    /// `invalid_request` and `parameter_unknown`, naming the field.
    pub fn read(value: Value, path: &str) -> Result<Self, Error> {
        match value {
            Value::String(text) if text == "remote" => Ok(Self::Remote),
            Value::String(text) => EnvironmentId::of(&text, path).map(Self::Existing),
            Value::Object(_) => EnvironmentSpec::read(value, path).map(Self::Described),
            other => {
                let message = format!("expected `remote`, an environment's id or an object, got {}", describe(&other));
                Err(Error::invalid(path, message))
            }
        }
    }

    /// The existing environment that is meant.
    pub fn existing(&self) -> Option<&EnvironmentId> {
        match self {
            Self::Remote => None,
            Self::Existing(id) => Some(id),
            Self::Described(spec) => spec.environment_id.as_ref(),
        }
    }
}

impl TryFrom<Value> for EnvironmentChoice {
    type Error = Error;

    fn try_from(value: Value) -> Result<Self, Error> {
        Self::read(value, "environment")
    }
}

impl From<EnvironmentChoice> for Value {
    fn from(choice: EnvironmentChoice) -> Self {
        match choice {
            EnvironmentChoice::Remote => "remote".into(),
            EnvironmentChoice::Existing(id) => id.as_str().into(),
            EnvironmentChoice::Described(spec) => {
                let mut value = json!({"type": "remote"});
                if let Some(network) = spec.network {
                    value["network"] = network.to_wire();
                }
                let ids = [("environment_id", spec.environment_id), ("from_environment", spec.from_environment)];
                for (name, id) in ids {
                    if let Some(id) = id {
                        value[name] = id.as_str().into();
                    }
                }
                if !spec.sources.is_empty() {
                    value["sources"] = spec.sources.iter().map(Source::to_wire).collect();
                }
                if !spec.env.is_empty() {
                    value["env"] = spec.env.into_iter().map(|(name, variable)| (name, variable.to_wire())).collect();
                }
                value
            }
        }
    }
}

impl EnvironmentSpec {
    fn read(value: Value, path: &str) -> Result<Self, Error> {
        let mut fields = Fields::new(value, path)?;
        fields.choice("type", &[("remote", ())])?;
        let read = Self {
            environment_id: EnvironmentId::read(&mut fields, "environment_id")?,
            from_environment: None,
            sources: Source::read_list(&mut fields)?,
            network: Network::read_field(&mut fields)?,
            env: Variable::read_all(&mut fields)?,
        };
        fields.finish()?;
        Ok(read)
    }
}

impl CreateEnvironment {
    /// # Errors
    /// `invalid_request` and `parameter_unknown`, naming the field.
    pub fn read(body: Value) -> Result<Self, Error> {
        let mut fields = Fields::new(body, "")?;
        let read = Self {
            from_environment: EnvironmentId::read(&mut fields, "from_environment")?,
            sources: Source::read_list(&mut fields)?,
            network: Network::read_field(&mut fields)?,
            env: Variable::read_all(&mut fields)?,
        };
        fields.finish()?;
        if read.from_environment.is_some() {
            let given = [("sources", !read.sources.is_empty()), ("env", !read.env.is_empty())];
            if let Some((name, _)) = given.iter().find(|(_, is_given)| *is_given) {
                return Err(Error::invalid(name, "a copy of an environment has what that one has; expected nothing"));
            }
        }
        Ok(read)
    }
}

/// Every field of an environment in a request and its treatment today; `docs/api-coverage.md` is
/// printed from it, and a test walks it.
pub const ENVIRONMENT_FIELDS: &[RequestField] = &[
    honoured("from_environment", r#""environments/env_abc""#, "a copy; excludes `sources` and `env`"),
    honoured("sources", r#"[{"type":"inline","content":"hi","target":"a.txt"}]"#, "1 MiB each, 2 MiB in all"),
    honoured("sources", r#"[{"type":"inline","content":"aGk=","encoding":"base64","target":"a"}]"#, ""),
    honoured("sources", r#"[{"type":"inline","content":"","target":"/workspace/a"}]"#, "as `a`"),
    honoured("sources", r#"[{"type":"inline","content":"","target":"/data/a"}]"#, "not in tier 2 of the sandbox"),
    refused("sources[0].target", r#"[{"type":"inline","content":"","target":"/usr/a"}]"#, "the system's"),
    refused("sources[0].target", r#"[{"type":"inline","content":"","target":"../a"}]"#, ""),
    honoured("sources", r#"[{"type":"repository","source":"https://example.com/a/b.git","target":"b"}]"#, "in tier 1"),
    honoured("sources", r#"[{"type":"repository","source":"https://example.com/a/b"}]"#, "its target is its name: `b`"),
    refused("sources[0].source", r#"[{"type":"repository","source":"ssh://example.com/a","target":"a"}]"#, "not https"),
    refused("sources[0].source", r#"[{"type":"repository","source":"https://10.0.0.1/a"}]"#, "an address"),
    refused("sources[0].target", r#"[{"type":"repository","source":"https://example.com/a","target":"a/.Git"}]"#, ""),
    refused("sources[0].content", r#"[{"type":"repository","source":"https://example.com/a","content":""}]"#, ""),
    refused("sources[0].type", r#"[{"type":"gcs","source":"gs://a/b"}]"#, "Cloud Storage is not read yet"),
    refused("sources[0].type", r#"[{"type":"skill_registry","source":"a"}]"#, "no registry is known"),
    honoured("network", r#""disabled""#, "the operator's default when it is absent; the resource says what holds"),
    honoured("network", r#"{"allowlist":"disabled"}"#, ""),
    honoured("network", r#"{"allowlist":[{"domain":"example.com"},{"domain":"*.example.com"}]}"#, "in tier 1"),
    honoured("network", r#"{"allowlist":[{"domain":"*"}]}"#, "where the operator allows any host"),
    honoured("network", r#"{"allowlist":[{"domain":"a.com","transform":{"x-key":"k"}}]}"#, "or a list; https alone"),
    honoured(
        "network",
        r#"{"allowlist":[{"domain":"a.com","credential":"c"}]}"#,
        "a `bearer_token`'s or an `oauth2`'s",
    ),
    refused("network.allowlist[0].domain", r#"{"allowlist":[{"domain":"10.0.0.1"}]}"#, "an address"),
    refused(
        "network.allowlist[0].transform.Host",
        r#"{"allowlist":[{"domain":"a.com","transform":{"Host":"b"}}]}"#,
        "",
    ),
    refused("network", r#""enabled""#, "nothing of this name"),
    honoured("env", r#"{"STAGE":"test","LEVEL":{"value":"3"}}"#, "variables of its programs"),
    honoured("env", r#"{"KEY":{"credential":"c"}}"#, "an `environment_variable`'s: programs have a placeholder"),
    refused("env.KEY.credential", r#"{"KEY":{"credential":"c","value":"v"}}"#, "one of the two"),
    refused("env.PATH", r#"{"PATH":"/bin"}"#, "the sandbox's own"),
    refused("no_such_parameter", "1", "`parameter_unknown`"),
];

#[cfg(test)]
mod tests;
