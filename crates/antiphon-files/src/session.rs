//! The uploads that have begun: kept on the disk, known by the hashes of their ids, and added
//! to by one at a time.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use antiphon_wire::{Code, Error};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::warn;

use crate::name::chance;
use crate::upload::{Target, UploadError};
use crate::{Files, Inner, disk, lock, unavailable};

/// Each is of five bits.
const ID_LETTERS: usize = 32;

/// An upload that has begun.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) project: i64,
    /// In RFC 3339.
    pub(crate) expires: String,
    pub(crate) size: Option<u64>,
    pub(crate) mime_type: String,
    pub(crate) display_name: String,
    /// Of the document or file that it becomes.
    pub(crate) id: String,
    pub(crate) target: Target,
}

/// All uploads that have begun, by the hashes of their ids.
pub(crate) struct Uploads {
    folder: PathBuf,
    known: Mutex<HashMap<String, Slot>>,
}

struct Slot {
    session: Arc<Session>,
    /// Somebody adds to it.
    is_busy: bool,
    /// It takes nothing any more, and is only not removed yet.
    is_over: bool,
}

impl Slot {
    fn has_ended(&self, now: Timestamp) -> bool {
        self.is_over || !self.session.is_alive(now)
    }
}

impl Uploads {
    /// Those of an earlier process, too.
    pub(crate) fn open(folder: PathBuf, now: Timestamp) -> io::Result<Self> {
        disk::make_folder(&folder)?;
        let mut known = HashMap::new();
        let mut unread = HashSet::new();
        let mut others = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let hash = match (path.extension().and_then(|end| end.to_str()), path.file_stem()) {
                (Some("json"), Some(hash)) => hash.to_string_lossy().into_owned(),
                _ => {
                    others.push(path);
                    continue;
                }
            };
            match fs::read(&path) {
                Err(error) => {
                    // It may be read at the next start.
                    warn!(%error, "What is said of an upload cannot be read");
                    unread.insert(hash);
                }
                Ok(bytes) => match serde_json::from_slice::<Session>(&bytes).ok().filter(|found| found.is_alive(now)) {
                    Some(session) => {
                        let slot = Slot { session: Arc::new(session), is_busy: false, is_over: false };
                        known.insert(hash, slot);
                    }
                    None => disk::remove(&path)?,
                },
            }
        }
        // What belongs to no upload: pieces of those that have ended, and files half written.
        for path in others {
            let hash = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            let is_part = path.extension().is_some_and(|end| end == "part");
            if !is_part || !known.contains_key(hash) && !unread.contains(hash) {
                disk::remove(&path)?;
            }
        }
        Ok(Self { folder, known: Mutex::new(known) })
    }

    pub(crate) fn place(&self, hash: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{hash}.{ending}"))
    }
}

impl Session {
    fn is_alive(&self, now: Timestamp) -> bool {
        self.expires.parse::<Timestamp>().is_ok_and(|expires| now < expires)
    }
}

/// The only one who adds to an upload, until it is dropped.
pub(crate) struct Hold {
    files: Files,
    pub(crate) hash: String,
    pub(crate) session: Arc<Session>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(slot) = lock(&self.files.inner.uploads.known).get_mut(&self.hash) {
            slot.is_busy = false;
        }
    }
}

impl Hold {
    pub(crate) fn part(&self) -> PathBuf {
        self.files.inner.uploads.place(&self.hash, "part")
    }

    /// Puts a new upload on the disk, or forgets it.
    fn begin(&self) -> io::Result<()> {
        let uploads = &self.files.inner.uploads;
        let written = disk::create(&self.part())
            .and_then(|()| disk::write_json(&uploads.place(&self.hash, "json"), &*self.session));
        if written.is_err() && self.end().is_err() {
            // What is left of it belongs to no upload, and is removed at the next start.
            lock(&uploads.known).remove(&self.hash);
        }
        written
    }

    /// From now on the upload takes nothing, even if it cannot be removed.
    pub(crate) fn close(&self) {
        if let Some(slot) = lock(&self.files.inner.uploads.known).get_mut(&self.hash) {
            slot.is_over = true;
        }
    }

    /// Ends the upload; what has come is gone unless it has another name by now.
    pub(crate) fn end(&self) -> io::Result<()> {
        let uploads = &self.files.inner.uploads;
        disk::remove(&uploads.place(&self.hash, "json"))?;
        disk::remove(&self.part())?;
        lock(&uploads.known).remove(&self.hash);
        Ok(())
    }
}

impl Files {
    /// Keeps an upload that begins. The answer is its id.
    ///
    /// # Errors
    /// `rate_limit_exceeded` when the project has as many as it may.
    pub(crate) async fn enter(&self, session: Session) -> Result<String, Error> {
        let Inner { uploads, limits, ambient, .. } = &*self.inner;
        let upload_id = chance(&**ambient, ID_LETTERS);
        let (hash, session) = (hash_of(&upload_id), Arc::new(session));
        let hold = {
            let mut known = lock(&uploads.known);
            let open = known.values().filter(|slot| slot.session.project == session.project).count();
            if open >= limits.uploads {
                let message = format!("{open} uploads of this project have begun and not ended, the most there may be");
                return Err(Error::new(Code::RateLimitExceeded, message));
            }
            known.insert(hash.clone(), Slot { session: Arc::clone(&session), is_busy: true, is_over: false });
            Hold { files: self.clone(), hash, session }
        };
        // The hold goes along: who leaves does not leave an upload that is held for ever.
        disk::blocking(move || hold.begin()).await.map_err(|error| unavailable(&error))?;
        Ok(upload_id)
    }

    /// Where the bytes of an upload are, whoever adds to it now.
    ///
    /// # Errors
    /// `not_found` for what is no upload, or none any more.
    pub(crate) fn part_of(&self, upload_id: &str) -> Result<PathBuf, UploadError> {
        let (hash, now) = (hash_of(upload_id), self.inner.ambient.now());
        let uploads = &self.inner.uploads;
        if lock(&uploads.known).get(&hash).is_none_or(|slot| slot.has_ended(now)) {
            return Err(no_upload());
        }
        Ok(uploads.place(&hash, "part"))
    }

    /// # Errors
    /// `not_found` for what is no upload, or none any more; `failed_precondition` while another
    /// adds to it.
    pub(crate) fn hold(&self, upload_id: &str) -> Result<Hold, UploadError> {
        let hash = hash_of(upload_id);
        let now = self.inner.ambient.now();
        let mut known = lock(&self.inner.uploads.known);
        match known.get_mut(&hash).filter(|slot| !slot.has_ended(now)) {
            None => Err(no_upload()),
            Some(slot) if slot.is_busy => {
                let message = "another piece of this upload is being received";
                Err(UploadError::refused(Error::precondition(message), None))
            }
            Some(slot) => {
                slot.is_busy = true;
                Ok(Hold { files: self.clone(), hash, session: Arc::clone(&slot.session) })
            }
        }
    }

    /// Removes the uploads whose time is over.
    pub(crate) async fn sweep_uploads(&self) {
        let now = self.inner.ambient.now();
        let over: Vec<Hold> = {
            let mut known = lock(&self.inner.uploads.known);
            let over = known.iter_mut().filter(|(_, slot)| !slot.is_busy && slot.has_ended(now));
            over.map(|(hash, slot)| {
                slot.is_busy = true;
                Hold { files: self.clone(), hash: hash.clone(), session: Arc::clone(&slot.session) }
            })
            .collect()
        };
        if let Err(error) = disk::blocking(move || over.iter().try_for_each(Hold::end)).await {
            warn!(%error, "Uploads that have expired could not be removed");
        }
    }
}

pub(crate) fn no_upload() -> UploadError {
    UploadError::ended(Error::not_found("there is no such upload, or it has ended; an upload may take an hour"))
}

pub(crate) fn hash_of(upload_id: &str) -> String {
    Sha256::digest(upload_id).iter().map(|byte| format!("{byte:02x}")).collect()
}
