//! Files that models made (spec 02, `delivery`): they come whole and without an upload, and unlike
//! what was uploaded they are given back.

use std::io::Read as _;

use antiphon_engine::{ProjectId, wire_time};
use antiphon_wire::{Code, Error};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::file::{About, LIFE};
use crate::name::{FILES, chance};
use crate::{Files, disk, unavailable};

/// Letters of chance in a name.
const ID_LETTERS: usize = 12;

/// The bytes of a file, and what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// As `image/png`.
    pub mime_type: String,
    pub bytes: Vec<u8>,
}

impl Files {
    /// Keeps bytes as a file of the project, durably, and gives its name, as `files/…`.
    ///
    /// # Errors
    /// `content_too_large`, and `failed_precondition` when the project has as much as it may.
    pub async fn keep_generated(&self, project: ProjectId, made: Download) -> Result<String, Error> {
        let limits = &self.inner.limits;
        let Download { mime_type, bytes } = made;
        let size = bytes.len() as u64;
        if size > limits.file_bytes {
            let message = format!("a file may have {} bytes at most, what was made has {size}", limits.file_bytes);
            return Err(Error::new(Code::ContentTooLarge, message));
        }
        let (id, now) = (chance(&*self.inner.ambient, ID_LETTERS), self.inner.ambient.now());
        let (folder, part) = (self.files_of(project), self.files_of(project).join(format!("{id}.part")));
        let written = {
            let part = part.clone();
            disk::blocking(move || {
                disk::make_folder(&folder)?;
                disk::write(&part, &bytes)?;
                Ok(STANDARD.encode(Sha256::digest(&bytes)))
            })
        };
        let about = About {
            display_name: None,
            mime_type,
            size,
            created: wire_time(now),
            expires: wire_time(now + LIFE),
            sha256: written.await.map_err(|error| unavailable(&error))?,
            upload: String::new(),
            is_generated: true,
        };
        let kept = self.keep(project, &id, about, part.clone()).await;
        disk::blocking(move || disk::remove(&part)).await.map_err(|error| unavailable(&error))?;
        kept?;
        Ok(format!("{FILES}{id}"))
    }

    /// The bytes of a file that a model made; `id` is what stands behind `files/`.
    ///
    /// # Errors
    /// `not_found`, also for one that has expired or is another project's; `failed_precondition` for one that was
    /// uploaded.
    pub async fn download(&self, project: ProjectId, id: &str) -> Result<Download, Error> {
        let about = self.about(project, id).await?;
        if !about.is_generated {
            let message = format!("`{FILES}{id}`: files that were uploaded are not given back by this server");
            return Err(Error::precondition(message));
        }
        let file = self.bytes_of(project, id, &about).await?;
        let read = disk::blocking(move || {
            let mut bytes = Vec::new();
            file.take(about.size).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        let bytes = read.await.map_err(|error| unavailable(&error))?;
        Ok(Download { mime_type: about.mime_type, bytes })
    }
}
