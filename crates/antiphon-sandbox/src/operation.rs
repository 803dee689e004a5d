//! What an agent does with the files of its workspace: seven operations, and one that reads what they say to it. Each
//! is carried out by the helper inside the sandbox, where a path can lead no further than a program could go.

mod tools;

use std::io;

use serde::{Deserialize, Serialize};

pub use tools::FileTool;

use crate::running::{End, Exit, Reason};

/// What the kernel takes as one path.
const PATH_BYTES: usize = 4095;
const CONTENT_BYTES: usize = 1 << 20;
const PATTERN_BYTES: usize = 1000;
/// Above any reply as it is sent: 256 KiB of text, of which each byte can take six, and the words about it.
pub(crate) const REPLY_BYTES: u64 = 2 << 20;

/// Something to be done with the files of a workspace.
///
/// Paths are relative to the workspace, or absolute as a program there sees them (in tier 1 `/workspace/…`, and
/// `/data/…` where the workspace has a `.root/data`).
/// They hold no control characters, leave it by no `..`, and pass no link: a link can be listed and deleted, and
/// nothing else is done to it or through it. A reply has at most 256 KiB of text, and tells what was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileOperation {
    /// The lines of a text file from `offset` on, which counts from 1: `limit` of them, and 2,000 at most.
    Read { path: String, offset: Option<u64>, limit: Option<u64> },
    /// Puts a text of at most 1 MiB in the place of a file, at once or not at all, and makes the folders above it.
    Write { path: String, content: String },
    /// Puts `new` in the place of `old`, which a UTF-8 file of at most 8 MiB has exactly once, unless all are meant.
    Edit { path: String, old: String, new: String, replace_all: bool },
    /// Deletes whatever has this name: a folder with all that is in it, a link itself, never the workspace.
    Delete { path: String },
    /// The kinds and sizes of what is in a folder, and in its subfolders to this depth, which counts from 1: 1,000
    /// entries at most.
    List { path: String, depth: Option<u32> },
    /// What has a path below the folder that matches a glob, or a name where the glob has no `/`: 1,000 at most.
    Find { pattern: String, path: Option<String> },
    /// Lines that match a regular expression, in a file or below a folder, in files that match the glob: 200 at most.
    /// It takes time that is linear in what is searched. Binary files are passed over.
    Grep { pattern: String, path: Option<String>, glob: Option<String> },
    /// What `.agents` says to agents, as the JSON of [`AgentFiles`](crate::AgentFiles).
    AgentFiles,
}

/// What the model is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReply {
    pub text: String,
    /// Nothing was done, for the reason that the text gives.
    pub is_error: bool,
}

impl FileOperation {
    /// Whether its parts are within bounds, so that it can be passed on.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Self::Read { path, offset, limit } => {
                within("path", path, PATH_BYTES)?;
                from_one("offset", *offset)?;
                from_one("limit", *limit)
            }
            Self::Write { path, content } => {
                within("path", path, PATH_BYTES)?;
                within("content", content, CONTENT_BYTES)
            }
            Self::Edit { path, old, new, replace_all: _ } => {
                within("path", path, PATH_BYTES)?;
                within("old", old, CONTENT_BYTES)?;
                within("new", new, CONTENT_BYTES)?;
                if old.is_empty() {
                    return Err("`old` is empty; `write_file` makes a new file".to_owned());
                }
                if old == new { Err("`old` and `new` are the same".to_owned()) } else { Ok(()) }
            }
            Self::Delete { path } => within("path", path, PATH_BYTES),
            Self::List { path, depth } => {
                within("path", path, PATH_BYTES)?;
                from_one("depth", depth.map(u64::from))
            }
            Self::Find { pattern, path } => {
                within("pattern", pattern, PATTERN_BYTES)?;
                within("path", path.as_deref().unwrap_or_default(), PATH_BYTES)
            }
            Self::Grep { pattern, path, glob } => {
                within("pattern", pattern, PATTERN_BYTES)?;
                within("path", path.as_deref().unwrap_or_default(), PATH_BYTES)?;
                within("glob", glob.as_deref().unwrap_or_default(), PATTERN_BYTES)
            }
            Self::AgentFiles => Ok(()),
        }
    }
}

impl FileReply {
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error: true }
    }

    /// By the end of the run that carried the operation out, and what it wrote.
    pub(crate) fn of(exit: &Exit, written: &str, complaint: &str) -> io::Result<Self> {
        match (&exit.reason, exit.end) {
            (Reason::Exited, End::Code(0)) => Ok(serde_json::from_str(written)?),
            (Reason::TimedOut, _) => {
                let seconds = exit.wall.as_secs_f32();
                Ok(Self::failed(format!("the operation was ended after {seconds:.1} s; ask for less at once")))
            }
            (Reason::OutOfMemory, _) => {
                Ok(Self::failed("the operation was ended: it took more memory than it may; ask for less at once"))
            }
            (Reason::Failed(why), _) => Err(io::Error::other(why.clone())),
            (Reason::Exited | Reason::DiskFull | Reason::OutputLimit | Reason::Cancelled, end) => {
                let complaint: String = complaint.chars().take(300).collect();
                Err(io::Error::other(format!("a file operation ended with {:?}, {end:?}: {complaint}", exit.reason)))
            }
        }
    }
}

fn within(name: &str, text: &str, most: usize) -> Result<(), String> {
    if text.len() <= most {
        Ok(())
    } else {
        Err(format!("`{name}` has {} bytes, and {most} at most are taken", text.len()))
    }
}

fn from_one(name: &str, number: Option<u64>) -> Result<(), String> {
    if number == Some(0) { Err(format!("`{name}` counts from 1")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_too_large_is_not_passed_on() {
        let check = |operation: FileOperation, expected: Result<(), &str>| {
            assert_eq!(operation.check(), expected.map_err(str::to_owned), "{:.60}", format!("{operation:?}"));
        };
        let write = |bytes: usize| FileOperation::Write { path: "a".to_owned(), content: "x".repeat(bytes) };
        check(write(CONTENT_BYTES), Ok(()));
        check(write(CONTENT_BYTES + 1), Err("`content` has 1048577 bytes, and 1048576 at most are taken"));
        check(
            FileOperation::Delete { path: "a/".repeat(2048) },
            Err("`path` has 4096 bytes, and 4095 at most are taken"),
        );
        let read = |offset| FileOperation::Read { path: "a".to_owned(), offset, limit: None };
        check(read(Some(0)), Err("`offset` counts from 1"));
        check(read(Some(1)), Ok(()));
        check(FileOperation::List { path: ".".to_owned(), depth: Some(0) }, Err("`depth` counts from 1"));
        let edit = |old: &str| FileOperation::Edit {
            path: "a".to_owned(),
            old: old.to_owned(),
            new: "x".to_owned(),
            replace_all: true,
        };
        check(edit("x"), Err("`old` and `new` are the same"));
        check(edit(""), Err("`old` is empty; `write_file` makes a new file"));
    }

    #[test]
    fn the_model_is_told_of_its_own_limits_and_the_server_of_the_rest() {
        let of = |reason, end| {
            let exit = Exit { reason, end, discarded: 0, wall: Duration::from_millis(2340) };
            FileReply::of(&exit, r#"{"text":"there","is_error":false}"#, "words").map_err(|error| error.to_string())
        };
        let told = |text: &str, is_error| Ok(FileReply { text: text.to_owned(), is_error });
        assert_eq!(of(Reason::Exited, End::Code(0)), told("there", false));
        let late = "the operation was ended after 2.3 s; ask for less at once";
        assert_eq!(of(Reason::TimedOut, End::Signal(9)), told(late, true));
        assert_eq!(
            of(Reason::Exited, End::Code(101)),
            Err("a file operation ended with Exited, Code(101): words".to_owned())
        );
        assert_eq!(of(Reason::Failed("no room".to_owned()), End::Unknown), Err("no room".to_owned()));
    }
}
