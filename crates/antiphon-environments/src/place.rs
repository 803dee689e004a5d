//! Where environments are on the disk: a folder for each, which has
//!
//! * `workspace`: what programs see;
//! * `staged`: files on their way in;
//! * `fetched`: a repository on its way in;
//! * `committed`: files that are in, and are only not moved yet;
//! * `resting.tar.gz`: the workspace while nobody uses it, and the states between the two (`resting`).

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use antiphon_sandbox::folder;
use antiphon_wire::EnvironmentId;
use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::failure::{Failure, Outcome};

/// The folder of what is known of them, and that of their homes, which is there once there is one.
/// One server has each at a time: another would remove what it does not know of.
#[derive(Debug)]
pub(crate) struct Place {
    folder: PathBuf,
    homes: PathBuf,
    // Held as long as this lives, as the next.
    _lock: File,
    homes_lock: Mutex<Option<File>>,
}

/// The folder of one.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    folder: PathBuf,
}

impl Place {
    pub(crate) fn open(folder: &Path, homes: PathBuf) -> Outcome<Self> {
        let folder = safe(folder)?;
        let lock = lock(&folder, ".lock")?;
        let place = Self { folder, homes, _lock: lock, homes_lock: Mutex::default() };
        if place.homes.is_dir() {
            place.claim_homes()?;
        }
        Ok(place)
    }

    fn claim_homes(&self) -> Outcome<()> {
        let mut claimed = self.homes_lock.lock().unwrap_or_else(PoisonError::into_inner);
        if claimed.is_none() {
            *claimed = Some(lock(&safe(&self.homes)?, ".homes-lock")?);
        }
        Ok(())
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.join("environments.sqlite")
    }

    pub(crate) fn home(&self, id: &EnvironmentId) -> Home {
        Home { folder: self.homes.join(id.as_str()) }
    }

    /// Makes the folder of an environment, with an empty workspace.
    pub(crate) fn make(&self, home: &Home) -> Outcome<()> {
        self.claim_homes()?;
        DirBuilder::new().mode(passed_mode()).create(&home.folder)?;
        Ok(DirBuilder::new().mode(0o700).create(home.workspace())?)
    }

    /// The environments that there are folders of, whoever they belong to.
    pub(crate) fn ids(&self) -> Outcome<Vec<EnvironmentId>> {
        let mut ids = Vec::new();
        let entries = match fs::read_dir(&self.homes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ids),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                ids.extend(entry.file_name().to_str().and_then(EnvironmentId::parse).filter(EnvironmentId::is_ours));
            }
        }
        Ok(ids)
    }

    /// From now on, what was added and removed here stays so.
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::open(&self.homes)?.sync_all()
    }
}

impl Home {
    pub(crate) fn workspace(&self) -> PathBuf {
        self.folder.join("workspace")
    }

    pub(crate) fn staged(&self) -> PathBuf {
        self.folder.join("staged")
    }

    pub(crate) fn fetched(&self) -> PathBuf {
        self.folder.join("fetched")
    }

    pub(crate) fn committed(&self) -> PathBuf {
        self.folder.join("committed")
    }

    /// What the workspace is while it rests.
    pub(crate) fn archive(&self) -> PathBuf {
        self.folder.join("resting.tar.gz")
    }

    /// An archive that is being written.
    pub(crate) fn unfinished(&self) -> PathBuf {
        self.folder.join("resting.unfinished")
    }

    /// A workspace that is being brought back.
    pub(crate) fn waking(&self) -> PathBuf {
        self.folder.join("waking")
    }

    /// A workspace that an archive has replaced.
    pub(crate) fn discarded(&self) -> PathBuf {
        self.folder.join("discarded")
    }

    /// From now on, what was added, renamed and removed here stays so.
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    /// Removes all of it, whatever programs made of it. Nobody may be working in it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        remove(&self.folder)
    }
}

/// Takes a lock that goes with the process.
fn lock(folder: &Path, name: &str) -> Outcome<File> {
    let lock = File::options().create(true).truncate(false).write(true).open(folder.join(name))?;
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| Failure::broken(format!("another server has the environments in `{}`", folder.display())))?;
    Ok(lock)
}

/// Makes a folder if it is not there; nobody else can write in it.
fn safe(folder: &Path) -> Outcome<PathBuf> {
    DirBuilder::new().recursive(true).mode(passed_mode()).create(folder)?;
    let folder = fs::canonicalize(folder)?;
    let about = fs::metadata(&folder)?;
    if about.uid() == rustix::process::geteuid().as_raw() && about.mode() & 0o022 == 0 {
        return Ok(folder);
    }
    Err(Failure::broken(format!("`{}` can be written by others: workspaces are not safe there", folder.display())))
}

/// Removes a folder that programs may have filled; one that is not there is removed already.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        opened => {
            folder::empty(opened?)?;
            fs::remove_dir(path)
        }
    }
}

/// Waits until no program works in a workspace: each has it locked (`antiphon-sandbox`).
pub(crate) fn wait_for_programs(workspace: &Path) -> io::Result<()> {
    Ok(rustix::fs::flock(open(workspace)?, FlockOperation::LockExclusive)?)
}

/// Opens a folder that is one, and no link to one.
pub(crate) fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Programs under other uids have to pass to what is theirs; they cannot list it.
fn passed_mode() -> u32 {
    if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 }
}
