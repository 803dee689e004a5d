//! The folders that programs work in: new ones, deleted afterwards, and given ones.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::folder;

/// Where one server makes its new workspaces. What an earlier one left is deleted at the start: a lock tells whether
/// its server lives.
#[derive(Debug)]
pub(crate) struct Workspaces {
    folder: PathBuf,
    next: AtomicU64,
    // Both are taken when it is dropped.
    sweeper: Option<(mpsc::Sender<PathBuf>, JoinHandle<()>)>,
    _lock: File,
}

/// A workspace of one run; deleted, by a thread of its own, when this is dropped.
#[derive(Debug)]
pub(crate) struct Fresh {
    path: PathBuf,
    workspaces: Arc<Workspaces>,
}

impl Workspaces {
    pub(crate) fn open(folder: &Path) -> Result<Self, String> {
        let failed = |error: io::Error| format!("workspaces cannot be made in `{}`: {error}", folder.display());
        let is_root = rustix::process::geteuid().is_root();
        // Programs under other uids have to pass to what is theirs; they cannot list it.
        let mode = if is_root { 0o711 } else { 0o700 };
        DirBuilder::new().recursive(true).mode(mode).create(folder).map_err(failed)?;
        let folder = &fs::canonicalize(folder).map_err(failed)?;
        let about = fs::metadata(folder).map_err(failed)?;
        if about.uid() != rustix::process::geteuid().as_raw() || about.mode() & 0o022 != 0 {
            return Err(format!("`{}` can be written by others: workspaces are not safe there", folder.display()));
        }
        if is_root {
            passable(folder)?;
        }

        let lock = |path: &Path| File::options().create(true).truncate(false).write(true).open(path);
        let all = lock(&folder.join(".lock")).map_err(failed)?;
        rustix::fs::flock(&all, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        let left = left(folder);
        let (own, own_lock) = (0_u32..)
            .find_map(|number| {
                let path = folder.join(format!("server-{}-{number}", std::process::id()));
                match DirBuilder::new().mode(mode).create(&path) {
                    Ok(()) => Some(lock(&path.join(".lock")).map(|file| (path, file))),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
                    Err(error) => Some(Err(error)),
                }
            })
            .ok_or("no name is free")?
            .map_err(failed)?;
        rustix::fs::flock(&own_lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| failed(error.into()))?;

        let (sweeper, paths) = mpsc::channel::<PathBuf>();
        let thread = thread::Builder::new().name("sandbox-sweeper".to_owned()).spawn(move || {
            for path in paths {
                if let Err(error) = delete(&path) {
                    tracing::warn!(path = %path.display(), %error, "a workspace cannot be deleted");
                }
            }
        });
        let thread = thread.map_err(failed)?;
        for (number, path) in left.into_iter().enumerate() {
            // Whoever takes it is alone with it: another server that starts now does not find it any more.
            let taken = own.join(format!("left-{number}"));
            match fs::rename(&path, &taken) {
                Ok(()) => drop(sweeper.send(taken)),
                Err(error) => tracing::warn!(path = %path.display(), %error, "a workspace cannot be deleted"),
            }
        }
        Ok(Self { folder: own, next: AtomicU64::new(0), sweeper: Some((sweeper, thread)), _lock: own_lock })
    }

    /// The server's own, which is deleted with everything in it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A new and empty folder of the server's.
    pub(crate) fn fresh(self: &Arc<Self>) -> io::Result<Fresh> {
        let path = self.folder.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Fresh { path, workspaces: Arc::clone(self) })
    }
}

impl Drop for Workspaces {
    fn drop(&mut self) {
        if let Some((sweeper, thread)) = self.sweeper.take() {
            drop(sweeper);
            // It logs what goes wrong.
            let _ = thread.join();
        }
        let _ = delete(&self.folder);
    }
}

impl Fresh {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some((sweeper, _)) = &self.workspaces.sweeper {
            let _ = sweeper.send(std::mem::take(&mut self.path));
        }
    }
}

/// Opens a folder that is one, and no link to one.
pub(crate) fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Whether users other than root can pass to a folder.
pub(crate) fn passable(folder: &Path) -> Result<(), String> {
    for above in folder.ancestors().skip(1) {
        let mode = fs::metadata(above).map(|about| about.mode()).unwrap_or(0);
        if mode & 0o001 == 0 {
            return Err(format!(
                "a server that is root runs programs as other users, who cannot pass `{}` to reach `{}`",
                above.display(),
                folder.display()
            ));
        }
    }
    Ok(())
}

/// Folders of servers that are gone.
fn left(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let is_left = |path: &PathBuf| {
        let is_server = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"server-"));
        let lock = || File::options().write(true).open(path.join(".lock"));
        is_server
            && match lock() {
                Ok(file) => rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok(),
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            }
    };
    entries.flatten().map(|entry| entry.path()).filter(is_left).collect()
}

fn delete(path: &Path) -> io::Result<()> {
    // Its owner may have closed it.
    rustix::fs::chmod(path, Mode::RWXU)?;
    folder::empty(open(path)?)?;
    fs::remove_dir(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn workspaces_are_deleted_with_what_is_in_them() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let workspaces = Arc::new(Workspaces::open(&folder.path().join("new")).unwrap());
        let fresh = workspaces.fresh().unwrap();
        fs::create_dir(fresh.path().join("a")).unwrap();
        fs::write(fresh.path().join("a/b"), "c").unwrap();
        let path = fresh.path().to_owned();
        assert!(path.exists());
        drop(fresh);
        drop(workspaces);
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1, "the lock");
        assert!(!path.exists());
    }

    #[test]
    fn what_a_dead_server_left_is_deleted_and_what_a_living_one_has_is_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        fs::create_dir_all(folder.path().join("server-1-0/7/deep")).unwrap();
        let living = Arc::new(Workspaces::open(folder.path()).unwrap());
        let fresh = living.fresh().unwrap();
        assert!(!folder.path().join("server-1-0").exists(), "it is the first one's to delete");
        drop(Workspaces::open(folder.path()).unwrap());
        assert!(fresh.path().exists());
        drop(fresh);
        drop(living);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the lock");
    }

    #[test]
    fn a_folder_that_others_can_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(Workspaces::open(folder.path()).is_err_and(|error| error.contains("written by others")));
    }
}
