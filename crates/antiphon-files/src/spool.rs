//! Bytes of media that are too many for memory: in a file without a name while they are on their
//! way, or in the file of a project that a request gives by its address.
//!
//! A file without a name is gone with the last who has it open, however the process ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use antiphon_engine::{Ambient, ProjectId};
use antiphon_wire::{Code, Data, Error, Kept, MARK, MOST_IN_MEMORY, hexadecimal};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::file::absent;
use crate::name::{FILES, chance, id_in};
use crate::{Files, disk, unavailable};

/// Letters of a mark: 160 bits of chance.
const LETTERS: usize = 32;

/// A part of a file that does not change.
#[derive(Debug)]
struct Stretch {
    file: Arc<File>,
    start: u64,
    size: u64,
    sha256: String,
    mark: String,
}

impl Kept for Stretch {
    fn mark(&self) -> &str {
        &self.mark
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn sha256(&self) -> &str {
        &self.sha256
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(offset);
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        self.file.read_exact_at(&mut buffer[..wanted], self.start + offset)?;
        Ok(wanted)
    }
}

/// Takes in bytes, one after the other, for as many media as come.
pub struct Spool {
    file: Arc<File>,
    end: u64,
    /// Where the bytes that come belong to.
    start: u64,
    hash: Sha256,
    ambient: Arc<dyn Ambient>,
}

impl Spool {
    /// Of a new file without a name on the disk of a folder. Waits for the disk.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(folder: &Path, ambient: Arc<dyn Ambient>) -> io::Result<Self> {
        let file = Arc::new(tempfile::tempfile_in(folder)?);
        Ok(Self { file, end: 0, start: 0, hash: Sha256::new(), ambient })
    }

    /// Adds bytes to the medium that is coming.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.end)?;
        self.end += bytes.len() as u64;
        self.hash.update(bytes);
        Ok(())
    }

    /// Ends a medium; what is written afterwards is another's.
    pub fn end(&mut self) -> Arc<dyn Kept> {
        let start = std::mem::replace(&mut self.start, self.end);
        Arc::new(Stretch {
            file: Arc::clone(&self.file),
            start,
            size: self.end - start,
            sha256: hexadecimal(&self.hash.finalize_reset()),
            mark: mark(&*self.ambient),
        })
    }
}

fn mark(ambient: &dyn Ambient) -> String {
    format!("{MARK}{}", chance(ambient, LETTERS))
}

impl Files {
    /// A spool on the disk of all the others.
    ///
    /// # Errors
    /// As [`Spool::open`].
    pub fn spool(&self) -> io::Result<Spool> {
        Spool::open(&self.inner.folder, Arc::clone(&self.inner.ambient))
    }

    /// What a file is and its bytes, in memory when they are few. Neither deleting it nor the end
    /// of its time takes them away from who has them.
    ///
    /// # Errors
    /// `not_found`, also for one that has expired or is another project's; `content_too_large` when
    /// it has more than `most` bytes.
    pub async fn content(&self, project: ProjectId, name: &str, most: u64) -> Result<(String, Data), Error> {
        let id = id_in(name, FILES).ok_or_else(|| absent(name.trim_start_matches(FILES)))?;
        let (about, file) = self.opened(project, id).await?;
        if about.size > most {
            let message = format!("`{FILES}{id}` has {} bytes, {most} are the most", about.size);
            return Err(Error::new(Code::ContentTooLarge, message));
        }
        let sha256 = hexadecimal(&STANDARD.decode(&about.sha256).unwrap_or_default());
        let mark = mark(&*self.inner.ambient);
        let kept = Stretch { file: Arc::new(file), start: 0, size: about.size, sha256, mark };
        if about.size > MOST_IN_MEMORY as u64 {
            return Ok((about.mime_type, Data::Kept(Arc::new(kept))));
        }
        let read = disk::blocking(move || Ok(STANDARD.encode(Data::Kept(Arc::new(kept)).bytes()?)));
        Ok((about.mime_type, read.await.map_err(|error| unavailable(&error))?.into()))
    }
}
