//! What can go wrong, told so that the reader knows the next step.

use std::{io, path::PathBuf};

/// Why a model could not be found, pulled or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("the catalogue of models is malformed: {0}")]
    Catalogue(#[from] toml::de::Error),

    #[error("unknown model `{spec}`; expected {expected}, `hf:owner/repo/file.gguf` or the path of a .gguf file")]
    Unknown { spec: String, expected: String },

    #[error("`{spec}` cannot name a model: {reason}")]
    Invalid { spec: String, reason: String },

    #[error("model `{name}` is not installed; `antiphon models pull {spec}` installs it")]
    NotInstalled { name: String, spec: String },

    #[error("the name `{name}` is taken by {by}; remove that model, or rename the file that you want to add")]
    Taken { name: String, by: String },

    #[error("model `{name}` is being pulled; wait until that ends, or stop it")]
    Busy { name: String },

    /// One source failed; the pull goes on with the next.
    #[error("{from}: {reason}")]
    Fetch { from: String, reason: String },

    #[error("{from}: expected sha256 {expected}, got {actual}; the file was deleted")]
    Hash { from: String, expected: String, actual: String },

    #[error("no source of model `{name}` worked: {}", list(attempts))]
    Unavailable { name: String, attempts: Vec<Self> },

    #[error("{}: {needed} bytes are needed, {available} are free", path.display())]
    Space { path: PathBuf, needed: u64, available: u64 },

    #[error("the worker could not requantize `{name}`: {reason}")]
    Requantize { name: String, reason: String },

    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },

    #[error("the program is shutting down")]
    Stopped,
}

impl Error {
    /// Whether the next source may do better: it cannot when this machine is what failed.
    pub(crate) const fn is_of_source(&self) -> bool {
        matches!(self, Self::Fetch { .. } | Self::Hash { .. })
    }
}

/// For `map_err`: an IO error, with the path it happened at.
pub(crate) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
    let path = path.into();
    move |source| Error::File { path, source }
}

fn list(attempts: &[Error]) -> String {
    attempts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
