//! Bytes in an object store, an object for each.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::path::Path as Place;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, mpsc};
use tracing::warn;

use crate::failure::failed;
use crate::{Address, Blobs, Name, blocking};

/// In memory at one time, of bytes that somebody sends; S3 takes no smaller parts than 5 MiB.
const PART: u64 = 8 << 20;

/// Parts that are in memory at one time, whoever sends them.
const PARTS: usize = 8;

/// Pieces that wait for the disk.
const WAITING: usize = 8;

/// A folder of an object store.
#[derive(Clone, Debug)]
pub struct Remote {
    store: Arc<dyn ObjectStore>,
    folder: Place,
    /// Where bytes are while somebody reads them.
    scratch: PathBuf,
    most: u64,
    /// Held while a part is in memory.
    parts: Arc<Semaphore>,
    /// Their removal was asked for, and nobody knows what became of it: it may still come.
    uncertain: Arc<Mutex<HashSet<Name>>>,
}

impl Remote {
    /// In a folder of the name `space` at `address`; nobody else may keep anything there. What was opened is in files
    /// without names in the folder `scratch`, and has no more than `most` bytes.
    pub fn new(address: Address, space: &str, scratch: PathBuf, most: u64) -> Self {
        let Address { store, folder, .. } = address;
        let parts = Arc::new(Semaphore::new(PARTS));
        Self { store, folder: folder.join(space), scratch, most, parts, uncertain: Arc::default() }
    }

    fn uncertain(&self) -> MutexGuard<'_, HashSet<Name>> {
        self.uncertain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether bytes of this name and size are there, and stay.
    async fn has(&self, name: &Name, size: u64) -> io::Result<bool> {
        if self.uncertain().contains(name) {
            return Ok(false);
        }
        match self.store.head(&self.place(name)).await {
            Ok(there) => Ok(there.size == size),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    fn place(&self, name: &Name) -> Place {
        name.to_string().split('/').fold(self.folder.clone(), Place::join)
    }

    async fn put_parts(&self, place: &Place, file: File) -> io::Result<()> {
        let mut upload = self.store.put_multipart(place).await.map_err(failed)?;
        let sent = send(&mut *upload, file, &self.parts).await;
        if sent.is_err()
            && let Err(error) = upload.abort().await.map_err(failed)
        {
            warn!(%error, "Parts of an upload that failed stay in the object store");
        }
        sent
    }
}

async fn send(upload: &mut dyn MultipartUpload, file: File, parts: &Semaphore) -> io::Result<()> {
    let file = Arc::new(file);
    loop {
        let _turn = parts.acquire().await.map_err(io::Error::other)?;
        let part = Arc::clone(&file);
        let part = blocking(move || {
            let mut bytes = Vec::new();
            (&*part).take(PART).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        let part = part.await?;
        if part.is_empty() {
            break;
        }
        upload.put_part(part.into()).await.map_err(failed)?;
    }
    upload.complete().await.map_err(failed)?;
    Ok(())
}

#[async_trait]
impl Blobs for Remote {
    async fn put(&self, name: &Name, file: &Path) -> io::Result<()> {
        let (place, file) = (self.place(name), file.to_owned());
        let opened = blocking(move || {
            let file = File::open(file)?;
            let size = file.metadata()?.len();
            Ok((file, size))
        });
        let (file, size) = opened.await?;
        if self.has(name, size).await? {
            return Ok(());
        }
        if size > PART {
            self.put_parts(&place, file).await?;
        } else {
            let _turn = self.parts.acquire().await.map_err(io::Error::other)?;
            let bytes = blocking(move || {
                let mut bytes = Vec::new();
                file.take(PART).read_to_end(&mut bytes)?;
                Ok(bytes)
            });
            self.store.put(&place, bytes.await?.into()).await.map_err(failed)?;
        }
        self.uncertain().remove(name);
        Ok(())
    }

    async fn open(&self, name: &Name) -> io::Result<File> {
        let pieces = self.store.get(&self.place(name)).await.map_err(failed)?.into_stream();
        let (coming, arriving) = mpsc::channel(WAITING);
        let (scratch, sha256) = (self.scratch.clone(), name.sha256);
        let keeping = tokio::task::spawn_blocking(move || keep(&scratch, sha256, arriving));
        let came = pass_on(pieces, coming, self.most).await;
        let kept = keeping.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        came.and(kept)
    }

    async fn remove(&self, name: &Name) -> io::Result<()> {
        // Also when nobody waits for the answer.
        self.uncertain().insert(*name);
        match self.store.delete(&self.place(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(failed(error)),
        }
        self.uncertain().remove(name);
        Ok(())
    }

    async fn list(&self) -> io::Result<Vec<Name>> {
        let mut found = self.store.list(Some(&self.folder));
        let mut names = Vec::new();
        while let Some(object) = found.next().await {
            let parts: Option<Vec<_>> = object
                .map_err(failed)?
                .location
                .prefix_match(&self.folder)
                .map(|parts| parts.map(|part| part.as_ref().to_owned()).collect());
            names.extend(parts.and_then(|parts| Name::read(&parts.join("/"))));
        }
        Ok(names)
    }
}

async fn pass_on(
    mut pieces: BoxStream<'static, object_store::Result<Bytes>>,
    coming: mpsc::Sender<Bytes>,
    most: u64,
) -> io::Result<()> {
    let mut left = most;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(failed)?;
        left = left.checked_sub(piece.len() as u64).ok_or(ErrorKind::FileTooLarge)?;
        // A disk that takes no more says why with its end.
        if coming.send(piece).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// What comes, in a file without a name.
fn keep(scratch: &Path, sha256: [u8; 32], mut arriving: mpsc::Receiver<Bytes>) -> io::Result<File> {
    let mut file = tempfile::tempfile_in(scratch)?;
    let mut hash = Sha256::new();
    while let Some(piece) = arriving.blocking_recv() {
        file.write_all(&piece)?;
        hash.update(&piece);
    }
    if <[u8; 32]>::from(hash.finalize()) != sha256 {
        return Err(io::Error::new(ErrorKind::InvalidData, "the object store has other bytes under this name"));
    }
    file.rewind()?;
    Ok(file)
}
