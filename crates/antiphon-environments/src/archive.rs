//! Archives that are unpacked into a workspace: tar, compressed or not, and zip. They are hostile:
//! nothing but plain files and folders comes out of them, at plain paths and within bounds.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::rc::Rc;

use antiphon_wire::{Code, Error, WorkspacePath};
use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType, PaxExtensions};
use zip::ZipArchive;

use crate::failure::Outcome;
use crate::staged::Stage;

/// What an archive says of an entry in words of its own: a long name, or attributes.
const LONGEST_SAID: u64 = 64 << 10;
/// What comes out may be so many times as long as what went in, and this much in any case.
const RATIO: u64 = 256;
const RATIO_FREE: u64 = 4 << 20;
/// Where the directory of a zip archive ends is told in so many of its last bytes.
const ZIP_TAIL: u64 = (64 << 10) + 128;
/// It says that there are more entries than fit into 16 bits.
const ZIP64: &[u8] = b"PK\x06\x07";
/// The bits of a mode that say what an entry is, those of a regular file and of a folder.
const KIND: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

/// Unpacks an archive below a folder.
///
/// # Errors
/// `invalid_request` for what is no archive, or holds what is not unpacked; `content_too_large`.
pub(crate) fn unpack(mut archive: File, into: &WorkspacePath, stage: &mut Stage) -> Outcome<()> {
    let mut head = Vec::new();
    (&archive).take(512).read_to_end(&mut head)?;
    archive.seek(SeekFrom::Start(0))?;
    let packed = archive.metadata()?.len();
    if !into.is_top() {
        stage.folder(into)?;
    }
    if head.starts_with(&[0x1f, 0x8b]) {
        unpack_tar(MultiGzDecoder::new(BufReader::new(archive)), packed, into, stage)
    } else if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        unpack_zip(archive, packed, into, stage)
    } else if head.get(257..262) == Some(b"ustar") {
        unpack_tar(BufReader::new(archive), packed, into, stage)
    } else {
        Err(refused("expected a tar, tar.gz or zip archive").into())
    }
}

fn unpack_tar(stream: impl Read, packed: u64, into: &WorkspacePath, stage: &mut Stage) -> Outcome<()> {
    let is_over = Rc::new(Cell::new(false));
    let bounded = Bounded { stream, most: most_unpacked(packed), read: 0, is_over: Rc::clone(&is_over) };
    // The library's own words could hold names.
    let damaged = |_: io::Error| if is_over.get() { bomb() } else { refused("the archive is damaged") };
    let mut archive = Archive::new(bounded);
    // The name of the next entry, where it is too long for its head.
    let mut long_name: Option<Vec<u8>> = None;
    // Read raw: the library would hold what an archive says of an entry in memory, however long.
    for entry in archive.entries().map_err(damaged)?.raw(true) {
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::GNULongName | EntryType::XHeader) {
            if entry.size() > LONGEST_SAID {
                return Err(refused("an entry's name or attributes are too long").into());
            }
            let mut said = Vec::new();
            entry.read_to_end(&mut said).map_err(damaged)?;
            if kind == EntryType::GNULongName {
                said.truncate(said.iter().position(|byte| *byte == 0).unwrap_or(said.len()));
                long_name = Some(said);
            } else {
                long_name = pax_path(&said)?.or(long_name);
            }
            continue;
        }
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let name = long_name.take().unwrap_or_else(|| entry.header().path_bytes().into_owned());
        let mode = entry.header().mode().map_err(damaged)?;
        match kind {
            EntryType::Directory => {
                if let Some(path) = member(&name, into)? {
                    stage.folder(&path)?;
                }
            }
            EntryType::Regular | EntryType::Continuous => {
                let path = member(&name, into)?.ok_or_else(|| refused("an entry has no name"))?;
                let mut broken = None;
                let content = Noticing { stream: &mut entry, broken: &mut broken };
                let written = stage.file(&path, plain_mode(mode, &path)?, content);
                broken.map_or(Ok(()), |error| Err(damaged(error)))?;
                written?;
            }
            _ => return Err(refused(&format!("`{}` is no plain file or folder", shown(&name))).into()),
        }
    }
    Ok(())
}

/// The path among the attributes of an entry.
fn pax_path(said: &[u8]) -> Outcome<Option<Vec<u8>>> {
    let mut path = None;
    for extension in PaxExtensions::new(said) {
        let extension = extension.map_err(|_| refused("the archive is damaged"))?;
        match extension.key_bytes() {
            b"path" => path = Some(extension.value_bytes().to_vec()),
            key if key == b"size" || key.starts_with(b"GNU.sparse") => {
                return Err(refused("files of 8 GiB and sparse ones are not unpacked").into());
            }
            _ => {}
        }
    }
    Ok(path)
}

fn unpack_zip(mut archive: File, packed: u64, into: &WorkspacePath, stage: &mut Stage) -> Outcome<()> {
    let damaged = |_| refused("the archive is damaged, encrypted, or of a kind that is not unpacked");
    let mut tail = Vec::new();
    archive.seek(SeekFrom::Start(packed.saturating_sub(ZIP_TAIL)))?;
    archive.read_to_end(&mut tail)?;
    archive.seek(SeekFrom::Start(0))?;
    // The library reads the whole directory into memory; without this there are 65,535 entries at most.
    if tail.windows(ZIP64.len()).any(|window| window == ZIP64) {
        return Err(refused("archives of the kind zip64 are not unpacked").into());
    }
    let mut archive = ZipArchive::new(BufReader::new(archive)).map_err(damaged)?;
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).map_err(damaged)?;
        let name = entry.name_raw().to_vec();
        let mode = entry.unix_mode();
        let kind = mode.unwrap_or(0) & KIND;
        if entry.is_dir() && matches!(kind, 0 | FOLDER) {
            if let Some(path) = member(&name, into)? {
                stage.folder(&path)?;
            }
        } else if !entry.is_dir() && matches!(kind, 0 | REGULAR) {
            let path = member(&name, into)?.ok_or_else(|| refused("an entry has no name"))?;
            let mode = plain_mode(mode.unwrap_or(0o644), &path)?;
            let mut broken = None;
            let written = stage.file(&path, mode, Noticing { stream: &mut entry, broken: &mut broken });
            broken.map_or(Ok(()), |_| Err(refused("the archive is damaged")))?;
            written?;
            if stage.bytes() > most_unpacked(packed) {
                return Err(bomb().into());
            }
        } else {
            return Err(refused(&format!("`{}` is no plain file or folder", shown(&name))).into());
        }
    }
    Ok(())
}

fn most_unpacked(packed: u64) -> u64 {
    packed.saturating_mul(RATIO).max(RATIO_FREE)
}

/// Where an entry is placed; none for the folder itself.
fn member(name: &[u8], into: &WorkspacePath) -> Outcome<Option<WorkspacePath>> {
    let wrong = |why: &str| refused(&format!("`{}`: {why}", shown(name)));
    let mut text = std::str::from_utf8(name).map_err(|_| wrong("expected a name in UTF-8"))?;
    while let Some(rest) = text.strip_prefix("./") {
        text = rest;
    }
    if matches!(text, "" | ".") {
        return Ok(None);
    }
    let below = WorkspacePath::parse(text).map_err(|why| wrong(&why))?;
    if into.is_top() {
        return Ok(Some(below));
    }
    Ok(Some(WorkspacePath::parse(&format!("{into}/{below}")).map_err(|why| wrong(&why))?))
}

/// # Errors
/// `invalid_request` for a file that would give its rights away.
fn plain_mode(mode: u32, path: &WorkspacePath) -> Outcome<u32> {
    if mode & 0o6000 != 0 {
        return Err(refused(&format!("`{path}` would run with the rights of its owner")).into());
    }
    // Its owner can always read and change it.
    Ok(mode & 0o777 | 0o600)
}

fn refused(why: &str) -> Error {
    Error::invalid("extract", why)
}

fn bomb() -> Error {
    let message = format!("`extract`: the archive has more than {RATIO} times its size in it");
    Error::new(Code::ContentTooLarge, message)
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().take(64).flat_map(char::escape_debug).collect()
}

/// Ends with an error after so many bytes.
struct Bounded<R> {
    stream: R,
    most: u64,
    read: u64,
    is_over: Rc<Cell<bool>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        self.read = self.read.saturating_add(read as u64);
        if self.read > self.most {
            self.is_over.set(true);
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(read)
    }
}

/// Tells an archive that cannot be read from a disk that cannot be written.
struct Noticing<'a, R> {
    stream: R,
    broken: &'a mut Option<io::Error>,
}

impl<R: Read> Read for Noticing<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer).map_err(|error| {
            let kind = error.kind();
            // Whoever reads asks again.
            if kind != io::ErrorKind::Interrupted {
                *self.broken = Some(error);
            }
            kind.into()
        })
    }
}
