//! Bytes that come in pieces, until they are a document or a file.
//!
//! Whoever knows an upload's id may add to it: Python's SDK sends the pieces without a key. So
//! the id is 160 bits of chance, is valid for an hour, and is kept only as its hash. A piece is
//! durable before it is acknowledged, so an upload goes on after a restart where it was.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use antiphon_engine::ProjectId;
use antiphon_wire::{Code, CreateFile, Error, File, Operation, UploadToFileSearchStore};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::warn;

use crate::document::Kind;
use crate::name::{FILES, chance, id_in, mint};
use crate::stores::Incoming;
use crate::{Files, OperationKind, disk, lock, unavailable};

const LIFE: SignedDuration = SignedDuration::from_hours(1);
const ID_LETTERS: usize = 32;
const LONGEST_MIME: usize = 200;
const LONGEST_FILE_NAME: usize = 512;

/// What an upload is to become.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Target {
    /// A document of the store with this id.
    Document {
        store: String,
        request: UploadToFileSearchStore,
    },
    File(CreateFile),
}

/// What a client says of the content before it comes.
#[derive(Clone, Debug, Default)]
pub struct Begun {
    pub size: Option<u64>,
    pub mime_type: Option<String>,
    pub file_name: Option<String>,
}

/// What has become of an upload.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    /// So many bytes have come.
    Active(u64),
    Document(Operation),
    File(File),
    Cancelled,
}

/// Why a piece was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadError {
    pub error: Error,
    /// How many bytes have come, if the upload can go on.
    pub active: Option<u64>,
}

impl UploadError {
    fn ended(error: Error) -> Self {
        Self { error, active: None }
    }
}

/// An upload that has begun.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    project: i64,
    /// In RFC 3339.
    expires: String,
    size: Option<u64>,
    mime_type: String,
    display_name: String,
    /// Of the document or file that it becomes.
    id: String,
    target: Target,
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
}

impl Uploads {
    /// Those of an earlier process, too.
    pub(crate) fn open(folder: PathBuf, now: Timestamp) -> io::Result<Self> {
        disk::make_folder(&folder)?;
        let mut known = HashMap::new();
        let mut kept = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let session = disk::read_json::<Session>(&path).ok().filter(|session| session.is_alive(now));
            match (path.extension().and_then(|end| end.to_str()), path.file_stem().and_then(|name| name.to_str())) {
                (Some("json"), Some(hash)) if session.is_some() => {
                    let session =
                        session.into_iter().map(|session| Slot { session: Arc::new(session), is_busy: false });
                    known.extend(session.map(|slot| (hash.to_owned(), slot)));
                }
                _ => kept.push(path),
            }
        }
        // What belongs to no upload: pieces of those that have ended, and files half written.
        for path in kept {
            let hash = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            if path.extension().is_none_or(|end| end != "part") || !known.contains_key(hash) {
                disk::remove(&path)?;
            }
        }
        Ok(Self { folder, known: Mutex::new(known) })
    }

    fn place(&self, hash: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{hash}.{ending}"))
    }
}

impl Session {
    fn is_alive(&self, now: Timestamp) -> bool {
        self.expires.parse::<Timestamp>().is_ok_and(|expires| now < expires)
    }
}

/// The only one who adds to an upload, until it is dropped.
struct Hold {
    files: Files,
    hash: String,
    session: Arc<Session>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(slot) = lock(&self.files.inner.uploads.known).get_mut(&self.hash) {
            slot.is_busy = false;
        }
    }
}

impl Hold {
    fn part(&self) -> PathBuf {
        self.files.inner.uploads.place(&self.hash, "part")
    }

    /// Ends the upload; what has come is gone unless it has another name by now.
    fn end(&self) -> io::Result<()> {
        let uploads = &self.files.inner.uploads;
        disk::remove(&uploads.place(&self.hash, "json"))?;
        disk::remove(&self.part())?;
        lock(&uploads.known).remove(&self.hash);
        Ok(())
    }
}

impl Files {
    /// Begins an upload. The answer is its id, which whoever adds to it has to know.
    ///
    /// # Errors
    /// `not_found` for the store, `invalid_request` for what cannot become a document or a
    /// file, `content_too_large`, `rate_limit_exceeded` for too many uploads at a time.
    pub async fn begin_upload(&self, project: ProjectId, target: Target, begun: Begun) -> Result<String, Error> {
        self.sweep_uploads().await;
        let inner = &self.inner;
        let session = self.new_session(project, target, begun).await?;
        let open = lock(&inner.uploads.known).values().filter(|slot| slot.session.project == project.0).count();
        if open >= inner.limits.uploads {
            let message = format!("{open} uploads of this project have begun and not ended, the most there may be");
            return Err(Error::new(Code::RateLimitExceeded, message));
        }
        let upload_id = chance(&*inner.ambient, ID_LETTERS);
        let hash = hash_of(&upload_id);
        let (part, about, kept) =
            (inner.uploads.place(&hash, "part"), inner.uploads.place(&hash, "json"), session.clone());
        let written = disk::blocking(move || {
            disk::create(&part)?;
            disk::write_json(&about, &kept)
        });
        written.await.map_err(|error| unavailable(&error))?;
        lock(&inner.uploads.known).insert(hash, Slot { session: Arc::new(session), is_busy: false });
        Ok(upload_id)
    }

    async fn new_session(&self, project: ProjectId, target: Target, begun: Begun) -> Result<Session, Error> {
        let Begun { size, mime_type, file_name } = begun;
        let file_name = file_name.map(|name| name.chars().take(LONGEST_FILE_NAME).collect::<String>());
        let (said_type, display_name, id) = match &target {
            Target::Document { store, request } => {
                self.store(project, store).await?;
                let display_name = request.display_name.clone().or(file_name).filter(|name| !name.is_empty());
                let id = mint(&*self.inner.ambient, display_name.as_deref().unwrap_or_default());
                (request.mime_type.clone(), display_name.unwrap_or_else(|| id.clone()), id)
            }
            Target::File(request) => {
                if let (Some(said), Some(size)) = (request.size_bytes, size)
                    && said != size
                {
                    let message = format!("expected {size}, as `X-Goog-Upload-Header-Content-Length` says, got {said}");
                    return Err(Error::invalid("file.sizeBytes", message));
                }
                let id = self.new_file_id(project, request.name.as_deref()).await?;
                (request.mime_type.clone(), request.display_name.clone().unwrap_or_default(), id)
            }
        };
        let mime_type = said_type.or(mime_type).filter(|text| text.len() <= LONGEST_MIME && text.contains('/'));
        let Some(mime_type) = mime_type else {
            let message = "expected the type of the content, as `text/plain`, here or as \
                           `X-Goog-Upload-Header-Content-Type`";
            return Err(Error::invalid("mimeType", message));
        };
        if matches!(target, Target::Document { .. }) {
            Kind::searchable(&mime_type)?;
        }
        let most = self.inner.limits.file_bytes;
        if size.is_some_and(|size| size > most) {
            return Err(too_large(most));
        }
        let expires = (self.inner.ambient.now() + LIFE).to_string();
        Ok(Session { project: project.0, expires, size, mime_type, display_name, id, target })
    }

    /// How many bytes of an upload have come, before more of them are read.
    ///
    /// # Errors
    /// `not_found` for what is no upload, or none any more.
    pub async fn upload_size(&self, upload_id: &str) -> Result<u64, UploadError> {
        let hold = self.hold(upload_id)?;
        size_of(hold.part()).await
    }

    /// Gives up an upload.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn cancel_upload(&self, upload_id: &str) -> Result<Received, UploadError> {
        let hold = self.hold(upload_id)?;
        let ended = disk::blocking(move || hold.end()).await;
        ended.map_err(|error| UploadError::ended(unavailable(&error)))?;
        Ok(Received::Cancelled)
    }

    /// Takes a piece, and, with the last one, makes what the upload is to become. `base` is
    /// what the address of a file begins with.
    ///
    /// # Errors
    /// [`UploadError`] says whether the upload can go on.
    pub async fn receive(
        &self,
        upload_id: &str,
        offset: u64,
        bytes: Vec<u8>,
        is_last: bool,
        base: &str,
    ) -> Result<Received, UploadError> {
        let hold = self.hold(upload_id)?;
        let before = size_of(hold.part()).await?;
        let refused = |error| UploadError { error, active: Some(before) };
        if offset != before {
            let message = format!("expected {before}, so many bytes have come, got {offset}");
            return Err(refused(Error::invalid("X-Goog-Upload-Offset", message)));
        }
        let size = before + bytes.len() as u64;
        let most = self.inner.limits.file_bytes;
        if size > most {
            return Err(refused(too_large(most)));
        }
        if let Some(whole) = hold.session.size
            && (size > whole || is_last && size < whole)
        {
            let message = format!("expected {whole} bytes in all, as the upload began, got {size}");
            return Err(refused(Error::invalid("X-Goog-Upload-Header-Content-Length", message)));
        }
        // The hold goes along: who leaves does not let another one in while this writes.
        let (hold, written) = tokio::task::spawn_blocking(move || {
            let written = append(&hold.part(), before, &bytes);
            (hold, written)
        })
        .await
        .map_err(|error| refused(unavailable(&error)))?;
        written.map_err(|error| refused(unavailable(&error)))?;
        if !is_last {
            return Ok(Received::Active(size));
        }
        self.complete(hold, size, base).await
    }

    async fn complete(&self, hold: Hold, size: u64, base: &str) -> Result<Received, UploadError> {
        let session = Arc::clone(&hold.session);
        let project = ProjectId(session.project);
        let made = match &session.target {
            Target::Document { store, request } => self.complete_document(&hold, project, store, request).await,
            Target::File(_) => self.keep_file(project, &session, hold.part(), base).await.map(Received::File),
        };
        match made {
            // What is broken now may work later, with the bytes that are here.
            Err(error) if error.code == Code::ServiceUnavailable => Err(UploadError { error, active: Some(size) }),
            made => {
                let ended = disk::blocking(move || hold.end()).await;
                if let Err(error) = ended {
                    warn!(%error, "An upload that has ended could not be removed");
                }
                made.map_err(UploadError::ended)
            }
        }
    }

    async fn complete_document(
        &self,
        hold: &Hold,
        project: ProjectId,
        store: &str,
        request: &UploadToFileSearchStore,
    ) -> Result<Received, Error> {
        let part = hold.part();
        let _turn = self.inner.reading.acquire().await.map_err(|error| unavailable(&error))?;
        let bytes = disk::blocking(move || fs::read(part)).await.map_err(|error| unavailable(&error))?;
        let incoming = Incoming {
            id: hold.session.id.clone(),
            display_name: hold.session.display_name.clone(),
            kind: Kind::searchable(&hold.session.mime_type)?,
            config: request.config.clone(),
            bytes,
        };
        self.add_document(project, store, OperationKind::Upload, incoming).await.map(Received::Document)
    }

    fn hold(&self, upload_id: &str) -> Result<Hold, UploadError> {
        let hash = hash_of(upload_id);
        let now = self.inner.ambient.now();
        let mut known = lock(&self.inner.uploads.known);
        match known.get_mut(&hash).filter(|slot| slot.session.is_alive(now)) {
            None => {
                let message = "there is no such upload, or it has ended; an upload may take an hour";
                Err(UploadError::ended(Error::not_found(message)))
            }
            Some(slot) if slot.is_busy => {
                let message = "another piece of this upload is being received";
                Err(UploadError { error: Error::precondition(message), active: Some(0) })
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
            let over = known.iter_mut().filter(|(_, slot)| !slot.is_busy && !slot.session.is_alive(now));
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

    /// The id of a file that is to come.
    async fn new_file_id(&self, project: ProjectId, wanted: Option<&str>) -> Result<String, Error> {
        let Some(wanted) = wanted else { return Ok(chance(&*self.inner.ambient, 12)) };
        let Some(id) = id_in(wanted, FILES).or_else(|| crate::name::is_id(wanted).then_some(wanted)) else {
            let shown: String = wanted.chars().take(64).collect();
            let message = format!("expected `files/` and 1 to 40 lower-case letters, digits and dashes, got `{shown}`");
            return Err(Error::invalid("file.name", message));
        };
        if self.file(project, id, "").await.is_ok() {
            return Err(Error::precondition(format!("`file.name`: `files/{id}` is there already")));
        }
        Ok(id.to_owned())
    }
}

impl Session {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn mime_type(&self) -> &str {
        &self.mime_type
    }

    pub(crate) fn display_name(&self) -> Option<&str> {
        Some(self.display_name.as_str()).filter(|name| !name.is_empty())
    }
}

fn too_large(most: u64) -> Error {
    Error::new(Code::ContentTooLarge, format!("a file may have {most} bytes at most"))
}

fn hash_of(upload_id: &str) -> String {
    Sha256::digest(upload_id).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn size_of(part: PathBuf) -> Result<u64, UploadError> {
    let size = disk::blocking(move || Ok(fs::metadata(part)?.len())).await;
    size.map_err(|error| UploadError { error: unavailable(&error), active: Some(0) })
}

fn append(part: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(part)?;
    let written = file.write_all_at(bytes, offset).and_then(|()| file.sync_all());
    if written.is_err() {
        // What was not acknowledged has not come.
        file.set_len(offset)?;
    }
    written
}
