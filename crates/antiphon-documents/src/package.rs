//! An office file: an archive of XML. Nothing is unpacked before its size is known to be bounded,
//! and what an entry says of its size is not believed.

use std::io::{Cursor, Read as _};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::fault::Fault;
use crate::kind::Kind;
use crate::limits::{MOST_ENTRIES, MOST_RATIO, MOST_UNPACKED, SMALL};
use crate::markup::Markup;

/// The end of a central directory with the longest comment.
const LONGEST_END: usize = 22 + u16::MAX as usize;

pub(crate) struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// What may still be unpacked.
    left: u64,
}

impl<'a> Package<'a> {
    /// # Errors
    /// When it is no archive, or says itself that it would become too large.
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, Fault> {
        // Told before a list of so many is made.
        if entries(bytes) > MOST_ENTRIES {
            return Err(Fault::limit("entries of its archive", MOST_ENTRIES));
        }
        let broken =
            |error: ZipError| Fault::Unreadable { kind: "application/zip".to_owned(), reason: error.to_string() };
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
        if archive.len() > MOST_ENTRIES {
            return Err(Fault::limit("entries of its archive", MOST_ENTRIES));
        }
        let mut total = 0u64;
        for at in 0..archive.len() {
            let entry = archive.by_index_raw(at).map_err(broken)?;
            check_ratio(entry.size(), entry.compressed_size())?;
            total = total.saturating_add(entry.size());
        }
        if total > MOST_UNPACKED {
            return Err(Fault::limit("unpacked size in bytes", MOST_UNPACKED));
        }
        Ok(Self { archive, left: MOST_UNPACKED })
    }

    /// What an OpenDocument file says that it is.
    pub(crate) fn declared_type(&mut self) -> Option<String> {
        let mut said = String::new();
        self.archive.by_name("mimetype").ok()?.take(100).read_to_string(&mut said).ok()?;
        Some(said.trim().to_owned())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.archive.index_for_name(name).is_some()
    }

    pub(crate) fn has_in(&self, folder: &str, ending: &str) -> bool {
        self.archive.file_names().any(|name| name.starts_with(folder) && name.ends_with(ending))
    }

    /// Whether its entries are encrypted, in the manner of archives or of OpenDocument.
    pub(crate) fn is_encrypted(&mut self) -> bool {
        let of_archive =
            (0..self.archive.len()).any(|at| self.archive.by_index_raw(at).is_ok_and(|entry| entry.encrypted()));
        let manifest = self.optional(Kind::Odt, "META-INF/manifest.xml").ok().flatten().unwrap_or_default();
        let mark = b"encryption-data";
        of_archive || manifest.windows(mark.len()).any(|window| window == mark)
    }

    /// The bytes of an entry.
    ///
    /// # Errors
    /// When there is none, or it is too large or damaged.
    pub(crate) fn entry(&mut self, kind: Kind, name: &str) -> Result<Vec<u8>, Fault> {
        self.optional(kind, name)?.ok_or_else(|| Fault::unreadable(kind, format!("it has no `{name}`")))
    }

    /// The bytes of an entry that there may be.
    pub(crate) fn optional(&mut self, kind: Kind, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        let left = self.left;
        let entry = match self.archive.by_name(name) {
            Ok(entry) => entry,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(Fault::unreadable(kind, error)),
        };
        let packed = entry.compressed_size();
        let mut bytes = Vec::new();
        let read = entry.take(left + 1).read_to_end(&mut bytes);
        read.map_err(|error| Fault::unreadable(kind, format!("`{name}` is damaged: {error}")))?;
        let size = bytes.len() as u64;
        if size > left {
            return Err(Fault::limit("unpacked size in bytes", MOST_UNPACKED));
        }
        check_ratio(size, packed)?;
        self.left -= size;
        Ok(Some(bytes))
    }

    /// Reads all XML of it once, for those who will read it without counting.
    pub(crate) fn check(&mut self, kind: Kind) -> Result<(), Fault> {
        let is_xml = |name: &&str| name.ends_with(".xml") || name.ends_with(".rels");
        let names: Vec<_> = self.archive.file_names().filter(is_xml).map(str::to_owned).collect();
        for name in names {
            let bytes = self.entry(kind, &name)?;
            let mut markup = Markup::new(kind, &bytes);
            while markup.next()?.is_some() {}
        }
        Ok(())
    }
}

fn check_ratio(size: u64, packed: u64) -> Result<(), Fault> {
    if size > SMALL && size / packed.max(1) > MOST_RATIO {
        return Err(Fault::limit("ratio of unpacked to packed size", MOST_RATIO));
    }
    Ok(())
}

/// How many entries an archive has as its end says. The format for more has its mark there.
fn entries(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(LONGEST_END)..];
    let end = tail.windows(12).rev().find(|window| window.starts_with(b"PK\x05\x06"));
    end.map_or(0, |end| usize::from(u16::from_le_bytes([end[10], end[11]])))
}
