//! A workspace as the server sees it. Programs ran there, and may be running: nothing in it is
//! followed, waited for or believed. Every path is resolved by the kernel below the workspace and
//! through no link, and what is opened is looked at once more.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use antiphon_sandbox::folder::BENEATH;
use antiphon_wire::WorkspacePath;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Statx, StatxFlags};
use rustix::io::Errno;

use crate::failure::{Failure, Outcome};
use crate::place;
use crate::rows::Contents;

/// Folders inside one another that are looked into; a sandbox counts deeper ones as too much.
const DEPTH: usize = 128;
/// The longest path that the kernel takes, and room for what is before it.
const LONGEST_PATH: usize = 4000;
/// A name may change under the kernel's hands; it then asks to be asked again.
const TRIES: usize = 16;

/// An opened workspace.
#[derive(Debug)]
pub(crate) struct Inside {
    top: OwnedFd,
}

impl Inside {
    pub(crate) fn open(workspace: &Path) -> io::Result<Self> {
        let top = match place::open(workspace) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                // Its program has closed it. Where it is belongs to the server alone, so this is no link.
                rustix::fs::chmod(workspace, Mode::RWXU)?;
                place::open(workspace)?
            }
            opened => opened?,
        };
        Ok(Self { top })
    }

    pub(crate) fn top(&self) -> &OwnedFd {
        &self.top
    }

    /// What is at a path, be it a link; none when there is nothing, or no way through folders.
    pub(crate) fn look(&self, path: &WorkspacePath) -> Outcome<Option<Statx>> {
        match below(&self.top, &name_of(path), OFlags::PATH) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(unreadable(path, error)),
            Ok(place) => Ok(Some(about(place, c"", AtFlags::EMPTY_PATH)?)),
        }
    }

    /// Opens a regular file.
    ///
    /// # Errors
    /// `not_found`; `failed_precondition` for what is none.
    pub(crate) fn file(&self, path: &WorkspacePath) -> Outcome<(File, Statx)> {
        let found = self.look(path)?.ok_or_else(|| Failure::no_file(path))?;
        match kind_of(&found) {
            FileType::RegularFile => {}
            FileType::Directory => return Err(Failure::state(path, "it is a folder, and has no content of its own")),
            FileType::Symlink => return Err(Failure::state(path, "it is a link, which is not followed")),
            _ => return Err(Failure::state(path, "it is no regular file")),
        }
        match regular(&self.top, &name_of(path)) {
            Ok(Some(opened)) => Ok(opened),
            // It was another thing a moment ago.
            Ok(None) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Err(Failure::no_file(path)),
            Err(error) => Err(unreadable(path, error)),
        }
    }

    /// Opens a folder.
    ///
    /// # Errors
    /// `not_found`.
    pub(crate) fn folder(&self, path: &WorkspacePath) -> Outcome<OwnedFd> {
        match below(&self.top, &name_of(path), OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Err(Failure::no_file(path)),
            opened => opened.map_err(|error| unreadable(path, error)),
        }
    }

    /// Visits what is below a folder of the workspace.
    pub(crate) fn walk(&self, path: &WorkspacePath) -> Outcome<Walk> {
        Walk::below(self.folder(path)?, path.as_path())
    }

    /// How much there is, as far as it can be seen.
    pub(crate) fn contents(&self) -> Outcome<Contents> {
        let mut contents = Contents::default();
        antiphon_sandbox::folder::visit(&self.top, |_, _, about| {
            if FileType::from_raw_mode(about.st_mode) == FileType::RegularFile {
                contents.files += 1;
                contents.bytes = contents.bytes.saturating_add(u64::try_from(about.st_size).unwrap_or(0));
            }
            true
        })?;
        Ok(contents)
    }
}

fn unreadable(path: &WorkspacePath, error: Errno) -> Failure {
    match error {
        Errno::ACCESS | Errno::PERM => Failure::state(path, "its program does not let it be read"),
        Errno::NAMETOOLONG => Failure::no_file(path),
        error => error.into(),
    }
}

fn name_of(path: &WorkspacePath) -> CString {
    let name = if path.is_top() { "." } else { path.as_str() };
    // A path has no control characters.
    CString::new(name).unwrap_or_default()
}

pub(crate) fn kind_of(about: &Statx) -> FileType {
    FileType::from_raw_mode(about.stx_mode.into())
}

fn about(folder: impl AsFd, name: &CStr, flags: AtFlags) -> rustix::io::Result<Statx> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    rustix::fs::statx(folder, name, flags | AtFlags::SYMLINK_NOFOLLOW, wanted)
}

/// Opens what is below a folder, through no link, and without waiting for anybody.
fn below(folder: impl AsFd, name: &CStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    // What is only looked at is not waited for, and the kernel refuses to be told so.
    let waiting = if flags.contains(OFlags::PATH) { OFlags::empty() } else { OFlags::NONBLOCK | OFlags::NOCTTY };
    let flags = flags | waiting | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut last = Errno::AGAIN;
    for _ in 0..TRIES {
        match rustix::fs::openat2(&folder, name, flags, Mode::empty(), BENEATH) {
            Err(error @ (Errno::AGAIN | Errno::INTR)) => last = error,
            result => return result,
        }
    }
    Err(last)
}

/// Opens a file for reading; none when it is no regular one.
fn regular(folder: impl AsFd, name: &CStr) -> rustix::io::Result<Option<(File, Statx)>> {
    let opened = below(folder, name, OFlags::RDONLY)?;
    let about = about(&opened, c"", AtFlags::EMPTY_PATH)?;
    Ok((kind_of(&about) == FileType::RegularFile).then(|| (File::from(opened), about)))
}

/// Everything below a folder, each folder before what is in it, in the order of their names.
#[derive(Debug)]
pub(crate) struct Walk {
    levels: Vec<Level>,
    /// The folder that is entered next.
    next: Option<Entry>,
    is_whole: bool,
}

#[derive(Debug)]
struct Level {
    folder: Rc<OwnedFd>,
    path: PathBuf,
    names: std::vec::IntoIter<CString>,
}

/// What a walk comes by.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// From the workspace on; its names may be of any bytes.
    pub(crate) path: PathBuf,
    pub(crate) about: Statx,
    folder: Rc<OwnedFd>,
    name: CString,
}

impl Walk {
    pub(crate) fn below(folder: OwnedFd, path: &Path) -> Outcome<Self> {
        let mut walk = Self { levels: Vec::new(), next: None, is_whole: true };
        walk.enter(folder, path.to_owned())?;
        Ok(walk)
    }

    fn enter(&mut self, folder: OwnedFd, path: PathBuf) -> Outcome<()> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&folder)? {
            // A folder that changes while it is read shows what it can.
            let Ok(entry) = entry else { break };
            let name = entry.file_name();
            if name != c"." && name != c".." {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        self.levels.push(Level { folder: Rc::new(folder), path, names: names.into_iter() });
        Ok(())
    }

    /// The next entry. A folder is entered afterwards, unless [`Walk::skip`] is called.
    pub(crate) fn next(&mut self) -> Outcome<Option<Entry>> {
        if let Some(entry) = self.next.take() {
            if self.levels.len() >= DEPTH || entry.path.as_os_str().len() > LONGEST_PATH {
                self.is_whole = false;
            } else {
                match below(&*entry.folder, &entry.name, OFlags::RDONLY | OFlags::DIRECTORY) {
                    Ok(folder) => self.enter(folder, entry.path)?,
                    Err(Errno::ACCESS | Errno::PERM) => self.is_whole = false,
                    // It has vanished, or is none any more.
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        while let Some(level) = self.levels.last_mut() {
            let Some(name) = level.names.next() else {
                self.levels.pop();
                continue;
            };
            let about = match about(&*level.folder, &name, AtFlags::empty()) {
                Err(Errno::NOENT) => continue,
                about => about?,
            };
            let path = level.path.join(OsStr::from_bytes(name.as_bytes()));
            let entry = Entry { path, about, folder: Rc::clone(&level.folder), name };
            self.next = (entry.kind() == FileType::Directory).then(|| entry.clone());
            return Ok(Some(entry));
        }
        Ok(None)
    }

    /// Leaves the folder that came last alone.
    pub(crate) fn skip(&mut self) {
        self.next = None;
    }

    /// # Errors
    /// `failed_precondition` when there was more than could be visited.
    pub(crate) fn check_whole(&self) -> Outcome<()> {
        if self.is_whole {
            return Ok(());
        }
        let why = format!("it holds folders more than {DEPTH} deep, or closed ones");
        Err(Failure::state(&WorkspacePath::default(), why))
    }
}

impl Entry {
    pub(crate) fn kind(&self) -> FileType {
        kind_of(&self.about)
    }

    /// Opens it for reading; none when it has vanished or is no regular file any more.
    pub(crate) fn open(&self) -> Outcome<Option<(File, Statx)>> {
        match regular(&*self.folder, &self.name) {
            Err(Errno::NOENT | Errno::LOOP) => Ok(None),
            Err(Errno::ACCESS | Errno::PERM) => {
                let shown = self.path.display();
                let message = format!("`{shown}`: its program does not let it be read");
                Err(antiphon_wire::Error::precondition(message).into())
            }
            opened => Ok(opened?),
        }
    }

    /// Where a link leads; none when it has vanished or is no link any more.
    pub(crate) fn target(&self) -> Outcome<Option<CString>> {
        match rustix::fs::readlinkat(&*self.folder, &self.name, Vec::new()) {
            Err(Errno::NOENT | Errno::INVAL) => Ok(None),
            target => Ok(Some(target?)),
        }
    }
}
