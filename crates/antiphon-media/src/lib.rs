//! Media of requests, for models that do not take them: fetched, looked at, and made into text.
//!
//! * `fetch`: what is behind the address that a request gives.
//! * `family`: what bytes are, whatever they are said to be.
//! * `document`, `picture`, `sound`, `video`: what is read, each in a process of its own that bounds itself.
//! * `open`: pixels and samples, for models that take these.
//! * `source`: the way of bytes to such a process.
//! * `cache`: what was read before.
//!
//! A kind that nothing here can read is refused by name.

mod cache;
mod document;
mod family;
mod fetch;
mod open;
mod picture;
mod sound;
mod source;
mod video;

use std::time::Instant;

use antiphon_documents::Reader;
use antiphon_engine::{Accepted, Derived, Fetched, MediaKind, Medium, Perceiver, ProjectId, Readers, Route, not_taken};
use antiphon_fetch::Fetcher;
use antiphon_files::Files;
use antiphon_sight::Checker;
use antiphon_video::Decoder;
use antiphon_wire::{Code, Error, MediaOptions};
use async_trait::async_trait;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::cache::Cache;
pub use crate::open::Opening;
pub use crate::picture::Eyes;
pub use crate::sound::Ears;
use crate::source::unreadable;

/// What an operator decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SensesOptions {
    /// Whether media are read that a model does not take; else they are refused.
    pub perceives: bool,
    /// Whether addresses may be plain `http`.
    pub http: bool,
}

impl Default for SensesOptions {
    fn default() -> Self {
        Self { perceives: true, http: false }
    }
}

/// What media are read with. What is not installed is none.
#[derive(Clone, Debug)]
pub struct Means {
    pub documents: Reader,
    pub pictures: Checker,
    pub eyes: Option<Eyes>,
    pub ears: Option<Ears>,
    /// What decodes videos.
    pub decoder: Option<Decoder>,
}

/// The [`Perceiver`] of the server.
pub struct Senses {
    options: SensesOptions,
    means: Means,
    fetcher: Fetcher,
    files: Files,
    cache: Cache,
    /// Each that is fetched takes a connection, and disk.
    fetching: Semaphore,
    /// Each medium that is read takes a core, and memory.
    reading: Semaphore,
}

/// Media that are fetched at one time.
const FETCH_AT_ONCE: usize = 4;

/// Media that are read at one time.
const READ_AT_ONCE: usize = 2;

/// Bytes of one medium.
pub const MOST_BYTES: u64 = 100 << 20;

/// So many bytes tell what a medium is.
const TELLING: usize = 4 << 10;

impl Senses {
    /// `fetcher` takes bodies of [`MOST_BYTES`].
    pub fn new(options: SensesOptions, means: Means, fetcher: Fetcher, files: Files) -> Self {
        Self {
            options,
            means,
            fetcher,
            files,
            cache: Cache::default(),
            fetching: Semaphore::new(FETCH_AT_ONCE),
            reading: Semaphore::new(READ_AT_ONCE),
        }
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.reading.acquire().await.map_err(|_| Error::internal())
    }

    /// What looks at images.
    fn eyes(&self) -> Result<&Eyes, Error> {
        self.means.eyes.as_ref().ok_or_else(|| missing(MediaKind::Image, Eyes::READING))
    }

    /// What listens to recordings.
    fn ears(&self) -> Result<&Ears, Error> {
        self.means.ears.as_ref().ok_or_else(|| missing(MediaKind::Audio, Ears::MODEL))
    }

    /// Whether a medium can be read here, and what it is. What takes no longer to read than to
    /// look at is read already.
    async fn perceivable(&self, medium: &Medium, mime_type: String) -> Result<String, Error> {
        let key = medium.key();
        if self.cache.knows(medium.project, &key) {
            return Ok(mime_type);
        }
        match medium.kind {
            MediaKind::Image => {
                self.eyes()?;
                self.decodable(medium, mime_type).await
            }
            MediaKind::Audio => {
                let ears = self.ears()?;
                let _turn = self.turn().await?;
                ears.check(medium).await
            }
            MediaKind::Video => {
                let plan = video::Plan::new(&self.means, &medium.options)?;
                let _turn = self.turn().await?;
                plan.check(medium).await?;
                Ok(mime_type)
            }
            MediaKind::Document => {
                let _turn = self.turn().await?;
                let began = Instant::now();
                let read = document::read(&self.means.documents, medium).await?;
                if read.scanned.is_empty() || self.means.eyes.is_none() {
                    let derived = Derived { seconds: seconds(began), ..read.derived };
                    self.cache.put(medium.project, key, derived);
                }
                Ok(read.mime_type)
            }
        }
    }

    /// Has an image decoded and forgotten; the answer is its type.
    async fn decodable(&self, medium: &Medium, mime_type: String) -> Result<String, Error> {
        let _turn = self.turn().await?;
        picture::decodable(&self.means.pictures, medium, &mime_type).await.map(|()| mime_type)
    }

    async fn read(&self, medium: &Medium) -> Result<Derived, Error> {
        let _turn = self.turn().await?;
        let began = Instant::now();
        let derived = match medium.kind {
            MediaKind::Image => self.eyes()?.look(medium).await?,
            MediaKind::Audio => self.ears()?.listen(medium).await?,
            MediaKind::Video => video::Plan::new(&self.means, &medium.options)?.read(medium).await?,
            MediaKind::Document => {
                let documents = &self.means.documents;
                let read = document::read(documents, medium).await?;
                match &self.means.eyes {
                    Some(eyes) if !read.scanned.is_empty() => document::look(documents, eyes, medium, read).await?,
                    Some(_) | None => read.derived,
                }
            }
        };
        Ok(Derived { seconds: seconds(began), ..derived })
    }
}

#[async_trait]
impl Perceiver for Senses {
    async fn fetch(&self, project: ProjectId, _kind: MediaKind, uri: &str) -> Result<Fetched, Error> {
        let _turn = self.fetching.acquire().await.map_err(|_| Error::internal())?;
        fetch::fetch(self, project, uri).await
    }

    async fn accept(&self, medium: &Medium, route: Route) -> Result<Accepted, Error> {
        if route == Route::Perceive && !self.options.perceives {
            return Err(not_taken(medium.kind));
        }
        let head = head(medium).await?;
        let mime_type = family::agreed(medium.kind, &medium.mime_type, &head)?;
        check_size(medium.data.size(), &mime_type)?;
        let mime_type = match (route, medium.kind) {
            (Route::Perceive, _) => self.perceivable(medium, mime_type).await?,
            (Route::Native, MediaKind::Image) if family::is_decoded(&head) => self.decodable(medium, mime_type).await?,
            (Route::Native, _) => mime_type,
        };
        Ok(Accepted { mime_type })
    }

    fn readers(&self, kind: MediaKind) -> Result<Readers, Error> {
        if !self.options.perceives {
            return Err(not_taken(kind));
        }
        match kind {
            MediaKind::Image => Ok(Readers { tools: self.eyes()?.tools(), note: None }),
            MediaKind::Audio => self.ears().map(|_| Readers { tools: vec![Ears::MODEL.to_owned()], note: None }),
            MediaKind::Video => Ok(video::Plan::new(&self.means, &MediaOptions::default())?.readers()),
            MediaKind::Document => Ok(document::readers(self.means.eyes.as_ref())),
        }
    }

    async fn perceive(&self, medium: &Medium) -> Result<Derived, Error> {
        let key = medium.key();
        if let Some(known) = self.cache.get(medium.project, &key) {
            return Ok(known);
        }
        let derived = self.read(medium).await?;
        self.cache.put(medium.project, key, Derived { seconds: 0.0, ..derived.clone() });
        Ok(derived)
    }
}

/// That a kind could be read if something were installed.
fn missing(kind: MediaKind, model: &str) -> Error {
    let message = format!(
        "the model takes no {} input, and what would read it is not installed; `antiphon models pull {model}` installs \
         it",
        kind.as_str()
    );
    Error::new(Code::InvalidRequest, message)
}

/// In thousandths.
fn seconds(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
}

/// The first bytes of a medium, which tell what it is.
async fn head(medium: &Medium) -> Result<Vec<u8>, Error> {
    let data = medium.data.clone();
    let head = tokio::task::spawn_blocking(move || data.head(TELLING));
    head.await.map_err(std::io::Error::other).flatten().map_err(|error| unreadable(&error))
}

/// # Errors
/// When a medium is larger than any that is taken.
fn check_size(bytes: u64, mime_type: &str) -> Result<(), Error> {
    const MOST_PDF_BYTES: u64 = 50 << 20;
    let most = if mime_type == "application/pdf" { MOST_PDF_BYTES } else { MOST_BYTES };
    if bytes <= most {
        return Ok(());
    }
    Err(Error::invalid("data", format!("expected at most {most} bytes of `{mime_type}`, got {bytes}")))
}
