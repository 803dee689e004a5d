//! Files that a project keeps for two days, to be imported into stores.
//!
//! A file is two on the disk: its bytes, and what is said of it. The second makes it a file.
//! Whoever adds or removes one has the turn of its project meanwhile.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_engine::{ProjectId, wire_time};
use antiphon_wire::{Error, File, ImportFile, Operation};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::document::Kind;
use crate::name::{FILES, id_in, is_id, mint};
use crate::session::Hold;
use crate::stores::{Incoming, Listing};
use crate::{FileLimits, Files, OperationKind, disk, unavailable};

pub(crate) const LIFE: SignedDuration = SignedDuration::from_hours(48);

/// What is said of a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) display_name: Option<String>,
    pub(crate) mime_type: String,
    pub(crate) size: u64,
    /// In RFC 3339, as the next.
    pub(crate) created: String,
    pub(crate) expires: String,
    pub(crate) sha256: String,
    /// The hash of the upload that made it.
    #[serde(default)]
    pub(crate) upload: String,
    /// Whether a model has made it.
    #[serde(default)]
    pub(crate) is_generated: bool,
}

/// Why an upload does not become a file.
enum Refused {
    /// Another file has its name.
    Taken,
    Full(Full),
}

/// So many files there are, and so many bytes they would have with one more.
pub(crate) struct Full {
    files: usize,
    bytes: u64,
}

impl Full {
    pub(crate) fn error(&self, limits: &FileLimits) -> Error {
        Error::precondition(format!(
            "the project has {} files, which would have {} bytes with this one; {} files and {} bytes are the most",
            self.files, self.bytes, limits.files, limits.files_bytes
        ))
    }
}

impl About {
    fn is_alive(&self, now: Timestamp) -> bool {
        self.expires.parse::<Timestamp>().is_ok_and(|expires| now < expires)
    }

    fn shown(self, id: &str, base: &str) -> File {
        File {
            name: format!("{FILES}{id}"),
            display_name: self.display_name,
            mime_type: self.mime_type,
            size_bytes: self.size.to_string(),
            create_time: self.created.clone(),
            update_time: self.created,
            expiration_time: self.expires,
            sha256_hash: self.sha256,
            uri: format!("{base}{FILES}{id}"),
            download_uri: self.is_generated.then(|| format!("{base}{FILES}{id}:download?alt=media")),
            state: "ACTIVE",
            source: if self.is_generated { "GENERATED" } else { "UPLOADED" },
        }
    }
}

impl Files {
    pub(crate) fn files_of(&self, project: ProjectId) -> PathBuf {
        self.inner.folder.join(format!("files-{}", project.0))
    }

    /// `base` is what its address begins with.
    ///
    /// # Errors
    /// `not_found`, also for one that has expired or is another project's.
    pub async fn file(&self, project: ProjectId, id: &str, base: &str) -> Result<File, Error> {
        Ok(self.about(project, id).await?.shown(id, base))
    }

    /// The files after one, by their names.
    ///
    /// # Errors
    /// `invalid_request` for a token that is none.
    pub async fn files(
        &self,
        project: ProjectId,
        after: Option<&str>,
        most: usize,
        base: &str,
    ) -> Result<Listing<File>, Error> {
        if after.is_some_and(|token| !is_id(token)) {
            return Err(Error::invalid("pageToken", "expected a `nextPageToken` of this list"));
        }
        let (folder, now) = (self.files_of(project), self.inner.ambient.now());
        let kept = disk::blocking(move || kept(&folder, now)).await.map_err(|error| unavailable(&error))?;
        let mut found: Vec<_> =
            kept.into_iter().filter(|(id, _)| after.is_none_or(|after| id.as_str() > after)).collect();
        let more = found.len() > most;
        found.truncate(most);
        let next = found.last().filter(|_| more).map(|(id, _)| id.clone());
        Ok(Listing { items: found.into_iter().map(|(id, about)| about.shown(&id, base)).collect(), next })
    }

    /// Removes a file and its bytes.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn delete_file(&self, project: ProjectId, id: &str) -> Result<(), Error> {
        if !is_id(id) {
            return Err(absent(id));
        }
        let (place, bytes) = self.places(project, id);
        let (files, now) = (self.clone(), self.inner.ambient.now());
        let removed = disk::blocking(move || {
            let _turn = files.turn_of(project);
            if alive(&place, now)?.is_none() {
                return Ok(false);
            }
            disk::remove(&place)?;
            disk::remove(&bytes)?;
            Ok(true)
        });
        if removed.await.map_err(|error| unavailable(&error))? { Ok(()) } else { Err(absent(id)) }
    }

    /// Makes a document of a file, which stays.
    ///
    /// # Errors
    /// `not_found` for the file or the store, `invalid_request` when it has no text.
    pub async fn import_file(&self, project: ProjectId, store: &str, request: ImportFile) -> Result<Operation, Error> {
        let Some(id) = id_in(&request.file_name, FILES) else {
            let shown: String = request.file_name.chars().take(64).collect();
            return Err(Error::invalid("fileName", format!("expected a name as `files/…`, got `{shown}`")));
        };
        let turn = self.reading_turn().await?;
        let (about, file) = self.opened(project, id).await?;
        let kind = Kind::searchable(&about.mime_type)?;
        let display_name = about.display_name.unwrap_or_else(|| id.to_owned());
        let id = mint(&*self.inner.ambient, &display_name);
        let (files, store) = (self.clone(), store.to_owned());
        // Goes on when nobody waits for it any more, and so does its turn.
        let import = self.inner.tasks.spawn(async move {
            let _turn = turn;
            let read = disk::blocking(move || {
                let mut bytes = Vec::new();
                (&file).read_to_end(&mut bytes)?;
                Ok(bytes)
            });
            let bytes = read.await.map_err(|error| unavailable(&error))?;
            let incoming = Incoming { id, display_name, kind, config: request.config, bytes };
            files.add_document(project, &store, OperationKind::Import, incoming).await
        });
        import.await.unwrap_or_else(|error| Err(unavailable(&error)))
    }

    /// What is said of a file, and its bytes.
    pub(crate) async fn opened(&self, project: ProjectId, id: &str) -> Result<(About, fs::File), Error> {
        let (place, bytes) = self.places(project, id);
        let (files, now) = (self.clone(), self.inner.ambient.now());
        let opened = disk::blocking(move || {
            let _turn = files.turn_of(project);
            let Some(about) = alive(&place, now)? else { return Ok(None) };
            Ok(Some((about, fs::File::open(bytes)?)))
        });
        opened.await.map_err(|error| unavailable(&error))?.ok_or_else(|| absent(id))
    }

    /// Whether an upload has become a file, and has only not been ended.
    pub(crate) async fn has_become_file(&self, hold: &Hold) -> Result<bool, Error> {
        let (place, _) = self.places(ProjectId(hold.session.project), &hold.session.id);
        let (now, upload) = (self.inner.ambient.now(), hold.hash.clone());
        let found = disk::blocking(move || Ok(alive(&place, now)?.is_some_and(|about| about.upload == upload)));
        found.await.map_err(|error| unavailable(&error))
    }

    /// Keeps the bytes of an upload as a file; they have another name until the upload ends.
    /// What the same upload has made before is the answer again.
    pub(crate) async fn keep_file(&self, hold: &Hold, base: &str) -> Result<File, Error> {
        let (session, part, upload) = (Arc::clone(&hold.session), hold.part(), hold.hash.clone());
        let (id, project) = (session.id.clone(), ProjectId(session.project));
        let (folder, now, limits) = (self.files_of(project), self.inner.ambient.now(), self.inner.limits);
        let (place, bytes) = self.places(project, &id);
        let files = self.clone();
        let made = disk::blocking(move || {
            // Nobody adds to it meanwhile, so this need not hold others up.
            let (size, sha256) = digest(&part)?;
            let _turn = files.turn_of(project);
            disk::make_folder(&folder)?;
            match alive(&place, now)? {
                Some(about) if about.upload == upload => return Ok(Ok(about)),
                Some(_) => return Ok(Err(Refused::Taken)),
                None => {}
            }
            if let Some(full) = is_full(&folder, now, size, &limits)? {
                return Ok(Err(Refused::Full(full)));
            }
            let about = About {
                display_name: Some(session.display_name.clone()).filter(|name| !name.is_empty()),
                mime_type: session.mime_type.clone(),
                size,
                created: wire_time(now),
                expires: wire_time(now + LIFE),
                sha256,
                upload,
                is_generated: false,
            };
            // What is there has expired, or was never acknowledged.
            disk::remove(&place)?;
            disk::remove(&bytes)?;
            disk::link(&part, &bytes)?;
            disk::write_json(&place, &about)?;
            Ok(Ok(about))
        });
        match made.await.map_err(|error| unavailable(&error))? {
            Ok(about) => Ok(about.shown(&id, base)),
            Err(Refused::Taken) => Err(taken(&id)),
            Err(Refused::Full(full)) => Err(full.error(&limits)),
        }
    }

    /// Removes the files that have expired; `whole`: and what never became one, which is only
    /// known while nothing is being uploaded.
    pub(crate) async fn sweep_files(&self, whole: bool) -> io::Result<()> {
        let (files, now) = (self.clone(), self.inner.ambient.now());
        disk::blocking(move || {
            for entry in fs::read_dir(&files.inner.folder)? {
                let path = entry?.path();
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if let Some(project) = name.strip_prefix("files-").and_then(|project| project.parse().ok()) {
                    let _turn = files.turn_of(ProjectId(project));
                    sweep(&path, now, whole)?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn about(&self, project: ProjectId, id: &str) -> Result<About, Error> {
        if !is_id(id) {
            return Err(absent(id));
        }
        let (place, _) = self.places(project, id);
        let now = self.inner.ambient.now();
        let found = disk::blocking(move || alive(&place, now)).await.map_err(|error| unavailable(&error))?;
        found.ok_or_else(|| absent(id))
    }

    /// Where what is said of a file is, and where its bytes are.
    pub(crate) fn places(&self, project: ProjectId, id: &str) -> (PathBuf, PathBuf) {
        let folder = self.files_of(project);
        (folder.join(format!("{id}.json")), folder.join(format!("{id}.bytes")))
    }
}

/// Why a project cannot have one more file of this size.
pub(crate) fn is_full(folder: &Path, now: Timestamp, size: u64, limits: &FileLimits) -> io::Result<Option<Full>> {
    let kept = kept(folder, now)?;
    let bytes = kept.iter().map(|(_, about)| about.size).sum::<u64>() + size;
    let is_full = kept.len() >= limits.files || bytes > limits.files_bytes;
    Ok(is_full.then_some(Full { files: kept.len(), bytes }))
}

pub(crate) fn absent(id: &str) -> Error {
    Error::not_found(format!("`{FILES}{}` not found", id.chars().take(64).collect::<String>()))
}

pub(crate) fn taken(id: &str) -> Error {
    Error::precondition(format!("`file.name`: `{FILES}{id}` is there already"))
}

/// What is said of a file that is there and has not expired.
fn alive(place: &Path, now: Timestamp) -> io::Result<Option<About>> {
    match disk::read_json::<About>(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => Ok(Some(found?).filter(|about| about.is_alive(now))),
    }
}

/// The size of a file and its hash in base64, without the whole of it in memory.
fn digest(path: &Path) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let size = io::copy(&mut fs::File::open(path)?, &mut hash)?;
    Ok((size, STANDARD.encode(hash.finalize())))
}

/// The files of a project that have not expired, by their ids.
fn kept(folder: &Path, now: Timestamp) -> io::Result<Vec<(String, About)>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let id = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if path.extension().is_some_and(|end| end == "json") && is_id(id) {
            match disk::read_json::<About>(&path) {
                // It was deleted meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                about => {
                    found.extend(Some(about?).filter(|about| about.is_alive(now)).map(|about| (id.to_owned(), about)))
                }
            }
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

/// Removes the files of a project that have expired.
fn sweep(folder: &Path, now: Timestamp, whole: bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_about = path.extension().is_some_and(|end| end == "json");
        if is_about && disk::read_json::<About>(&path).is_ok_and(|about| !about.is_alive(now)) {
            disk::remove(&path)?;
            disk::remove(&path.with_extension("bytes"))?;
        } else if whole && !is_about && !path.with_extension("json").exists() {
            disk::remove(&path)?;
        }
    }
    Ok(())
}
