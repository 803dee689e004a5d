//! What is placed in an environment, and where.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ShownSource;
use super::repository::RepositoryAddress;
use crate::error::Error;
use crate::fields::{Fields, excerpt};

const MOST_SOURCES: usize = 256;
const MOST_BYTES: usize = 1 << 20;
const MOST_BYTES_IN_ALL: usize = 2 << 20;
const LONGEST_PATH: usize = 1024;
const LONGEST_NAME: usize = 255;
const MOST_NAMES: usize = 32;

/// What programs call their workspace.
const WORKSPACE: &str = "/workspace";

/// Where a workspace has what programs see beside it, at their root (`antiphon-sandbox`).
const ROOT: &str = ".root";

/// Names at the root of programs that are not a source's; nor are those that begin with `lib` or `.`.
const NOT_A_SOURCES: [&str; 10] = ["bin", "dev", "etc", "proc", "run", "sbin", "sys", "tmp", "usr", "workspace"];

/// A place in a workspace: names, separated by `/`, below its top. Without any it is the top
/// itself. No name leads up or elsewhere, and none has a control character or `\`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkspacePath(String);

impl WorkspacePath {
    /// Reads a relative path; one `/` at its end says nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::of(text.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(text).split('/'))
    }

    /// As [`WorkspacePath::parse`], of names that were separated already.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let names: Vec<_> = names.into_iter().collect();
        if names.is_empty() || names == [""] {
            return Ok(Self::default());
        }
        if names.len() > MOST_NAMES {
            return Err(format!("expected a path of at most {MOST_NAMES} names, got {}", names.len()));
        }
        for name in &names {
            if matches!(*name, "" | "." | "..") {
                return Err(format!("expected names below the workspace, got a path with `{name}`"));
            }
            if name.len() > LONGEST_NAME {
                return Err(format!("expected names of at most {LONGEST_NAME} bytes, got {}", name.len()));
            }
            if name.contains(|c: char| c.is_control() || c == '\\' || c == '/') {
                let shown = excerpt(name).escape_debug();
                return Err(format!("expected names without `/`, `\\` and control characters, got `{shown}`"));
            }
        }
        let path = names.join("/");
        if path.len() > LONGEST_PATH {
            return Err(format!("expected a path of at most {LONGEST_PATH} bytes, got {}", path.len()));
        }
        Ok(Self(path))
    }

    /// Reads a path as programs write it: relative to their workspace, or absolute. What lies beside the workspace is
    /// in a folder of its own in it.
    ///
    /// # Errors
    /// As [`WorkspacePath::parse`].
    pub fn parse_seen(text: &str) -> Result<Self, String> {
        match (text.strip_prefix(WORKSPACE), text.strip_prefix('/')) {
            (Some(rest), _) if rest.is_empty() || rest.starts_with('/') => Self::parse(rest.trim_start_matches('/')),
            (_, Some(rest)) => Self::parse(&format!("{ROOT}/{rest}")),
            (_, None) => Self::parse(text),
        }
    }

    /// As programs call it: `a/b` in the workspace, `/a/b` beside it.
    pub fn as_seen(&self) -> &str {
        if self.is_beside() { &self.0[ROOT.len()..] } else { &self.0 }
    }

    /// Whether programs see it at their root, beside the workspace.
    pub fn is_beside(&self) -> bool {
        self.0.strip_prefix(ROOT).is_some_and(|rest| rest.starts_with('/'))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// Whether it is the workspace itself.
    pub fn is_top(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for WorkspacePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<WorkspacePath> for String {
    fn from(path: WorkspacePath) -> Self {
        path.0
    }
}

impl TryFrom<String> for WorkspacePath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

/// What is placed in an environment by a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Never the top.
    pub target: WorkspacePath,
    pub content: SourceContent,
    /// Where it was read, for errors: `environment.sources[0]`.
    pub path: String,
}

#[derive(Clone, PartialEq, Eq)]
pub enum SourceContent {
    /// A file's bytes, which the request brings along.
    Inline(Vec<u8>),
    /// A folder with what is there when the environment is made.
    Repository(RepositoryAddress),
}

/// Never with its bytes, which may be anybody's.
impl fmt::Debug for SourceContent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(bytes) => write!(formatter, "Inline({} bytes)", bytes.len()),
            Self::Repository(address) => write!(formatter, "Repository({address})"),
        }
    }
}

impl Source {
    /// The `sources` of an object.
    pub(super) fn read_list(fields: &mut Fields) -> Result<Vec<Self>, Error> {
        let path = fields.path_of("sources");
        let items = fields.list("sources")?.unwrap_or_default();
        if items.len() > MOST_SOURCES {
            return Err(Error::invalid(&path, format!("expected at most {MOST_SOURCES} sources, got {}", items.len())));
        }
        let mut sources: Vec<Self> = Vec::new();
        for (at, item) in items.into_iter().enumerate() {
            let place = format!("{path}[{at}]");
            let source = Self::read(item, place)?;
            source.check_beside(&sources)?;
            sources.push(source);
        }
        let bytes: usize = sources.iter().filter_map(Self::bytes).map(<[u8]>::len).sum();
        if bytes > MOST_BYTES_IN_ALL {
            let message = format!("expected at most {MOST_BYTES_IN_ALL} bytes in all, got {bytes}");
            return Err(Error::invalid(&path, message));
        }
        Ok(sources)
    }

    /// # Errors
    /// `invalid_request` when its target and that of another would have to be a folder and a file.
    pub(crate) fn check_beside(&self, others: &[Self]) -> Result<(), Error> {
        let Some(other) = others.iter().find(|other| self.collides(other)) else { return Ok(()) };
        let (own, others) = (self.target.as_seen(), other.target.as_seen());
        let message = format!("`{own}` is in the way of another source's `{others}`");
        Err(Error::invalid(&self.path_of("target"), message))
    }

    /// Where a field of it was read.
    pub fn path_of(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    fn read(value: Value, path: String) -> Result<Self, Error> {
        let mut fields = Fields::new(value, &path)?;
        let kind = fields.text("type")?;
        let missing = match kind.as_str() {
            "inline" => return Self::read_inline(fields, path),
            "repository" => return Self::read_repository(fields, path),
            "gcs" => "Cloud Storage is not read by this server yet",
            "skill_registry" => "this server knows no registry of skills",
            _ => "expected `inline`, `repository`, `gcs` or `skill_registry`",
        };
        Err(Error::invalid(&fields.path_of("type"), format!("{missing}, got `{}`", excerpt(&kind))))
    }

    fn read_inline(mut fields: Fields, path: String) -> Result<Self, Error> {
        fields.refuse("source", "an inline source has its `content` here")?;
        let place = fields.path_of("content");
        let Some(content) = fields.string("content")? else {
            return Err(Error::invalid(&place, "expected a string, nothing came"));
        };
        let content = match fields.choice("encoding", &[("base64", ())])? {
            None => content.into_bytes(),
            Some(()) => STANDARD.decode(content).map_err(|_| Error::invalid(&place, "expected base64"))?,
        };
        if content.len() > MOST_BYTES {
            let message = format!("expected at most {MOST_BYTES} bytes, got {}", content.len());
            return Err(Error::invalid(&place, message));
        }
        let target = fields.text("target")?;
        let target = read_target(&target).map_err(|why| Error::invalid(&fields.path_of("target"), why))?;
        fields.finish()?;
        Ok(Self { target, content: SourceContent::Inline(content), path })
    }

    fn read_repository(mut fields: Fields, path: String) -> Result<Self, Error> {
        for name in ["content", "encoding"] {
            fields.refuse(name, "a repository is where its `source` says")?;
        }
        let address = RepositoryAddress::parse(&fields.text("source")?);
        let address = address.map_err(|why| Error::invalid(&fields.path_of("source"), why))?;
        // As git calls it.
        let target = fields.string("target")?.unwrap_or_else(|| address.name().to_owned());
        let target = read_target(&target).and_then(no_git);
        let target = target.map_err(|why| Error::invalid(&fields.path_of("target"), why))?;
        fields.finish()?;
        Ok(Self { target, content: SourceContent::Repository(address), path })
    }

    fn bytes(&self) -> Option<&[u8]> {
        match &self.content {
            SourceContent::Inline(bytes) => Some(bytes),
            SourceContent::Repository(_) => None,
        }
    }

    /// Where what is brought along comes from, if not out of the request.
    pub fn address(&self) -> Option<&RepositoryAddress> {
        match &self.content {
            SourceContent::Inline(_) => None,
            SourceContent::Repository(address) => Some(address),
        }
    }

    pub fn shown(&self) -> ShownSource {
        ShownSource::new(&self.target, self.address().cloned())
    }

    /// Whether one of the two would have to be a folder and a file.
    fn collides(&self, other: &Self) -> bool {
        let (one, other) = (self.target.as_path(), other.target.as_path());
        one.starts_with(other) || other.starts_with(one)
    }

    pub(super) fn to_wire(&self) -> Value {
        let target = self.target.as_seen();
        match &self.content {
            SourceContent::Repository(address) => json!({"type": "repository", "target": target, "source": address}),
            SourceContent::Inline(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => json!({"type": "inline", "target": target, "content": text}),
                Err(_) => {
                    let content = STANDARD.encode(bytes);
                    json!({"type": "inline", "target": target, "content": content, "encoding": "base64"})
                }
            },
        }
    }
}

/// In a folder of this name `git` would take a repository's own files for its settings.
fn no_git(target: WorkspacePath) -> Result<WorkspacePath, String> {
    match target.as_str().split('/').find(|name| name.eq_ignore_ascii_case(".git")) {
        Some(name) => Err(format!("expected a path without the name `.git`, got one with `{name}`")),
        None => Ok(target),
    }
}

/// A target is relative to the workspace, or absolute: in the workspace, or beside it, where nothing is the system's.
fn read_target(text: &str) -> Result<WorkspacePath, String> {
    let path = WorkspacePath::parse_seen(text)?;
    let mut names = path.as_str().split('/');
    if path.is_top() {
        return Err("expected a path in the workspace, got the workspace".to_owned());
    }
    if names.next() != Some(ROOT) {
        return Ok(path);
    }
    let name = names.next().ok_or("expected a path below the root, got the root")?;
    if NOT_A_SOURCES.contains(&name) || name.starts_with("lib") || name.starts_with('.') {
        return Err(format!("expected a path in the workspace, or one that nothing of the system has, got `/{name}`"));
    }
    Ok(path)
}
