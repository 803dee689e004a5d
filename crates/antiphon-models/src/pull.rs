//! One pull under its lock: where its partial files are, whom it tells, and how it works off the async threads.

use std::{
    fs::{self, File, TryLockError},
    panic,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, disk, error::at};

/// How often a pull that waits for another looks whether that one has ended.
const LOCK_INTERVAL: Duration = Duration::from_millis(200);

/// Whoever watches a pull. All methods are called often and must return at once.
pub trait Progress: Send + Sync {
    /// A measured stretch begins: what is being fetched, and its size where that is known. Ends the one before.
    fn begin(&self, label: &str, total: Option<u64>);
    /// So many more bytes of the stretch are there.
    fn add(&self, bytes: u64);
    /// Something that a person should know: a source that failed, a step that takes time.
    fn note(&self, text: &str);
}

/// Nobody watches.
impl Progress for () {
    fn begin(&self, _label: &str, _total: Option<u64>) {}
    fn add(&self, _bytes: u64) {}
    fn note(&self, _text: &str) {}
}

/// The exclusive right to change one model, until dropped.
#[derive(Clone)]
pub(crate) struct Lock(#[expect(dead_code, reason = "the lock lives as long as this handle is open")] Arc<File>);

impl Lock {
    /// The lock of the model `name` in `library`; `None` while someone else has it.
    pub(crate) fn take(library: &Path, name: &str) -> Result<Option<Self>, Error> {
        let folder = library.join("locks");
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let path = folder.join(name);
        // Never removed: a lock on a file that has lost its name excludes nobody.
        let file = File::create(&path).map_err(at(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(Arc::new(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(at(&path)(error)),
        }
    }
}

/// A pull that holds its model's lock.
pub(crate) struct Pull<'a> {
    pub(crate) name: &'a str,
    pub(crate) progress: &'a dyn Progress,
    folder: PathBuf,
    lock: Lock,
}

impl<'a> Pull<'a> {
    /// Starts when no other pull of the same model is under way.
    pub(crate) async fn start(library: &Path, name: &'a str, progress: &'a dyn Progress) -> Result<Self, Error> {
        let mut waiting = false;
        let lock = loop {
            if let Some(lock) = Lock::take(library, name)? {
                break lock;
            }
            if !waiting {
                progress.note(&format!("`{name}` is being pulled already; waiting for that to end"));
                waiting = true;
            }
            tokio::time::sleep(LOCK_INTERVAL).await;
        };
        let folder = library.join("partial").join(name);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        Ok(Self { name, progress, folder, lock })
    }

    /// A place for a partial result, on the same filesystem as the library.
    pub(crate) fn partial(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Tells the watcher and the log.
    pub(crate) fn tell(&self, text: &str) {
        tracing::info!(model = self.name, "{text}");
        self.progress.note(text);
    }

    /// Runs `work` where it may block. The work holds the lock too: if the pull is dropped meanwhile, no other pull
    /// starts before the work has ended.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let lock = self.lock.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _lock = lock;
            work()
        });
        match task.await {
            Ok(result) => result,
            Err(failed) => match failed.try_into_panic() {
                Ok(payload) => panic::resume_unwind(payload),
                Err(_cancelled) => Err(Error::Stopped),
            },
        }
    }

    /// Everything partial is done with.
    pub(crate) fn clear(&self) -> Result<(), Error> {
        disk::remove(&self.folder)
    }
}

/// A file that one source is filling: `weights`, and beside it a note of how far it is good.
pub(crate) struct Partial {
    folder: PathBuf,
}

impl Partial {
    pub(crate) fn open(folder: PathBuf) -> Result<Self, Error> {
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        Ok(Self { folder })
    }

    /// The bytes so far.
    pub(crate) fn weights(&self) -> PathBuf {
        self.folder.join("weights")
    }

    /// One of several files that are filled together.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("file-{name}"))
    }

    /// An empty folder for what must not outlive one step.
    pub(crate) fn scratch(&self) -> Result<Scratch, Error> {
        let folder = self.folder.join("scratch");
        disk::remove(&folder)?;
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        Ok(Scratch(folder))
    }

    /// Makes sure that there is room for `needed` more bytes.
    pub(crate) fn reserve(&self, needed: u64) -> Result<(), Error> {
        disk::reserve(&self.folder, needed)
    }

    /// How many bytes are there; 0 when nothing is.
    pub(crate) fn len(&self) -> u64 {
        fs::metadata(self.weights()).map_or(0, |file| file.len())
    }

    /// The note that [`Self::keep`] left; `None` when there is none that can be read, which means to start anew.
    pub(crate) fn kept<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&fs::read(self.note()).ok()?).ok()
    }

    /// Leaves a note for the next pull.
    pub(crate) fn keep(&self, note: &impl Serialize) -> Result<(), Error> {
        let path = self.note();
        let text = serde_json::to_vec(note).map_err(|error| at(&path)(error.into()))?;
        disk::write(&path, &text)
    }

    /// Forgets everything; the note first, because it vouches for the bytes.
    pub(crate) fn discard(&self) -> Result<(), Error> {
        disk::remove(&self.note())?;
        disk::remove(&self.weights())
    }

    /// Forgets everything, also those of several files.
    pub(crate) fn clear(&self) -> Result<(), Error> {
        disk::remove(&self.note())?;
        disk::remove(&self.folder)?;
        fs::create_dir_all(&self.folder).map_err(at(&self.folder))
    }

    fn note(&self) -> PathBuf {
        self.folder.join("note.json")
    }
}

/// A folder that goes when this does. What a killed process leaves in it goes when the next pull begins.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = disk::remove(&self.0) {
            tracing::warn!(%error, "Left temporary files behind");
        }
    }
}
