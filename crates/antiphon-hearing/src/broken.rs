//! What is wrong on this machine, and not with a sound.

use std::fmt::Display;
use std::path::Path;

/// For the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(String);

impl Broken {
    /// A file of the model.
    pub(crate) fn weights(path: &Path, error: &dyn Display) -> Self {
        Self(format!("{}: {error}", path.display()))
    }

    /// The sums of a network.
    pub(crate) fn sums(error: &dyn Display) -> Self {
        Self(format!("the network cannot be computed: {error}"))
    }

    /// The process that listens.
    pub(crate) fn process(error: &dyn Display) -> Self {
        Self(format!("the process that listens cannot be used: {error}"))
    }
}
