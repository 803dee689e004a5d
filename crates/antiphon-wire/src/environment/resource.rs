//! Environments and what is in them, as they are shown.

use serde::Serialize;

use super::{EnvironmentId, Network, RepositoryAddress, WorkspacePath};

/// An environment as it is shown. The documentation's samples have `environment_id` and `type`
/// where the SDKs have `id`, so there are both (spec 08 §16).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Environment {
    pub id: EnvironmentId,
    pub environment_id: EnvironmentId,
    /// Always `remote`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub status: EnvironmentStatus,
    /// RFC 3339 in UTC, whole seconds; so are the next two.
    pub created: String,
    /// When a file was last changed.
    pub updated: String,
    pub last_accessed: String,
    /// What was placed in it by requests.
    pub sources: Vec<ShownSource>,
    pub network: Network,
    /// Files, without folders and links.
    pub file_count: u64,
    /// Of these files.
    pub size_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentStatus {
    Active,
    /// Its files are gone.
    Expired,
}

/// A source without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownSource {
    /// `inline` or `repository`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// As programs see it.
    pub target: String,
    /// Of a repository alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<RepositoryAddress>,
}

impl ShownSource {
    pub fn new(target: &WorkspacePath, source: Option<RepositoryAddress>) -> Self {
        let target = target.as_seen().to_owned();
        Self { kind: if source.is_some() { "repository" } else { "inline" }, target, source }
    }
}

/// A file, folder or link of an environment as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EnvironmentFile {
    pub name: String,
    /// From the workspace on, as requests name it.
    pub path: String,
    #[serde(rename = "type")]
    pub kind: EnvironmentFileKind,
    pub size_bytes: u64,
    /// By its name; `inode/symlink` for a link, and empty for a folder.
    pub mime_type: String,
    /// RFC 3339 in UTC, whole seconds.
    pub created: String,
    pub modified: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentFileKind {
    /// Also a link, which is shown and never followed: its `mime_type` is `inode/symlink`.
    File,
    Directory,
}
