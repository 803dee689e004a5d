//! From bytes that have come to a file, and from a file that is over to nothing.
//!
//! Bytes are there before a file is said to have them, and are taken away before it is forgotten: what is cut on the way
//! is found again, by the file or at the next start.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use antiphon_engine::{ProjectId, wire_time};
use antiphon_wire::{Error, File};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tracing::warn;

use crate::file::{About, LIFE, alive, kept, over, taken};
use crate::session::Hold;
use crate::{Files, disk, unavailable};

/// Whether there may be one more file.
enum Room {
    Free,
    /// The same upload has made it before.
    There(About),
    Refused(Error),
}

impl Files {
    /// Keeps the bytes of an upload as a file. What the same upload has made before is the answer again.
    pub(crate) async fn keep_file(&self, hold: &Hold, base: &str) -> Result<File, Error> {
        let (session, part) = (&hold.session, hold.part());
        // Nobody adds to it meanwhile.
        let digested = disk::blocking(move || digest(&part)).await;
        let (size, sha256) = digested.map_err(|error| unavailable(&error))?;
        let now = self.inner.ambient.now();
        let about = About {
            display_name: Some(session.display_name.clone()).filter(|name| !name.is_empty()),
            mime_type: session.mime_type.clone(),
            size,
            created: wire_time(now),
            expires: wire_time(now + LIFE),
            sha256,
            upload: hold.hash.clone(),
            is_generated: false,
        };
        let about = self.keep(ProjectId(session.project), &session.id, about, hold.part()).await?;
        Ok(about.shown(&session.id, base))
    }

    /// Keeps the bytes in `part` and what is said of them as a file; the answer is what is said of the file of this
    /// name and upload, which may be there already.
    ///
    /// # Errors
    /// `failed_precondition` when another has its name, or the project has as much as it may.
    pub(crate) async fn keep(&self, project: ProjectId, id: &str, about: About, part: PathBuf) -> Result<About, Error> {
        let sha256 = about.sha256.clone();
        self.clear(project, id).await.map_err(|error| unavailable(&error))?;
        // Nobody takes the bytes away before they are a file's.
        let adding = self.adding_turn(project).await?;
        if let Some(there) = self.check_room(project, id, &about).await? {
            return Ok(there);
        }
        let kept = match self.put_content(project, &sha256, &part).await {
            Ok(()) => self.say(project, id, about).await,
            // They may have got there all the same.
            Err(error) => Err(unavailable(&error)),
        };
        drop(adding);
        if kept.is_err()
            && let Err(error) = self.forget(project, &sha256).await
        {
            warn!(%error, "The bytes of a file that is none stay until the next start");
        }
        kept
    }

    /// Removes what is left of a file that had this name.
    async fn clear(&self, project: ProjectId, id: &str) -> io::Result<()> {
        let (place, now) = (self.place(project, id), self.inner.ambient.now());
        let found = disk::blocking(move || match disk::read_json::<About>(&place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            about => Ok(Some((place, about?)).filter(|(_, about)| !about.is_alive(now))),
        });
        match found.await? {
            Some((place, over)) => self.remove_file(project, place, over).await,
            None => Ok(()),
        }
    }

    /// Whether there is room for a file; if the upload has made it before, what is said of it.
    async fn check_room(&self, project: ProjectId, id: &str, about: &About) -> Result<Option<About>, Error> {
        let (files, id, about) = (self.clone(), id.to_owned(), about.clone());
        let checked = disk::blocking(move || {
            let _turn = files.turn_of(project);
            files.room(project, &id, &about)
        });
        match checked.await.map_err(|error| unavailable(&error))? {
            Room::There(about) => Ok(Some(about)),
            Room::Free => Ok(None),
            Room::Refused(error) => Err(error),
        }
    }

    /// Makes a file of bytes that are kept.
    async fn say(&self, project: ProjectId, id: &str, about: About) -> Result<About, Error> {
        let (files, id) = (self.clone(), id.to_owned());
        let said = disk::blocking(move || {
            let _turn = files.turn_of(project);
            Ok(match files.room(project, &id, &about)? {
                Room::There(about) => Ok(about),
                Room::Refused(error) => Err(error),
                Room::Free => {
                    disk::make_folder(&files.files_of(project))?;
                    disk::write_json(&files.place(project, &id), &about)?;
                    Ok(about)
                }
            })
        });
        said.await.map_err(|error| unavailable(&error))?
    }

    /// Only with the turn of the project.
    fn room(&self, project: ProjectId, id: &str, about: &About) -> io::Result<Room> {
        let (now, limits) = (self.inner.ambient.now(), &self.inner.limits);
        match alive(&self.place(project, id), now)? {
            Some(there) if !about.upload.is_empty() && there.upload == about.upload => return Ok(Room::There(there)),
            Some(_) => return Ok(Room::Refused(taken(id))),
            None => {}
        }
        let kept = kept(&self.files_of(project), now)?;
        let bytes = kept.iter().map(|(_, about)| about.size).sum::<u64>() + about.size;
        if kept.len() < limits.files && bytes <= limits.files_bytes {
            return Ok(Room::Free);
        }
        Ok(Room::Refused(Error::precondition(format!(
            "the project has {} files, which would have {bytes} bytes with this one; {} files and {} bytes are the most",
            kept.len(),
            limits.files,
            limits.files_bytes
        ))))
    }

    /// Removes what is left of a file that has expired or was deleted: its bytes first, so that they are looked for
    /// again should that fail.
    pub(crate) async fn remove_file(&self, project: ProjectId, place: PathBuf, about: About) -> io::Result<()> {
        self.forget(project, &about.sha256).await?;
        let files = self.clone();
        disk::blocking(move || {
            let _turn = files.turn_of(project);
            // Another file may have its name by now.
            match disk::read_json::<About>(&place) {
                Ok(there) if there.upload != about.upload || there.created != about.created => Ok(()),
                Ok(_) => disk::remove(&place),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Removes the files that have expired, and what was left of those that were deleted.
    ///
    /// # Errors
    /// The first. It keeps no other file.
    pub(crate) async fn sweep_files(&self) -> io::Result<()> {
        let mut first = Ok(());
        for project in self.projects().await? {
            first = first.and(self.sweep_project(project).await);
        }
        first
    }

    async fn sweep_project(&self, project: ProjectId) -> io::Result<()> {
        let (folder, now) = (self.files_of(project), self.inner.ambient.now());
        let mut first = Ok(());
        for said in disk::blocking(move || over(&folder, now)).await? {
            let removed = match said {
                Ok((place, about)) => self.remove_file(project, place, about).await,
                Err(error) => Err(error),
            };
            first = first.and(removed);
        }
        first
    }
}

/// The size of a file and its hash in base64, without the whole of it in memory.
fn digest(path: &Path) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let size = io::copy(&mut fs::File::open(path)?, &mut hash)?;
    Ok((size, STANDARD.encode(hash.finalize())))
}
