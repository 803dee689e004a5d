//! What is run: a source text, the files beside it, and the folder it works in.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::network::Network;
use crate::operation::FileOperation;

const SOURCE_BYTES: usize = 1 << 20;
const FILES: usize = 256;
const FILE_BYTES: usize = 32 << 20;
const PATH_BYTES: usize = 1024;
const PATH_DEPTH: usize = 16;
const VARIABLES: usize = 64;
const VARIABLE_BYTES: usize = 32 << 10;

/// What the source text is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    Python,
    Bash,
}

/// Where the program works: its current folder and its home.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Workspace {
    /// A new and empty folder, deleted with what the run leaves.
    #[default]
    Fresh,
    /// This folder, which stays. It is given to the sandbox whole: a server that is root changes its owner.
    Given(PathBuf),
}

/// A program whose parts were found to be within bounds.
#[derive(Debug, Clone)]
pub struct Program {
    pub(crate) language: Language,
    pub(crate) source: String,
    pub(crate) files: Vec<(PathBuf, Vec<u8>)>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) workspace: Workspace,
    pub(crate) network: Option<Network>,
}

/// What a sandbox is made for.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    Program(Program),
    /// In a workspace that stays.
    Operation(FileOperation, Workspace),
}

impl Work {
    pub(crate) fn workspace(&self) -> &Workspace {
        match self {
            Self::Program(program) => &program.workspace,
            Self::Operation(_, workspace) => workspace,
        }
    }

    /// What it may reach beside itself.
    pub(crate) fn network(&self) -> Option<&Network> {
        match self {
            Self::Program(program) => program.network.as_ref(),
            Self::Operation(..) => None,
        }
    }
}

/// Why a program is not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the source has {bytes} bytes, and at most {SOURCE_BYTES} are run")]
    SourceTooLong { bytes: usize },
    #[error("the source holds a NUL character")]
    SourceWithNul,
    #[error("at most {FILES} files with {FILE_BYTES} bytes in all are placed")]
    TooManyFiles,
    #[error("a file's path is a plain relative one of at most {PATH_DEPTH} names; `{path}` is not")]
    Path { path: String },
    #[error("variable `{name}` cannot be set")]
    Variable { name: String },
}

impl Program {
    /// # Errors
    /// A source that is too long or holds NUL.
    pub fn new(language: Language, source: impl Into<String>) -> Result<Self, Refused> {
        let source = source.into();
        if source.len() > SOURCE_BYTES {
            return Err(Refused::SourceTooLong { bytes: source.len() });
        }
        if source.contains('\0') {
            return Err(Refused::SourceWithNul);
        }
        Ok(Self {
            language,
            source,
            files: Vec::new(),
            environment: Vec::new(),
            workspace: Workspace::Fresh,
            network: None,
        })
    }

    /// Places a file in the workspace before the program starts; what has its name there is replaced.
    ///
    /// # Errors
    /// A path that is not plain, or too much in all.
    pub fn file(mut self, path: impl Into<PathBuf>, bytes: Vec<u8>) -> Result<Self, Refused> {
        let path = path.into();
        if !is_plain(&path) {
            return Err(Refused::Path { path: path.display().to_string() });
        }
        let total = self.files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        if self.files.len() >= FILES || total.saturating_add(bytes.len()) > FILE_BYTES {
            return Err(Refused::TooManyFiles);
        }
        self.files.push((path, bytes));
        Ok(self)
    }

    /// Declares a variable of the environment, beside `PATH`, `HOME`, `LANG` and `TMPDIR`.
    ///
    /// # Errors
    /// A name that is none, one of those four, one that steers the loader, or too much in all.
    pub fn variable(mut self, name: &str, value: &str) -> Result<Self, Refused> {
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let is_ours = ["PATH", "HOME", "LANG", "TMPDIR"].contains(&name) || name.starts_with("LD_");
        let total = self.environment.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let fits = self.environment.len() < VARIABLES && total + name.len() + value.len() <= VARIABLE_BYTES;
        if !is_name || is_ours || !fits || value.contains('\0') {
            return Err(Refused::Variable { name: name.chars().take(64).collect() });
        }
        self.environment.retain(|(earlier, _)| earlier != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        Ok(self)
    }

    /// Chooses the folder it works in.
    #[must_use]
    pub fn workspace(mut self, workspace: Workspace) -> Self {
        self.workspace = workspace;
        self
    }

    /// Gives it a network: a port of its loopback is a proxy's, and variables say which. Without one it reaches
    /// nothing beside itself. Tier 1 alone has networks: see [`Sandbox::has_networks`](crate::Sandbox::has_networks).
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.network = Some(network);
        self
    }
}

impl Language {
    pub(crate) const ALL: [Self; 2] = [Self::Python, Self::Bash];

    /// The file that holds the source. Hidden, so that it stands in nobody's way; in the workspace, so that Python
    /// finds the modules beside it and shows the source in a traceback.
    pub(crate) fn source_file(self) -> &'static str {
        match self {
            Self::Python => ".program.py",
            Self::Bash => ".program.sh",
        }
    }
}

/// Relative, of names alone, in UTF-8 and without control characters.
fn is_plain(path: &Path) -> bool {
    let Some(text) = path.to_str() else { return false };
    let names = path.components().all(|part| matches!(part, Component::Normal(name) if name.len() <= 255));
    let canonical = path.components().collect::<PathBuf>().as_os_str() == path.as_os_str();
    names
        && canonical
        && !text.is_empty()
        && text.len() <= PATH_BYTES
        && path.components().count() <= PATH_DEPTH
        && !text.contains(|c: char| c.is_control())
        && !matches!(text, ".program.py" | ".program.sh")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_are_placed() {
        let check = |path: &str, expected: bool| assert_eq!(is_plain(Path::new(path)), expected, "{path:?}");
        check("data.csv", true);
        check("a/b/ü.txt", true);
        check(".hidden", true);
        for path in ["", ".", "..", "/etc/passwd", "a/../b", "../a", "./a", "a//b", "a/", "a\nb", "a\0b", ".program.py"]
        {
            check(path, false);
        }
        check(&format!("{}b", "a/".repeat(15)), true);
        check(&format!("{}b", "a/".repeat(16)), false);
        check(&"a".repeat(256), false);
    }

    #[test]
    fn the_four_variables_and_the_loader_are_not_the_callers() {
        let check = |name: &str, value: &str, expected: bool| {
            let program = Program::new(Language::Bash, "").unwrap();
            assert_eq!(program.variable(name, value).is_ok(), expected, "{name}");
        };
        check("KEY", "a value", true);
        check("_k1", "", true);
        for name in ["PATH", "HOME", "LANG", "TMPDIR", "LD_PRELOAD", "1a", "", "a=b", "a-b"] {
            check(name, "x", false);
        }
        check("KEY", "a\0b", false);
        check("KEY", &"x".repeat(VARIABLE_BYTES), false);
    }
}
