//! What a run leaves: how it ended, and what it wrote.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Dir, FileType, Mode, OFlags};

use crate::folder;
use crate::picture::{Picture, PictureKind};
use crate::running::{End, Exit, Reason};
use crate::workspace::{self, Fresh};

/// How deep, and among how many entries, files are looked for.
const DEPTH: usize = 16;
const ENTRIES: usize = 100_000;

/// A run that is over. Dropping it deletes a fresh workspace.
#[derive(Debug)]
pub struct Finished {
    exit: Exit,
    place: Place,
    /// When the program was started, in the clock of its files; none if it was not.
    started: Option<(i64, u32)>,
    /// What was put there for it, at the latest in that very tick of the clock.
    placed: Vec<PathBuf>,
}

#[derive(Debug)]
pub(crate) enum Place {
    Fresh(Fresh),
    Given(PathBuf),
    Nowhere,
}

/// The pictures that were taken, in the order in which they were last written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pictures {
    pub taken: Vec<Picture>,
    /// Pictures beyond the bounds.
    pub left: usize,
}

impl Finished {
    pub(crate) fn new(exit: Exit, place: Place, started: Option<(i64, u32)>, placed: Vec<PathBuf>) -> Self {
        Self { exit, place, started, placed }
    }

    /// For a warden that ended without a word.
    pub(crate) fn lost() -> Self {
        let reason = Reason::Failed("the sandbox's own thread has ended".to_owned());
        let exit = Exit { reason, end: End::Unknown, discarded: 0, wall: Duration::ZERO };
        Self { exit, place: Place::Nowhere, started: None, placed: Vec::new() }
    }

    pub fn exit(&self) -> &Exit {
        &self.exit
    }

    /// Pictures that the program wrote or changed in its workspace: at most so many, with so many bytes in all.
    ///
    /// Regular files alone, through no link, not below hidden folders, and 16 folders deep. It reads files, so call
    /// it where that may block.
    pub fn pictures(&self, max_count: usize, max_bytes: u64) -> Pictures {
        let (Some(path), Some(started)) = (self.workspace(), self.started) else { return Pictures::default() };
        let Ok(top) = workspace::open(path) else { return Pictures::default() };
        let mut candidates = written_since(&top, started, &self.placed);
        candidates.sort();
        let mut pictures = Pictures::default();
        let mut bytes_left = max_bytes;
        for Candidate { path, .. } in candidates {
            let Some((mut file, length)) = open_regular(&top, &path) else { continue };
            let mut bytes = Vec::new();
            if file.by_ref().take(PictureKind::HEAD as u64).read_to_end(&mut bytes).is_err() {
                continue;
            }
            let Some(kind) = PictureKind::of(&bytes) else { continue };
            if pictures.taken.len() >= max_count || length > bytes_left {
                pictures.left += 1;
                continue;
            }
            let rest = length.saturating_sub(bytes.len() as u64);
            if file.take(rest).read_to_end(&mut bytes).is_ok() {
                bytes_left -= length.min(bytes.len() as u64);
                pictures.taken.push(Picture { path, kind, bytes });
            }
        }
        pictures
    }

    fn workspace(&self) -> Option<&Path> {
        match &self.place {
            Place::Fresh(fresh) => Some(fresh.path()),
            Place::Given(path) => Some(path),
            Place::Nowhere => None,
        }
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    changed: (i64, u32),
    path: PathBuf,
}

/// Regular files whose last change is later. A file's change time cannot be set by its owner.
fn written_since(top: &OwnedFd, started: (i64, u32), placed: &[PathBuf]) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut seen = 0;
    let mut open = vec![PathBuf::new()];
    while let Some(path) = open.pop() {
        let Some(entries) = open_folder(top, &path).and_then(|folder| Dir::read_from(folder).ok()) else { continue };
        for entry in entries.flatten() {
            seen += 1;
            if seen > ENTRIES {
                return found;
            }
            if entry.file_name().to_bytes().starts_with(b".") {
                continue;
            }
            let path = path.join(OsStr::from_bytes(entry.file_name().to_bytes()));
            let Some(about) = about(top, &path) else { continue };
            let changed = (about.st_ctime, u32::try_from(about.st_ctime_nsec).unwrap_or(0));
            match FileType::from_raw_mode(about.st_mode) {
                FileType::Directory if path.components().count() < DEPTH => open.push(path),
                FileType::RegularFile if changed > started || changed == started && !placed.contains(&path) => {
                    found.push(Candidate { changed, path })
                }
                // Links lead elsewhere, and the rest is no file.
                _ => {}
            }
        }
    }
    found
}

fn about(top: &OwnedFd, path: &Path) -> Option<rustix::fs::Stat> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = rustix::fs::openat2(top, text(path)?, flags, Mode::empty(), folder::BENEATH).ok()?;
    rustix::fs::fstat(place).ok()
}

fn open_folder(top: &OwnedFd, path: &Path) -> Option<OwnedFd> {
    if path.as_os_str().is_empty() {
        top.as_fd().try_clone_to_owned().ok()
    } else {
        folder::open_below(top, &text(path)?).ok()
    }
}

/// A file to read, and its length. A queue that has taken its place does not hold the reader up.
fn open_regular(top: &OwnedFd, path: &Path) -> Option<(File, u64)> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat2(top, text(path)?, flags, Mode::empty(), folder::BENEATH).ok()?);
    let about = file.metadata().ok()?;
    about.is_file().then_some((file, about.len()))
}

fn text(path: &Path) -> Option<CString> {
    CString::new(path.as_os_str().as_bytes()).ok()
}
