//! The bytes of files, by their hashes: in the folder of the others, or in an object store.
//!
//! Files of one project that have equal bytes share them. Whoever makes a file of bytes has a turn
//! with all others who do; who takes bytes away has one alone.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_blobs::{Address, Blobs, Folder, Name, Remote};
use antiphon_engine::{Ambient, ProjectId};
use antiphon_wire::Error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{error, warn};

use crate::file::{About, DELETED, SAID, kept};
use crate::name::chance;
use crate::place::{self, HERE};
use crate::{Files, TURNS, disk, unavailable};

/// Who make files at one time, for each turn.
const TOGETHER: u32 = 64;

/// How the bytes of a file ended that an earlier version kept beside what is said of it.
const BESIDE: &str = "bytes";

/// Letters of the name under which this folder is known to an object store that others use, too.
const SPACE_LETTERS: usize = 20;

pub(crate) struct Contents {
    blobs: Arc<dyn Blobs>,
    turns: [Arc<Semaphore>; TURNS],
}

impl Contents {
    /// Waits for the disk.
    pub(crate) fn open(folder: &Path, store: Option<Address>, most: u64, ambient: &dyn Ambient) -> io::Result<Self> {
        let kept_at = store.as_ref().map_or_else(|| HERE.to_owned(), ToString::to_string);
        if let Some(left) = place::changed(folder, &kept_at)? {
            error!(
                %left,
                %kept_at,
                "`files.store` was changed while there are files: the bytes of those are where they were, and cannot be \
                 read before it is changed back"
            );
        }
        let blobs: Arc<dyn Blobs> = match store {
            None => Arc::new(Folder::new(folder.join("contents"))),
            Some(address) => Arc::new(Remote::new(address, &space(folder, ambient)?, folder.to_owned(), most)),
        };
        Ok(Self { blobs, turns: std::array::from_fn(|_| Arc::new(Semaphore::new(TOGETHER as usize))) })
    }

    fn turn_of(&self, project: ProjectId) -> Arc<Semaphore> {
        Arc::clone(&self.turns[project.0.rem_euclid(TURNS as i64) as usize])
    }
}

/// The name of this folder in an object store, which it keeps.
fn space(folder: &Path, ambient: &dyn Ambient) -> io::Result<String> {
    let place = folder.join("object-store-name");
    match disk::read_json(&place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let space = chance(ambient, SPACE_LETTERS);
            disk::write_json(&place, &space)?;
            Ok(space)
        }
        known => known,
    }
}

/// A hash as files show it.
fn named(project: ProjectId, sha256: &str) -> io::Result<Name> {
    let bytes = STANDARD.decode(sha256).ok().and_then(|bytes| bytes.try_into().ok());
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "what is said of a file has no hash");
    Ok(Name { project: project.0, sha256: bytes.ok_or_else(wrong)? })
}

impl Files {
    /// Until it is dropped nobody takes away bytes of the project.
    pub(crate) async fn adding_turn(&self, project: ProjectId) -> Result<OwnedSemaphorePermit, Error> {
        self.inner.contents.turn_of(project).acquire_owned().await.map_err(|error| unavailable(&error))
    }

    /// Keeps the bytes of a file that nobody changes; only with an [`adding_turn`](Self::adding_turn).
    pub(crate) async fn put_content(&self, project: ProjectId, sha256: &str, part: &Path) -> io::Result<()> {
        self.inner.contents.blobs.put(&named(project, sha256)?, part).await
    }

    pub(crate) async fn open_content(&self, project: ProjectId, sha256: &str) -> io::Result<std::fs::File> {
        self.inner.contents.blobs.open(&named(project, sha256)?).await
    }

    /// Removes bytes that are no file's any more.
    pub(crate) async fn forget(&self, project: ProjectId, sha256: &str) -> io::Result<()> {
        let (files, sha256) = (self.clone(), sha256.to_owned());
        // Goes on when nobody waits for it any more, and so does its turn: a removal that has begun cannot be called
        // back, and whoever put equal bytes meanwhile would lose them.
        let forgotten = self.inner.tasks.spawn(async move {
            let turn = files.inner.contents.turn_of(project).acquire_many_owned(TOGETHER).await;
            let _turn = turn.map_err(io::Error::other)?;
            if files.needed(project).await?.contains(&sha256) {
                return Ok(());
            }
            files.inner.contents.blobs.remove(&named(project, &sha256)?).await
        });
        forgotten.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    /// The hashes of the files that a project has.
    async fn needed(&self, project: ProjectId) -> io::Result<HashSet<String>> {
        let (folder, now) = (self.files_of(project), self.inner.ambient.now());
        disk::blocking(move || Ok(kept(&folder, now)?.into_iter().map(|(_, about)| about.sha256).collect())).await
    }

    /// Does what is done once after a start: brings bytes that earlier versions kept beside their files to where they
    /// are kept now, and removes those that are no file's: of uploads that never became one. What cannot be done now is
    /// done after the next start.
    pub async fn recover(&self) {
        let brought = self.bring_contents().await;
        if let Err(error) = brought.and(self.forget_strangers().await) {
            warn!(%error, "Bytes that are no file's could not be looked for");
        }
    }

    /// Removes what was half written beside what is said of files, before anybody writes there again.
    pub(crate) async fn clear_halves(&self) {
        let mut cleared = Ok(());
        match self.projects().await {
            Ok(projects) => {
                for project in projects {
                    let folder = self.files_of(project);
                    cleared = cleared.and(disk::blocking(move || clear_halves(&folder)).await);
                }
            }
            Err(error) => cleared = Err(error),
        }
        if let Err(error) = cleared {
            warn!(%error, "What was half written could not be removed");
        }
    }

    /// The error is the first; it keeps no other bytes.
    async fn bring_contents(&self) -> io::Result<()> {
        let mut first = Ok(());
        for project in self.projects().await? {
            first = first.and(self.bring_project(project).await);
        }
        first
    }

    async fn bring_project(&self, project: ProjectId) -> io::Result<()> {
        let folder = self.files_of(project);
        let mut first = Ok(());
        for (bytes, sha256) in disk::blocking(move || beside(&folder)).await? {
            first = first.and(self.bring(project, bytes, &sha256).await);
        }
        first
    }

    async fn bring(&self, project: ProjectId, bytes: PathBuf, sha256: &str) -> io::Result<()> {
        let turn = self.inner.contents.turn_of(project).acquire_owned().await;
        let _turn = turn.map_err(io::Error::other)?;
        self.put_content(project, sha256, &bytes).await?;
        disk::blocking(move || disk::remove(&bytes)).await
    }

    /// The error is the first; it keeps no other bytes.
    async fn forget_strangers(&self) -> io::Result<()> {
        let mut first = Ok(());
        let mut needed = HashMap::new();
        for name in self.inner.contents.blobs.list().await? {
            let (project, sha256) = (ProjectId(name.project), STANDARD.encode(name.sha256));
            let needed = match needed.entry(project.0) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(match self.needed(project).await {
                    Ok(needed) => Some(needed),
                    Err(error) => {
                        first = first.and(Err(error));
                        None
                    }
                }),
            };
            // Of a project whose files cannot be read nothing is known to be nobody's.
            if needed.as_ref().is_some_and(|needed| !needed.contains(&sha256)) {
                first = first.and(self.forget(project, &sha256).await);
            }
        }
        first
    }
}

/// Bytes that an earlier version has left beside what is said of their file, and their hashes.
fn beside(folder: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for path in disk::entries(folder)? {
        if path.extension().is_none_or(|end| end != BESIDE) {
            continue;
        }
        match disk::read_json::<About>(&path.with_extension(SAID)) {
            Ok(about) => found.push((path, about.sha256)),
            // Deleted meanwhile: its bytes are a half at the next start.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Whose they are may be known again once somebody has mended it.
            Err(error) => warn!(%error, ?path, "What is said of a file cannot be read, its bytes stay"),
        }
    }
    Ok(found)
}

/// The error is the first; it keeps nothing else.
fn clear_halves(folder: &Path) -> io::Result<()> {
    let mut first = Ok(());
    for path in disk::entries(folder)? {
        let is_half = match path.extension().and_then(|end| end.to_str()) {
            Some(SAID | DELETED) => false,
            Some(BESIDE) => match path.with_extension(SAID).symlink_metadata() {
                Ok(_) => false,
                Err(error) if error.kind() == io::ErrorKind::NotFound => true,
                Err(error) => {
                    first = first.and(Err(error));
                    false
                }
            },
            _ => true,
        };
        if is_half {
            first = first.and(disk::remove(&path));
        }
    }
    first
}

#[cfg(test)]
mod tests;
