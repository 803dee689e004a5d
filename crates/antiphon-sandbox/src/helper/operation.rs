//! An operation on files, carried out by a process that may do no more than a program in its place could.
//!
//! Paths are resolved below the workspace and through no link at all, so that nothing depends on the walls alone.

mod agents;
mod below;
mod changing;
mod frontmatter;
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
        FileOperation::AgentFiles => {
            serde_json::to_string(&agents::read(&top)).map_err(|error| format!("`.agents` cannot be told: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    use pretty_assertions::assert_eq;
    use rustix::fs::{CWD, RenameFlags};

    use super::*;

    /// What is inside, and a link in its place, change places all the while: here without any walls.
    #[test]
    fn a_folder_that_becomes_a_link_leads_nowhere() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(outside.path().join("folder")).unwrap();
        fs::write(outside.path().join("file"), "of the host").unwrap();
        let (here, there) = (inside.path().join("x"), inside.path().join("y"));
        let top: OwnedFd = File::open(inside.path()).unwrap().into();
        let room = Room { bytes: 1 << 20, entries: 100, file_bytes: 1 << 20 };
        let at = |path: &str| Below::read(path, Path::new("/workspace")).unwrap();
        let change = changing::Change { old: "host", new: "workspace", replace_all: true };
        let is_over = AtomicBool::new(false);
        let mut replies = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    // One of them may have been deleted.
                    let _ = rustix::fs::renameat_with(CWD, &here, CWD, &there, RenameFlags::EXCHANGE);
                }
            });
            for _ in 0..300 {
                // Which of them was deleted is a matter of chance.
                let _ = fs::remove_dir_all(&there);
                let _ = symlink(outside.path(), &there);
                let _ = fs::create_dir(&here);
                replies.extend([
                    changing::write(&top, &at("x/file"), "of the workspace", room),
                    reading::read(&top, &at("x/file"), None, None),
                    changing::edit(&top, &at("x/file"), change, room),
                    searching::grep(&top, &at("x"), "of", None),
                    listing::list(&top, &at("x"), 9),
                    changing::delete(&top, &at("x/file")),
                    changing::delete(&top, &at("x")),
                ]);
            }
            is_over.store(true, Ordering::Relaxed);
        });
        let is_done = |words: &str| replies.iter().any(|reply| reply.as_ref().is_ok_and(|text| text.contains(words)));
        assert!(is_done("of the workspace") && is_done("`x/file` is written") && is_done("with everything in it"));
        assert!(!is_done("of the host") && !is_done("folder/"));
        assert_eq!(fs::read_to_string(outside.path().join("file")).unwrap(), "of the host");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 2);
    }
}
