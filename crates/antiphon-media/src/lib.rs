//! Media of requests, for models that do not take them: fetched, looked at, and made into text.
//!
//! * `fetch`: what is behind the address that a request gives.
//! * `family`: what bytes are, whatever they are said to be.
//! * `document`: the text of documents.
//! * `cache`: what was read before.
//!
//! A kind that nothing here can read is refused by name.

mod cache;
mod document;
mod family;
mod fetch;

use std::time::Instant;

use antiphon_engine::{Accepted, Derived, Fetched, MediaKind, Medium, Perceiver, ProjectId, Route, not_taken};
use antiphon_fetch::Fetcher;
use antiphon_files::Files;
use antiphon_wire::Error;
use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::cache::Cache;

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

/// The [`Perceiver`] of the server.
pub struct Senses {
    options: SensesOptions,
    fetcher: Fetcher,
    files: Files,
    cache: Cache,
    /// What is fetched is in memory.
    fetching: Semaphore,
    /// Each medium that is read takes a core.
    reading: Semaphore,
}

/// Media that are fetched at one time.
const FETCH_AT_ONCE: usize = 4;

/// Media that are read at one time.
const READ_AT_ONCE: usize = 2;

/// Bytes of one medium.
pub const MOST_BYTES: usize = 100 << 20;

impl Senses {
    /// `fetcher` takes bodies of [`MOST_BYTES`].
    pub fn new(options: SensesOptions, fetcher: Fetcher, files: Files) -> Self {
        Self {
            options,
            fetcher,
            files,
            cache: Cache::default(),
            fetching: Semaphore::new(FETCH_AT_ONCE),
            reading: Semaphore::new(READ_AT_ONCE),
        }
    }

    async fn read(&self, medium: &Medium) -> Result<Derived, Error> {
        let _turn = self.reading.acquire().await.map_err(|_| Error::internal())?;
        let began = Instant::now();
        let mut derived = match medium.kind {
            MediaKind::Document => document::read(medium).await?,
            MediaKind::Image | MediaKind::Audio | MediaKind::Video => return Err(not_taken(medium.kind)),
        };
        derived.seconds = (began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        Ok(derived)
    }
}

#[async_trait]
impl Perceiver for Senses {
    async fn fetch(&self, project: ProjectId, _kind: MediaKind, uri: &str) -> Result<Fetched, Error> {
        let _turn = self.fetching.acquire().await.map_err(|_| Error::internal())?;
        fetch::fetch(self, project, uri).await
    }

    async fn accept(&self, medium: &Medium, route: Route) -> Result<Accepted, Error> {
        let medium = medium.clone();
        let perceives = self.options.perceives;
        let looked = tokio::task::spawn_blocking(move || {
            let bytes = medium.bytes();
            let mime_type = family::agreed(medium.kind, &medium.mime_type, &bytes)?;
            check_size(&bytes, &mime_type)?;
            match (route, medium.kind) {
                (Route::Native, _) => {}
                (Route::Perceive, MediaKind::Document) if perceives => document::check(&medium, &mime_type)?,
                (Route::Perceive, kind) => return Err(not_taken(kind)),
            }
            Ok(Accepted { mime_type })
        });
        looked.await.unwrap_or_else(|_| Err(Error::internal()))
    }

    async fn perceive(&self, medium: &Medium) -> Result<Derived, Error> {
        let key = medium.key();
        if let Some(known) = self.cache.get(medium.project, &key) {
            return Ok(known);
        }
        let derived = self.read(medium).await?;
        self.cache.put(medium.project, key, &derived);
        Ok(derived)
    }
}

/// # Errors
/// When a medium is larger than any that is taken.
fn check_size(bytes: &[u8], mime_type: &str) -> Result<(), Error> {
    const MOST_PDF_BYTES: usize = 50 << 20;
    let most = if mime_type == "application/pdf" { MOST_PDF_BYTES } else { MOST_BYTES };
    if bytes.len() <= most {
        return Ok(());
    }
    Err(Error::invalid("data", format!("expected at most {most} bytes of `{mime_type}`, got {}", bytes.len())))
}
