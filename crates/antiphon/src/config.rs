//! The configuration: one file, and what the environment says differently.
//!
//! Every key is optional and an unknown one is an error; `docs/configuration.md` has them
//! all. `ANTIPHON__SECTION__KEY` overrides one key of the file: its value is read as TOML,
//! or as a string when it is none.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::Failed;

mod diffusion;
mod media;
mod model;
mod tools;

pub(crate) use media::{Fallback, Media};
pub(crate) use model::{
    Attention, Backend, DEFAULT_ATTEMPTS, DEFAULT_CONCURRENCY, DEFAULT_UPSTREAM_CONTEXT, HeaderValue, Kept, Model,
};
pub(crate) use tools::{
    DefaultNetwork, Environments, Fetch, Files, McpProcess, ProviderName, Sandbox, SandboxMode, Search,
};

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) store: Store,
    pub(crate) limits: Limits,
    pub(crate) agents: Agents,
    pub(crate) models: Vec<Model>,
    pub(crate) images: Images,
    pub(crate) media: Media,
    pub(crate) search: Search,
    pub(crate) fetch: Fetch,
    pub(crate) sandbox: Sandbox,
    pub(crate) files: Files,
    pub(crate) environments: Environments,
    pub(crate) mcp_servers: BTreeMap<String, McpProcess>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) listen: Option<String>,
    pub(crate) body_bytes: Option<u32>,
    pub(crate) strict_models: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) retention_days: u32,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) default_output_tokens: u32,
    pub(crate) waiting: usize,
    pub(crate) turns: u32,
    pub(crate) tool_calls: u32,
    pub(crate) run_seconds: u32,
    pub(crate) tool_result_tokens: usize,
}

/// How far one run of an agent may go.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Agents {
    /// That one project may define.
    pub(crate) count: u32,
    pub(crate) turns: u32,
    pub(crate) tool_calls: u32,
    pub(crate) run_seconds: u32,
}

/// How pictures are made.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Images {
    /// The model that draws them; without it, the default one.
    pub(crate) model: Option<String>,
}

impl Default for Store {
    fn default() -> Self {
        Self { retention_days: 55 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            default_output_tokens: 2048,
            waiting: 64,
            turns: 16,
            tool_calls: 32,
            run_seconds: 600,
            tool_result_tokens: 2000,
        }
    }
}

impl Default for Agents {
    fn default() -> Self {
        Self { count: 100, turns: 100, tool_calls: 200, run_seconds: 1800 }
    }
}

/// Where the server listens unless it is told.
pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// What the names of variables that override a key begin with.
const PREFIX: &str = "ANTIPHON__";

impl Config {
    /// Reads the file, if there is one, under what the environment says. Paths inside are
    /// relative to the file.
    ///
    /// # Errors
    /// All that is wrong with it, a line each.
    pub(crate) fn read(path: Option<&Path>, variables: impl Iterator<Item = (String, String)>) -> Result<Self, Failed> {
        let name = path.map_or("environment".to_owned(), |path| format!("`{}`", path.display()));
        let failed = |error: &dyn std::fmt::Display| Failed::new(format!("configuration {name}: {error}"));
        let text = match path {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|error| failed(&error))?,
        };
        let overrides: Vec<_> = variables
            .filter_map(|(variable, value)| Some((variable.strip_prefix(PREFIX)?.to_owned(), value)))
            .collect();
        let mut config: Self = if overrides.is_empty() {
            // Read so, errors tell the line.
            toml::from_str(&text).map_err(|error| failed(&error))?
        } else {
            let mut table: Table = toml::from_str(&text).map_err(|error| failed(&error))?;
            for (key, value) in overrides {
                let path: Vec<_> = key.split("__").map(str::to_ascii_lowercase).collect();
                set(&mut table, &path, &value).map_err(|why| failed(&format!("{PREFIX}{key}: {why}")))?;
            }
            Value::Table(table).try_into().map_err(|error| failed(&error))?
        };
        let folder = path.and_then(Path::parent).unwrap_or_else(|| Path::new(""));
        config.models.iter_mut().for_each(|model| model.place_in(folder));
        config.media.place_in(folder);
        config.search.place_in(folder);
        config.mcp_servers.values_mut().for_each(|process| process.place_in(folder));
        let problems = config.problems();
        if problems.is_empty() { Ok(config) } else { Err(failed(&problems.join("\n  "))) }
    }

    /// Everything that is wrong, each led by its key.
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.limits.default_output_tokens == 0 {
            problems.push("`limits.default_output_tokens`: expected at least 1".to_owned());
        }
        for (key, value) in [
            ("limits.turns", u64::from(self.limits.turns)),
            ("limits.tool_calls", u64::from(self.limits.tool_calls)),
            ("limits.run_seconds", u64::from(self.limits.run_seconds)),
            ("limits.tool_result_tokens", self.limits.tool_result_tokens as u64),
            ("agents.turns", u64::from(self.agents.turns)),
            ("agents.tool_calls", u64::from(self.agents.tool_calls)),
            ("agents.run_seconds", u64::from(self.agents.run_seconds)),
        ] {
            if value == 0 {
                problems.push(format!("`{key}`: expected at least 1"));
            }
        }
        problems.extend(self.search.problems());
        problems.extend(self.fetch.problems());
        problems.extend(self.files.problems());
        problems.extend(self.environments.problems());
        if self.store.retention_days == 0 {
            problems.push("`store.retention_days`: expected at least 1".to_owned());
        }
        let mut names = std::collections::HashSet::new();
        for (at, model) in self.models.iter().enumerate() {
            for name in std::iter::once(&model.name).chain(&model.aliases) {
                if !names.insert(name) {
                    problems.push(format!("`models[{at}]`: the name `{name}` is taken already"));
                }
            }
            for name in &model.fallbacks {
                let known = self.models.iter().any(|other| other.name == *name);
                if self.models.iter().any(|other| other.name == *name && other.draws() != model.draws()) {
                    let what = "of two models that are asked in turn either both answer with pictures or none does";
                    problems.push(format!("`models[{at}].fallbacks`: {what}, got `{name}`"));
                }
                if !known || *name == model.name {
                    problems.push(format!("`models[{at}].fallbacks`: expected names of other models, got `{name}`"));
                }
            }
            problems.extend(model.problems().into_iter().map(|(key, why)| format!("`models[{at}].{key}`: {why}")));
        }
        problems
    }
}

/// Sets one key of the tables and lists inside a table.
fn set(table: &mut Table, path: &[String], value: &str) -> Result<(), String> {
    let [key, rest @ ..] = path else { return Err("expected a key".to_owned()) };
    if rest.is_empty() {
        table.insert(key.clone(), read_value(value));
        return Ok(());
    }
    let inner = table.entry(key.clone()).or_insert_with(|| match rest[0].parse::<usize>() {
        Ok(_) => Value::Array(Vec::new()),
        Err(_) => Value::Table(Table::new()),
    });
    match inner {
        Value::Table(inner) => set(inner, rest, value),
        Value::Array(items) => {
            let at: usize =
                rest[0].parse().map_err(|_| format!("`{key}` is a list; expected a number, got `{}`", rest[0]))?;
            if at > items.len() {
                return Err(format!("`{key}` has {} entries; the next is {}", items.len(), items.len()));
            }
            if at == items.len() {
                items.push(Value::Table(Table::new()));
            }
            match &mut items[at] {
                Value::Table(inner) if rest.len() > 1 => set(inner, &rest[1..], value),
                item => {
                    *item = read_value(value);
                    Ok(())
                }
            }
        }
        _ => Err(format!("`{key}` holds no keys")),
    }
}

fn read_value(text: &str) -> Value {
    let parsed = toml::from_str::<Table>(&format!("value = {text}"));
    parsed.ok().and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests;
