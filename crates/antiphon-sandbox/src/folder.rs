//! Folders that a hostile program has filled: measured, handed over and deleted without following anything it left.
//! Nothing here recurses: a program may have made folders as deep as it likes.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;

use crate::program::Language;

/// Folders inside one another that a workspace may have; deeper ones count as over the quota.
pub(crate) const DEPTH: usize = 128;

/// Where a file operation writes what is not whole yet, in the top folder of a workspace.
pub(crate) const UNFINISHED: &str = ".antiphon-unfinished";

/// Removes from a workspace what runs put there for themselves: those whose server died could not. Nothing may be at
/// work in it.
///
/// # Errors
/// When it cannot be changed.
pub fn clear(workspace: impl AsFd) -> io::Result<()> {
    for name in Language::ALL.map(Language::source_file).into_iter().chain([UNFINISHED]) {
        match rustix::fs::unlinkat(&workspace, name, AtFlags::empty()) {
            // A folder of this name is a program's own.
            Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Opens a folder below another, through no link whatsoever.
pub(crate) fn open_below(folder: impl AsFd, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    open_name(folder, name, flags, Mode::empty())
}

/// Opens what has a name in a folder, and nothing that it leads to.
pub(crate) fn open_name(folder: impl AsFd, name: &CStr, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    match rustix::fs::openat2(&folder, name, flags, mode, BENEATH) {
        // gVisor's kernel does not know this call. There is but one name, so that the older one can do the same.
        Err(Errno::NOSYS) if !name.to_bytes().contains(&b'/') && name != c".." => {
            Ok(rustix::fs::openat(folder, name, flags | OFlags::NOFOLLOW, mode)?)
        }
        result => Ok(result?),
    }
}

/// What every path into a workspace is resolved with.
pub const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// What there is in a folder, counted until one bound is passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    pub bytes: u64,
    pub entries: u64,
}

/// Measures a folder, or tells with `None` that it is over the bounds.
pub fn measure(folder: impl AsFd, bytes: u64, entries: u64) -> io::Result<Option<Size>> {
    let mut size = Size::default();
    let mut within = true;
    visit(folder, |_, _, about| {
        size.entries += 1;
        size.bytes = size.bytes.saturating_add(u64::try_from(about.st_blocks).unwrap_or(0).saturating_mul(512));
        within = size.bytes <= bytes && size.entries <= entries;
        within
    })
    .map(|whole| (whole && within).then_some(size))
}

/// Gives everything in a folder, and the folder, to a user. Links themselves, not what they lead to.
pub fn hand_over(folder: impl AsFd, uid: u32) -> io::Result<()> {
    let (user, group) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid)));
    let mut result = Ok(());
    let whole = visit(&folder, |parent, name, about| {
        if about.st_uid != uid {
            result = rustix::fs::chownat(parent, name, user, group, AtFlags::SYMLINK_NOFOLLOW);
        }
        result.is_ok()
    })?;
    result?;
    if !whole {
        return Err(io::Error::other(format!("it holds folders more than {DEPTH} deep")));
    }
    Ok(rustix::fs::fchown(folder, user, group)?)
}

/// Visits everything below a folder; `false` from the visitor ends it. Whether everything was visited.
pub fn visit(
    folder: impl AsFd,
    mut visitor: impl FnMut(BorrowedFd<'_>, &CStr, &rustix::fs::Stat) -> bool,
) -> io::Result<bool> {
    let top = rustix::fs::openat(&folder, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    // One descriptor for each level: inside a sandbox there are few.
    let mut open = vec![Dir::new(top)?];
    while let Some(entries) = open.last_mut() {
        let entry = match entries.next() {
            Some(Ok(entry)) => entry,
            // A folder that vanishes or changes while it is read: what it had is looked at the next time.
            Some(Err(_)) | None => {
                open.pop();
                continue;
            }
        };
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let folder = entries.fd()?;
        let Ok(about) = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        if !visitor(folder, name, &about) {
            return Ok(false);
        }
        if FileType::from_raw_mode(about.st_mode) == FileType::Directory {
            let below = match open_below(folder, name) {
                Ok(below) => below,
                // What is hidden cannot be counted, so it counts as too much.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(false),
                Err(_) => continue,
            };
            if open.len() > DEPTH {
                return Ok(false);
            }
            open.push(Dir::new(below)?);
        }
    }
    Ok(true)
}

/// Deletes everything in a folder, however deep: what is in a subfolder is moved up, so that two folders are open at
/// most. Nobody else may be working in it.
pub fn empty(folder: impl AsFd) -> io::Result<()> {
    let mut moved = 0_u64;
    loop {
        let mut any = false;
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            any = true;
            if unlink(&folder, name).is_err() {
                let below = open_forced(&folder, name)?;
                lift(&folder, &below, &mut moved)?;
                rustix::fs::unlinkat(&folder, name, AtFlags::REMOVEDIR)?;
            }
        }
        if !any {
            return Ok(());
        }
    }
}

/// Empties a subfolder: files are deleted, folders moved up under names of ours.
fn lift(top: impl AsFd, below: &OwnedFd, moved: &mut u64) -> io::Result<()> {
    // A folder that is changed while it is read may be read incompletely.
    loop {
        let mut any = false;
        for entry in Dir::read_from(below)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            any = true;
            if unlink(below, name).is_err() {
                // Moving a folder writes its `..`.
                open_forced(below, name)?;
                loop {
                    *moved += 1;
                    let target = format!(".moved-{moved}");
                    let flags = rustix::fs::RenameFlags::NOREPLACE;
                    match rustix::fs::renameat_with(below, name, &top, &target, flags) {
                        Err(rustix::io::Errno::EXIST) => {}
                        result => break result?,
                    }
                }
            }
        }
        if !any {
            return Ok(());
        }
    }
}

fn unlink(folder: impl AsFd, name: &CStr) -> io::Result<()> {
    let about = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(about.st_mode) == FileType::Directory {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(rustix::fs::unlinkat(folder, name, AtFlags::empty())?)
}

/// Opens a subfolder, giving its owner the rights that the program took away.
pub(crate) fn open_forced(folder: impl AsFd, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = rustix::fs::openat(&folder, name, flags, Mode::empty())?;
    let about = rustix::fs::fstat(&place)?;
    if about.st_mode & 0o700 != 0o700 {
        use std::os::fd::AsRawFd as _;
        rustix::fs::chmod(format!("/proc/self/fd/{}", place.as_raw_fd()), Mode::RWXU)?;
    }
    open_below(folder, name)
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn open(path: &std::path::Path) -> OwnedFd {
        fs::File::open(path).unwrap().into()
    }

    #[test]
    fn folders_of_any_depth_are_emptied_and_nothing_else() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "kept").unwrap();
        let inside = tempfile::tempdir().unwrap();
        let top = open(inside.path());
        let mut place = rustix::io::dup(&top).unwrap();
        for level in 0..4096 {
            let name = CString::new(if level % 2 == 0 { "a" } else { ".moved-1" }).unwrap();
            rustix::fs::mkdirat(&place, &name, Mode::RWXU).unwrap();
            place = open_below(&place, &name).unwrap();
        }
        rustix::fs::symlinkat(outside.path(), &place, c"link").unwrap();
        symlink(outside.path(), inside.path().join("link")).unwrap();
        fs::create_dir(inside.path().join("closed")).unwrap();
        fs::write(inside.path().join("closed/file"), "x").unwrap();
        fs::set_permissions(inside.path().join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
        assert_eq!(measure(&top, u64::MAX, u64::MAX).unwrap(), None, "too deep");

        empty(&top).unwrap();
        assert_eq!(fs::read_dir(inside.path()).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(outside.path().join("kept")).unwrap(), "kept");
    }

    #[test]
    fn what_is_measured_has_bounds() {
        let folder = tempfile::tempdir().unwrap();
        for name in 0..10 {
            fs::write(folder.path().join(name.to_string()), vec![1; 4096]).unwrap();
        }
        symlink("/usr", folder.path().join("link")).unwrap();
        let top = open(folder.path());
        let size = measure(&top, u64::MAX, 11).unwrap().unwrap();
        assert_eq!(size.entries, 11);
        assert!(size.bytes >= 40_960 && size.bytes < 1 << 20, "{size:?}");
        assert_eq!(measure(&top, u64::MAX, 10).unwrap(), None);
        assert_eq!(measure(&top, 20_000, 11).unwrap(), None);
    }
}
