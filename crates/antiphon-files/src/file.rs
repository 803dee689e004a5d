//! Files that a project keeps for two days, to be imported into stores.
//!
//! What is said of a file makes it one; its bytes are kept by their hash, before it and after it.
//! Whoever adds or removes one has the turn of its project meanwhile.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use antiphon_engine::ProjectId;
use antiphon_wire::{Error, File, ImportFile, Operation};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::document::Kind;
use crate::name::{FILES, id_in, is_id, mint};
use crate::session::Hold;
use crate::stores::{Incoming, Listing};
use crate::{Files, OperationKind, disk, unavailable};

/// What the folder of a project's files is called, before the project.
pub(crate) const FILES_OF: &str = "files-";

/// How what is said of a file ends, and of one that was deleted and whose bytes may be there still.
pub(crate) const SAID: &str = "json";
pub(crate) const DELETED: &str = "deleted";

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

impl About {
    pub(crate) fn is_alive(&self, now: Timestamp) -> bool {
        self.expires.parse::<Timestamp>().is_ok_and(|expires| now < expires)
    }

    pub(crate) fn shown(self, id: &str, base: &str) -> File {
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
        self.inner.folder.join(format!("{FILES_OF}{}", project.0))
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
        let place = self.place(project, id);
        let (files, now) = (self.clone(), self.inner.ambient.now());
        let renamed = disk::blocking(move || {
            let _turn = files.turn_of(project);
            let Some(about) = alive(&place, now)? else { return Ok(None) };
            // That works on a full disk, too.
            let deleted = place.with_extension(DELETED);
            disk::rename(&place, &deleted)?;
            Ok(Some((deleted, about)))
        });
        let (place, about) = renamed.await.map_err(|error| unavailable(&error))?.ok_or_else(|| absent(id))?;
        self.remove_file(project, place, about).await.map_err(|error| unavailable(&error))
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
        let about = self.about(project, id).await?;
        let bytes = self.bytes_of(project, id, &about).await?;
        Ok((about, bytes))
    }

    pub(crate) async fn bytes_of(&self, project: ProjectId, id: &str, about: &About) -> Result<fs::File, Error> {
        match self.open_content(project, &about.sha256).await {
            Ok(bytes) => Ok(bytes),
            // It was deleted meanwhile, or whoever has the bytes has lost them.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                warn!(%error, "The bytes of a file are not there");
                Err(absent(id))
            }
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Whether an upload has become a file, and has only not been ended.
    pub(crate) async fn has_become_file(&self, hold: &Hold) -> Result<bool, Error> {
        let place = self.place(ProjectId(hold.session.project), &hold.session.id);
        let (now, upload) = (self.inner.ambient.now(), hold.hash.clone());
        let found = disk::blocking(move || Ok(alive(&place, now)?.is_some_and(|about| about.upload == upload)));
        found.await.map_err(|error| unavailable(&error))
    }

    /// Projects that have files.
    pub(crate) async fn projects(&self) -> io::Result<Vec<ProjectId>> {
        let folder = self.inner.folder.clone();
        disk::blocking(move || {
            let mut projects = Vec::new();
            for entry in fs::read_dir(folder)? {
                let name = entry?.file_name();
                let project = name.to_str().and_then(|name| name.strip_prefix(FILES_OF)?.parse().ok());
                projects.extend(project.map(ProjectId));
            }
            Ok(projects)
        })
        .await
    }

    /// What is said of a file.
    pub(crate) async fn about(&self, project: ProjectId, id: &str) -> Result<About, Error> {
        if !is_id(id) {
            return Err(absent(id));
        }
        let place = self.place(project, id);
        let now = self.inner.ambient.now();
        let found = disk::blocking(move || alive(&place, now)).await.map_err(|error| unavailable(&error))?;
        found.ok_or_else(|| absent(id))
    }

    /// Where what is said of a file is.
    pub(crate) fn place(&self, project: ProjectId, id: &str) -> PathBuf {
        self.files_of(project).join(format!("{id}.{SAID}"))
    }
}

pub(crate) fn absent(id: &str) -> Error {
    Error::not_found(format!("`{FILES}{}` not found", id.chars().take(64).collect::<String>()))
}

pub(crate) fn taken(id: &str) -> Error {
    Error::precondition(format!("`file.name`: `{FILES}{id}` is there already"))
}

/// What is said of a file that is there and has not expired.
pub(crate) fn alive(place: &Path, now: Timestamp) -> io::Result<Option<About>> {
    match disk::read_json::<About>(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => Ok(Some(found?).filter(|about| about.is_alive(now))),
    }
}

/// The files of a project that have not expired, by their ids.
pub(crate) fn kept(folder: &Path, now: Timestamp) -> io::Result<Vec<(String, About)>> {
    let said = all(folder, SAID)?.into_iter().collect::<io::Result<Vec<_>>>()?;
    let alive = said.into_iter().filter(|(_, about)| about.is_alive(now));
    let named = alive.filter_map(|(place, about)| Some((place.file_stem()?.to_str()?.to_owned(), about)));
    let mut found: Vec<_> = named.collect();
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

/// What is left of the files of a project that have expired or were deleted, and where it is said. What cannot be read
/// is an error among the others.
pub(crate) fn over(folder: &Path, now: Timestamp) -> io::Result<Vec<io::Result<(PathBuf, About)>>> {
    let mut found = all(folder, SAID)?;
    found.retain(|said| said.as_ref().map_or(true, |(_, about)| !about.is_alive(now)));
    found.extend(all(folder, DELETED)?);
    Ok(found)
}

/// What is said of files, where that ends so.
fn all(folder: &Path, ending: &str) -> io::Result<Vec<io::Result<(PathBuf, About)>>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let id = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if path.extension().is_some_and(|end| end == ending) && is_id(id) {
            match disk::read_json::<About>(&path) {
                // It was removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                about => found.push(about.map(|about| (path, about))),
            }
        }
    }
    Ok(found)
}
