//! Files, done with care: hashes, durable renames, free space. Everything here blocks.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::Path,
};

use sha2::{Digest, Sha256};

use crate::{Error, error::at};

/// What every GGUF file starts with.
pub(crate) const MAGIC: &[u8] = b"GGUF";

/// Bytes read or written at a time.
pub(crate) const BLOCK: usize = 1 << 20;

/// SHA-256 of a file, in lower-case hex.
pub(crate) fn sha256(path: &Path) -> Result<String, Error> {
    let mut file = File::open(path).map_err(at(path))?;
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block).map_err(at(path))? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => hash.update(&block[..read]),
        }
    }
}

/// Whether the file starts as GGUF files do.
pub(crate) fn is_gguf(path: &Path) -> Result<bool, Error> {
    Ok(beginning(path)?.starts_with(MAGIC))
}

/// Whether the file starts as files of weights do: GGUF, or safetensors, which have the length of their
/// JSON, and then the JSON.
pub(crate) fn is_weights(path: &Path) -> Result<bool, Error> {
    let start = beginning(path)?;
    if start.starts_with(MAGIC) {
        return Ok(true);
    }
    let Some((length, json)) = start.split_first_chunk::<8>() else { return Ok(false) };
    let bytes = fs::metadata(path).map_err(at(path))?.len();
    Ok(json.first() == Some(&b'{') && (2..=bytes.saturating_sub(8)).contains(&u64::from_le_bytes(*length)))
}

fn beginning(path: &Path) -> Result<Vec<u8>, Error> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(at(path))?;
    file.take(9).read_to_end(&mut start).map_err(at(path))?;
    Ok(start)
}

/// Moves a file within one filesystem so that after a power cut there is the old one, or this one whole.
pub(crate) fn place(from: &Path, to: &Path) -> Result<(), Error> {
    File::open(from).and_then(|file| file.sync_all()).map_err(at(from))?;
    fs::rename(from, to).map_err(at(to))?;
    sync_parent(to)
}

/// Writes a small file so that after a power cut there is the old content, or this one whole.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    let new = path.with_extension("new");
    File::create(&new).and_then(|mut file| file.write_all(content)).map_err(at(&new))?;
    place(&new, path)
}

/// Removes a file or folder; that there is none is fine.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes sure that the filesystem of `folder` has room for `needed` bytes, so that a pull that cannot end does not
/// begin. Others may take the room meanwhile: writes still fail cleanly.
pub(crate) fn reserve(folder: &Path, needed: u64) -> Result<(), Error> {
    let room = rustix::fs::statvfs(folder).map_err(|error| at(folder)(error.into()))?;
    let available = room.f_bavail.saturating_mul(room.f_frsize);
    if available < needed {
        return Err(Error::Space { path: folder.to_owned(), needed, available });
    }
    Ok(())
}

/// A rename is durable once the folder that holds it is.
fn sync_parent(path: &Path) -> Result<(), Error> {
    let Some(folder) = path.parent() else { return Ok(()) };
    File::open(folder).and_then(|file| file.sync_all()).map_err(at(folder))
}
