//! An operation on files, carried out by a process that may do no more than a program in its place could.
//!
//! Paths are resolved below the workspace and through no link at all, so that nothing depends on the walls alone.

mod below;
mod changing;
mod listing;
mod reading;
mod searching;
mod walk;

use std::io::Write as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::operation::{FileOperation, FileReply};
use crate::order::Room;

use below::Below;

/// Bytes of a reply's text.
const TEXT_BYTES: usize = 256 << 10;

/// Carries it out in the current folder, and writes the reply as JSON to standard output.
pub(super) fn perform(operation: &FileOperation, workspace: &Path, room: Room) -> u8 {
    let reply = match carry_out(operation, workspace, room) {
        Ok(text) => FileReply { text, is_error: false },
        Err(why) => FileReply::failed(why),
    };
    let mut output = std::io::stdout().lock();
    let written = serde_json::to_vec(&reply).map_err(std::io::Error::from);
    match written.and_then(|bytes| output.write_all(&bytes)).and_then(|()| output.flush()) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

fn carry_out(operation: &FileOperation, workspace: &Path, room: Room) -> Result<String, String> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::open(".", flags, Mode::empty())
        .map_err(|error| format!("the workspace cannot be opened: {error}"))?;
    let below = |path: &str| Below::read(path, workspace);
    let folder = |path: &Option<String>| Below::read(path.as_deref().unwrap_or("."), workspace);
    match operation {
        FileOperation::Read { path, offset, limit } => reading::read(&top, &below(path)?, *offset, *limit),
        FileOperation::Write { path, content } => changing::write(&top, &below(path)?, content, room),
        FileOperation::Edit { path, old, new, replace_all } => {
            changing::edit(&top, &below(path)?, changing::Change { old, new, replace_all: *replace_all }, room)
        }
        FileOperation::Delete { path } => changing::delete(&top, &below(path)?),
        FileOperation::List { path, depth } => listing::list(&top, &below(path)?, depth.unwrap_or(1)),
        FileOperation::Find { pattern, path } => listing::find(&top, &folder(path)?, pattern),
        FileOperation::Grep { pattern, path, glob } => searching::grep(&top, &folder(path)?, pattern, glob.as_deref()),
    }
}
