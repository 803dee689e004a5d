//! What projects keep here: file search stores with their documents, files, and the uploads
//! that bring them.
//!
//! * `stores`: stores and documents, over the corpus of `antiphon-search`; each project has a
//!   file of its own, so nothing of one is in the reach of another's search.
//! * `search`: the passages that answer.
//! * `upload`: bytes that come in pieces, until they are a document, a file, or in an
//!   environment; `session`: the uploads that have begun.
//! * `file`: files, kept for two days; `keeping`: how they come and go; `generated`: those that
//!   models made; `content`: the bytes of all of them, by their hashes, so that equal ones are kept
//!   once; `place`: where these were the last time.
//! * `spool`: bytes of media on their way, out of memory.
//! * `document`: from the bytes of a file to the text that is searched.
//! * `name`: how all of these are called.

mod content;
mod disk;
mod document;
mod file;
mod generated;
mod keeping;
mod name;
mod place;
mod search;
mod session;
mod spool;
mod stores;
mod upload;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon_blobs::Address;
use antiphon_engine::{Ambient, ProjectId};
use antiphon_environments::Environments;
use antiphon_search::{Corpus, CorpusError};
use antiphon_wire::{Code, Error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

pub use antiphon_search::{Filter, FilterError};
pub use generated::Download;
pub use search::{Passage, Search};
pub use spool::Spool;
pub use stores::{Listing, OperationKind};
pub use upload::{Begun, Received, Target, UploadError};

/// How much projects may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// Stores of one project.
    pub stores: usize,
    /// Documents of one store.
    pub documents: u64,
    /// Bytes of the documents of one store, as they were uploaded.
    pub store_bytes: u64,
    /// Bytes of one document or file.
    pub file_bytes: u64,
    /// Files of one project, documents apart.
    pub files: usize,
    /// Bytes of the files of one project.
    pub files_bytes: u64,
    /// Uploads of one project that have begun and not ended.
    pub uploads: usize,
}

impl Default for FileLimits {
    fn default() -> Self {
        Self {
            stores: 100,
            documents: 10_000,
            store_bytes: 1 << 30,
            file_bytes: 100 << 20,
            files: 1000,
            files_bytes: 2 << 30,
            uploads: 64,
        }
    }
}

pub struct FilesOptions {
    /// Where all of it is kept; made when it is not there.
    pub folder: PathBuf,
    /// Where the bytes of files are kept instead.
    pub store: Option<Address>,
    pub limits: FileLimits,
    pub ambient: Arc<dyn Ambient>,
    /// Uploads go there, too.
    pub environments: Environments,
}

/// A handle to everything; its clones are handles to the same.
#[derive(Clone)]
pub struct Files {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    limits: FileLimits,
    ambient: Arc<dyn Ambient>,
    environments: Environments,
    /// The documents of the projects that were asked for last, the latest at the end.
    corpora: Mutex<Vec<(ProjectId, Corpus)>>,
    uploads: session::Uploads,
    contents: content::Contents,
    /// Held while files of a project are added or removed.
    turns: [Mutex<()>; TURNS],
    /// Documents are read a few at a time: each is in memory, and takes a core.
    reading: Arc<Semaphore>,
    /// What goes on when its client has left.
    tasks: TaskTracker,
}

impl Files {
    /// Asks nothing of an object store, which may be slow or away: [`recover`](Self::recover) and
    /// [`sweep`](Self::sweep) do, beside what is served.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub async fn open(options: FilesOptions) -> std::io::Result<Self> {
        let FilesOptions { folder, store, limits, ambient, environments } = options;
        let (place, now, source) = (folder.clone(), ambient.now(), Arc::clone(&ambient));
        let (uploads, contents) = disk::blocking(move || {
            disk::make_folder(&place)?;
            let contents = content::Contents::open(&place, store, limits.file_bytes, &*source)?;
            Ok((session::Uploads::open(place.join("uploads"), now)?, contents))
        })
        .await?;
        let inner = Inner {
            folder,
            limits,
            ambient,
            environments,
            corpora: Mutex::default(),
            uploads,
            contents,
            turns: Default::default(),
            reading: Arc::new(Semaphore::new(READ_AT_ONCE)),
            tasks: TaskTracker::new(),
        };
        let files = Self { inner: Arc::new(inner) };
        files.sweep_uploads().await;
        files.clear_halves().await;
        Ok(files)
    }

    /// Removes the uploads and files whose time is over.
    pub async fn sweep(&self) {
        self.sweep_uploads().await;
        if let Err(error) = self.sweep_files().await {
            warn!(%error, "Files that have expired could not be removed");
        }
    }

    /// Whoever has it is the only one who adds or removes files of the project.
    fn turn_of(&self, project: ProjectId) -> MutexGuard<'_, ()> {
        lock(&self.inner.turns[project.0.rem_euclid(TURNS as i64) as usize])
    }

    /// May read a document until it is dropped. It can go along with work that nobody waits for.
    async fn reading_turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.inner.reading).acquire_owned().await.map_err(|error| unavailable(&error))
    }

    /// The documents of a project.
    async fn corpus(&self, project: ProjectId) -> Result<Corpus, Error> {
        if let Some(corpus) = self.known_corpus(project) {
            return Ok(corpus);
        }
        let file = self.inner.folder.join(format!("documents-{}.sqlite", project.0));
        let opened = Corpus::open(file).await.map_err(|error| unavailable(&error))?.with_rebuilds();
        let mut corpora = lock(&self.inner.corpora);
        corpora.push((project, opened.clone()));
        if corpora.len() > MOST_OPEN {
            corpora.remove(0);
        }
        Ok(opened)
    }

    fn known_corpus(&self, project: ProjectId) -> Option<Corpus> {
        let mut corpora = lock(&self.inner.corpora);
        let at = corpora.iter().position(|(of, _)| *of == project)?;
        let latest = corpora.remove(at);
        let corpus = latest.1.clone();
        corpora.push(latest);
        Some(corpus)
    }
}

/// Projects share turns rather than there being ever more of them.
const TURNS: usize = 16;

/// Documents that are read at one time.
const READ_AT_ONCE: usize = 2;

/// Each open corpus holds some fifteen open files.
const MOST_OPEN: usize = 8;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the disk or the database does not let us do; the cause is for the log alone.
fn unavailable(cause: &dyn std::fmt::Display) -> Error {
    error!(%cause, "Files cannot be read or written");
    Error::new(Code::ServiceUnavailable, "the server cannot read or write its files now; its log has the cause")
}

/// An error of the corpus where `what` is the store or the document that was asked for.
fn corpus_error(error: CorpusError, what: &str) -> Error {
    match error {
        CorpusError::NotFound(_) => Error::not_found(format!("`{what}` not found")),
        CorpusError::Full(why) => Error::precondition(format!("`{what}`: {why}")),
        CorpusError::Exists(_) => Error::precondition(format!("`{what}` is there already")),
        CorpusError::Invalid(why) => Error::invalid("customMetadata", why),
        CorpusError::TooManyChunks { .. } => Error::invalid("chunkingConfig", error.to_string()),
        CorpusError::Unavailable(_) => unavailable(&error),
    }
}
