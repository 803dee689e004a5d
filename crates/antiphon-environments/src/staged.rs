//! Files on their way into a workspace: all of them or none, also when the process dies.
//!
//! They are written beside the workspace, made durable, and committed by one renaming. Only then
//! are they moved in, which an interrupted server goes on with at its next start. A folder that
//! was made elsewhere comes in as it is: what is in it is not looked at here.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use antiphon_sandbox::folder;
use antiphon_wire::{Code, Error, WorkspacePath};
use rustix::fs::{CWD, FileType, RenameFlags};
use rustix::io::Errno;
use tracing::warn;

use crate::EnvironmentLimits;
use crate::failure::{Failure, Outcome};
use crate::fault::{FaultPoint, Faults};
use crate::inside::{Inside, Walk, kind_of};
use crate::place::{self, Home};

const FOLDER_MODE: u32 = 0o755;

/// Where files are written that nobody else sees yet.
pub(crate) struct Stage {
    folder: PathBuf,
    limits: EnvironmentLimits,
    faults: Faults,
    bytes: u64,
    entries: u64,
    /// Folders that were not made here, but placed with all that is in them.
    adopted: Vec<WorkspacePath>,
}

impl Stage {
    /// Beside a workspace, which must be leased.
    pub(crate) fn begin(home: &Home, limits: EnvironmentLimits, faults: Faults) -> Outcome<Self> {
        recover(home)?;
        let folder = home.staged();
        DirBuilder::new().mode(0o700).create(&folder)?;
        let mut stage = Self::at(folder, limits);
        stage.faults = faults;
        Ok(stage)
    }

    /// In an empty folder.
    pub(crate) fn at(folder: PathBuf, limits: EnvironmentLimits) -> Self {
        Self { folder, limits, faults: Faults::default(), bytes: 0, entries: 0, adopted: Vec::new() }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes, and files and folders, that a workspace may have besides what is here.
    pub(crate) fn room(&self) -> (u64, u64) {
        (self.limits.bytes.saturating_sub(self.bytes), self.limits.entries.saturating_sub(self.entries))
    }

    /// Makes a folder and those above it.
    ///
    /// # Errors
    /// `invalid_request` when a file is there, or what was adopted.
    pub(crate) fn folder(&mut self, path: &WorkspacePath) -> Outcome<()> {
        // What is in it may be a link to anywhere.
        if self.adopted.iter().any(|whole| path.as_path().starts_with(whole.as_path())) {
            return Err(in_the_way(path));
        }
        let mut place = self.folder.clone();
        for name in path.as_path() {
            place.push(name);
            match DirBuilder::new().mode(0o700).create(&place) {
                Ok(()) => {
                    self.count()?;
                    fs::set_permissions(&place, Permissions::from_mode(FOLDER_MODE))?;
                }
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
                Err(_) if place.is_dir() => {}
                Err(_) => return Err(in_the_way(path)),
            }
        }
        Ok(())
    }

    /// Places a folder as it is, with all that programs left in it, and makes the folders above it.
    /// No program may be working in it any more.
    ///
    /// # Errors
    /// `invalid_request` when something is there; `content_too_large` for more than fits.
    pub(crate) fn adopt(&mut self, path: &WorkspacePath, whole: &Path) -> Outcome<()> {
        if let Some((above, _)) = path.as_str().rsplit_once('/') {
            self.folder(&WorkspacePath::parse(above).map_err(Failure::broken)?)?;
        }
        self.count()?;
        let (bytes, entries) = self.room();
        let Some(size) = folder::measure(place::open(whole)?, bytes, entries)? else {
            let EnvironmentLimits { bytes, entries, .. } = self.limits;
            let message = format!("`{path}`: a workspace may have {bytes} bytes, and {entries} files and folders");
            return Err(Error::new(Code::ContentTooLarge, message).into());
        };
        let place = self.folder.join(path.as_path());
        match rustix::fs::renameat_with(CWD, whole, CWD, &place, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => return Err(in_the_way(path)),
            renamed => renamed?,
        }
        self.bytes = self.bytes.saturating_add(size.bytes);
        self.entries = self.entries.saturating_add(size.entries);
        self.adopted.push(path.clone());
        Ok(())
    }

    /// Whether everything here can be visited where it will be: how deep a folder is, and how long its
    /// path, counts from the top of the workspace.
    pub(crate) fn is_whole(&self) -> Outcome<bool> {
        let mut walk = Walk::below(place::open(&self.folder)?, Path::new(""))?;
        while walk.next()?.is_some() {}
        Ok(walk.check_whole().is_ok())
    }

    /// Writes a file, and makes the folders above it. One that is there is replaced.
    ///
    /// # Errors
    /// `invalid_request` when a folder is there; `content_too_large` for more than fits.
    pub(crate) fn file(&mut self, path: &WorkspacePath, mode: u32, content: impl Read) -> Outcome<()> {
        if let Some((above, _)) = path.as_str().rsplit_once('/') {
            self.folder(&WorkspacePath::parse(above).map_err(Failure::broken)?)?;
        }
        let place = self.folder.join(path.as_path());
        if place.is_dir() {
            return Err(in_the_way(path));
        }
        self.count()?;
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&place)?;
        let left = self.limits.bytes.saturating_sub(self.bytes);
        let written = io::copy(&mut content.take(left.saturating_add(1)), &mut file)?;
        self.bytes = self.bytes.saturating_add(written);
        if written > left {
            let message = format!("`{path}`: a workspace may have {} bytes", self.limits.bytes);
            return Err(Error::new(Code::ContentTooLarge, message).into());
        }
        file.set_permissions(Permissions::from_mode(mode))?;
        Ok(())
    }

    fn count(&mut self) -> Outcome<()> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            let message = format!("a workspace may have {} files and folders", self.limits.entries);
            return Err(Error::new(Code::ContentTooLarge, message).into());
        }
        Ok(())
    }

    /// Moves everything into the workspace. The answer is what was placed, folders apart.
    ///
    /// # Errors
    /// `failed_precondition` when something is in the way, or does not fit; then the workspace is
    /// as it was.
    pub(crate) fn commit(self, home: &Home, inside: &Inside, overwrite: bool) -> Outcome<Vec<WorkspacePath>> {
        let placed = self.check(inside, overwrite)?;
        let top = place::open(&self.folder)?;
        // What programs own, they own whole: a sandbox hands a workspace over by the owner of its top.
        let owner = rustix::fs::fstat(inside.top())?.st_uid;
        if rustix::process::geteuid().is_root() && owner != 0 {
            folder::hand_over(&top, owner)?;
        }
        self.faults.pass(FaultPoint::Staged);
        // One call rather than one for each file.
        rustix::fs::syncfs(&top)?;
        fs::rename(&self.folder, home.committed())?;
        home.sync()?;
        self.faults.pass(FaultPoint::Committed);
        merge(home, inside, &self.faults)?;
        self.faults.pass(FaultPoint::Placed);
        Ok(placed)
    }

    /// What [`Stage::commit`] would place now.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn check(&self, inside: &Inside, overwrite: bool) -> Outcome<Vec<WorkspacePath>> {
        let mut placed = Vec::new();
        let mut walk = Walk::below(place::open(&self.folder)?, Path::new(""))?;
        while let Some(entry) = walk.next()? {
            let path = path_of(&entry.path)?;
            let is_folder = entry.kind() == FileType::Directory;
            if self.adopted.contains(&path) {
                if inside.look(&path)?.is_some() {
                    return Err(Failure::state(&path, "it is there already, and a repository replaces nothing"));
                }
                walk.skip();
                placed.push(path);
                continue;
            }
            match inside.look(&path)?.map(|about| kind_of(&about)) {
                None => {}
                Some(FileType::Directory) if is_folder => {}
                Some(FileType::Directory) => return Err(Failure::state(&path, "a folder is there")),
                Some(_) if is_folder => {
                    return Err(Failure::state(&path, "expected a folder; something else is there"));
                }
                Some(_) if overwrite => {}
                Some(_) => {
                    return Err(Failure::state(&path, "it is there already; expected `overwrite=true` to replace it"));
                }
            }
            if !is_folder {
                placed.push(path);
            }
        }
        let EnvironmentLimits { bytes, entries, .. } = self.limits;
        let room = (bytes.checked_sub(self.bytes), entries.checked_sub(self.entries));
        let fits = match room {
            (Some(bytes), Some(entries)) => folder::measure(inside.top(), bytes, entries)?.is_some(),
            (None, _) | (_, None) => false,
        };
        if !fits {
            let why = format!("it would have more than {bytes} bytes or {entries} files and folders");
            return Err(Failure::Refused(Error::precondition(format!("the workspace is full: {why}"))));
        }
        Ok(placed)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Committed, or in a new workspace that goes away whole.
        if self.folder.file_name().is_some_and(|name| name == "staged")
            && let Err(error) = place::remove(&self.folder)
        {
            warn!(%error, "Files that did not come in cannot be removed yet");
        }
    }
}

/// Brings in what was committed, and drops what was not. Nobody else may be working in it.
pub(crate) fn recover(home: &Home) -> Outcome<()> {
    place::remove(&home.staged())?;
    place::remove(&home.fetched())?;
    if !home.committed().is_dir() {
        return Ok(());
    }
    match merge(home, &Inside::open(&home.workspace())?, &Faults::default()) {
        // Programs were there since it could not be finished.
        Err(Failure::Refused(_)) => Ok(place::remove(&home.committed())?),
        merged => merged,
    }
}

/// Moves what was committed. It may be done again where it was interrupted: what has been moved
/// is not there any more.
fn merge(home: &Home, inside: &Inside, faults: &Faults) -> Outcome<()> {
    let from = home.committed();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let here = place::open(&from.join(&folder))?;
        let there = inside.folder(&path_of(&folder)?)?;
        for entry in fs::read_dir(from.join(&folder))? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.as_bytes();
            match rustix::fs::renameat_with(&here, name, &there, name, RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) if entry.file_type()?.is_dir() => folders.push(folder.join(entry.file_name())),
                Err(Errno::EXIST) => rustix::fs::renameat(&here, name, &there, name)?,
                moved => moved?,
            }
            faults.pass(FaultPoint::Moved);
        }
    }
    Ok(place::remove(&from)?)
}

pub(crate) fn path_of(path: &Path) -> Outcome<WorkspacePath> {
    WorkspacePath::parse(&path.to_string_lossy()).map_err(Failure::broken)
}

fn in_the_way(path: &WorkspacePath) -> Failure {
    Error::invalid(path.as_str(), "it would have to be a file and a folder").into()
}
