//! Files that a project keeps for two days, to be imported into stores.
//!
//! A file is two on the disk: its bytes, and what is said of it. The second makes it a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use antiphon_engine::{ProjectId, wire_time};
use antiphon_wire::{Error, File, ImportFile, Operation};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::document::Kind;
use crate::name::{FILES, id_in, is_id, mint};
use crate::session::Session;
use crate::stores::{Incoming, Listing};
use crate::{Files, OperationKind, disk, unavailable};

const LIFE: SignedDuration = SignedDuration::from_hours(48);

/// What is said of a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct About {
    display_name: Option<String>,
    mime_type: String,
    size: u64,
    /// In RFC 3339, as the next.
    created: String,
    expires: String,
    sha256: String,
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
            state: "ACTIVE",
            source: "UPLOADED",
        }
    }
}

impl Files {
    fn files_of(&self, project: ProjectId) -> PathBuf {
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
        self.about(project, id).await?;
        let (about, bytes) = self.places(project, id);
        let removed = disk::blocking(move || {
            disk::remove(&about)?;
            disk::remove(&bytes)
        });
        removed.await.map_err(|error| unavailable(&error))
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
        let about = self.about(project, id).await?;
        let kind = Kind::searchable(&about.mime_type)?;
        let (_, place) = self.places(project, id);
        let _turn = self.inner.reading.acquire().await.map_err(|error| unavailable(&error))?;
        let bytes = disk::blocking(move || fs::read(place)).await.map_err(|error| unavailable(&error))?;
        let display_name = about.display_name.unwrap_or_else(|| id.to_owned());
        let id = mint(&*self.inner.ambient, &display_name);
        let incoming = Incoming { id, display_name, kind, config: request.config, bytes };
        self.add_document(project, store, OperationKind::Import, incoming).await
    }

    /// Keeps the bytes of an upload as a file; they have another name until the upload ends.
    pub(crate) async fn keep_file(
        &self,
        project: ProjectId,
        session: &Session,
        part: PathBuf,
        base: &str,
    ) -> Result<File, Error> {
        let id = session.id.clone();
        let (folder, now, limits) = (self.files_of(project), self.inner.ambient.now(), self.inner.limits);
        let (place, bytes) = self.places(project, &id);
        let display_name = Some(session.display_name.clone()).filter(|name| !name.is_empty());
        let mime_type = session.mime_type.clone();
        let made = disk::blocking(move || {
            disk::make_folder(&folder)?;
            let kept = kept(&folder, now)?;
            let size = fs::metadata(&part)?.len();
            let in_all = kept.iter().map(|(_, about)| about.size).sum::<u64>() + size;
            if kept.len() >= limits.files || in_all > limits.files_bytes {
                return Ok(Err((kept.len(), in_all)));
            }
            let about = About {
                display_name,
                mime_type,
                size,
                created: wire_time(now),
                expires: wire_time(now + LIFE),
                sha256: STANDARD.encode(Sha256::digest(fs::read(&part)?)),
            };
            disk::remove(&bytes)?;
            fs::hard_link(&part, &bytes)?;
            disk::write_json(&place, &about)?;
            Ok(Ok(about))
        });
        match made.await.map_err(|error| unavailable(&error))? {
            Ok(about) => Ok(about.shown(&id, base)),
            Err((count, bytes)) => Err(Error::precondition(format!(
                "the project has {count} files, which would have {bytes} bytes with this one; {} files and {} bytes \
                 are the most",
                limits.files, limits.files_bytes
            ))),
        }
    }

    /// Removes the files that have expired; `whole`: and what never became one, which is only
    /// known while nothing is being uploaded.
    pub(crate) async fn sweep_files(&self, whole: bool) -> io::Result<()> {
        let (folder, now) = (self.inner.folder.clone(), self.inner.ambient.now());
        disk::blocking(move || {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("files-")) {
                    sweep(&path, now, whole)?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn about(&self, project: ProjectId, id: &str) -> Result<About, Error> {
        let absent = || Error::not_found(format!("`{FILES}{}` not found", id.chars().take(64).collect::<String>()));
        if !is_id(id) {
            return Err(absent());
        }
        let (place, _) = self.places(project, id);
        let found = disk::blocking(move || match disk::read_json::<About>(&place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            found => found.map(Some),
        });
        let found = found.await.map_err(|error| unavailable(&error))?;
        found.filter(|about| about.is_alive(self.inner.ambient.now())).ok_or_else(absent)
    }

    /// Where what is said of a file is, and where its bytes are.
    fn places(&self, project: ProjectId, id: &str) -> (PathBuf, PathBuf) {
        let folder = self.files_of(project);
        (folder.join(format!("{id}.json")), folder.join(format!("{id}.bytes")))
    }
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
