//! Bytes that come in pieces, until they are a document, a file, or in an environment.
//!
//! Whoever knows an upload's id may add to it: Python's SDK sends the pieces without a key. So
//! the id is 160 bits of chance, is valid for an hour, and is kept only as its hash. A piece is
//! durable before it is acknowledged, so an upload goes on after a restart where it was.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_engine::ProjectId;
use antiphon_wire::{
    Code, CreateFile, EnvironmentFile, EnvironmentId, Error, File, Operation, UploadToFileSearchStore,
};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::document::Kind;
use crate::file::taken;
use crate::name::{FILES, chance, id_in, is_id, mint};
use crate::session::{Hold, Session, no_upload};
use crate::stores::Incoming;
use crate::{Files, OperationKind, disk, unavailable};

const LIFE: SignedDuration = SignedDuration::from_hours(1);
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
    /// A file of an environment, or several in an archive.
    Environment {
        environment: EnvironmentId,
        upload: antiphon_environments::Upload,
    },
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
    /// What was placed in an environment.
    Environment(Vec<EnvironmentFile>),
    Cancelled,
}

/// Why a piece was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadError {
    pub error: Error,
    /// Whether the upload can go on.
    pub is_active: bool,
    /// How many bytes have come, if that is known.
    pub received: Option<u64>,
}

impl UploadError {
    /// One after which the upload can go on.
    pub fn refused(error: Error, received: Option<u64>) -> Self {
        Self { error, is_active: true, received }
    }

    pub(crate) fn ended(error: Error) -> Self {
        Self { error, is_active: false, received: None }
    }
}

impl Files {
    /// Begins an upload. The answer is its id, which whoever adds to it has to know.
    ///
    /// # Errors
    /// `not_found` for the store or environment, `invalid_request` for what cannot become a
    /// document or a file, `failed_precondition` for what may not replace a file of an
    /// environment, `content_too_large`, `rate_limit_exceeded` for too many uploads at a time.
    pub async fn begin_upload(&self, project: ProjectId, target: Target, begun: Begun) -> Result<String, Error> {
        self.sweep_uploads().await;
        let session = self.new_session(project, target, begun).await?;
        self.enter(session).await
    }

    async fn new_session(&self, project: ProjectId, target: Target, begun: Begun) -> Result<Session, Error> {
        let Begun { mut size, mut mime_type, file_name } = begun;
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
                size = size.or(request.size_bytes);
                let id = self.new_file_id(project, request.name.as_deref()).await?;
                (request.mime_type.clone(), request.display_name.clone().or(file_name).unwrap_or_default(), id)
            }
            Target::Environment { environment, upload } => {
                self.inner.environments.check_upload(project, environment, upload).await?;
                // Files of environments have names, and no types beside them.
                mime_type = Some("application/octet-stream".to_owned());
                (None, String::new(), String::new())
            }
        };
        if let (Some(said), Some(header)) = (&said_type, &mime_type)
            && !said.trim().eq_ignore_ascii_case(header.trim())
        {
            let shown = |text: &str| text.chars().take(LONGEST_MIME).collect::<String>();
            let (said, header) = (shown(said), shown(header));
            let message = format!("expected `{header}`, as `X-Goog-Upload-Header-Content-Type` says, got `{said}`");
            let field = if matches!(target, Target::File(_)) { "file.mimeType" } else { "mimeType" };
            return Err(Error::invalid(field, message));
        }
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

    /// How many bytes of an upload have come, before more of them are read. Nobody who adds to
    /// it is held up.
    ///
    /// # Errors
    /// `not_found` for what is no upload, or none any more.
    pub async fn upload_size(&self, upload_id: &str) -> Result<u64, UploadError> {
        size_of(self.part_of(upload_id)?).await
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
        let refused = |error| UploadError::refused(error, Some(before));
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
        // The process has died between the file and the end of its upload: the bytes are the
        // file's now.
        if matches!(hold.session.target, Target::File(_))
            && !(is_last && bytes.is_empty())
            && self.has_become_file(&hold).await.map_err(refused)?
        {
            return Err(UploadError::ended(taken(&hold.session.id)));
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
        let turn = match hold.session.target {
            Target::Document { .. } => {
                Some(self.reading_turn().await.map_err(|error| UploadError::refused(error, Some(size)))?)
            }
            Target::File(_) | Target::Environment { .. } => None,
        };
        // Goes on when nobody waits for it any more, and so do the hold and the turn.
        let (files, base) = (self.clone(), base.to_owned());
        let completed = self.inner.tasks.spawn(async move {
            let _turn = turn;
            files.complete(hold, size, &base).await
        });
        completed.await.unwrap_or_else(|error| Err(UploadError::refused(unavailable(&error), Some(size))))
    }

    async fn complete(&self, hold: Hold, size: u64, base: &str) -> Result<Received, UploadError> {
        let session = Arc::clone(&hold.session);
        let project = ProjectId(session.project);
        let made = match &session.target {
            Target::Document { store, request } => self.complete_document(&hold, project, store, request).await,
            Target::File(_) => self.keep_file(&hold, base).await.map(Received::File),
            Target::Environment { environment, upload } => {
                self.complete_environment(&hold, project, environment, upload).await
            }
        };
        match made {
            // What is broken now may work later, with the bytes that are here.
            Err(error) if error.code == Code::ServiceUnavailable => Err(UploadError::refused(error, Some(size))),
            made => {
                hold.close();
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

    async fn complete_environment(
        &self,
        hold: &Hold,
        project: ProjectId,
        environment: &EnvironmentId,
        upload: &antiphon_environments::Upload,
    ) -> Result<Received, Error> {
        let part = hold.part();
        let bytes = disk::blocking(move || fs::File::open(part)).await.map_err(|error| unavailable(&error))?;
        self.inner.environments.upload(project, environment, upload, bytes).await.map(Received::Environment)
    }

    /// The id of a file that is to come.
    async fn new_file_id(&self, project: ProjectId, wanted: Option<&str>) -> Result<String, Error> {
        let Some(wanted) = wanted else { return Ok(chance(&*self.inner.ambient, 12)) };
        let Some(id) = id_in(wanted, FILES).or_else(|| is_id(wanted).then_some(wanted)) else {
            let shown: String = wanted.chars().take(64).collect();
            let message = format!("expected `files/` and 1 to 40 lower-case letters, digits and dashes, got `{shown}`");
            return Err(Error::invalid("file.name", message));
        };
        if self.file(project, id, "").await.is_ok() {
            return Err(taken(id));
        }
        Ok(id.to_owned())
    }
}

fn too_large(most: u64) -> Error {
    Error::new(Code::ContentTooLarge, format!("a file may have {most} bytes at most"))
}

async fn size_of(part: PathBuf) -> Result<u64, UploadError> {
    let size = disk::blocking(move || Ok(fs::metadata(part)?.len())).await;
    size.map_err(|error| match error.kind() {
        // It has ended meanwhile.
        io::ErrorKind::NotFound => no_upload(),
        _ => UploadError::refused(unavailable(&error), None),
    })
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
