//! Copies of whole workspaces: contents, modes, times and links as they are.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use antiphon_wire::WorkspacePath;
use rustix::fs::{AtFlags, CWD, FileType, Mode, SeekFrom, Statx, Timespec, Timestamps};
use rustix::io::Errno;

use crate::failure::Outcome;
use crate::inside::Inside;

/// What a copy has of a mode: nobody gets rights by running it.
const RIGHTS: u32 = 0o777;

/// Copies everything into an empty folder, which nobody else sees yet. Sockets and devices, which
/// are nothing without what made them, are left out.
///
/// # Errors
/// `failed_precondition` for what cannot be read.
pub(crate) fn copy(from: &Inside, to: &Path) -> Outcome<()> {
    let mut folders: Vec<(PathBuf, Statx)> = Vec::new();
    let mut walk = from.walk(&WorkspacePath::default())?;
    while let Some(entry) = walk.next()? {
        let place = to.join(&entry.path);
        match entry.kind() {
            FileType::Directory => {
                // Its own rights come when it is full.
                fs::DirBuilder::new().mode(0o700).create(&place)?;
                folders.push((place, entry.about));
            }
            FileType::RegularFile => {
                if let Some((file, about)) = entry.open()? {
                    let made = File::options().write(true).create_new(true).mode(0o600).open(&place)?;
                    copy_data(&file, &made, about.stx_size)?;
                    rustix::fs::fchmod(&made, mode(&about))?;
                    rustix::fs::futimens(&made, &times(&about))?;
                }
            }
            FileType::Symlink => {
                if let Some(target) = entry.target()? {
                    rustix::fs::symlinkat(&target, CWD, &place)?;
                    rustix::fs::utimensat(CWD, &place, &times(&entry.about), AtFlags::SYMLINK_NOFOLLOW)?;
                }
            }
            FileType::Fifo => rustix::fs::mknodat(CWD, &place, FileType::Fifo, mode(&entry.about), 0)?,
            _ => {}
        }
    }
    walk.check_whole()?;
    for (place, about) in folders.into_iter().rev() {
        rustix::fs::chmod(place.as_os_str().as_bytes(), mode(&about))?;
        rustix::fs::utimensat(CWD, &place, &times(&about), AtFlags::empty())?;
    }
    Ok(())
}

/// Shares the blocks where the file system can, and keeps holes: a file of nothing may be larger
/// than the disk.
fn copy_data(mut from: &File, mut to: &File, size: u64) -> io::Result<()> {
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    to.set_len(size)?;
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => break,
            start => start?,
        };
        let end = rustix::fs::seek(from, SeekFrom::Hole(start))?.min(size);
        from.seek(io::SeekFrom::Start(start))?;
        to.seek(io::SeekFrom::Start(start))?;
        io::copy(&mut from.take(end.saturating_sub(start)), &mut to)?;
        at = end.max(start + 1);
    }
    Ok(())
}

fn mode(about: &Statx) -> Mode {
    Mode::from_raw_mode(u32::from(about.stx_mode) & RIGHTS)
}

fn times(about: &Statx) -> Timestamps {
    let time = Timespec { tv_sec: about.stx_mtime.tv_sec, tv_nsec: about.stx_mtime.tv_nsec.into() };
    Timestamps { last_access: time, last_modification: time }
}
