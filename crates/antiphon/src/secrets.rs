//! Secrets are in the environment or in files of their own, never in the configuration.

use std::path::Path;

use crate::Failed;
use crate::config::{HeaderValue, Kept};

pub(crate) fn read(kept: &Kept) -> Result<String, Failed> {
    match kept {
        Kept::Env(name) => of_variable(name),
        Kept::File(file) => of_file(file),
    }
}

/// A value that may stand in the configuration itself.
pub(crate) fn value(value: &HeaderValue) -> Result<String, Failed> {
    match value {
        HeaderValue::Plain(text) => Ok(text.clone()),
        HeaderValue::Kept(kept) => read(kept),
    }
}

pub(crate) fn of_variable(name: &str) -> Result<String, Failed> {
    #[expect(clippy::disallowed_methods, reason = "the executable reads the environment, and nothing else does")]
    let value = std::env::var(name).unwrap_or_default();
    if value.is_empty() {
        return Err(Failed::new(format!("the environment variable `{name}` is not set")));
    }
    Ok(value)
}

pub(crate) fn of_file(file: &Path) -> Result<String, Failed> {
    let text = std::fs::read_to_string(file).map_err(|error| Failed::new(format!("`{}`: {error}", file.display())))?;
    let value = text.trim_end_matches(['\r', '\n']);
    if value.is_empty() {
        return Err(Failed::new(format!("`{}` is empty", file.display())));
    }
    Ok(value.to_owned())
}
