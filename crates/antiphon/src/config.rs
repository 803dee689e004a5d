//! The configuration file. Every key is optional; an unknown one is an error.
//!
//! ```toml
//! [server]
//! listen = "127.0.0.1:8080"
//! body_bytes = 104857600       # the largest body of a request
//! strict_models = false        # true: `gemini-*` names no longer reach the default
//!
//! [store]
//! retention_days = 55
//!
//! [limits]
//! default_output_tokens = 2048 # when a request does not say
//! waiting = 64                 # interactions that may wait for one model
//!
//! [[models]]                   # the first is the default
//! name = "qwen2.5-coder-1.5b-instruct"
//! aliases = []
//! backend = "llama"            # or "scripted"
//! file = "model.gguf"          # unless an installed model has the name
//! context = 32768              # in tokens, shared by the slots
//! slots = 4
//! threads = 2
//! script = "replies.toml"      # for "scripted"
//! ```

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::Failed;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) store: Store,
    pub(crate) limits: Limits,
    pub(crate) models: Vec<Model>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) listen: Option<String>,
    pub(crate) body_bytes: Option<u32>,
    pub(crate) strict_models: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) retention_days: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) default_output_tokens: u32,
    pub(crate) waiting: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    #[serde(default)]
    pub(crate) backend: Backend,
    pub(crate) file: Option<PathBuf>,
    pub(crate) context: Option<u32>,
    pub(crate) slots: Option<u32>,
    pub(crate) threads: Option<u32>,
    pub(crate) script: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Backend {
    #[default]
    Llama,
    Scripted,
}

impl Default for Store {
    fn default() -> Self {
        Self { retention_days: 55 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { default_output_tokens: 2048, waiting: 64 }
    }
}

impl Model {
    /// An installed model with everything as the catalogue has it.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            aliases: Vec::new(),
            backend: Backend::Llama,
            file: None,
            context: None,
            slots: None,
            threads: None,
            script: None,
        }
    }
}

impl Config {
    /// Reads the file; paths inside are relative to it.
    pub(crate) fn read(path: &Path) -> Result<Self, Failed> {
        let failed =
            |error: &dyn std::fmt::Display| Failed::new(format!("configuration `{}`: {error}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
        let mut config: Self = toml::from_str(&text).map_err(|error| failed(&error))?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        for model in &mut config.models {
            for file in [&mut model.file, &mut model.script].into_iter().flatten() {
                *file = folder.join(&file);
            }
        }
        config.check().map_err(|error| failed(&error))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Failed> {
        let mut names = std::collections::HashSet::new();
        for (at, model) in self.models.iter().enumerate() {
            for name in std::iter::once(&model.name).chain(&model.aliases) {
                if !names.insert(name) {
                    return Err(Failed::new(format!("`models[{at}]`: the name `{name}` is taken already")));
                }
            }
            let (script, file) = (model.script.is_some(), model.file.is_some());
            match model.backend {
                Backend::Scripted if !script => {
                    return Err(Failed::new(format!("`models[{at}].script`: a scripted model needs its script")));
                }
                Backend::Scripted if file => {
                    return Err(Failed::new(format!("`models[{at}].file`: a scripted model has no weights")));
                }
                Backend::Llama if script => {
                    return Err(Failed::new(format!("`models[{at}].script`: only scripted models have a script")));
                }
                Backend::Scripted | Backend::Llama => {}
            }
            if model.context.is_some_and(|context| !(512..=1_048_576).contains(&context)) {
                return Err(Failed::new(format!("`models[{at}].context`: expected 512 to 1048576 tokens")));
            }
            if model.slots.is_some_and(|slots| !(1..=64).contains(&slots)) {
                return Err(Failed::new(format!("`models[{at}].slots`: expected 1 to 64")));
            }
        }
        if self.limits.default_output_tokens == 0 {
            return Err(Failed::new("`limits.default_output_tokens`: expected at least 1"));
        }
        if self.store.retention_days == 0 {
            return Err(Failed::new("`store.retention_days`: expected at least 1"));
        }
        Ok(())
    }
}
