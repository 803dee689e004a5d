//! A way through a tree that hostile programs made: through no link, in one order, with bounds, one folder open at a
//! time.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, OFlags};
use rustix::io::Errno;

use super::below::{self, Below};

/// Entries that are looked at; a workspace within its limits has fewer.
const ENTRIES: usize = 100_000;

/// What is come by on the way.
pub(super) struct Entry<'a> {
    pub(super) folder: &'a OwnedFd,
    pub(super) name: &'a CStr,
    /// From the workspace on.
    pub(super) path: &'a Path,
    pub(super) kind: FileType,
}

/// What a walk did not come by, though it was on its way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Unseen {
    /// Folders that were closed, or too far down for a path.
    pub(super) folders: usize,
    pub(super) has_more: bool,
}

struct Waiting {
    /// How much of the path now is that of the folder it is in.
    above: usize,
    name: Vec<u8>,
    level: u32,
}

/// Visits what is in a folder, and in its subfolders as deep as is wanted: a folder's entries by their names, and then
/// each of its subfolders in the same way. `false` from the visitor ends it. What `git` keeps in `.git` is passed over.
pub(super) fn walk(
    top: &OwnedFd,
    start: &Below,
    depth: u32,
    mut visit: impl FnMut(&Entry<'_>) -> bool,
) -> Result<Unseen, String> {
    // Only this folder's absence is an error; others may come and go.
    below::look_for(top, start, FileType::Directory)?.ok_or_else(|| below::why(Errno::NOENT, start))?;
    open(top, start.path()).map_err(|error| below::why(error, start))?;
    let mut unseen = Unseen::default();
    let mut entries_left = ENTRIES;
    let mut path = Vec::new();
    let mut waiting = vec![Waiting { above: 0, name: start.path().as_os_str().as_bytes().to_vec(), level: 1 }];
    while let Some(Waiting { above, name, level }) = waiting.pop() {
        go_to(&mut path, above, &name);
        let base = path.len();
        let Ok(folder) = open(top, as_path(&path)) else {
            unseen.folders += 1;
            continue;
        };
        let (entries, is_whole) = sorted(&folder, entries_left);
        entries_left -= entries.len();
        unseen.has_more |= !is_whole;
        let first = waiting.len();
        for (name, kind) in entries {
            go_to(&mut path, base, name.to_bytes());
            if !visit(&Entry { folder: &folder, name: &name, path: as_path(&path), kind }) {
                return Ok(unseen);
            }
            if kind == FileType::Directory && level < depth && name.as_c_str() != c".git" {
                waiting.push(Waiting { above: base, name: name.into_bytes(), level: level + 1 });
            }
        }
        waiting[first..].reverse();
    }
    Ok(unseen)
}

fn go_to(path: &mut Vec<u8>, above: usize, name: &[u8]) {
    path.truncate(above);
    if !path.is_empty() && !name.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn open(top: &OwnedFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    below::open(top, path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// The names in a folder and their kinds, and whether these are all.
fn sorted(folder: &OwnedFd, most: usize) -> (Vec<(CString, FileType)>, bool) {
    let Ok(entries) = Dir::read_from(folder) else { return (Vec::new(), false) };
    let (mut found, mut is_whole) = (Vec::new(), true);
    for entry in entries {
        // Else the folder vanished while it was read.
        is_whole = entry.is_ok() && found.len() < most;
        let Some(entry) = entry.ok().filter(|_| is_whole) else { break };
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_or(FileType::Unknown, |about| FileType::from_raw_mode(about.st_mode)),
            known => known,
        };
        found.push((name.to_owned(), kind));
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    (found, is_whole)
}
