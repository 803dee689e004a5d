//! Files of environments, as requests ask for them and send them.

use std::fs::File;
use std::io::{self, Read as _};

use antiphon_engine::ProjectId;
use antiphon_wire::{EnvironmentFile, EnvironmentId, Error, WorkspacePath};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Outcome, blocking};
use crate::idle::Looking;
use crate::inside::Inside;
use crate::listing::{self, Listing};
use crate::stream::{ByteStream, stream};
use crate::{Environments, archive, snapshot};

/// What is answered of an archive's files.
const MOST_SHOWN: usize = 1000;
/// A snapshot may have so many times the bytes of a workspace, since holes are not kept.
const SNAPSHOT_FACTOR: u64 = 16;

/// What an upload is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Of the file, or of the folder that an archive is unpacked into.
    pub path: WorkspacePath,
    /// Whether files that are there may be replaced.
    pub overwrite: bool,
    /// Whether it is an archive: tar, tar.gz or zip.
    pub extract: bool,
}

/// A file on its way out.
#[derive(Debug)]
pub struct Download {
    pub size: u64,
    pub bytes: ByteStream,
}

impl Environments {
    /// What is in a folder of a workspace, or a file alone.
    ///
    /// # Errors
    /// `not_found`; `invalid_request` for a token that is none.
    pub async fn files(
        &self,
        project: ProjectId,
        id: &EnvironmentId,
        path: &WorkspacePath,
        recursive: bool,
        after: Option<&str>,
        most: usize,
    ) -> Result<Listing<EnvironmentFile>, Error> {
        let (path, after) = (path.clone(), after.map(str::to_owned));
        let listed =
            self.look_into(project, id, move |inside| listing::list(&inside, &path, recursive, after.as_deref(), most));
        Ok(listed.await?)
    }

    /// The content of a file.
    ///
    /// # Errors
    /// `not_found`; `failed_precondition` for what is no regular file.
    pub async fn download(
        &self,
        project: ProjectId,
        id: &EnvironmentId,
        path: &WorkspacePath,
    ) -> Result<Download, Error> {
        let path = path.clone();
        let (file, about) = self.look_into(project, id, move |inside| inside.file(&path)).await?;
        let size = about.stx_size;
        let bytes = self.send(move |pipe| {
            let sent = io::copy(&mut file.take(size), pipe)?;
            // The client was told how much comes.
            if sent < size { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
        });
        Ok(Download { size, bytes: bytes.await? })
    }

    /// The whole workspace as a tar archive, as it is while it is read.
    ///
    /// # Errors
    /// `not_found`; `failed_precondition` when it is too large.
    pub async fn snapshot(&self, project: ProjectId, id: &EnvironmentId) -> Result<ByteStream, Error> {
        let most = self.inner.limits.bytes.saturating_mul(SNAPSHOT_FACTOR);
        let (inside, looking) = self.open_inside(project, id).await?;
        let checked = blocking(move || {
            snapshot::check_size(&inside, most)?;
            Ok(inside)
        });
        let inside = checked.await?;
        let sent = self.send(move |pipe| {
            let _looking = looking;
            snapshot::write(&inside, pipe)
        });
        Ok(sent.await?)
    }

    /// Whether an upload may begin, before its bytes come.
    ///
    /// # Errors
    /// Those of [`Environments::upload`] that are known already.
    pub async fn check_upload(&self, project: ProjectId, id: &EnvironmentId, upload: &Upload) -> Result<(), Error> {
        if upload.path.is_top() && !upload.extract {
            return Err(Error::invalid("path", "expected the path of a file, got the workspace"));
        }
        let upload = upload.clone();
        let checked = self.look_into(project, id, move |inside| {
            let is_taken = !upload.extract && !upload.overwrite && inside.look(&upload.path)?.is_some();
            if is_taken {
                let why = "it is there already; expected `overwrite=true` to replace it";
                return Err(Failure::state(&upload.path, why));
            }
            Ok(())
        });
        Ok(checked.await?)
    }

    /// Places a file, or all that is in an archive; the answer is what was placed, up to 1,000.
    /// Waits a moment for a run that has the environment.
    ///
    /// # Errors
    /// `failed_precondition` when something is in the way, does not fit, or the environment is in
    /// use; `invalid_request` for an archive that is not unpacked; `content_too_large`. Then
    /// nothing has changed.
    pub async fn upload(
        &self,
        project: ProjectId,
        id: &EnvironmentId,
        upload: &Upload,
        bytes: File,
    ) -> Result<Vec<EnvironmentFile>, Error> {
        self.check_upload(project, id, upload).await?;
        let lease = self.lease_soon(project, id).await?;
        let Upload { path, overwrite, extract } = upload.clone();
        let written = lease.write(overwrite, move |stage| {
            if extract { archive::unpack(bytes, &path, stage) } else { stage.file(&path, 0o644, bytes) }
        });
        let (lease, placed) = written.await?;
        lease.end().await?;
        let mut placed = placed?;
        placed.truncate(MOST_SHOWN);
        let shown = self.look_into(project, id, move |inside| {
            let shown = |path: &WorkspacePath| {
                let about = inside.look(path)?;
                Ok(about.and_then(|about| listing::shown(path.as_path(), &about)))
            };
            placed.iter().filter_map(|path| shown(path).transpose()).collect()
        });
        Ok(shown.await?)
    }

    /// Opens a workspace, which counts as use. It does not rest while what comes with it is held.
    async fn open_inside(&self, project: ProjectId, id: &EnvironmentId) -> Outcome<(Inside, Looking)> {
        let (environments, accessed) = (self.clone(), id.clone());
        blocking(move || {
            environments.alive_row(project, &accessed)?;
            environments.inner.rows.access(&accessed, environments.now())
        })
        .await?;
        let looking = self.wake(id).await?;
        let workspace = self.home(id).workspace();
        Ok((blocking(move || Ok(Inside::open(&workspace)?)).await?, looking))
    }

    /// Does something with an opened workspace.
    async fn look_into<T: Send + 'static>(
        &self,
        project: ProjectId,
        id: &EnvironmentId,
        work: impl FnOnce(Inside) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        let (inside, looking) = self.open_inside(project, id).await?;
        blocking(move || {
            let _looking = looking;
            work(inside)
        })
        .await
    }

    async fn send(
        &self,
        work: impl FnOnce(&mut crate::stream::Pipe) -> io::Result<()> + Send + 'static,
    ) -> Outcome<ByteStream> {
        let permit = self.inner.sending.clone().acquire_owned().await.map_err(Failure::broken)?;
        Ok(stream(&self.inner.tasks, permit, work))
    }
}
