//! Paths as models write them, and what they lead to.

use std::fmt;
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::{folder, launch};

/// A path of plain names below the workspace; of none at all, the workspace itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Below(PathBuf);

impl Below {
    /// Reads a path that is relative to the workspace, or absolute: below it, or beside it where a link of the view's
    /// leads into it.
    pub(super) fn read(text: &str, workspace: &Path) -> Result<Self, String> {
        if text.chars().any(char::is_control) {
            return Err("a path holds no control characters".to_owned());
        }
        let outside = || {
            let text: String = text.chars().take(200).collect();
            format!("`{text}` is not in the workspace `{}`; paths are relative to it", workspace.display())
        };
        let path = Path::new(text);
        let mut plain = PathBuf::new();
        for part in path.components() {
            match part {
                Component::Normal(name) => plain.push(name),
                Component::CurDir | Component::RootDir => {}
                // No link is passed, so that the folder above is the one whose name is before.
                Component::ParentDir if plain.pop() => {}
                Component::ParentDir | Component::Prefix(_) => return Err(outside()),
            }
        }
        if !path.is_absolute() {
            return Ok(Self(plain));
        }
        if let Ok(below) = Path::new("/").join(&plain).strip_prefix(workspace) {
            return Ok(Self(below.to_owned()));
        }
        let is_beside = plain.components().next().is_some_and(|name| {
            let kept = workspace.join(launch::ROOT).join(name);
            fs::read_link(Path::new("/").join(name)).is_ok_and(|target| target == kept)
        });
        if is_beside { Ok(Self(Path::new(launch::ROOT).join(plain))) } else { Err(outside()) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn is_workspace(&self) -> bool {
        self.0.as_os_str().is_empty()
    }
}

impl fmt::Display for Below {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.is_workspace() { Path::new(".") } else { &self.0 };
        write!(formatter, "`{}`", path.display())
    }
}

/// To read a file. Whoever is at the other end of a queue in its place is not waited for.
pub(super) const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK);

/// Opens what is below a folder, through no link.
pub(super) fn open(folder: impl AsFd, path: impl AsRef<Path>, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = path.as_ref();
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat2(folder, path, flags, Mode::empty(), folder::BENEATH)
}

/// What is there under a name, if anything is.
pub(super) fn look(top: &OwnedFd, below: &Below) -> Result<Option<Stat>, String> {
    match open(top, below.path(), OFlags::PATH).and_then(rustix::fs::fstat) {
        Ok(about) => Ok(Some(about)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(why(error, below)),
    }
}

/// What is there under a name, which has to be of this kind if it is anything.
pub(super) fn look_for(top: &OwnedFd, below: &Below, wanted: FileType) -> Result<Option<Stat>, String> {
    let about = look(top, below)?;
    match about.map(|about| FileType::from_raw_mode(about.st_mode)) {
        Some(FileType::Symlink) => Err(format!("{below} is a link, and links are not followed")),
        Some(other) if other != wanted => Err(format!("{below} is a {}, not a {}", kind(other), kind(wanted))),
        None | Some(_) => Ok(about),
    }
}

/// Opens a file that is there, to read it.
pub(super) fn file(top: &OwnedFd, below: &Below) -> Result<(File, Stat), String> {
    look_for(top, below, FileType::RegularFile)?.ok_or_else(|| why(Errno::NOENT, below))?;
    let file = open(top, below.path(), READ).map_err(|error| why(error, below))?;
    let about = rustix::fs::fstat(&file).map_err(|error| why(error, below))?;
    // Another may have come into its place.
    if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
        return Err(format!("{below} is not a file"));
    }
    Ok((File::from(file), about))
}

pub(super) fn why(error: Errno, below: &Below) -> String {
    match error {
        Errno::NOENT => format!("there is no {below}"),
        Errno::LOOP | Errno::XDEV => format!("{below} is behind a link, and links are not followed"),
        Errno::NOTDIR => format!("{below} would be in what is no folder"),
        Errno::ACCESS | Errno::PERM => format!("{below} is closed: its mode, or that of a folder above it, forbids it"),
        Errno::NAMETOOLONG => format!("{below} has too long a name"),
        error => format!("{below}: {error}"),
    }
}

pub(super) fn kind(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "file",
        FileType::Directory => "folder",
        FileType::Symlink => "link",
        FileType::Fifo => "queue",
        FileType::Socket => "socket",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        FileType::Unknown => "thing of an unknown kind",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<String, String> {
        Below::read(text, Path::new("/workspace")).map(|below| below.path().display().to_string())
    }

    #[test]
    fn paths_are_relative_to_the_workspace() {
        let check = |text: &str, expected: &str| assert_eq!(read(text).as_deref(), Ok(expected), "{text:?}");
        check("a/b.txt", "a/b.txt");
        check("./a//b/", "a/b");
        check("a/../b", "b");
        check("/workspace/a", "a");
        check("/etc/../workspace/a", "a");
        check("/workspace", "");
        check(".", "");
        check("", "");
        check("%2e%2e/a\\b", "%2e%2e/a\\b");
        check("...", "...");
        for text in ["..", "a/../..", "/", "/etc/passwd", "/workspace2/a", "/workspace/../etc", "../workspace/a"] {
            let words = format!("`{text}` is not in the workspace `/workspace`; paths are relative to it");
            assert_eq!(read(text), Err(words));
        }
        for text in ["a\0", "a\nb", "\u{1b}[2J", "\u{85}"] {
            assert_eq!(read(text), Err("a path holds no control characters".to_owned()));
        }
    }

    proptest! {
        #[test]
        fn no_path_leads_out(parts in prop::collection::vec("(\\.\\.|\\.|/|workspace|[a-z]{1,3})", 0..8)) {
            if let Ok(below) = Below::read(&parts.join("/"), Path::new("/workspace")) {
                prop_assert!(below.path().components().all(|part| matches!(part, Component::Normal(_))));
            }
        }
    }
}
