//! A workspace as a tar archive. Links are kept as links, and what is neither file, folder nor
//! link is left out. Programs may be at work meanwhile: each file is as long as its head says,
//! whatever becomes of it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;

use antiphon_wire::WorkspacePath;
use rustix::fs::{FileType, Statx};
use tar::{Builder, EntryType, Header};

use crate::failure::{Failure, Outcome};
use crate::inside::Inside;

/// Names every entry's owner; that of the machine says nothing elsewhere.
const OWNER: u64 = 1000;

pub(crate) fn write(inside: &Inside, out: &mut dyn Write) -> io::Result<()> {
    write_all(inside, out).map_err(|failure| match failure {
        Failure::Refused(error) => io::Error::other(error),
        Failure::Broken(cause) => io::Error::other(cause),
    })
}

/// # Errors
/// `failed_precondition` when the archive would have more than `most` bytes: files that are
/// mostly holes have them all.
pub(crate) fn check_size(inside: &Inside, most: u64) -> Outcome<()> {
    let bytes = inside.contents()?.bytes;
    if bytes <= most {
        return Ok(());
    }
    let why = format!("its files have {bytes} bytes; a snapshot may have {most}");
    Err(Failure::state(&WorkspacePath::default(), why))
}

fn write_all(inside: &Inside, out: &mut dyn Write) -> Outcome<()> {
    let mut walk = inside.walk(&WorkspacePath::default())?;
    let mut archive = Builder::new(out);
    while let Some(entry) = walk.next()? {
        match entry.kind() {
            FileType::Directory => {
                let mut head = head(&entry.about, EntryType::Directory);
                archive.append_data(&mut head, &entry.path, io::empty())?;
            }
            FileType::RegularFile => {
                let Some((file, about)) = entry.open()? else { continue };
                let mut head = head(&about, EntryType::Regular);
                head.set_size(about.stx_size);
                archive.append_data(&mut head, &entry.path, Exactly::new(file, about.stx_size))?;
            }
            FileType::Symlink => {
                let Some(target) = entry.target()? else { continue };
                let mut head = head(&entry.about, EntryType::Symlink);
                archive.append_link(&mut head, &entry.path, OsStr::from_bytes(target.as_bytes()))?;
            }
            _ => {}
        }
    }
    archive.finish()?;
    Ok(())
}

fn head(about: &Statx, kind: EntryType) -> Header {
    let mut head = Header::new_gnu();
    head.set_entry_type(kind);
    head.set_mode(u32::from(about.stx_mode) & 0o777);
    head.set_uid(OWNER);
    head.set_gid(OWNER);
    head.set_mtime(u64::try_from(about.stx_mtime.tv_sec).unwrap_or(0));
    head.set_size(0);
    head
}

/// So many bytes of a file; zeros when it has become shorter.
pub(crate) struct Exactly {
    file: File,
    left: u64,
}

impl Exactly {
    pub(crate) fn new(file: File, left: u64) -> Self {
        Self { file, left }
    }
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let buffer = &mut buffer[..wanted];
        let read = match self.file.read(buffer)? {
            0 => {
                buffer.fill(0);
                wanted
            }
            read => read,
        };
        self.left -= read as u64;
        Ok(read)
    }
}
