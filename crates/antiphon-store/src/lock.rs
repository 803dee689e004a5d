//! Only one server serves a data folder.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use antiphon_engine::StoreError;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::unavailable;

/// Held as long as this lives, and let go by the system when the process ends in any
/// way. Opening the database does not need it: the command line works beside a server.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

impl DataLock {
    /// Takes the lock of a data folder, which must exist.
    ///
    /// # Errors
    /// `Unavailable` when another process serves it; the text names that process.
    pub fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("serve.lock");
        let failed = |error: &dyn std::fmt::Display| {
            StoreError::from(unavailable(&format!("the lock `{}` cannot be taken", path.display()), error))
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| failed(&error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                let read = (&mut file).take(20).read_to_string(&mut holder);
                let holder = match (read, holder.trim().parse::<u32>()) {
                    (Ok(_), Ok(pid)) => format!("process {pid}"),
                    (Ok(_) | Err(_), _) => "another process".to_owned(),
                };
                return Err(StoreError::Unavailable(format!(
                    "the data folder `{}` is served by {holder} already; stop it, or choose another folder",
                    dir.display()
                )));
            }
            Err(error) => return Err(failed(&error)),
        }
        file.set_len(0).map_err(|error| failed(&error))?;
        writeln!(file, "{}", std::process::id()).map_err(|error| failed(&error))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_served_once_and_the_holder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let lock = DataLock::take(dir.path()).unwrap();
        let error = DataLock::take(dir.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(lock);
        DataLock::take(dir.path()).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(DataLock::take(&dir.path().join("none")), Err(StoreError::Unavailable(_))));
    }
}
