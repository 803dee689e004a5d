//! A workspace at rest: one compressed archive in the place of a folder that nobody has used for a while.
//!
//! Where both are there, one of them is on its way out, and the workspace holds: it is removed only
//! behind an archive that was read back, and an archive only behind a workspace that is durable. So
//! whenever the process dies, one of them is whole.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Statx, Timespec, Timestamps};
use tar::{Archive, Builder, Entry, EntryType, Header};

use crate::failure::{Failure, Outcome};
use crate::fault::{FaultPoint, Faults};
use crate::inside::Inside;
use crate::place::{self, Home};
use crate::snapshot::{self, Exactly};

/// What is kept of a mode, as in copies.
const RIGHTS: u32 = 0o777;
/// Seconds and nanoseconds of a time; a head has room for the former alone.
const TIME: &str = "ANTIPHON.mtime";
const PIECE: usize = 64 << 10;

pub(crate) fn is_resting(home: &Home) -> bool {
    !home.workspace().is_dir() && home.archive().is_file()
}

/// Brings what an interrupted process left to one of the two.
pub(crate) fn recover(home: &Home) -> Outcome<()> {
    for file in [home.unfinished()].into_iter().chain(home.workspace().is_dir().then(|| home.archive())) {
        remove_file(&file)?;
    }
    place::remove(&home.waking())?;
    Ok(place::remove(&home.discarded())?)
}

/// Puts the archive into the place of the workspace, which nobody may be using. One that cannot be
/// read whole, or would make more than `most` bytes, stays as it is.
///
/// # Errors
/// `failed_precondition` for these; then nothing has changed.
pub(crate) fn put_to_rest(home: &Home, most: u64, faults: &Faults) -> Outcome<()> {
    recover(home)?;
    let inside = Inside::open(&home.workspace())?;
    snapshot::check_size(&inside, most)?;
    let unfinished = home.unfinished();
    let mut archive = File::options().read(true).write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let kept = write(&inside, &archive, faults).and_then(|entries| {
        archive.sync_all()?;
        archive.rewind()?;
        check(&archive, entries)
    });
    if let Err(failure) = kept {
        remove_file(&unfinished)?;
        return Err(failure);
    }
    faults.pass(FaultPoint::Packed);
    fs::rename(&unfinished, home.archive())?;
    home.sync()?;
    faults.pass(FaultPoint::Kept);
    fs::rename(home.workspace(), home.discarded())?;
    home.sync()?;
    faults.pass(FaultPoint::Discarded);
    Ok(place::remove(&home.discarded())?)
}

/// Brings the workspace back as it was: contents, modes, times and links.
///
/// # Errors
/// When the archive is damaged or has more than `most` bytes in it; it stays then.
pub(crate) fn wake(home: &Home, most: u64, faults: &Faults) -> Outcome<()> {
    recover(home)?;
    let waking = home.waking();
    DirBuilder::new().mode(0o700).create(&waking)?;
    let woken = unpack(File::open(home.archive())?, &waking, most, faults).and_then(|()| {
        // One call rather than one for each file.
        Ok(rustix::fs::syncfs(place::open(&waking)?)?)
    });
    if let Err(failure) = woken {
        place::remove(&waking)?;
        return Err(failure);
    }
    faults.pass(FaultPoint::Unpacked);
    fs::rename(&waking, home.workspace())?;
    home.sync()?;
    faults.pass(FaultPoint::Woken);
    remove_file(&home.archive())
}

/// How many entries were written.
fn write(inside: &Inside, file: &File, faults: &Faults) -> Outcome<u64> {
    let mut archive = Builder::new(GzEncoder::new(BufWriter::new(file), Compression::fast()));
    let mut walk = inside.walk(&Default::default())?;
    let mut entries = 0;
    while let Some(entry) = walk.next()? {
        let (about, kind, size, content): (_, _, _, Box<dyn Read>) = match entry.kind() {
            FileType::Directory => (entry.about, EntryType::Directory, 0, Box::new(io::empty())),
            FileType::Fifo => (entry.about, EntryType::Fifo, 0, Box::new(io::empty())),
            FileType::Symlink => {
                let Some(target) = entry.target()? else { continue };
                // As content, which takes any bytes as they are.
                let target = target.into_bytes();
                (entry.about, EntryType::Symlink, target.len() as u64, Box::new(io::Cursor::new(target)))
            }
            FileType::RegularFile => {
                let Some((file, about)) = entry.open()? else { continue };
                let size = about.stx_size;
                (about, EntryType::Regular, size, Box::new(Exactly::new(file, size)))
            }
            // Nothing without what made them.
            _ => continue,
        };
        let time = format!("{} {}", about.stx_mtime.tv_sec, about.stx_mtime.tv_nsec);
        archive.append_pax_extensions([(TIME, time.as_bytes())])?;
        archive.append_data(&mut head(&about, kind, size), &entry.path, content)?;
        entries += 1;
        faults.pass(FaultPoint::Packing);
    }
    walk.check_whole()?;
    archive.into_inner()?.finish()?.flush()?;
    Ok(entries)
}

fn head(about: &Statx, kind: EntryType, size: u64) -> Header {
    let mut head = Header::new_gnu();
    head.set_entry_type(kind);
    head.set_mode(u32::from(about.stx_mode) & RIGHTS);
    head.set_size(size);
    head
}

/// Reads an archive to its end, checksum included.
fn check(file: &File, expected: u64) -> Outcome<()> {
    let mut archive = Archive::new(GzDecoder::new(BufReader::new(file)));
    let mut entries = 0;
    for entry in archive.entries()? {
        io::copy(&mut entry?, &mut io::sink())?;
        entries += 1;
    }
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    if entries == expected {
        return Ok(());
    }
    Err(Failure::broken(format!("{expected} entries were put into an archive, and {entries} are in it")))
}

fn unpack(file: File, into: &Path, most: u64, faults: &Faults) -> Outcome<()> {
    let mut archive = Archive::new(GzDecoder::new(BufReader::new(file)));
    let mut folders = Vec::new();
    let mut left = most;
    for entry in archive.entries()? {
        let mut entry = entry?;
        left = left
            .checked_sub(entry.size())
            .ok_or_else(|| Failure::broken(format!("an archive has more than {most} bytes in it")))?;
        let (place, times, mode) = (place_of(&entry, into)?, times_of(&mut entry)?, mode_of(&entry)?);
        match entry.header().entry_type() {
            EntryType::Directory => {
                // Its own rights come when it is full.
                DirBuilder::new().mode(0o700).create(&place)?;
                folders.push((place, mode, times));
            }
            EntryType::Regular => {
                let file = File::options().write(true).create_new(true).mode(0o600).open(&place)?;
                write_content(&mut entry, &file)?;
                rustix::fs::fchmod(&file, mode)?;
                rustix::fs::futimens(&file, &times)?;
            }
            EntryType::Symlink => {
                let mut target = Vec::new();
                entry.read_to_end(&mut target)?;
                rustix::fs::symlinkat(&target[..], CWD, &place)?;
                rustix::fs::utimensat(CWD, &place, &times, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            EntryType::Fifo => {
                rustix::fs::mknodat(CWD, &place, FileType::Fifo, mode, 0)?;
                rustix::fs::chmod(&place, mode)?;
                rustix::fs::utimensat(CWD, &place, &times, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            kind => return Err(Failure::broken(format!("an archive has an entry of the kind {kind:?}"))),
        }
        faults.pass(FaultPoint::Unpacking);
    }
    // Damage at the end is damage.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    for (place, mode, times) in folders.into_iter().rev() {
        rustix::fs::chmod(place.as_os_str().as_bytes(), mode)?;
        rustix::fs::utimensat(CWD, &place, &times, AtFlags::empty())?;
    }
    Ok(())
}

fn place_of(entry: &Entry<'_, impl Read>, into: &Path) -> Outcome<PathBuf> {
    let path = entry.path()?;
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if is_plain { Ok(into.join(path)) } else { Err(Failure::broken("an archive has a path that leads elsewhere")) }
}

fn mode_of(entry: &Entry<'_, impl Read>) -> Outcome<Mode> {
    Ok(Mode::from_raw_mode(entry.header().mode()? & RIGHTS))
}

fn times_of(entry: &mut Entry<'_, impl Read>) -> Outcome<Timestamps> {
    let missing = || Failure::broken("an archive has an entry without its time");
    let extensions = entry.pax_extensions()?.ok_or_else(missing)?;
    let said = extensions.flatten().find(|extension| extension.key() == Ok(TIME)).ok_or_else(missing)?;
    let time = said.value().ok().and_then(|said| {
        let (seconds, nanoseconds) = said.split_once(' ')?;
        Some(Timespec { tv_sec: seconds.parse().ok()?, tv_nsec: nanoseconds.parse().ok()? })
    });
    let time = time.ok_or_else(missing)?;
    Ok(Timestamps { last_access: time, last_modification: time })
}

/// Writes all but pieces of nothing, so that holes are holes again.
fn write_content(from: &mut Entry<'_, impl Read>, mut file: &File) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    file.set_len(from.size())?;
    loop {
        let mut filled = 0;
        while filled < PIECE {
            match from.read(&mut piece[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        if filled == 0 {
            return Ok(());
        }
        if piece[..filled].iter().all(|byte| *byte == 0) {
            file.seek_relative(filled as i64)?;
        } else {
            file.write_all(&piece[..filled])?;
        }
    }
}

fn remove_file(path: &Path) -> Outcome<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
